"""The state of the server, as `vtspolicy status`, the web interface and the console show it."""

import os
from collections.abc import Callable, Mapping, Sequence

from attrs import define, evolve, field
from twisted.internet.interfaces import IReactorTime

from vtspolicy import __version__
from vtspolicy.control import Told
from vtspolicy.engine.clock_watch import ClockWatch
from vtspolicy.engine.effects import EngineLedger
from vtspolicy.engine.host_activity import HostActivity
from vtspolicy.engine.jobs.programs import Programs
from vtspolicy.engine.jobs.progress import Progress
from vtspolicy.engine.operators.drain import Drain
from vtspolicy.engine.operators.gauges import Gauges
from vtspolicy.engine.operators.link_orders import LinkOrders
from vtspolicy.engine.operators.live import live
from vtspolicy.engine.operators.needs import needs_of
from vtspolicy.engine.operators.reloading import Reloading
from vtspolicy.engine.policy import PolicyInForce
from vtspolicy.engine.tapes.catalogue import Catalogue
from vtspolicy.hosts.outbox import Outbox
from vtspolicy.jobs import Job, JobState
from vtspolicy.ledger import MountRecords, TapeRecords, Transaction
from vtspolicy.queue.protocol import Queue
from vtspolicy.records import Live, plain
from vtspolicy.runner.protocol import Runner
from vtspolicy.status import HostStatus, Status


@define(kw_only=True)
class ServerState:
    """What there is to know about the server now."""

    clock: IReactorTime
    monotonic: Callable[[], float]
    ledger: EngineLedger
    policy: PolicyInForce
    queue: Queue
    runner: Runner
    outbox: Outbox
    activity: HostActivity
    catalogue: Catalogue
    programs: Programs
    progress: Progress
    clock_watch: ClockWatch
    gauges: Gauges
    drain: Drain
    reloading: Reloading
    links: LinkOrders
    began: float = field(init=False, default=0.0)  # seconds of the monotonic clock
    unreachable: str | None = None  # why orders cannot come in, while that is so

    def begin(self) -> None:
        """The server works from now on."""
        self.began = self.monotonic()

    async def status(self) -> Told:
        """Return what there is to know, as JSON's types."""
        self.gauges.count_all()
        policy = self.policy.current
        counts = await self.ledger.read(Transaction.counts)
        tapes = await self.ledger.read(TapeRecords.counts)
        restores, restores_since = await self.ledger.read(MountRecords.open_counts)
        ready, reasons = self.ready()
        status = Status(
            node=policy.configuration.node,
            pid=os.getpid(),
            version=__version__,
            at=self.clock.seconds(),
            started=self.clock.seconds() - (self.monotonic() - self.began),
            ready=ready,
            reasons=reasons,
            table=policy.table.hash,
            rules=len(policy.table.rules),
            queue=self.queue.snapshot(),
            hosts=tuple(
                HostStatus(
                    name=name,
                    connections=self.outbox.sessions(name),
                    last_event=self.activity.last.get(name),
                    link=self.links.status(name),
                )
                for name in policy.configuration.hosts
            ),
            jobs={state.value: counts.jobs.get(state, 0) for state in JobState},
            pending=counts.pending,
            tapes={each.state.value: each.count for each in tapes},
            tapes_bytes=sum(each.size for each in tapes),
            tapes_freed=sum(each.freed for each in tapes),
            tape_troubles=self.catalogue.troubles + self.catalogue.shortcomings,
            restores=restores,
            restores_since=restores_since,
            backlog=self.ledger.backlog,
            clock=self.clock_watch.status(),
            trouble=self.ledger.trouble,
            unstoppable=self.runner.unstoppable,
            refused_reload=self.reloading.refused,
        )
        needs = await needs_of(self.ledger, status)
        told: Told = plain(evolve(status, needs=needs))
        return told

    def ready(self) -> tuple[bool, tuple[str, ...]]:
        """Whether new commands can be taken and carried out, and why not."""
        reasons = []
        if self.ledger.trouble is not None:
            reasons.append(f"the ledger cannot be written: {self.ledger.trouble}")
        if self.programs.trouble is not None:
            reasons.append(f"programs cannot be started: {self.programs.trouble}")
        if self.unreachable is not None:
            reasons.append(f"the control socket cannot be opened: {self.unreachable}")
        if self.drain.is_on:
            reasons.append("the server is draining; `vtspolicy drain --end` ends that")
        if self.queue.waiting >= self.policy.current.configuration.waiting:
            reasons.append("the queue is full")
        return not reasons, tuple(reasons)

    def live(self, jobs: Sequence[Job]) -> Mapping[int, Live]:
        """Return what only the server knows of those jobs that have not ended, by number."""
        return live(self.queue, self.progress, jobs, draining=self.drain.is_on)
