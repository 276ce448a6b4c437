"""Times and columns of the tables that commands print."""

import pytest

from vtspolicy.cli.tables import MANY, ODD_TIME, Column, clock, fits, instant, recent, table


@pytest.mark.parametrize("shown", [clock, instant, recent])
@pytest.mark.parametrize("seconds", [1e300, -1e300, float("inf"), float("nan"), 1e17])
def test_a_time_that_no_calendar_has_hides_no_other_row(shown, seconds):
    assert shown(seconds) == ODD_TIME


@pytest.mark.parametrize("rows", [2, MANY + 1])
def test_a_column_that_wraps_is_whole_in_a_narrow_terminal(rows, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    columns = (Column("tape"), Column("because", wraps=True))
    why = "in use until 2026-12-01 19:41, by a restore"
    lines = table(columns, [("/VAULT01/PAYROLL/A00017", why)] * rows).splitlines()
    assert max(map(len, lines)) <= 40
    assert " ".join(line[25:] for line in lines[1:]) == " ".join([why] * rows)


def test_a_table_fits_if_nothing_of_it_is_cut(monkeypatch):
    columns = (Column("id"), Column("tape"), Column("host", needs=60))
    monkeypatch.setenv("COLUMNS", "21")
    assert fits(columns, [(1, "A00017 A00018 A01", "x" * 50), (2, None, None)])
    assert not fits(columns, [(1, "A00017 A00018 A017", None)])
    monkeypatch.setenv("COLUMNS", "60")
    assert not fits(columns, [(1, "A00017", "x" * 50)])
