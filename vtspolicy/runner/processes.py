"""The runner of real programs: starts, watches, stops and adopts them by way of the keeper."""

import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectError
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from vtspolicy.runner import identity, keeper, signals
from vtspolicy.runner.identity import Process, Sessions
from vtspolicy.runner.link import KeeperLink
from vtspolicy.runner.protocol import End, Ended, KeeperError, Run, Runner, SpoolError
from vtspolicy.runner.spool import Journal, Spool, explained, program, request
from vtspolicy.runner.watched import Growth, Watched

OUTPUT_LIMIT = 64 << 20  # bytes of output kept for each run
SETTLING = 1.0  # seconds from a keeper's death until a process that it did not note must show


ANSWER = 30.0
"""Seconds after which a keeper that does not answer is reported; it may be halted."""


class ProcessRunner(Runner):
    """Runs programs detached, each in a folder of the spool. See `protocol.Runner`."""

    _log = Logger()

    def __init__(
        self,
        reactor: Any,  # IReactorTime and IReactorUNIX, which zope cannot combine for mypy
        spool: Path,
        *,
        output_limit: int = OUTPUT_LIMIT,
        idle: float = 30.0,
        interval: float = 0.5,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """Use `spool`; a keeper without work leaves after `idle` seconds.

        Time-outs, silence and runs whose keeper is gone are looked at every `interval` seconds.
        `steady` returns seconds of the monotonic clock.
        """
        self._reactor = reactor
        self._steady = steady
        self._spool = Spool(spool)
        self._limit = output_limit
        self._interval = interval
        self._watched: dict[str, Watched] = {}
        self._closed = False
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor
        self._sweeping = self._spool.keys()
        self._boot = identity.this_boot()
        self._link = KeeperLink(
            reactor, self._spool.root, idle=idle, up=self._up, down=self._down, told=self._told
        )

    @property
    def keeper(self) -> int | None:
        """The process id of the keeper, if it can be reached now."""
        return self._link.pid

    @property
    def boot(self) -> str:
        """What identifies this boot of the machine."""
        return self._boot

    @property
    def live(self) -> Iterable[str]:
        """The keys of the runs that have not ended."""
        return tuple(self._watched)

    @property
    def unreachable(self) -> str | None:
        """Why no keeper starts what it was asked to, while a run waits for that."""
        times = (watched.asked_at for watched in self._watched.values())
        asked = [each for each in times if each is not None]
        if not asked:
            return None
        waited = self._steady() - min(asked)
        if self._link.trouble is None and waited >= ANSWER:
            return f"the keeper (process {self._link.pid}) has not answered for {waited:.0f} s"
        return self._link.trouble

    @property
    def unstoppable(self) -> tuple[str, ...]:
        """The keys of the runs that are to end, and of which we may not signal a process."""
        return tuple(key for key, watched in self._watched.items() if watched.refused)

    @property
    def ledger(self) -> str | None:
        """Which ledger the runs belong to, as the spool says; None when it says nothing."""
        return self._spool.ledger()

    def belong(self, ledger: str) -> None:
        """Have the spool say which ledger its runs belong to. Raises OSError."""
        self._spool.belong(ledger)

    async def open(self) -> None:
        """Connect to the keeper of the spool, or start it. Raises KeeperError."""
        try:
            self._spool.create()
            await self._link.open()
        except (SpoolError, OSError, ConnectError) as error:
            raise KeeperError(str(error)) from error

    async def close(self) -> None:
        """Leave all runs alone, at once; they continue. Their Deferreds never fire.

        Nor do those of what is asked for later, of which nothing is begun.
        """
        self._closed = True
        self._watched.clear()
        if self._looking.running:
            self._looking.stop()
        await self._link.close()

    # What the engine asks

    def start(self, run: Run) -> Deferred[Ended]:
        """Start a run; one that was claimed before is watched instead."""
        if self._closed:
            return Deferred()
        if run.key in self._watched:
            return fail(SpoolError(f"{run.key} is running already"))
        path, fault = program(run)
        try:
            fresh = self._spool.prepare(run)
        except SpoolError:
            return fail()
        if fresh and fault:
            with suppress(OSError):
                self._spool.take_back(run.key)
            return succeed(Ended(key=run.key, kind=End.UNSTARTABLE, reason=fault))
        watched = self._watch(run)
        watched.program = path
        if fresh:
            self._ask(watched)
        else:
            self._examine(watched)
        return watched.ended

    def adopt(self, run: Run) -> Deferred[Ended]:
        """Take up what an earlier server may have started."""
        if self._closed:
            return Deferred()
        if run.key in self._watched:
            return fail(SpoolError(f"{run.key} is watched already"))
        try:
            self._spool.folder(run.key)
        except SpoolError:
            return fail()
        watched = self._watch(run)
        self._examine(watched)
        return watched.ended

    def has_begun(self, key: str) -> bool:
        """Whether the program of a run has begun, as far as its keeper has reported."""
        watched = self._watched.get(key)
        return watched is not None and watched.leader is not None

    def stop(self, key: str, reason: str) -> None:
        """Cancel a run."""
        watched = self._watched.get(key)
        if watched is not None and watched.stop is None:
            self._stop(watched, End.CANCELLED, reason)

    def tail(self, key: str, limit: int = 4000) -> str:
        """Return the end of the output; bytes that are not UTF-8 are replaced."""
        return self._spool.tail(key, limit)

    def folder(self, key: str) -> Path:
        """Return the run's folder. Raises SpoolError for what cannot be a key."""
        return self._spool.folder(key)

    def remove(self, key: str) -> None:
        """Remove the folder of an ended run. Raises SpoolError if it has not ended."""
        if key in self._watched:
            raise SpoolError(f"{key} has not ended")
        self._spool.remove(key)

    def newest(self) -> int:
        """Return the highest job number that has a folder."""
        return self._spool.newest()

    def sweep(self, before: float, limit: int = 1000) -> int:
        """Look at the next `limit` folders and remove the old ones; return how many those were."""
        swept = 0
        for _ in range(limit):
            key = next(self._sweeping, None)
            if key is None:
                self._sweeping = self._spool.keys()
                break
            if key not in self._watched and self._spool.is_old(key, before):
                self._spool.remove(key)
                swept += 1
        return swept

    # What the keeper says

    def _up(self) -> None:
        for watched in list(self._watched.values()):
            if watched.asked_at is not None:
                self._ask(watched)

    def _down(self) -> None:
        for watched in self._watched.values():
            watched.hold(False)

    def _ask(self, watched: Watched) -> None:
        run = watched.run
        watched.ask(self._steady())
        self._link.send(request(run, watched.program, self._spool.path(run.key), self._limit))

    def _told(self, message: dict[str, Any]) -> None:
        if (watched := self._watched.get(message.get("started", ""))) is not None:
            self._begun(
                watched, Process(message["pid"], message["ticks"]), message["at"], held=True
            )
        elif (watched := self._watched.get(message.get("ended", ""))) is not None:
            watched.see(message, self._boot)
            self._ending(watched, message)
        elif (watched := self._watched.get(message.get("claimed", ""))) is not None:
            watched.claim()
            self._examine(watched)
        elif (watched := self._watched.pop(message.get("refused", ""), None)) is not None:
            self._rest()
            watched.finish()
            if watched.stop is not None:
                watched.ended.callback(watched.end(End.UNSTARTED))
            else:
                watched.ended.errback(SpoolError(message["reason"]))

    # The life of a run

    def _watch(self, run: Run) -> Watched:
        watched = self._watched[run.key] = Watched(run, Deferred())
        if not self._looking.running:
            self._looking.start(self._interval, now=False)
        return watched

    def _begun(
        self, watched: Watched, leader: Process, started: float, *, held: bool = False
    ) -> None:
        fresh = watched.leader is None
        if fresh:
            self._know(watched, leader, started)
        if held:
            watched.hold(True)
        if fresh and watched.stop is not None:
            self._signal(watched)

    def _know(self, watched: Watched, leader: Process, started: float) -> None:
        watched.know(leader, started, self._growth(watched))

    def _growth(self, watched: Watched) -> Growth:
        """How the output has grown, where somebody asks for that."""
        return None if watched.run.silence is None else self._spool.growth(watched.run.key)

    def _examine(self, watched: Watched) -> None:
        """Find out from the files how a run is that no keeper reports about."""
        key = watched.run.key
        try:
            journal = self._spool.journal(key)
            if journal is None and watched.leader is None:
                if self._spool.take_back(key):
                    self._finish(watched, watched.end(End.UNSTARTED))
                    return
                journal = self._spool.journal(key)
        except OSError as error:
            self._log.warn(
                "{key} cannot be looked at yet: {error}",
                action="run_unseen",
                key=key,
                error=str(error),
            )
            return
        if journal is not None:
            self._compare(watched, journal)
        elif watched.leader is not None and not watched.leader.is_alive:
            self._lost(watched, "its folder was removed while it ran: how it ended is not known")

    def _compare(self, watched: Watched, journal: Journal) -> None:
        if journal.stop is not None and watched.stop is None:
            watched.stop, watched.reason = journal.stop, journal.reason
        watched.looks, watched.before, watched.after = journal.looks, journal.before, journal.after
        if journal.leader is not None and journal.boot == self._boot and journal.ending is None:
            self._begun(watched, journal.leader, journal.started or 0.0)
        if watched.over is not None:
            return
        before = bool(journal.boot) and journal.boot != self._boot
        if journal.awaits_look and not before and journal.keeper and journal.keeper.is_alive:
            return  # it will be there, or given up, in a moment
        if journal.ending is not None and not (before and journal.ended_with_its_machine):
            ours = journal.leader if journal.boot == self._boot else None
            if watched.leader is None and ours is not None:
                self._know(watched, ours, journal.started or 0.0)
            watched.started = journal.started
            self._ending(watched, journal.ending)
        elif before:
            watched.started = journal.started
            self._lost(watched, "the machine was restarted while it ran")
        elif watched.leader is not None and watched.leader.is_alive:
            watched.missed = None
        elif journal.keeper is not None and journal.keeper.is_alive:
            watched.missed = None  # its keeper is about to write down what happened
        else:
            self._search(watched)

    def _search(self, watched: Watched) -> None:
        """Look for a run whose keeper died before it could write down the process, or the end."""
        if watched.leader is None:
            found = identity.find(self._spool.folder(watched.run.key))
            if found is not None:
                started = time.time() - found.age
                with suppress(OSError):  # it is found again in the same way
                    self._spool.note_leader(watched.run.key, found, started)
                self._begun(watched, found, started)
                watched.missed = None
                return
        if watched.missed is None:
            watched.missed = self._steady()
        elif watched.leader is not None:
            # Looked at again, because the exit may have been written after the first look.
            self._lost(watched, "the keeper died while it ran: its exit status is not known")
        elif self._steady() - watched.missed >= SETTLING:
            self._lost(watched, "the keeper died while it started it: whether it ran is not known")

    def _lost(self, watched: Watched, why: str) -> None:
        kind = watched.stop or End.LOST
        self._over(watched, watched.end(kind, reason=watched.reason or why))

    def _ending(self, watched: Watched, line: dict[str, Any]) -> None:
        """Take in the keeper's line about an end."""
        if watched.over is not None or watched.doubts(line, self._steady()):
            return
        if "failed" in line:
            reason = explained(watched.program or "its program", line["errno"], line["failed"])
            self._finish(watched, watched.end(End.UNSTARTABLE, reason=reason, at=line["at"]))
            return
        stopped = watched.stop is not None and self._was_stopped(watched)
        self._over(watched, watched.as_told(line, stopped=stopped))

    def _was_stopped(self, watched: Watched) -> bool:
        """Whether our wish to stop it was written down before its end was."""
        try:
            journal = self._spool.journal(watched.run.key)
        except OSError:
            journal = None
        if journal is not None and journal.stop is not None:
            return True  # by us, or by an earlier server
        # What could not be written down, on a full disk, counts by the signal.
        return watched.signalled and (journal is None or not watched.noted)

    def _over(self, watched: Watched, ended: Ended) -> None:
        """The leader has ended. Unless it exited, so must all others before that is reported.

        Until then the run continues: its time-outs and a cancel are for what is left of it.
        """
        leader = watched.leader
        if ended.kind is End.EXITED or leader is None or not (left := identity.groups_of(leader)):
            self._finish(watched, ended)
            return
        watched.leave(ended)
        if watched.stop is not None:
            self._signal(watched)
        else:
            self._log.warn(
                "{key}: {reason}. Processes that it has left are waited for: {groups}.",
                action="run_left",
                key=watched.run.key,
                reason=ended.reason,
                groups=", ".join(str(each) for each in sorted(left)),
            )

    def _clear(self, watched: Watched, leader: Process, seen: Callable[[], Sessions]) -> None:
        """Finish a run if nothing of it is left; when the grace of a stop is over, end what is."""
        groups = identity.groups_of(leader, seen)
        ended = watched.over
        if ended is not None and not groups:
            if watched.stop is not None and ended.kind is not watched.stop:
                ended = evolve(ended, kind=watched.stop, reason=watched.reason)
            self._finish(watched, ended)
        elif watched.signalled and self._steady() >= watched.kill_at:
            self._send(watched, groups, signal.SIGKILL)

    def _finish(self, watched: Watched, ended: Ended) -> None:
        if self._watched.pop(watched.run.key, None) is not None:
            self._rest()
            watched.finish()
            watched.ended.callback(ended)

    def _rest(self) -> None:
        if not self._watched and self._looking.running:
            self._looking.stop()

    # Stopping

    def _stop(self, watched: Watched, kind: End, reason: str) -> None:
        watched.stop, watched.reason = kind, reason
        if watched.leader is not None:
            self._signal(watched)
        elif watched.asked_at is not None:
            # Not started yet, perhaps never: then it must not be.
            with suppress(OSError):
                if self._spool.take_back(watched.run.key):
                    self._finish(watched, watched.end(End.UNSTARTED))

    def _signal(self, watched: Watched) -> None:
        """Write down that we stop it, then ask its processes to end."""
        if watched.signalled or watched.stop is None or watched.leader is None:
            return
        key, now = watched.run.key, self._steady()
        asked = (
            now  # or earlier, by an earlier server: its grace continues, and does not begin again
        )
        try:
            journal = self._spool.journal(key)
            if journal is None or journal.stop is None:
                left = watched.over is not None
                self._spool.note_stop(key, watched.stop, watched.reason, steady=now, left=left)
            elif journal.asked is not None:
                asked = min(journal.asked, now)
            watched.noted = True
        except OSError as error:  # a full disk must not keep a run alive
            self._log.error(
                "{key} is stopped, which could not be written down: {error}",
                action="stop_unwritten",
                key=key,
                error=str(error),
            )
        watched.signalled = True
        watched.kill_at = asked + watched.run.grace
        groups = identity.groups_of(watched.leader)
        self._send(watched, groups, signal.SIGTERM)
        signals.send(groups, signal.SIGCONT)  # what was halted would not hear it

    def _send(self, watched: Watched, groups: set[int], number: signal.Signals) -> None:
        """Signal what of the run we may; what we may not is logged once, and retried."""
        refused = signals.send(groups, number)
        if refused and not watched.refused:
            self._log.error(
                "{key} cannot be stopped: the processes of group {groups} are another user's, and"
                " may not be signalled ({signal}). It continues until they end.",
                action="run_unstoppable",
                key=watched.run.key,
                groups=", ".join(str(each) for each in sorted(refused)),
                signal=number.name,
            )
        watched.refused = refused

    # What time brings

    def _look(self) -> None:
        seen = cache(identity.sessions)  # one look at all processes does for all runs
        for watched in list(self._watched.values()):
            try:
                self._look_at(watched, seen)
            except Exception:  # noqa: BLE001 - one run must not keep the others from being seen
                self._log.failure(
                    "{key} cannot be looked at", action="run_defect", key=watched.run.key
                )

    def _look_at(self, watched: Watched, seen: Callable[[], Sessions]) -> None:
        if watched.asked_at is not None:
            if watched.stop is not None:
                self._stop(watched, watched.stop, watched.reason)
            return
        if watched.over is None and not watched.held:
            self._examine(watched)
        if watched.over is not None or not watched.held:
            self._bound(watched)
        leader = watched.leader
        if leader is None or watched.run.key not in self._watched:
            return
        if watched.over is not None or watched.signalled:
            self._clear(watched, leader, seen)
        if not watched.signalled and watched.run.key in self._watched:
            overdue = watched.overdue(leader.age, self._growth(watched))
            if overdue is not None:
                self._stop(watched, *overdue)

    def _bound(self, watched: Watched) -> None:
        """Do what the keeper would do with the output, if it was not dead or done with the run."""
        with suppress(OSError):
            if (
                watched.running is not None and watched.running.size > self._limit
            ) or self._limit < ((self._spool.growth(watched.run.key) or (0, 0.0))[0]):
                keeper.bound(str(self._spool.folder(watched.run.key) / keeper.OUTPUT), self._limit)
