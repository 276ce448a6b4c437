"""Why an operator's command is not recorded at all."""

from collections.abc import Sequence

from vtspolicy.jobs import Job
from vtspolicy.ledger import Transaction
from vtspolicy.tapes import Tape


class OtherTapesError(Exception):
    """A command is about other tapes than its giver named."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"that name means {', '.join(names) or 'no tape'}")


class OverriddenAlreadyError(Exception):
    """Another order, which has not ended, has an override for the same tape."""

    def __init__(self, tape: str, job: Job) -> None:
        super().__init__(
            f"{tape}: job {job.id} of request {job.request} has an override of it already; wait for"
            f" its end, cancel it, or take it back with `vtspolicy withdraw-override {tape}`"
        )


def require_no_override(tx: Transaction, tape: Tape) -> None:
    """Raise OverriddenAlreadyError where an order that has not ended has one for a tape.

    A tape has room for one, and each belongs to one order.
    """
    known = tx.tapes.get(tape.path)
    if known is None or known.override is None or known.override_job is None:
        return
    job = tx.jobs.get(known.override_job)
    if job is not None and job.state.is_live:
        raise OverriddenAlreadyError(tape.name, job)
