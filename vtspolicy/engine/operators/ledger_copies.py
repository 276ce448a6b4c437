"""Copies of the ledger, made while all goes on."""

from pathlib import Path

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from vtspolicy.control import Refused, Told
from vtspolicy.engine.effects import EngineLedger
from vtspolicy.engine.measures import LEDGER
from vtspolicy.engine.operators.noting import Notes
from vtspolicy.ledger import LedgerError
from vtspolicy.metrics import Metrics


@define(kw_only=True)
class LedgerCopies:
    """Makes copies by an operator's order; metrics and history know the last one."""

    clock: IReactorTime
    ledger: EngineLedger
    metrics: Metrics
    notes: Notes
    log: Logger = field(factory=lambda: Logger("vtspolicy.operator"))

    async def make(self, path: str, actor: str) -> Told:
        """Write a consistent copy of the ledger. Raises Refused."""
        try:
            await self.ledger.backup(Path(path))
        except (LedgerError, OSError) as error:
            raise Refused(f"the ledger cannot be copied to {path}: {error}") from error
        at = self.clock.seconds()
        self.metrics.ledger_backup.set(at)
        self.notes.add(LEDGER, None, "copied", cause=f"to {path}", actor=actor, at=at)
        self.log.info("Ledger copied to {path} for {by}.", action="backup", path=path, by=actor)
        return {"path": path}
