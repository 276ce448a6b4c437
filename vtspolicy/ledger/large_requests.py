"""Requests of very many jobs: recorded and cancelled in slices, so that others write between them.

A command is accepted when all its jobs are recorded: `accept` is the last slice, and the first
moment at which anything is told, queued or run. Until then the request is marked as unfinished: it
can be neither named nor repeated, and the next start removes what there is of it, as if the command
had never come. Its host was told nothing, and shows it again.
"""

from collections.abc import Iterator, Sequence

from vtspolicy.changes import ChangeBuilder
from vtspolicy.jobs import Job
from vtspolicy.ledger.errors import BeingRecorded
from vtspolicy.ledger.history import cancelled_by
from vtspolicy.ledger.jobs import JobRecords
from vtspolicy.ledger.part import Part
from vtspolicy.ledger.requests import Recorded, RequestRecords
from vtspolicy.ledger.retention import Retention
from vtspolicy.ledger.statements import Statements
from vtspolicy.requests import Intake
from vtspolicy.rules.decision import PlannedJob

SLICE = 250
"""Jobs that are recorded or cancelled at once: some milliseconds."""

LAST = 2**62
"""Above the numbers of all jobs."""


def is_large(intake: Intake) -> bool:
    """Whether a command has more jobs than one slice."""
    return len(intake.jobs) > SLICE


def slices(intake: Intake) -> Iterator[Sequence[PlannedJob]]:
    """Yield the jobs of a command in slices."""
    for first in range(0, len(intake.jobs), SLICE):
        yield intake.jobs[first : first + SLICE]


class LargeRequests(Part):
    """Requests of more jobs than one slice."""

    def __init__(
        self,
        sql: Statements,
        change: ChangeBuilder,
        *,
        requests: RequestRecords,
        jobs: JobRecords,
        retention: Retention,
    ) -> None:
        super().__init__(sql, change)
        self._retention = retention
        self._requests = requests
        self._jobs = jobs

    def begin(self, intake: Intake) -> Recorded | int:
        """Record a command without its jobs; returns its number, or that it was seen before."""
        number = self._requests.begin(intake)
        if isinstance(number, int):
            self._sql.do("mark_unfinished", request=number)
        return number

    def add_jobs(
        self, intake: Intake, request: int, planned: Sequence[PlannedJob]
    ) -> tuple[Job, ...]:
        """Record the next of its jobs; they do not wait yet."""
        return self._requests.add_jobs(intake, request, planned)

    def accept(self, intake: Intake, request: int, jobs: Sequence[Job]) -> Recorded:
        """Record that all jobs are there, and the first notice; now they wait."""
        self._sql.do("end_unfinished", request=request)
        return self._requests.announce(
            intake, Recorded(request=request, duplicate=False, jobs=tuple(jobs))
        )

    def abandon(self, request: int) -> bool:
        """Remove a request that is unfinished, its jobs and its event; False if it is not."""
        if not self.is_unfinished(request):
            return False
        self._retention.remove([request])
        self._sql.do("end_unfinished", request=request)
        return True

    def abandon_all(self) -> int:
        """Remove all unfinished requests: an earlier server has left them. Returns their number."""
        numbers = [int(row.id) for row in self._sql.all("unfinished_requests")]
        return sum(self.abandon(number) for number in numbers)

    def is_unfinished(self, request: int) -> bool:
        """Whether a request is not accepted yet."""
        return self._sql.one("unfinished", request=request) is not None

    def require_accepted(self, request: int) -> None:
        """Raise BeingRecorded for a request that is not accepted yet."""
        if self.is_unfinished(request):
            raise BeingRecorded(request)

    def cancel_some(
        self,
        request: int,
        actor: str,
        at: float,
        reason: str | None = None,
        *,
        below: int = LAST,
    ) -> tuple[Job, ...]:
        """Cancel the last waiting jobs of a request whose numbers are below one, a slice of them.

        Empty if so few are left that one cancel may end them all: the final notice is its own.
        Raises BeingRecorded.
        """
        self.require_accepted(request)
        known = self._requests.get(request)
        if known is None or known.live <= SLICE:
            return ()
        cause = cancelled_by(actor, reason)
        first = self._sql.need("first_of_last", request=request, below=below, limit=SLICE).id
        if first is None:
            return ()
        return self._jobs.end_waiting(request, cause, actor, at, range(first, below)).ended
