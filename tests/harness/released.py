"""Version 0.1 as it was released: its program, and the ledger of a site that it has served."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import time
from contextlib import closing
from pathlib import Path

FIXTURES = Path(__file__).parents[2] / "fixtures" / "released"
ROOT = "/tmp/vtspolicy-0.1-site"
MARGIN = 0.05  # seconds between the files of a site and the first entry of its ledger


def content(cartridge):
    """What was on a tape as it was copied."""
    return f"{cartridge} ".encode() * 1000


def unpack(folder, name="vtspolicy-0.1"):
    """Unpack an earlier program; it is run by the Python of the tests."""
    with tarfile.open(FIXTURES / f"{name}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


class Program:
    """An earlier program; the released one unless another is named."""

    def __init__(self, folder, name="vtspolicy-0.1"):
        self.words = [sys.executable, "-P", "-m", "vtspolicy"]
        self.environment = os.environ | {"PYTHONPATH": str(unpack(folder, name))}

    def run(self, site, *words):
        """Run one of its commands on a site."""
        config = ["--config", site.root / "vtspolicy.yaml"]
        return subprocess.run(
            [*self.words, words[0], *config, *words[1:]],
            env=self.environment,
            cwd=site.root,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def serve(self, site):
        """Start its server; the site knows it as its own."""
        with (site.root / "server.log").open("ab") as log:
            site.server = subprocess.Popen(
                [*self.words, "serve", "--config", site.root / "vtspolicy.yaml"],
                env=self.environment,
                cwd=site.root,
                stdout=log,
                stderr=log,
            )


def settle(site):
    """Give a site the ledger of the released program, and the files that it was about.

    The ledger is moved into the site's folder, and dated just after its files are made: the time
    of their last change cannot be set. Returns the ledger's path.
    """
    ledger = site.root / "ledger.db"
    shutil.copy(FIXTURES / "ledger-0.1.db", ledger)
    with closing(sqlite3.connect(ledger, isolation_level=None)) as db:
        _move(db, site.root)
        newest = _make_files(db, site.root)
        latest = _date(db, newest)
    until = latest + MARGIN
    while time.time() < until:
        time.sleep(0.05)
    return ledger


def _move(db, root):
    for table, column in (
        *(("tapes", "path"), ("tapes", "copy_values"), ("jobs", '"values"'), ("jobs", '"lock"')),
        *(("jobs", "path"), ("works", "body"), ("attempts", "before"), ("mounts", "path")),
    ):
        # Paths below the root stand in some values without their first slash.
        db.execute(
            f"UPDATE {table} SET {column} = replace({column}, ?, ?)",
            (ROOT[1:], str(root)[1:]),
        )


def _make_files(db, root):
    newest = 0.0
    for path, size, written, handle in db.execute(
        "SELECT path, size, written, handle FROM tapes ORDER BY path"
    ):
        tape = Path(path)
        whole = content(tape.name)
        if handle is not None:
            copy = root / "copies" / handle
            if tape.parent.name == "POOL1":
                copy /= tape.name
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(whole)
        tape.parent.mkdir(parents=True, exist_ok=True)
        if size is not None:
            rest = b"written after the copy"
            tape.write_bytes((whole + rest)[:size])
            os.utime(tape, ns=(round(written * 1e9), round(written * 1e9)))
            newest = max(newest, tape.stat().st_ctime)
    return newest


_FILES_TIMES = {"written", "copied_written", "override_written"}


def _date(db, newest):
    """Move all times of a ledger, but those of files, so that the first attempt is after them."""
    (first,) = db.execute("SELECT min(started) FROM attempts").fetchone()
    later = newest + MARGIN - first
    (trigger,) = db.execute(
        "SELECT sql FROM sqlite_schema WHERE name = 'transitions_are_not_changed'"
    ).fetchone()
    db.execute("DROP TRIGGER transitions_are_not_changed")
    latest = 0.0
    for (table,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        for _, column, kind, *_ in db.execute(f"PRAGMA table_info({table})").fetchall():
            if kind == "REAL" and column not in _FILES_TIMES:
                db.execute(
                    f'UPDATE {table} SET "{column}" = "{column}" + ? WHERE "{column}" > 1e9',
                    (later,),
                )
                (last,) = db.execute(f'SELECT max("{column}") FROM {table}').fetchone()
                latest = max(latest, last or 0.0)
    db.execute(trigger)
    return latest
