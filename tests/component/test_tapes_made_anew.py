"""A tape that was deleted, and whose host has begun a new file of its name."""

import pytest

from tests.harness.tape_programs import ARCHIVED, Player
from tests.harness.tape_sites import TapeSite
from tests.harness.tape_worlds import TapeWorld
from vtspolicy.tapes import TapeState

DELETED = (*ARCHIVED, ("do", "Delete", 0))


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


def record(world):
    return world.ledger.tx.tapes.get(str(world.tapes[0].path))


def last(world):
    return world.ledger.tx.requests.find(limit=1)[0]


@pytest.mark.parametrize("scanned", [True, False])
def test_while_it_is_empty_a_restore_brings_the_last_content_back(world, scanned):
    play(world, *DELETED)
    tape = world.tapes[0]
    tape.path.touch()
    if scanned:
        play(world, ("scan",))
        assert record(world).state is TapeState.SCRATCH
    play(world, ("do", "Restore", 0))
    assert (last(world).state.value, tape.read()) == ("completed", tape.content)
    for verb in ("archive", "Erase", "Restore"):
        play(world, ("do", verb, 0))
        assert last(world).state.value == "completed"


@pytest.mark.parametrize("kind", ["ledger", "thread"])
def test_that_holds_when_the_server_dies_in_the_delete(world, kind):
    for at in range(1, 40):
        play(world, *ARCHIVED, ("dies", kind, at), ("do", "Delete", 0))
        tape = world.tapes[0]
        if not world.is_dead:
            break
        if tape.read() is None:
            tape.path.touch()
        world.start()
        play(world, ("work",), ("do", "Restore", 0))
        told = f"{kind} {at}: {last(world).reason}"
        assert (last(world).state.value, tape.read()) == ("completed", tape.content), told
        world.write("rewrite", 0)
        world.pass_time(5.0)
    else:
        raise AssertionError("there is no end of moments")


def test_a_mount_of_it_is_for_writing_and_brings_nothing_back(world):
    play(world, *DELETED)
    world.tapes[0].path.touch()
    before = last(world).id
    play(world, ("mount", 0), ("work",))
    assert (last(world).id, world.tapes[0].read()) == (before, b"")


def test_once_it_was_written_no_older_content_is_brought_back(world):
    play(world, *DELETED, ("host", "rewrite", 0), ("scan",), ("host", "empty", 0))
    play(world, ("do", "Restore", 0))
    assert last(world).state.value == "failed"
    assert "older content" in last(world).reason
    assert world.tapes[0].read() == b""


def test_what_an_operator_let_go_of_is_not_brought_back_as_the_last_content(world):
    play(world, ("override", "Delete", 0), ("work",))
    assert world.tapes[0].read() is None
    world.tapes[0].path.touch()
    play(world, ("do", "Restore", 0))
    assert last(world).state.value == "failed"


def test_a_copy_of_it_by_the_applications_own_schedule_is_recalled(world):
    play(world, *DELETED)
    tape = world.tapes[0]
    tape.path.touch()
    play(world, ("scan",))
    world.external_copy(tape, tape.content)
    handle, _, size = world.external[tape.name]
    world.mark(tape, "migrated", handle=handle, size=size)
    assert record(world).state is TapeState.ERASED
