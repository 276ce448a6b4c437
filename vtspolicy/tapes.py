"""Virtual tapes: what is known of one, and when it may be emptied."""

from enum import StrEnum

from attrs import evolve, frozen


class TapeState(StrEnum):
    """Where the data of a tape is."""

    SCRATCH = "scratch"  # size 0 and never migrated: nothing was ever written, or it is new
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

    @property
    def name(self) -> str:
        """The path as commands write it: `/VAULT01/PAYROLL/A00017`."""
        return f"/{self.vault}/{self.pool}/{self.cartridge}"

    @property
    def has_copy(self) -> bool:
        """Whether a verified copy holds what is on the tape now."""
        if self.migrated is None or self.handle is None:
            return False
        if not self.size:
            return True
        return self.copied_size == self.size and self.copied_written == self.written

    @property
    def state(self) -> TapeState:
        """Where its data is."""
        if self.size is None:
            return TapeState.DELETED
        if self.size == 0:
            return TapeState.ERASED if self.handle is not None else TapeState.SCRATCH
        return TapeState.MIGRATED if self.has_copy else TapeState.WRITTEN


def why_not_empty(tape: Tape) -> str | None:
    """Return why a tape must not be erased or deleted, or None: the deletion gate.

    Success of the copying run and its counts were judged before the copy was recorded; what is
    left to ask is whether that copy is of what stands on the tape now (APPLICATIONS.md).
    """
    if tape.override is not None:
        return None
    if tape.size is None:
        return "there is no such tape"
    if tape.size == 0:
        return None
    if tape.migrated is None or tape.handle is None:
        return "no verified copy of this tape is recorded"
    if tape.copied_written != tape.written or tape.copied_size != tape.size:
        return "the tape was written after its last verified copy"
    return None


def with_file(tape: Tape, *, size: int | None, written: float | None) -> Tape:
    """Return the tape with what its file says now."""
    return evolve(tape, size=size, written=written)
