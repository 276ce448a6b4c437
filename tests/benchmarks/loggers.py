"""The log servers beside the stream, each configured as its manual advises for a large load.

Each gets lines that are no syslog, finds those with a word in them and appends these, as they came,
to a file. What is in the file in the end is compared byte for byte with what was sent.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path

from attrs import frozen

from tests.harness.ports import free_ports

from .ground import NOISE, TIMEOUT
from .peers import NotInstalled, cache, program, running

WORD = "VTSPolicy"
EVERY = " "  # a word that all lines have

RSYSLOG = r"""
module(load="imptcp")
global(workDirectory="{folder}" maxMessageSize="8k")
template(name="whole" type="string" string="%rawmsg%\n")
input(type="imptcp" port="{port}" address="127.0.0.1" ruleset="found"
      supportOctetCountedFraming="off")
ruleset(name="found" queue.type="FixedArray" queue.size="250000" queue.dequeueBatchSize="4096") {{
    if $rawmsg contains "{word}" then {{
        action(type="omfile" file="{folder}/found" template="whole")
    }}
}}
"""
"""Without octet counting, which takes a line that begins with a digit for a length and cuts it;
with the queue of the manual's example for high performance; `rawmsg`, from which nothing was
taken. Not that example's `flushOnTXEnd="off"`, with which the last lines are in the file only a
second later."""

RSYSLOG_FAST = (
    RSYSLOG.replace("imptcp", "imtcp")
    .replace('name="found" queue', 'name="found" parser="rsyslog.rfc3164" queue')
    .replace('size="250000"', 'size="5000"')
    .replace('BatchSize="4096"', 'BatchSize="1024"')
)
"""The best median of some thirty variants measured in turns on two cores, by up to a tenth: imtcp,
although the manual calls imptcp the faster receiver, a short queue, and one parser in place of two
that are tried in turn.

The others were within the noise of the measurement: imptcp with one to three threads, with and
without `processOnPoller` and `flowControl`; no queue at all; a queue of 2,000 to 250,000 lines, a
linked list, a second worker; `net.enableDNS`, control characters left as they are. Slower: batches
of 128 or 512 from a long queue, a property filter in place of the expression. Debian's package does
not have pmnull, the parser that does nothing."""

SYSLOG_NG = """
@version: {version}
options {{
    threaded(no); use-dns(no); dns-cache(no); keep-hostname(yes); stats-freq(0);
    log-msg-size(8192);
}};
source lines {{
    network(ip("127.0.0.1") port({port}) transport("tcp") flags(no-parse)
            max-connections(10) log-iw-size(100000) log-fetch-limit(10000));
}};
filter found {{ message("{word}" type("string") flags("substring")); }};
destination file {{
    file("{folder}/found" template("$MSG\\n") log-fifo-size(200000) flush-lines(1000));
}};
log {{ source(lines); filter(found); destination(file); flags(flow-control); }};
"""
"""As its manual has it for a large load: no look-ups of names, flow control, no expression in the
filter, and for each of 10 connections a window in which all lines of one reading have room. With
the default window of 100 lines it came to 15 to 48 MB/s, and with 1,000 to 117 in place of 127.

Neither faster nor slower: `threaded(yes)`, whose threads are for several connections, as one
connection is read, parsed and filtered by one of them; `match()` in place of `message()`, a larger
receive buffer, no flow control, no unique numbers, other values of `flush-lines`."""

PACKAGES = {
    "rsyslogd": ("rsyslog", "libestr0", "libfastjson4"),
    "syslog-ng": ("syslog-ng-core", "libivykis0", "libnet1", "libpcre3"),
}
"""A program's package and those of its libraries that not every Debian has. The two exclude each
other, so that at most one can be installed."""

INSTALLED = Path("/")


@frozen
class Program:
    """A program, where it is, and what it needs to run there."""

    path: Path
    root: Path

    @property
    def environment(self) -> dict[str, str]:
        """Where an unpacked program's libraries are."""
        if self.root == INSTALLED:
            return {}
        folders = sorted({str(path.parent) for path in self.root.glob("**/lib*.so*")})
        return {"LD_LIBRARY_PATH": ":".join(folders)}

    def modules(self, option: str, module: str) -> list[str]:
        """Return the option for the folder of an unpacked program's modules, by one of them."""
        found = [] if self.root == INSTALLED else self.root.glob(f"usr/lib/**/{module}")
        return [f"{option}{path.parent}" for path in found]


def located(name: str, *, install: bool) -> Program:
    """Return a program that is installed, or unpacked from Debian's packages; never installed."""
    package, *_ = PACKAGES[name]
    try:
        return Program(Path(program(name, package)), INSTALLED)
    except NotInstalled:
        root = cache() / name
    if not root.exists():
        if not install:
            text = f"peer not installed: apt install {package}, or a run without --quick unpacks it"
            raise NotInstalled(text)
        _unpack(PACKAGES[name], root)
    return Program(root / "usr/sbin" / name, root)


