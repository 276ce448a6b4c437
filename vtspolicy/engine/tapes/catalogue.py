"""The catalogue kept true: the vaults are looked through at the start, on demand and on a change.

Between scans only the times of the folders are looked at: they show when a tape was added, removed
or renamed. What is written to a tape is seen by the next scan; each act on a tape looks at its file
itself.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from vtspolicy.catalogue import Change, compare
from vtspolicy.engine.effects import EngineLedger
from vtspolicy.engine.policy import PolicyInForce
from vtspolicy.ledger import History, LedgerError, Meta, TapeRecords, Transaction
from vtspolicy.tapes import Tape, VaultFeatures, shortcomings
from vtspolicy.vaults import Seen, VaultError, Vaults, look_through

WATCH = 5.0
"""Seconds between looks at the times of the folders."""

REST = 20
"""After a scan there is none for so many times as long as it took."""

FRESH = 2.0
"""Seconds for which a folder's time can still hide a second change of the same tick."""

PAGE = 500
"""Records that are read at once: few enough not to hold up the reactor."""

AT_ONCE = 200
"""Changes that are written in one transaction: few enough not to hold up the reactor."""

SHOWN = 20
"""The most troubles that are reported."""


@frozen(kw_only=True)
class Scan:
    """What a scan came to."""

    tapes: int  # how many there are
    changed: int  # how many were not as their records said
    seconds: float
    troubles: tuple[str, ...] = ()


