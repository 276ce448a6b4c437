"""The parts of an engine, put together once: for the service, and for tests with fakes below it."""

from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from vtspolicy.clock_trust import ClockTrust
from vtspolicy.engine.calls import Calls
from vtspolicy.engine.conduct import Conductor
from vtspolicy.engine.effects import Effects, EngineLedger
from vtspolicy.engine.engine import Engine
from vtspolicy.engine.journal import Journal
from vtspolicy.engine.measures import Measures
from vtspolicy.engine.patience import Patience
from vtspolicy.engine.policy import Policy, PolicyInForce
from vtspolicy.engine.recent import RecentJobs
from vtspolicy.engine.recovery import Recovery
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

    ledger: EngineLedger
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
    policy: Policy,
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
    configuration = policy.configuration
    in_force = PolicyInForce(policy)
    written = EngineLedger(ledger)
    outbox = Outbox(clock, LedgerStore(written, clock))
    journal = Journal(clock=clock, limit=LogLimit(clock))
    patience = Patience(clock=clock, ledger=written)
    recent = RecentJobs()
    queue = EmbeddedQueue(clock)
    vaults = Vaults(configuration.vaults, configuration.vaults_without)
    if trust is None:
        trust = ClockTrust(wall=clock.seconds, boot=clock.seconds, boot_id="this one")
    calls = Calls(clock=clock, runner=runner, node=configuration.node)
    checks = TapeChecks(
        ledger=written,
        vaults=vaults,
        clock=clock,
        threads=threads,
        calls=calls,
        metrics=metrics,
        policy=in_force,
    )
    conductor = Conductor(
        clock=clock,
        steady=steady or clock.seconds,
        ledger=written,
        queue=queue,
        runner=runner,
        checks=checks,
        calls=calls,
        recent=recent,
        proving=Proving(clock=clock, checks=checks, doubt=trust.check),
    )
    measures = Measures(clock=clock, metrics=metrics)
    in_force.subscribe(measures.use)
    effects = Effects(
        outbox=outbox,
        queue=queue,
        recent=recent,
        runs=conductor,
        watchers=[patience.changed, measures.changed, journal.changed],
    )
    written.on_change(effects.apply)
    recovery = Recovery(
        clock=clock,
        ledger=written,
        policy=in_force,
        runner=runner,
        queue=queue,
        effects=effects,
        conductor=conductor,
    )
    return Engine(
        clock=clock,
        policy=in_force,
        ledger=written,
        queue=queue,
        runner=runner,
        outbox=outbox,
        effects=effects,
        vaults=vaults,
        conductor=conductor,
        recovery=recovery,
        patience=patience,
        journal=journal,
        metrics=metrics,
        clock_trust=trust,
        threads=threads,
    )
