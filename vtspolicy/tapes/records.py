"""What becomes of the record of a tape: by jobs, by restores that fail, by operators' words."""

from attrs import evolve

from vtspolicy.tapes.copies import Copy
from vtspolicy.tapes.fingerprint import Difference
from vtspolicy.tapes.outcomes import Brought, Emptied
from vtspolicy.tapes.tape import (
    Tape,
    TapeState,
    copied,
    emptied,
    held_by,
    looked_at,
    restored,
    with_file,
    without_override,
)

# -- by jobs


def brought_back(known: Tape, outcome: Brought, at: float) -> Tape:
    """Return a tape that a restore has brought back; its host may have written to it since."""
    return looked_at(restored(known, outcome.file, at=at), outcome.tape, at=at)


def emptied_by(known: Tape, outcome: Emptied, copy: Copy | None, at: float) -> Tape:
    """Return a tape that a job has emptied, after the copy that was proven then."""
    there = with_file(known, outcome.tape)
    if copy is not None:  # somebody may have marked another one meanwhile
        there = held_by(there, copy)
    return emptied(there, at=at, file=outcome.file, proven=outcome.proven)


# -- by restores that may fail


def being_restored(tape: Tape, at: float) -> Tape:
    """Return a tape before any of it is overwritten by a restore in its place."""
    return evolve(tape, restoring=tape.restoring or at, partial=None)


def left_by_restore(known: Tape, file: Tape, *, sure: bool) -> Tape:
    """Return a tape as a restore that failed has left it; nothing of it is left where it is empty.

    Not `sure` is what was only seen some time after the restore's end.
    """
    there = with_file(known, file)
    restoring = known.restoring if file.size else None
    return evolve(there, partial=file.seen, partial_sure=sure, restoring=restoring)


def restore_over(known: Tape, file: Tape, at: float) -> Tape:
    """Return a tape whose restore is over; what is not as it was copied counts as written."""
    return looked_at(evolve(known, restoring=None, partial=None), file, at=at)


def restore_not_begun(known: Tape) -> Tape:
    """Return a tape to which a restore that failed has not begun to write."""
    return evolve(known, restoring=None, partial=None)


# -- by the words of operators


def is_brought_back_by(tape: Tape, held: Copy | None) -> bool:
    """Whether a copy of what was last on an emptied tape is known, and not doubted or lost."""
    doubted = tape.doubted is not None or tape.state is not TapeState.ERASED
    return held is not None and held.lost is None and not doubted


def copied_by_hand(
    known: Tape, file: Tape, copy: Copy, *, held: Copy | None, at: float, was_empty: bool
) -> Tape:
    """Return a tape of which an application has made a copy by its own schedule.

    If it was empty already when that was said, the copy after which it was emptied, `held`, stays
    the one that is brought back.
    """
    there = with_file(known, file)
    if not was_empty:
        return copied(there, copy, at=at, held=held)
    if is_brought_back_by(known, held):
        return there
    after = copied(there, copy, at=at, held=held)
    return evolve(after, copied_size=copy.size, copied_written=None, erased=at)


def back_by_hand(known: Tape, file: Tape, copy: Copy, at: float) -> Tape:
    """Return a tape that an application has restored without a job."""
    there = held_by(with_file(known, file), copy)
    return there if file.seen is None else restored(there, file.seen, at=at)


def is_another_file(file: Tape, copy: Copy) -> bool:
    """Whether the file of a tape that is back is not one that the copy is known to have made."""
    return file.seen is not None and copy.difference(file.seen)[0] is Difference.WRITTEN


def overridden(known: Tape, file: Tape, reason: str | None, at: float, *, job: int | None) -> Tape:
    """Return a tape that an operator allows to be emptied unproven; with None no more.

    It holds for the tape as its file is now, for the order of `job` if given, and for a day.
    """
    if reason is None:
        return without_override(known)
    return evolve(
        looked_at(known, file, at=at),
        override=reason,
        override_at=at,
        override_seen=file.seen,
        override_job=job,
    )
