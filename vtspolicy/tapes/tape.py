"""Virtual tapes: what is known of one, where its data is, and when it may be emptied."""

from enum import StrEnum

from attrs import evolve, frozen

from vtspolicy.tapes.fingerprint import Fingerprint


class TapeState(StrEnum):
    """Where the data of a tape is."""

    SCRATCH = "scratch"  # empty, and no copy is of what it last held
    WRITTEN = "written"  # has data that no verified copy holds
    MIGRATED = "migrated"  # has data, and a verified copy newer than the last write
    ERASED = "erased"  # emptied after a migration: only the application has the data
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
    migrated: float | None = None  # when a copy was verified, seconds since the epoch
    handle: str | None = None  # the newest verified copy's handle
    application: str | None = None  # that has the copy
    copied_size: int | None = None  # bytes of the tape when it was copied
    copied_written: float | None = None  # last write of what was copied
    erased: float | None = None  # when it was emptied
    restored: float | None = None  # when it was brought back
    retention: str | None = None  # of the copy or the tape, as in the command: 14,d
    locked: bool = False  # in use by a process
    override: str | None = None  # an operator's reason why it may be emptied all the same
    override_size: int | None = None  # bytes of the tape that the operator meant
    override_written: float | None = None  # its last write then: what came later is not meant
    by_us: bool = True  # this program made the copy; False: the application's own schedule did
    verified: float | None = None  # when a separate query last found the copy
    media: str | None = None  # on which of the application's media the copy is, if it tells
    rewritten: float | None = None  # when other data than the copy's was first seen on it
    restoring: float | None = None  # when a restore began that has not come to a good end
    deleted: float | None = None  # when this program removed the file
    mounted: float | None = None  # when a host last asked for it
    seen: Fingerprint | None = None  # its file, as last looked at; None when it is not there

    @property
    def name(self) -> str:
        """The path as commands write it: `/VAULT01/PAYROLL/A00017`."""
        return f"/{self.vault}/{self.pool}/{self.cartridge}"

    @property
    def has_copy(self) -> bool:
        """Whether a verified copy holds what is on the tape now, or last was before it was emptied.

        What half a restore has left is not the tape's data: it does not count as a copied one.
        """
        if self.migrated is None or self.handle is None:
            return False
        if not self.size:
            return self.rewritten is None
        return self.is_as_copied and self.restoring is None

    @property
    def is_as_copied(self) -> bool:
        """Whether the file is what the newest copy was made of, by size and time."""
        return self.copied_size == self.size and self.copied_written == self.written

    @property
    def is_overridden(self) -> bool:
        """Whether an operator allows that what is on the tape now is emptied unproven."""
        return (
            self.override is not None
            and self.override_size == self.size
            and self.override_written == self.written
        )

    @property
    def state(self) -> TapeState:
        """Where its data is."""
        if self.size is None:
            return TapeState.DELETED
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


def why_not_empty(tape: Tape) -> str | None:
    """Return why a tape must not be erased or deleted, or None: the deletion gate's first part.

    Success of the copying run, its counts and the separate query were judged before the copy was
    recorded; here is asked whether that copy is of what stands on the tape now. Its second part,
    the application's query just before the tape is emptied, is the engine's (APPLICATIONS.md).
    """
    if tape.size is None:
        return "there is no such tape"
    if tape.locked:
        return "it is locked: a mount waits for it, or a process uses it"
    if tape.size == 0 or tape.is_overridden:
        return None
    reason = _why_unproven(tape)
    if reason is not None and tape.override is not None:
        reason += "; an operator allowed to empty it, but it was written after that"
    return reason


def _why_unproven(tape: Tape) -> str | None:
    if tape.restoring is not None:
        return "a restore of it has not come to a good end: restore it again"
    if tape.migrated is None or tape.handle is None:
        return "no verified copy of this tape is recorded"
    if not tape.is_as_copied:
        return "the tape was written after its last verified copy"
    return None


