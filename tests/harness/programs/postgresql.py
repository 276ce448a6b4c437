"""A private PostgreSQL on loopback, and what makes a Bacula keep its catalogue there.

Debian's packages of Bacula for SQLite and for PostgreSQL exclude each other. Those of SQLite are
installed; of the others, one library and the schema are unpacked into a folder of our own.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.harness.ports import free_ports

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
PACKAGES = ("bacula-common-pgsql", "bacula-director-pgsql")
SCHEMA = "usr/share/dbconfig-common/data/bacula-director-pgsql/install/pgsql"


class MissingError(Exception):
    """What it needs is neither here nor to be had."""


class PostgreSql:
    """One cluster, run by a user who is not root; `start` it, and `stop` it."""

    def __init__(self) -> None:
        if not BINARIES:
            raise MissingError("postgresql is not installed")
        self.root = Path(tempfile.mkdtemp(prefix="vtspolicy-pg-"))
        self.unpacked = self.root / "packages"
        (self.port,) = free_ports(1)
        self.plugins = self._unpack()
        self.data = self.root / "data"
        self.data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(self.root, "postgres")
            shutil.chown(self.data, "postgres")

    def start(self):
        """Make the cluster and wait until it answers."""
        self._run("initdb", "-D", self.data, "-A", "trust", "-E", "SQL_ASCII", "--no-locale", "-N")
        options = f"-p {self.port} -h 127.0.0.1 -k {self.root} -F"
        self._run("pg_ctl", "-D", self.data, "-w", "-l", self.root / "log", "-o", options, "start")

    def stop(self):
        """End it, and remove its files."""
        self._run("pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop")
        shutil.rmtree(self.root)

    def make_catalogue(self):
        """Make the user and the tables of a Bacula."""
        here = ("-h", "127.0.0.1", "-p", str(self.port))
        self._run("createuser", *here, "bacula")
        self._run("createdb", *here, "-O", "bacula", "-T", "template0", "catalogue")
        self._run(
            *("psql", *here, "-q", "-v", "ON_ERROR_STOP=1", "-U", "bacula", "-d", "catalogue"),
            *("-f", self.unpacked / SCHEMA),
        )

    def _run(self, name, *arguments):
        argv = [str(BINARIES[-1] / name), *map(str, arguments)]
        if os.geteuid() == 0:
            argv = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *argv]
        with (self.root / f"{name}.out").open("ab") as output:
            subprocess.run(
                argv,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=300,
                check=True,
            )

    def _unpack(self):
        """Return a folder with the library that Bacula finds its catalogue by."""
        downloads = self.root / "downloads"
        downloads.mkdir()
        try:
            subprocess.run(
                ["apt-get", "-qq", "download", *PACKAGES],
                cwd=downloads,
                capture_output=True,
                timeout=300,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise MissingError(f"{' and '.join(PACKAGES)} cannot be downloaded") from error
        for package in downloads.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, self.unpacked], check=True)
        plugins = self.root / "plugins"
        plugins.mkdir()
        (library,) = self.unpacked.glob("usr/lib/bacula/libbaccats-postgresql-*.so")
        version = library.name.removeprefix("libbaccats-postgresql-")
        shutil.copy(library, plugins / f"libbaccats-{version}")
        return plugins
