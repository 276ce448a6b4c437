"""A ledger that is gone, in parts or whole, is never taken for one that never was."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from tests.harness.ledger_files import TIMEOUT, Pump
from vtspolicy.ledger import (
    LedgerDamaged,
    LedgerError,
    LedgerLost,
    LedgerMissing,
    Meta,
    RequestRecords,
    open_ledger,
)
from vtspolicy.ledger.sqlite import SqliteLedger
from vtspolicy.ledger.sqlite.copies import copy
from vtspolicy.ledger.sqlite.preflight import mark_of
from vtspolicy.testing.ledger import an_intake

ROOT = Path(__file__).parents[2]
ENDS = ("", "-wal", "-shm", ".lock")
COMMANDS = 20


@pytest.fixture
def pump():
    return Pump()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


@pytest.fixture
def opening(pump):
    """Open ledgers that are closed after the test."""
    opened = []

    def open_one(path):
        ledger = SqliteLedger(path, pump)
        pump.ask(Deferred.fromCoroutine(ledger.open()))
        opened.append(ledger)
        return ledger

    yield open_one
    for ledger in opened:
        pump.ask(Deferred.fromCoroutine(ledger.close()))


@pytest.fixture
def killed(tmp_path, path, pump):
    """What a server leaves at `path` that was killed: its commands are in the WAL alone."""
    served = tmp_path / "served" / "ledger.db"
    ledger = SqliteLedger(served, pump)
    pump.ask(Deferred.fromCoroutine(ledger.open()))
    for number in range(COMMANDS):
        pump.ask(ledger.write(RequestRecords.record, an_intake(number)))
    for end in ENDS:
        shutil.copy(f"{served}{end}", f"{path}{end}")
    pump.ask(Deferred.fromCoroutine(ledger.close()))
    return path


def beside(path, end):
    return Path(f"{path}{end}")


def lying(path):
    """Return what lies at a ledger's place, by name."""
    return {each.name: each.read_bytes() for each in path.parent.iterdir() if each.is_file()}


def commands(ledger, pump):
    return len(pump.ask(ledger.read(RequestRecords.find, limit=1000)))


# -- something is left


def empty(path):
    path.write_bytes(b"")


def remove(path):
    path.unlink()


def blank(path):
    """A database without any schema, as SQLite begins one."""
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 0")
        other.execute("CREATE TABLE something (x)")


@pytest.mark.parametrize(
    ("harm", "left", "told"),
    [
        (empty, ENDS, "the file is empty, but .*-wal is there with [0-9]{5,} bytes"),
        (empty, ("", "-wal"), "the file is empty, but .*-wal is there"),
        (empty, ("", ".lock"), "the file is empty, but .*lock says that ledger [0-9a-f]{8} was"),
        (empty, ("",), "the file is empty"),
        (remove, ENDS, "the file is missing, but .*-wal is there with [0-9]{5,} bytes"),
        (remove, ("-wal",), "the file is missing, but .*-wal is there"),
        (remove, ("-shm",), "the file is missing, but files beside it are left"),
        (remove, (".lock",), "the file is missing, but .*lock says that ledger [0-9a-f]{8} was"),
        (blank, ("", ".lock"), "this file holds no ledger"),
    ],
)
def test_no_new_ledger_is_made_where_anything_of_one_is_left(killed, opening, harm, left, told):
    harm(killed)
    for end in set(ENDS) - set(left):
        beside(killed, end).unlink(missing_ok=True)
    before = lying(killed)
    with pytest.raises(LedgerLost, match=rf"ledger\.db: .*{told}.*backup-ledger"):
        opening(killed)
    after = lying(killed)
    after_lock, before_lock = (each.pop("ledger.db.lock", b"") for each in (after, before))
    assert after == before
    assert after_lock[11:] == before_lock[11:], "only the process is another"


@pytest.mark.parametrize("harm", [empty, remove])
def test_looking_at_an_emptied_ledger_leaves_its_wal(tmp_path, killed, harm):
    harm(killed)
    before = lying(killed)
    with pytest.raises(LedgerLost), open_ledger(killed):
        pass
    with pytest.raises(LedgerLost):
        copy(killed, tmp_path / "copy.db")
    assert lying(killed) == before


