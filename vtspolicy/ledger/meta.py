"""What the ledger keeps of itself, of the spool and of the vaults."""

import json
from collections.abc import Mapping

from attrs import asdict

from vtspolicy.changes import ChangeBuilder
from vtspolicy.ledger.history import History
from vtspolicy.ledger.part import Part
from vtspolicy.ledger.statements import Statements
from vtspolicy.tapes import VaultFeatures


class Meta(Part):
    """Single values, and the rules tables that decided."""

    def __init__(self, sql: Statements, change: ChangeBuilder, history: History) -> None:
        super().__init__(sql, change)
        self._history = history
        self._uid: str | None = None

    def uid(self) -> str:
        """Return the eight hexadecimal digits that were drawn once for this ledger."""
        if self._uid is None:
            self._uid = str(self._sql.need("meta", key="uid").value)
        return self._uid

    def mark_batch(self, batch: str) -> None:
        """Name the transaction that is about to be committed."""
        self._sql.do("set_batch", value=batch)

    def last_batch(self) -> str:
        """Return the name of the last transaction that was committed."""
        return str(self._sql.need("meta", key="batch").value)

    def end_restored(self) -> bool:
        """Whether it is a copy that no server has opened yet; from now on it is not."""
        return self._sql.do("end_put_back") > 0 and self._sql.one("was_served") is not None

    def spool_mark(self) -> str | None:
        """Return what the spool said as the last server began; None when none has kept it yet."""
        row = self._sql.one("meta", key="spool_mark")
        return None if row is None else str(row.value)

    def keep_spool_mark(self, mark: str) -> None:
        """Keep which ledger the spool says that it belongs to, "" when it says nothing."""
        self._sql.do("set_meta", key="spool_mark", value=mark)

    def keep_rule_table(self, digest: str, rules: str) -> None:
        """Keep what decides in the table that is in use from now on: see rules.steps.outline."""
        self._sql.do("replace_rule_tables", hash=digest)
        self._sql.do("keep_rule_table", hash=digest, rules=rules)

    def vault_features(self) -> dict[str, VaultFeatures]:
        """Return what the server has found its vaults can do, by their names."""
        row = self._sql.one("meta", key="vault_features")
        found = json.loads(row.value) if row is not None else {}
        return {vault: VaultFeatures(**features) for vault, features in found.items()}

    def keep_vault_features(self, found: Mapping[str, VaultFeatures]) -> None:
        """Record what the server's vaults can do, for commands that run without a server."""
        told = {vault: asdict(features) for vault, features in found.items()}
        self._sql.do("set_meta", key="vault_features", value=json.dumps(told))

    def vault_mounts(self) -> dict[str, str]:
        """Return where the file systems are mounted that had the tapes, by folders of vaults."""
        row = self._sql.one("meta", key="vault_mounts")
        found: dict[str, str] = json.loads(row.value) if row is not None else {}
        return found

    def keep_vault_mounts(self, mounts: Mapping[str, str]) -> None:
        """Record where the file systems are mounted that have the tapes."""
        self._sql.do("set_meta", key="vault_mounts", value=json.dumps(mounts))

    def last_cleanup(self) -> str | None:
        """Return the day, as ISO has it, of the last cleanup."""
        row = self._sql.one("meta", key="cleanup")
        return None if row is None else str(row.value)

    def begin_cleanup(self, day: str, told: str, at: float, actor: str) -> None:
        """Note that the cleanup of a day has begun, and what it found."""
        self._sql.do("set_meta", key="cleanup", value=day)
        self._history.note(at, None, told, f"cleanup of {day}", actor, subject="cleanup")
