"""Reloading: new files are taken whole, or everything stays as it was."""

from collections.abc import Callable
from typing import Protocol

from attrs import define, evolve, field
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from vtspolicy.config.problems import ConfigurationError
from vtspolicy.control import Told
from vtspolicy.engine.effects import EngineLedger
from vtspolicy.engine.policy import Policy, PolicyInForce
from vtspolicy.ledger import Transaction
from vtspolicy.metrics import Metrics
from vtspolicy.rules.steps import outline
from vtspolicy.status import RefusedReload

FIXED = (
    *("node", "listen", "ledger", "spool", "control_group", "web", "console"),
    *("connections", "settle", "output"),
)
"""Keys of the configuration that a reload cannot change: they need a restart."""


class Renewed(Protocol):
    """Sessions of hosts, which a reload may end or give other rights."""

    def renew(self) -> object:
        """Take hosts and rights as the configuration has them now."""


@define(kw_only=True)
class Reloading:
    """Takes the files as they are now, if they and their rule tests are right."""

    clock: IReactorTime
    ledger: EngineLedger
    policy: PolicyInForce
    metrics: Metrics
    sessions: Renewed
    reread: Callable[[], Policy]  # reads and checks all files again, and runs the rule tests
    refused: RefusedReload | None = None  # the last one, if none was taken since
    log: Logger = field(factory=lambda: Logger("vtspolicy.operator"))

    async def reload(self, actor: str, reason: str | None) -> Told:
        """Take the files as they are now, whole. Raises ConfigurationError."""
        before = self.policy.current
        try:
            read = self.reread()
        except ConfigurationError as error:
            self._refuse(error, actor)
            raise
        kept = {key: getattr(before.configuration, key) for key in FIXED}
        after = evolve(read, configuration=evolve(read.configuration, **kept))
        self.policy.use(after)
        self.refused = None
        self.sessions.renew()
        self.metrics.reloads.labels("taken").inc()
        now = self.clock.seconds()
        cause = "reload" if reason is None else f"reload: {reason}"

        def keep(tx: Transaction) -> None:
            tx.meta.keep_rule_table(after.table.hash, outline(after.table))
            hashes = (before.table.hash, after.table.hash)
            tx.history.add("table", *hashes, cause=cause, actor=actor, at=now)

        await self.ledger.write(keep)  # before all that the table decides
        self.log.info(
            "Reloaded by {by}: table {table}.",
            action="reloaded",
            table=after.table.hash,
            by=actor,
            cause=reason,
        )
        warnings = [str(problem) for problem in after.table.warnings] + [
            f"{key} has changed; it is taken at the next start"
            for key in FIXED
            if kept[key] != getattr(read.configuration, key)
        ]
        return {"table": after.table.hash, "rules": len(after.table.rules), "warnings": warnings}

    def _refuse(self, error: ConfigurationError, actor: str) -> None:
        self.metrics.reload_ok.set(0)
        self.metrics.reloads.labels("refused").inc()
        self.refused = RefusedReload(
            at=self.clock.seconds(),
            by=actor,
            problem=str(error.problems[0]),
            problems=len(error.problems),
        )
        self.log.error(
            "Reload by {by} refused, table {table} stays: {problems}",
            action="reload_refused",
            by=actor,
            table=self.policy.current.table.hash,
            problems="; ".join(str(problem) for problem in error.problems),
        )
