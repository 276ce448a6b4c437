"""What operators do with a running server: look, cancel, retry, drain, reload, free a lock."""

import os
from collections.abc import Callable, Mapping, Sequence

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from vtspolicy import __version__
from vtspolicy.config.problems import ConfigurationError
from vtspolicy.engine.engine import Engine, entry
from vtspolicy.engine.intake import Reader
from vtspolicy.engine.requests import Answer
from vtspolicy.hosts.listener import Doors
from vtspolicy.jobs import JobState
from vtspolicy.ledger import Book, Cancelled, Recorded
from vtspolicy.records import record

FIXED = ("node", "listen", "dial", "ledger", "spool", "web")
"""Keys of the configuration that a reload cannot change: they need a restart."""


@define(kw_only=True)
class Operator:
    """The operators' side of one server; vtspolicy.web.control.Control."""

    engine: Engine
    doors: Doors
    reread: Callable[[], Reader]  # reads and checks all files again, and runs the rule tests
    started: float  # seconds since the epoch
    draining: bool = False
    last_reload: Mapping[str, object] | None = None
    _drained: list[Deferred[None]] = field(factory=list)
    log: Logger = field(factory=lambda: Logger("vtspolicy.operator"))

    def status(self) -> Deferred[Mapping[str, object]]:
        """Return what there is to know about the server now."""
        return Deferred.fromCoroutine(self._status())

    async def _status(self) -> Mapping[str, object]:
        engine = self.engine
        now = engine.clock.seconds()
        counts = await engine.ledger.read(Book.counts)
        configuration = engine.reader.configuration
        connected = engine.outbox.sessions
        return {
            "node": configuration.node,
            "version": __version__,
            "pid": os.getpid(),
            "uptime": now - self.started,
            "draining": self.draining,
            "trouble": engine.ledger.trouble,
            "table": engine.reader.table.hash,
            "rules": len(engine.reader.table.rules),
            "last_reload": self.last_reload,
            "hosts": {
                name: {"connections": connected(name), "last_event": engine.last_event.get(name)}
                for name in configuration.hosts
            },
            "queue": record(engine.queue.snapshot()),
            "jobs": {state.value: counts.jobs.get(state, 0) for state in JobState},
            "notices": [record(each) | {"age": now - each.oldest} for each in counts.pending],
        }

    def ready(self) -> tuple[bool, tuple[str, ...]]:
        """Whether new commands can be taken, and why not."""
        reasons = []
        if self.engine.ledger.trouble is not None:
            reasons.append(f"the ledger cannot be written: {self.engine.ledger.trouble}")
        if self.draining:
            reasons.append("the server is draining")
        if self.engine.queue.waiting >= self.engine.reader.configuration.waiting:
            reasons.append("the queue is full")
        return not reasons, tuple(reasons)

    async def _collect(self) -> None:
        """Bring the gauges up to date that nothing else keeps so."""
        engine, metrics = self.engine, self.engine.metrics
        counts = await engine.ledger.read(Book.counts)
        for state in JobState:
            metrics.jobs.labels(state.value).set(counts.jobs.get(state, 0))
        now = engine.clock.seconds()
        pending = {each.host: each for each in counts.pending}
        for name in engine.reader.configuration.hosts:
            waiting = pending.get(name)
            metrics.notices_pending.labels(name).set(waiting.count if waiting else 0)
            metrics.notices_oldest.labels(name).set(now - waiting.oldest if waiting else 0)
            metrics.connected.labels(name).set(engine.outbox.sessions(name))
        for use in engine.queue.snapshot(first=0).applications:
            metrics.seats.labels(use.application).set(use.running)
        metrics.ledger_trouble.set(engine.ledger.trouble is not None)

    def collect(self) -> Deferred[None]:
        """Bring the metrics up to date."""
        return Deferred.fromCoroutine(self._collect())

    def cancel(
        self, *, request: int | None, job: int | None, actor: str
    ) -> Deferred[Mapping[str, object]]:
        """Stop a request, or one job. Fails with NoSuchRow."""
        return Deferred.fromCoroutine(self._cancel(request, job, actor))

    async def _cancel(
        self, request: int | None, job: int | None, actor: str
    ) -> Mapping[str, object]:
        ledger, now = self.engine.ledger, self.engine.clock.seconds()
        done: Cancelled
        if job is not None:
            done = await ledger.write(Book.cancel_job, job, actor, now)
        elif request is not None:
            done = await ledger.write(Book.cancel_request, request, actor, now)
        else:
            raise ValueError("a request or a job must be named")
        nothing = Recorded(request=request or 0, duplicate=False)
        self.engine.carry_out(
            Answer(recorded=nothing, notices=done.notices, running=done.running, ended=done.ended)
        )
        return {
            "cancelled": [each.id for each in done.ended],
            "stopping": [each.id for each in done.running],
        }

    def retry(self, job: int, actor: str) -> Deferred[Mapping[str, object]]:
        """Run a finished job's work again as a new request. Fails with NoSuchRow, LedgerError."""
        return Deferred.fromCoroutine(self._retry(job, actor))

    async def _retry(self, job: int, actor: str) -> Mapping[str, object]:
        recorded = await self.engine.ledger.write(
            Book.renew, job, actor, self.engine.clock.seconds()
        )
        for each in recorded.jobs:
            self.engine.queue.put(entry(each))
        self.engine.outbox.push(recorded.notices)
        return {"request": recorded.request, "jobs": [each.id for each in recorded.jobs]}

    def release_lock(self, lock: str, actor: str) -> Deferred[Mapping[str, object]]:
        """Take a lock from whoever holds it; the ledger keeps who did so."""
        return Deferred.fromCoroutine(self._release_lock(lock, actor))

    async def _release_lock(self, lock: str, actor: str) -> Mapping[str, object]:
        released = self.engine.queue.release(lock)
        if released:
            now = self.engine.clock.seconds()
            await self.engine.ledger.write(
                Book.add_history,
                f"lock {lock}",
                "held",
                "released",
                cause="an operator asked for it",
                actor=actor,
                at=now,
            )
        return {"lock": lock, "released": released}

    def drain(self, actor: str) -> Deferred[None]:
        """Read nothing more, start nothing more; fires when the last running job has ended."""
        self.log.info("Draining, asked by {actor}.", action="drain", actor=actor)
        self.draining = True
        self.engine.queue.drain()
        self.doors.hold()
        drained: Deferred[None] = Deferred()
        self._drained.append(drained)
        self.engine.conductor.on_idle = self._look_if_drained
        self._look_if_drained()
        return drained

    def _look_if_drained(self) -> None:
        if self.draining and not self.engine.queue.running:
            waiting, self._drained = self._drained, []
            for each in waiting:
                each.callback(None)

    def resume(self, actor: str) -> None:
        """End a drain."""
        self.log.info("Taking commands again, asked by {actor}.", action="resume", actor=actor)
        self.draining = False
        self.doors.let_go()
        self.engine.queue.resume()

    def reload(self, actor: str) -> Deferred[Mapping[str, object]]:
        """Take the files as they are now, whole, if they and their tests are right."""
        return Deferred.fromCoroutine(self._reload(actor))

    async def _reload(self, actor: str) -> Mapping[str, object]:
        engine, before = self.engine, self.engine.reader
        try:
            after = self.reread()
        except ConfigurationError as error:
            problems = [str(problem) for problem in error.problems]
            self._note_reload(taken=False)
            self.log.error(
                "Reload refused, the old table stays: {problems}.",
                action="reload_refused",
                problems="; ".join(problems),
            )
            return self._reloaded(actor, taken=False, problems=problems)
        engine.use(after)
        self._note_reload(taken=True)
        await engine.ledger.write(
            Book.add_history,
            "table",
            before.table.hash,
            after.table.hash,
            cause="reload",
            actor=actor,
            at=engine.clock.seconds(),
        )
        restart = [
            key
            for key in FIXED
            if getattr(before.configuration, key) != getattr(after.configuration, key)
        ]
        self.log.info(
            "Reloaded: table {table}.", action="reloaded", table=after.table.hash, actor=actor
        )
        return self._reloaded(actor, taken=True, needs_restart=restart)

    def _note_reload(self, *, taken: bool) -> None:
        self.engine.metrics.reload_ok.set(taken)
        self.engine.metrics.reloads.labels("taken" if taken else "refused").inc()

    def _reloaded(
        self,
        actor: str,
        *,
        taken: bool,
        problems: Sequence[str] = (),
        needs_restart: Sequence[str] = (),
    ) -> Mapping[str, object]:
        self.last_reload = {
            "at": self.engine.clock.seconds(),
            "actor": actor,
            "taken": taken,
            "table": self.engine.reader.table.hash,
            "problems": list(problems),
            "needs_restart": list(needs_restart),
        }
        return self.last_reload
