"""What is reported to systemd, and which exit code makes it start a server again."""

import errno
import socket

import pytest
from click.testing import CliRunner
from twisted.internet.error import CannotListenError

from vtspolicy.cli.serve import serve
from vtspolicy.exit_codes import Exit
from vtspolicy.ledger import LedgerDamaged, LedgerError, LedgerInUse
from vtspolicy.runner.protocol import KeeperError, SpoolError, WrongSpoolError
from vtspolicy.starting import START_ERRORS, exit_code
from vtspolicy.systemd import Notifier


@pytest.fixture
def manager(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        yield manager


def test_the_manager_is_told_of_the_whole_life_of_a_server(manager, tmp_path):
    notifier = Notifier.of({"NOTIFY_SOCKET": str(tmp_path / "notify")}, 17)
    notifier.wait_longer(30, "Waiting for the ledger")
    notifier.ready("Ready: 127.0.0.1:7171")
    notifier.alive()
    notifier.stopping()
    assert [manager.recv(1000).decode() for _ in range(4)] == [
        "EXTEND_TIMEOUT_USEC=30000000\nSTATUS=Waiting for the ledger",
        "READY=1\nSTATUS=Ready: 127.0.0.1:7171",
        "WATCHDOG=1",
        "STOPPING=1\nSTATUS=Stopping; running applications continue.",
    ]


def test_an_abstract_socket_is_reached_too():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0vtspolicy-test-notify")
        manager.settimeout(5)
        assert Notifier(address="@vtspolicy-test-notify").tell("READY=1")
        assert manager.recv(100) == b"READY=1"


def test_without_a_manager_nothing_is_told_and_nothing_fails(tmp_path):
    assert not Notifier.of({}, 17).tell("READY=1")
    assert not Notifier(address=str(tmp_path / "gone")).tell("READY=1")


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "17"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "18"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({}, None),
    ],
)
def test_a_watchdog_is_for_the_process_that_it_names(environ, seconds):
    assert Notifier.of(environ, 17).watchdog == seconds


def caused(error, number):
    error.__cause__ = OSError(number, "why")
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CannotListenError("", 7171, OSError(errno.EADDRINUSE, "in use")), Exit.NOT_STARTED),
        (CannotListenError("", 7171, OSError(errno.EADDRNOTAVAIL, "not yet")), Exit.NOT_STARTED),
        (CannotListenError("", 71, OSError(errno.EACCES, "not yours")), Exit.USAGE),
        (caused(LedgerError("x"), errno.ENOENT), Exit.NOT_STARTED),
        (caused(LedgerError("x"), errno.EROFS), Exit.NOT_STARTED),
        (caused(LedgerError("x"), errno.ENOTDIR), Exit.USAGE),
        (caused(LedgerError("x"), errno.EACCES), Exit.USAGE),
        (LedgerInUse("x", 17), Exit.NOT_STARTED),
        (LedgerDamaged("x", "y"), Exit.USAGE),
        (SpoolError("another server has it"), Exit.NOT_STARTED),
        (WrongSpoolError("another ledger's"), Exit.USAGE),
        (caused(SpoolError("x"), errno.ENOTDIR), Exit.USAGE),
        (KeeperError("cannot be reached"), Exit.NOT_STARTED),
        (ValueError("an endpoint that is none"), Exit.USAGE),
        (OSError(errno.ENOSPC, "full"), Exit.NOT_STARTED),
    ],
)
def test_only_what_a_person_must_change_ends_the_service_for_good(error, code):
    assert isinstance(error, START_ERRORS)
    assert exit_code(error) == code


@pytest.mark.parametrize(
    ("vault", "more", "code"),
    [
        ("away/VAULT01", "", 7),
        ("vtspolicy.yaml", "", 2),
        ("away/VAULT01", "odd: 1\n", 2),
    ],
)
def test_a_vault_whose_disk_is_not_mounted_is_waited_for(tmp_path, vault, more, code):
    path = tmp_path / "vtspolicy.yaml"
    path.write_text(
        "node: vts1\nlisten: ['tcp:port=0:interface=127.0.0.1']\n"
        f"ledger: sqlite:///{tmp_path}/ledger.db\nspool: {tmp_path}/spool\n"
        f"vaults: {{VAULT01: {tmp_path}/{vault}}}\n"
        "hosts:\n  NSK1: {peers: [127.0.0.1], systems: ['\\NSK1'], vaults: [VAULT01],\n"
        "    families: [DSK]}\n" + more
    )
    done = CliRunner().invoke(serve, ["--config", str(path)])
    assert done.exit_code == code
    assert f"{vault} is not a directory; create it, or mount it" in done.stderr
