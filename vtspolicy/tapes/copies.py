"""Copies of tapes: what is recorded of each, and how well it is proven."""

from collections.abc import Mapping
from enum import StrEnum

from attrs import field, frozen

from vtspolicy.tapes.fingerprint import Difference, Fingerprint, VaultFeatures, difference


class Proof(StrEnum):
    """How well a copy is known to be there."""

    RECORDED = "recorded"  # the application, or an operator, says so; it was not checked
    FOUND = "found"  # a separate query by its handle, about this tape, has found it
    DATA = "data"  # its data was read back and is what was on the tape

    @property
    def strength(self) -> int:
        """A number by which proofs are compared: the larger proves more."""
        return _STRENGTH[self]


_STRENGTH = {Proof.RECORDED: 0, Proof.FOUND: 1, Proof.DATA: 2}


def stricter(*proofs: Proof | None) -> Proof:
    """Return the strictest of some demands; without any, that a query finds the copy."""
    given = [each for each in proofs if each is not None]
    return max(given, key=lambda each: each.strength, default=Proof.FOUND)


@frozen(kw_only=True)
class Restored:
    """A file that a restore brought back from a copy."""

    fingerprint: Fingerprint  # as the restore ended
    at: float  # when, seconds since the epoch
    sure: bool = True  # False: the file was not looked at when the restore ended; it may be another


@frozen(kw_only=True)
class Copy:
    """One copy of one tape, as the ledger keeps it: a tape has several, and all are kept."""

    id: int = 0  # in the ledger; 0: not recorded yet
    vault: str  # of the tape, where it is now
    pool: str
    cartridge: str
    path: str  # of the tape's file, where it is now; a move is followed
    source: str  # of the file that was copied, by which the application knows it
    application: str  # that has the copy
    handle: str  # by which the application finds it
    began: float | None = None  # of the run, by the keeper; seconds since the epoch
    ended: float | None = None
    before: Fingerprint | None = None  # of the tape as the run began
    after: Fingerprint | None = None  # and as it ended: what the copy holds
    size: int | None = None  # bytes, as the application reported them, or as the tape had them
    files: int | None = None  # how many, as the application reported
    digest: str | None = None  # SHA-256 of the content, as the application or a proof told
    proof: Proof = Proof.RECORDED
    proved: float | None = None  # when that was seen, seconds since the epoch
    demanded: Proof | None = None  # the proof that the copying rule asks for before an erase
    doubt: str | None = None  # why only its data, read back, can allow an erase; None: no doubt
    lost: float | None = None  # when the application said that it does not have it
    by_us: bool = True  # this program made it; False: the application's own schedule did
    retention: str | None = None  # as in the command: 14,d
    media: str | None = None  # the application's medium that it is on, if known
    job: int | None = None  # that made it; None: none of ours
    work: int | None = None  # the ledger's number of the work that made it, with its queries
    values: Mapping[str, str] = field(factory=dict)  # for the templates of that work
    touches: bool = False  # its application changes the ctime of what it reads, and nothing else
    restored: tuple[Restored, ...] = ()  # files that were brought back from it, oldest first

    @property
    def is_legacy(self) -> bool:
        """Whether it was made by version 0.1, which looked at size and time of write only."""
        return self.after is not None and not self.after.is_whole

    def difference(
        self, now: Fingerprint, features: VaultFeatures | None = None
    ) -> tuple[Difference, bool]:
        """Return how a file differs from what the copy holds, and whether that is sure.

        The file may be the one that was copied, or one that a restore brought back.
        """
        best, sure = Difference.WRITTEN, True
        if self.after is not None:
            best = difference(self.after, now, features)
        for each in self.restored:
            found = difference(each.fingerprint, now, features)
            if (_NEAR[found], each.sure) > (_NEAR[best], sure):
                best, sure = found, each.sure
        return best, sure

    def has_content_of(self, other: "Copy", features: VaultFeatures | None = None) -> bool:
        """Whether it is known to hold what another copy of the tape holds.

        Their digests are equal, or both were made of the same file, or one of them of a file that a
        restore brought back from the other; of what is only recorded that is not known.
        """
        if self.digest is not None and other.digest is not None:
            return self.digest == other.digest
        if self.doubt is not None or other.doubt is not None:
            return False
        sure = (Difference.NONE, True)
        return any(
            file is not None and copy.difference(file, features) == sure
            for copy, file in ((self, other.after), (other, self.after))
        )


_NEAR = {Difference.WRITTEN: 0, Difference.TOUCHED: 1, Difference.NONE: 2}
