"""File systems with times of whole seconds: what is written in the same second is not missed."""

from functools import partial

import pytest

from tests.harness.tape_programs import ARCHIVED, BACK, ERASED
from vtspolicy.tapes import Act, Ask, Copy, Facts, Fingerprint, Proof, Tape, VaultFeatures, judge

SECOND = 1_000_000_000


@pytest.fixture
def worlds(worlds):
    return partial(worlds, tick=SECOND)


@pytest.mark.parametrize("place", ["{target}", "{staging}", "{path}"])
def test_what_is_written_in_the_second_of_the_restores_end_is_not_emptied(worlds, place):
    world = worlds((*BACK, ("host", "same_size", 0), ("do", "Erase", 0)), place=place)
    assert world.tapes[0].read() == world.tapes[0].content


@pytest.mark.parametrize("place", ["{target}", "{staging}"])
def test_what_came_back_and_is_as_it_was_is_emptied_at_once(worlds, place):
    world = worlds((*BACK, ("do", "Erase", 0)), place=place)
    assert world.tapes[0].read() == b""


def test_what_is_written_in_the_second_of_a_marks_copy_is_not_emptied(worlds):
    steps = [
        *(("pass", 0.3), ("external", 0), ("host", "same_size", 0), ("pass", 2.0)),
        *(("mark", 0, True, True), ("do", "Erase", 0)),
    ]
    world = worlds(steps)
    (copy,) = world.ledger.tx.copies.of_tape(str(world.tapes[0].path))
    assert "same time" in copy.doubt
    assert world.tapes[0].read() == world.tapes[0].content


@pytest.mark.parametrize(("before", "need"), [(0.2, Proof.DATA), (3.0, Proof.FOUND)])
def test_a_copy_of_version_0_1_counts_if_the_file_was_left_alone_before_it(before, need):
    seen = Fingerprint(
        vault="V", size=4, mtime_ns=100 * SECOND, inode=1, ctime_ns=100 * SECOND, device=1
    )
    tape = Tape(vault="V", pool="P", cartridge="T", path="/V/P/T", size=4, written=100.0, seen=seen)
    copy = Copy(
        id=1,
        vault="V",
        pool="P",
        cartridge="T",
        path="/V/P/T",
        source="/V/P/T",
        application="DSK",
        handle="H",
        began=100.0 + before,
        after=Fingerprint(vault="V", size=4, mtime_ns=100 * SECOND),
    )
    features = VaultFeatures(tick_ns=SECOND)
    ruling = judge(Act.ERASE, Facts(tape=tape, copies=(copy,), features=features, now=200.0))
    assert isinstance(ruling, Ask)
    assert ruling.need is need


def test_a_deleted_tape_comes_back_by_its_name_though_it_was_moved_before(worlds):
    moved = (("host", "move", 0), *ARCHIVED, ("do", "Delete", 0), ("do", "Restore", 0))
    world = worlds((*ARCHIVED, *moved))
    assert world.tapes[0].read() == world.tapes[0].content


def test_an_erased_tape_comes_back(worlds):
    world = worlds((*ERASED, ("do", "Restore", 0)))
    assert world.tapes[0].read() == world.tapes[0].content
