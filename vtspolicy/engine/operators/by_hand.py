"""What operators do with tapes: give commands, mark copies, overrule the deletion gate, unlock."""

from datetime import datetime
from pathlib import Path

from attrs import define, evolve, frozen
from twisted.internet.interfaces import IReactorTime

from vtspolicy.control import Refused, Told, UnknownThing
from vtspolicy.engine.commands.about_request import AboutRequest
from vtspolicy.engine.commands.authorising import understand
from vtspolicy.engine.commands.orders import Orders
from vtspolicy.engine.commands.refusals import OtherTapesError, OverriddenAlreadyError
from vtspolicy.engine.commands.steps import Authorised, Elsewhere, Unheard
from vtspolicy.engine.effects import EngineLedger
from vtspolicy.engine.policy import PolicyInForce
from vtspolicy.engine.tapes.catalogue import Catalogue
from vtspolicy.engine.tapes.checks import CHOSEN, TO, TapeChecks, known
from vtspolicy.engine.tapes.cleanup import OURSELVES
from vtspolicy.events.event import COMMAND_TEXT, Event
from vtspolicy.grammar import Target
from vtspolicy.grammar.values import TYPES
from vtspolicy.ledger import (
    ASKED,
    Recorded,
    RequestRecords,
    TapeOrders,
    TapeRecords,
    Transaction,
    told_why,
)
from vtspolicy.queue.protocol import Queue
from vtspolicy.suggest import did_you_mean
from vtspolicy.tapes import Act, Allowed, Copy, Done, Mark, Tape, judge
from vtspolicy.tapes import Refused as RefusedAct
from vtspolicy.vaults import VaultError, Vaults

PROMPT = 1.0
"""Seconds within which a vault has to answer, for its clock to be compared with ours."""

LOOKS_AT_CLOCK = 3
"""How often a vault's clock is looked at, if it does not answer promptly."""


@frozen(kw_only=True)
class Wish:
    """What an operator gives with a command."""

    tapes: tuple[str, ...] = ()  # that it must be about, by their names
    override: str | None = None  # a reason why this order needs no proven copy
    copy: str | None = None  # the handle of the copy that a restore brings back
    to: str | None = None  # a new file to which a restore writes, in place of the tape
    reason: str | None = None  # why it is given; for the history

    @property
    def values(self) -> dict[str, str]:
        """The values that the order's jobs get by it."""
        given = {CHOSEN: self.copy, TO: self.to}
        return {name: value for name, value in given.items() if value is not None}


def _told(recorded: Recorded) -> Told:
    fields = recorded.notices[0].fields if recorded.notices else {}
    last = recorded.notices[-1].fields if recorded.notices else {}
    return {
        "request": recorded.request,
        "word": recorded.notices[0].word.name if recorded.notices else None,
        "jobs": len(recorded.jobs),
        "reason": fields.get("reason") or last.get("reason"),
        "column": fields.get("column"),
    }


@frozen(kw_only=True)
class Said:
    """What an application did with a tape by its own schedule."""

    state: str  # migrated or restored
    application: str
    handle: str | None = None  # of the copy, by which the application finds it
    retention: str | None = None  # 14,d
    media: str | None = None  # on which of its media the copy is
    size: int | None = None  # how many bytes were copied
    began: str | None = None  # when the copy began, as ISO 8601 with or without a zone
    reason: str | None = None  # why an operator says so; for the history


