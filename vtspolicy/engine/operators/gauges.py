"""Gauges: what the metrics show of the server's state, brought up to date when they are asked."""

from collections.abc import Iterable
from typing import Protocol

from attrs import define
from twisted.internet.interfaces import IReactorTime

from vtspolicy.clock_trust import ClockTrust
from vtspolicy.engine.effects import EngineLedger
from vtspolicy.engine.host_activity import HostActivity
from vtspolicy.engine.jobs.programs import Programs
from vtspolicy.engine.policy import PolicyInForce
from vtspolicy.engine.tapes.catalogue import Catalogue
from vtspolicy.hosts.outbox import Outbox
from vtspolicy.hosts.session import HostSession
from vtspolicy.jobs import JobState
from vtspolicy.ledger import CopyRecords, JobRecords, MountRecords, TapeRecords, Transaction
from vtspolicy.metrics import Metrics
from vtspolicy.queue.protocol import Queue
from vtspolicy.tapes import TapeState


class Open(Protocol):
    """The sessions of hosts that are open now."""

    @property
    def all(self) -> Iterable[HostSession]:
        """Every one of them."""


@define(kw_only=True)
class Gauges:
    """Counts what sessions have read, and asks ledger and queue for the rest."""

    clock: IReactorTime
    ledger: EngineLedger
    policy: PolicyInForce
    metrics: Metrics
    queue: Queue
    outbox: Outbox
    activity: HostActivity
    catalogue: Catalogue
    programs: Programs
    trust: ClockTrust
    sessions: Open

    def count_all(self) -> None:
        """Add what is new of every open session."""
        for session in self.sessions.all:
            self.count(session)

    def count(self, session: HostSession) -> None:
        """Add what is new of a session to its hosts' metrics; it counts faster than they."""
        fresh, (heard, waited) = session.new_events(), session.reading.report()
        for host in session.hosts:
            self.metrics.events.labels(host.name).inc(fresh)
            if heard is not None:
                self.activity.heard(host.name, heard)
        if session.hosts:
            self.metrics.paused.inc(waited)

    async def collect(self) -> None:
        """Bring the gauges up to date that nothing else keeps so."""
        metrics, policy = self.metrics, self.policy.current
        self.count_all()
        counts = await self.ledger.read(Transaction.counts)
        ages = await self.ledger.read(JobRecords.oldest, self.clock.seconds())
        for state in JobState:
            metrics.jobs.labels(state.value).set(counts.jobs.get(state, 0))
        now = self.clock.seconds()
        pending = {each.host: each for each in counts.pending}
        # What a reload has removed would keep its last value for ever. Cleared and set again in
        # one turn, no scrape sees them gone.
        for gauge in metrics.of_configuration:
            gauge.clear()
        for name in policy.configuration.hosts:
            waiting = pending.get(name)
            metrics.notices_pending.labels(name).set(waiting.count if waiting else 0)
            metrics.notices_oldest.labels(name).set(now - waiting.oldest if waiting else 0)
            metrics.connected.labels(name).set(self.outbox.sessions(name))
            metrics.last_event.labels(name).set(self.activity.quiet_since(name))
        # An application that does nothing just now is not in the snapshot of the queue.
        running = dict.fromkeys(policy.table.seats, 0)
        for use in self.queue.snapshot(first=0).applications:
            running[use.application] = use.running
        for application, seats in running.items():
            metrics.seats.labels(application).set(seats)
        for application, seats in policy.table.seats.items():
            metrics.seats_there.labels(application).set(seats)
        metrics.oldest(ages, policy.table.seats)
        metrics.ledger_trouble.set(self.ledger.trouble is not None)
        metrics.clock_trusted.set(self.trust.check() is None)
        metrics.spool_trouble.set(self.programs.trouble is not None)
        await self._collect_tapes(now)

    async def _collect_tapes(self, now: float) -> None:
        metrics = self.metrics
        tapes = {each.state: each for each in await self.ledger.read(TapeRecords.counts)}
        for state in TapeState:
            found = tapes.get(state)
            metrics.tapes.labels(state.value).set(found.count if found else 0)
            metrics.tapes_bytes.labels(state.value).set(found.size if found else 0)
        metrics.tapes_freed.set(sum(each.freed for each in tapes.values()))
        metrics.tape_troubles.set(len(self.catalogue.troubles))
        metrics.copies_unproven.set(await self.ledger.read(CopyRecords.unproven_tapes))
        restores, since = await self.ledger.read(MountRecords.open_counts)
        metrics.restores_waiting.set(restores)
        metrics.restores_oldest.set(now - since if since is not None else 0)
