"""The parts of an engine, put together once: for the service, and for tests with fakes below it."""

from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from vtspolicy.clock_trust import ClockTrust
from vtspolicy.engine.calls import Calls
from vtspolicy.engine.conduct import Conductor
from vtspolicy.engine.engine import Engine
from vtspolicy.engine.intake import Reader
from vtspolicy.engine.journal import Journal
from vtspolicy.engine.patience import Patience
from vtspolicy.engine.tapes.checks import TapeChecks
from vtspolicy.engine.tapes.proving import Proving
from vtspolicy.hosts.outbox import Outbox
from vtspolicy.ledger import Book, Ledger
from vtspolicy.log_limit import LogLimit
from vtspolicy.metrics import Metrics
from vtspolicy.notices import Notice
from vtspolicy.queue.embedded import EmbeddedQueue
from vtspolicy.runner.protocol import Runner
from vtspolicy.vaults import Vaults


@frozen
class LedgerStore:
    """The outbox's view of the ledger."""

    ledger: Ledger
    clock: IReactorTime

    def pending(self, host: str, after: int, limit: int) -> Deferred[list[Notice]]:
        """Return undelivered notices of a host with numbers above `after`."""
        return self.ledger.read(Book.pending_notices, host, after, limit)

    def delivered(self, ids: Sequence[int]) -> Deferred[int]:
        """Note that these have arrived."""
        return self.ledger.write(Book.delivered, ids, self.clock.seconds())


def assemble(
    *,
    clock: IReactorTime,
    reader: Reader,
    ledger: Ledger,
    runner: Runner,
    metrics: Metrics,
    threads: Callable[..., Deferred[Any]],  # each call has its own type of answer
    steady: Callable[[], float] | None = None,
    trust: ClockTrust | None = None,
) -> Engine:
    """Return an engine with a queue in the process; it is not started yet.

    `steady` is a monotonic clock, and `trust` compares another one with `clock`. Without them
    `clock` itself is taken as monotonic.
    """
    configuration = reader.configuration
    outbox = Outbox(clock, LedgerStore(ledger, clock))
    journal = Journal(
        limit=LogLimit(clock),
        on_refused=lambda notice: metrics.request_result(notice.word, notice.host),
        on_job_end=metrics.job_ended,
    )

    def ended(notice: Notice) -> None:
        metrics.request_ended(notice.word)
        metrics.request_result(notice.word, notice.host)
        journal.request_ended(notice)

    outbox.on_final = ended
    queue = EmbeddedQueue(clock)
    vaults = Vaults(configuration.vaults, configuration.vaults_without)
    calls = Calls(clock=clock, runner=runner, node=configuration.node)
    checks = TapeChecks(
        ledger=ledger,
        vaults=vaults,
        clock=clock,
        threads=threads,
        calls=calls,
        metrics=metrics,
    )
    conductor = Conductor(
        clock=clock,
        steady=steady or clock.seconds,
        ledger=ledger,
        queue=queue,
        runner=runner,
        outbox=outbox,
        checks=checks,
        calls=calls,
        journal=journal,
        proving=Proving(clock=clock, checks=checks),
        patience=Patience(clock=clock, ledger=ledger, queue=queue, outbox=outbox),
        metrics=metrics,
    )
    engine = Engine(
        clock=clock,
        reader=reader,
        ledger=ledger,
        queue=queue,
        runner=runner,
        outbox=outbox,
        vaults=vaults,
        conductor=conductor,
        metrics=metrics,
        clock_trust=trust or ClockTrust(wall=clock.seconds, boot=clock.seconds, boot_id="this one"),
        threads=threads,
    )
    checks.table = lambda: engine.reader.table
    conductor.proving.take_up = engine.take_up
    conductor.proving.doubt = engine.clock_trust.check
    return engine
