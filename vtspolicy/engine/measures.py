"""What the metrics take from configuration and ledger: names, and what was before this server."""

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from vtspolicy.engine.intake import Reader
from vtspolicy.ledger import Book
from vtspolicy.metrics import Metrics

if TYPE_CHECKING:
    from vtspolicy.engine.engine import Engine


def know(metrics: Metrics, reader: Reader) -> None:
    """Have the metrics take the names of a configuration that is in force from now on."""
    rules = [
        (rule.name, None if rule.work is None else rule.work.application, rule.families or ())
        for rule in reader.table.rules
    ]
    metrics.know(
        hosts=reader.configuration.hosts,
        rules=rules,
        families=reader.vocabulary.families,
        applications=reader.table.seats,
    )


def recall(engine: "Engine") -> Deferred[None]:
    """Have the metrics take what the ledger knows of earlier servers: successes, its last copy.

    Nothing waits for that. Should it take too long, those times are reported when they come again.
    """

    def look(book: Book) -> tuple[list[tuple[str, str, str, float]], float | None]:
        copies = book.history(LEDGER)
        return book.successes(), copies[-1].at if copies else None

    def take(found: tuple[list[tuple[str, str, str, float]], float | None]) -> None:
        successes, copied = found
        for application, host, rule, at in successes:
            engine.metrics.succeeded(application, host, rule, at)
        if copied is not None:
            engine.metrics.ledger_backup.set(copied)

    return engine.ledger.browse(look).addCallback(take)


LEDGER = "ledger"
"""The subject of the history's lines about copies of the ledger."""
