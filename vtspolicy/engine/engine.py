"""The line from an event to its notices: read, decide, record, queue, run, tell."""

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from vtspolicy.clock_trust import ClockTrust
from vtspolicy.engine.catalogue import Catalogue
from vtspolicy.engine.cleanup import Cleanup
from vtspolicy.engine.clock_watch import ClockWatch
from vtspolicy.engine.complaints import Complaints
from vtspolicy.engine.conduct import Conductor
from vtspolicy.engine.effects import Effects, EngineLedger
from vtspolicy.engine.journal import Journal
from vtspolicy.engine.locating import Locator
from vtspolicy.engine.mounts import Mounts
from vtspolicy.engine.orders import Orders
from vtspolicy.engine.patience import Patience
from vtspolicy.engine.policy import Policy, PolicyInForce
from vtspolicy.engine.receiving import Receiver
from vtspolicy.engine.recovery import Recovery
from vtspolicy.engine.room import Room
from vtspolicy.engine.tapes.leftovers import put_right
from vtspolicy.events.event import Item
from vtspolicy.hosts.outbox import Outbox
from vtspolicy.hosts.session import HostSession
from vtspolicy.metrics import Metrics
from vtspolicy.queue.protocol import Queue
from vtspolicy.runner.protocol import Runner
from vtspolicy.vaults import Vaults


@define(kw_only=True)
class Engine:
    """One server's engine. Start it before the doors open."""

    clock: IReactorTime
    policy: PolicyInForce
    ledger: EngineLedger
    queue: Queue
    runner: Runner
    outbox: Outbox
    effects: Effects
    vaults: Vaults
    conductor: Conductor
    recovery: Recovery
    patience: Patience
    journal: Journal
    metrics: Metrics
    clock_trust: ClockTrust  # to be asked before what time alone makes irreversible
    threads: Callable[..., Deferred[Any]]  # each call has its own type of answer
    last_event: dict[str, float] = field(factory=dict)  # host -> seconds since the epoch
    known_since: dict[str, float] = field(factory=dict)  # the same, for when it became a host
    catalogue: Catalogue = field(init=False)  # of the tapes in the vaults
    mounts: Mounts = field(init=False)  # requests of hosts to mount a tape
    clock_watch: ClockWatch = field(init=False)
    cleanup: Cleanup = field(init=False)  # empties tapes whose copy is enough
    orders: Orders = field(init=False)  # commands that no host sends
    room: Room = field(init=False)  # for jobs of hosts
    receiver: Receiver = field(init=False)  # of what hosts send
    complaints: Complaints = field(init=False)  # about those who may not give commands
    log: Logger = field(factory=lambda: Logger("vtspolicy.engine"))

    def __attrs_post_init__(self) -> None:
        self.catalogue = Catalogue(
            clock=self.clock,
            ledger=self.ledger,
            vaults=self.vaults,
            policy=self.policy,
            running=self.conductor.calls.running,
            threads=self.threads,
        )
        self.mounts = Mounts(
            clock=self.clock,
            ledger=self.ledger,
            policy=self.policy,
            metrics=self.metrics,
            vaults=self.vaults,
            catalogue=self.catalogue,
            checks=self.conductor.checks,
            calls=self.conductor.calls,
        )
        locator = Locator(
            clock=self.clock,
            ledger=self.ledger,
            policy=self.policy,
            vaults=self.vaults,
            catalogue=self.catalogue,
            checks=self.conductor.checks,
        )
        self.orders = Orders(
            clock=self.clock, ledger=self.ledger, policy=self.policy, locator=locator
        )
        self.clock_watch = ClockWatch(
            clock=self.clock, trust=self.clock_trust, ledger=self.ledger, metrics=self.metrics
        )
        self.cleanup = Cleanup(
            clock=self.clock,
            ledger=self.ledger,
            policy=self.policy,
            queue=self.queue,
            vaults=self.vaults,
            catalogue=self.catalogue,
            orders=self.orders,
            trust=self.clock_trust,
            threads=self.threads,
        )
        self.complaints = Complaints(self.journal.limit)
        self.room = Room(clock=self.clock, queue=self.queue, policy=self.policy)
        self.receiver = Receiver(
            clock=self.clock,
            ledger=self.ledger,
            policy=self.policy,
            metrics=self.metrics,
            complaints=self.complaints,
            room=self.room,
            locator=locator,
            mounts=self.mounts,
        )
        self.effects.watchers.append(self.mounts.changed)
        self.policy.subscribe(self._use)

    async def start(self) -> None:
        """Take up what an earlier server left: running jobs are adopted, waiting ones wait on."""
        await self.runner.open()
        await self.clock_watch.begin()
        await self.catalogue.begin()
        await self.recovery.begin_era()
        self.policy.use(self.policy.current)
        await self.recovery.take_up()
        await self.mounts.start()

    def watch(self) -> None:
        """Look after clock and tapes from now on: scan the vaults, answer mounts, clean up."""
        self.clock_watch.start()
        self.catalogue.start()
        put_right(self.conductor.checks)
        self.mounts.watch()
        self.cleanup.start()
        self.conductor.proving.start()

    def unwatch(self) -> None:
        """The server stops: look after nothing any more, and let nothing wait for room."""
        self.room.is_over = True
        self.clock_watch.stop()
        self.catalogue.stop()
        self.mounts.stop()
        self.cleanup.stop()
        self.conductor.proving.stop()

    def _use(self, policy: Policy) -> None:
        self.vaults.roots = dict(policy.configuration.vaults)
        self.vaults.accepted = dict(policy.configuration.vaults_without)
        self.queue.seats(policy.table.seats)
        now = self.clock.seconds()
        self.known_since = {
            name: self.known_since.get(name, now) for name in policy.configuration.hosts
        }

    def receive(self, session: HostSession, items: list[Item]) -> Deferred[None]:
        """Take what a host sent; fires when it is recorded and answered, or kept for its turn.

        The session reads no more until then: whatever holds up the ledger holds up the host.
        """
        return Deferred.fromCoroutine(self.receiver.receive(session, items))
