"""The parts of an engine, put together once: for the service, and for tests with fakes below it."""

from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from vtspolicy.clock_trust import ClockTrust
from vtspolicy.engine.clock_watch import ClockWatch
from vtspolicy.engine.commands.complaints import Complaints
from vtspolicy.engine.commands.locating import Locator
from vtspolicy.engine.commands.orders import Orders
from vtspolicy.engine.commands.receiving import Receiver
from vtspolicy.engine.commands.room import Room
from vtspolicy.engine.effects import Effects, EngineLedger
from vtspolicy.engine.engine import Engine
from vtspolicy.engine.host_activity import HostActivity
from vtspolicy.engine.jobs.calls import Calls
from vtspolicy.engine.jobs.conduct import Conductor
from vtspolicy.engine.jobs.patience import Patience
from vtspolicy.engine.jobs.recent import RecentJobs
from vtspolicy.engine.journal import Journal
from vtspolicy.engine.measures import Measures
from vtspolicy.engine.operators.by_hand import ManualOrders
from vtspolicy.engine.policy import Policy, PolicyInForce
from vtspolicy.engine.recovery import Recovery
from vtspolicy.engine.tapes.catalogue import Catalogue
from vtspolicy.engine.tapes.checks import TapeChecks
from vtspolicy.engine.tapes.cleanup import Cleanup
from vtspolicy.engine.tapes.mounts import Mounts
from vtspolicy.engine.tapes.proving import Proving
from vtspolicy.hosts.outbox import Outbox
from vtspolicy.ledger import Book, Ledger
from vtspolicy.log_limit import LogLimit
from vtspolicy.metrics import Metrics
from vtspolicy.notices import Notice
from vtspolicy.queue.embedded import EmbeddedQueue
from vtspolicy.queue.protocol import Queue
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
    catalogue = Catalogue(
        clock=clock,
        ledger=written,
        vaults=vaults,
        policy=in_force,
        running=calls.running,
        threads=threads,
    )
    locator = Locator(
        clock=clock,
        ledger=written,
        policy=in_force,
        vaults=vaults,
        catalogue=catalogue,
        checks=checks,
    )
    orders = Orders(clock=clock, ledger=written, policy=in_force, locator=locator)
    cleanup = Cleanup(
        clock=clock,
        ledger=written,
        policy=in_force,
        queue=queue,
        vaults=vaults,
        catalogue=catalogue,
        orders=orders,
        trust=trust,
        threads=threads,
    )
    by_hand = ManualOrders(
        clock=clock,
        ledger=written,
        policy=in_force,
        queue=queue,
        vaults=vaults,
        catalogue=catalogue,
        checks=checks,
        orders=orders,
    )
    complaints = Complaints(journal.limit)
    mounts = Mounts(
        clock=clock,
        ledger=written,
        policy=in_force,
        metrics=metrics,
        vaults=vaults,
        catalogue=catalogue,
        checks=checks,
        calls=calls,
        complaints=complaints,
    )
    measures = Measures(clock=clock, metrics=metrics)
    effects = Effects(
        outbox=outbox,
        queue=queue,
        recent=recent,
        runs=conductor,
        watchers=[patience.changed, measures.changed, journal.changed, mounts.changed],
    )
    written.on_change(effects.apply)
    activity = HostActivity(clock=clock)
    for part in (_Seats(queue), _Roots(vaults), activity, measures):
        in_force.subscribe(part.use)
    room = Room(clock=clock, queue=queue, policy=in_force)
    return Engine(
        clock=clock,
        policy=in_force,
        ledger=written,
        queue=queue,
        runner=runner,
        outbox=outbox,
        vaults=vaults,
        conductor=conductor,
        patience=patience,
        recovery=Recovery(
            clock=clock,
            ledger=written,
            policy=in_force,
            runner=runner,
            queue=queue,
            effects=effects,
            conductor=conductor,
        ),
        metrics=metrics,
        clock_trust=trust,
        clock_watch=ClockWatch(clock=clock, trust=trust, ledger=written, metrics=metrics),
        catalogue=catalogue,
        mounts=mounts,
        cleanup=cleanup,
        by_hand=by_hand,
        room=room,
        receiver=Receiver(
            clock=clock,
            ledger=written,
            policy=in_force,
            metrics=metrics,
            complaints=complaints,
            room=room,
            locator=locator,
            mounts=mounts,
        ),
        complaints=complaints,
        activity=activity,
        threads=threads,
    )


@frozen
class _Seats:
    """The queue's seats follow the table."""

    queue: Queue

    def use(self, policy: Policy) -> None:
        self.queue.seats(policy.table.seats)


@frozen
class _Roots:
    """The vaults follow the configuration."""

    vaults: Vaults

    def use(self, policy: Policy) -> None:
        self.vaults.roots = dict(policy.configuration.vaults)
        self.vaults.accepted = dict(policy.configuration.vaults_without)
