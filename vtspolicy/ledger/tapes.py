"""The catalogue of virtual tapes in the ledger."""

import json
from collections.abc import Iterable, Mapping

from attrs import evolve, frozen

from vtspolicy import tapes as model
from vtspolicy.catalogue import Change
from vtspolicy.jobs import Job
from vtspolicy.ledger.desk import Row, Value, to_json
from vtspolicy.ledger.errors import NoSuchRow
from vtspolicy.ledger.reading import ReadingDesk
from vtspolicy.rules.work import Work
from vtspolicy.tapes import Tape, TapeState

MOST = 1_000_000
"""Tapes in the longest list."""


@frozen(kw_only=True)
class Copy:
    """How the newest copy of a tape was made: what it takes to ask for it again."""

    work: Work  # with the query that found it
    values: Mapping[str, str]  # for the places of the work, as they were then


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
        override_size=row[16],
        override_written=row[17],
        by_us=bool(row[18]),
        verified=row[19],
        media=row[20],
        rewritten=row[21],
        restoring=row[22],
        deleted=row[23],
        mounted=row[24],
    )


def _file_facts(tape: Tape) -> tuple[Value, ...]:
    """What a write by others changes, as `write_tape` sets it."""
    return (tape.size, tape.written, tape.rewritten, tape.deleted)


def _marks(tape: Tape) -> tuple[Value, ...]:
    """By what `write_tape` knows that no job of ours has changed a record."""
    return (*_file_facts(tape), tape.migrated, tape.erased, tape.restored, tape.restoring)


