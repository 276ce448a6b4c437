"""What operators do with a running server: look, cancel, retry, drain, reload, free a lock."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from attrs import define, evolve, field
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from vtspolicy import __version__
from vtspolicy.config.problems import ConfigurationError
from vtspolicy.control import Refused, Told
from vtspolicy.engine.engine import Engine
from vtspolicy.engine.measures import LEDGER, recall
from vtspolicy.engine.operators.by_hand import Said, Wish, asked, unlock
from vtspolicy.engine.operators.live import live
from vtspolicy.engine.operators.needs import needs_of
from vtspolicy.engine.policy import Policy
from vtspolicy.hosts.session import HostSession
from vtspolicy.hosts.sessions import Sessions
from vtspolicy.jobs import Job, JobState
from vtspolicy.ledger import (
    Cancelled,
    CopyRecords,
    History,
    JobRecords,
    LedgerError,
    MountRecords,
    NoSuchRow,
    RequestRecords,
    TapeRecords,
    Transaction,
)
from vtspolicy.records import Live, plain
from vtspolicy.rules.steps import outline
from vtspolicy.status import HostStatus, RefusedReload, Status
from vtspolicy.tapes import TapeState

FIXED = (
    *("node", "listen", "ledger", "spool", "control_group", "web", "console"),
    *("connections", "settle", "output"),
)
"""Keys of the configuration that a reload cannot change: they need a restart."""


@define(kw_only=True)
class Operator:
    """The operators' side of one server; vtspolicy.control.Control."""

    engine: Engine
    sessions: Sessions
    reread: Callable[[], Policy]  # reads and checks all files again, and runs the rule tests
    started: float  # seconds since the epoch, by the clock as it was then
    begun: float = 0.0  # the same moment in seconds of the monotonic clock
    draining: bool = False
    refused_reload: RefusedReload | None = None  # the last one, if none was taken since
    unreachable: str | None = None  # why orders cannot come in, while that is so
    log: Logger = field(factory=lambda: Logger("vtspolicy.operator"))

    def begin(self) -> None:
        """The server works from now on; the history is told if the last one was draining."""
        self.started = self.engine.clock.seconds()
        self.begun = self.engine.job_runner.steady()
        noted = self.engine.ledger.write(_end_drain, self.started)
        noted.addErrback(self._not_noted)
        recall(self.engine.ledger, self.engine.metrics).addErrback(lambda _: None)

    def status(self) -> Deferred[Told]:
        """Return what there is to know about the server now."""
        return Deferred.fromCoroutine(self._status())

    async def _status(self) -> Told:
        self._count_all()
        engine, policy = self.engine, self.engine.policy.current
        counts = await engine.ledger.read(Transaction.counts)
        tapes = await engine.ledger.read(TapeRecords.counts)
        restores, restores_since = await engine.ledger.read(MountRecords.open_counts)
        ready, reasons = self.ready()
        status = Status(
            node=policy.configuration.node,
            pid=os.getpid(),
            version=__version__,
            at=engine.clock.seconds(),
            started=engine.clock.seconds() - (engine.job_runner.steady() - self.begun),
            ready=ready,
            reasons=reasons,
            table=policy.table.hash,
            rules=len(policy.table.rules),
            queue=engine.queue.snapshot(),
            hosts=tuple(
                HostStatus(
                    name=name,
                    connections=engine.outbox.sessions(name),
                    last_event=engine.activity.last.get(name),
                )
                for name in policy.configuration.hosts
            ),
            jobs={state.value: counts.jobs.get(state, 0) for state in JobState},
            pending=counts.pending,
            tapes={each.state.value: each.count for each in tapes},
            tapes_bytes=sum(each.size for each in tapes),
            tapes_freed=sum(each.freed for each in tapes),
            tape_troubles=engine.catalogue.troubles + engine.catalogue.shortcomings,
            restores=restores,
            restores_since=restores_since,
            backlog=engine.ledger.backlog,
            clock=engine.clock_watch.status(),
            trouble=engine.ledger.trouble,
            unstoppable=engine.runner.unstoppable,
            refused_reload=self.refused_reload,
        )
        needs = await needs_of(engine.ledger, status)
        told: Told = plain(evolve(status, needs=needs))
        return told

    def ready(self) -> tuple[bool, tuple[str, ...]]:
        """Whether new commands can be taken and carried out, and why not."""
        reasons = []
        if self.engine.ledger.trouble is not None:
            reasons.append(f"the ledger cannot be written: {self.engine.ledger.trouble}")
        if self.engine.job_runner.programs.trouble is not None:
            reasons.append(f"programs cannot be started: {self.engine.job_runner.programs.trouble}")
        if self.unreachable is not None:
            reasons.append(f"the control socket cannot be opened: {self.unreachable}")
        if self.draining:
            reasons.append("the server is draining; `vtspolicy drain --end` ends that")
        if self.engine.queue.waiting >= self.engine.policy.current.configuration.waiting:
            reasons.append("the queue is full")
        return not reasons, tuple(reasons)

    async def _collect(self) -> None:
        """Bring the gauges up to date that nothing else keeps so."""
        engine, metrics = self.engine, self.engine.metrics
        self._count_all()
        counts = await engine.ledger.read(Transaction.counts)
        ages = await engine.ledger.read(JobRecords.oldest, engine.clock.seconds())
        for state in JobState:
            metrics.jobs.labels(state.value).set(counts.jobs.get(state, 0))
        now = engine.clock.seconds()
        pending = {each.host: each for each in counts.pending}
        # What a reload has removed would keep its last value for ever. Cleared and set again in
        # one turn, no scrape sees them gone.
        for gauge in metrics.of_configuration:
            gauge.clear()
        for name in engine.policy.current.configuration.hosts:
            waiting = pending.get(name)
            metrics.notices_pending.labels(name).set(waiting.count if waiting else 0)
            metrics.notices_oldest.labels(name).set(now - waiting.oldest if waiting else 0)
            metrics.connected.labels(name).set(engine.outbox.sessions(name))
            metrics.last_event.labels(name).set(engine.activity.quiet_since(name))
        # An application that does nothing just now is not in the picture of the queue.
        running = dict.fromkeys(engine.policy.current.table.seats, 0)
        for use in engine.queue.snapshot(first=0).applications:
            running[use.application] = use.running
        for application, seats in running.items():
            metrics.seats.labels(application).set(seats)
        for application, seats in engine.policy.current.table.seats.items():
            metrics.seats_there.labels(application).set(seats)
        metrics.oldest(ages, engine.policy.current.table.seats)
        metrics.ledger_trouble.set(engine.ledger.trouble is not None)
        metrics.clock_trusted.set(engine.clock_trust.check() is None)
        metrics.spool_trouble.set(engine.job_runner.programs.trouble is not None)
        tapes = {each.state: each for each in await engine.ledger.read(TapeRecords.counts)}
        for place in TapeState:
            found = tapes.get(place)
            metrics.tapes.labels(place.value).set(found.count if found else 0)
            metrics.tapes_bytes.labels(place.value).set(found.size if found else 0)
        metrics.tapes_freed.set(sum(each.freed for each in tapes.values()))
        metrics.tape_troubles.set(len(engine.catalogue.troubles))
        metrics.copies_unproven.set(await engine.ledger.read(CopyRecords.unproven_tapes))
        restores, since = await engine.ledger.read(MountRecords.open_counts)
        metrics.restores_waiting.set(restores)
        metrics.restores_oldest.set(now - since if since is not None else 0)

    def live(self, jobs: Sequence[Job]) -> Mapping[int, Live]:
        """Return what only the server knows of those jobs that have not ended, by number."""
        engine = self.engine
        return live(engine.queue, engine.job_runner.progress, jobs, draining=self.draining)

    def _count_all(self) -> None:
        for session in self.sessions.all:
            self.count(session)

    def count(self, session: HostSession) -> None:
        """Add what is new of a session to its hosts' metrics; it counts faster than they."""
        fresh, (heard, waited) = session.new_events(), session.reading.tell()
        for host in session.hosts:
            self.engine.metrics.events.labels(host.name).inc(fresh)
            if heard is not None:
                self.engine.activity.heard(host.name, heard)
        if session.hosts:
            self.engine.metrics.paused.inc(waited)

    def collect(self) -> Deferred[None]:
        """Bring the metrics up to date."""
        return Deferred.fromCoroutine(self._collect())

    def cancel(
        self, request: int | None, job: int | None, actor: str, reason: str | None = None
    ) -> Deferred[Told]:
        """Stop a request, or one job. Fails with NoSuchRow."""
        return Deferred.fromCoroutine(self._cancel(request, job, actor, reason))

    async def _cancel(
        self, request: int | None, job: int | None, actor: str, reason: str | None
    ) -> Told:
        ledger, now = self.engine.ledger, self.engine.clock.seconds()
        done: Cancelled
        if job is not None:
            done = await ledger.write(JobRecords.cancel, job, actor, now, reason)
        elif request is not None:
            done = await ledger.write(RequestRecords.cancel, request, actor, now, reason)
        else:
            raise ValueError("a request or a job must be named")
        return {
            "ended": [each.id for each in done.ended],
            "stopping": [each.id for each in done.running],
        }

    def retry(self, job: int, actor: str, reason: str | None = None) -> Deferred[Told]:
        """Run a finished job's work again as a new request. Fails with NoSuchRow, Refused."""
        return Deferred.fromCoroutine(self._retry(job, actor, reason))

    async def _retry(self, job: int, actor: str, reason: str | None) -> Told:
        self.engine.by_hand.refuse_when_full()
        try:
            recorded = await self.engine.ledger.write(
                RequestRecords.renew, job, actor, self.engine.clock.seconds(), reason
            )
        except NoSuchRow:
            raise
        except LedgerError as error:  # the job has not ended, or is run again already
            raise Refused(str(error)) from error
        return {"request": recorded.request, "job": recorded.jobs[0].id}

    def release_lock(self, lock: str, actor: str, reason: str | None = None) -> Deferred[Told]:
        """Take a lock from its holder; the ledger keeps who did so."""
        return Deferred.fromCoroutine(self._release_lock(lock, actor, reason))

    async def _release_lock(self, lock: str, actor: str, reason: str | None) -> Told:
        queue, now = self.engine.queue, self.engine.clock.seconds()
        holders = queue.holders(lock)

        def note(tx: Transaction) -> bool:
            unlocked = unlock(tx, lock, actor, now, asked(reason))
            if holders or unlocked:
                tx.attempts.release_lock(lock, holders, actor=actor, at=now, reason=reason)
            return unlocked

        # Asked for and done in one turn: meanwhile the lock could become another job's. The ledger
        # writes in the order in which it is asked, and no job runs whose start it has not written:
        # so this is on the disk before anything runs that it has let go.
        noted = self.engine.ledger.write(note)
        queue.release(lock, holders)
        return {"lock": lock, "released": await noted or bool(holders)}

    def drain(self, actor: str, reason: str | None = None) -> Deferred[Told]:
        """Take no jobs from hosts, start nothing more; what runs continues to its end."""
        self.log.info("Draining, asked by {by}.", action="drain", by=actor, cause=reason)
        self._note_drain(draining=True, actor=actor, reason=reason)
        self.draining = self.engine.capacity.is_draining = True
        self.engine.queue.drain()
        return succeed({"running": self.engine.queue.running})

    def resume(self, actor: str, reason: str | None = None) -> Deferred[Told]:
        """End a drain."""
        self.log.info(
            "Taking commands again, asked by {by}.", action="resume", by=actor, cause=reason
        )
        was_draining = self.draining
        self._note_drain(draining=False, actor=actor, reason=reason)
        self.draining = self.engine.capacity.is_draining = False
        self.engine.queue.resume()
        return succeed({"waiting": self.engine.queue.waiting, "was_draining": was_draining})

    def _note_drain(self, *, draining: bool, actor: str, reason: str | None) -> None:
        """Have the history tell of a change; nobody waits for that.

        A ledger that takes no writes must not keep an operator from draining its server.
        """
        if draining == self.draining:
            return
        before, after = ("working", "draining") if draining else ("draining", "working")
        cause, at = asked(reason), self.engine.clock.seconds()
        noted = self.engine.ledger.write(
            History.add, "server", before, after, cause=cause, actor=actor, at=at
        )
        noted.addErrback(self._not_noted)

    def _not_noted(self, failure: Failure) -> None:
        self.log.warn(
            "The history lacks what was ordered: {why}.",
            action="not_noted",
            why=failure.getErrorMessage(),
        )

    def reload(self, actor: str, reason: str | None = None) -> Deferred[Told]:
        """Take the files as they are now, whole, if they and their tests are right.

        Fails with ConfigurationError; then everything stays as it was.
        """
        return Deferred.fromCoroutine(self._reload(actor, reason))

    async def _reload(self, actor: str, reason: str | None) -> Told:
        engine, before = self.engine, self.engine.policy.current
        try:
            read = self.reread()
        except ConfigurationError as error:
            engine.metrics.reload_ok.set(0)
            engine.metrics.reloads.labels("refused").inc()
            self.refused_reload = RefusedReload(
                at=engine.clock.seconds(),
                by=actor,
                problem=str(error.problems[0]),
                problems=len(error.problems),
            )
            self.log.error(
                "Reload by {by} refused, table {table} stays: {problems}",
                action="reload_refused",
                by=actor,
                table=before.table.hash,
                problems="; ".join(str(problem) for problem in error.problems),
            )
            raise
        kept = {key: getattr(before.configuration, key) for key in FIXED}
        after = evolve(read, configuration=evolve(read.configuration, **kept))
        engine.policy.use(after)
        self.refused_reload = None
        self.sessions.renew()
        engine.metrics.reloads.labels("taken").inc()
        now = engine.clock.seconds()
        cause = "reload" if reason is None else f"reload: {reason}"

        def keep(tx: Transaction) -> None:
            tx.meta.keep_rule_table(after.table.hash, outline(after.table))
            hashes = (before.table.hash, after.table.hash)
            tx.history.add("table", *hashes, cause=cause, actor=actor, at=now)

        await engine.ledger.write(keep)  # before all that the table decides
        self.log.info(
            "Reloaded by {by}: table {table}.",
            action="reloaded",
            table=after.table.hash,
            by=actor,
            cause=reason,
        )
        warnings = [str(problem) for problem in after.table.warnings] + [
            f"{key} has changed; it is taken at the next start"
            for key in FIXED
            if kept[key] != getattr(read.configuration, key)
        ]
        return {"table": after.table.hash, "rules": len(after.table.rules), "warnings": warnings}

    def scan(self, actor: str) -> Deferred[Told]:
        """Look through the vaults and bring the catalogue of tapes up to date."""
        return Deferred.fromCoroutine(self._scan(actor))

    async def _scan(self, actor: str) -> Told:
        scan = await self.engine.catalogue.scan(actor)
        told: Told = plain(scan)
        return told

    def withdraw(self, tape: str, actor: str, reason: str | None = None) -> Deferred[Told]:
        """Withdraw an override that no order has used yet. Fails with Refused, UnknownThing."""
        return Deferred.fromCoroutine(self.engine.by_hand.withdraw(tape, actor, reason))

    def order(
        self,
        *,
        text: str,
        tapes: str | None,
        override: str | None,
        copy: str | None,
        to: str | None,
        actor: str,
        reason: str | None = None,
    ) -> Deferred[Told]:
        """Take a command by an operator's right. Fails with Refused."""
        wish = Wish(
            tapes=tuple((tapes or "").split()),
            override=override,
            copy=copy,
            to=to,
            reason=reason,
        )
        return Deferred.fromCoroutine(self.engine.by_hand.order(text, wish, actor))

    def mark(
        self,
        *,
        tape: str,
        state: str,
        handle: str | None,
        application: str,
        retention: str | None,
        media: str | None,
        size: int | None,
        began: str | None,
        actor: str,
        reason: str | None = None,
    ) -> Deferred[Told]:
        """Note what an application did by its own schedule. Fails with Refused, UnknownThing."""
        said = Said(
            state=state,
            handle=handle,
            application=application,
            retention=retention,
            media=media,
            size=size,
            began=began,
            reason=reason,
        )
        return Deferred.fromCoroutine(self.engine.by_hand.mark(tape, said, actor))

    def trust_clock(self, actor: str, reason: str | None = None) -> Deferred[Told]:
        """Trust the clock as it is now, and resume what waited for it. Fails with Refused."""
        return Deferred.fromCoroutine(self.engine.clock_watch.restore(actor, reason))

    def backup(self, path: str, actor: str) -> Deferred[Told]:
        """Write a consistent copy of the ledger while all goes on. Fails with Refused."""
        return Deferred.fromCoroutine(self._backup(path, actor))

    async def _backup(self, path: str, actor: str) -> Told:
        try:
            await self.engine.ledger.backup(Path(path))
        except (LedgerError, OSError) as error:
            raise Refused(f"the ledger cannot be copied to {path}: {error}") from error
        at = self.engine.clock.seconds()
        self.engine.metrics.ledger_backup.set(at)
        noted = self.engine.ledger.write(
            History.add, LEDGER, None, "copied", cause=f"to {path}", actor=actor, at=at
        )
        noted.addErrback(self._not_noted)
        self.log.info("Ledger copied to {path} for {by}.", action="backup", path=path, by=actor)
        return {"path": path}


def _end_drain(tx: Transaction, at: float) -> None:
    """Note that a drain has ended with the server that was asked for it."""
    lines = tx.history.about("server")
    if lines and lines[-1].after == "draining":
        cause = "the server was started anew"
        tx.history.add("server", "draining", "working", cause=cause, actor="engine", at=at)
