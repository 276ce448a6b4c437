"""How fast commands get onto the disk, and whether a million finished jobs slow anything.

`python tests/benchmarks/bench_ledger.py [--json] [--commands N] [--finished N]`; `--finished 0`
leaves out the large ledger. Every figure stands beside its floor, measured in the same run.
"""

import argparse
import json
import queue
import sqlite3
import statistics
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

from twisted.internet.defer import Deferred

from vtspolicy.events.event import Event, identity
from vtspolicy.jobs import JobState, RequestState
from vtspolicy.ledger import (
    AttemptRecords,
    Ending,
    Intake,
    JobRecords,
    MountRecords,
    NoticeRecords,
    RequestRecords,
    Retention,
    Transaction,
)
from vtspolicy.ledger.groups import MOST as GROUP
from vtspolicy.ledger.sqlite import SqliteLedger
from vtspolicy.ledger.sqlite.database_file import open_file
from vtspolicy.ledger.sqlite.statements import SqliteStatements
from vtspolicy.rules.decision import PlannedJob
from vtspolicy.rules.work import Work
from vtspolicy.tapes import Tape

WORK = Work(application="DSK", run=("vtspolicy", "disk", "archive", "{path}"), then="migrated")
ROUNDS = 5
FIRST = datetime(2026, 11, 22)  # noqa: DTZ001 - as displayed: no zone
DONE = Ending(state=JobState.COMPLETED, kind="exited", code=0, output="1 file\n")
WHY = json.dumps({"rule": "all to disk", "steps": [{"number": 1, "matched": True}]})


class Pump:
    """The reactor's part: it takes calls of the ledger's threads in the main one."""

    def __init__(self):
        self._calls = queue.SimpleQueue()

    def callFromThread(self, function, *args, **kwargs):
        self._calls.put((function, args, kwargs))

    def callLater(self, _delay, function, *args, **kwargs):
        self._calls.put((function, args, kwargs))

    def until(self, holds):
        while not holds():
            function, args, kwargs = self._calls.get()
            function(*args, **kwargs)

    def ask(self, deferred):
        answers = []
        deferred.addBoth(answers.append)
        self.until(lambda: answers)
        return answers[0]


