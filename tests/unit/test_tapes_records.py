"""What becomes of the record of a tape, without a ledger."""

import pytest
from attrs import evolve

from vtspolicy.tapes import Brought, Copy, Emptied, Fingerprint, Tape, TapeState
from vtspolicy.tapes.records import (
    back_by_hand,
    being_restored,
    brought_back,
    copied_by_hand,
    emptied_by,
    is_another_file,
    is_brought_back_by,
    left_by_restore,
    overridden,
    restore_not_begun,
    restore_over,
)


def file(size=7, mtime=1):
    return Fingerprint(vault="V", size=size, mtime_ns=mtime * 10**9)


def tape(size=7, mtime=1, **more):
    given = {"vault": "V", "pool": "P", "cartridge": "A", "path": "/V/P/A"}
    seen = file(size, mtime)
    return Tape(**{**given, "size": size, "written": seen.written, "seen": seen, **more})


def copy(number=1, size=7, mtime=1, **more):
    given = {"vault": "V", "pool": "P", "cartridge": "A", "path": "/V/P/A", "source": "/V/P/A"}
    seen = file(size, mtime)
    made = {"application": "DSK", "handle": f"vts-{number}", "size": size, "after": seen}
    return Copy(**{**given, **made, "id": number, "before": seen, **more})


EMPTY = tape(size=0, mtime=5)
MIGRATED = copied_by_hand(tape(), tape(), copy(), held=None, at=2.0, was_empty=False)
ERASED = emptied_by(MIGRATED, Emptied(tape=tape(), file=EMPTY.seen, copy=1), copy(), 6.0)


def test_a_tape_that_was_copied_and_then_emptied_knows_its_copy():
    assert (MIGRATED.state, MIGRATED.handle, MIGRATED.held) == (TapeState.MIGRATED, "vts-1", 1)
    assert (ERASED.state, ERASED.size, ERASED.erased, ERASED.held) == (TapeState.ERASED, 0, 6.0, 1)


def test_the_copy_that_was_proven_counts_though_another_was_marked_meanwhile():
    marked = copied_by_hand(MIGRATED, tape(), copy(2), held=copy(), at=3.0, was_empty=False)
    assert marked.held == 2
    after = emptied_by(marked, Emptied(tape=tape(), file=EMPTY.seen, copy=1), copy(), 6.0)
    assert after.held == 1
    unproven = Emptied(tape=tape(), file=EMPTY.seen, proven=False)
    assert emptied_by(tape(), unproven, None, 6.0).rewritten == 6.0


def test_a_tape_that_is_back_has_what_its_host_has_written_since():
    back = Brought(tape=tape(mtime=8), file=file(mtime=8), copy=1)
    assert brought_back(ERASED, back, 9.0).state is TapeState.MIGRATED
    later = Brought(tape=tape(size=9, mtime=12), file=file(mtime=8), copy=1)
    after = brought_back(ERASED, later, 9.0)
    assert (after.state, after.size) == (TapeState.WRITTEN, 9)


def test_a_restore_keeps_the_time_of_its_first_attempt():
    first = being_restored(ERASED, 7.0)
    assert (first.restoring, first.partial) == (7.0, None)
    left = left_by_restore(first, tape(size=3, mtime=7), sure=True)
    assert (left.restoring, left.partial, left.partial_sure) == (7.0, file(3, 7), True)
    again = being_restored(left, 8.0)
    assert (again.restoring, again.partial) == (7.0, None)


def test_a_restore_that_has_left_nothing_is_over():
    left = left_by_restore(being_restored(ERASED, 7.0), EMPTY, sure=False)
    assert (left.restoring, left.size) == (None, 0)


@pytest.mark.parametrize("end", [restore_not_begun, lambda known: restore_over(known, EMPTY, 9.0)])
def test_a_restore_that_is_over_leaves_no_mark(end):
    left = left_by_restore(being_restored(ERASED, 7.0), tape(size=3, mtime=7), sure=True)
    after = end(left)
    assert (after.restoring, after.partial) == (None, None)


def test_a_copy_by_hand_of_an_empty_tape_does_not_replace_the_one_that_brings_it_back():
    again = copied_by_hand(ERASED, EMPTY, copy(2), held=copy(), at=9.0, was_empty=True)
    assert (again.held, again.handle, again.erased) == (1, "vts-1", 6.0)
    lost = copy(lost=8.0)
    after = copied_by_hand(ERASED, EMPTY, copy(2), held=lost, at=9.0, was_empty=True)
    assert (after.held, after.handle, after.erased, after.copied_size) == (2, "vts-2", 9.0, 7)


def test_only_a_copy_that_is_there_and_not_doubted_brings_a_tape_back():
    assert is_brought_back_by(ERASED, copy())
    assert not is_brought_back_by(ERASED, None)
    assert not is_brought_back_by(ERASED, copy(lost=8.0))
    assert not is_brought_back_by(evolve(ERASED, doubted=7.0), copy())
    assert not is_brought_back_by(MIGRATED, copy())


def test_a_tape_that_is_back_by_hand_has_the_copy_and_its_own_file():
    there = tape(mtime=9)
    after = back_by_hand(ERASED, there, copy(), 10.0)
    assert (after.state, after.seen, after.restored) == (TapeState.MIGRATED, there.seen, 10.0)
    assert is_another_file(there, copy())
    assert not is_another_file(tape(), copy())
    gone = evolve(there, seen=None, size=None, written=None)
    assert not is_another_file(gone, copy())
    assert back_by_hand(ERASED, gone, copy(), 10.0).restored is None


def test_an_override_is_for_the_file_as_it_is_now_and_one_order():
    allowed = overridden(MIGRATED, tape(mtime=4), "scratch", 5.0, job=23)
    assert (allowed.override, allowed.override_at, allowed.override_job) == ("scratch", 5.0, 23)
    assert allowed.override_seen == file(mtime=4)
    ended = overridden(allowed, tape(mtime=4), None, 6.0, job=None)
    assert (ended.override, ended.override_at, ended.override_seen) == (None, None, None)
    assert ended.override_job is None
