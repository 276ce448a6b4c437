"""What operators say of tapes: copies and restores by the applications themselves, overrides."""

from vtspolicy.changes import ChangeBuilder
from vtspolicy.jobs import CHANGING, Job
from vtspolicy.ledger.copies import CopyRecords
from vtspolicy.ledger.history import History, told_why
from vtspolicy.ledger.part import Part
from vtspolicy.ledger.statements import Statements
from vtspolicy.ledger.tapes import TapeRecords
from vtspolicy.tapes import Copy, Tape
from vtspolicy.tapes.records import back_by_hand, copied_by_hand, is_another_file, overridden


class TapeOrders(Part):
    """What operators say of tapes."""

    def __init__(
        self,
        sql: Statements,
        change: ChangeBuilder,
        tapes: TapeRecords,
        copies: CopyRecords,
        history: History,
    ) -> None:
        super().__init__(sql, change)
        self._tapes = tapes
        self._copies = copies
        self._history = history

    def mark_copied(
        self,
        tape: Tape,
        copy: Copy,
        *,
        actor: str,
        at: float,
        emptied: bool = False,
        reason: str | None = None,
    ) -> Tape:
        """Note a copy that the application made by its own schedule; `tape` is as its file is.

        With `emptied` the tape was empty already when that was said: the copy after which it was
        emptied stays the one that is brought back.
        """
        known = self._tapes.get(tape.path) or tape
        held = self._tapes.held(known)
        added = self._copies.add(copy)
        after = copied_by_hand(known, tape, added, held=held, at=at, was_empty=emptied)
        self._tapes.save(after)
        cause = told_why(f"migrated by {copy.application} itself, handle {copy.handle}", reason)
        subject = f"tape {after.name}"
        self._history.note(at, known.state.value, after.state.value, cause, actor, subject=subject)
        return after

    def mark_back(
        self, tape: Tape, copy: Copy, *, actor: str, at: float, reason: str | None = None
    ) -> Tape:
        """Note that the application restored a tape without a job; `tape` is as its file is.

        Its end was not seen: only reading back the copy's data will prove the file.
        """
        known = self._tapes.get(tape.path) or tape
        if tape.seen is not None and is_another_file(tape, copy):
            self._copies.note_restored(copy.id, tape.seen, at, sure=False)
        after = back_by_hand(known, tape, copy, at)
        self._tapes.save(after)
        cause = told_why(f"restored by {copy.application} itself", reason)
        subject = f"tape {after.name}"
        self._history.note(at, known.state.value, after.state.value, cause, actor, subject=subject)
        return after

    def set_override(
        self,
        tape: Tape,
        reason: str | None,
        actor: str,
        at: float,
        *,
        job: int | None = None,
        cause: str = "",
    ) -> Tape:
        """Let an operator allow (or, with None, forbid again) that one tape is emptied unproven.

        It holds for the tape as its file is now, for the order whose `job` is given, and for a day.
        `cause` is why it is forbidden again, for the history.
        """
        before = self._tapes.need(tape.path)
        after = overridden(before, tape, reason, at, job=job)
        self._tapes.save(after)
        told = ("guarded", "overridden")
        self._history.note(
            at,
            told[before.override is not None],
            told[reason is not None],
            reason or cause,
            actor,
            subject=f"tape {before.name}",
        )
        return after

    def end_override(self, job: Job, at: float) -> None:
        """End what an operator allowed for the order of a job: that has ended, used or not."""
        if job.work.then not in CHANGING or job.path is None:
            return
        tape = self._tapes.get(job.path)
        if tape is not None and tape.has_override_for(job.id):
            self.set_override(tape, None, "engine", at)
