"""`vtspolicy demo`: a night of a host on this machine, from its events to copies that are checked.

Everything is real: the installed server, its ledger, the disk archive, a TCP connection. Only the
host is played, from a display file.
"""

import hashlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import click
from attrs import define, field

from vtspolicy.events.decoder import decoder
from vtspolicy.events.event import Event
from vtspolicy.exit_codes import Exit
from vtspolicy.notices import ReceivedNotice, Word, read_line

DISPLAY = Path(__file__).with_name("night.txt")
"""The night that is played when no other is named; a link to `fixtures/displays` in the source."""

TAPES = {
    "PAYROLL": ("A00017", "A00018", "A00019", "A00020"),
    "LEDGER": ("L00001", "L00002", "L00003", "L00004", "L00005"),
    "BROKEN": ("B00001",),
}
"""The vault's pools and tapes; B00001 has two names, which the disk archive refuses."""

EXPECTED = {
    # the host's reference -> the notice that answers it in the end
    "payroll-17": Word.COMPLETED,
    "payroll-18": Word.COMPLETED,
    "payroll-19": Word.COMPLETED,
    "plain": Word.COMPLETED,
    "broken": Word.FAILED,
    "pool": Word.COMPLETED,
    "empty": Word.COMPLETED,
    "recall": Word.COMPLETED,
}

EXPECTED_ONCE = (Word.REJECTED, Word.DUPLICATE, Word.DENIED)
"""Answers of which the night brings one each: a typing error, a repeated event, a deletion."""

TIMEOUT = 120.0
"""Seconds after which the demo gives up waiting for an answer, or for the end of its server."""

CONFIGURATION = """\
node: vts1.example.com
listen:
  - {{endpoint: "tcp:port={port}:interface=127.0.0.1", format: auto, plain: true}}
ledger: sqlite:///{root}/ledger.db
spool: {root}/spool
vaults: {{VAULT01: {root}/VAULT01}}
hosts:
  NSK1:
    peers: [127.0.0.1]
    systems: ['\\NSK1']
    vaults: [VAULT01]
    families: [DSK, Erase, Delete, Restore, Status, Cancel]
rules: [rules.yaml]
"""

RULES = """\
applications:
  DSK:
    title: the embedded disk archive
    seats: 2
    places: {{store: {root}/archive}}
rules:
  - rule: nobody deletes payroll
    when: {{family: Delete, pool: "PAY*"}}
    deny: payroll tapes are kept seven years
  - rule: archive to disk
    when: {{family: DSK, operation: archive}}
    run: [vtspolicy, disk, archive, "{{path}}", "--store={{store}}", "--handle={{handle}}"]
    verify: [vtspolicy, disk, query, "{{path}}", "--store={{store}}", "--handle={{handle}}"]
    timeout: 1h
    then: migrated
  - rule: bring a tape back from disk
    application: DSK
    when: {{family: Restore, tape: {{application: DSK}}}}
    run: [vtspolicy, disk, restore, "{{source}}", "--to={{target}}", "--store={{store}}",
          "--handle={{handle}}"]
    then: restored
  - rule: empty a tape that has its copy
    when: {{family: Erase}}
    then: erased
"""


