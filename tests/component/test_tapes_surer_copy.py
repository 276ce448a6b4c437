"""A copy that is only recorded does not take the place of a sure one of the same file."""

import pytest

from tests.harness.tape_programs import ARCHIVED, Player
from tests.harness.tape_sites import TapeSite
from tests.harness.tape_worlds import TapeWorld


@pytest.fixture
def world():
    site = TapeSite()
    world = TapeWorld(site)
    yield world
    world.close()
    site.remove()


def play(world, *steps):
    for each in steps:
        getattr(Player(world), each[0])(*each[1:])
        world.check()


def comes_back(world):
    """Whether a tape that its host has emptied comes back as it was before."""
    tape = world.tapes[0]
    content = tape.content
    tape.path.write_bytes(b"")
    play(world, ("scan",), ("do", "Restore", 0))
    assert world.ledger.tx.requests.find(limit=1)[0].state.value == "completed"
    return tape.read() == content


def marked_late(world):
    """The application's own copy is of before the last write, and is marked after our archive."""
    play(world, ("external", 0), ("host", "rewrite", 0), ("pass", 5.0), *ARCHIVED)
    handle, _, _ = world.external[world.tapes[0].name]
    world.mark(world.tapes[0], "migrated", handle=handle)
    return handle


def test_a_mark_without_the_time_of_its_copy(world):
    handle = marked_late(world)
    copies = world.ledger.tx.copies.of_tape(str(world.tapes[0].path))
    assert copies[0].handle == handle
    assert copies[0].doubt is not None
    assert comes_back(world)


def test_a_copy_of_a_tape_that_is_open_for_writing(world):
    play(world, *ARCHIVED, ("host", "hold", 0), ("send", "archive", 0))
    play(world, ("finish", "well", "torn"), ("host", "close", 0))
    held = world.ledger.tx.tapes.get(str(world.tapes[0].path)).held
    copies = world.ledger.tx.copies.of_tape(str(world.tapes[0].path))
    assert [each.doubt is None for each in copies] == [False, True]
    assert held == copies[1].id
    assert comes_back(world)


def test_it_does_once_the_sure_one_is_lost(world):
    play(world, *ARCHIVED, ("damage", 0, "forgotten"), ("do", "Erase", 0))
    play(world, ("host", "hold", 0), ("do", "archive", 0), ("host", "close", 0))
    copies = world.ledger.tx.copies.of_tape(str(world.tapes[0].path))
    assert copies[1].lost is not None
    assert world.ledger.tx.tapes.get(str(world.tapes[0].path)).held == copies[0].id
    assert comes_back(world)
