"""What hosts send: recorded and answered, or kept in its order until there is room for its jobs."""

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import islice, takewhile
from typing import cast

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from vtspolicy.config.model import Host
from vtspolicy.engine.commands.about_request import AboutRequest
from vtspolicy.engine.commands.authorising import understand
from vtspolicy.engine.commands.composing import refused
from vtspolicy.engine.commands.deciding import settle, settle_some
from vtspolicy.engine.commands.denied_log import DeniedLog
from vtspolicy.engine.commands.locating import Locator
from vtspolicy.engine.commands.queue_capacity import QueueCapacity
from vtspolicy.engine.commands.recording import record, together
from vtspolicy.engine.commands.steps import Authorised, Elsewhere, Located, Unheard, Unlocated
from vtspolicy.engine.effects import EngineLedger
from vtspolicy.engine.policy import Policy, PolicyInForce
from vtspolicy.engine.tapes.mounts import Mounts
from vtspolicy.events.event import Acknowledgement, Event, Item, Refusal
from vtspolicy.grammar import Target
from vtspolicy.hosts.session import HostSession
from vtspolicy.jobs import RequestState
from vtspolicy.ledger.large_requests import SLICE
from vtspolicy.metrics import Metrics
from vtspolicy.notices import Notice, Word
from vtspolicy.requests import Intake
from vtspolicy.sessions import SessionState

MOST_KEPT = 200
"""Events kept for a connection; once there are so many, it is not read any further."""

MOST_TEXT = 65_536
"""Characters of their texts, likewise. What one read brings is kept in any case."""

Command = Authorised | AboutRequest | Intake
"""A command that its host may give, or the record of one that is refused."""

Step = Command | Located | Unlocated
"""A command once its tapes were looked for; one about requests, or refused, stays as it is."""

REFUSED = frozenset({RequestState.DENIED, RequestState.NORULE})
"""What the table may say of a command that need not wait: it brings no jobs."""


@frozen(kw_only=True)
class Kept:
    """A command that may bring jobs, or a mount; it waits for its turn."""

    event: Event
    command: Command | None = None  # None: a mount
    policy: Policy | None = None  # by which the command was understood


@define
class Backlog:
    """What is kept for one connection, the oldest first."""

    kept: deque[Kept] = field(factory=deque)
    wanted: Deferred[None] | None = None  # fires when there is a place again

    @property
    def is_full(self) -> bool:
        """Whether no more is to be read."""
        return (
            len(self.kept) >= MOST_KEPT
            or sum(len(each.event.text) for each in self.kept) >= MOST_TEXT
        )

    @property
    def targets(self) -> set[tuple[str, str | None]]:
        """The hosts of the commands that are kept, with the references that they give."""
        commands = [each.command for each in self.kept if each.command is not None]
        return {
            (each.host if isinstance(each, Intake) else each.host.name, _references(each)[0])
            for each in commands
        }

    @property
    def refs(self) -> set[str]:
        """The references of the commands that are kept."""
        given = (_references(each.command)[0] for each in self.kept if each.command is not None)
        return {ref for ref in given if ref is not None}

    def wait(self) -> Deferred[None]:
        """Wait for a place; there is one waiter at most, the connection's own reading."""
        self.wanted = Deferred()
        return self.wanted

    def replace_first(self, count: int, left: Sequence[Kept]) -> None:
        """Remove the first ones, all but those that are left."""
        for _ in range(count):
            self.kept.popleft()
        self.kept.extendleft(reversed(left))
        if self.wanted is not None and not self.is_full:
            wanted, self.wanted = self.wanted, None
            wanted.callback(None)