@define(kw_only=True)
class Host:
    """The host's side: sends displays, collects and prints the notices."""

    link: socket.socket
    quiet: bool
    notices: list[ReceivedNotice] = field(factory=list)
    _rest: bytes = b""

    def send(self, display: bytes) -> None:
        """Send a part of the display and wait until each of its commands has its final answer."""
        commands = _commands(display)
        first = len(self._answers())
        self.link.sendall(display)
        self._wait(lambda: len(self._answers()) >= first + commands, "an answer")
        self._wait(lambda: not self._open(), "a final notice")

    def _answers(self) -> list[ReceivedNotice]:
        return [notice for notice in self.notices if notice.word.value < 1200]

    def _open(self) -> set[str | int]:
        accepted = {n.fields["req"] for n in self.notices if n.word is Word.ACCEPTED}
        return accepted - {n.fields["req"] for n in self.notices if n.word.is_final}

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + TIMEOUT
        while not done():
            left = until - time.monotonic()
            if left <= 0:
                raise click.ClickException(f"gave up waiting for {what}")
            self.link.settimeout(left)
            with suppress(TimeoutError):
                data = self.link.recv(65536)
                if not data:
                    raise click.ClickException("the server closed the connection")
                self._take(data)

    def _take(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            notice = read_line(line + b"\n")
            if notice is not None:
                self.notices.append(notice)
            if not self.quiet:
                click.echo(line.decode("utf-8", "replace"))


@click.command()
@click.option(
    "--display",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The events to play; a night that comes with the program if not given.",
)
@click.option("--keep", is_flag=True, help="Keep the folder with vault, ledger and archive.")
@click.option("--quiet", is_flag=True, help="Do not print the notices.")
def demo(display: Path | None, keep: bool, quiet: bool) -> None:
    """Play a night of a host on this machine and check that all came out right.

    Needs no root and changes nothing outside a temporary folder. Exits 0 only if every command had
    the answer that it should have and every tape that was brought back is what it was.
    """
    display = display or DISPLAY
    began = time.monotonic()
    root = Path(tempfile.mkdtemp(prefix="vtspolicy-demo-"))
    try:
        checksums = _fill(root / "VAULT01")
        port = _free_port()
        for name, text in (("vtspolicy.yaml", CONFIGURATION), ("rules.yaml", RULES)):
            (root / name).write_text(text.format(root=root, port=port), "utf-8")
        with _server(root) as server, _connected(port, server) as link:
            host = Host(link=link, quiet=quiet)
            for act in _acts(display.read_bytes()):
                host.send(act)
        click.echo()
        _show_jobs(root)
        problems = [*_wrong_answers(host.notices), *_wrong_tapes(root / "VAULT01", checksums)]
        for problem in problems:
            click.echo(f"WRONG: {problem}", err=True)
        if problems:
            raise SystemExit(Exit.FAILED)
        click.echo(
            f"\n{len(host.notices)} notices, all as they should be; every tape is whole. "
            f"{time.monotonic() - began:.1f} s."
        )
    finally:
        if keep:
            click.echo(f"Kept: {root}")
        else:
            shutil.rmtree(root, ignore_errors=True)


def _fill(vault: Path) -> dict[str, str]:
    """Write the tapes, half of each compressible, and return their checksums by path."""
    noise = random.Random(17)  # noqa: S311  the same tapes every night
    checksums = {}
    for pool, cartridges in TAPES.items():
        (vault / pool).mkdir(parents=True)
        for cartridge in cartridges:
            content = noise.randbytes(300_000) + f"{cartridge} ".encode() * 40_000
            (vault / pool / cartridge).write_bytes(content)
            checksums[f"{pool}/{cartridge}"] = hashlib.sha256(content).hexdigest()
    (vault.parent / "another-name").hardlink_to(vault / "BROKEN" / "B00001")
    return checksums


def _acts(display: bytes) -> list[bytes]:
    """Cut the display before each Erase and Restore: the host's script waits for its archives."""
    acts = [b""]
    for event in re.split(rb"(?m)^(?=\d\d-\d\d-\d\d )", display):
        if re.search(rb"VTSPolicy\s+(Erase|Restore)\b", event):
            acts.append(b"")
        acts[-1] += event
    return acts


def _commands(display: bytes) -> int:
    reader = decoder("ems")
    items = [*reader.feed(display), *reader.close()]
    return sum(1 for item in items if isinstance(item, Event) and item.is_command)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def _server(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the server; its log goes to a file, and to the terminal when it could not start."""
    log = root / "server.log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "vtspolicy", "serve", "--config", str(root / "vtspolicy.yaml")],
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield server
        server.send_signal(signal.SIGTERM)
        server.wait(TIMEOUT)
    except BaseException:
        click.echo(log.read_text("utf-8", "replace"), err=True)
        raise
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()


@contextmanager
def _connected(port: int, server: subprocess.Popen[bytes]) -> Iterator[socket.socket]:
    until = time.monotonic() + TIMEOUT
    while True:
        try:
            link = socket.create_connection(("127.0.0.1", port), 5)
        except OSError:
            if server.poll() is not None or time.monotonic() > until:
                raise click.ClickException("the server does not start") from None
            time.sleep(0.05)
        else:
            break
    with link:
        yield link


def _show_jobs(root: Path) -> None:
    command = [sys.executable, "-m", "vtspolicy", "jobs", "--config", str(root / "vtspolicy.yaml")]
    sys.stdout.flush()
    subprocess.run(command, check=True)


def _wrong_answers(notices: Sequence[ReceivedNotice]) -> Iterator[str]:
    ends: dict[str, list[Word]] = {}
    for notice in notices:
        if notice.word.is_final:
            ends.setdefault(str(notice.fields.get("ref")), []).append(notice.word)
    for ref, word in EXPECTED.items():
        found = ends.pop(ref, [])
        if found != [word]:
            shown = " ".join(each.name for each in found) or "no final notice"
            yield f"{ref}: {shown}, expected {word.name}"
    for ref, found in ends.items():
        yield f"{ref}: {found[0].name}, nothing expected"
    for word in EXPECTED_ONCE:
        count = sum(1 for notice in notices if notice.word is word)
        if count != 1:
            yield f"{count} notices {word.name}, expected 1"


def _wrong_tapes(vault: Path, checksums: dict[str, str]) -> Iterator[str]:
    for name, checksum in checksums.items():
        if hashlib.sha256((vault / name).read_bytes()).hexdigest() != checksum:
            yield f"{name} is not what it was"
