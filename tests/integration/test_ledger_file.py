"""The ledger's file in all weathers: killed, full, locked, damaged, in use, copied."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from tests.harness.ledger_files import TIMEOUT, Pump
from vtspolicy.jobs import JobState
from vtspolicy.ledger import (
    LedgerDamaged,
    LedgerError,
    LedgerInUse,
    LedgerMissing,
    LedgerNotLocal,
    LedgerTooNew,
    LedgerTooOld,
    LedgerUnreadable,
    RequestRecords,
    groups,
    open_ledger,
    path_of,
)
from vtspolicy.ledger.sql import migrations
from vtspolicy.ledger.sqlite import SqliteLedger, group_commit
from vtspolicy.testing.ledger import an_intake

ROOT = Path(__file__).parents[2]


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
def writer(path):
    """Start servers that only write; those that a test leaves behind are killed."""
    started = []

    def start(first, *more):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.harness.ledger_writer", path, str(first), *more],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate(timeout=TIMEOUT)


def confirmed(lines):
    """Return number -> request of the lines that came out whole."""
    found = {}
    for line in lines:
        if line.startswith("confirmed") and line.endswith("\n"):
            _, number, request = line.split()
            found[int(number)] = int(request)
    return found


# -- without a WAL


def test_a_ledger_where_no_wal_can_be_had_is_refused_by_name(path, opening, monkeypatch):
    real = sqlite3.connect

    def without_shared_memory(name, **more):
        return real(f"{name}&vfs=unix-none" if more.get("uri") else name, **more)

    monkeypatch.setattr(sqlite3, "connect", without_shared_memory)
    for _ in range(2):
        with pytest.raises(LedgerNotLocal, match=r"ledger\.db: .*`delete`.*a local file system"):
            opening(path)
    monkeypatch.undo()
    with open_ledger(path, readonly=False):
        pass
    opening(path)


# -- killed


def test_a_kill_at_any_instant_loses_nothing_that_was_confirmed(path, pump, opening, writer):
    promised = {}
    chance = random.Random(7)
    for round_number in range(4):
        process = writer(round_number * 100_000)
        lines = [process.stdout.readline() for _ in range(chance.randint(2, 400))]
        process.kill()
        rest, _ = process.communicate(timeout=TIMEOUT)
        promised |= confirmed([*lines, *rest.splitlines(keepends=True)])
    assert len(promised) > 10

    ledger = opening(path)
    for number, request in promised.items():
        again = pump.ask(ledger.write(RequestRecords.record, an_intake(number))).result
        assert (again.duplicate, again.request) == (True, request)
    with open_ledger(path) as tx:
        assert tx.sql.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert tx.sql.connection.execute("PRAGMA foreign_key_check").fetchall() == []
        whole = "SELECT count(*) FROM requests WHERE live = 1 AND id IN (SELECT request FROM jobs)"
        requests = tx.sql.connection.execute("SELECT count(*) FROM requests").fetchone()
        assert tx.sql.connection.execute(whole).fetchone() == requests
        told = "SELECT count(*) FROM notices WHERE word = 1001"
        assert tx.sql.connection.execute(told).fetchone() == requests


# -- the disk


def test_a_disk_that_can_not_grow_is_waited_for_and_nothing_is_lost(path, pump, opening, writer):
    process = writer(0, "--limit", "800000")
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("trouble"):
            break
    assert "ledger.db" in line
    assert int(line.split()[-1]) > 0, "what waits is kept"
    before = len(confirmed(lines))
    assert before > 0
    process.stdin.write("the disk grew\n")
    process.stdin.flush()
    rest, _ = process.communicate(timeout=TIMEOUT)
    assert "over None\n" in rest
    assert rest.endswith("end\n")
    assert process.returncode == 0
    promised = confirmed([*lines, *rest.splitlines(keepends=True)])
    assert len(promised) >= 40
    ledger = opening(path)
    requests = pump.ask(ledger.read(RequestRecords.find, limit=10_000))
    assert sorted(request.id for request in requests) == sorted(promised.values())


def test_a_full_ledger_continues_when_there_is_room_again(path, pump, opening):
    ledger = opening(path)
    told = []
    ledger.on_trouble(told.append)

    def limit(tx, pages):
        tx.sql.run(f"PRAGMA max_page_count = {pages}")

    pages = ledger._writer._connection.execute("PRAGMA page_count").fetchone()[0]
    pump.ask(ledger.write(limit, pages + 3))
    asked = [ledger.write(RequestRecords.record, an_intake(number)) for number in range(200)]
    pump.until(lambda: told)
    assert "full" in ledger.trouble
    assert 0 < ledger.backlog <= 200

    ledger._writer._connection.execute("PRAGMA max_page_count = 100000")

    numbers = [pump.ask(deferred).result.request for deferred in asked]
    assert len(set(numbers)) == 200
    pump.until(lambda: len(told) == 2)
    assert told[1] is None
    assert ledger.trouble is None


def test_a_ledger_that_another_process_locks_is_waited_for(path, pump, opening):
    ledger = opening(path)
    told = []
    ledger.on_trouble(told.append)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    asked = ledger.write(RequestRecords.record, an_intake(1))
    pump.until(lambda: told)
    assert "locked" in ledger.trouble
    assert pump.ask(ledger.read(RequestRecords.find)) == [], "reading goes on"
    other.execute("ROLLBACK")
    other.close()
    assert not pump.ask(asked).result.duplicate
    pump.until(lambda: len(told) == 2)


def test_what_can_not_be_read_for_a_while_is_read_afterwards(path, pump, opening):
    ledger = opening(path)
    pump.ask(ledger.write(RequestRecords.record, an_intake(1)))
    tries = []

    def read(tx):
        tries.append(tx)
        if len(tries) < 3:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error
        return tx.requests.find()

    assert len(pump.ask(ledger.read(read))) == 1
    assert len(tries) == 3


def test_damage_that_reading_meets_is_reported_and_not_waited_for(path, pump, opening):
    def read(tx):
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    with pytest.raises(LedgerUnreadable, match="malformed"):
        pump.ask(opening(path).read(read))


def test_a_commit_of_unknown_outcome_is_looked_up_and_not_repeated(path, pump, opening):
    ledger = opening(path)
    tx = ledger._writer._tx.sql
    run = tx.run

    def commit_then_fail(statement):
        run(statement)
        if statement == "COMMIT":
            tx.run = run
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error

    tx.run = commit_then_fail
    plain = an_intake(1, digest=None)  # nothing but the ledger itself would notice the repetition
    recorded = pump.ask(ledger.write(RequestRecords.record, plain)).result
    assert [each.id for each in pump.ask(ledger.read(RequestRecords.find))] == [recorded.request]


def test_closing_in_trouble_fails_what_waits_instead_of_waiting_for_ever(path, pump, opening):
    ledger = opening(path)
    told = []
    ledger.on_trouble(told.append)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    asked = ledger.write(RequestRecords.record, an_intake(1))
    pump.until(lambda: told)
    closing = Deferred.fromCoroutine(ledger.close())
    with pytest.raises(LedgerError, match="closed in trouble"):
        pump.ask(asked)
    pump.ask(closing)
    other.close()


def test_closing_writes_what_waits(path, pump, opening):
    ledger = opening(path)
    asked = [ledger.write(RequestRecords.record, an_intake(number)) for number in range(3000)]
    closing = Deferred.fromCoroutine(ledger.close())
    pump.ask(closing)
    assert [pump.ask(deferred).result.duplicate for deferred in asked] == [False] * 3000
    with open_ledger(path) as tx:
        assert tx.counts().jobs[JobState.WAITING] == 3000


def test_a_group_has_one_flush_for_many_verbs(path, pump, opening, monkeypatch):
    monkeypatch.setattr(groups, "LONGEST", 3600.0)  # however slow the machine is
    ledger = opening(path)
    commits = []
    run = ledger._writer._tx.sql.run

    def count(statement):
        commits.extend([statement] if statement == "COMMIT" else [])
        run(statement)

    ledger._writer._tx.sql.run = count
    asked = [ledger.write(RequestRecords.record, an_intake(number)) for number in range(1000)]
    for deferred in asked:
        pump.ask(deferred)
    assert len(commits) == 1


def test_what_arrives_during_a_flush_goes_into_the_next_group(path, pump, opening, monkeypatch):
    monkeypatch.setattr(
        group_commit, "SLICE", 3600.0
    )  # one turn does it, however slow the machine is
    ledger = opening(path)
    run = ledger._writer._tx.sql.run
    flushing, held = threading.Event(), threading.Event()

    def hold(statement):
        if statement == "COMMIT":
            flushing.set()
            held.wait(TIMEOUT)
        run(statement)

    ledger._writer._tx.sql.run = hold
    first = ledger.write(RequestRecords.record, an_intake(1))
    pump.turn()
    assert flushing.wait(TIMEOUT)
    second = ledger.write(RequestRecords.record, an_intake(2))
    assert (first.called, second.called) == (False, False), "nothing is told before it is flushed"
    held.set()
    assert pump.ask(first).result.request < pump.ask(second).result.request


# -- damaged


def test_a_file_that_is_no_ledger_is_named_and_left_as_it_is(path, pump, opening):
    path.write_bytes(b"not a ledger at all, but long enough to be looked at" * 100)
    before = path.read_bytes()
    with pytest.raises(LedgerDamaged, match=r"ledger\.db: the ledger is damaged.*backup-ledger"):
        opening(path)
    assert path.read_bytes() == before
    with pytest.raises(LedgerDamaged), open_ledger(path) as tx:
        tx.meta.uid()


@pytest.mark.parametrize("where", ["cut", "overwritten", "jobs"])
def test_a_damaged_ledger_is_named_and_left_as_it_is(path, pump, opening, where):
    ledger = opening(path)
    for number in range(300):
        ledger.write(RequestRecords.record, an_intake(number))
    pump.ask(Deferred.fromCoroutine(ledger.close()))
    whole = path.read_bytes()
    if where == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif where == "jobs":  # the root of that table alone
        with open_ledger(path) as tx:
            find = "SELECT rootpage - 1 FROM sqlite_master WHERE name = 'jobs'"
            start = 4096 * tx.sql.connection.execute(find).fetchone()[0]
        path.write_bytes(whole[:start] + b"\xff" * 4096 + whole[start + 4096 :])
    else:  # the roots of the tables
        path.write_bytes(whole[:4096] + b"\xff" * 40960 + whole[45056:])
    damaged = path.read_bytes()
    with pytest.raises(LedgerDamaged, match="damaged"):
        opening(path)
    assert path.read_bytes() == damaged


def test_a_ledger_of_a_newer_program_is_refused(path, opening):
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(LedgerTooNew):
        opening(path)
    with pytest.raises(LedgerTooNew), open_ledger(path):
        pass


def test_a_ledger_of_an_earlier_version_is_not_read_before_a_server_has_brought_it_up(
    path, opening
):
    other = sqlite3.connect(path)
    other.executescript(migrations("sqlite")[1] + "PRAGMA user_version = 1;")
    other.close()
    with pytest.raises(LedgerTooOld, match="Start `vtspolicy serve`"), open_ledger(path):
        pass
    opening(path)
    with open_ledger(path) as tx:
        assert tx.jobs.find() == []


# -- in use, and beside the server


def test_a_second_server_is_told_who_has_the_ledger(path, opening):
    opening(path)
    with pytest.raises(LedgerInUse, match=f"process {os.getpid()}"):
        opening(path)


def test_the_lock_dies_with_the_server(path, opening, writer):
    process = writer(0)
    assert process.stdout.readline() == "ready\n"
    with pytest.raises(LedgerInUse, match=f"process {process.pid}"):
        opening(path)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=TIMEOUT)
    opening(path)


def test_a_ledger_is_read_while_its_server_writes_and_when_there_is_none(path, pump, opening):
    ledger = opening(path)
    recorded = pump.ask(ledger.write(RequestRecords.record, an_intake(1))).result
    with open_ledger(path) as tx:
        pump.ask(ledger.write(RequestRecords.record, an_intake(2)))
        assert [each.id for each in tx.requests.find()] == [recorded.request], "one moment"
    pump.ask(Deferred.fromCoroutine(ledger.close()))
    with open_ledger(f"sqlite://{path}") as tx:
        assert len(tx.requests.find()) == 2
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            tx.requests.record(an_intake(3))


def test_a_ledger_is_changed_from_beside_only_while_no_server_has_it(path, pump, opening):
    ledger = opening(path)
    with pytest.raises(LedgerInUse), open_ledger(path, readonly=False):
        pass
    pump.ask(Deferred.fromCoroutine(ledger.close()))
    with open_ledger(path, readonly=False) as tx:
        tx.requests.record(an_intake(1))

    def half():
        with open_ledger(path, readonly=False) as tx:
            tx.requests.record(an_intake(2))
            raise KeyError

    with pytest.raises(KeyError):
        half()
    with open_ledger(path) as tx:
        assert len(tx.requests.find()) == 1


def test_a_ledger_that_is_not_there_is_not_made_by_looking_at_it(path):
    with pytest.raises(LedgerMissing, match="there is no ledger"), open_ledger(path):
        pass
    assert not path.exists()


def test_a_url_names_a_file():
    assert path_of("sqlite:///var/lib/ledger.db") == Path("/var/lib/ledger.db")
    assert path_of("ledger.db") == Path("ledger.db")
    with pytest.raises(LedgerMissing, match="postgresql"):
        path_of("postgresql://db/vts")


def test_a_place_that_can_not_be_written_is_named(tmp_path, opening):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LedgerError, match="cannot be opened"):
        opening(tmp_path / "file" / "ledger.db")


# -- copied


def test_a_copy_made_while_others_write_is_one_moment_and_whole(tmp_path, path, pump, opening):
    ledger = opening(path)
    asked = [ledger.write(RequestRecords.record, an_intake(number)) for number in range(4000)]
    pump.ask(asked[1000])
    copying = ledger.backup(tmp_path / "copy.db")
    asked += [
        ledger.write(RequestRecords.record, an_intake(number)) for number in range(4000, 8000)
    ]
    pump.ask(copying)
    with open_ledger(tmp_path / "copy.db") as tx:
        assert tx.sql.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        count = tx.counts().jobs[JobState.WAITING]
        assert 1000 < count <= 8000
        assert tx.notices.pending("NSK1", limit=1)
    assert sorted(each.name for each in tmp_path.iterdir() if "copy" in each.name) == ["copy.db"]
    pump.ask(asked[-1])
