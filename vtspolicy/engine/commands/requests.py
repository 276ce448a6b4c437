"""Commands about requests: Status answers, Cancel stops; both only for the host's own requests."""

from collections.abc import Mapping

from attrs import evolve

from vtspolicy.engine.commands.intake import Understood, refused
from vtspolicy.grammar.values import BY_REFERENCE
from vtspolicy.jobs import JobState, Request, RequestState
from vtspolicy.ledger import Transaction
from vtspolicy.ledger.errors import NoSuchRow
from vtspolicy.ledger.requests import Recorded


def answer(tx: Transaction, understood: Understood) -> Recorded:
    """Record a Status or Cancel command and carry it out, in one transaction."""
    request = _own_request(tx, understood)
    if isinstance(request, str):
        return tx.requests.record(refused(understood, RequestState.DENIED, request))
    if understood.command.operation == "status":
        intake = refused(understood, RequestState.ANSWERED, None)
        fields = dict(status_fields(request))
        if reference_of(understood) is not None:  # what is asked by name has a number of its own
            del fields["req"]
            fields["reason"] = f"request {request.id}: {fields['reason']}"
        return tx.requests.record(evolve(intake, fields=fields))
    end, reason = _cancellation(request)
    intake = refused(understood, RequestState.OPEN, reason, end=end)
    recorded = tx.requests.record(intake)
    if not recorded.duplicate:
        tx.requests.cancel(request.id, f"host {understood.host.name}", understood.received)
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
