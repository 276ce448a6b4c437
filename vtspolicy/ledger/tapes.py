"""The catalogue of virtual tapes in the ledger."""

from collections.abc import Iterable, Mapping

from attrs import evolve, frozen

from vtspolicy import tapes as model
from vtspolicy.catalogue import Change
from vtspolicy.changes import ChangeBuilder
from vtspolicy.jobs import Job
from vtspolicy.ledger.copies import CopyRecords
from vtspolicy.ledger.errors import NoSuchRow
from vtspolicy.ledger.fingerprints import fingerprint_of, fingerprint_text
from vtspolicy.ledger.history import History
from vtspolicy.ledger.part import Part
from vtspolicy.ledger.statements import Row, Statements, Value
from vtspolicy.ledger.works import WorkRecords
from vtspolicy.tapes import (
    Brought,
    Copied,
    Copy,
    Difference,
    Emptied,
    Fingerprint,
    Outcome,
    Proof,
    Tape,
    TapeState,
    difference,
)

MOST = 1_000_000
"""Tapes in the longest list."""


@frozen(kw_only=True)
class TapeCount:
    """How many tapes are in one state."""

    state: TapeState
    count: int
    size: int  # bytes that they take
    freed: int  # bytes that they took before they were emptied


def tape_of(row: Row) -> Tape:
    """Return a tape from tape_columns."""
    return Tape(
        vault=row[0],
        pool=row[1],
        cartridge=row[2],
        path=row[3],
        size=row[4],
        written=row[5],
        migrated=row[6],
        handle=row[7],
        application=row[8],
        copied_size=row[9],
        copied_written=row[10],
        erased=row[11],
        restored=row[12],
        retention=row[13],
        locked=bool(row[14]),
        override=row[15],
        by_us=bool(row[16]),
        verified=row[17],
        media=row[18],
        rewritten=row[19],
        restoring=row[20],
        deleted=row[21],
        mounted=row[22],
        seen=fingerprint_of(row[23]),
        held=row[24],
        kept=fingerprint_of(row[25]),
        partial=fingerprint_of(row[26]),
        override_at=row[27],
        override_seen=fingerprint_of(row[28]),
        doubted=row[29],
        unseen=bool(row[30]),
        override_job=row[31],
        partial_sure=bool(row[32]),
    )


def _tape_row(tape: Tape) -> tuple[Value, ...]:
    """Return the columns of a tape, as save_tape sets them."""
    return (
        *(tape.vault, tape.pool, tape.cartridge, tape.path, tape.size, tape.written),
        *(tape.migrated, tape.handle, tape.application, tape.copied_size, tape.copied_written),
        *(tape.erased, tape.restored, tape.retention, tape.locked, tape.override, tape.by_us),
        *(tape.verified, tape.media, tape.rewritten, tape.restoring, tape.deleted, tape.mounted),
        *(fingerprint_text(tape.seen), tape.held, fingerprint_text(tape.kept)),
        *(fingerprint_text(tape.partial), tape.override_at, fingerprint_text(tape.override_seen)),
        *(tape.doubted, tape.unseen, tape.override_job, tape.partial_sure, tape.state.value),
    )


def _file_facts(tape: Tape) -> tuple[Value, ...]:
    """What a write by others changes, as `write_tape` sets it."""
    return (
        *(tape.size, tape.written, fingerprint_text(tape.seen), tape.rewritten, tape.restoring),
        *(fingerprint_text(tape.partial), tape.deleted, tape.doubted, tape.unseen),
    )


def _marks(tape: Tape) -> tuple[Value, ...]:
    """By what `write_tape` knows that no job has changed a record."""
    return (*_file_facts(tape), tape.migrated, tape.erased, tape.restored, tape.held)


