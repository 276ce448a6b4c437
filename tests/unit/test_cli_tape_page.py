"""The page of one tape, and its line in the list, say what its file is."""

import pytest

from tests.harness.evidence import a_copy, a_file, a_tape
from vtspolicy.cli.tape_page import tape_page
from vtspolicy.cli.tapes import _note
from vtspolicy.tapes import VaultFeatures


def test_a_half_restored_tape_is_called_so():
    tape = a_tape(a_file(), restoring=100.0)
    assert _note(tape) == "half-restored"
    assert "half-restored: a restore began" in tape_page(tape, [], None, VaultFeatures())


def test_a_tape_that_contradicts_a_restored_ledger_is_called_doubted():
    tape = a_tape(a_file(), doubted=100.0)
    assert _note(tape) == "doubted"


@pytest.mark.parametrize("columns", [50, 80])
def test_what_a_copy_proves_is_whole_in_a_narrow_terminal(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    tape = a_tape(a_file())
    page = tape_page(tape, [a_copy(tape, lost=100.0)], None, VaultFeatures())
    assert "\u2026" not in page
    assert all(word in page for word in ("the", "has", "lost"))
    assert max(map(len, page.splitlines())) <= columns