@define(kw_only=True)
class Receiver:
    """Takes what the connections bring.

    While the server drains or the queue is full, commands that may bring jobs are kept, in their
    order and up to a bound; while it drains, mounts too. What the table refuses, Status and Cancel
    are answered meanwhile, unless they have or name the reference of a command that is kept: those
    come after it.
    """

    clock: IReactorTime
    ledger: EngineLedger
    policy: PolicyInForce
    metrics: Metrics
    denied_log: DeniedLog
    capacity: QueueCapacity
    locator: Locator
    mounts: Mounts
    backlogs: dict[HostSession, Backlog] = field(factory=dict)  # of connections that have one

    async def receive(self, session: HostSession, items: Sequence[Item]) -> None:
        """Take what a connection brought; returns when more of it may be read."""
        commands, mounts = self._read(session, items)
        failures: list[Exception] = []  # of some; those beside them are taken all the same
        if session not in self.backlogs:
            commands = await self._take_all(session, commands, failures)
            if not commands and self.capacity.is_open(session):
                for each in mounts:
                    await self._take_mount(session, each.event)
                mounts = []
        if commands or mounts:
            await self._put_off(session, commands, mounts, failures)
        if failures:
            raise failures[0]
        backlog = self.backlogs.get(session)
        if backlog is not None and backlog.is_full:
            await backlog.wait()

    def _read(
        self, session: HostSession, items: Sequence[Item]
    ) -> tuple[list[Command], list[Kept]]:
        """Return the commands and the mounts of what came in; the rest is done at once."""
        now = self.clock.seconds()
        commands: list[Command] = []
        mounts: list[Kept] = []
        for item in items:
            if isinstance(item, Acknowledgement):
                session.acknowledge(item.ids)
            elif isinstance(item, Refusal):
                self._refuse(session, item)
            elif item.is_command:
                command = self._understand(session, item, now, session.hosts)
                if command is not None:
                    commands.append(command)
            elif item.is_mount:
                mounts.append(Kept(event=item))
        return commands, mounts

    # What there is no room for

    async def _put_off(
        self,
        session: HostSession,
        commands: Sequence[Command],
        mounts: Sequence[Kept],
        failures: list[Exception],
    ) -> None:
        """Keep what needs room; answer the commands that need none."""
        policy = self.policy.current
        located = await self._locate(commands)
        while self.policy.current is not policy:
            policy = self.policy.current
            commands = self._understand_again(session, commands)
            located = await self._locate(commands)
        now = datetime.fromtimestamp(self.clock.seconds()).astimezone()
        backlog = self.backlogs.get(session)
        refs = backlog.refs if backlog is not None else set()
        at_once: list[AboutRequest | Intake] = []
        kept: list[Kept] = []
        for each, step in zip(commands, located, strict=True):
            ref, named = _references(each)
            answered: AboutRequest | Intake | None = None
            if not refs & {ref, named}:
                command = self._unless_kept_elsewhere(session, each, named)
                answered = self._without_jobs(command, step, now)
            if answered is not None:
                at_once.append(answered)
                continue
            if ref is not None:
                refs.add(ref)
            kept.append(Kept(event=each.event, command=each, policy=policy))
        self._keep(session, [*kept, *mounts])
        await self._record(session, at_once, failures)

    def _unless_kept_elsewhere(
        self, session: HostSession, command: Command, named: str | None
    ) -> Command:
        """Return a Status or Cancel; denied with the reason if another connection has its target.

        The command that it names has no number yet, and would be done after all.
        """
        if named is None or not isinstance(command, AboutRequest):
            return command
        host = command.host.name
        for other, backlog in self.backlogs.items():
            if other is not session and (host, named) in backlog.targets:
                reason = (
                    f"the command with ref={named} waits for room on another connection of host"
                    f" {host}: ask again later, or on that one"
                )
                return refused(command.command, RequestState.DENIED, reason)
        return command

    def _without_jobs(
        self, command: Command, step: Step, now: datetime
    ) -> AboutRequest | Intake | None:
        """Return how a command is answered now, as it brings no jobs; None if it has to wait.

        Only what the table refuses counts. A tape that is not found may be there when it is the
        command's turn, and a failure shows then.
        """
        if not isinstance(command, Authorised):
            return command
        if not isinstance(step, Located):
            return None
        try:
            intake = settle(self.policy.current, step, now)
        except Exception:  # noqa: BLE001 - it is told when it is the command's turn
            return None
        return intake if intake.state in REFUSED else None

    def _keep(self, session: HostSession, kept: Sequence[Kept]) -> None:
        """Keep what waits for room, and begin to wait for it."""
        if not kept:
            return
        begins = session not in self.backlogs
        backlog = self.backlogs.setdefault(session, Backlog())
        backlog.kept.extend(kept)
        session.kept = len(backlog.kept)
        if begins:
            done = Deferred.fromCoroutine(self._work_off(session, backlog))
            done.addErrback(session.fail)

    async def _work_off(self, session: HostSession, backlog: Backlog) -> None:
        """Take what is kept as there is room for it."""
        room, kept = self.capacity, backlog.kept
        missed = False  # its last turn brought nothing: others were faster
        while kept:
            failures: list[Exception] = []
            left: Sequence[Kept] = ()
            if kept[0].command is None:
                await room.wait_until_open(session)
                some = [kept[0]]
            else:
                await room.wait(session, first=missed)
                some = list(islice(_commands(kept), room.left(session, in_turn=True)))
            try:
                left = await self._take_kept(session, some, failures)
            except Exception as error:  # noqa: BLE001 - what is behind it is taken all the same
                failures.append(error)
            missed = len(left) == len(some)
            backlog.replace_first(len(some), left)
            session.kept = len(kept)
            if failures:
                session.fail(Failure(failures[0]))
        del self.backlogs[session]
        session.close_if_done()

    async def _take_kept(
        self, session: HostSession, some: Sequence[Kept], failures: list[Exception]
    ) -> Sequence[Kept]:
        """Take a mount, or commands; returns those for which there is no room after all."""
        if some[0].command is None:
            await self._take_mount(session, some[0].event)
            return ()
        commands = [each.command for each in some if each.command is not None]
        policy = self.policy.current
        if any(each.policy is not policy for each in some):
            commands = self._understand_again(session, commands)
        left = await self._take_all(session, commands, failures, in_turn=True)
        policy = self.policy.current
        return [Kept(event=each.event, command=each, policy=policy) for each in left]

    async def _take_mount(self, session: HostSession, event: Event) -> None:
        hosts = partial(self._hosts_now, session)
        await self.mounts.take(event, hosts=hosts, address=session.address)

    # What hosts may say

    def _hosts_now(self, session: HostSession) -> tuple[Host, ...]:
        """Return whose a connection is now; a reload renews only live ones."""
        if session.state is not SessionState.CLOSED:
            return session.hosts
        hosts = self.policy.current.configuration.hosts.values()
        return session.peer.hosts_among(hosts)

    def _refuse(self, session: HostSession, refusal: Refusal) -> None:
        """Answer, count and log input that is not an event; nothing is recorded."""
        name = session.hosts[0].name if session.hosts else ""
        self.metrics.refused.labels(name, refusal.kind).inc()
        self.denied_log.refused(session.address, refusal.reason)
        if not refusal.answered:
            return
        named = {"column": refusal.column, "reason": refusal.reason, "id": refusal.id}
        fields = {name: value for name, value in named.items() if value}
        now = self.clock.seconds()
        session.tell(Notice(word=Word.REJECTED, host=name, fields=fields, created=now))

    def _understand(
        self, session: HostSession, event: Event, received: float, hosts: Collection[Host]
    ) -> Command | None:
        result = understand(
            self.policy.current,
            event,
            hosts=hosts,
            address=session.address,
            received=received,
        )
        if isinstance(result, Elsewhere):
            self.metrics.commands.labels("", "elsewhere").inc()
            self.denied_log.elsewhere(session.address, result.server)
            return None
        if isinstance(result, Unheard):
            self.metrics.commands.labels("", "unheard").inc()
            named = {"ref": result.ref, "reason": result.reason, "id": event.id}
            fields = {name: value for name, value in named.items() if value}
            session.tell(Notice(word=Word.DENIED, host="", fields=fields, created=received))
            self.denied_log.denied(session.address, result.reason, result.ref)
            return None
        return result

    def _understand_again(self, session: HostSession, commands: Sequence[Command]) -> list[Command]:
        """Understand commands by the files that a reload has brought: a right may be gone."""
        hosts = self._hosts_now(session)
        read = [self._understand(session, each.event, each.received, hosts) for each in commands]
        return [each for each in read if each is not None]

    # From a command to its record

    async def _take_all(
        self,
        session: HostSession,
        commands: list[Command],
        failures: list[Exception],
        *,
        in_turn: bool = False,
    ) -> list[Command]:
        """Decide and record commands while there is room; return those for which there is none."""
        policy, room = self.policy.current, self.capacity
        while commands and (left := room.left(session, in_turn=in_turn)) > 0:
            some = commands[:left]
            located = await self._locate(some)
            if self.policy.current is not policy:
                policy, commands = self.policy.current, self._understand_again(session, commands)
                continue
            left = room.left(session, in_turn=in_turn)
            if left <= 0:
                break
            failed: list[Exception] = []
            decided, count = await self._settle(policy, located, room=left, failures=failed)
            if self.policy.current is not policy:
                policy, commands = self.policy.current, self._understand_again(session, commands)
                continue
            failures += failed
            await self._record(session, decided, failures)
            commands = commands[count:]
        if self.policy.current is policy:
            return commands
        return self._understand_again(session, commands)

    async def _settle(
        self, policy: Policy, located: Sequence[Step], *, room: int, failures: list[Exception]
    ) -> tuple[list[AboutRequest | Intake], int]:
        """Decide what was located: see `settle_some`. Very many tapes are decided in a thread."""
        now = datetime.fromtimestamp(self.clock.seconds()).astimezone()
        found = [each for each in located if isinstance(each, Located)]
        if sum(len(each.found.tapes) for each in found) <= SLICE:
            return settle_some(policy, located, now, room=room, failures=failures)

        def settle_all(_vault: Target) -> tuple[list[AboutRequest | Intake], int]:
            return settle_some(policy, located, now, room=room, failures=failures)

        vault = found[0].understood.command.targets[0]
        return cast(
            "tuple[list[AboutRequest | Intake], int]",  # a thread may answer anything
            await self.locator.checks.in_thread(settle_all, vault),
        )

    async def _locate(self, commands: Sequence[Command]) -> list[Step]:
        """Return what each command has become now that its tapes were looked for.

        If that fails for several together, each is tried alone: it may be the fault of one.
        """
        about_tapes = {
            number: each for number, each in enumerate(commands) if isinstance(each, Authorised)
        }
        steps: list[Step] = [*commands]
        looked = await self._look([*about_tapes.values()])
        for number, step in zip(about_tapes, looked, strict=True):
            steps[number] = step
        return steps

    async def _look(self, commands: Sequence[Authorised]) -> list[Located | Unlocated]:
        try:
            return [*await self.locator.locate(commands)]
        except Exception as error:  # noqa: BLE001 - it is the answer
            if len(commands) == 1:
                return [Unlocated(understood=commands[0], error=error)]
        return [each for command in commands for each in await self._look([command])]

    async def _record(
        self,
        session: HostSession,
        decided: Sequence[AboutRequest | Intake],
        failures: list[Exception],
    ) -> None:
        """Record commands and answer them: their transactions share a flush to disk."""
        coming = sum(len(each.jobs) for each in decided if isinstance(each, Intake))
        self.capacity.coming += coming
        writes = [
            (some, Deferred.fromCoroutine(record(self.ledger, some, session)))
            for some in together(decided)
        ]
        try:
            for some, write in writes:
                for command, result in zip(some, await write, strict=True):
                    if isinstance(result, Exception):
                        failures.append(result)
                        continue
                    took = self.clock.seconds() - command.received
                    self.metrics.commit_seconds.observe(took)
        finally:
            self.capacity.coming -= coming


def _commands(kept: deque[Kept]) -> Iterator[Kept]:
    """Yield what stands before the first mount."""
    return takewhile(lambda each: each.command is not None, kept)


def _references(command: Command) -> tuple[str | None, str | None]:
    """Return the reference that a command gives its request, and the one by which it names another.

    Commands about requests cannot be named themselves.
    """
    match command:
        case Intake():
            return command.ref, None
        case AboutRequest():
            return None, command.reference
    return command.command.ref, None
