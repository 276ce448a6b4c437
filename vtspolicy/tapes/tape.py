"""Virtual tapes: what is known of one, and where its data is."""

from enum import StrEnum

from attrs import evolve, frozen

from vtspolicy.tapes.copies import Copy
from vtspolicy.tapes.fingerprint import Difference, Fingerprint, difference

OVERRIDE_LASTS = 86400.0
"""Seconds after which an operator's override that no order has used expires."""


class TapeState(StrEnum):
    """Where the data of a tape is."""

    SCRATCH = "scratch"  # empty, and no copy is of what it last held
    WRITTEN = "written"  # has data that no copy is known to hold
    MIGRATED = "migrated"  # has data, and a copy of what was last written is recorded
    ERASED = "erased"  # emptied after a migration, or half restored: the application has the data
    DELETED = "deleted"  # the file is gone; the record is kept


@frozen(kw_only=True)
class Tape:
    """One virtual tape: a file `/VAULTxx/pool/cartridge` and what the ledger knows of it."""

    vault: str  # the vault's name in the configuration
    pool: str  # the directory
    cartridge: str  # the file, the volume's name on the host
    path: str  # of the real file, resolved, inside its vault
    size: int | None = None  # bytes; None when the file is not there
    written: float | None = None  # last write, seconds since the epoch (the file's mtime)
    seen: Fingerprint | None = None  # its file, as last looked at; None when it is not there
    # Of the copy that has its last known content; the ledger has all copies.
    held: int | None = None  # the ledger's number of that copy
    kept: Fingerprint | None = None  # the file as it last had that content; None: not known
    migrated: float | None = None  # when that copy was made, seconds since the epoch
    handle: str | None = None
    application: str | None = None  # that has it
    copied_size: int | None = None  # bytes of the tape when it was copied
    copied_written: float | None = None  # last write of what was copied
    by_us: bool = True  # this program made it; False: the application's own schedule did
    verified: float | None = None  # when a separate query last found it
    media: str | None = None  # the application's medium that it is on, if known
    retention: str | None = None  # of the copy or the tape, as in the command: 14,d
    erased: float | None = None  # when it was emptied
    restored: float | None = None  # when it was brought back
    locked: bool = False  # in use by a process
    override: str | None = None  # an operator's reason why it may be emptied all the same
    override_at: float | None = None  # when that was said, seconds since the epoch
    override_seen: Fingerprint | None = None  # the file that the operator meant
    override_job: int | None = None  # the order that it belongs to; None: any one (version 0.1)
    rewritten: float | None = None  # when other data than the copy's was first seen on it
    restoring: float | None = None  # when a restore began that has not ended well
    partial: Fingerprint | None = None  # what that restore has left; None: not known
    partial_sure: bool = True  # False: seen after the restore's end; a host may have written it
    deleted: float | None = None  # when this program removed the file; see `is_new`
    mounted: float | None = None  # when a host last asked for it
    doubted: float | None = None  # when its file was found to contradict a restored ledger
    unseen: bool = False  # its file was not looked at since the ledger was restored

    @property
    def name(self) -> str:
        """The path as commands write it: `/VAULT01/PAYROLL/A00017`."""
        return f"/{self.vault}/{self.pool}/{self.cartridge}"

    @property
    def is_as_copied(self) -> bool:
        """Whether the file is, as far as was looked at, what the copy `held` was made of."""
        if self.kept is not None and self.seen is not None:
            return difference(self.kept, self.seen) is not Difference.WRITTEN
        return self.copied_size == self.size and self.copied_written == self.written

    @property
    def has_copy(self) -> bool:
        """Whether a copy is recorded of what is on the tape now, or last was on it.

        What half a restore has left is not the tape's data: it does not count as a copied one.
        """
        if self.migrated is None or self.handle is None:
            return False
        if not self.size:
            return self.rewritten is None
        return self.is_as_copied and self.restoring is None

    @property
    def is_new(self) -> bool:
        """Whether it was made anew by others after a Delete, and nothing was written to it yet."""
        return self.size == 0 and self.deleted is not None

    @property
    def is_half_restored(self) -> bool:
        """Whether what is on the tape is what a restore has left that did not end well."""
        if self.restoring is None or not self.size:
            return False
        if self.partial is None or self.seen is None:
            return True
        return difference(self.partial, self.seen) is not Difference.WRITTEN

    @property
    def is_left_unknown(self) -> bool:
        """Whether what is on it may be a host's.

        The end of its restore was not seen; or the file was changed since in a way that may be a
        touch, or a write that has set the old time again. What 0.1 has recorded cannot tell that.
        """
        if not self.is_half_restored:
            return False
        if self.partial is None or self.seen is None or not self.partial_sure:
            return True
        changed = difference(self.partial, self.seen) is not Difference.NONE
        return self.partial.is_whole and changed

    @property
    def state(self) -> TapeState:
        """Where its data is."""
        if self.size is None:
            return TapeState.DELETED
        if self.is_new:
            return TapeState.SCRATCH
        if self.handle is not None and (
            self.restoring is not None or (self.size == 0 and self.rewritten is None)
        ):
            return TapeState.ERASED
        if self.size == 0:
            return TapeState.SCRATCH
        return TapeState.MIGRATED if self.has_copy else TapeState.WRITTEN

    @property
    def freed(self) -> int:
        """Bytes that it took before it was emptied, and that only the application holds now."""
        gone = {TapeState.ERASED, TapeState.DELETED}
        return (self.copied_size or 0) if self.state in gone else 0

    def has_override_for(self, job: int | None) -> bool:
        """Whether an operator's word is noted that belongs to a job, expired or not."""
        return self.override is not None and self.override_job in {None, job}

    def is_overridden(self, now: float, job: int | None = None) -> bool:
        """Whether an operator allows that what is on the tape is emptied or overwritten unproven.

        The word is about the file as it was then, belongs to one order, whose `job` has to ask, and
        lasts OVERRIDE_LASTS; `now` is in seconds since the epoch.
        """
        if not self.has_override_for(job):
            return False
        if self.override_at is None or self.override_seen is None:
            return False
        if not self.override_at - 60.0 <= now < self.override_at + OVERRIDE_LASTS:
            return False
        if self.seen is None:
            return False
        return difference(self.override_seen, self.seen) is not Difference.WRITTEN


