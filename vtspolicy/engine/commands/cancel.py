"""Cancel: a host stops a request of its own."""

from attrs import evolve, frozen

from vtspolicy.engine.commands.about_request import AboutRequest, NotTheirs
from vtspolicy.engine.commands.composing import refused
from vtspolicy.jobs import JobState, Request, RequestState
from vtspolicy.ledger import NoSuchRow, Recorded, Transaction
from vtspolicy.ledger.large_requests import LAST


@frozen(kw_only=True)
class Begun:
    """A request of many jobs, some of which were cancelled: the Cancel itself comes last."""

    request: int
    jobs: int  # that were live before
    below: int  # where the next slice ends: jobs from this number on are done with


@frozen(kw_only=True)
class Cancel(AboutRequest):
    """`VTSPolicy Cancel - request` or `Cancel - ref=REF`.

    That of a request of many jobs needs several transactions; the jobs that were cancelled by the
    first of them stay so.
    """

    begun: Begun | None = None

    def target(self, tx: Transaction) -> Request | NotTheirs:
        """Return the request that is named; the same one in each transaction."""
        if self.begun is None:
            return super().target(tx)
        request = tx.requests.get(self.begun.request)
        if request is None:
            raise NoSuchRow("request", self.begun.request)
        return request

    def carry_out(self, tx: Transaction, request: Request) -> "Recorded | Cancel":
        """Cancel what has not ended; the record says how much that was."""
        live = self.begun.jobs if self.begun is not None else request.live
        end, reason = _cancellation(request, live)
        intake = refused(self.command, RequestState.OPEN, reason, end=end)
        actor, at = f"host {self.host.name}", self.received
        if self.begun is not None or not tx.events.is_known(intake.event, intake.digest):
            below = self.begun.below if self.begun is not None else LAST
            if some := tx.large.cancel_some(request.id, actor, at, below=below):
                begun = Begun(request=request.id, jobs=live, below=some[0].id)
                return evolve(self, begun=begun)
        recorded = tx.requests.record(intake)
        if not recorded.duplicate:
            tx.requests.cancel(request.id, actor, at)
        return recorded


def _cancellation(request: Request, live: int) -> tuple[JobState, str]:
    """Return how a Cancel of a request ends, and why: what had ended otherwise is not cancelled."""
    if live:
        jobs = "1 job" if live == 1 else f"{live} jobs"
        return JobState.COMPLETED, f"request {request.id}: {jobs} being cancelled"
    if request.state is RequestState.CANCELLED:
        return JobState.COMPLETED, f"request {request.id} was cancelled already"
    ended = f"request {request.id} had ended already: {request.state.value}"
    return JobState.WARNING, f"nothing was cancelled: {ended}"
