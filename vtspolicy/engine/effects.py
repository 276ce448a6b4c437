"""What follows from a change of the ledger, in one place and always in one order.

First the notices leave, then the queue learns which jobs wait and which have ended, then runs are
stopped, and then everybody is told who watches: time-outs of waits, mounts, metrics, the log.
"""

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from attrs import define, evolve, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from vtspolicy.changes import NOTHING, Change, Written
from vtspolicy.engine.jobs.recent import RecentJobs
from vtspolicy.hosts.outbox import Outbox
from vtspolicy.hosts.session import HostSession
from vtspolicy.jobs import Job, WaitingJob
from vtspolicy.ledger import Ledger, Scope
from vtspolicy.queue.protocol import Entry, Queue

P = ParamSpec("P")
T = TypeVar("T")


class Runs(Protocol):
    """What has to be known of the runs of jobs."""

    def stop(self, job: int) -> None:
        """Stop what runs for a job, and what will."""


PUT_AT_ONCE = 1000
"""Jobs that are put into the queue in one turn of the reactor."""


@define(kw_only=True)
class Effects:
    """Applies changes. What fails is logged, and keeps nothing beside it from being done."""

    clock: IReactorTime
    outbox: Outbox
    queue: Queue
    recent: RecentJobs  # which need not be read when their turn comes
    runs: Runs
    watchers: list[Callable[[Change], object]] = field(factory=list)
    log: Logger = field(factory=lambda: Logger("vtspolicy.engine"))
    _coming: dict[int, Job] = field(factory=dict, init=False)  # not in the queue yet, in order
    _untold: set[int] = field(factory=set, init=False)  # of those, which no watcher knows yet
    _is_due: bool = field(default=False, init=False)  # a turn that puts some of them

    def apply(self, change: Change, asker: HostSession | None = None) -> None:
        """Do what follows from a change; `asker` is the session whose commands it answers."""
        if change.notices:
            try:
                self._tell(change, asker)
            except Exception:  # noqa: BLE001 - the ledger has the notices
                self._failed("notices")
                if asker is not None:
                    asker.fail(Failure())  # they come on its next connection
        for job in change.ended:
            self.recent.forget(job.id)
            self._untold.discard(job.id)
            if self._coming.pop(job.id, None) is None:
                self._do(self.queue.withdraw, job.id)  # one that has a seat gives it back itself
        self._coming.update((job.id, job) for job in change.waiting)
        if len(change.waiting) > PUT_AT_ONCE:
            self._untold.update(job.id for job in change.waiting)
            change = evolve(change, waiting=())
        if not self._is_due:
            self._put_some()
        for job in change.stopping:
            self._do(self.runs.stop, job.id)
        for watcher in self.watchers:
            self._do(watcher, change)

    def take_up(self, waiting: Iterable[WaitingJob]) -> None:
        """Let jobs wait that an earlier server has left."""
        for job in waiting:
            self._do(self.queue.put, entry(job))

    def _put_some(self) -> None:
        """Put jobs into the queue in their order, and the rest in later turns of the reactor.

        Watchers are told of the jobs of a large request as these are put.
        """
        some = list(islice(self._coming.values(), PUT_AT_ONCE))
        for job in some:
            del self._coming[job.id]
            self.recent.add(job)
            self._do(self.queue.put, entry(job))
        if self._untold:
            told = Change(waiting=tuple(job for job in some if job.id in self._untold))
            self._untold.difference_update(job.id for job in some)
            for watcher in self.watchers:
                self._do(watcher, told)
        self._is_due = bool(self._coming)
        if self._is_due:
            self.clock.callLater(0, self._put_some)

    def _tell(self, change: Change, asker: HostSession | None) -> None:
        """Push the notices: who asked gets those about its own commands."""
        if asker is None:
            self.outbox.push(change.notices)
            return
        own = {notice.id for each in change.answered for notice in each.notices}
        for notice in change.notices:
            self.outbox.push((notice,), asker if notice.id in own else None)

    def _do(self, effect: Callable[[Any], object], what: object) -> None:
        try:
            effect(what)
        except Exception:  # noqa: BLE001 - what else follows is done all the same
            self._failed(getattr(effect, "__qualname__", str(effect)))

    def _failed(self, effect: str) -> None:
        self.log.failure(
            "What follows from a change could not be done: {effect}.",
            action="effect_defect",
            effect=effect,
        )


@frozen
class _Later:
    """A change that was written while another one was applied."""

    written: Written[Any]  # each has its own type of result
    asker: HostSession | None
    applied: Deferred[Any]


class EngineLedger:
    """The ledger as the engine writes it: a change is applied before the write's result comes.

    Changes are applied one after the other, in the order in which they were written.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._apply: Callable[[Change, HostSession | None], None] = lambda *_: None
        self._is_applying = False
        self._later: deque[_Later] = deque()

    def on_change(self, apply: Callable[[Change, HostSession | None], None]) -> None:
        """Have changes applied by this, which raises nothing, from now on."""
        self._apply = apply

    @property
    def backlog(self) -> int:
        """How many writes wait, or are under way."""
        return self._ledger.backlog

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written just now; None when all is well."""
        return self._ledger.trouble

    def write(
        self, verb: Callable[Concatenate[Scope, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """Run a verb that writes; its result is on the disk, and its change applied, as it comes.

        See vtspolicy.ledger.protocol.Ledger.
        """
        return self._ledger.write(verb, *args, **kwargs).addCallback(self._written)

    def write_for(
        self,
        asker: HostSession,
        verb: Callable[Concatenate[Scope, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Deferred[T]:
        """Write commands of a session: it gets their notices, as long as it can take some."""
        return self._ledger.write(verb, *args, **kwargs).addCallback(self._written, asker)

    def read(
        self, verb: Callable[Concatenate[Scope, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """Run a verb that only reads, on what is committed."""
        return self._ledger.read(verb, *args, **kwargs)

    def browse(
        self, verb: Callable[Concatenate[Scope, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """Run a verb that only reads, and may ask anything."""
        return self._ledger.browse(verb, *args, **kwargs)

    def backup(self, path: Path) -> Deferred[None]:
        """Make a consistent copy while the server runs."""
        return self._ledger.backup(path)

    def _written(self, written: Written[T], asker: HostSession | None = None) -> T | Deferred[T]:
        """Apply a change, and those that are written meanwhile."""
        if written.change is NOTHING:
            return written.result
        if self._is_applying:
            applied: Deferred[T] = Deferred()
            self._later.append(_Later(written, asker, applied))
            return applied
        self._is_applying = True
        try:
            self._apply(written.change, asker)
            while self._later:
                later = self._later.popleft()
                self._apply(later.written.change, later.asker)
                later.applied.callback(later.written.result)
        finally:
            self._is_applying = False
        return written.result


def entry(job: Job | WaitingJob) -> Entry:
    """Return a job as the queue knows it."""
    return Entry(
        job=job.id,
        application=job.work.application,
        lock=job.lock,
        priority=job.priority,
        due=job.due,
        order=job.id,
        since=job.created,
    )
