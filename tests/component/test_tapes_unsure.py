"""A tape that was brought back unseen, and may be its host's by now: a rename makes it no surer."""

import pytest

from tests.harness.tape_programs import ERASED, Player
from tests.harness.tape_sites import TapeSite
from tests.harness.tape_worlds import TapeWorld

WRITTEN_BEFORE_THE_MARK = (
    *ERASED,
    ("external_restore", 0),
    ("host", "same_size", 0),
    ("mark_restored", 0),
)


@pytest.fixture
def world():
    site = TapeSite()
    world = TapeWorld(site)
    for each in WRITTEN_BEFORE_THE_MARK:
        getattr(Player(world), each[0])(*each[1:])
        world.check()
    yield world
    world.close()
    site.remove()


def refused(world, verb):
    request = Player(world).do(verb, 0)
    world.check()
    return request.state.value == "failed" and "was not looked at" in request.reason


@pytest.mark.parametrize("verb", ["Erase", "Delete"])
def test_a_move_does_not_make_it_sure(world, verb):
    assert refused(world, verb)
    world.write("move", 0)
    Player(world).scan()
    assert refused(world, verb)
    assert world.tapes[0].read() == world.tapes[0].content


def test_a_rename_of_ours_does_not_make_it_sure(world):
    path = world.tapes[0].path
    before = world.ledger.tx.tapes.get(str(path)).seen
    path.rename(path.with_name("aside"))
    path.with_name("aside").rename(path)
    seen = world.engine.vaults.look(world.ledger.tx.tapes.get(str(path)))
    world.ledger.tx.tapes.note_renamed(seen, before, world.clock.seconds())
    assert refused(world, "Erase")
