"""A half-restored tape in a pool that is archived as a whole: no copy of the half is recorded."""

import pytest

from tests.harness.tape_programs import ERASED, Player
from tests.harness.tape_sites import TapeSite
from tests.harness.tape_worlds import TapeWorld

HALF = (*ERASED, ("send", "Restore", 0), ("finish", "halfway", "end"))


@pytest.fixture
def world():
    site = TapeSite(place="{path}", archive="", each_pool=True)
    world = TapeWorld(site)
    play(world, *HALF)
    yield world
    world.close()
    site.remove()


def play(world, *steps):
    for each in steps:
        getattr(Player(world), each[0])(*each[1:])
        world.check()


def record(world, number):
    return world.ledger.tx.tapes.get(str(world.tapes[number].path))


def test_its_copies_are_what_they_were_and_it_comes_back(world):
    before = [record(world, number).held for number in (0, 1)]
    assert record(world, 0).is_half_restored
    world.write("rewrite", 1)
    world.pass_time(5.0)
    play(world, ("do", "archive", 0))
    request = world.ledger.tx.requests.find(limit=1)[0]
    assert request.state.value == "warning"
    assert "T00001 is not copied: it is half-restored" in request.reason
    assert (record(world, 0).is_half_restored, record(world, 0).held) == (True, before[0])
    assert record(world, 1).held != before[1]
    play(world, ("do", "Restore", 0))
    assert world.tapes[0].read() == world.tapes[0].content


def test_what_its_host_writes_to_it_is_copied(world):
    world.write("rewrite", 0)
    world.pass_time(5.0)
    play(world, ("do", "archive", 0), ("do", "Erase", 0), ("do", "Restore", 0))
    assert world.ledger.tx.requests.find(limit=1)[0].state.value == "completed"
    assert world.tapes[0].read() == world.tapes[0].content