def an_intake(number):
    """Return a command of the usual size for one tape."""
    name = f"A{number % 100_000:05d}"
    tape = Tape(vault="VAULT01", pool="PAY", cartridge=name, path=f"/VAULT01/PAY/{name}")
    text = f"VTSPolicy DSK 'archive {tape.name} ref=N{number}'"
    event = Event(
        text=text,
        time=FIRST + timedelta(seconds=number // 10),
        system="\\NSK1",
        process="$ZBAT",
        ssid="TANDEM.EMS.L01",
        number=1234,
    )
    values = {"path": tape.path, "vault": "VAULT01", "pool": "PAY", "cartridge": name}
    return Intake(
        event=event,
        host="NSK1",
        received=1000.0 + number,
        state=RequestState.OPEN,
        digest=identity("NSK1", event),
        family="DSK",
        operation="archive",
        ref=f"N{number}",
        rule="all to disk",
        table="0123456789abcdef",
        why=WHY,
        jobs=(PlannedJob(work=WORK, values=values, lock=tape.name, tape=tape),),
    )


def floor_rows(path, count):
    """Return plain rows a second: raw sqlite3, one insert each, groups as large as ours."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE plain (id INTEGER PRIMARY KEY, text TEXT, received REAL)")
    start = time.perf_counter()
    for first in range(0, count, GROUP):
        connection.execute("BEGIN IMMEDIATE")
        for number in range(first, min(first + GROUP, count)):
            connection.execute(
                "INSERT INTO plain (text, received) VALUES (?, ?)", ("VTSPolicy" * 10, number)
            )
        connection.execute("COMMIT")
    seconds = time.perf_counter() - start
    connection.close()
    return count / seconds


def floor_rows_of_a_command(path, count):
    """Return commands a second when each is four plain rows: what the schema's tables cost bare."""
    return floor_rows(path, count * 4) / 4


def through_the_writer(path, first, count):
    """Return commands, starts and ends a second, as the engine writes them."""
    pump = Pump()
    ledger = SqliteLedger(path, pump)
    pump.ask(Deferred.fromCoroutine(ledger.open()))
    intakes = [an_intake(number) for number in range(first, first + count)]

    def rate(deferreds):
        answers = []
        start = time.perf_counter()
        for deferred in deferreds():
            deferred.addCallback(answers.append)
        pump.until(lambda: len(answers) == count)
        return count / (time.perf_counter() - start), answers

    records, recorded = rate(
        lambda: [ledger.write(RequestRecords.record, each) for each in intakes]
    )
    jobs = [each.result.jobs[0].id for each in recorded]
    starts, _ = rate(lambda: [ledger.write(JobRecords.start_attempt, job, 2e9) for job in jobs])
    ends, _ = rate(
        lambda: [ledger.write(JobRecords.finish_attempt, job, 1, DONE, 2e9) for job in jobs]
    )
    pending = pump.ask(ledger.read(NoticeRecords.pending, "NSK1", 0, 10**6))
    numbers = [notice.id for notice in pending]
    pump.ask(ledger.write(NoticeRecords.deliver, numbers, 2e9))
    pump.ask(Deferred.fromCoroutine(ledger.close()))
    return {"records": records, "starts": starts, "ends": ends}


def alone(path, count):
    """Return the longest and the median milliseconds of a command that has its flush to itself."""
    pump = Pump()
    ledger = SqliteLedger(path, pump)
    pump.ask(Deferred.fromCoroutine(ledger.open()))
    taken = []
    for number in range(count):
        intake = an_intake(10**8 + number)
        start = time.perf_counter()
        pump.ask(ledger.write(RequestRecords.record, intake))
        taken.append((time.perf_counter() - start) * 1000)
    pump.ask(Deferred.fromCoroutine(ledger.close()))
    taken.sort()
    return {"median_ms": taken[count // 2], "p99_ms": taken[int(count * 0.99)]}


_COPIES = {
    # table: what differs from copy to copy; ?1 is the number of the first copy
    "events": {"id": "id + i", "digest": "randomblob(32)", "received": "received + i"},
    "requests": {"id": "id + i", "received": "received + i", "finished": "finished + i"},
    "jobs": {"id": "id + i", "request": "request + i", "finished": "finished + i"},
    "attempts": {"job": "job + i"},
    "notices": {"id": "id + i * 2", "request": "request + i", "created": "created + i"},
    "transitions": {"id": "id + i * 2", "request": "request + i", "job": "job + i"},
}


def fill(path, count):
    """Write finished jobs, as they are after their notices were delivered.

    One is made by the ledger's own operations, the others are copies of its rows.
    """
    connection = open_file(path)
    connection.execute("PRAGMA synchronous = OFF")
    tx = Transaction(SqliteStatements(connection))
    tx.sql.run("BEGIN IMMEDIATE")
    (job,) = tx.requests.record(an_intake(2 * 10**8)).jobs
    tx.jobs.start_attempt(job.id, 2000.0)
    tx.jobs.finish_attempt(job.id, 1, DONE, 2001.0)
    tx.notices.deliver([each.id for each in tx.notices.pending("NSK1")], 2002.0)
    for table, changed in _COPIES.items():
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        into = ", ".join(f'"{name}"' for name in names)
        values = ", ".join(changed.get(name, f'"{name}"') for name in names)
        connection.execute(
            "WITH RECURSIVE copies (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM copies WHERE i < ?)"
            f" INSERT INTO {table} ({into}) SELECT {values} FROM copies, {table} ORDER BY i",
            (count - 1,),
        )
    connection.execute("UPDATE tallies SET n = ? WHERE state = 'completed'", (count,))
    tx.sql.run("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def start_up(path):
    """Return milliseconds until a server has the ledger open and knows what is live."""
    start = time.perf_counter()
    pump = Pump()
    ledger = SqliteLedger(path, pump)
    pump.ask(Deferred.fromCoroutine(ledger.open()))
    pump.ask(ledger.read(JobRecords.live))
    pump.ask(ledger.read(AttemptRecords.live))
    pump.ask(ledger.read(NoticeRecords.pending, "NSK1"))
    pump.ask(ledger.read(MountRecords.open))
    pump.ask(ledger.read(Transaction.counts))
    taken = (time.perf_counter() - start) * 1000
    pump.ask(Deferred.fromCoroutine(ledger.close()))
    return taken


def pruning(path):
    """Return the longest milliseconds of one step of retention, and requests removed a second."""
    pump = Pump()
    ledger = SqliteLedger(path, pump)
    pump.ask(Deferred.fromCoroutine(ledger.open()))
    longest, removed, begin = 0.0, 0, time.perf_counter()
    for _ in range(50):
        start = time.perf_counter()
        removed += pump.ask(ledger.write(Retention.prune, 1e9, 100)).result
        longest = max(longest, (time.perf_counter() - start) * 1000)
    rate = removed / (time.perf_counter() - begin)
    pump.ask(Deferred.fromCoroutine(ledger.close()))
    return {"step_ms": longest, "requests_per_s": rate}


def in_turns(paths, commands):
    """Return the medians of several bursts into each ledger, in turns: machines are shared."""
    bursts = {name: [] for name in paths}
    for turn in range(ROUNDS):
        for name, path in paths.items():
            bursts[name].append(through_the_writer(path, turn * commands, commands))
    return {
        name: {each: statistics.median(one[each] for one in all_of) for each in all_of[0]}
        for name, all_of in bursts.items()
    }


def measure(folder, commands, finished):
    """Return all figures."""
    paths = {"empty": folder / "ledger.db"}
    figures = {
        "floor_rows_per_s": floor_rows(folder / "floor.db", commands),
        "floor_commands_per_s": floor_rows_of_a_command(folder / "floor4.db", commands),
        "alone": alone(folder / "alone.db", 200),
        "start_empty_ms": start_up(folder / "start.db"),
    }
    if finished:
        paths["large"] = folder / "large.db"
        fill(paths["large"], finished)
        figures["large_bytes_per_job"] = paths["large"].stat().st_size / finished
        figures["start_large_ms"] = start_up(paths["large"])
    figures |= in_turns(paths, commands)
    if finished:
        figures["large_of_empty"] = {
            each: rate / figures["empty"][each] for each, rate in figures["large"].items()
        }
        figures["prune"] = pruning(paths["large"])
    return figures


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--commands", type=int, default=10_000, help="of the burst")
    parser.add_argument("--finished", type=int, default=1_000_000, help="jobs in the large ledger")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        figures = measure(Path(folder), options.commands, options.finished)
    if options.json:
        json.dump(figures, sys.stdout)
        sys.stdout.write("\n")
        return 0
    for name, value in figures.items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        for part, figure in parts:
            sys.stdout.write(f"{name + ' ' + part:34}{figure:12.2f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
