"""The commands of one batch go into the ledger together, and none fails because another does."""

from collections.abc import Iterable, Iterator, Sequence

from twisted.internet.defer import Deferred, gatherResults

from vtspolicy.engine.commands.about_request import AboutRequest
from vtspolicy.engine.effects import EngineLedger
from vtspolicy.hosts.session import HostSession
from vtspolicy.ledger import RequestRecords
from vtspolicy.ledger.requests import Recorded
from vtspolicy.requests import Intake

TOGETHER = 50
"""Commands that one verb records at most: some milliseconds, so that others can write between."""

Decided = AboutRequest | Intake
"""A command as the table has decided it, or one about a request: that needs the ledger."""

Result = Recorded | Exception
"""What became of a command, or what kept it from being recorded."""


def together(commands: Iterable[Decided]) -> Iterator[list[Decided]]:
    """Yield commands in their order: those of the table together, those about requests alone."""
    some: list[Decided] = []
    for command in commands:
        alone = isinstance(command, AboutRequest)
        if some and (alone or len(some) == TOGETHER):
            yield some
            some = []
        some.append(command)
        if alone:
            yield some
            some = []
    if some:
        yield some


async def record(
    ledger: EngineLedger, some: Sequence[Decided], session: HostSession
) -> list[Result]:
    """Record commands of a session that `together` gave; answers how it went for each.

    The ledger is asked before this first waits: who calls one after the other keeps their order.
    """
    first = some[0]
    try:
        if isinstance(first, AboutRequest):
            return [await ledger.write_for(session, first.answer)]
        intakes = [each for each in some if isinstance(each, Intake)]
        return [*await ledger.write_for(session, RequestRecords.record_all, intakes)]
    except Exception as error:  # noqa: BLE001 - it is the answer
        if len(some) == 1:
            return [error]
    apart = [Deferred.fromCoroutine(record(ledger, [each], session)) for each in some]
    return [result for results in await gatherResults(apart) for result in results]
