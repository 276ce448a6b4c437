"""The tapes that commands are about: as their files are, and as the ledger knows them."""

from collections.abc import Mapping, Sequence
from itertools import chain

from attrs import define, evolve
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime

from vtspolicy.engine.commands.steps import Authorised, Located
from vtspolicy.engine.effects import EngineLedger
from vtspolicy.engine.policy import PolicyInForce
from vtspolicy.engine.tapes.catalogue import Catalogue
from vtspolicy.engine.tapes.checks import TapeChecks, known
from vtspolicy.grammar import Target
from vtspolicy.ledger import Transaction
from vtspolicy.tapes import Tape
from vtspolicy.vaults import Found, NoSuchTapeError, OneLook, VaultBusyError, VaultError, Vaults


@define(kw_only=True)
class Locator:
    """Looks for tapes, in a thread."""

    clock: IReactorTime
    ledger: EngineLedger
    policy: PolicyInForce
    vaults: Vaults
    catalogue: Catalogue
    checks: TapeChecks

    async def locate(self, commands: Sequence[Authorised]) -> list[Located]:
        """Return each command with its tapes, in the order in which the commands are given.

        The ledger is asked where a rule may want to know, and where tapes of these names are.
        """
        located = [Located(understood=each) for each in commands]
        places = [number for number, each in enumerate(commands) if each.command.targets]
        if not places:
            return located
        records = await self._records([commands[number] for number in places])

        def look(_vault: Target, some: Sequence[Authorised]) -> list[Located]:
            with OneLook(self.vaults) as one:
                return [find(one, each, records) for each in some]

        # A call for each vault: one that does not answer must not take the threads of all.
        by_vault: dict[str | None, list[int]] = {}
        for number in places:
            by_vault.setdefault(commands[number].command.targets[0].vault, []).append(number)
        looks = []
        for numbers in by_vault.values():
            some = [commands[number] for number in numbers]
            looking = self.checks.in_thread(look, some[0].command.targets[0], some)
            looks.append(Deferred.fromCoroutine(looking))
        now = self.clock.seconds()
        answers = await gatherResults(looks, consumeErrors=True)
        for numbers, found in zip(by_vault.values(), answers, strict=True):
            for number, each in zip(numbers, found, strict=True):
                located[number] = each
        there = [tape for each in located for tape in each.found.tapes]
        await self.catalogue.follow(there, chain.from_iterable(records.values()))
        # Asked after the last wait: the table that decides next is the one that is asked here.
        table = self.policy.current.table
        families = {commands[number].command.family for number in places}
        if any(table.asks_of_records(family) for family in families):
            located = await self.ledger.read(_with_records, located, now)
        return located

    async def _records(self, commands: Sequence[Authorised]) -> dict[str, list[Tape]]:
        """Return the tapes that the ledger knows, by the names in the commands."""
        names = {
            target.cartridge
            for each in commands
            for target in each.command.targets
            if target.cartridge is not None
        }

        def named(tx: Transaction) -> dict[str, list[Tape]]:
            return {name: tx.tapes.named(name) for name in names}

        return await self.ledger.read(named) if names else {}


def _with_records(tx: Transaction, located: Sequence[Located], now: float) -> list[Located]:
    return [
        evolve(each, found=evolve(each.found, tapes=known(tx, each.found.tapes, now)))
        for each in located
    ]


def find(vaults: OneLook, understood: Authorised, records: Mapping[str, Sequence[Tape]]) -> Located:
    """Return a command with its tapes, or why they cannot be had. Touches the disk: in a thread.

    `records` are the tapes that the ledger knows of the names in the command.
    """
    targets = understood.command.targets
    tapes: list[Tape] = []
    missing: list[str] = []
    pool: str | None = None
    try:
        for target in targets:
            try:
                found = vaults.find(target, records.get(target.cartridge or "", ()))
            except NoSuchTapeError as error:
                missing.append(target.cartridge or "")
                if len(targets) == 1:
                    return Located(understood=understood, problem=str(error))
                continue
            tapes.extend(found.tapes)
            pool = found.pool
    except VaultBusyError:
        raise  # a passing trouble of the machine is not an answer
    except VaultError as error:
        return Located(understood=understood, problem=str(error))
    except OSError as error:
        problem = f"the vault cannot be read: {error.strerror or error}"
        return Located(understood=understood, problem=problem)
    if missing and len(missing) == len(targets):
        problem = f"no vault has one of these tapes: {', '.join(missing)}"
        return Located(understood=understood, problem=problem)
    found = Found(tapes=tuple(tapes), pool=pool, missing=tuple(missing))
    return Located(understood=understood, found=found)