def in_vault(tape: Tape, vault: str) -> Tape:
    """Return a record whose vault has another name in the configuration now; its path is as before.

    Fingerprints name the vault, and are of its files all the same.
    """
    if tape.vault == vault:
        return tape

    def named(file: Fingerprint | None) -> Fingerprint | None:
        return None if file is None else evolve(file, vault=vault)

    return evolve(
        tape,
        vault=vault,
        seen=named(tape.seen),
        kept=named(tape.kept),
        partial=named(tape.partial),
        override_seen=named(tape.override_seen),
    )


def with_file(tape: Tape, file: Tape) -> Tape:
    """Return the record `tape` with what its file says now, as `file` has it."""
    return evolve(tape, size=file.size, written=file.written, seen=file.seen)


def looked_at(tape: Tape, file: Tape, *, at: float) -> Tape:
    """Return a record after its file was looked at, maybe changed by somebody else.

    Data that the copy does not hold make the copy an old one, also once the tape is empty again. A
    file that this program had removed and that somebody made anew is a new tape of the same name;
    while it is empty, what was last written is in the copy still. What contradicts a ledger that
    was restored makes the record a doubtful one.
    """
    after = evolve(with_file(tape, file), unseen=False)
    other = bool(file.size) and not after.is_as_copied
    if file.size:
        after = evolve(after, deleted=None)
    if tape.restoring is not None:
        if after.is_half_restored or not file.size:
            return _contradicted(tape, after, at)
        after = evolve(after, restoring=None, partial=None)  # the host has written to it
    if tape.handle is not None and tape.rewritten is None and other:
        after = evolve(after, rewritten=at)
    return _contradicted(tape, after, at)


