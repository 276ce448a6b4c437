"""Lines of the history about orders, written beside them."""

from attrs import define, field
from twisted.logger import Logger
from twisted.python.failure import Failure

from vtspolicy.engine.effects import EngineLedger
from vtspolicy.ledger import History


@define(kw_only=True)
class Notes:
    """Adds lines to the history; an order does not wait for a ledger that takes no writes."""

    ledger: EngineLedger
    log: Logger = field(factory=lambda: Logger("vtspolicy.operator"))

    def add(
        self, subject: str, before: str | None, after: str, *, cause: str, actor: str, at: float
    ) -> None:
        """Add a line; the log says so if it cannot be added."""
        noted = self.ledger.write(
            History.add, subject, before, after, cause=cause, actor=actor, at=at
        )
        noted.addErrback(self.not_noted)

    def not_noted(self, failure: Failure) -> None:
        """Log that the history lacks an order."""
        self.log.warn(
            "The history lacks what was ordered: {why}.",
            action="not_noted",
            why=failure.getErrorMessage(),
        )
