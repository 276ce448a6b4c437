"""The line from an event to its notices: read, decide, record, queue, run, tell."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from vtspolicy.clock_trust import ClockTrust
from vtspolicy.engine.catalogue import Catalogue
from vtspolicy.engine.cleanup import Cleanup
from vtspolicy.engine.clock_watch import ClockWatch
from vtspolicy.engine.complaints import Complaints
from vtspolicy.engine.conduct import Conductor
from vtspolicy.engine.intake import (
    Reader,
    Understood,
    find,
    settle,
)
from vtspolicy.engine.measures import know
from vtspolicy.engine.mounts import Mounts
from vtspolicy.engine.receiving import Receiver
from vtspolicy.engine.refusals import OtherTapesError, require_no_override
from vtspolicy.engine.requests import Answer
from vtspolicy.engine.room import Room
from vtspolicy.engine.tapes.checks import known
from vtspolicy.engine.tapes.leftovers import put_right
from vtspolicy.events.event import Item
from vtspolicy.grammar import Target
from vtspolicy.hosts.outbox import Outbox
from vtspolicy.hosts.session import HostSession
from vtspolicy.jobs import Job, JobState
from vtspolicy.ledger import Book, Ledger
from vtspolicy.ledger.desk import Era
from vtspolicy.ledger.intake import Intake, Recorded
from vtspolicy.metrics import Metrics
from vtspolicy.queue.protocol import Entry, Queue
from vtspolicy.rules.steps import outline
from vtspolicy.runner.protocol import Runner, WrongSpoolError
from vtspolicy.tapes import Tape
from vtspolicy.vaults import Found, OneLook, Vaults

PAGE = 1000
"""Jobs taken from the ledger at a time when the queue is rebuilt."""


@define(kw_only=True)
class Engine:
    """One server's engine. Start it before the doors open."""

    clock: IReactorTime
    reader: Reader
    ledger: Ledger
    queue: Queue
    runner: Runner
    outbox: Outbox
    vaults: Vaults
    conductor: Conductor
    metrics: Metrics
    clock_trust: ClockTrust  # to be asked before what time alone makes irreversible
    threads: Callable[..., Deferred[Any]]  # each call has its own type of answer
    last_event: dict[str, float] = field(factory=dict)  # host -> seconds since the epoch
    known_since: dict[str, float] = field(factory=dict)  # the same, for when it became a host
    catalogue: Catalogue = field(init=False)  # of the tapes in the vaults
    mounts: Mounts = field(init=False)  # requests of hosts to mount a tape
    clock_watch: ClockWatch = field(init=False)
    cleanup: Cleanup = field(init=False)  # empties tapes whose copy is enough
    room: Room = field(init=False)  # for jobs of hosts
    receiver: Receiver = field(init=False)  # of what hosts send
    complaints: Complaints = field(init=False)  # about those who may not give commands
    log: Logger = field(factory=lambda: Logger("vtspolicy.engine"))

    def __attrs_post_init__(self) -> None:
        self.catalogue = Catalogue(
            clock=self.clock,
            ledger=self.ledger,
            vaults=self.vaults,
            period=lambda: self.reader.configuration.scan,
            busy=lambda: self.conductor.calls.running,
            threads=self.threads,
        )
        self.mounts = Mounts(engine=self)
        self.clock_watch = ClockWatch(
            clock=self.clock, trust=self.clock_trust, ledger=self.ledger, metrics=self.metrics
        )
        self.cleanup = Cleanup(engine=self)
        self.complaints = Complaints(self.conductor.journal.limit)
        self.room = Room(
            clock=self.clock, queue=self.queue, limit=lambda: self.reader.configuration.waiting
        )
        self.receiver = Receiver(engine=self)
        self.conductor.on_end = self.mounts.request_ended

    async def start(self) -> None:
        """Take up what an earlier server left: running jobs are adopted, waiting ones wait on."""
        await self.runner.open()
        await self.clock_watch.begin()
        await self._begin_era()
        self.use(self.reader)
        under_way = await self.ledger.read(Book.under_way)
        after, adopted = 0, []
        while page := await self.ledger.read(Book.live_jobs, after, PAGE):
            for job in page:
                if job.state is JobState.WAITING:
                    self.wait(job)
                else:
                    attempt = under_way[job.id]
                    own = evolve(entry(job), since=attempt.started)
                    self.queue.adopt(own, released=attempt.released)
                    adopted.append(job)
            after = page[-1].id
        for job in adopted:
            self.conductor.resume(job)
        self.queue.open(self.conductor.begin)
        self.log.info(
            "Recovered {running} running and {waiting} waiting jobs.",
            action="recovered",
            running=len(adopted),
            waiting=self.queue.waiting,
        )
        await self.mounts.start()

    async def _begin_era(self) -> None:
        """Give new numbers only; take nothing for never run that may have.

        Ledger and spool belong together. Where the spool says otherwise than it did to the last
        server, or the ledger was restored, that a run has no folder says nothing. A ledger that
        has not kept what it said is one of before there were marks.
        """
        ledger, marked = await self.ledger.read(Book.uid), self.runner.ledger
        if marked not in {None, ledger}:  # runs are found by the numbers of their jobs
            spool = self.reader.configuration.spool
            raise WrongSpoolError(
                f"{spool}: the runs there belong to ledger {marked}, and this one is {ledger};"
                " each needs a spool of its own. To go on without what ran there, first move the"
                " folder away"
            )
        kept = await self.ledger.read(Book.spool_mark)
        newest, now, table = self.runner.newest(), self.clock.seconds(), self.reader.table
        is_own = (marked or "") in {ledger, kept or ""}

        def begin_era(book: Book) -> Era:
            book.keep_rule_table(table.hash, outline(table))
            return book.begin_era(newest, now=now, is_own_spool=is_own)

        era = await self.ledger.write(begin_era)
        if era.put_back:
            self.log.warn(
                "The ledger was restored from a copy: what came after it is not known. The next"
                " request is {first}, behind all that were given since the copy.{more}",
                action="put_back",
                first=era.first,
                more=""
                if marked == ledger
                else " The spool is not the one of that ledger: jobs that waited when the copy was"
                " made are run, though they may have run since.",
            )
        if era.doubted:
            self.log.warn(
                "{doubted} attempts were under way. Those that have no folder in the spool may have"
                " run all the same, and count as interrupted: {why}.",
                action="doubted",
                doubted=era.doubted,
                why="the ledger was restored"
                if era.put_back
                else "the spool does not say that it belongs to this ledger",
            )
        try:
            self.runner.belong(ledger)
        except OSError as error:
            self.log.warn(
                "The spool cannot keep that it belongs to this ledger: {error}. Should it be lost"
                " before a server can mark it, that will not be noticed.",
                action="spool_unmarked",
                error=str(error),
            )
        if (mark := self.runner.ledger or "") != kept:
            await self.ledger.write(Book.keep_spool_mark, mark)

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

    def use(self, reader: Reader) -> None:
        """Decide by other files from now on; what was decided before keeps its decision."""
        self.reader = reader
        self.vaults.roots = dict(reader.configuration.vaults)
        self.vaults.accepted = dict(reader.configuration.vaults_without)
        self.queue.seats(reader.table.seats)
        now = self.clock.seconds()
        self.known_since = {
            name: self.known_since.get(name, now) for name in reader.configuration.hosts
        }
        know(self.metrics, reader)
        self.metrics.config_hash.clear()
        self.metrics.config_hash.labels(reader.table.hash).set(1)
        self.metrics.reload_ok.set(1)

    def wait(self, job: Job) -> None:
        """Let a recorded job wait for its turn, as long as its rule lets it."""
        self.conductor.expect(job)
        self.queue.put(entry(job))

    def receive(self, session: HostSession, items: list[Item]) -> Deferred[None]:
        """Take what a host sent; fires when it is recorded and answered, or kept for its turn.

        The session reads no more until then: whatever holds up the ledger holds up the host.
        """
        return Deferred.fromCoroutine(self.receiver.receive(session, items))

    async def find(self, commands: Sequence[Understood]) -> dict[int, Found | str]:
        """Return for each command its tapes, as their files are and as the ledger knows them.

        The ledger is asked where a rule may want to know, and where tapes of these names are.
        """
        about_tapes = [each for each in commands if each.command.targets]
        if not about_tapes:
            return {}
        names = {
            target.cartridge
            for each in about_tapes
            for target in each.command.targets
            if target.cartridge is not None
        }

        def named(book: Book) -> dict[str, list[Tape]]:
            return {name: book.tapes_named(name) for name in names}

        records = await self.ledger.read(named) if names else {}

        def look(_vault: Target, commands: Sequence[Understood]) -> list[Found | str]:
            with OneLook(self.vaults) as one:
                return [find(one, each.command.targets, records) for each in commands]

        now = self.clock.seconds()

        def add_known(book: Book, found: list[Found | str]) -> list[Found | str]:
            return [
                each if isinstance(each, str) else evolve(each, tapes=known(book, each.tapes, now))
                for each in found
            ]

        # A call for each vault: one that does not answer must not take the threads of all.
        by_vault: dict[str | None, list[Understood]] = {}
        for each in about_tapes:
            by_vault.setdefault(each.command.targets[0].vault, []).append(each)
        about_tapes = [each for commands in by_vault.values() for each in commands]
        looks = [
            Deferred.fromCoroutine(
                self.conductor.checks.in_thread(look, commands[0].command.targets[0], commands)
            )
            for commands in by_vault.values()
        ]
        found: list[Found | str] = []
        for some in await gatherResults(looks, consumeErrors=True):
            found += some
        there = [tape for each in found if not isinstance(each, str) for tape in each.tapes]
        await self.catalogue.follow(there, chain.from_iterable(records.values()))
        # Asked after the last wait: the table that decides next is the one that is asked here.
        table = self.reader.table
        if any(table.asks_of_records(family) for family in {e.command.family for e in about_tapes}):
            found = await self.ledger.read(add_known, found)
        return {id(each): result for each, result in zip(about_tapes, found, strict=True)}

    async def order(
        self,
        command: Understood,
        *,
        expected: Collection[str] = (),
        values: Mapping[str, str] | None = None,
        override: str | None = None,
    ) -> Recorded:
        """Decide about a command that no host sent, record it and let its jobs wait.

        `expected` are tapes that it must be about, by their names: OtherTapesError when it is not.
        `values` are more values for its jobs, of the operator. `override` is his reason why this
        order, of one tape as it is now, needs no proof of a copy: OverriddenAlreadyError when
        another order waits with one for the same tape.
        """
        found = (await self.find([command])).get(id(command), Found(tapes=()))
        if not isinstance(found, str):
            names = {tape.name for tape in found.tapes}
            if set(expected) - names:
                raise OtherTapesError(sorted(names))
        now = datetime.fromtimestamp(self.clock.seconds()).astimezone()
        intake = settle(self.reader, command, found, now)
        if values:
            jobs = (evolve(job, values={**job.values, **values}) for job in intake.jobs)
            intake = evolve(intake, jobs=tuple(jobs))
        tapes = found.tapes if not isinstance(found, str) else ()

        def record(book: Book) -> Recorded:
            if override is not None and len(intake.jobs) == 1:
                require_no_override(book, tapes[0])
            recorded = book.record(intake)
            if override is not None and len(recorded.jobs) == 1:
                by, at = command.actor or "operator", self.clock.seconds()
                book.save_files(tapes, at)
                book.set_override(tapes[0], override, by, at, job=recorded.jobs[0].id)
            return recorded

        recorded = await self.ledger.write(record)
        self.take_up(intake, recorded)
        return recorded

    def take_up(self, command: Understood | Intake, recorded: Recorded) -> None:
        """Let the jobs of a recorded command wait, and tell the first notice."""
        self.count(command, recorded)
        self.outbox.push(recorded.notices)  # before any of its jobs is told of
        for job in recorded.jobs:
            self.wait(job)

    def carry_out(self, result: Answer) -> None:
        """Do what a cancellation recorded: tell the host, withdraw what waits, stop what runs.

        All of that for each job, whatever becomes of the others.
        """
        self.conductor.journal.cancelled(result.ended, result.running)
        self.outbox.push(result.notices)
        steps = [(job.id, self._withdraw) for job in result.ended]
        steps += [(job.id, self.conductor.cancel) for job in result.running]
        for job, step in steps:
            try:
                step(job)
            except Exception:  # noqa: BLE001 - see above
                self.log.failure("Job {job} cannot be stopped.", action="cancel_defect", job=job)

    def _withdraw(self, job: int) -> None:
        self.conductor.forget(job)
        self.queue.withdraw(job)

    def count(self, command: Understood | Intake, recorded: Recorded) -> None:
        """A command is in the ledger: count it, and have the log tell of it."""
        self.conductor.journal.recorded(command, recorded)
        if isinstance(command, Understood):
            family, rule = command.command.family, None
        else:
            family, rule = command.family or "", command.rule
        word = recorded.notices[0].word.name.lower() if recorded.notices else "accepted"
        self.metrics.commands.labels(family, word).inc()
        if rule is not None and not recorded.duplicate:
            self.metrics.rule_matches.labels(rule).inc()


def entry(job: Job) -> Entry:
    """Return a job as the queue knows it."""
    return Entry(
        job=job.id,
        application=job.work.application,
        lock=job.lock,
        priority=job.priority,
        due=job.due,
        order=job.id,
        since=job.created,
    )