@define(kw_only=True)
class Catalogue:
    """Scans the vaults of one node and watches them."""

    clock: IReactorTime
    ledger: EngineLedger
    vaults: Vaults
    policy: PolicyInForce
    running: Collection[int]  # the jobs that run just now: their tapes are theirs
    threads: Callable[..., Deferred[Any]]  # each call has its own type of answer
    troubles: tuple[str, ...] = ()  # of the last scan
    shortcomings: tuple[str, ...] = ()  # what the vaults cannot do
    last: Scan | None = None
    _features: dict[str, VaultFeatures] = field(factory=dict)
    _noted: dict[str, VaultFeatures] = field(factory=dict)
    _one: DeferredLock = field(factory=DeferredLock)
    _folders: tuple[tuple[str, int], ...] | None = None  # as they were before the last scan
    _rests: float = 0.0  # no automatic scan before
    _due: float = 0.0  # the next one of all
    _loop: LoopingCall | None = None
    _log: Logger = field(factory=lambda: Logger("vtspolicy.tapes"))

    async def begin(self) -> None:
        """Learn which file systems have the tapes, before anything is done in a vault."""
        self.vaults.mounts = await self.ledger.read(Meta.vault_mounts)

    def start(self) -> None:
        """Scan now, in a thread, then watch."""
        self._loop = LoopingCall(self._watch)
        self._loop.clock = self.clock
        self._loop.start(WATCH, now=True)

    def stop(self) -> None:
        """Watch no more."""
        if self._loop is not None and self._loop.running:
            self._loop.stop()

    def _watch(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._look()).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        if failure.type is LedgerError and (self._loop is None or not self._loop.running):
            return  # the ledger was closed meanwhile: the next server scans
        self._log.failure("The vaults cannot be scanned.", failure, action="scan_failed")

    async def _look(self) -> None:
        now = self.clock.seconds()
        if now < self._rests:
            return
        if now < self._due and await self.threads(self.vaults.folders) == self._folders:
            return
        await self.scan("engine")

    async def scan(self, actor: str) -> Scan:
        """Look through all vaults and write down what others have done to tapes."""
        return await self._one.run(lambda: Deferred.fromCoroutine(self._scan(actor)))

    async def follow(self, tapes: Iterable[Tape], records: Iterable[Tape]) -> None:
        """Scan, if one of these tapes is where none of its records is: it may have been moved.

        `records` are all of their names. What is known of a tape has to be with it before anything
        is decided about it.
        """
        paths: dict[str, set[str]] = {}
        for each in records:
            paths.setdefault(each.cartridge, set()).add(each.path)
        if any(tape.path not in paths.get(tape.cartridge, {tape.path}) for tape in tapes):
            await self.scan("engine")

    async def _scan(self, actor: str) -> Scan:
        began = self.clock.seconds()
        known: list[Tape] = []
        while page := await self.ledger.read(
            TapeRecords.find, after=known[-1].path if known else "", limit=PAGE
        ):
            known += page

        anew, mounts = began >= self._due, self.vaults.mounts

        def look() -> tuple[tuple[tuple[str, int], ...], Seen, list[Change]]:
            self._features = _found(self.vaults, anew=anew)
            folders = self.vaults.folders()
            seen = look_through(self.vaults, known)
            changes = compare(known, seen.tapes, vaults=seen.vaults, at=began)
            return folders, seen, changes

        folders, seen, changes = await self.threads(look)
        await self._tell_features()
        if self.vaults.mounts != mounts:
            await self.ledger.write(Meta.keep_vault_mounts, self.vaults.mounts)
        changed, left = await self._write(changes, actor, first=not known)
        fresh = any(mtime / 1e9 > began - FRESH for _, mtime in folders)
        self._folders = None if fresh or left else folders
        now = self.clock.seconds()
        self._rests = now + max(WATCH - 0.1, REST * seen.seconds)
        self._due = now + self.policy.current.configuration.scan
        self._tell(seen, changed)
        self.last = Scan(
            tapes=len(seen.tapes),
            changed=changed,
            seconds=seen.seconds,
            troubles=seen.troubles[:SHOWN],
        )
        return self.last

    async def _tell_features(self) -> None:
        """Record what the vaults can do, and log once what they cannot."""
        told = tuple(
            line
            for vault, features in sorted(self._features.items())
            for line in shortcomings(vault, features, self.vaults.accepted.get(vault, ()))
        )
        for line in told:
            if line not in self.shortcomings:
                self._log.warn("{line}.", action="vault_features", line=line)
        self.shortcomings = told
        if self._features != self._noted:
            self._noted = self._features
            await self.ledger.write(Meta.keep_vault_features, self._features)

    async def _write(
        self, changes: Sequence[Change], actor: str, *, first: bool
    ) -> tuple[int, int]:
        """Write changes; return how many, and how many moves were left because of a running job.

        A later scan has to see those: nothing changes in the folders any more.
        """
        changed, left, at = 0, 0, self.clock.seconds()

        def apply(
            tx: Transaction, part: Sequence[Change], running: Collection[int]
        ) -> tuple[int, int]:
            jobs = [job for number in running if (job := tx.jobs.get(number)) is not None]
            taken = {job.path or job.values.get("path", "") for job in jobs}
            free = [each for each in part if not _is_taken(each, taken)]
            moved = sum(_is_move(each) and each not in free for each in part)
            return tx.tapes.apply_changes(free, at, actor=actor, silent=first), moved

        for begin in range(0, len(changes), AT_ONCE):
            part = changes[begin : begin + AT_ONCE]
            some, moved = await self.ledger.write(apply, part, tuple(self.running))
            changed, left = changed + some, left + moved
        if first and changed:
            told = f"{changed} tapes"
            await self.ledger.write(
                History.add, "catalogue", None, told, cause="first scan", actor=actor, at=at
            )
        return changed, left

    def _tell(self, seen: Seen, changed: int) -> None:
        troubles = seen.troubles[:SHOWN]
        for trouble in troubles:
            if trouble not in self.troubles:
                self._log.warn("{trouble}.", action="vault_trouble", trouble=trouble)
        self.troubles = troubles
        if changed or self.last is None:
            self._log.info(
                "Looked through the vaults in {seconds:.2f} s, tapes: {count}, changed: {changed}.",
                action="scanned",
                count=len(seen.tapes),
                changed=changed,
                seconds=seen.seconds,
            )


def _found(vaults: Vaults, *, anew: bool) -> dict[str, VaultFeatures]:
    """Return what the vaults can do, of those that can be probed. In a thread.

    A probe changes the times of the vault's folder: one with each scan would cause the next.
    """
    found = {}
    for vault in vaults.roots:
        with suppress(VaultError):
            found[vault] = vaults.probe(vault) if anew else vaults.features_of(vault)
    return found


def _is_move(change: Change) -> bool:
    return change.before is not None and change.before.path != change.after.path


def _is_taken(change: Change, taken: Collection[str]) -> bool:
    paths = {change.after.path} | ({change.before.path} if change.before else set())
    return any(path in taken or path.rpartition("/")[0] in taken for path in paths)