def why_not_restore(tape: Tape, recorded: Tape | None) -> str | None:
    """Return why bringing a tape back would destroy something, or None.

    `recorded` is what the ledger last saw of its file: after a restore that failed, what that left.
    """
    if not tape.size or tape.has_copy:
        return None
    if tape.restoring is None:
        return "it has data that no verified copy holds, and a restore would overwrite it"
    if recorded is not None and (recorded.size, recorded.written) != (tape.size, tape.written):
        return "it was written after a restore of it had failed, and a restore would overwrite that"
    return None


def is_back(tape: Tape, *, since: float) -> bool:
    """Return whether a tape was brought back since then and has its data: nothing is left to do."""
    return bool(tape.size) and tape.has_copy and (tape.restored or 0.0) >= since


def with_file(tape: Tape, *, size: int | None, written: float | None) -> Tape:
    """Return the tape with what its file says now."""
    return evolve(tape, size=size, written=written)


def seen(tape: Tape, *, size: int | None, written: float | None, at: float) -> Tape:
    """Return a record after somebody else's change of its file was seen.

    Data that the copy does not hold make the copy an old one, also once the tape is empty again. A
    file that this program had removed and that somebody made anew is a new tape of the same name.
    """
    after = evolve(tape, size=size, written=written)
    other = bool(size) and not after.is_as_copied
    made_anew = tape.deleted is not None and size is not None and not (size and after.is_as_copied)
    if size is not None:
        after = evolve(after, deleted=None)
    if tape.handle is not None and tape.rewritten is None and (other or made_anew):
        after = evolve(after, rewritten=at)
    return after


def migrated(
    tape: Tape,
    *,
    at: float,
    handle: str,
    application: str,
    retention: str | None = None,
    by_us: bool = True,
    verified: bool = False,
    media: str | None = None,
) -> Tape:
    """Return the tape, which is as it was when it was copied, with the mark of that copy."""
    return evolve(
        _without_override(tape),
        migrated=at,
        handle=handle,
        application=application,
        copied_size=tape.size,
        copied_written=tape.written,
        retention=retention if retention is not None else tape.retention,
        by_us=by_us,
        verified=at if verified else None,
        media=media,
        rewritten=None,
        restoring=None,
    )


def restored(tape: Tape, *, at: float) -> Tape:
    """Return the tape, whose file has its data again, with the mark of that.

    What was brought back is what the copy holds: it needs no second migration.
    """
    return evolve(
        tape,
        restored=at,
        copied_size=tape.size,
        copied_written=tape.written,
        rewritten=None,
        restoring=None,
        deleted=None,
    )


def emptied(before: Tape, *, at: float, written: float | None, gone: bool) -> Tape:
    """Return a tape after it was erased or, with `gone`, deleted; `before` is how it was then."""
    unproven = before.rewritten
    if before.size and not before.has_copy and unproven is None:
        unproven = at  # by an operator's word: no copy brings back what was on it
    return evolve(
        _without_override(before),
        size=None if gone else 0,
        written=written,
        erased=before.erased if gone and not before.size else at,
        deleted=at if gone else None,
        rewritten=unproven,
        restoring=None,
    )


def _without_override(tape: Tape) -> Tape:
    """Return a tape after an operator's word was used, or is not needed any more."""
    return evolve(tape, override=None, override_size=None, override_written=None)


class MountAction(StrEnum):
    """What is done about a host's request to mount a tape."""

    NOTE = "note"  # the mount goes on by itself
    RECALL = "recall"  # its data has to be brought back first
    LEAVE = "leave"  # the tape is not there to be mounted


@frozen
class MountAnswer:
    """What is done about a mount request, and why."""

    action: MountAction
    reason: str


def on_mount(tape: Tape) -> MountAnswer:
    """Return what to do when a host asks for a tape; the tape's file was just looked at."""
    match tape.state:
        case TapeState.ERASED:
            return MountAnswer(MountAction.RECALL, f"only {tape.application} has its data")
        case TapeState.DELETED:
            return MountAnswer(MountAction.LEAVE, "its file is gone")
        case TapeState.SCRATCH:
            return MountAnswer(MountAction.NOTE, "it is empty, and no copy is of what it held")
    return MountAnswer(MountAction.NOTE, "it has its data")
