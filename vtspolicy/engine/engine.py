"""The parts of one server's engine, and their life together."""

from collections.abc import Callable
from typing import Any

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from vtspolicy.clock_trust import ClockTrust
from vtspolicy.engine.clock_watch import ClockWatch
from vtspolicy.engine.commands.denied_log import DeniedLog
from vtspolicy.engine.commands.queue_capacity import QueueCapacity
from vtspolicy.engine.commands.receiving import Receiver
from vtspolicy.engine.effects import EngineLedger
from vtspolicy.engine.host_activity import HostActivity
from vtspolicy.engine.jobs.job_runner import JobRunner
from vtspolicy.engine.jobs.wait_timeouts import WaitTimeouts
from vtspolicy.engine.operators.by_hand import ManualOrders
from vtspolicy.engine.policy import PolicyInForce
from vtspolicy.engine.recovery import Recovery
from vtspolicy.engine.tapes.catalogue import Catalogue
from vtspolicy.engine.tapes.cleanup import Cleanup
from vtspolicy.engine.tapes.leftovers import put_right
from vtspolicy.engine.tapes.mounts import Mounts
from vtspolicy.events.event import Item
from vtspolicy.hosts.outbox import Outbox
from vtspolicy.hosts.session import HostSession
from vtspolicy.metrics import Metrics
from vtspolicy.queue.protocol import Queue
from vtspolicy.runner.protocol import Runner
from vtspolicy.vaults import Vaults


@define(kw_only=True)
class Engine:
    """What `assemble` has put together, for those above. Start it before the doors open."""

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
        await self.mounts.start()

    def watch(self) -> None:
        """Look after clock and tapes from now on: scan the vaults, answer mounts, clean up."""
        self.clock_watch.start()
        self.catalogue.start()
        put_right(self.job_runner.checks)
        self.mounts.watch()
        self.cleanup.start()
        self.job_runner.proving.start()

    def unwatch(self) -> None:
        """The server stops: look after nothing any more, and let nothing wait for room."""
        self.capacity.is_over = True
        self.clock_watch.stop()
        self.catalogue.stop()
        self.mounts.stop()
        self.cleanup.stop()
        self.job_runner.proving.stop()

    def receive(self, session: HostSession, items: list[Item]) -> Deferred[None]:
        """Take what a host sent; fires when it is recorded and answered, or kept for its turn.

        The session reads no more until then: whatever holds up the ledger holds up the host.
        """
        return Deferred.fromCoroutine(self.receiver.receive(session, items))
