"""A server that is killed after an act by an operator's word: it is recorded as what it was."""

import pytest
from tape_programs import ARCHIVED, Player
from tape_sites import TapeSite
from tape_worlds import TapeWorld


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
    assert world.ledger.book.requests(limit=1)[0].state.value == "completed"
    assert world.ledger.book.tape(str(tape.path)).rewritten is not None
    assert not tape.read()
