"""Which other copies are as good as one that was lost: those that are known to hold the same."""

from functools import partial

import pytest
from attrs import evolve

from tests.harness.tape_programs import ARCHIVED, BACK, ERASED, Player
from vtspolicy.tapes import Copy, Fingerprint, Restored

FILE = Fingerprint(vault="VAULT01", size=9, mtime_ns=10, inode=1, ctime_ns=11)
BACK_AGAIN = evolve(FILE, inode=2, ctime_ns=20)
TOUCHED = evolve(FILE, ctime_ns=30)
OLDER = Copy(
    id=1,
    vault="VAULT01",
    pool="A",
    cartridge="T00001",
    path="/v/A/T00001",
    source="/v/A/T00001",
    application="DSK",
    handle="H1",
    after=FILE,
)
NEWER = evolve(OLDER, id=2, handle="H2")


def brought_back(copy, *, sure=True):
    return evolve(copy, restored=(Restored(fingerprint=BACK_AGAIN, at=1.0, sure=sure),))


@pytest.mark.parametrize(
    ("older", "newer", "same"),
    [
        (OLDER, NEWER, True),
        (brought_back(OLDER), evolve(NEWER, after=BACK_AGAIN), True),
        (brought_back(OLDER, sure=False), evolve(NEWER, after=BACK_AGAIN), False),
        (OLDER, evolve(NEWER, after=TOUCHED), False),
        (evolve(OLDER, digest="ab"), evolve(NEWER, after=TOUCHED, digest="ab"), True),
        (evolve(OLDER, digest="ab"), evolve(NEWER, digest="cd"), False),
        (evolve(OLDER, doubt="open for writing"), NEWER, False),
        (OLDER, evolve(NEWER, doubt="open for writing"), False),
        (evolve(OLDER, after=None), evolve(NEWER, after=None), False),
    ],
)
def test_what_is_known_to_hold_the_same(older, newer, same):
    assert older.has_content_of(newer) is same
    assert newer.has_content_of(older) is same


@pytest.fixture(params=["found", "data"])
def worlds(worlds, request):
    return partial(worlds, proof=request.param)


def restored_after_the_newest_copy_is_lost(world):
    tape, player = world.tapes[0], Player(world)
    newest = world.ledger.tx.copies.of_tape(str(tape.path))[0]
    world.application.copies[newest.handle].is_known = False
    assert player.do("Restore", 0).state.value == "failed"
    return player.do("Restore", 0)


def test_the_copy_from_which_the_copied_file_was_brought_back_is_as_good(worlds):
    world = worlds((*BACK, ("do", "archive", 0), ("do", "Erase", 0)))
    assert restored_after_the_newest_copy_is_lost(world).state.value == "completed"
    assert world.tapes[0].read() == world.tapes[0].content


def test_a_copy_that_was_made_while_the_tape_was_open_is_not(worlds):
    open_while_copied = (("host", "hold", 0), *ARCHIVED, ("host", "close", 0))
    world = worlds((*open_while_copied, *ERASED))
    assert world.ledger.tx.copies.of_tape(str(world.tapes[0].path))[1].doubt is not None
    request = restored_after_the_newest_copy_is_lost(world)
    assert request.state.value == "failed"
    assert "does not have its copy" in request.reason
