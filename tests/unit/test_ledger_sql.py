"""The SQL files: every query is understood by the schema, every name that is used is there."""

import re
import sqlite3
from collections import defaultdict
from pathlib import Path

import pytest

from vtspolicy import ledger
from vtspolicy.jobs import JobState, RequestState
from vtspolicy.ledger import Transaction
from vtspolicy.ledger.errors import LedgerTooNew
from vtspolicy.ledger.sql import SCHEMA, migrations, parse, queries
from vtspolicy.ledger.sqlite.database_file import migrate
from vtspolicy.ledger.sqlite.statements import Prepared, SqliteStatements

WHOLE = re.compile(r"(SELECT|INSERT|UPDATE|DELETE|WITH)\b")


def plan_of(connection, query):
    """How SQLite would run a statement, whatever it is given."""
    statement = Prepared(query)
    values = statement.pick(defaultdict(lambda: None))
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement.text}", values)]


@pytest.fixture
def connection():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield connection
    connection.close()


def test_every_query_fits_the_schema(connection):
    migrate(connection, ":memory:")
    for query in queries("sqlite").values():
        if WHOLE.match(query):
            plan_of(connection, query)


def test_every_column_that_is_answered_has_a_name(connection):
    migrate(connection, ":memory:")
    for query in queries("sqlite").values():
        if query.startswith(("SELECT", "WITH")):
            statement = Prepared(query)
            found = connection.execute(statement.text, statement.pick(defaultdict(int)))
            assert all(column[0].isidentifier() for column in found.description), query


def test_every_condition_of_a_list_fits_its_statement(connection):
    migrate(connection, ":memory:")
    tx = Transaction(SqliteStatements(connection))
    given = {"host": "NSK1", "family": "Erase", "ref": "A", "since": 1.0, "until": 2.0}
    about = {"request": 1, "rule": "nightly", "application": "disk"}
    for tape in ("/VAULT01/PAY", "P00001"):
        assert tx.jobs.find(state=JobState.FAILED, tape=tape, **about, **given) == []
    assert tx.requests.find(state=RequestState.FAILED, **given) == []
    assert tx.tapes.find(vault="VAULT01", pool="PAY", handle="7-1") == []


def test_the_whole_schema_is_shown_in_one_file(connection):
    migrate(connection, ":memory:")
    shown = sqlite3.connect(":memory:", isolation_level=None)
    shown.executescript((Path(ledger.__file__).parent / "sqlite" / SCHEMA).read_text("utf-8"))
    assert schema_of(shown) == schema_of(connection)
    shown.close()


def schema_of(connection):
    """Each table, index and trigger with its words, without their lay-out."""
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {(kind, name): re.sub(r"\s+|--[^\n]*", "", sql) for kind, name, sql in rows}


@pytest.mark.parametrize(
    "name",
    [
        *("live_jobs", "live_attempts", "live_counts", "live_requests", "jobs_under_way"),
        *("pending_notices", "pending_counts", "expire_notices", "open_mounts", "open_mount"),
        *("prunable", "prune_mounts", "prune_lines", "doubt_attempts"),
        *("first_event", "job_and_request"),
    ],
)
def test_what_a_running_server_asks_never_walks_over_finished_rows(connection, name):
    migrate(connection, ":memory:")
    query = queries("sqlite")[name]
    steps = plan_of(connection, query)
    assert steps
    for step in steps:
        if step == "SCAN oldest" or step.startswith("SCAN spared"):
            continue  # so many of them, which an index has found; and none, as a rule
        assert not step.startswith("SCAN") or re.search(r"INDEX \w+_(live|pending|open)", step)


def test_what_retention_removes_of_the_history_is_found_by_its_age(connection):
    migrate(connection, ":memory:")
    query = queries("sqlite")["prune_lines"]
    assert any("INDEX transitions_ours (at<?)" in step for step in plan_of(connection, query))


def test_jobs_that_went_wrong_are_found_without_walking_over_the_others(connection):
    migrate(connection, ":memory:")
    seen = []
    connection.set_trace_callback(seen.append)
    Transaction(SqliteStatements(connection)).jobs.find(state=JobState.FAILED)
    connection.set_trace_callback(None)
    plan = connection.execute(f"EXPLAIN QUERY PLAN {seen[-1]}").fetchall()
    assert "jobs_bad" in plan[0][3]


def test_every_query_is_used_and_every_used_one_is_there():
    rooms = Path(ledger.__file__).parent.glob("*.py")
    words = set(re.findall(r'"(\w+)"', "".join(room.read_text() for room in rooms)))
    words |= {"history_of_request", "history_of_job"}  # put together from the subject
    included = re.compile(r"_columns$")
    assert {name for name in queries("sqlite") if not included.search(name)} <= words


def test_a_query_includes_another_by_its_name():
    assert "{" not in queries("sqlite")["job"]
    assert "jobs.priority" in queries("sqlite")["job"]


def test_comments_above_and_below_a_name_are_no_part_of_the_query():
    text = "-- A file.\n\n-- name: one\n-- why\nSELECT 1\n\n-- name: two\nSELECT 2\n"
    assert parse(text) == {"one": "SELECT 1", "two": "SELECT 2"}


def test_a_ledger_is_brought_to_the_newest_schema_once(connection):
    migrate(connection, ":memory:")
    newest = len(migrations("sqlite"))
    assert connection.execute("PRAGMA user_version").fetchone() == (newest,)
    uid = connection.execute("SELECT value FROM meta WHERE key = 'uid'").fetchone()
    migrate(connection, ":memory:")
    assert connection.execute("SELECT value FROM meta WHERE key = 'uid'").fetchone() == uid


def test_a_ledger_of_a_newer_program_is_refused(connection):
    connection.execute("PRAGMA user_version = 99")
    with pytest.raises(LedgerTooNew, match=r"schema 99.*newer version"):
        migrate(connection, "ledger.db")


def test_a_migration_that_fails_leaves_nothing(connection, monkeypatch):
    broken = {1: "CREATE TABLE a (b INTEGER);\nNONSENSE;"}
    monkeypatch.setattr("vtspolicy.ledger.sqlite.database_file.migrations", lambda _dialect: broken)
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, ":memory:")
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    assert connection.execute("PRAGMA user_version").fetchone() == (0,)
    assert not connection.in_transaction


def test_who_is_run_again_is_found_without_walking_over_the_history(connection):
    migrate(connection, ":memory:")
    steps = plan_of(connection, queries("sqlite")["live_renewal"])
    assert "SEARCH jobs USING COVERING INDEX jobs_repeats (repeats=?)" in steps
    assert {step for step in steps if step.startswith("SCAN")} == {
        "SCAN again",
        "SCAN CONSTANT ROW",
    }
