"""Commands durably accepted: a burst on one connection, until the last ACCEPTED."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vtspolicy.grammar import parse
from vtspolicy.ledger.groups import MOST as GROUP
from vtspolicy.ledger.sqlite.database_file import open_file

from .ground import NOISE, Link, Server, command
from .peers import NotInstalled, celery, celery_seconds, redis
from .size import Size
from .table import Beside, Line, at_least, middle

TABLES = ("events", "requests", "jobs", "notices")
PEER_SHARE = 5  # the peer accepts a fifth as many: it is timed one by one


def burst(link: Link, name: str, count: int, before: int) -> float:
    """Return the seconds until so many more commands were accepted."""
    data = b"".join(command(f"{name}-{number}", "HELD", number) for number in range(count)) + NOISE
    begun = time.perf_counter()
    sender = link.send(data)
    link.wait(b"ACCEPTED", before + count)
    seconds = time.perf_counter() - begun
    sender.join()
    return seconds


def same_rows(ledger: Path, target: Path, count: int) -> float:
    """Return the seconds that sqlite3 alone needs for the rows of so many commands.

    They go into the same schema with the same indexes, a commit for each group.
    """
    source = sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)
    rows: dict[str, list[tuple[object, ...]]] = {}
    for table in TABLES:
        column = {"notices": "request", "jobs": "request"}.get(table, "id")
        first = source.execute("SELECT max(id) FROM requests").fetchone()[0] - count
        statement = f"SELECT * FROM {table} WHERE {column} > ? ORDER BY id LIMIT ?"
        rows[table] = source.execute(statement, (first, count)).fetchall()
        if len(rows[table]) != count:
            raise RuntimeError(f"the ledger has {len(rows[table])} {table} of {count} commands")
    works = source.execute("SELECT * FROM works").fetchall()
    source.close()
    connection = open_file(target)
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.executemany("INSERT INTO works VALUES (?, ?, ?)", works)
    inserts = {
        table: f"INSERT INTO {table} VALUES ({','.join('?' * len(rows[table][0]))})"
        for table in TABLES
    }
    begun = time.perf_counter()
    for start in range(0, count, GROUP):
        connection.execute("BEGIN IMMEDIATE")
        for number in range(start, min(start + GROUP, count)):
            for table in TABLES:
                connection.execute(inserts[table], rows[table][number])
        connection.execute("COMMIT")
    seconds = time.perf_counter() - begun
    connection.close()
    return seconds


def parsed(count: int) -> float:
    """Return the seconds that the parser alone needs for so many different commands."""
    texts = [
        command(f"P-{number}", "HELD", number).decode().split("001234 ")[1].rstrip("\n")
        for number in range(count)
    ]
    begun = time.perf_counter()
    for text in texts:
        parse(text)
    return time.perf_counter() - begun


@contextmanager
def held(server: Server) -> Iterator[Link]:
    """A link to a server whose one seat is taken: what is accepted from now on waits."""
    link = server.link()
    link.socket.sendall(command(f"first-{time.time_ns()}", "HELD", 0) + NOISE)
    link.wait(b"ACCEPTED", 1)
    try:
        yield link
    finally:
        link.close()


def measure(folder: Path, size: Size, *, peers: bool) -> list[Line]:
    """Measure ours, both floors and the peer in turns."""
    count = size.burst
    ours, rows, parser, theirs = [], [], [], []
    missing = "" if peers else "left out"
    with Server(folder) as server, held(server) as link:
        for turn in range(size.rounds):
            ours.append(count / burst(link, f"B{turn}", count, 1 + turn * count))
            rows.append(count / same_rows(server.ledger, folder / f"floor{turn}.db", count))
            parser.append(count / parsed(count))
            if not missing:
                try:
                    programs = celery(install=peers and size.rounds > 1)
                    fewer = max(count // PEER_SHARE, 1)
                    with redis(folder / f"redis{turn}") as address:
                        taken = celery_seconds(programs, address, "accept", fewer)
                    theirs.append(fewer / taken)
                except NotInstalled as error:
                    missing = str(error)
    peer = None if missing else middle(theirs)
    return [
        Line(
            row="accept",
            what=f"commands durably accepted, burst of {count:,}",
            unit="commands/s",
            ours=middle(ours),
            floors=(
                Beside(what="sqlite3, the same rows in groups", value=middle(rows)),
                Beside(what="the parser alone", value=middle(parser)),
            ),
            peer=Beside(what="Celery on Redis, appendfsync always", value=peer, note=missing),
            goal="10 x Celery",
            reached=at_least(middle(ours), 10, peer),
            notes=(
                "Each delay() of Celery is answered before the next is sent: it shares no flush.",
                f"Its rate is taken from {max(count // PEER_SHARE, 1):,} tasks.",
            ),
        )
    ]
