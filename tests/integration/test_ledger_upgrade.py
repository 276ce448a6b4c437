"""A ledger of version 0.1 is converted: whole or not at all, with any rows."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

from vtspolicy.ledger import open_ledger
from vtspolicy.ledger.sql import migrations
from vtspolicy.ledger.sqlite.database_file import connect, migrate, open_file
from vtspolicy.tapes import Proof
from vtspolicy.tapes.tape import OVERRIDE_LASTS

RELEASED = Path(__file__).parents[2] / "fixtures" / "released" / "ledger-0.1.db"
SCHEMA = 5  # of version 0.1
ROOT = "/tmp/vtspolicy-0.1-site/VAULT01"
POOL = f"{ROOT}/PAYROLL"


@pytest.fixture
def ledger(tmp_path):
    """The path of a ledger of version 0.1."""
    return Path(shutil.copy(RELEASED, tmp_path / "ledger.db"))


def change(ledger, *statements):
    with closing(sqlite3.connect(ledger)) as db, db:
        for statement in statements:
            db.execute(*statement if isinstance(statement, tuple) else (statement,))


def schema(ledger):
    with closing(sqlite3.connect(ledger)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return db.execute("PRAGMA user_version").fetchone()[0]


def upgraded(ledger):
    """Convert a ledger; return its tapes by name, and the copies of each by name."""
    open_file(ledger).close()
    with open_ledger(ledger) as tx:
        tapes = {tape.cartridge: tape for tape in tx.tapes.find()}
        copies = {name: tx.copies.of_tape(tape.path) for name, tape in tapes.items()}
    return tapes, copies


def live(job, state="running"):
    """Return the statement that adds a job about A00006 which is like another one, but not over."""
    columns = 'request, host, work, "values", rule, priority, notify, path'
    return (
        (
            f"INSERT INTO jobs ({columns}, state, tape, created)"
            f" SELECT {columns}, ?, '/VAULT01/PAYROLL/A00006', 1 FROM jobs WHERE id = ?"
        ),
        (state, job),
    )


# -- what is taken over


def test_the_state_that_is_counted_is_the_tape_s_own(ledger):
    tapes, _ = upgraded(ledger)
    with closing(sqlite3.connect(ledger)) as db:
        counted = dict(db.execute("SELECT cartridge, state FROM tapes"))
    assert counted == {name: tape.state.value for name, tape in tapes.items()}


def test_a_fingerprint_is_written_as_the_program_writes_it(ledger):
    """Or no scan could note what was written to a tape that 0.1 has seen."""
    upgraded(ledger)
    with closing(sqlite3.connect(ledger)) as db:
        for (text,) in db.execute("SELECT seen FROM tapes WHERE seen IS NOT NULL"):
            known = json.loads(text)
            assert text == json.dumps(known, separators=(",", ":"), sort_keys=True)


def test_a_copy_of_a_pool_is_of_each_tape_s_own_file(ledger):
    change(
        ledger,
        (
            "UPDATE tapes SET pool = 'OTHER', path = ? WHERE cartridge = 'B00002'",
            (f"{ROOT}/O/B00002",),
        ),
    )
    _, copies = upgraded(ledger)
    sources = {name: copies[name][0].source for name in ("B00001", "B00002", "A00001")}
    assert sources == {
        "A00001": f"{POOL}/A00001",
        "B00001": f"{ROOT}/POOL1/B00001",
        "B00002": f"{ROOT}/POOL1/B00002",
    }


def test_a_copy_is_as_well_proven_as_it_was(ledger):
    _, copies = upgraded(ledger)
    proofs = {name: copies[name][0].proof for name in ("A00001", "A00008", "A00014")}
    assert proofs == {"A00001": Proof.FOUND, "A00008": Proof.RECORDED, "A00014": Proof.RECORDED}
    assert (copies["A00001"][0].by_us, copies["A00008"][0].by_us) == (True, False)


def test_an_override_lasts_a_day_from_when_it_was_given(ledger):
    tape = upgraded(ledger)[0]["A00007"]
    given = tape.override_at
    assert tape.is_overridden(given + OVERRIDE_LASTS - 1)
    assert not tape.is_overridden(given + OVERRIDE_LASTS + 1)


# -- restores


def test_what_a_restore_has_left_is_known(ledger):
    tape = upgraded(ledger)[0]["A00006"]
    assert tape.is_half_restored
    assert tape.partial == tape.seen


@pytest.mark.parametrize("state", ["running", "stopping"])
def test_what_a_restore_leaves_that_still_runs_is_not_known(ledger, state):
    change(ledger, live(17, state))
    tape = upgraded(ledger)[0]["A00006"]
    assert (tape.partial, tape.is_half_restored) == (None, True)


def test_a_restore_that_waits_is_not_writing(ledger):
    change(ledger, live(17, "waiting"))
    assert upgraded(ledger)[0]["A00006"].partial is not None


def test_a_restore_that_left_nothing_has_not_begun(ledger):
    change(ledger, "UPDATE tapes SET size = 0 WHERE cartridge = 'A00006'")
    tape = upgraded(ledger)[0]["A00006"]
    assert (tape.restoring, tape.state) == (None, "erased")


def test_a_restore_onto_an_empty_tape_that_still_runs_has_begun(ledger):
    change(ledger, "UPDATE tapes SET size = 0 WHERE cartridge = 'A00006'", live(17))
    assert upgraded(ledger)[0]["A00006"].restoring is not None


@pytest.mark.parametrize("more", ["override = 'x'", "rewritten = restoring + 1"])
def test_what_others_may_have_written_after_a_restore_is_not_taken_for_what_it_left(ledger, more):
    change(ledger, f"UPDATE tapes SET {more} WHERE cartridge = 'A00006'")
    tape = upgraded(ledger)[0]["A00006"]
    assert (tape.partial, tape.is_half_restored) == (None, True)


# -- odd rows


@pytest.mark.parametrize(
    "values",
    [None, "", "{", "[1]", "5", "null", '{"job": "x", "attempt": null}', "{}", b"\xff\x00"],
)
def test_a_copy_of_whose_run_nothing_is_known_is_a_copy(ledger, values):
    change(ledger, ("UPDATE tapes SET copy_values = ? WHERE cartridge = 'A00001'", (values,)))
    tapes, copies = upgraded(ledger)
    (copy,) = copies["A00001"]
    assert (copy.began, copy.source) == (None, tapes["A00001"].path)
    assert tapes["A00001"].held == copy.id


@pytest.mark.parametrize("written", [1e300, -1e300, float("inf"), float("nan"), -1.5, 9.3e9, 0])
@pytest.mark.parametrize("column", ["written", "copied_written"])
def test_a_time_out_of_all_range_stops_nothing(ledger, written, column):
    change(ledger, (f"UPDATE tapes SET {column} = ? WHERE cartridge = 'A00001'", (written,)))
    tapes, copies = upgraded(ledger)
    assert (len(tapes), len(copies["A00002"])) == (26, 1)
    tape = tapes["A00001"]
    assert tape.state == ("migrated" if tape.is_as_copied else "written")


@pytest.mark.parametrize("size", [-1, -(2**63), 2**63 - 1, None])
def test_a_size_out_of_all_range_stops_nothing(ledger, size):
    change(
        ledger,
        ("UPDATE tapes SET size = ?, copied_size = ? WHERE cartridge = 'A00001'", (size, size)),
    )
    tapes, _ = upgraded(ledger)
    assert tapes["A00001"].size == size


def test_a_vault_with_an_odd_name_stops_nothing(ledger):
    name = "VAU\"LT\\'\n\x01é"
    change(ledger, ("UPDATE tapes SET vault = ? WHERE cartridge = 'A00001'", (name,)))
    tapes, copies = upgraded(ledger)
    assert tapes["A00001"].seen.vault == name
    assert copies["A00001"][0].vault == name


# -- cut short

FILLED = 6_000  # tapes

CHILD = """
import os, signal, sys
from vtspolicy.ledger.sqlite.database_file import connect, migrate
from pathlib import Path
connection = connect(Path(sys.argv[1]))
left = int(sys.argv[2])
def step():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
connection.set_progress_handler(step, 1000)
migrate(connection, sys.argv[1])
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A ledger of version 0.1 with many tapes."""
    path = Path(shutil.copy(RELEASED, tmp_path_factory.mktemp("filled") / "ledger.db"))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TEMP TABLE one AS SELECT * FROM tapes WHERE cartridge = 'A00001'")
        for number in range(FILLED):
            name = f"C{number:05d}"
            db.execute("UPDATE one SET cartridge = ?, path = ?", (name, f"{POOL}/{name}"))
            db.execute("INSERT INTO tapes SELECT * FROM one")
    return path


def test_a_server_that_is_killed_while_it_converts_leaves_the_ledger_as_it_was_or_whole(
    filled, tmp_path
):
    left = 1
    found = set()
    while True:
        ledger = Path(shutil.copy(filled, tmp_path / "ledger.db"))
        words = [sys.executable, "-c", CHILD, str(ledger), str(left)]
        code = subprocess.run(words, check=False).returncode
        found.add(schema(ledger))
        migrated = upgraded(ledger)
        assert len(migrated[0]) == FILLED + 26
        assert sum(map(len, migrated[1].values())) == FILLED + 15
        if code == 0:
            break
        assert code == -signal.SIGKILL
        left *= 4
    assert SCHEMA in found
    assert found <= set(range(SCHEMA, len(migrations("sqlite")) + 1))


@pytest.mark.programs  # mounting needs root
def test_a_disk_that_is_full_while_it_is_converted_leaves_the_ledger_as_it_was(filled, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    room = filled.stat().st_size + (4 << 20)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", disk], check=True)
    try:
        ledger = Path(shutil.copy(filled, disk / "ledger.db"))
        with pytest.raises(sqlite3.OperationalError, match="full"):
            open_file(ledger)
        assert schema(ledger) == SCHEMA
        subprocess.run(["mount", "-o", "remount,size=200m", disk], check=True)
        assert len(upgraded(ledger)[0]) == FILLED + 26
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_conversion_that_fails_is_undone_as_a_whole(ledger, monkeypatch):
    steps = migrations("sqlite")
    broken = {**steps, 6: steps[6] + "\nSELECT no_such_column FROM tapes;"}
    monkeypatch.setattr("vtspolicy.ledger.sqlite.database_file.migrations", lambda _: broken)
    with closing(connect(ledger)) as connection:
        with suppress(sqlite3.OperationalError):
            migrate(connection, str(ledger))
        assert connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA
    monkeypatch.undo()
    assert len(upgraded(ledger)[0]) == 26
