"""The parts of an engine, put together once: for the service, and for tests with fakes below it."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from attrs import define, frozen
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
from vtspolicy.engine.host_activity import HostActivity
from vtspolicy.engine.jobs.job_runner import JobRunner
from vtspolicy.engine.jobs.programs import Programs
from vtspolicy.engine.jobs.recent import RecentJobs
from vtspolicy.engine.jobs.wait_timeouts import WaitTimeouts
from vtspolicy.engine.journal import Journal
from vtspolicy.engine.measures import Measures, Recalling
from vtspolicy.engine.operators.by_hand import ManualOrders
from vtspolicy.engine.operators.drain import Drain
from vtspolicy.engine.operators.gauges import Gauges, Open
from vtspolicy.engine.operators.job_orders import JobOrders
from vtspolicy.engine.operators.ledger_copies import LedgerCopies
from vtspolicy.engine.operators.link_orders import LinkOrders
from vtspolicy.engine.operators.noting import Notes
from vtspolicy.engine.operators.operating import Operator
from vtspolicy.engine.operators.reloading import Reloading, Renewed
from vtspolicy.engine.operators.state import ServerState
from vtspolicy.engine.policy import Policy, PolicyInForce
from vtspolicy.engine.recovery import Recovery
from vtspolicy.engine.tapes.catalogue import Catalogue
from vtspolicy.engine.tapes.checks import TapeChecks
from vtspolicy.engine.tapes.cleanup import Cleanup
from vtspolicy.engine.tapes.leftovers import put_right
from vtspolicy.engine.tapes.mounts import Mounts
from vtspolicy.engine.tapes.proving import Proving
from vtspolicy.events.event import Item
from vtspolicy.hosts.dial.dialer import Dialer
from vtspolicy.hosts.outbox import Outbox
from vtspolicy.hosts.session import HostSession
from vtspolicy.ledger import Ledger, NoticeRecords
from vtspolicy.log_limit import LogLimit
from vtspolicy.metrics import Metrics
from vtspolicy.notices import Notice
from vtspolicy.queue.embedded import EmbeddedQueue
from vtspolicy.queue.protocol import Queue
from vtspolicy.runner.protocol import Runner
from vtspolicy.vaults import Vaults


class Watch(Protocol):
    """What looks after something from time to time, from its start to its stop."""

    def start(self) -> None:
        """Look from now on."""

    def stop(self) -> None:
        """Look no more."""


@define(kw_only=True)
class Assembly:
    """All parts of one server's engine, as `assemble` has put them together.

    Only who starts and stops them, or looks into them in a test, has this; each part knows only
    the others that it names.
    """

    clock: IReactorTime
    policy: PolicyInForce
    ledger: EngineLedger
    queue: Queue
    runner: Runner
    outbox: Outbox
    vaults: Vaults
    job_runner: JobRunner
    wait_timeouts: WaitTimeouts
    recovery: Recovery
    metrics: Metrics
    clock_trust: ClockTrust  # to be asked before what time alone makes irreversible
    clock_watch: ClockWatch
    catalogue: Catalogue  # of the tapes in the vaults
    mounts: Mounts  # requests of hosts to mount a tape
    cleanup: Cleanup  # empties tapes whose copy is enough
    by_hand: ManualOrders  # what operators order, and say of tapes
    capacity: QueueCapacity  # for jobs of hosts
    receiver: Receiver  # of what hosts send
    denied_log: DeniedLog  # about those who may not give commands
    activity: HostActivity
    threads: Callable[..., Deferred[Any]]  # each call has its own type of answer

    async def start(self) -> None:
        """Take up what an earlier server left: running jobs are adopted, waiting ones wait on."""
        await self.runner.open()
        await self.clock_watch.begin()
        await self.catalogue.begin()
        await self.recovery.begin_era()
        self.policy.use(self.policy.current)
        await self.recovery.take_up()
        await self.mounts.take_up()

    @property
    def watches(self) -> tuple[Watch, ...]:
        """What looks after clock and tapes from time to time, in the order of its start."""
        proving = self.job_runner.proving
        return (self.clock_watch, self.catalogue, self.mounts, self.cleanup, proving)

    def watch(self) -> None:
        """Look after clock and tapes from now on: scan the vaults, answer mounts, clean up."""
        put_right(self.job_runner.checks)
        for each in self.watches:
            each.start()

    def unwatch(self) -> None:
        """The server stops: look after nothing any more, and let nothing wait for room."""
        self.capacity.is_over = True
        for each in reversed(self.watches):
            each.stop()

    def receive(self, session: HostSession, items: list[Item]) -> Deferred[None]:
        """Take what a host sent; fires when it is recorded and answered, or kept for its turn.

        The session reads no more until then: whatever holds up the ledger holds up the host.
        """
        return Deferred.fromCoroutine(self.receiver.receive(session, items))


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
    policy: PolicyInForce,
    ledger: Ledger,
    runner: Runner,
    metrics: Metrics,
    threads: Callable[..., Deferred[Any]],  # each call has its own type of answer
    steady: Callable[[], float] | None = None,
    trust: ClockTrust | None = None,
) -> Assembly:
    """Return the parts of an engine with a queue in the process; nothing is started yet.

    `steady` is a monotonic clock, and `trust` compares another one with `clock`. Without them
    `clock` itself is taken as monotonic.
    """
    configuration = policy.current.configuration
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
        policy=policy,
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
        policy=policy,
        running=programs.running,
        threads=threads,
    )
    locator = Locator(
        clock=clock,
        ledger=written,
        policy=policy,
        vaults=vaults,
        catalogue=catalogue,
        checks=checks,
    )
    orders = Orders(clock=clock, ledger=written, policy=policy, locator=locator)
    cleanup = Cleanup(
        clock=clock,
        ledger=written,
        policy=policy,
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
        policy=policy,
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
        policy=policy,
        metrics=metrics,
        vaults=vaults,
        catalogue=catalogue,
        checks=checks,
        programs=programs,
        denied_log=denied_log,
    )
    measures = Measures(clock=clock, metrics=metrics)
    effects = Effects(
        clock=clock,
        outbox=outbox,
        queue=queue,
        recent=recent,
        runs=job_runner,
        watchers=[wait_timeouts.changed, measures.changed, journal.changed, mounts.changed],
    )
    written.on_change(effects.apply)
    activity = HostActivity(clock=clock)
    for part in (_Seats(queue), _Roots(vaults), activity, measures):
        policy.subscribe(part.use)
    capacity = QueueCapacity(clock=clock, queue=queue, policy=policy)
    return Assembly(
        clock=clock,
        policy=policy,
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
            policy=policy,
            runner=runner,
            queue=queue,
            effects=effects,
            wait_timeouts=wait_timeouts,
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
            policy=policy,
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


def assemble_operator(
    parts: Assembly,
    *,
    sessions: "Connected",
    reread: Callable[[], Policy],
    dialer: Dialer | None = None,
) -> Operator:
    """Return the operators' side of a server, with the sessions of hosts that it has.

    `reread` reads and checks all files again, for a reload. `dialer` has the links to hosts that
    the server dials.
    """
    clock, ledger, queue, policy = parts.clock, parts.ledger, parts.queue, parts.policy
    metrics, programs = parts.metrics, parts.job_runner.programs
    notes = Notes(ledger=ledger)
    gauges = Gauges(
        clock=clock,
        ledger=ledger,
        policy=policy,
        metrics=metrics,
        queue=queue,
        outbox=parts.outbox,
        activity=parts.activity,
        catalogue=parts.catalogue,
        programs=programs,
        trust=parts.clock_trust,
        sessions=sessions,
    )
    drain = Drain(clock=clock, queue=queue, capacity=parts.capacity, notes=notes)
    reloading = Reloading(
        clock=clock,
        ledger=ledger,
        policy=policy,
        metrics=metrics,
        sessions=sessions,
        reread=reread,
    )
    links = LinkOrders(dialer=dialer)
    return Operator(
        state=ServerState(
            clock=clock,
            monotonic=parts.job_runner.steady,
            ledger=ledger,
            policy=policy,
            queue=queue,
            runner=parts.runner,
            outbox=parts.outbox,
            activity=parts.activity,
            catalogue=parts.catalogue,
            programs=programs,
            progress=parts.job_runner.progress,
            clock_watch=parts.clock_watch,
            gauges=gauges,
            drain=drain,
            reloading=reloading,
            links=links,
        ),
        links=links,
        gauges=gauges,
        draining=drain,
        reloading=reloading,
        job_orders=JobOrders(clock=clock, ledger=ledger, queue=queue, by_hand=parts.by_hand),
        by_hand=parts.by_hand,
        catalogue=parts.catalogue,
        clock_watch=parts.clock_watch,
        ledger_copies=LedgerCopies(clock=clock, ledger=ledger, metrics=metrics, notes=notes),
        recalling=Recalling(ledger=ledger, metrics=metrics),
    )


class Connected(Open, Renewed, Protocol):
    """The sessions of hosts."""


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
