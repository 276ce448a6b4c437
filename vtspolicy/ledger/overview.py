"""Overviews for people: what a night brought, what needs somebody, who was told what."""

from collections.abc import Collection, Mapping

from attrs import field, frozen

from vtspolicy.changes import ChangeBuilder
from vtspolicy.jobs import Job, JobState, Request, Transition
from vtspolicy.ledger.filters import among, lower
from vtspolicy.ledger.history import transition_of
from vtspolicy.ledger.jobs import JobRecords
from vtspolicy.ledger.notices import notice_of
from vtspolicy.ledger.part import Part
from vtspolicy.ledger.requests import request_of
from vtspolicy.ledger.statements import Statements, Value
from vtspolicy.ledger.works import WorkRecords
from vtspolicy.notices import Notice


@frozen(kw_only=True)
class Run:
    """When one job ran, for a picture of several hours."""

    job: int
    host: str
    application: str
    state: JobState
    started: float  # of the first attempt, seconds since the epoch
    finished: float | None


@frozen(kw_only=True)
class Delivery:
    """A notice, and whether its host has it."""

    notice: Notice
    delivered: float | None  # when it left the outbox; None: it waits
    expired: bool  # it left by age: its host never had it


@frozen(kw_only=True)
class Entry:
    """A line of the history with its place in it."""

    number: int
    line: Transition


@frozen(kw_only=True)
class HostDay:
    """What a host asked for since a time."""

    host: str
    requests: Mapping[str, int] = field(factory=dict)  # by their states
    refused: Mapping[str, int] = field(factory=dict)  # by the reasons of refusals, most first


class Overview(Part):
    """What people want to see of a night; nothing here changes anything."""

    def __init__(
        self, sql: Statements, change: ChangeBuilder, jobs: JobRecords, works: WorkRecords
    ) -> None:
        super().__init__(sql, change)
        self._jobs = jobs
        self._works = works

    def failed_since(self, since: float) -> tuple[int, int]:
        """Return how many jobs, and requests without any, have failed since, not repeated."""
        jobs = self._sql.need("failed_since", since=since)
        alone = self._sql.need("failed_alone", since=since)
        return int(jobs.count), int(alone.count)

    def hosts_since(self, since: float) -> list[HostDay]:
        """Return what hosts asked for since a time, and why some of it was refused."""
        requests: dict[str, dict[str, int]] = {}
        for row in self._sql.all("requests_of_hosts_since", since=since):
            requests.setdefault(row.host, {})[row.state] = row.count
        refused: dict[str, dict[str, int]] = {}
        for row in self._sql.all("refusals_of_hosts_since", since=since):
            refused.setdefault(row.host, {})[row.reason] = row.count
        return [
            HostDay(host=host, requests=counts, refused=refused.get(host, {}))
            for host, counts in requests.items()
        ]

    def results_since(self, since: float) -> dict[JobState, int]:
        """Return how many jobs have ended how since a time."""
        results: dict[JobState, int] = {}
        for query in ("results_since", "results_of_live"):
            for row in self._sql.all(query, since=since):
                state = JobState(row.state)
                results[state] = results.get(state, 0) + row.count
        return results

    def refusals_since(self, since: float, limit: int) -> list[Request]:
        """Return requests that were refused, or failed without a job, the newest first."""
        return [
            request_of(row) for row in self._sql.all("refusals_since", since=since, limit=limit)
        ]

    def unrepaired(self, since: float, limit: int) -> list[Job]:
        """Return jobs that ended badly since a time and that nothing made good, the newest first.

        One is made good when an operator had it run again with success (or that is under way), or
        when a later job did to the same tape what it was to do.
        """
        return [
            self._jobs.from_row(row)
            for row in self._sql.all("unrepaired", since=since, limit=limit)
        ]

    def warnings_since(self, since: float, limit: int) -> list[Job]:
        """Return jobs of finished requests that ended with warnings, the newest first."""
        return [
            self._jobs.from_row(row)
            for row in self._sql.all("warnings_since", since=since, limit=limit)
        ]

    def runs_since(self, since: float, limit: int) -> list[Run]:
        """Return when jobs ran that had not ended by a time, the last one that began first."""
        return [
            Run(
                job=row.id,
                host=row.host,
                application=self._works.get(row.work).application,
                state=JobState(row.state),
                started=row.started,
                finished=row.finished,
            )
            for row in self._sql.all("runs_since", since=since, limit=limit)
        ]

    def deliveries(self, request_id: int) -> list[Delivery]:
        """Return the notices of a request, in the order in which they were recorded."""
        return [
            Delivery(notice=notice_of(row), delivered=row.delivered, expired=bool(row.expired))
            for row in self._sql.all("notices_and_delivery", request=request_id)
        ]

    def history_before(
        self,
        number: int | None = None,
        *,
        actor: str | None = None,
        subject: str | None = None,
        since: float | None = None,
        until: float | None = None,
        without: Collection[str] = (),
        limit: int = 100,
    ) -> list[Entry]:
        """Return lines of the history, the newest first, that fit every filter given.

        `actor` and `subject` are parts of words; `without` are actors that are left out.
        """
        conditions: dict[str, Value] = {
            "lines_of_actor": lower(actor),
            "lines_about": lower(subject),
            "lines_since": since,
            "lines_until": until,
            "lines_not_of": among(without) if without else None,
        }
        rows = self._sql.select(
            "history_before",
            conditions,
            order="id DESC",
            limit=limit,
            first=number if number is not None else 2**62,
        )
        return [Entry(number=row.id, line=transition_of(row)) for row in rows]
