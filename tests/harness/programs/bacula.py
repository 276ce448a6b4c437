"""Bacula on loopback: director, storage daemon with a tape library, file daemon, console."""

import re
import secrets
import sqlite3
import subprocess
import time
from pathlib import Path

from tests.harness.ports import free_ports
from tests.harness.programs.daemon import PATH, Daemon, program

TEMPLATES = Path(__file__).parents[3] / "fixtures" / "bacula"
SCHEMA = Path("/usr/share/dbconfig-common/data/bacula-director-sqlite3/install/sqlite3")
TAPES = [f"VT{number:04}" for number in range(1, 9)]
IN_FLIGHT = set("CRBFSmMsjcdtpialL")  # JobStatus of a job that has not ended


class Bacula:
    """A whole Bacula in a folder of its own; `start` it, and `stop` it."""

    def __init__(self, root: Path, tape_bytes: int = 20_000_000, database=None) -> None:
        """Keep the catalogue in a file of SQLite, or in a `PostgreSql` that was started."""
        self.root = root
        self.database = database
        director, client, storage = free_ports(3)
        self.values = {
            "ROOT": str(root),
            "DIRECTOR_PORT": str(director),
            "CLIENT_PORT": str(client),
            "STORAGE_PORT": str(storage),
            "PASSWORD": secrets.token_hex(16),
            "TAPE_BYTES": str(tape_bytes),
            "CATALOGUE_ADDRESS": "127.0.0.1" if database else "",
            "CATALOGUE_PORT": str(database.port) if database else "0",
            "CATALOGUE_USER": "bacula" if database else "",
        }
        for name in ("work", "run", "log", "bootstrap", "library"):
            (root / name).mkdir()
        for template in TEMPLATES.glob("*.conf"):
            (root / template.name).write_text(self._filled(template.read_text()))
        (root / "query.sql").touch()
        (root / "paths").touch()
        self._stock_the_library()
        self._make_the_catalogue()
        self.storage = self._daemon("bacula-sd", "storage", storage)
        self.client = self._daemon("bacula-fd", "client", client)
        self.director = self._daemon("bacula-dir", "director", director)

    def start(self):
        """Start the daemons and label the tapes."""
        for daemon in (self.storage, self.client, self.director):
            daemon.start()
        said = self.console(
            f"label barcodes storage=Library drive=0 pool=Tapes slots=1-{len(TAPES)}", "yes"
        )
        labelled = said.count("successfully created")
        assert labelled == len(TAPES), f"{labelled} tapes were labelled\n{said}"

    def stop(self):
        """Stop the daemons, the one that gives orders first."""
        for daemon in (self.director, self.client, self.storage):
            daemon.stop()

    def console(self, *lines, timeout=300):
        """Give lines to bconsole; return all that it says."""
        argv = [program("bconsole"), "-n", "-c", str(self.root / "console.conf")]
        done = subprocess.run(
            argv,
            input="".join(f"{line}\n" for line in (*lines, "quit")),
            env={"PATH": PATH, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=True,
        )
        return done.stdout

    def archive(self, tape: Path, handle: str):
        """Submit a job for one tape; return the number that Bacula gave it."""
        (self.root / "paths").write_text(f"{tape}\n")
        return self._submitted(f'run job=Archive level=Full comment="{handle}" yes')

    def restore(self, job: int):
        """Submit the restore of a job's tape to where it was; return the restore's number."""
        return self._submitted(
            f"restore client=vts-client jobid={job} restorejob=Restore where=/"
            " replace=always all done yes"
        )

    def query(self, job: int):
        """Return what the catalogue tells of a job: names in lower case, values as text."""
        said = self.console(f"llist jobid={job}")
        pairs = re.findall(r"^\s*([A-Za-z]+): (.*)$", said, re.MULTILINE)
        return {name.lower(): value.strip() for name, value in pairs}

    def media(self, job: int):
        """Return the names of the tapes that hold a job."""
        said = self.console(f"list jobmedia jobid={job}")
        return sorted(set(re.findall(r"\bVT\d{4}\b", said)))

    def all_tapes(self):
        """Return the names of the tapes of the library."""
        return list(TAPES)

    def tapes_in_use(self):
        """Return the names of the tapes that have been written."""
        said = self.console("llist volumes pool=Tapes")
        found = re.findall(r"VolumeName: (VT\d{4})\n(?:.*\n)*?\s*VolStatus: (\w+)", said)
        return [name for name, status in found if status in {"Full", "Used"}]

    def waiting_drive(self):
        """Return the number of the drive that waits for a tape, None without one."""
        said = self.console("status storage=Library")
        found = re.search(r'Device File: "(First|Second)".*\n\s+Device is BLOCKED', said)
        return ["First", "Second"].index(found[1]) if found else None

    def finished(self, job: int, patience=300):
        """Poll until the job has ended; return what the catalogue tells of it then."""
        deadline = time.monotonic() + patience
        while (told := self.query(job)).get("jobstatus", "C") in IN_FLIGHT:
            assert time.monotonic() < deadline, f"job {job} goes on: {told}\n{self.log()}"
        return told

    def log(self):
        """Return what the jobs have said so far."""
        file = self.root / "log" / "jobs.log"
        return file.read_text() if file.exists() else ""

    def _submitted(self, line):
        said = self.console(line)
        found = re.search(r"Job queued\. JobId=(\d+)", said)
        assert found, f"no job was queued\n{said}"
        return int(found[1])

    def _filled(self, text):
        return re.sub(r"@([A-Z_]+)@", lambda found: self.values[found[1]], text)

    def _stock_the_library(self):
        library = self.root / "library"
        (library / "changer.conf").write_text(f"maxslot={len(TAPES)}\nmaxdrive=1\n")
        slots = list(enumerate(TAPES, start=1))
        (library / "barcodes").write_text("".join(f"{slot}:{tape}\n" for slot, tape in slots))
        for slot, _ in slots:
            (library / f"slot{slot}").touch()

    def _make_the_catalogue(self):
        if self.database is not None:
            self.database.make_catalogue()
            return
        catalogue = sqlite3.connect(self.root / "work" / "catalogue.db")
        catalogue.executescript(SCHEMA.read_text())
        catalogue.close()

    def _daemon(self, name, configuration, port):
        argv = [program(name), "-f", "-c", str(self.root / f"{configuration}.conf")]
        env = {"LD_LIBRARY_PATH": str(self.database.plugins)} if self.database else None
        return Daemon(argv, port, self.root / "log" / f"{configuration}.out", env)