def _contradicted(before: Tape, after: Tape, at: float) -> Tape:
    """Doubt a record of a restored ledger that is not as the file is."""
    if not before.unseen or is_same_file(before, after):
        return after
    return evolve(after, doubted=at)


def is_same_file(record: Tape, file: Tape) -> bool:
    """Return whether a file is as its record has it; a record of 0.1 has size and time only."""
    if record.seen is None or file.seen is None:
        return (record.size, record.written) == (file.size, file.written)
    return difference(record.seen, file.seen) is Difference.NONE or (
        not record.seen.is_whole and difference(record.seen, file.seen) is Difference.TOUCHED
    )


def copied(
    tape: Tape, copy: Copy, *, at: float, known: bool = True, held: Copy | None = None
) -> Tape:
    """Return the tape after a copy of it was recorded.

    `known` is false where what the copy holds may be other than what is on the tape: it was open
    for writing, or has a time in the future. `held` is the copy that had the last known content:
    one that surely has what is on the tape is not replaced by one that is doubted.
    """
    settled = evolve(
        without_override(tape),
        rewritten=None,
        restoring=None,
        partial=None,
        deleted=tape.deleted if tape.size is None else None,
        doubted=None,
        unseen=False,
    )
    if held is not None and copy.doubt is not None and _has_surely(held, tape):
        return settled
    return evolve(
        settled,
        held=copy.id,
        kept=copy.after if known else None,
        migrated=at,
        handle=copy.handle,
        application=copy.application,
        copied_size=copy.after.size if copy.after is not None else copy.size,
        copied_written=copy.after.written if copy.after is not None and known else None,
        retention=copy.retention if copy.retention is not None else tape.retention,
        by_us=copy.by_us,
        verified=copy.proved,
        media=copy.media,
    )


def _has_surely(copy: Copy, tape: Tape) -> bool:
    """Whether a copy has what is on a tape, beyond doubt."""
    if copy.lost is not None or copy.doubt is not None or not tape.size or tape.seen is None:
        return False
    return copy.difference(tape.seen) == (Difference.NONE, True)


def held_by(tape: Tape, copy: Copy) -> Tape:
    """Return the tape with another of its copies as the one that has its last known content."""
    return evolve(
        tape,
        held=copy.id,
        kept=tape.seen if tape.size else tape.kept,
        migrated=copy.ended or copy.began or tape.migrated,
        handle=copy.handle,
        application=copy.application,
        copied_size=copy.after.size if copy.after is not None else copy.size,
        copied_written=tape.written if tape.size else tape.copied_written,
        by_us=copy.by_us,
        verified=copy.proved,
        media=copy.media,
        rewritten=None,
    )


def restored(tape: Tape, file: Fingerprint, *, at: float) -> Tape:
    """Return the tape, whose file has its data again, with the mark of that."""
    return evolve(
        tape,
        size=file.size,
        written=file.written,
        seen=file,
        kept=file,
        restored=at,
        copied_size=file.size,
        copied_written=file.written,
        rewritten=None,
        restoring=None,
        partial=None,
        deleted=None,
        doubted=None,
        unseen=False,
    )


def emptied(before: Tape, *, at: float, file: Fingerprint | None, proven: bool) -> Tape:
    """Return a tape after it was erased or, without `file`, deleted; `before` is how it was then.

    Without `proven` it was done by an operator's word: no copy brings back what was on it.
    """
    unproven = before.rewritten
    if before.size and not proven and unproven is None:
        unproven = at
    return evolve(
        without_override(before),
        size=None if file is None else file.size,
        written=None if file is None else file.written,
        seen=file,
        erased=before.erased if file is None and not before.size else at,
        deleted=at if file is None else None,
        rewritten=None if before.size and proven else unproven,
        doubted=None if before.size and proven else before.doubted,
        unseen=before.unseen and not (before.size and proven),
        restoring=None,
        partial=None,
    )


def without_override(tape: Tape) -> Tape:
    """Return a tape after an operator's word was used, withdrawn, or is not needed any more."""
    return evolve(tape, override=None, override_at=None, override_seen=None, override_job=None)
