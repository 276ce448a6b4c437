"""Commands about requests: Status answers, Cancel stops; both only for the host's own requests."""

from collections.abc import Mapping

from attrs import evolve, frozen

from vtspolicy.engine.commands.intake import Understood, refused
from vtspolicy.grammar.values import BY_REFERENCE
from vtspolicy.jobs import JobState, Request, RequestState
from vtspolicy.ledger import Transaction
from vtspolicy.ledger.errors import NoSuchRow
from vtspolicy.ledger.large_requests import LAST
from vtspolicy.ledger.requests import Recorded


@frozen
class BeingCancelled:
    """A request of many jobs, some of which were cancelled: the Cancel itself comes last."""

    request: int
    jobs: int  # that were live before
    below: int  # where the next slice ends: jobs from this number on are done with


def answer(
    tx: Transaction, understood: Understood, begun: BeingCancelled | None = None
) -> Recorded | BeingCancelled:
    """Record a Status or Cancel command and carry it out, in one transaction.

    The Cancel of a request of many jobs needs several: call this again with what it returns. The
    command is recorded and answered by the last of them. Until then nothing was promised, and the
    jobs that were cancelled stay so.

    Raises BeingRecorded.
    """
    request = tx.requests.get(begun.request) if begun is not None else _own_request(tx, understood)
    if request is None:
        raise NoSuchRow("request", begun.request if begun is not None else 0)
    if isinstance(request, str):
        return tx.requests.record(refused(understood, RequestState.DENIED, request))
    tx.large.require_accepted(request.id)
    if understood.command.operation == "status":
        intake = refused(understood, RequestState.ANSWERED, None)
        fields = dict(status_fields(request))
        if reference_of(understood) is not None:  # what is asked by name has a number of its own
            del fields["req"]
            fields["reason"] = f"request {request.id}: {fields['reason']}"
        return tx.requests.record(evolve(intake, fields=fields))
    live = begun.jobs if begun is not None else request.live
    end, reason = _cancellation(request, live)
    intake = refused(understood, RequestState.OPEN, reason, end=end)
    actor, at = f"host {understood.host.name}", understood.received
    if begun is not None or not tx.events.is_known(intake.event, intake.digest):
        below = begun.below if begun is not None else LAST
        if some := tx.large.cancel_some(request.id, actor, at, below=below):
            return BeingCancelled(request.id, live, some[0].id)
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


def status_fields(request: Request) -> Mapping[str, str | int]:
    """Return what a STATUS notice says of a request."""
    fields: dict[str, str | int] = {"req": request.id, "jobs": request.jobs}
    if request.family is not None:
        fields["family"] = request.family
    if request.operation is not None:
        fields["operation"] = request.operation
    fields |= {"ok": request.ok, "warn": request.warn, "failed": request.failed}
    state = request.state.value
    if request.state is RequestState.OPEN:
        state = f"open, {request.live} of {request.jobs} jobs to go"
    elif request.reason:
        state = f"{state}: {request.reason}"
    fields["reason"] = state
    return fields


def reference_of(understood: Understood) -> str | None:
    """Return the reference by which a command names its request; None if by its number."""
    text = understood.command.keywords.get("request", "")
    return text.removeprefix(BY_REFERENCE) if text.startswith(BY_REFERENCE) else None


def _own_request(tx: Transaction, understood: Understood) -> Request | str:
    text = understood.command.keywords.get("request", "")
    reference = reference_of(understood)
    try:
        if reference is not None:
            request = tx.requests.by_ref(understood.host.name, reference)
        else:
            request = tx.requests.get(int(text)) if text.isdigit() and len(text) < 19 else None
    except NoSuchRow:
        request = None
    if request is None or request.host != understood.host.name:
        # The same words for both: a host learns nothing of the requests of others.
        return f"host {understood.host.name} has no request {text}"
    return request
