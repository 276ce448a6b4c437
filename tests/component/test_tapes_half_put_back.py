"""A ledger whose backup was made during a restore in place: no tape of it is stuck for good."""

import pytest

from tests.harness.tape_programs import ERASED, Player
from tests.harness.tape_sites import TapeSite
from tests.harness.tape_worlds import TapeWorld


@pytest.fixture
def world():
    site = TapeSite(place="{path}")
    world = TapeWorld(site)
    play(world, *ERASED, ("send", "Restore", 0), ("backup",))
    yield world
    world.close()
    site.remove()


def play(world, *steps):
    for each in steps:
        getattr(Player(world), each[0])(*each[1:])
        world.check()


def put_back(world, spool):
    if not spool:
        world.machine.lives.clear()
    play(world, ("put_back",), ("work",))


def record(world):
    return world.ledger.tx.tapes.get(str(world.tapes[0].path))


@pytest.mark.parametrize("spool", [True, False])
@pytest.mark.parametrize("how", ["fails", "halfway", "lost"])
def test_a_write_of_its_host_ends_that_it_is_half_restored(world, how, spool):
    play(world, ("finish", how, "end"), ("work",), ("pass", 5.0), ("host", "rewrite", 0))
    put_back(world, spool)
    assert record(world).is_left_unknown  # the write may be of before the end of the restore
    play(world, ("host", "rewrite", 0), ("pass", 5.0))
    for verb in ("archive", "Erase", "Restore"):
        play(world, ("do", verb, 0))
        request = world.ledger.tx.requests.find(limit=1)[0]
        assert request.state.value == "completed", f"{verb}: {request.reason}"
    assert world.tapes[0].read() == world.tapes[0].content


def test_half_of_it_is_not_taken_for_a_hosts_data(world):
    play(world, ("finish", "halfway", "end"), ("work",))
    put_back(world, spool=True)
    request = Player(world).do("archive", 0)
    assert (request.state.value, "half-restored" in request.reason) == ("failed", True)
