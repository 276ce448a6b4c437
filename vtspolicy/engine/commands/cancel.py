"""Cancel: a host stops a request of its own."""

from attrs import frozen

from vtspolicy.engine.commands.about_request import AboutRequest
from vtspolicy.engine.commands.composing import refused
from vtspolicy.jobs import JobState, Request, RequestState
from vtspolicy.ledger import Recorded, Transaction


@frozen(kw_only=True)
class Cancel(AboutRequest):
    """`VTSPolicy Cancel - request` or `Cancel - ref=REF`."""

    def carry_out(self, tx: Transaction, request: Request) -> Recorded:
        """Cancel what has not ended; the record says how much that was."""
        end, reason = _cancellation(request)
        intake = refused(self.command, RequestState.OPEN, reason, end=end)
        recorded = tx.requests.record(intake)
        if not recorded.duplicate:
            actor = f"host {self.command.host.name}"
            tx.requests.cancel(request.id, actor, self.command.received)
        return recorded


def _cancellation(request: Request) -> tuple[JobState, str]:
    """Return how a Cancel of a request ends, and why: what had ended otherwise is not cancelled."""
    if request.live:
        jobs = "1 job" if request.live == 1 else f"{request.live} jobs"
        return JobState.COMPLETED, f"request {request.id}: {jobs} being cancelled"
    if request.state is RequestState.CANCELLED:
        return JobState.COMPLETED, f"request {request.id} was cancelled already"
    ended = f"request {request.id} had ended already: {request.state.value}"
    return JobState.WARNING, f"nothing was cancelled: {ended}"