def test_what_is_named_to_begin_again_is_enough_to_begin_again(killed, pump, opening):
    killed.unlink()
    with pytest.raises(LedgerLost) as told:
        opening(killed)
    named = str(told.value).partition("move away ")[2].split(" and ")
    for each in named:
        Path(each).unlink()
    assert commands(opening(killed), pump) == 0


def test_a_killed_ledger_that_is_whole_continues(killed, pump, opening):
    assert commands(opening(killed), pump) == COMMANDS


def test_a_wal_that_was_removed_is_missed(killed, opening):
    beside(killed, "-wal").unlink()
    before = lying(killed)
    with pytest.raises(LedgerLost, match=r"-shm is there, but .*-wal is not.*move away .*-shm"):
        opening(killed)
    assert lying(killed).keys() == before.keys()
    assert killed.read_bytes() == before["ledger.db"]


def test_the_wal_beside_a_damaged_file_is_not_touched(killed, opening):
    whole = killed.read_bytes()
    killed.write_bytes(whole[:100] + bytes(4000) + whole[4100 : len(whole) // 2])
    # Its first page stands in the WAL too: it is opened, and found out by what is missing.
    before = lying(killed)
    with pytest.raises(LedgerDamaged):
        opening(killed)
    for name in ("ledger.db", "ledger.db-wal"):
        assert lying(killed)[name] == before[name]


# -- put back


def test_a_copy_that_is_restored_beside_the_wal_of_the_lost_one_is_reported(
    tmp_path, killed, pump, opening
):
    copy(killed, tmp_path / "copy.db")
    shutil.copy(tmp_path / "copy.db", killed)
    before = lying(killed)
    with pytest.raises(LedgerLost, match=r"a copy that no server has opened.*move away .*-wal and"):
        opening(killed)
    assert lying(killed)["ledger.db"] == before["ledger.db"]
    assert lying(killed)["ledger.db-wal"] == before["ledger.db-wal"]
    for end in ("-wal", "-shm"):
        beside(killed, end).unlink()
    assert commands(opening(killed), pump) == COMMANDS


def test_an_older_copy_of_the_same_ledger_is_taken(tmp_path, path, pump, opening):
    ledger = opening(path)
    pump.ask(ledger.backup(tmp_path / "copy.db"))
    pump.ask(ledger.write(RequestRecords.record, an_intake(1)))
    pump.ask(Deferred.fromCoroutine(ledger.close()))
    shutil.copy(tmp_path / "copy.db", path)
    assert commands(opening(path), pump) == 0


def test_the_ledger_of_another_site_is_not_taken_until_that_is_said(tmp_path, path, pump, opening):
    for place in (path, tmp_path / "other" / "ledger.db"):
        pump.ask(Deferred.fromCoroutine(opening(place).close()))
    shutil.copy(tmp_path / "other" / "ledger.db", path)
    before = path.read_bytes()
    with pytest.raises(LedgerLost, match=r"file is ledger .*move away .*ledger\.db\.lock"):
        opening(path)
    assert path.read_bytes() == before
    beside(path, ".lock").unlink()
    opening(path)
    assert mark_of(path) == mark_of(tmp_path / "other" / "ledger.db")


# -- made


def test_a_new_ledgers_file_is_whole_by_itself(tmp_path, path, opening):
    opening(path)
    shutil.copy(path, tmp_path / "alone.db")
    with open_ledger(tmp_path / "alone.db") as tx:
        assert tx.meta.uid() == mark_of(path)


def test_a_ledger_that_is_a_link_is_made_where_the_link_leads(tmp_path, path, opening):
    (tmp_path / "disk").mkdir()
    path.symlink_to(tmp_path / "disk" / "real.db")
    opening(path)
    assert path.is_symlink()
    assert (tmp_path / "disk" / "real.db").stat().st_size > 0


def test_the_lock_shows_the_process_and_the_ledger(path, pump, opening):
    ledger = opening(path)
    lines = beside(path, ".lock").read_text().splitlines()
    assert lines[0].strip() == str(os.getpid())
    assert lines[1] == f"ledger {pump.ask(ledger.read(Meta.uid))}"


def test_a_ledger_that_was_never_marked_is_marked_by_its_next_start(path, pump, opening):
    pump.ask(Deferred.fromCoroutine(opening(path).close()))
    beside(path, ".lock").write_text("123\n")
    opening(path)
    with open_ledger(path) as tx:
        assert mark_of(path) == tx.meta.uid()


def test_a_first_start_that_is_killed_at_any_line_is_followed_by_a_good_one(tmp_path):
    told = subprocess.run(
        [sys.executable, "-m", "tests.harness.ledger_starts", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=10 * TIMEOUT,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    starts, states = map(int, told.stdout.split())
    assert starts > 50
    assert states > 5


def test_a_first_start_on_a_full_disk_leaves_nothing_and_the_next_one_is_good(path, opening):
    writer = (sys.executable, "-m", "tests.harness.ledger_writer", path, "0")
    told = subprocess.run(
        ["sh", "-c", 'ulimit -f 40; exec "$@"', "-", *writer],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert "cannot be opened" in told.stderr
    assert [each.name for each in path.parent.iterdir()] == ["ledger.db.lock"]
    with pytest.raises(LedgerMissing), open_ledger(path):
        pass
    opening(path)


# -- while it is served


@pytest.mark.parametrize(
    ("end", "told_as"),
    [
        ("removed", "the file was removed"),
        ("replaced", "another file was put in its place"),
        ("emptied", "the file was emptied"),
    ],
)
def test_nothing_is_confirmed_once_the_file_is_gone(path, pump, opening, end, told_as):
    ledger = opening(path)
    pump.ask(ledger.write(RequestRecords.record, an_intake(1)))
    told = []
    ledger.on_trouble(told.append)
    if end == "removed":
        path.unlink()
    elif end == "replaced":
        shutil.copy(path, f"{path}.copy")
        beside(path, ".copy").replace(path)
    else:
        empty(path)
    asked = ledger.write(RequestRecords.record, an_intake(2))
    pump.until(lambda: told)
    for _ in range(10):
        pump.turn()
    assert not asked.called
    assert f"{path}: {told_as}" in ledger.trouble
    closing_ledger = Deferred.fromCoroutine(ledger.close())
    with pytest.raises(LedgerError, match="closed in trouble"):
        pump.ask(asked)
    pump.ask(closing_ledger)


def test_what_stood_in_the_wal_of_a_removed_file_is_left(path, pump, opening):
    ledger = opening(path)
    pump.ask(ledger.write(RequestRecords.record, an_intake(1)))
    shutil.copy(path, f"{path}.old")
    path.unlink()
    before = beside(path, "-wal").read_bytes()
    asked = ledger.write(RequestRecords.record, an_intake(2))
    closing_ledger = Deferred.fromCoroutine(ledger.close())
    with pytest.raises(LedgerError):
        pump.ask(asked)
    pump.ask(closing_ledger)
    assert beside(path, "-wal").read_bytes() == before
    with pytest.raises(LedgerLost):
        opening(path)


def test_a_file_that_gets_its_name_back_continues(path, pump, opening):
    ledger = opening(path)
    told = []
    ledger.on_trouble(told.append)
    path.rename(f"{path}.away")
    asked = ledger.write(RequestRecords.record, an_intake(1))
    pump.until(lambda: told)
    assert "removed or renamed" in ledger.trouble
    beside(path, ".away").rename(path)
    assert not pump.ask(asked).result.duplicate
    assert ledger.trouble is None
    assert commands(ledger, pump) == 1


# -- locked when it starts


@pytest.fixture
def held(path, pump, opening):
    """A ledger that another program has for itself."""
    pump.ask(Deferred.fromCoroutine(opening(path).close()))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        other.execute("COMMIT")
        yield other


def test_a_ledger_that_another_program_has_for_itself_is_waited_for(path, pump, held):
    ledger = SqliteLedger(path, pump)
    told = []
    ledger.on_trouble(told.append)
    opened = Deferred.fromCoroutine(ledger.open())
    pump.until(lambda: told)
    assert "locked" in ledger.trouble
    held.close()
    pump.ask(opened)
    assert ledger.trouble is None
    pump.ask(ledger.write(RequestRecords.record, an_intake(1)))
    pump.ask(Deferred.fromCoroutine(ledger.close()))


def test_a_start_that_waits_can_be_ended(path, pump, held, opening):
    ledger = SqliteLedger(path, pump)
    opened = Deferred.fromCoroutine(ledger.open())
    pump.turn()
    pump.ask(Deferred.fromCoroutine(ledger.close()))
    with pytest.raises(LedgerError, match="closed before"):
        pump.ask(opened)
    held.close()
    opening(path)
