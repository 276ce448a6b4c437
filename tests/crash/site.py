"""The site under fire: its folder, its server, and who can be killed."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from attrs import define, field

from tests.crash.setting import COPIES, Setting
from vtspolicy.cli import main
from vtspolicy.exit_codes import Exit
from vtspolicy.runner import identity
from vtspolicy.runner.keeper import process
from vtspolicy.runner.link import PROGRAM

WARM = sys.executable
"""The interpreter of the installed command."""

ORDERED = 60.0
"""Seconds for which a server is tried to be reached with an order."""


@define
class Site:
    """One site in a folder of its own."""

    root: Path
    always: Callable[[Path], None] | None = None  # called in each server before it starts
    setting: Setting = COPIES
    port: int = 0
    server: int | None = None  # its process id, while it has not been seen to end
    started: float = 0.0  # when, by the monotonic clock
    forked: int = 0  # starts of forks
    installed: int = 0  # starts of the installed command
    exits: list[int] = field(factory=list)  # how servers ended that nobody killed
    excused: int = 0  # of those, whose keeper was killed while both were starting
    _is_excused: bool = False
    _usual: dict[bool, float] = field(factory=lambda: {False: 0.1, True: 1.0})
    _is_installed: bool = False
    _is_timed: bool = False
    _place: socket.socket = field(factory=socket.socket)

    def make(self) -> None:
        """Write everything that a server needs."""
        # Bound and never listening, it keeps the port from other sites while no server is there.
        self._place.bind(("127.0.0.1", 0))
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.port = self._place.getsockname()[1]
        for pool, tapes in self.setting.tapes.items():
            (self.root / "VAULT01" / pool).mkdir(parents=True)
            for cartridge, text in tapes.items():
                (self.root / "VAULT01" / pool / cartridge).write_text(text)
        for name, text in (
            ("vtspolicy.yaml", self.setting.configuration),
            ("rules.yaml", self.setting.rules),
            ("application", self.setting.application),
        ):
            (self.root / name).write_text(text.format(root=self.root, port=self.port))
        (self.root / "application").chmod(0o755)
        (self.root / "record").touch()

    def start(self, prepare: Callable[[Path], None] | None = None) -> None:
        """Start a server: a fork of this process, which has everything loaded already.

        It does what the installed command does, and is there in a tenth of the time. `prepare` is
        called in it first: it may put in faults.
        """
        self.forked += 1
        self._begin(installed=False)
        self.server = os.fork()
        if self.server:
            return
        try:
            self._become_server(prepare)
        finally:
            os._exit(70)  # not reached: the server ends by SystemExit, which is taken below

    def _become_server(self, prepare: Callable[[Path], None] | None) -> None:
        log = os.open(self.root / "server.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        null = os.open("/dev/null", os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        os.closerange(3, 1024)
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # as a new process has them
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            for each in (self.always, prepare):
                if each is not None:
                    each(self.root)
            main(["serve", "--config", str(self.root / "vtspolicy.yaml")])
        except SystemExit as end:
            os._exit(end.code if isinstance(end.code, int) else 1)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            raise

    def start_installed(self) -> None:
        """Start the installed command, as systemd does."""
        self.installed += 1
        self._begin(installed=True)
        with (self.root / "server.log").open("ab") as log:
            self.server = subprocess.Popen(
                [WARM, "-m", "vtspolicy", "serve", "--config", self.root / "vtspolicy.yaml"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            ).pid

    def order(self, *arguments: str) -> tuple[int, str]:
        """Give an operator's order and wait for its end; returns the exit code and what was said.

        A server that has just been started may not be reached at once.
        """
        command = [WARM, "-m", "vtspolicy", *arguments, "--wait", "--config"]
        until = time.monotonic() + ORDERED
        while True:
            done = subprocess.run(
                [*command, self.root / "vtspolicy.yaml"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            if done.returncode != Exit.UNREACHABLE or time.monotonic() > until:
                return done.returncode, done.stdout
            time.sleep(0.2)

    def _begin(self, *, installed: bool) -> None:
        self.started = time.monotonic()
        self._is_installed = installed
        self._is_timed = self._is_excused = False

    @property
    def usual_start(self) -> float:
        """Seconds that starts of the present kind took of late, until hosts reached the server."""
        return self._usual[self._is_installed]

    def note_start(self, reached: float | None) -> None:
        """Learn how long this start has taken, once."""
        if reached is not None and not self._is_timed:
            self._is_timed = True
            usual = 0.7 * self.usual_start + 0.3 * (reached - self.started)
            self._usual[self._is_installed] = usual

    def look(self) -> bool:
        """Whether the server runs; one that has ended is noted."""
        if self.server is None:
            return False
        ended, status = os.waitpid(self.server, os.WNOHANG)
        if not ended:
            return True
        code = os.waitstatus_to_exitcode(status)
        if code == CANNOT_START and self._is_excused:
            self.excused += 1
        elif code != -signal.SIGKILL:
            self.exits.append(code)
        self.server = None
        return False

    def kill_server(self) -> bool:
        """Kill the server and wait for its death; False if there was none."""
        if not self.look() or self.server is None:
            return False
        os.kill(self.server, signal.SIGKILL)
        os.waitpid(self.server, 0)
        self.server = None
        return True

    def keepers(self) -> list[int]:
        """Return the living keepers of the spool."""
        found = self._of_keepers()
        # A child that a keeper is just starting still shows the keeper's own arguments.
        return [pid for pid, parent in found.items() if parent not in found]

    def _of_keepers(self) -> dict[int, int]:
        """Return the keepers, and their children that show the same arguments, with parents."""
        spool = os.fsencode(self.root / "spool")
        names = {os.fsencode(PROGRAM), os.fsencode(FAULTY_KEEPER)}
        found = {}
        for name in os.listdir("/proc"):  # noqa: PTH208 - names are all it takes
            if name.isdigit():
                try:
                    words = (Path("/proc") / name / "cmdline").read_bytes().split(b"\0")
                    stat = (Path("/proc") / name / "stat").read_text()
                except OSError:
                    continue
                if spool in words and names & set(words) and not gone(int(name)):
                    found[int(name)] = int(stat.rpartition(")")[2].split()[1])
        return found

    def kill_lookers(self) -> bool:
        """Kill the processes that look at tapes for the keepers; False if there were none."""
        found = self._of_keepers()
        lookers = [pid for pid, parent in found.items() if parent in found]
        for pid in lookers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(lookers)

    def applications(self) -> list[int]:
        """Return the leaders of applications that have begun and not ended."""
        begun = {}
        for line in self.record():
            if line[0] == "start":
                begun[int(line[3])] = line
            elif line[0] in {"end", "kill"}:
                begun.pop(int(line[-1] if line[0] == "kill" else line[3]), None)
        return [pid for pid in begun if self.is_ours(pid)]

    def is_ours(self, pid: int) -> bool:
        """Whether a process is a living application of this site."""
        try:
            words = (Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return os.fsencode(self.root / "application") in words and not gone(pid)

    def kill_application(self, pid: int) -> None:
        """Kill an application; what the record says of it comes first."""
        with (self.root / "record").open("ab", buffering=0) as record:
            record.write(b"kill %d\n" % pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def note_keeper_killed(self) -> None:
        """Leave a mark in the record: from here on exit statuses may be unknown."""
        with (self.root / "record").open("ab", buffering=0) as record:
            record.write(b"keeper-killed\n")

    def excuse(self) -> None:
        """Let this server end by itself if it cannot start: its keeper dies meanwhile."""
        self._is_excused = True

    def kill_keepers(self, *, starting: bool) -> int:
        """Kill all keepers; return how many there were.

        A server that is starting then may end by itself, and is started again, as by systemd.
        """
        found = self.keepers()
        if found:
            if starting:
                self.excuse()
            self.note_keeper_killed()
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(found)

    def record(self) -> list[list[str]]:
        """Return what the application itself has written down, in the order of the writes."""
        return [line.split() for line in (self.root / "record").read_text().splitlines()]

    def end(self) -> None:
        """Leave no process behind."""
        self.kill_server()
        self._place.close()
        for _ in range(20):  # one that is just starting has a child that comes to light later
            if not (keepers := self.keepers()):
                break
            for pid in keepers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for pid in self.applications():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)


CANNOT_START = 2
"""How a server ends that cannot start."""

FAULTY_KEEPER = Path(__file__).with_name("faulty_keeper.py")
"""Stands in for the keeper when faults are put into it."""


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    found = process(pid)
    return found is None or found[0] in identity.DEAD
