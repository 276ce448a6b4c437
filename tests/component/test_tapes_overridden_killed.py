"""A server that is killed after an act by an operator's word: it is recorded as what it was."""

import pytest

from tests.harness.tape_programs import ARCHIVED, Player
from tests.harness.tape_sites import TapeSite
from tests.harness.tape_worlds import TapeWorld


@pytest.fixture
def world():
    site = TapeSite()
    world = TapeWorld(site)
    for each in (*ARCHIVED, ("damage", 0, "forgotten"), ("do", "Erase", 0)):
        getattr(Player(world), each[0])(*each[1:])
    yield world
    world.close()
    site.remove()


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("verb", ["Erase", "Delete"])
def test_what_was_on_the_tape_is_not_said_to_be_in_a_copy(world, verb, killed):
    player, tape = Player(world), world.tapes[0]
    assert tape.read() == tape.content  # its only copy is lost
    if killed:
        player.dies("finish_attempt", 1)
    player.override(verb, 0)
    player.work()
    assert world.is_dead is killed
    world.ready()
    player.work()
    assert world.ledger.tx.requests.find(limit=1)[0].state.value == "completed"
    assert world.ledger.tx.tapes.get(str(tape.path)).rewritten is not None
    assert not tape.read()


def test_an_override_that_expires_while_no_server_runs_proves_nothing():
    """The host wrote with the old times as the Delete began, so that no copy has the data."""
    site = TapeSite()
    world = TapeWorld(site)
    player, tape = Player(world), world.tapes[0]
    for each in (*ARCHIVED, ("during", "_looks", 2, "same_times", 0), ("dies", "unlink", 1)):
        getattr(player, each[0])(*each[1:])
    world.order(f"VTSPolicy Delete - {tape.name}", override="its data is not needed")
    assert world.is_dead
    assert tape.read() is None
    world.pass_time(25 * 3600.0)
    world.start()
    player.work()
    world.check()
    assert world.ledger.tx.requests.find(limit=1)[0].state.value == "failed"
    assert tape.read() == tape.content
    world.close()
    site.remove()