@define(kw_only=True)
class ManualOrders:
    """What operators order, and say of tapes; `Refused` and `UnknownThing` are raised."""

    clock: IReactorTime
    ledger: EngineLedger
    policy: PolicyInForce
    queue: Queue
    vaults: Vaults
    catalogue: Catalogue
    checks: TapeChecks
    orders: Orders

    async def order(self, text: str, wish: Wish, actor: str) -> Told:
        """Take a command by an operator's right."""
        if COMMAND_TEXT.match(text) is None:
            raise Refused("this is not a command: it has to begin with VTSPolicy")
        now = self.clock.seconds()
        event = Event(text=text, wire="plain")
        result = understand(
            self.policy.current, event, hosts=(OURSELVES,), address="", received=now
        )
        if isinstance(result, Elsewhere):
            raise Refused(f"this is a command for {result.server}, not for this server")
        if isinstance(result, Unheard):
            raise Refused(result.reason)
        if isinstance(result, AboutRequest):
            command = result.command.command
            raise Refused(f"{command.family} is for hosts; see `vtspolicy {command.operation}`")
        if not isinstance(result, Authorised):
            intake = evolve(result, actor=actor, asked=wish.reason)
            recorded: Recorded = await self.ledger.write(RequestRecords.record, intake)
            return _told(recorded)
        self._check_wish(result, wish)
        self.refuse_when_full()
        try:
            recorded = await self.orders.give(
                evolve(result, actor=actor, asked=wish.reason),
                expected=wish.tapes,
                values=wish.values,
                override=wish.override,
            )
        except (OtherTapesError, OverriddenAlreadyError) as error:
            raise Refused(str(error)) from error
        return _told(recorded)

    def _check_wish(self, understood: Authorised, wish: Wish) -> None:
        """Raise Refused for what cannot be given with a command."""
        verb, count = understood.command.operation, len(understood.command.targets)
        if (wish.copy or wish.to) and verb != "restore":
            raise Refused("a copy is chosen, or a file written, by a Restore only")
        if wish.override and verb not in {"erase", "delete", "restore"}:
            raise Refused("there is nothing to overrule but for Erase, Delete and Restore")
        if (wish.override or wish.copy or wish.to) and count != 1:
            raise Refused("this is for one tape at a time")
        if wish.to is not None:
            path = Path(wish.to)
            if not path.is_absolute():
                raise Refused(f"{wish.to} is not the whole path of a file")
            for vault, root in self.vaults.roots.items():
                if path.is_relative_to(root) or path.resolve().is_relative_to(root.resolve()):
                    raise Refused(
                        f"{wish.to} is in vault {vault}: choose a place outside of vaults"
                    )

    def refuse_when_full(self) -> None:
        """Raise Refused where hosts are not read any further: so many jobs wait as may."""
        waiting, most = self.queue.waiting, self.policy.current.configuration.waiting
        if waiting >= most:
            jobs = "job waits" if waiting == 1 else "jobs wait"
            raise Refused(
                f"the queue is full: {waiting} {jobs}, and `waiting` allows {most}; ask again later"
            )

    async def withdraw(self, tape: str, actor: str, reason: str | None) -> Told:
        """Withdraw an override of a tape that no order has used yet."""
        found = await self._find(tape)
        if found.override is None:
            raise Refused(f"{found.name}: nothing is overruled")
        at = self.clock.seconds()
        cause = asked(reason)
        await self.ledger.write(TapeOrders.set_override, found, None, actor, at, cause=cause)
        return {"tape": found.name}

    async def mark(self, tape: str, said: Said, actor: str) -> Told:
        """Note what an application did by its own schedule; the mount of it is answered."""
        if said.state not in {"migrated", "restored"}:
            raise Refused(f'"{said.state}" is not a mark; use migrated or restored')
        names = {*self.policy.current.table.applications, *self.policy.current.vocabulary.families}
        if said.application not in names:
            near = did_you_mean(said.application, names)
            raise UnknownThing(f"there is no application {said.application}; {near}".rstrip("; "))
        found = await self._find(tape)
        refusal = _why_not_said(said)
        if refusal is not None:
            raise Refused(f"{found.name}: {refusal}")
        try:
            facts = await self.checks.facts(found)
        except VaultError as error:
            raise Refused(str(error)) from error
        began = _moment(said.began)
        lag = None if began is None else await self._lag(found)
        word = Mark(began=began, size=said.size, application=said.application, lag=lag)
        act = Act.MARK_MIGRATED if said.state == "migrated" else Act.MARK_RESTORED
        ruling = judge(act, evolve(facts, mark=word))
        if not isinstance(ruling, Allowed):
            raise Refused(f"{found.name}: {ruling.words if isinstance(ruling, NOT_SO) else act}")
        at = self.clock.seconds()

        def note(tx: Transaction) -> Tape:
            if ruling.copy is not None:
                return tx.orders.mark_back(
                    found, ruling.copy, actor=actor, at=at, reason=said.reason
                )
            copy = _copy_of(found, said, ruling, began)
            empty = not found.size
            return tx.orders.mark_copied(
                found, copy, actor=actor, at=at, emptied=empty, reason=said.reason
            )

        after = await self.ledger.write(note)
        return {"tape": after.name, "state": after.state.value, "doubt": ruling.doubt}

    async def _lag(self, tape: Tape) -> float | None:
        """Return by how many seconds at most a vault's clock is behind this machine's.

        None where that is not known: an answer that takes long may be of any moment meanwhile.
        """
        clock = self.clock
        for _ in range(LOOKS_AT_CLOCK):
            before = clock.seconds()
            try:
                there = await self.checks.in_thread(self.vaults.moment, tape)
            except (VaultError, OSError):
                return None
            after = clock.seconds()
            if 0.0 <= after - before <= PROMPT:
                return after - float(there) / 1e9
        return None

    async def _find(self, text: str) -> Tape:
        """Return the tape of a name, as commands have it, of a bare name, or of a file's path."""
        target = self._target(text)
        records = await self.ledger.read(TapeRecords.named, target.cartridge or "")
        try:
            found = await self.checks.in_thread(self.vaults.find, target, records)
        except VaultError as error:
            raise UnknownThing(str(error)) from error
        except OSError as error:
            raise UnknownThing(f"the vault cannot be read: {error.strerror or error}") from error
        tape: Tape = found.tapes[0]
        await self.catalogue.follow(found.tapes, records)
        (there,) = await self.ledger.read(known, (tape,), self.clock.seconds())
        return there

    def _target(self, text: str) -> Target:
        parts = [part for part in text.split("/") if part]
        path = Path(text)
        for vault, root in self.vaults.roots.items():
            if path.is_absolute() and path.is_relative_to(root):
                parts = [vault, *path.relative_to(root).parts]
        if any(part in {".", ".."} or part.startswith(".") for part in parts):
            raise UnknownThing(f"{text} is not a tape")
        if len(parts) == 1 and not text.startswith("/"):
            return Target(cartridge=parts[0])
        if len(parts) != 3:
            raise UnknownThing(f"{text} is not a tape; it is named /VAULT/POOL/CARTRIDGE")
        return Target(vault=parts[0], pool=parts[1], cartridge=parts[2])