class TapeDesk(ReadingDesk):
    """Verbs about tapes."""

    def tape(self, path: str) -> Tape | None:
        """Return what is known of the tape whose file is `path` (resolved), or None."""
        row = self._one("tape", path)
        return tape_of(row) if row else None

    def tapes(
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
        rows = self._filtered("tapes", after, filters, "ORDER BY path", limit)
        return [tape_of(row) for row in rows]

    def tapes_named(self, cartridge: str) -> list[Tape]:
        """Return the tapes of this name: more than one is a name that commands must not use."""
        return [tape_of(row) for row in self._all("tapes_named", cartridge)]

    def tapes_locked(self) -> list[Tape]:
        """Return the tapes that a process, or a mount, has locked."""
        return [tape_of(row) for row in self._all("tapes_locked")]

    def tape_counts(self) -> list[TapeCount]:
        """Return how many tapes there are of each state, and how many bytes."""
        return [
            TapeCount(state=TapeState(state), count=count, size=size, freed=freed)
            for state, count, size, freed in self._all("tape_counts")
        ]

    def copy_of(self, path: str) -> Copy | None:
        """Return how the newest copy of a tape was made, if this program made it."""
        row = self._one("copy", path)
        if row is None or row[0] is None:
            return None
        return Copy(work=self._work(row[0]), values=json.loads(row[1] or "{}"))

    def save_tape(self, tape: Tape) -> None:
        """Write all that is known of a tape."""
        self._do(
            "save_tape",
            *(tape.vault, tape.pool, tape.cartridge, tape.path, tape.size, tape.written),
            *(tape.migrated, tape.handle, tape.application, tape.copied_size),
            *(tape.copied_written, tape.erased, tape.restored, tape.retention, tape.locked),
            *(tape.override, tape.override_size, tape.override_written, tape.by_us, tape.verified),
            *(tape.media, tape.rewritten, tape.restoring, tape.deleted, tape.mounted),
        )

    def save_tapes(self, tapes: Iterable[Tape]) -> None:
        """Write all that is known of several tapes."""
        for tape in tapes:
            self.save_tape(tape)

    def apply_changes(
        self, changes: Iterable[Change], at: float, *, actor: str = "engine", silent: bool = False
    ) -> int:
        """Write what a scan saw that others had done to tapes; returns how much of it still held.

        A record that is not as the scan had read it is left alone: a job of ours changed it since.
        With `silent` the history is told nothing.
        """
        applied = 0
        added: list[tuple[Value, ...]] = []
        written: list[tuple[Value, ...]] = []
        for change in changes:
            before, after = change.before, change.after
            told = None if silent else change.told
            if told is None and before is None:
                added.append(
                    (
                        after.vault,
                        after.pool,
                        after.cartridge,
                        after.path,
                        after.size,
                        after.written,
                    )
                )
            elif told is None and before is not None and before.path == after.path:
                written.append((*_file_facts(after), before.path, *_marks(before)))
            elif self._apply(change):
                applied += 1
                state = before.state.value if before is not None else None
                if told is not None:
                    self._note(
                        *(at, state, after.state.value, told, actor), subject=f"tape {after.name}"
                    )
        # What nobody is told of may be thousands of tapes: no query for each of them.
        for query, rows in (("add_tape", added), ("write_tape", written)):
            if rows:
                applied += self._connection.executemany(self._sql[query], rows).rowcount
        return applied

    def _apply(self, change: Change) -> bool:
        """Write one change, if its record is still as the scan had read it."""
        before, after = change.before, change.after
        if self.tape(after.path if before is None else before.path) != before:
            return False
        if before is not None and before.path != after.path:
            self._do("move_tape", after.vault, after.pool, after.path, before.path)
        self.save_tape(after)
        return True

    def mark_tapes(
        self,
        job: Job,
        proved: Iterable[Tape],
        before: Mapping[str, tuple[int | None, float | None]],
        at: float,
        *,
        handle: str | None = None,
        readings: Mapping[str, str] | None = None,
    ) -> None:
        """Write into the catalogue what a run proved of its tapes.

        `before` is size and last write of each, by path, when the attempt started; `handle` the
        application's own name of the copy, where it gave one instead of ours; `readings` what its
        output told.
        """
        then = job.work.then
        for each in proved:
            known = self.tape(each.path) or each
            there = model.with_file(known, size=each.size, written=each.written)
            if then == "migrated":
                after = model.migrated(
                    there,
                    at=at,
                    handle=handle or job.handle,
                    application=job.work.application,
                    retention=job.values.get("retention"),
                    verified=job.work.verify is not None,
                )
            elif then == "restored":
                after = model.restored(there, at=at)
            elif then in {"erased", "deleted"}:
                size, written = before.get(each.path, (known.size, known.written))
                full = model.with_file(known, size=size, written=written)
                gone = then == "deleted"
                after = model.emptied(full, at=at, written=each.written, gone=gone)
            else:
                after = there
            self.save_tape(after)
            if then == "migrated":
                run = {"req": str(job.request), "job": str(job.id), "attempt": str(job.attempt)}
                values = {**(readings or {}), **run, "handle": job.handle, **job.values}
                self._do("save_copy", self._work_id(job.work), to_json(values), after.path)
            if then is not None:
                cause = f"job {job.id}: {then}"
                if known.override is not None and then in {"erased", "deleted"}:
                    cause += f", by an operator's word: {known.override}"
                self._note(
                    *(at, known.state.value, after.state.value, cause, "engine"),
                    subject=f"tape {after.name}",
                )

    def mark_copied(
        self,
        tape: Tape,
        *,
        handle: str,
        application: str,
        actor: str,
        at: float,
        retention: str | None = None,
        media: str | None = None,
        size: int | None = None,
    ) -> Tape:
        """Note a copy that the application made by its own schedule; `tape` is as its file is.

        `size` is what the tape had, in bytes, when it is empty already.
        """
        known = self.tape(tape.path) or tape
        there = model.with_file(known, size=tape.size, written=tape.written)
        after = model.migrated(
            there,
            at=at,
            handle=handle,
            application=application,
            retention=retention,
            by_us=False,
            media=media,
        )
        if size is not None:
            after = evolve(after, copied_size=size, copied_written=None, erased=at)
        self.save_tape(after)
        self._do("save_copy", None, None, after.path)
        cause = f"migrated by {application} itself, handle {handle}"
        subject = f"tape {after.name}"
        self._note(at, known.state.value, after.state.value, cause, actor, subject=subject)
        return after

    def mark_back(self, tape: Tape, *, application: str, actor: str, at: float) -> Tape:
        """Note that the application brought a tape back by itself; `tape` is as its file is."""
        known = self.tape(tape.path) or tape
        there = model.with_file(known, size=tape.size, written=tape.written)
        after = model.restored(there, at=at)
        self.save_tape(after)
        cause = f"restored by {application} itself"
        subject = f"tape {after.name}"
        self._note(at, known.state.value, after.state.value, cause, actor, subject=subject)
        return after

    def begin_restore(self, tapes: Iterable[Tape], at: float) -> None:
        """Note, before any of it is overwritten, that tapes are being brought back."""
        for each in tapes:
            known = self.tape(each.path) or each
            if known.restoring is None:
                self.save_tape(evolve(known, restoring=at))

    def keep_partial(self, tapes: Iterable[Tape]) -> None:
        """Note what a restore that failed has left, so that a later write is told from it."""
        for each in tapes:
            known = self.tape(each.path)
            if known is not None and known.restoring is not None:
                self.save_tape(model.with_file(known, size=each.size, written=each.written))

    def end_restore(self, tapes: Iterable[Tape], at: float) -> None:
        """Note that a restore ended well, and that others may have written to its tapes since.

        What is not as it was copied counts as written: it is neither emptied nor overwritten.
        """
        for each in tapes:
            known = self.tape(each.path) or each
            there = evolve(known, restoring=None)
            after = model.seen(there, size=each.size, written=each.written, at=at)
            self.save_tape(after)
            cause = "restored before the ledger was put back"
            subject = f"tape {after.name}"
            self._note(at, known.state.value, after.state.value, cause, "engine", subject=subject)

    def set_mounted(self, tape: Tape, at: float) -> None:
        """Note that a host has asked for a tape."""
        if not self._do("set_mounted", at, tape.path):
            self.save_tape(evolve(tape, mounted=at))

    def set_verified(self, tape: Tape, at: float) -> None:
        """Note that a separate query has found the copy of a tape."""
        self._do("set_verified", at, tape.path, tape.handle)

    def set_override(self, path: str, reason: str | None, actor: str, at: float) -> Tape:
        """Let an operator allow (or, with None, forbid again) that one tape is emptied unproven.

        It holds for what is on the tape now, as the catalogue has it, and for one time.
        """
        before = self._need_tape(path)
        after = evolve(
            before,
            override=reason,
            override_size=None if reason is None else before.size,
            override_written=None if reason is None else before.written,
        )
        self.save_tape(after)
        told = ("guarded", "overridden")
        self._note(
            at,
            told[before.override is not None],
            told[reason is not None],
            reason or "",
            actor,
            subject=f"tape {before.name}",
        )
        return after

    def set_locked(self, path: str, locked: bool, actor: str, at: float, reason: str = "") -> Tape:
        """Note that a process uses a tape, or does not any more."""
        before = self._need_tape(path)
        if before.locked != locked:
            self._do("set_locked", locked, path)
            told = ("free", "locked")
            self._note(
                at,
                told[before.locked],
                told[locked],
                reason,
                actor,
                subject=f"tape {before.name}",
            )
        return evolve(before, locked=locked)

    def save_files(self, tapes: Iterable[Tape]) -> int:
        """Write what the files of tapes say, as `apply_changes` does without telling anybody."""
        changed = 0
        for each in tapes:
            known = self.tape(each.path)
            if known is None:
                self.save_tape(each)
            elif (known.size, known.written) == (each.size, each.written):
                continue
            else:
                self.save_tape(model.with_file(known, size=each.size, written=each.written))
            changed += 1
        return changed

    def last_cleanup(self) -> str | None:
        """Return the day, as ISO has it, of the last cleanup."""
        row = self._one("meta", "cleanup")
        return None if row is None else str(row[0])

    def begin_cleanup(self, day: str, told: str, at: float, actor: str) -> None:
        """Note that the cleanup of a day has begun, and what it found."""
        self._do("set_meta", "cleanup", day)
        self._note(at, None, told, f"cleanup of {day}", actor, subject="cleanup")

    def _need_tape(self, path: str) -> Tape:
        tape = self.tape(path)
        if tape is None:
            raise NoSuchRow("tape", path)
        return tape