class TapeRecords(Part):
    """Tapes, by the paths of their files."""

    def __init__(
        self,
        sql: Statements,
        change: ChangeBuilder,
        copies: CopyRecords,
        works: WorkRecords,
        history: History,
    ) -> None:
        super().__init__(sql, change)
        self._copies = copies
        self._works = works
        self._history = history

    def get(self, path: str) -> Tape | None:
        """Return what is known of the tape whose file is `path` (resolved), or None."""
        row = self._sql.one("tape", path)
        return tape_of(row) if row else None

    def find(
        self,
        *,
        vault: str | None = None,
        pool: str | None = None,
        handle: str | None = None,
        after: str = "",
        limit: int = MOST,
    ) -> list[Tape]:
        """Return tapes by path, those that fit every filter given, after the path `after`."""
        filters = [("vault = ?", vault), ("pool = ?", pool), ("handle = ?", handle)]
        rows = self._sql.filtered("tapes", after, filters, "ORDER BY path", limit)
        return [tape_of(row) for row in rows]

    def named(self, cartridge: str) -> list[Tape]:
        """Return the tapes of this name: more than one is a name that commands must not use."""
        return [tape_of(row) for row in self._sql.all("tapes_named", cartridge)]

    def locked(self) -> list[Tape]:
        """Return the tapes that a process, or a mount, has locked."""
        return [tape_of(row) for row in self._sql.all("tapes_locked")]

    def counts(self) -> list[TapeCount]:
        """Return how many tapes there are of each state, and how many bytes."""
        return [
            TapeCount(state=TapeState(state), count=count, size=size, freed=freed)
            for state, count, size, freed in self._sql.all("tape_counts")
        ]

    def lost(self) -> int:
        """Return of how many tapes the last content is in a copy that its application has lost."""
        return int(self._sql.need("lost_tapes")[0])

    def prove_copy(
        self, tape: Tape, copy: Copy, proof: Proof, at: float, *, digest: str | None = None
    ) -> Tape:
        """Note that a copy was found, or its data read back; it has the tape's content from now on.

        `tape` is as its file is now. Returns its record as it is then.
        """
        self._sql.do("prove_copy", proof.value, at, digest, copy.id)
        proved = evolve(copy, proof=proof, proved=at)
        known = model.with_file(self.get(tape.path) or tape, tape)
        after = model.held_by(known, proved)
        self.save(after)
        return after

    def save(self, tape: Tape) -> None:
        """Write all that is known of a tape."""
        self._sql.do("save_tape", *_tape_row(tape))
        self._change.tapes.append(tape.path)

    def apply_changes(
        self, changes: Iterable[Change], at: float, *, actor: str = "engine", silent: bool = False
    ) -> int:
        """Write what a scan saw that others had done to tapes; returns how much of it still held.

        A record that is not as the scan had read it is left alone: a job changed it since. With
        `silent` nothing is added to the history.
        """
        applied = 0
        added: list[tuple[Value, ...]] = []
        written: list[tuple[Value, ...]] = []
        for change in changes:
            before, after = change.before, change.after
            told = None if silent else change.told
            if told is None and before is None:
                self._change.tapes.append(after.path)
                added.append(
                    (
                        *(after.vault, after.pool, after.cartridge, after.path),
                        *(after.size, after.written, fingerprint_text(after.seen)),
                        after.state.value,
                    )
                )
            elif told is None and before is not None and before.path == after.path:
                facts = (*_file_facts(after), after.state.value)
                written.append((*facts, before.path, *_marks(before)))
                self._change.tapes.append(after.path)
            elif self._apply(change, at):
                applied += 1
                state = before.state.value if before is not None else None
                if told is not None:
                    self._history.note(
                        *(at, state, after.state.value, told, actor), subject=f"tape {after.name}"
                    )
        # Changes that are not in the history may be thousands: no query for each of them.
        for query, rows in (("add_tape", added), ("write_tape", written)):
            if rows:
                applied += self._sql.do_all(query, rows)
        return applied

    def _apply(self, change: Change, at: float) -> bool:
        """Write one change, if its record is still as the scan had read it."""
        before, after = change.before, change.after
        if self.get(after.path if before is None else before.path) != before:
            return False
        if before is not None and (before.path, before.vault) != (after.path, after.vault):
            self._follow_move(before, after, at)
        self.save(after)
        return True

    def _follow_move(self, before: Tape, after: Tape, at: float) -> None:
        """Let all that is known of a tape follow it to another pool, or name of its vault.

        The rename of a tape changes the file's change time, and nothing else: the copies that it
        was then are copies of it still. That of its vault in the configuration changes nothing.
        Mounts that wait for the tape follow it, or it would stay locked when they are answered.
        """
        if before.seen is not None and after.seen is not None:
            there = evolve(before.seen, vault=after.seen.vault)
            found, moved = difference(there, after.seen), before.path != after.path
            if found is Difference.NONE or (moved and found is Difference.TOUCHED):
                self._note_same(before.path, before.seen, after.seen, at)
        self._sql.do("move_copies", after.vault, after.pool, after.path, before.path)
        self._change.tapes.append(before.path)
        self._sql.do("move_tape", after.vault, after.pool, after.path, before.path)
        self._sql.do("move_open_mounts", after.path, before.path)

    def note_renamed(self, tape: Tape, before: Fingerprint, at: float) -> None:
        """Note that this program renamed a tape and gave it its name back; `before` it was so.

        That changed the file's change time, and nothing else: the copies that it was then are
        copies of it still.
        """
        if tape.seen is None or difference(before, tape.seen) is Difference.WRITTEN:
            return
        self._note_same(tape.path, before, tape.seen, at)
        known = model.with_file(self.get(tape.path) or tape, tape)
        if known.kept is not None and difference(known.kept, before) is Difference.NONE:
            known = evolve(known, kept=tape.seen)
        self.save(known)

    def _note_same(self, path: str, before: Fingerprint, after: Fingerprint, at: float) -> None:
        """Let the copies of a file count for it after a rename; none is surer than it was."""
        for copy in self._copies.of_tape(path):
            found, sure = copy.difference(before)
            if copy.lost is None and found is Difference.NONE:
                self._copies.note_restored(copy.id, after, at, sure=sure)

    def mark(
        self,
        job: Job,
        outcomes: Iterable[Outcome],
        at: float,
        *,
        readings: Mapping[str, str] | None = None,
    ) -> None:
        """Write into the catalogue what a job has done to its tapes; `readings` its output had."""
        for outcome in outcomes:
            record = self.get(outcome.tape.path)
            if record is None and isinstance(outcome, Emptied) and not outcome.tape.size:
                continue  # it may have been moved here: its record is elsewhere
            known = record or outcome.tape
            match outcome:
                case Copied():
                    after = self._copied(job, outcome, known, at, readings or {})
                case Brought():
                    if outcome.copy is not None:
                        self._copies.note_restored(
                            outcome.copy, outcome.file, at, sure=outcome.sure
                        )
                        copy = self._copies.get(outcome.copy)
                        known = known if copy is None else model.held_by(known, copy)
                    there = model.restored(known, outcome.file, at=at)
                    after = model.looked_at(there, outcome.tape, at=at)
                case Emptied():
                    there = model.with_file(known, outcome.tape)
                    copy = None if outcome.copy is None else self._copies.get(outcome.copy)
                    if copy is not None:  # somebody may have marked another one meanwhile
                        there = model.held_by(there, copy)
                    after = model.emptied(there, at=at, file=outcome.file, proven=outcome.proven)
            self.save(after)
            cause = f"job {job.id}: {job.work.then}"
            is_ours = known.has_override_for(job.id)
            if is_ours and isinstance(outcome, Emptied) and not outcome.proven:
                cause += f", by an operator's word: {known.override}"
            self._history.note(
                *(at, known.state.value, after.state.value, cause, "engine"),
                subject=f"tape {after.name}",
            )

    def _copied(
        self, job: Job, outcome: Copied, known: Tape, at: float, readings: Mapping[str, str]
    ) -> Tape:
        run = {"req": str(job.request), "job": str(job.id), "attempt": str(job.attempt)}
        values = {**readings, **run, "handle": job.handle, **job.values, **outcome.copy.values}
        copy = self._copies.add(
            evolve(outcome.copy, job=job.id, work=self._works.number(job.work), values=values)
        )
        there = model.with_file(known, outcome.tape)
        held = self.held(known)
        return model.copied(there, copy, at=at, known=outcome.known, held=held)

    def held(self, tape: Tape) -> Copy | None:
        """Return the copy that has a tape's last known content, if there is one."""
        return None if tape.held is None else self._copies.get(tape.held)

    def unsee(self) -> None:
        """Let no record be believed before its tape is looked at again."""
        self._sql.do("unsee_tapes")

    def begin_restore(self, tapes: Iterable[Tape], at: float) -> None:
        """Note, before any of it is overwritten, that tapes are being restored in place."""
        for each in tapes:
            known = self.get(each.path) or each
            self.save(evolve(known, restoring=known.restoring or at, partial=None))

    def keep_partial(self, left: Iterable[Tape], *, sure: bool = True) -> None:
        """Note what a restore that failed has left, so that a later write is distinguished from it.

        Not `sure` is what was only seen some time after the restore's end.
        """
        for each in left:
            known = self.get(each.path)
            if known is not None and known.restoring is not None:
                there = model.with_file(known, each)
                restoring = known.restoring if each.size else None  # nothing was left: it is empty
                left_there = evolve(there, partial=each.seen, partial_sure=sure)
                self.save(evolve(left_there, restoring=restoring))

    def end_restore(self, tapes: Iterable[Tape], at: float) -> None:
        """Note that a restore ended well, and that others may have written to its tapes since.

        What is not as it was copied counts as written: it is neither emptied nor overwritten.
        """
        for each in tapes:
            known = self.get(each.path) or each
            there = evolve(known, restoring=None, partial=None)
            after = model.looked_at(there, each, at=at)
            self.save(after)
            cause = "restored before the ledger was restored"
            subject = f"tape {after.name}"
            self._history.note(
                at, known.state.value, after.state.value, cause, "engine", subject=subject
            )

    def note_unproven(self, tape: Tape, at: float) -> None:
        """Note that a tape was emptied by an operator's word, and no copy has what was on it."""
        known = self.get(tape.path)
        if known is not None and tape.size and known.rewritten is None:
            self.save(evolve(known, rewritten=at))

    def set_mounted(self, tape: Tape, at: float) -> None:
        """Note that a host has asked for a tape; of one that no scan has seen it is not noted.

        It may have been moved: a record of its own would keep the one that it has from following.
        """
        self._sql.do("set_mounted", at, tape.path)
        self._change.tapes.append(tape.path)

    def forget_restore(self, tape: Tape) -> None:
        """Note that a restore which failed has not begun to write to a tape."""
        known = self.get(tape.path)
        if known is not None and known.restoring is not None:
            self.save(evolve(known, restoring=None, partial=None))

    def leave_to_host(self, tape: Tape, at: float) -> None:
        """Note that a host has written to a tape while a restore of it that failed was under way.

        What is on it counts as written: no restore may overwrite it. `tape` is as its file is.
        """
        known = self.get(tape.path)
        if known is None or known.restoring is None:
            return
        after = model.looked_at(evolve(known, restoring=None, partial=None), tape, at=at)
        self.save(after)
        cause = "a host has written to it while it was restored"
        subject = f"tape {after.name}"
        self._history.note(
            at, known.state.value, after.state.value, cause, "engine", subject=subject
        )

    def set_locked(self, path: str, locked: bool, actor: str, at: float, reason: str = "") -> Tape:
        """Note that a process uses a tape, or does not any more."""
        before = self.need(path)
        if before.locked != locked:
            self._sql.do("set_locked", locked, path)
            self._change.tapes.append(path)
            told = ("free", "locked")
            self._history.note(
                at,
                told[before.locked],
                told[locked],
                reason,
                actor,
                subject=f"tape {before.name}",
            )
        return evolve(before, locked=locked)

    def save_files(self, tapes: Iterable[Tape], at: float) -> int:
        """Write what the files of tapes say, as `apply_changes` does, but not into the history."""
        changed = 0
        for each in tapes:
            known = self.get(each.path)
            if known is None:
                self.save(each)
            elif model.is_same_file(known, each) and not known.unseen and known.seen == each.seen:
                continue
            else:
                self.save(model.looked_at(known, each, at=at))
            changed += 1
        return changed

    def need(self, path: str) -> Tape:
        """Return a tape. Raises NoSuchRow."""
        tape = self.get(path)
        if tape is None:
            raise NoSuchRow("tape", path)
        return tape
