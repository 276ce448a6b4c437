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
from vtspolicy.engine.effects import Effects, EngineLedger
from vtspolicy.engine.intake import (
    Understood,
    find,
    settle,
)
from vtspolicy.engine.journal import Journal
from vtspolicy.engine.mounts import Mounts
from vtspolicy.engine.patience import Patience
from vtspolicy.engine.policy import Policy, PolicyInForce
from vtspolicy.engine.receiving import Receiver
from vtspolicy.engine.recovery import Recovery
from vtspolicy.engine.refusals import OtherTapesError, require_no_override
from vtspolicy.engine.room import Room
from vtspolicy.engine.tapes.checks import known
from vtspolicy.engine.tapes.leftovers import put_right
from vtspolicy.events.event import Item
from vtspolicy.grammar import Target
from vtspolicy.hosts.outbox import Outbox
from vtspolicy.hosts.session import HostSession
from vtspolicy.ledger import Book, Recorded
from vtspolicy.metrics import Metrics
from vtspolicy.queue.protocol import Queue
from vtspolicy.runner.protocol import Runner
from vtspolicy.tapes import Tape
from vtspolicy.vaults import Found, OneLook, Vaults


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
        self.mounts = Mounts(engine=self)
        self.clock_watch = ClockWatch(
            clock=self.clock, trust=self.clock_trust, ledger=self.ledger, metrics=self.metrics
        )
        self.cleanup = Cleanup(engine=self)
        self.complaints = Complaints(self.journal.limit)
        self.room = Room(clock=self.clock, queue=self.queue, policy=self.policy)
        self.receiver = Receiver(engine=self)
        self.effects.watchers.append(self.mounts.changed)
        self.policy.subscribe(self._use)

    async def start(self) -> None:
        """Take up what an earlier server left: running jobs are adopted, waiting ones wait on."""
        await self.runner.open()
        await self.clock_watch.begin()
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
        table = self.policy.current.table
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
        intake = settle(self.policy.current, command, found, now)
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

        return await self.ledger.write(record)
