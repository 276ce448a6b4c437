"""A restore that its application may still be writing, though nobody follows it any more."""

import pytest

from tests.harness.tape_programs import ERASED, Player
from tests.harness.tape_sites import QUEUED, TapeSite
from tests.harness.tape_worlds import TapeWorld

DAY = 86400.0


@pytest.fixture
def world():
    """Its application's job took too long, and could not be cancelled."""
    site = TapeSite(place="{path}", restore=QUEUED)
    world = TapeWorld(site)
    for each in (*ERASED, ("send", "Restore", 0), ("finish", "well", "end")):
        getattr(Player(world), each[0])(*each[1:])
    for _ in range(4):
        world.pass_time(DAY)
        world.answer()
    assert last(world).state.value == "interrupted"
    assert world.tapes[0].read() == b""
    yield world
    world.close()
    site.remove()


def last(world):
    return world.ledger.tx.requests.find(limit=1)[0]


def test_what_it_writes_later_is_not_taken_for_a_hosts(world):
    tape, player = world.tapes[0], Player(world)
    tape.path.write_bytes(tape.content[:10])
    world.application.ended |= set(world.application.queued)
    world.pass_time(10.0)
    player.scan()
    request = player.do("archive", 0)
    assert (request.state.value, "restore of it" in request.reason) == ("failed", True)
    request = player.do("Erase", 0)
    assert request.state.value == "failed"
    assert tape.read() == tape.content[:10]


def test_an_empty_tape_can_be_restored_by_another_command(world):
    tape, player = world.tapes[0], Player(world)
    assert player.do("Restore", 0).state.value == "completed"
    assert tape.read() == tape.content
    assert world.ledger.tx.tapes.get(str(tape.path)).restoring is None
