"""The cleanup: once a day, at the configured hour, tapes whose copy is enough are emptied.

It has no special rights: each tape is an Erase that the rules decide, that waits in the queue and
has to pass the deletion gate.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from attrs import define, evolve, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from vtspolicy.clock_trust import ClockTrust
from vtspolicy.config.model import Host
from vtspolicy.engine.commands.orders import Orders
from vtspolicy.engine.commands.steps import Authorised
from vtspolicy.engine.effects import EngineLedger
from vtspolicy.engine.policy import PolicyInForce
from vtspolicy.engine.tapes.catalogue import Catalogue
from vtspolicy.engine.tapes.checks import CLEANUP, facts_of_page
from vtspolicy.events.event import Event
from vtspolicy.grammar import Command, Target
from vtspolicy.ledger import Meta, TapeRecords
from vtspolicy.queue.protocol import Queue
from vtspolicy.rules.cleanup import Fullness, Policy, Verdict, plan
from vtspolicy.rules.rulings import movable
from vtspolicy.tapes import Facts, Tape
from vtspolicy.vaults import VaultError, Vaults

LOOK = 60.0
"""Seconds between looks at the clock."""

PAUSE = 1.0
"""Seconds between looks at a queue that has no room."""

PAGE = 500
"""Tapes that are read at once: few enough not to hold up the reactor."""

ACTOR = "cleanup"

OURSELVES = Host(name="", vaults=("*",), families=("*",))
"""Who gives commands that no host sends: the operators and the engine."""


@frozen(kw_only=True)
class Done:
    """What one cleanup came to."""

    looked_at: int  # tapes
    erased: tuple[Tape, ...]  # asked to be erased or, in a dry run, only chosen
    size: int  # their bytes
    dry_run: bool


@define(kw_only=True)
class Cleanup:
    """The daily cleanup of one server."""

    clock: IReactorTime
    ledger: EngineLedger
    policy: PolicyInForce
    queue: Queue
    vaults: Vaults
    catalogue: Catalogue
    orders: Orders
    trust: ClockTrust  # the cleanup is an act of time alone
    threads: Callable[..., Deferred[Any]]  # each call has its own type of answer
    _stopped: bool = False
    _loop: LoopingCall | None = None
    _log: Logger = field(factory=lambda: Logger("vtspolicy.cleanup"))

    def start(self) -> None:
        """Look at the clock from now on."""
        self._stopped = False
        self._loop = LoopingCall(self._look)
        self._loop.clock = self.clock
        self._loop.start(LOOK, now=False)

    def stop(self) -> None:
        """Begin no cleanup any more, and continue none."""
        self._stopped = True
        if self._loop is not None and self._loop.running:
            self._loop.stop()

    def _look(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.run_if_due()).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        self._log.failure("The cleanup failed.", failure, action="cleanup_failed")

    async def run_if_due(self) -> None:
        """Clean up when it is the hour and it was not done today."""
        policy = self.policy.current.table.cleanup
        now = datetime.fromtimestamp(self.clock.seconds()).astimezone()
        if policy.hour is None or now.hour != policy.hour or self._doubt() is not None:
            return
        today = now.date().isoformat()
        if await self.ledger.read(Meta.last_cleanup) != today:
            await self.run(today)

    async def run(self, day: str) -> Done:
        """Clean up now. The day is noted first: a server that is killed does not do it twice."""
        policy = self.policy.current.table.cleanup
        await self.catalogue.scan(ACTOR)
        if (why := self._doubt()) is not None:
            told = "Cleanup put off: the clock is not trusted, {why}."
            self._log.warn(told, action="cleanup_put_off", why=why)
            return Done(looked_at=0, erased=(), size=0, dry_run=policy.dry_run)
        judged = await self._judge(policy)
        chosen = tuple(tape for tape, said in judged if said.erase)
        done = Done(
            looked_at=len(judged),
            erased=chosen,
            size=sum(tape.size or 0 for tape in chosen),
            dry_run=policy.dry_run,
        )
        words = "would be emptied (dry run)" if policy.dry_run else "are to be emptied"
        told = f"{len(chosen)} of {len(judged)} tapes {words}, {done.size} bytes"
        now = self.clock.seconds()
        await self.ledger.write(Meta.begin_cleanup, day, told, now, ACTOR)
        self._log.info("Cleanup: {told}.", action="cleanup", told=told)
        if policy.dry_run:
            return done
        asked = await self._erase_all(chosen, policy)
        return evolve(done, erased=asked, size=sum(tape.size or 0 for tape in asked))

    async def _erase_all(self, chosen: Sequence[Tape], policy: Policy) -> tuple[Tape, ...]:
        """Ask for one tape after the other, as the queue has room; returns those asked for.

        That may take long, and each is asked for as if it had just been chosen: one of which
        something else is known by then is left to the next cleanup.
        """
        asked: list[Tape] = []
        waited = False
        for number, tape in enumerate(chosen):
            left = len(chosen) - number
            while not (self._stopped or self._has_room):
                if not waited:
                    told = "Cleanup: {left} tapes wait until there is room in the queue."
                    self._log.info(told, action="cleanup_waits", left=left)
                    waited = True
                await deferLater(self.clock, PAUSE)
            changed = self.policy.current.table.cleanup != policy
            if self._stopped or changed or self._doubt() is not None:
                told = "Cleanup ended before its time: {left} tapes are left to the next one."
                self._log.info(told, action="cleanup_ended", left=left)
                break
            known = await self.ledger.read(TapeRecords.get, tape.path)
            if known == tape and self._doubt() is None:
                await self._erase(tape)
                asked.append(tape)
        return tuple(asked)

    def _doubt(self) -> str | None:
        """Return why the clock cannot be believed now: the cleanup is an act of time alone."""
        return self.trust.check()

    @property
    def _has_room(self) -> bool:
        """Whether less than half of the queue's places are taken: the others are the hosts'."""
        return 2 * self.queue.waiting < self.policy.current.configuration.waiting

    async def _judge(self, policy: Policy) -> list[tuple[Tape, Verdict]]:
        facts = await self._facts()

        def look() -> dict[str, Fullness]:
            found = {}
            for vault in self.vaults.roots:
                try:
                    total, taken = self.vaults.fullness(vault)
                except VaultError:
                    continue
                found[vault] = Fullness(total=total, taken=taken)
            return found

        fullness = await self.threads(look)
        return plan(facts, policy, fullness)

    async def _facts(self) -> list[Facts]:
        """Return what the ledger knows of all tapes and their copies, page by page."""
        facts = []
        after = ""
        features = {}
        for vault in self.vaults.roots:
            try:
                features[vault] = await self.threads(self.vaults.features_of, vault)
            except VaultError as error:
                self._log.warn(
                    "The cleanup leaves vault {vault} alone: {error}.",
                    action="vault_trouble",
                    vault=vault,
                    error=error,
                )
        while found := await self.ledger.read(facts_of_page, after, PAGE):
            after = found[-1][0].path
            for tape, copies in found:
                if tape.vault in features:
                    facts.append(
                        Facts(
                            tape=tape,
                            copies=tuple(copies),
                            now=self.trust.time,
                            features=features[tape.vault],
                            accepted=self.vaults.accepted.get(tape.vault, frozenset()),
                            cleanup=True,
                            movable=movable(self.policy.current.table),
                        )
                    )
        return facts

    async def _erase(self, tape: Tape) -> None:
        """Ask for one tape: what a rule says of it is said of no other."""
        target = Target(vault=tape.vault, pool=tape.pool, cartridge=tape.cartridge)
        understood = Authorised(
            event=Event(text=f"VTSPolicy Erase - {tape.cartridge}", wire="plain"),
            host=OURSELVES,
            command=Command(family="Erase", operation="erase", targets=(target,)),
            received=self.clock.seconds(),
            actor=ACTOR,
        )
        await self.orders.give(understood, values={CLEANUP: str(tape.held)})