NOT_SO = RefusedAct | Done
"""Rulings that have words."""


def _copy_of(tape: Tape, said: Said, ruling: Allowed, began: float | None) -> Copy:
    """Return the copy that an application made by its own schedule."""
    return Copy(
        vault=tape.vault,
        pool=tape.pool,
        cartridge=tape.cartridge,
        path=tape.path,
        source=tape.path,
        application=said.application,
        handle=said.handle or "",
        began=began,
        before=tape.seen if tape.size and ruling.doubt is None else None,
        after=tape.seen if tape.size else None,
        size=said.size if said.size is not None else tape.size,
        doubt=ruling.doubt,
        by_us=False,
        retention=said.retention,
        media=said.media,
    )


def _moment(text: str | None) -> float | None:
    """Return a time in seconds since the epoch; without a zone it is the machine's. Refused."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise Refused(f'"{text}" is not a time; write it as 2026-11-22T02:14:09') from error


def _why_not_said(said: Said) -> str | None:
    retention = TYPES["retention"]
    if said.retention is not None and not retention.pattern.fullmatch(said.retention):
        return f'"{said.retention}" is not a retention; {retention.expected}, as {retention.sample}'
    if said.state == "restored":
        return None
    if not said.handle:
        return "the handle by which the application finds the copy is missing"
    return None


def asked(reason: str | None) -> str:
    """Return the cause of what an operator asked for, as the history has it."""
    return told_why(ASKED, reason)


def unlock(tx: Transaction, lock: str, actor: str, at: float, cause: str) -> bool:
    """Unlock a tape, named as in commands or by its path; False when it is not locked."""
    for tape in tx.tapes.locked():
        if lock in {tape.name, tape.path}:
            tx.tapes.set_locked(tape.path, False, actor, at, cause)
            return True
    return False
