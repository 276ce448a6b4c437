"""On the disk and in memory, a ledger promises the same."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.harness.ledger_files import Pump
from vtspolicy.ledger import RequestRecords, open_ledger
from vtspolicy.ledger.sqlite import SqliteLedger
from vtspolicy.testing.ledger import MemoryLedger, an_intake

pytest.register_assert_rewrite("vtspolicy.testing.ledger_suite")

from vtspolicy.testing.ledger_suite import LedgerBench, LedgerSuite  # noqa: E402 - see above


class WithCopies(LedgerSuite):
    """A ledger whose copies are files of SQLite."""

    def test_a_copy_made_while_it_is_open_holds_all_that_was_written(self, tmp_path):
        recorded = self.at.write(RequestRecords.record, an_intake(1))
        self.at.wait(self.at.ledger.backup(tmp_path / "copy.db"))
        self.at.write(RequestRecords.record, an_intake(2))
        with open_ledger(tmp_path / "copy.db") as tx:
            assert [request.id for request in tx.requests.find()] == [recorded.request]


class TestSqliteLedger(WithCopies):
    def make(self):
        self.folder, pump = TemporaryDirectory(), Pump()
        return LedgerBench(SqliteLedger(Path(self.folder.name) / "ledger.db", pump), pump.ask)

    def discard(self):
        self.folder.cleanup()


class TestMemoryLedger(WithCopies):
    def make(self):
        return LedgerBench(MemoryLedger(), Pump().ask)

    def discard(self):
        self.at.ledger.destroy()
