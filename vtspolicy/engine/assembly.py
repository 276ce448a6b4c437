"""The parts of an engine, put together once: for the service, and for tests with fakes below it."""

from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from vtspolicy.clock_trust import ClockTrust
from vtspolicy.engine.clock_watch import ClockWatch
from vtspolicy.engine.commands.denied_log import DeniedLog
from vtspolicy.engine.commands.locating import Locator
from vtspolicy.engine.commands.orders import Orders
from vtspolicy.engine.commands.queue_capacity import QueueCapacity
from vtspolicy.engine.commands.receiving import Receiver
from vtspolicy.engine.effects import Effects, EngineLedger
from vtspolicy.engine.engine import Engine
from vtspolicy.engine.host_activity import HostActivity
from vtspolicy.engine.jobs.job_runner import JobRunner
from vtspolicy.engine.jobs.programs import Programs
from vtspolicy.engine.jobs.recent import RecentJobs
from vtspolicy.engine.jobs.wait_timeouts import WaitTimeouts
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
from vtspolicy.ledger import Ledger, NoticeRecords
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
        return self.ledger.read(NoticeRecords.pending, host, after, limit)

    def delivered(self, ids: Sequence[int]) -> Deferred[int]:
        """Note that these have arrived."""
        return self.ledger.write(NoticeRecords.deliver, ids, self.clock.seconds())


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
    wait_timeouts = WaitTimeouts(clock=clock, ledger=written)
    recent = RecentJobs()
    queue = EmbeddedQueue(clock)
    vaults = Vaults(configuration.vaults, configuration.vaults_without)
    if trust is None:
        trust = ClockTrust(wall=clock.seconds, boot=clock.seconds, boot_id="this one")
    programs = Programs(clock=clock, runner=runner, node=configuration.node)
    checks = TapeChecks(
        ledger=written,
        vaults=vaults,
        clock=clock,
        threads=threads,
        programs=programs,
        metrics=metrics,
        policy=in_force,
    )
    job_runner = JobRunner(
        clock=clock,
        steady=steady or clock.seconds,
        ledger=written,
        queue=queue,
        runner=runner,
        checks=checks,
        programs=programs,
        recent=recent,
        proving=Proving(clock=clock, checks=checks, doubt=trust.check),
    )
    catalogue = Catalogue(
        clock=clock,
        ledger=written,
        vaults=vaults,
        policy=in_force,
        running=programs.running,
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
    denied_log = DeniedLog(journal.limit)
    mounts = Mounts(
        clock=clock,
        ledger=written,
        policy=in_force,
        metrics=metrics,
        vaults=vaults,
        catalogue=catalogue,
        checks=checks,
        programs=programs,
        denied_log=denied_log,
    )
    measures = Measures(clock=clock, metrics=metrics)
    effects = Effects(
        outbox=outbox,
        queue=queue,
        recent=recent,
        runs=job_runner,
        watchers=[wait_timeouts.changed, measures.changed, journal.changed, mounts.changed],
    )
    written.on_change(effects.apply)
    activity = HostActivity(clock=clock)
    for part in (_Seats(queue), _Roots(vaults), activity, measures):
        in_force.subscribe(part.use)
    capacity = QueueCapacity(clock=clock, queue=queue, policy=in_force)
    return Engine(
        clock=clock,
        policy=in_force,
        ledger=written,
        queue=queue,
        runner=runner,
        outbox=outbox,
        vaults=vaults,
        job_runner=job_runner,
        wait_timeouts=wait_timeouts,
        recovery=Recovery(
            clock=clock,
            ledger=written,
            policy=in_force,
            runner=runner,
            queue=queue,
            effects=effects,
            job_runner=job_runner,
        ),
        metrics=metrics,
        clock_trust=trust,
        clock_watch=ClockWatch(clock=clock, trust=trust, ledger=written, metrics=metrics),
        catalogue=catalogue,
        mounts=mounts,
        cleanup=cleanup,
        by_hand=by_hand,
        capacity=capacity,
        receiver=Receiver(
            clock=clock,
            ledger=written,
            policy=in_force,
            metrics=metrics,
            denied_log=denied_log,
            capacity=capacity,
            locator=locator,
            mounts=mounts,
        ),
        denied_log=denied_log,
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
