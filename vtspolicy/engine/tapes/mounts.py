"""Mount requests: a tape that was emptied after its migration comes back before it is mounted.

Every request that has to wait for its tape is in the ledger, and what is done about it follows
from there: a server that was killed continues where it was.
"""

from collections.abc import Callable, Collection
from datetime import datetime
from functools import partial

from attrs import define, evolve, field, frozen
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from vtspolicy.changes import Change
from vtspolicy.config.model import Host
from vtspolicy.engine.commands.deciding import settle
from vtspolicy.engine.commands.denied_log import DeniedLog
from vtspolicy.engine.commands.steps import Authorised, Located
from vtspolicy.engine.effects import EngineLedger
from vtspolicy.engine.jobs.programs import Programs
from vtspolicy.engine.policy import PolicyInForce
from vtspolicy.engine.tapes.catalogue import Catalogue
from vtspolicy.engine.tapes.checks import TapeChecks, known
from vtspolicy.engine.tapes.ready import make_ready
from vtspolicy.events.event import Event, identity
from vtspolicy.events.mounts import MountMessage, asks_for_mount, read_mount
from vtspolicy.grammar import Command, Target
from vtspolicy.jobs import Job, Request, RequestState
from vtspolicy.ledger import Mount, MountRecords, MountState, TapeRecords, Transaction
from vtspolicy.metrics import Metrics
from vtspolicy.notices import Notice
from vtspolicy.requests import Intake
from vtspolicy.rights import host_of_event, why_not_tapes
from vtspolicy.tapes import MountAction, MountAnswer, Tape, TapeState, on_mount
from vtspolicy.vaults import Found, VaultError, Vaults
from vtspolicy.visible import visible

PRIORITY = 100
"""The least priority of a restore that a mount waits for."""

LOOK = 10.0
"""Seconds between looks at requests that wait, should a hook have missed their end."""

SHOWN = 80
"""Characters of a message that could not be read that the log repeats."""

ACTOR = "engine"

_DONE = frozenset({RequestState.COMPLETED, RequestState.WARNING})


@frozen(kw_only=True)
class Opened:
    """What the record of a request came to."""

    result: str  # recalled, joined, repeated or duplicate
    mount: Mount | None = None


@frozen(kw_only=True)
class Due:
    """A mount whose restore has ended."""

    mount: Mount
    request: Request | None  # None: retention, or an operator, removed it
    job: Job | None  # that brought the tape back
    event: Event | None  # that asked for the mount
    tape: Tape | None = None  # as the catalogue has it

    @property
    def waits(self) -> bool:
        """Whether its tape is still to come back, from us or from the application's own people."""
        if self.request is None:
            return False
        if self.request.state is RequestState.NORULE and self.tape and not self.tape.by_us:
            return self.tape.state is TapeState.ERASED
        return self.request.state is RequestState.OPEN


