"""Fingerprints: what a tape's file was at a named moment, and how two of them differ."""

from collections.abc import Collection
from enum import StrEnum

from attrs import frozen

LEGACY_TOLERANCE_NS = 1_000
"""Nanoseconds by which a time of version 0.1, kept as a float of seconds, may differ."""

FINE_TICK_NS = 20_000_000
"""Nanoseconds of the longest tick in which two files do not get the same times by chance."""


@frozen(kw_only=True)
class Fingerprint:
    """What a tape's file was at one moment."""

    vault: str  # the identity of the vault
    size: int  # bytes
    mtime_ns: int | None  # last write of its data, nanoseconds since 1970; None: not recorded
    inode: int | None = None  # None: not recorded (version 0.1)
    ctime_ns: int | None = None  # last change of data or attributes; None: not recorded
    device: int | None = None  # of the file system; a remount changes it: see `difference`
    boot: str | None = None  # the boot in which `device` was seen
    digest: str | None = None  # SHA-256 of the content, hexadecimal, if it was read at that moment

    @property
    def written(self) -> float | None:
        """The last write, in seconds since the epoch."""
        return None if self.mtime_ns is None else self.mtime_ns / 1e9

    @property
    def is_whole(self) -> bool:
        """Whether it has all that is needed to notice a later write."""
        return None not in {self.inode, self.mtime_ns, self.ctime_ns}


class Difference(StrEnum):
    """How a file differs from an earlier look at it."""

    NONE = "none"  # it is as it was
    TOUCHED = "touched"  # its attributes changed, or cannot be compared; its data seems the same
    WRITTEN = "written"  # its data is, or may be, another


@frozen(kw_only=True)
class VaultFeatures:
    """What a vault's file system can do, as a probe on a private file has found."""

    keeps_inode: bool = True  # a file keeps its inode number when it is renamed and opened anew
    keeps_ctime: bool = True  # and its change time moves with each change, and only then
    leases: bool = True  # we can be told whether another process has a file open
    exchange: bool = True  # two names can be exchanged in one step
    tick_ns: int = 4_000_000  # how far two times must differ to be told apart, nanoseconds

    def missing(self) -> tuple[str, ...]:
        """Return the words for what the vault cannot do: inode, ctime, leases, exchange."""
        has = {
            "inode": self.keeps_inode,
            "ctime": self.keeps_ctime,
            "leases": self.leases,
            "exchange": self.exchange,
        }
        return tuple(word for word, there in has.items() if not there)


MISSING = {
    "inode": "it does not keep the inode numbers of files: an erase needs proof by data",
    "ctime": "it does not keep the change times of files: an erase needs proof by data",
    "leases": "it is not known whether a process has a tape open: Erase, Delete and a Restore onto"
    " data are refused; give the server CAP_LEASE, or accept it with `without: [leases]`",
    "exchange": "it cannot exchange two names: a Restore is copied into the empty tape",
}
"""What follows where a vault cannot do something, by its word."""


def shortcomings(vault: str, features: VaultFeatures, accepted: Collection[str]) -> list[str]:
    """Return what a vault cannot do, and what follows, for people."""
    told = []
    for word in features.missing():
        follows = MISSING[word]
        if word in accepted:
            follows = "it is not known whether a process has a tape open, as the site has accepted"
        told.append(f"vault {vault}: {follows}")
    return told


@frozen(kw_only=True)
class Look:
    """One look at a tape's file, as the keeper or the server took it."""

    at: float  # when, by the looker's clock, seconds since the epoch
    fingerprint: Fingerprint | None  # None: the file was not there, or could not be looked at
    writer: bool | None = None  # whether a process had it open for writing; None: not known
    vault_ns: int | None = None  # the vault's own clock then, nanoseconds since 1970


def difference(
    then: Fingerprint, now: Fingerprint, features: VaultFeatures | None = None
) -> Difference:
    """Return how `now` differs from `then`; both are of the same tape.

    Another size, last write or inode make it *written*. Another change time alone makes it
    *touched*, and so do values that were not recorded or that the vault does not keep.

    A remount gives a file system another device number, and another file system that is mounted in
    its place has one, too. Inode, size and both times tell the two apart, because a change time
    cannot be set. Only where times are so coarse that two files can share them by chance, another
    number within one boot makes it *touched*.
    """
    features = features or VaultFeatures()
    if then.vault != now.vault or then.size != now.size:
        return Difference.WRITTEN
    if then.mtime_ns is None or now.mtime_ns is None:
        return Difference.WRITTEN
    if abs(then.mtime_ns - now.mtime_ns) > (0 if then.is_whole else LEGACY_TOLERANCE_NS):
        return Difference.WRITTEN
    if then.inode is None or then.ctime_ns is None or now.inode is None or now.ctime_ns is None:
        return Difference.TOUCHED
    if not (features.keeps_inode and features.keeps_ctime):
        return Difference.TOUCHED
    if then.inode != now.inode:
        return Difference.WRITTEN
    if then.ctime_ns != now.ctime_ns:
        return Difference.TOUCHED
    if features.tick_ns > FINE_TICK_NS and _is_elsewhere(then, now):
        return Difference.TOUCHED
    return Difference.NONE


def _is_elsewhere(then: Fingerprint, now: Fingerprint) -> bool:
    """Whether the device number is another; it is compared within one boot only."""
    same_boot = then.boot is not None and then.boot == now.boot
    return same_boot and None not in {then.device, now.device} and then.device != now.device
