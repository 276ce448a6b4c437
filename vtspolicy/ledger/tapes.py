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
from vtspolicy.ledger.statements import Columns, Row, Statements
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
from vtspolicy.tapes import records as becoming

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
        vault=row.vault,
        pool=row.pool,
        cartridge=row.cartridge,
        path=row.path,
        size=row.size,
        written=row.written,
        migrated=row.migrated,
        handle=row.handle,
        application=row.application,
        copied_size=row.copied_size,
        copied_written=row.copied_written,
        erased=row.erased,
        restored=row.restored,
        retention=row.retention,
        locked=bool(row.locked),
        override=row.override,
        by_us=bool(row.by_us),
        verified=row.verified,
        media=row.media,
        rewritten=row.rewritten,
        restoring=row.restoring,
        deleted=row.deleted,
        mounted=row.mounted,
        seen=fingerprint_of(row.seen),
        held=row.held,
        kept=fingerprint_of(row.kept),
        partial=fingerprint_of(row.partial),
        override_at=row.override_at,
        override_seen=fingerprint_of(row.override_seen),
        doubted=row.doubted,
        unseen=bool(row.unseen),
        override_job=row.override_job,
        partial_sure=bool(row.partial_sure),
    )


def _tape_columns(tape: Tape) -> Columns:
    """Return the columns of a tape."""
    return {
        "vault": tape.vault,
        "pool": tape.pool,
        "cartridge": tape.cartridge,
        "path": tape.path,
        "size": tape.size,
        "written": tape.written,
        "migrated": tape.migrated,
        "handle": tape.handle,
        "application": tape.application,
        "copied_size": tape.copied_size,
        "copied_written": tape.copied_written,
        "erased": tape.erased,
        "restored": tape.restored,
        "retention": tape.retention,
        "locked": tape.locked,
        "override": tape.override,
        "by_us": tape.by_us,
        "verified": tape.verified,
        "media": tape.media,
        "rewritten": tape.rewritten,
        "restoring": tape.restoring,
        "deleted": tape.deleted,
        "mounted": tape.mounted,
        "seen": fingerprint_text(tape.seen),
        "held": tape.held,
        "kept": fingerprint_text(tape.kept),
        "partial": fingerprint_text(tape.partial),
        "override_at": tape.override_at,
        "override_seen": fingerprint_text(tape.override_seen),
        "doubted": tape.doubted,
        "unseen": tape.unseen,
        "override_job": tape.override_job,
        "partial_sure": tape.partial_sure,
        "state": tape.state.value,
    }


_OF_THE_FILE = (
    *("size", "written", "seen", "rewritten", "restoring", "partial", "deleted", "doubted"),
    "unseen",
)
"""The columns that a write by others changes."""