@define(kw_only=True)
class Mounts:
    """The mount requests of one server."""

    clock: IReactorTime
    ledger: EngineLedger
    policy: PolicyInForce
    metrics: Metrics
    vaults: Vaults
    catalogue: Catalogue
    checks: TapeChecks
    programs: Programs  # of `ready` programs
    denied_log: DeniedLog  # about messages that cannot be read
    _awaited: set[int] = field(factory=set)  # restores that mounts wait for
    _paths: set[str] = field(factory=set)  # of the tapes that they wait for
    _in_hand: set[int] = field(factory=set)  # mounts whose ready program runs
    _one: DeferredLock = field(factory=DeferredLock)
    _loop: LoopingCall | None = None
    _alarm: IDelayedCall | None = None
    _log: Logger = field(factory=lambda: Logger("vtspolicy.mounts"))

    # -- life

    async def take_up(self) -> None:
        """Take up the requests that an earlier server left; free tapes that no host waits for."""

        def look(tx: Transaction) -> tuple[list[Mount], list[Tape]]:
            return tx.mounts.open(), tx.tapes.locked()

        left, locked = await self.ledger.read(look)
        self._await(left)
        for tape in locked:
            if all(each.path != tape.path for each in left):
                now = self.clock.seconds()
                told = "no host waits for it any more"
                await self.ledger.write(TapeRecords.set_locked, tape.path, False, ACTOR, now, told)

    def start(self) -> None:
        """Answer what is due now, and look again from time to time."""
        self._loop = LoopingCall(self._look)
        self._loop.clock = self.clock
        self._loop.start(LOOK, now=True)

    def stop(self) -> None:
        """Answer nothing any more; what is owed is in the ledger."""
        if self._loop is not None and self._loop.running:
            self._loop.stop()
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()

    def changed(self, change: Change) -> None:
        """A mount may wait for what was written: its restore has ended, its tape is back."""
        if (
            change.mounts
            or not self._awaited.isdisjoint(change.requests)
            or not self._paths.isdisjoint(change.tapes)
        ):
            self.check()

    def _await(self, mounts: Collection[Mount]) -> None:
        """Note what these mounts wait for, and nothing else."""
        self._awaited = {each.request for each in mounts if each.request is not None}
        self._paths = {each.path for each in mounts if each.path is not None}

    # -- what hosts send

    async def take(
        self, event: Event, *, hosts: Callable[[], Collection[Host]], address: str
    ) -> None:
        """Do what a tape message of a host asks for; recorded when this returns.

        `hosts` says whose the connection is: a reload may change that while a tape is looked for.
        """
        message = read_mount(event)
        if message is None and not asks_for_mount(event):
            return

        def whose() -> Host | str:
            return host_of_event(hosts(), event, address=address)

        host = whose()
        if isinstance(host, str):
            self._count("unheard")
        elif message is None:
            self._count("unread")
            told = f"'{visible(event.text[:SHOWN])}' is not a mount request of a known form"
            self.denied_log.refused(address, told)
        elif message.sequence is None:  # there is no number to answer by
            self._count("esm" if message.is_request else message.kind)
        elif message.closes_request:
            await self._close(event, host, message)
        elif message.is_request:
            self._count(await self._open(event, whose, message, message.sequence))

    def _count(self, result: str) -> None:
        self.metrics.mounts.labels(result).inc()

    async def _open(
        self, event: Event, whose: Callable[[], Host | str], message: MountMessage, seq: str
    ) -> str:
        """Answer a mount request; returns what was done, for the metric."""
        try:
            tape = await self._find(message.volume)
        except (VaultError, OSError) as error:
            self._log.info(
                "Mount {seq} of {system} left alone: {error}.",
                action="mount_left",
                seq=seq,
                system=event.system,
                error=error,
            )
            return "unknown"
        host = whose()  # by the rights that it has now: looking may have taken long
        if isinstance(host, str):
            return "unheard"
        denial = why_not_tapes(host, (tape,))
        if denial is not None:
            self._log.warn("Mount {seq}: {why}.", action="mount_denied", seq=seq, why=denial)
            return "denied"
        try:
            answer = on_mount(await self.checks.facts(tape))
        except VaultError as error:
            answer = MountAnswer(MountAction.FAIL, str(error))
        result = None
        if answer.action is MountAction.LEAVE:
            result = "unknown"
        elif answer.action is MountAction.NOTE:
            result = await self._note(event, host, tape, seq, answer.reason)
        elif answer.action is MountAction.FAIL:
            result = await self._refuse(event, host, tape, seq, answer.reason)
        # The recall runs after the job that now has the tape, however that job ends.
        return result or await self._recall(event, host, tape, seq)

    async def _note(
        self, event: Event, host: Host, tape: Tape, seq: str, reason: str
    ) -> str | None:
        """Record a request for a tape that has its data, or is empty; None: a job changes it."""
        now = self.clock.seconds()
        record_mount = _recorder(event, host, tape, seq, now)

        def note(tx: Transaction) -> str | None:
            known = tx.tapes.get(tape.path)
            emptied = known is not None and bool(tape.size) and not known.size
            has_copy = known is not None and known.handle is not None
            if has_copy and (emptied or tx.jobs.is_changed_now(tape)):
                return None
            mount = record_mount(tx.mounts, reason=reason)
            if mount is None:
                return "duplicate"
            tx.tapes.set_mounted(tape, now)
            return "noted"

        return await self.ledger.write(note)

    async def _refuse(
        self, event: Event, host: Host, tape: Tape, seq: str, reason: str
    ) -> str | None:
        """Answer a request for a tape whose data cannot be brought back; None: a job changes it."""
        now = self.clock.seconds()
        record_mount = _recorder(event, host, tape, seq, now)

        def record(tx: Transaction) -> tuple[Notice, ...] | str:
            if tx.jobs.is_changed_now(tape):
                return "changed"
            mount = record_mount(tx.mounts, state=MountState.RESTORING)
            if mount is None:
                return "duplicate"
            tx.tapes.set_mounted(tape, now)
            return tx.mounts.answer(mount.id, MountState.FAILED, now, tape=tape.name, reason=reason)

        refused = await self.ledger.write(record)
        if isinstance(refused, str):
            return None if refused == "changed" else refused
        self._log.error(
            "Mount {seq} of {host} cannot be served: {tape}: {cause}.",
            action="mount_answered",
            seq=seq,
            host=host.name,
            tape=tape.name,
            state="failed",
            cause=reason,
        )
        return "failed"

    async def _find(self, volume: str) -> Tape:
        """Return the tape of this name. Raises VaultError when there is none, or more than one."""
        records = await self.ledger.read(TapeRecords.named, volume)
        looking = self.checks.in_thread
        found = await looking(self.vaults.find, Target(cartridge=volume), records)
        await self.catalogue.follow(found.tapes, records)
        now = self.clock.seconds()
        (tape,) = await self.ledger.read(known, found.tapes, now)
        return tape

    async def _recall(self, event: Event, host: Host, tape: Tape, seq: str) -> str:
        """Record the request with the restore that it needs, or with the one that is under way."""
        now = self.clock.seconds()
        intake = self._restore_of(host, tape, now)
        record_mount = _recorder(event, host, tape, seq, now)

        def record(tx: Transaction) -> Opened:
            others = tx.mounts.open_for(tape.path)
            again = [each for each in others if (each.host, each.seq) == (host.name, seq)]
            if again:
                reason = f"it repeats mount {again[0].id}"
                noted = record_mount(tx.mounts, reason=reason)
                return Opened(result="repeated" if noted else "duplicate")
            mount = record_mount(tx.mounts, state=MountState.RESTORING)
            if mount is None:
                return Opened(result="duplicate")
            tx.tapes.set_mounted(tape, now)
            tx.tapes.set_locked(
                tape.path, True, ACTOR, now, f"mount {seq} of {host.name} waits for it"
            )
            joined = next((each.request for each in others if each.request is not None), None)
            result = "joined"
            if joined is None:
                result, joined = "recalled", tx.requests.record(intake).request
            tx.mounts.move(mount.id, MountState.RESTORING, now, request=joined)
            return Opened(result=result, mount=evolve(mount, request=joined))

        opened = await self.ledger.write(record)
        if opened.mount is not None and opened.mount.request is not None:
            self._log.info(
                "Mount {seq} of {host} waits for {tape}: {result}, request {req}.",
                action="mount_waits",
                seq=seq,
                host=host.name,
                tape=tape.name,
                result=opened.result,
                req=opened.mount.request,
            )
        return opened.result

    def _restore_of(self, host: Host, tape: Tape, now: float) -> Intake:
        """Return the restore that a mount needs, as the rules decide about it.

        It is decided for the host that waits, but has no requester: the host gets only the notices
        of its mount. A tape that still has its data is about to be emptied: the rules see it as it
        will be then.
        """
        if tape.size and not tape.is_half_restored:
            tape = evolve(tape, size=0)
        target = Target(vault=tape.vault, pool=tape.pool, cartridge=tape.cartridge)
        understood = Authorised(
            event=Event(text=f"VTSPolicy Restore - {tape.cartridge}", wire="plain"),
            host=host,
            command=Command(family="Restore", operation="restore", targets=(target,)),
            received=now,
            actor=ACTOR,
        )
        located = Located(understood=understood, found=Found(tapes=(tape,)))
        when = datetime.fromtimestamp(now).astimezone()
        intake = settle(self.policy.current, located, when)
        jobs = (evolve(job, priority=max(job.priority, PRIORITY)) for job in intake.jobs)
        return evolve(intake, host="", digest=None, notify_all=False, jobs=tuple(jobs))

    async def _close(self, event: Event, host: Host, message: MountMessage) -> None:
        """Drop a request that the host has closed itself."""
        now = self.clock.seconds()
        told = {
            "mounted": "the host has mounted it",
            "cancelled": "the host cancelled it",
            "rejected": "the host's operator rejected it",
        }

        def close(tx: Transaction) -> list[Mount]:
            closed = []
            for mount in tx.mounts.open(host.name, message.sequence):
                asked = tx.events.get(mount.id)
                # The host uses its numbers again: an old event that is shown again closes nothing.
                older = asked and asked.time and event.time and event.time < asked.time
                if not message.names(mount.volume) or older:
                    continue
                tx.mounts.move(mount.id, MountState.CLOSED, now, reason=told[message.kind])
                _unlock(tx, mount, now)
                closed.append(mount)
            return closed

        closed = await self.ledger.write(close)
        if closed:
            self._count("closed")
        for mount in closed:
            self._log.info(
                "Mount {seq} of {host} for {tape} is not answered: {cause}.",
                action="mount_closed",
                seq=mount.seq,
                host=host.name,
                tape=mount.volume,
                cause=told[message.kind],
            )

    # -- what comes of it

    def _look(self) -> Deferred[None] | None:
        return self.check() if self._awaited else None

    def check(self) -> Deferred[None]:
        """Answer the mounts whose restore has ended."""
        return self._one.run(lambda: Deferred.fromCoroutine(self._check())).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        self._log.failure("Mounts cannot be answered.", failure, action="mounts_failed")

    async def _check(self) -> None:
        def look(tx: Transaction) -> list[Due]:
            due = []
            for mount in tx.mounts.open():
                request = tx.requests.get(mount.request) if mount.request is not None else None
                jobs = tx.jobs.find(request=request.id, limit=100) if request is not None else []
                job = next((each for each in jobs if each.path == mount.path), None)
                if len(jobs) == 1:  # the tape may have been moved since
                    job = jobs[0]
                event = tx.events.get(mount.id)
                tape = tx.tapes.get(mount.path) if mount.path is not None else None
                due.append(Due(mount=mount, request=request, job=job, event=event, tape=tape))
            return due

        found = await self.ledger.read(look)
        self._await([each.mount for each in found])
        for each in found:
            if not each.waits and each.mount.id not in self._in_hand:
                self._in_hand.add(each.mount.id)
                done = Deferred.fromCoroutine(self._answer(each))
                done.addErrback(self._failed)
                done.addBoth(lambda _, number: self._in_hand.discard(number), each.mount.id)

    async def _answer(self, due: Due) -> None:
        reason = _why_not_back(due)
        if reason is None:
            wait = self._wait(due.mount)
            if wait > 0:
                self._wake_in(wait)
                return
            reason = await make_ready(self.programs, due.job, due.mount, due.event)
        state = MountState.READY if reason is None else MountState.FAILED
        number, now = due.mount.id, self.clock.seconds()

        def answer(tx: Transaction) -> None:
            mount = tx.mounts.get(number)  # its tape may have been moved since
            tape = tx.tapes.get(mount.path) if mount.path is not None else None
            name = tape.name if tape is not None else mount.volume
            tx.mounts.answer(mount.id, state, now, tape=name, reason=reason)
            _unlock(tx, mount, now)

        await self.ledger.write(answer)
        mount = due.mount
        self._count(state.value)
        tell = self._log.info if reason is None else self._log.error
        tell(
            "Mount {seq} of {host}: {state}" + (": {cause}" if reason else ""),
            action="mount_answered",
            seq=mount.seq,
            host=mount.host,
            state=state.value,
            tape=mount.path,
            cause=reason,
        )

    def _wait(self, mount: Mount) -> float:
        """Return for how many seconds a host is not to be answered yet.

        It is answered at once where the clock was set back, and it is not known how long it waits.
        """
        host = self.policy.current.configuration.hosts.get(mount.host)
        delay = host.mount_delay if host is not None else 0.0
        wait = mount.opened + delay - self.clock.seconds()
        return wait if wait <= delay else 0.0

    def _wake_in(self, seconds: float) -> None:
        now = self.clock.seconds()
        if self._alarm is not None and self._alarm.active():
            if self._alarm.getTime() <= now + seconds:
                return
            self._alarm.cancel()
        self._alarm = self.clock.callLater(seconds, self.check)


