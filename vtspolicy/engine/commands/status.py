"""Status: a host asks how a request of its own stands."""

from collections.abc import Mapping

from attrs import evolve, frozen

from vtspolicy.engine.commands.about_request import AboutRequest
from vtspolicy.engine.commands.composing import refused
from vtspolicy.jobs import Request, RequestState
from vtspolicy.ledger import Recorded, Transaction


@frozen(kw_only=True)
class Status(AboutRequest):
    """`VTSPolicy Status - request` or `Status - ref=REF`: answered from the ledger."""

    def carry_out(self, tx: Transaction, request: Request) -> Recorded:
        """Answer how the request stands."""
        intake = refused(self.command, RequestState.ANSWERED, None)
        fields = dict(status_fields(request))
        if self.reference is not None:  # what is asked by name has a number of its own
            del fields["req"]
            fields["reason"] = f"request {request.id}: {fields['reason']}"
        return tx.requests.record(evolve(intake, fields=fields))


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
