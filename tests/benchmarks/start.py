"""A ledger with a million finished jobs: how soon the server answers, and what it still takes."""

import hashlib
import os
import shutil
import sqlite3
import tempfile
from contextlib import ExitStack
from pathlib import Path

from vtspolicy.ledger.sql import migrations
from vtspolicy.ledger.sqlite.database_file import open_file

from .accept import burst, held
from .bench_ledger import fill
from .ground import Server
from .size import Size
from .table import Beside, Line, middle

SEED = 1000  # requests that are made by the ledger's own verbs, then copied by SQL
KEPT = 100_000  # finished jobs; what is faster to make than to look for is not kept
GOAL_START = 2.0
GOAL_RATE = 0.9

# Everything that belongs to a request is copied with its numbers moved on.
MOVED = {
    "events": ("id",),
    "requests": ("id",),
    "jobs": ("id", "request"),
    "attempts": ("job",),
    "notices": ("id", "request"),
    "transitions": ("id", "request", "job"),
}


def large_ledger(finished: int, folder: Path) -> Path:
    """Return a ledger with so many finished jobs; a large one is kept for the next time."""
    schema = hashlib.sha256(repr(migrations("sqlite")).encode()).hexdigest()[:8]
    place = Path(tempfile.gettempdir()) if finished >= KEPT else folder
    path = place / f"vtspolicy-bench-{os.getuid()}-{finished}-{schema}.db"
    if path.exists():
        return path
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    fill(part, min(SEED, finished))
    connection = open_file(part)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -200000")
    for turn in range(1, -(-finished // SEED)):
        connection.execute("BEGIN IMMEDIATE")
        for table, moved in MOVED.items():
            _copy(connection, table, moved, turn)
        connection.execute("COMMIT")
    connection.execute("UPDATE tallies SET n = ? WHERE state = 'completed'", (finished,))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    part.replace(path)
    return path


def _copy(connection: sqlite3.Connection, table: str, moved: tuple[str, ...], turn: int) -> None:
    names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    key = moved[0]
    last = f"(SELECT max({key}) FROM seed_{table})"
    if turn == 1:
        connection.execute(f"CREATE TEMP TABLE seed_{table} AS SELECT * FROM {table}")
        connection.execute(f"CREATE TEMP TABLE step_{table} AS SELECT {last} AS n")
    values = []
    for name in names:
        of = {"request": "events", "job": "jobs"}.get(name, table)
        if name in moved:
            values.append(f'"{name}" + {turn} * (SELECT n FROM step_{of})')
        elif name == "digest":
            values.append("randomblob(length(digest))")
        else:
            values.append(f'"{name}"')
    columns = ", ".join(f'"{name}"' for name in names)
    connection.execute(
        f"INSERT INTO {table} ({columns}) SELECT {', '.join(values)} FROM seed_{table}"
    )


def measure(folder: Path, size: Size, *, peers: bool) -> list[Line]:
    """Start servers in turns, then send both the same bursts in turns."""
    source = large_ledger(size.finished, folder)
    for name in ("empty", "large"):
        (folder / name).mkdir()
    shutil.copy(source, folder / "large" / "ledger.db")
    os.sync()  # or the copy is written to the disk while servers start on it
    servers = {name: Server(folder / name) for name in ("empty", "large")}
    starts: dict[str, list[float]] = {"empty": [], "large": []}
    rates: dict[str, list[float]] = {"empty": [], "large": []}
    for _ in range(size.started):
        for name, server in servers.items():
            starts[name].append(server.start())
            server.stop()
    count = max(size.burst // 2, 1)
    with ExitStack() as stack:
        links = {
            name: stack.enter_context(held(stack.enter_context(server)))
            for name, server in servers.items()
        }
        for turn in range(2 * size.rounds):
            for name, link in links.items():
                taken = burst(link, f"T{turn}", count, 1 + turn * count)
                rates[name].append(count / taken)
    large, empty = middle(rates["large"]), middle(rates["empty"])
    began = middle(starts["large"])
    return [
        Line(
            row="start",
            what=f"start with {size.finished:,} finished jobs",
            unit="s",
            ours=began,
            floors=(Beside(what="with an empty ledger", value=middle(starts["empty"])),),
            goal=f"under {GOAL_START:g} s",
            reached=began < GOAL_START,
        ),
        Line(
            row="start",
            what="commands accepted then",
            unit="commands/s",
            ours=large,
            floors=(Beside(what="with an empty ledger", value=empty),),
            goal=f"{GOAL_RATE} of empty",
            reached=large >= GOAL_RATE * empty,
        ),
    ]