def _why_not_back(due: Due) -> str | None:
    request = due.request
    if request is None:
        return "its restore is not known any more"
    tape = due.tape
    if (
        request.state is RequestState.NORULE
        and tape is not None
        and (tape.state, tape.by_us) == (TapeState.MIGRATED, False)
    ):
        return None  # the application's own people brought it back
    if request.state in _DONE and request.jobs:
        return None
    state = {RequestState.NORULE: "no rule matches its restore"}.get(request.state)
    return request.reason or state or f"its restore ended as {request.state.value}"


def _unlock(tx: Transaction, mount: Mount, at: float) -> None:
    """Unlock the tape of a mount that was answered, when no other mount waits for it."""
    if mount.path is None or tx.mounts.open_for(mount.path) or tx.tapes.get(mount.path) is None:
        return
    tx.tapes.set_locked(mount.path, False, ACTOR, at, f"mount {mount.seq} of {mount.host} is over")


def _recorder(
    event: Event, host: Host, tape: Tape, seq: str, now: float
) -> Callable[..., Mount | None]:
    """Return what records a mount request in a tx, with its `state` or `reason`."""
    return partial(
        MountRecords.record,
        event=event,
        host=host.name,
        digest=identity(host.name, event),
        received=now,
        seq=seq,
        volume=tape.cartridge,
        path=tape.path,
    )
