"""A transaction: every operation on the ledger, in parts."""

from collections.abc import Callable, Mapping
from typing import Concatenate, ParamSpec, TypeVar, cast

from attrs import field, frozen

from vtspolicy.changes import ChangeBuilder, Written
from vtspolicy.jobs import JobState
from vtspolicy.ledger.attempts import AttemptRecords
from vtspolicy.ledger.clock import ClockRecords
from vtspolicy.ledger.copies import CopyRecords
from vtspolicy.ledger.events import EventRecords
from vtspolicy.ledger.history import History
from vtspolicy.ledger.jobs import JobRecords
from vtspolicy.ledger.large_requests import LargeRequests
from vtspolicy.ledger.meta import Meta
from vtspolicy.ledger.mounts import MountRecords
from vtspolicy.ledger.notices import NoticeRecords, Pending
from vtspolicy.ledger.numbers import Numbers
from vtspolicy.ledger.overview import Overview
from vtspolicy.ledger.part import Part, part_of
from vtspolicy.ledger.requests import RequestRecords
from vtspolicy.ledger.retention import Retention
from vtspolicy.ledger.statements import Statements
from vtspolicy.ledger.tape_orders import TapeOrders
from vtspolicy.ledger.tapes import TapeRecords
from vtspolicy.ledger.waiting import WaitingJobs
from vtspolicy.ledger.works import WorkRecords

P = ParamSpec("P")
T = TypeVar("T")
Scope = TypeVar("Scope", bound="Transaction | Part")
"""What an operation is given first: the part that it belongs to, or the transaction."""


@frozen(kw_only=True)
class Counts:
    """How much of what the ledger holds."""

    jobs: Mapping[JobState, int] = field(factory=dict)  # every state, live and finished
    pending: tuple[Pending, ...] = ()  # by host; hosts without any are left out


@frozen(kw_only=True)
class Serving:
    """What a server found as it began with a ledger."""

    restored: bool  # it is a copy that no server has opened yet
    first: int  # the number that the next request gets
    doubted: int  # attempts under way that count as interrupted if the spool has no folder of them


class Transaction:
    """What can be asked of a ledger, and written to it, within one transaction.

    Its parts are attributes. An operation is named by its part: `JobRecords.get` is what
    `tx.jobs.get` calls. What spans several parts is a function of the transaction. Its caller
    begins it and ends it; one that raises may have written, so that the caller rolls back and calls
    `forget`.
    """

    def __init__(self, sql: Statements) -> None:
        self.sql = sql
        change = self._change = ChangeBuilder()  # of what is performed just now
        self.history = History(sql, change)
        self.events = EventRecords(sql, change)
        self.works = WorkRecords(sql, change)
        self.notices = NoticeRecords(sql, change)
        self.meta = Meta(sql, change, self.history)
        self.clock = ClockRecords(sql, change, self.history)
        self.numbers = Numbers(sql, change)
        self.copies = CopyRecords(sql, change, self.works, self.history)
        self.tapes = TapeRecords(sql, change, self.copies, self.works, self.history)
        self.orders = TapeOrders(sql, change, self.tapes, self.copies, self.history)
        self.mounts = MountRecords(sql, change, self.events, self.notices, self.history)
        self.jobs = JobRecords(
            sql,
            change,
            numbers=self.numbers,
            works=self.works,
            notices=self.notices,
            history=self.history,
            tapes=self.tapes,
            orders=self.orders,
        )
        self.attempts = AttemptRecords(sql, change, self.jobs, self.history)
        self.requests = RequestRecords(
            sql,
            change,
            events=self.events,
            jobs=self.jobs,
            works=self.works,
            numbers=self.numbers,
            notices=self.notices,
            history=self.history,
        )
        self.waiting = WaitingJobs(sql, change, self.works)
        self.overview = Overview(sql, change, self.jobs, self.works)
        self.retention = Retention(sql, change)
        self.large = LargeRequests(
            sql, change, requests=self.requests, jobs=self.jobs, retention=self.retention
        )
        self._parts = {type(part): part for part in vars(self).values() if isinstance(part, Part)}

    def ask(
        self, operation: Callable[Concatenate[Scope, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run an operation of a part, or a function of the transaction."""
        part = part_of(operation)
        scope = self if part is None else self._parts[part]
        return operation(cast("Scope", scope), *args, **kwargs)

    def perform(
        self, operation: Callable[Concatenate[Scope, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Written[T]:
        """Run an operation that writes; answers what it has changed, too."""
        self._change.clear()
        result = self.ask(operation, *args, **kwargs)
        return Written(result, self._change.change())

    def forget(self) -> None:
        """Forget what was remembered of rows: the transaction was rolled back."""
        for part in self._parts.values():
            part.forget()

    # -- what spans several parts

    def counts(self) -> Counts:
        """Return jobs by state and pending notices by host; cheap however much has finished."""
        return Counts(jobs=self.jobs.counts(), pending=self.notices.pending_counts())

    def begin_serving(
        self, newest_job: int = 0, *, now: float, is_own_spool: bool = True
    ) -> Serving:
        """Give the jobs from now on handles, and numbers, that were never given before.

        `newest_job` is the highest job number that the spool knows: a ledger that was restored
        from a copy would give it again, and take an old run for a new job's. Hosts, too, know the
        numbers that such a ledger gave since the copy. Therefore its requests, jobs and notices
        continue where the clock says: `now`, in seconds since the epoch. So does the same copy that
        is restored again.

        Requests that an earlier server has not recorded to their last job are removed.

        It doubts the attempts that are under way, too, as it does where the spool is not known to
        be its own: one that has no folder there may have run all the same.
        """
        restored = self.meta.end_restored()
        self.large.abandon_all()
        first = self.numbers.begin_serving(newest_job, now=now, restored=restored)
        if restored:
            self.tapes.unsee()  # each is looked at before its record is believed
        doubted = self.attempts.doubt() if restored or not is_own_spool else 0
        return Serving(restored=restored, first=first, doubted=doubted)