_OF_JOBS = ("migrated", "erased", "restored", "held")
"""By these, beside those of the file, `write_tape` knows that no job has changed a record."""


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
        row = self._sql.one("tape", path=path)
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
        conditions = {
            "tapes_of_vault": vault,
            "tapes_of_pool": pool,
            "tapes_of_handle": handle,
        }
        rows = self._sql.select("tapes", conditions, order="path", limit=limit, after=after)
        return [tape_of(row) for row in rows]

    def named(self, cartridge: str) -> list[Tape]:
        """Return the tapes of this name: more than one is a name that commands must not use."""
        return [tape_of(row) for row in self._sql.all("tapes_named", cartridge=cartridge)]

    def locked(self) -> list[Tape]:
        """Return the tapes that a process, or a mount, has locked."""
        return [tape_of(row) for row in self._sql.all("tapes_locked")]

    def counts(self) -> list[TapeCount]:
        """Return how many tapes there are of each state, and how many bytes."""
        return [
            TapeCount(
                state=TapeState(row.state),
                count=row.count,
                size=row.size,
                freed=row.freed,
            )
            for row in self._sql.all("tape_counts")
        ]

    def lost(self) -> int:
        """Return of how many tapes the last content is in a copy that its application has lost."""
        return int(self._sql.need("lost_tapes").count)

    def prove_copy(
        self, tape: Tape, copy: Copy, proof: Proof, at: float, *, digest: str | None = None
    ) -> Tape:
        """Note that a copy was found, or its data read back; it has the tape's content from now on.

        `tape` is as its file is now. Returns its record as it is then.
        """
        self._sql.do("prove_copy", proof=proof.value, proved=at, digest=digest, id=copy.id)
        proved = evolve(copy, proof=proof, proved=at)
        known = model.with_file(self.get(tape.path) or tape, tape)
        after = model.held_by(known, proved)
        self.save(after)
        return after

    def save(self, tape: Tape) -> None:
        """Write all that is known of a tape."""
        self._sql.do("save_tape", **_tape_columns(tape))
        self._change.tapes.append(tape.path)

    def apply_changes(
        self, changes: Iterable[Change], at: float, *, actor: str = "engine", silent: bool = False
    ) -> int:
        """Write what a scan saw that others had done to tapes; returns how much of it still held.

        A record that is not as the scan had read it is left alone: a job changed it since. With
        `silent` nothing is added to the history.
        """
        applied = 0
        added: list[Columns] = []
        written: list[Columns] = []
        for change in changes:
            before, after = change.before, change.after
            told = None if silent else change.told
            if told is None and before is None:
                self._change.tapes.append(after.path)
                added.append(_tape_columns(after))
            elif told is None and before is not None and before.path == after.path:
                known, columns = _tape_columns(before), _tape_columns(after)
                written.append(
                    {
                        **{name: columns[name] for name in (*_OF_THE_FILE, "state", "path")},
                        **{f"was_{name}": known[name] for name in _OF_THE_FILE},
                        **{name: known[name] for name in _OF_JOBS},
                    }
                )
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
        self._sql.do(
            "move_copies", vault=after.vault, pool=after.pool, path=after.path, was_path=before.path
        )
        self._change.tapes.append(before.path)
        self._sql.do(
            "move_tape", vault=after.vault, pool=after.pool, path=after.path, was_path=before.path
        )
        self._sql.do("move_open_mounts", path=after.path, was_path=before.path)

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
                    copy = self._known(outcome.copy)
                    known = known if copy is None else model.held_by(known, copy)
                    after = becoming.brought_back(known, outcome, at)
                case Emptied():
                    after = becoming.emptied_by(known, outcome, self._known(outcome.copy), at)
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
        return self._known(tape.held)

    def _known(self, copy: int | None) -> Copy | None:
        return None if copy is None else self._copies.get(copy)

    def unsee(self) -> None:
        """Let no record be believed before its tape is looked at again."""
        self._sql.do("unsee_tapes")

    def begin_restore(self, tapes: Iterable[Tape], at: float) -> None:
        """Note, before any of it is overwritten, that tapes are being restored in place."""
        for each in tapes:
            known = self.get(each.path) or each
            self.save(becoming.being_restored(known, at))

    def keep_partial(self, left: Iterable[Tape], *, sure: bool = True) -> None:
        """Note what a restore that failed has left, so that a later write is distinguished from it.

        Not `sure` is what was only seen some time after the restore's end.
        """
        for each in left:
            known = self.get(each.path)
            if known is not None and known.restoring is not None:
                self.save(becoming.left_by_restore(known, each, sure=sure))

    def end_restore(self, tapes: Iterable[Tape], at: float) -> None:
        """Note that a restore ended well, and that others may have written to its tapes since.

        What is not as it was copied counts as written: it is neither emptied nor overwritten.
        """
        for each in tapes:
            known = self.get(each.path) or each
            after = becoming.restore_over(known, each, at)
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
        self._sql.do("set_mounted", mounted=at, path=tape.path)
        self._change.tapes.append(tape.path)

    def forget_restore(self, tape: Tape) -> None:
        """Note that a restore which failed has not begun to write to a tape."""
        known = self.get(tape.path)
        if known is not None and known.restoring is not None:
            self.save(becoming.restore_not_begun(known))

    def leave_to_host(self, tape: Tape, at: float) -> None:
        """Note that a host has written to a tape while a restore of it that failed was under way.

        What is on it counts as written: no restore may overwrite it. `tape` is as its file is.
        """
        known = self.get(tape.path)
        if known is None or known.restoring is None:
            return
        after = becoming.restore_over(known, tape, at)
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
            self._sql.do("set_locked", locked=locked, path=path)
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
