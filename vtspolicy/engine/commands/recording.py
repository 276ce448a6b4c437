"""The commands of one batch go into the ledger together, and none fails because another does."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from twisted.internet.defer import Deferred, gatherResults

from vtspolicy.engine.commands.about_request import AboutRequest
from vtspolicy.engine.effects import EngineLedger
from vtspolicy.hosts.session import HostSession
from vtspolicy.jobs import Job
from vtspolicy.ledger import BeingRecorded, LargeRequests, LedgerError, RequestRecords
from vtspolicy.ledger.large_requests import is_large, slices
from vtspolicy.ledger.requests import Recorded
from vtspolicy.requests import Intake

TOGETHER = 50
"""Commands that one verb records at most: some milliseconds, so that others can write between."""

TRIES = 10_000
"""How often a command is tried that names, or is, one whose jobs are still being recorded.

Each try waits for a flush, which the next slice of those jobs shares.
"""

Decided = AboutRequest | Intake
"""A command as the table has decided it, or one about a request: that needs the ledger."""

Result = Recorded | Exception
"""What became of a command, or what kept it from being recorded."""


def together(commands: Iterable[Decided]) -> Iterator[list[Decided]]:
    """Yield commands in their order: those of the table together.

    Those about requests, and those of very many jobs, are alone.
    """
    some: list[Decided] = []
    for command in commands:
        alone = isinstance(command, AboutRequest) or is_large(command)
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
    try:
        if len(some) == 1:
            return [await _record_one(ledger, some[0], session)]
        intakes = [each for each in some if isinstance(each, Intake)]
        return [*await ledger.write_for(session, RequestRecords.record_all, intakes)]
    except Exception as error:  # noqa: BLE001 - it is the answer
        if len(some) == 1:
            return [error]
    apart = [Deferred.fromCoroutine(record(ledger, [each], session)) for each in some]
    return [result for results in await gatherResults(apart) for result in results]


async def _record_one(ledger: EngineLedger, command: Decided, session: HostSession) -> Recorded:
    """Record one command; wait where it is about one that is still being recorded."""
    for _ in range(TRIES):
        with suppress(BeingRecorded):
            if isinstance(command, AboutRequest):
                return await _answer(ledger, command, session)
            if is_large(command):
                return await _record_large(ledger, command, session)
            return await ledger.write_for(session, RequestRecords.record, command)
    raise LedgerError("a command that this one repeats or names was not recorded in time")


async def _answer(ledger: EngineLedger, command: AboutRequest, session: HostSession) -> Recorded:
    result = await ledger.write_for(session, command.answer)
    while isinstance(result, AboutRequest):
        result = await ledger.write_for(session, result.answer)
    return result


async def _record_large(ledger: EngineLedger, intake: Intake, session: HostSession) -> Recorded:
    """Record a command of very many jobs in slices; the last one accepts it."""
    begun = await ledger.write_for(session, LargeRequests.begin, intake)
    if isinstance(begun, Recorded):
        return begun
    jobs: list[Job] = []
    try:
        for some in slices(intake):
            jobs += await ledger.write(LargeRequests.add_jobs, intake, begun, some)
        return await ledger.write_for(session, LargeRequests.accept, intake, begun, jobs)
    except Exception:
        await ledger.write(LargeRequests.abandon, begun)
        raise