def _unpack(packages: tuple[str, ...], root: Path) -> None:
    half = root.with_name(f"{root.name}-half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    try:
        subprocess.run(
            ["apt-get", "-qq", "download", *packages], cwd=half, check=True, capture_output=True
        )
        for archive in half.glob("*.deb"):
            subprocess.run(["dpkg-deb", "--extract", archive, half / "root"], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        text = f"peer not installed: apt-get download {' '.join(packages)} failed"
        raise NotInstalled(text) from error
    (half / "root").rename(root)
    shutil.rmtree(half)


@frozen(kw_only=True)
class Logger:
    """A log server with a configuration."""

    name: str
    what: str  # as the table has it
    program: str
    configuration: str

    @contextmanager
    def running(
        self, folder: Path, *, word: str = WORD, install: bool = False
    ) -> Iterator[tuple[int, Path]]:
        """Run it: its port, and the file of the lines in which it has found the word."""
        where = located(self.program, install=install)
        folder.mkdir()
        (port,) = free_ports(1)
        version = _version(where) if self.program == "syslog-ng" else ""
        written = self.configuration.format(folder=folder, port=port, word=word, version=version)
        (folder / "conf").write_text(written)
        words = self._words(where, folder)
        with running(words, folder, port=port, env=where.environment):
            yield port, folder / "found"

    def _words(self, where: Program, folder: Path) -> list[str]:
        conf, pid = f"{folder}/conf", f"{folder}/pid"
        if self.program == "rsyslogd":
            words = [str(where.path), "-n", "-f", conf, "-i", pid]
            return [*words, *where.modules("-M", "imptcp.so")]
        words = [str(where.path), "-F", "-f", conf, "-p", pid, "-c", f"{folder}/control"]
        words += ["-R", f"{folder}/persist", "--no-caps"]
        return [*words, *where.modules("--module-path=", "libafsocket.so")]


def _version(where: Program) -> str:
    """Return the version of syslog-ng's language that the program itself speaks."""
    text = subprocess.run(
        [where.path, "--version"],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | where.environment,
    ).stdout
    (version,) = (line.split()[-1] for line in text.splitlines() if "Config version:" in line)
    return version


LOGGERS = (
    Logger(
        name="rsyslog",
        what="rsyslog imptcp, as its manual has it",
        program="rsyslogd",
        configuration=RSYSLOG,
    ),
    Logger(
        name="the fastest rsyslog",
        what="rsyslog imtcp, the fastest that was found",
        program="rsyslogd",
        configuration=RSYSLOG_FAST,
    ),
    Logger(
        name="syslog-ng",
        what="syslog-ng network(), the fastest that was found",
        program="syslog-ng",
        configuration=SYSLOG_NG,
    ),
)


def delivery(
    logger: Logger,
    folder: Path,
    send: Callable[[socket.socket], object],
    expected: Callable[[], bytes],
    *,
    word: str = WORD,
    patience: float = TIMEOUT,
    install: bool = False,
) -> float:
    """Return the seconds until all that was expected is in the server's file.

    Raise RuntimeError unless the file has exactly that, byte for byte, once the server has ended.
    """
    with (
        logger.running(folder, word=word, install=install) as (port, path),
        socket.create_connection(("127.0.0.1", port), 30) as link,
    ):
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.settimeout(patience)
        begun = time.perf_counter()
        send(link)
        sent = expected()
        while _size(path) < len(sent) and time.perf_counter() - begun < patience:
            time.sleep(0.001)
        taken = time.perf_counter() - begun
    require_whole(logger.name, path.read_bytes() if path.exists() else b"", sent)
    return taken


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def require_whole(name: str, got: bytes, sent: bytes) -> None:
    """Raise RuntimeError unless all lines were delivered, whole and in order."""
    if got == sent:
        return
    theirs, ours = got.splitlines(keepends=True), sent.splitlines(keepends=True)
    pairs = enumerate(zip_longest(theirs, ours, fillvalue=b"nothing"))
    at, odd = next((at, one) for at, (one, other) in pairs if one != other)
    raise RuntimeError(
        f"{name} has not delivered what was sent: {len(theirs)} lines in place of {len(ours)}, "
        f"and line {at + 1} is {odd[:100]!r}"
    )


def prove_whole(
    logger: Logger, folder: Path, lines: bytes, *, patience: float = 60, install: bool = False
) -> None:
    """Raise RuntimeError unless the server, told to find every line, delivers them all as sent."""
    delivery(
        logger,
        folder,
        lambda link: link.sendall(lines + NOISE),
        lambda: lines + NOISE,
        word=EVERY,
        patience=patience,
        install=install,
    )
