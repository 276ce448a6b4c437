"""`vtspolicy host-simulator` with real programs: ssh in front of it, sshd and telnetd around it."""

import json
import os
import shlex
import socket
import ssl
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.harness.host_kits import KIT
from tests.harness.host_simulators import PASSWORD, SIMULATE, TIMEOUT, Simulator, stdio
from tests.harness.programs.daemon import program
from tests.harness.programs.sshd import Sshd
from tests.harness.programs.telnetd import BREAK, TelnetClient, Telnetd


@pytest.fixture
def keys(tmp_path):
    words = ["-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "id")]
    subprocess.run([program("ssh-keygen"), *words], check=True)
    return tmp_path


pytestmark = pytest.mark.programs

ARCHIVE = "VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00017 ref=mine'"
START = "EMSDIST / NAME $VTS / TYPE PRINTING, COLLECTOR $0, TEXTOUT [#MYTERM]"


@pytest.fixture
def simulator(keys):
    words = ["telnet:0", "ssh:0", "--authorized-keys", keys / "id.pub", "--host-key", keys / "key"]
    started = Simulator(keys, *words)
    yield started
    if started.process.poll() is None:
        started.process.kill()
        started.process.communicate()


def real_ssh(folder, listener, *words, strict="accept-new"):
    """A real ssh that logs on with the key; words that begin with `-` are its own."""
    options = [
        "BatchMode=yes",
        f"Port={listener['port']}",
        f"IdentityFile={folder / 'id'}",
        "IdentitiesOnly=yes",
        f"UserKnownHostsFile={folder / 'known_hosts'}",
        f"StrictHostKeyChecking={strict}",
    ]
    own = [word for word in words if word.startswith("-")]
    command = [word for word in words if not word.startswith("-")]
    set_ = [f"-o{each}" for each in options]
    return [program("ssh"), "-F/dev/null", *set_, *own, "VTS.EMS@127.0.0.1", *command]


def run(argv, text=""):
    return subprocess.run(
        argv, input=text, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )


class Talk:
    """A program to talk to over pipes."""

    def __init__(self, argv):
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.shown = b""

    def send(self, text):
        self.process.stdin.write(text if isinstance(text, bytes) else text.encode() + b"\n")
        self.process.stdin.flush()

    def until(self, end):
        while end.encode() not in self.shown:
            data = os.read(self.process.stdout.fileno(), 4096)
            assert data, f"it ended behind {self.shown!r}"
            self.shown += data
        found, _, self.shown = self.shown.partition(end.encode())
        return found.decode()

    def end(self):
        """Close what it reads from, and return how it ended."""
        self.process.communicate(timeout=TIMEOUT)
        return self.process.returncode


@pytest.fixture
def talk():
    """Start a program to talk to; it is ended with the test."""
    started = []

    def start(argv):
        started.append(Talk(argv))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()


# A real ssh client in front of it


def test_a_real_ssh_runs_a_command_and_gets_its_status(simulator, keys):
    listener = simulator.listeners["ssh"]
    done = run(real_ssh(keys, listener, "tacl -c '#OUTPUT hello'"))
    assert (done.returncode, done.stdout) == (0, "hello\n")
    assert run(real_ssh(keys, listener, "tacl -c NONSENSE")).returncode == 1
    assert run(real_ssh(keys, listener, "ls")).returncode == 127


def test_the_fingerprint_that_is_shown_is_the_one_that_ssh_sees(simulator, keys):
    listener = simulator.listeners["ssh"]
    run(real_ssh(keys, listener, "tacl -c TIME"))
    shown = run([program("ssh-keygen"), "-lf", str(keys / "known_hosts")])
    assert listener["fingerprint"] in shown.stdout


def test_a_changed_host_key_is_refused_by_a_real_ssh(simulator, keys):
    listener = simulator.listeners["ssh"]
    run(real_ssh(keys, listener, "tacl -c TIME"))
    simulator.stop()
    (keys / "key").unlink()
    words = [
        f"ssh:{listener['port']}",
        "--authorized-keys",
        keys / "id.pub",
        "--host-key",
        keys / "key",
    ]
    other = Simulator(keys, *words)
    done = run(real_ssh(keys, other.listeners["ssh"], "tacl -c TIME", strict="yes"))
    assert done.returncode == 255
    assert "HOST IDENTIFICATION HAS CHANGED" in done.stderr
    other.stop()


def test_a_display_over_a_real_ssh_goes_on_after_the_link_was_cut(simulator, keys, talk):
    argv = real_ssh(keys, simulator.listeners["ssh"], "-s", "tacl")
    first = talk(argv)
    first.until("1> ")
    first.send(START)
    simulator.until("command")
    simulator.order(ARCHIVE)
    first.until("ref=mine'")
    simulator.order("die")
    assert first.end() == 255
    simulator.order("VTSPolicy Status - 1")
    missed = simulator.until("event")
    second = talk(argv)
    second.until("1> ")
    second.send(f"{START}, TIME {missed['time'][:10]} {missed['time'][11:19]}")
    second.until("VTSPolicy Status - 1")
    second.send(b"\x03")
    second.until("2> ")
    second.send("STOP")
    second.send("LOGOFF")
    second.send("EXIT")
    assert second.end() == 0
    simulator.stop()
    assert PASSWORD not in simulator.log.read_text()


def test_the_log_is_there_in_the_next_run(simulator, keys):
    simulator.order("post first run")
    simulator.until("event")
    simulator.stop()
    again = Simulator(keys, "lines:0")
    again.order("post second run")
    again.until("event")
    again.order("quit")
    again.process.communicate(timeout=TIMEOUT)
    assert again.process.returncode == 0
    texts = [json.loads(line)["text"] for line in again.log.read_text().splitlines()]
    assert texts == ["first run", "second run"]


def test_telnet_over_tls_shows_its_certificate(keys):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nsk1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("nsk1")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (keys / "cert.pem").write_bytes(certificate.public_bytes(encoding))
    (keys / "key.pem").write_bytes(key.private_bytes(encoding, form, plain))
    words = ("--cert", keys / "cert.pem", "--key", keys / "key.pem")
    simulator = Simulator(keys, "telnets:0", *words)
    context = ssl.create_default_context(cafile=keys / "cert.pem")
    with (
        socket.create_connection(("127.0.0.1", simulator.listeners["telnets"]["port"])) as link,
        context.wrap_socket(link, server_hostname="nsk1") as safe,
    ):
        safe.settimeout(TIMEOUT)
        shown = b""
        while not shown.endswith(b"Enter Choice> "):
            shown += safe.recv(4096)
    assert b"WELCOME TO NSK1" in shown
    simulator.stop()


# A real sshd around it


@pytest.mark.parametrize("how", ["subsystem", "forced command"])
def test_behind_a_real_sshd_all_sessions_share_one_log(tmp_path, talk, how):
    command = stdio(tmp_path, "--logged-on")
    more = f"Subsystem tacl {command}\n" if how == "subsystem" else f"ForceCommand {command}\n"
    sshd = Sshd(tmp_path, more)
    sshd.daemon.start()
    try:
        words = ["-s", sshd.host, "tacl"] if how == "subsystem" else [sshd.host]
        display, commands = (talk([*sshd.ssh, *words]) for _ in range(2))
        display.until("1> ")
        display.send(START)
        commands.until("1> ")
        commands.send("VTSREPLY 1301")
        commands.until("VTSREPLY> ")
        commands.send(ARCHIVE)
        commands.until("VTSREPLY> ")
        commands.send("")
        commands.until("2> ")
        display.send(b"\x03")
        display.until("2> ")
        display.send("STOP")
        display.until("3> ")
        display.send(f"{START}, TIME 2000-01-01")
        assert "001301" in display.until("ref=mine'")
        display.end()
        commands.end()
    finally:
        sshd.daemon.stop()


def test_a_forced_command_runs_what_ssh_asks_for(tmp_path):
    sshd = Sshd(tmp_path, f"ForceCommand {stdio(tmp_path)}\n")
    sshd.daemon.start()
    try:
        done = sshd.run("tacl", "-c", "#OUTPUT hello")
        assert (done.returncode, done.stdout) == (0, "hello\n")
        done = sshd.run("rm", "-rf", "/nowhere")
        assert done.returncode == 127
        assert "without OSS" in done.stderr
    finally:
        sshd.daemon.stop()


# A real Telnet daemon around it


def test_behind_a_real_telnet_daemon_people_log_on(tmp_path):
    (tmp_path / "password").write_text(PASSWORD + "\n")
    words = ("--password-file", str(tmp_path / "password"))
    telnetd = Telnetd(shlex.split(stdio(tmp_path, *words)))
    client = TelnetClient(telnetd.port)
    try:
        client.until(b"Enter Choice> ")
        client.send(b"TACL\r\n")
        client.until(b"TACL 1> ")
        client.send(b"LOGON VTS.EMS\r\n")
        assert b"LOGON VTS.EMS" in client.until(b"Password: ")
        client.send(PASSWORD.encode() + b"\r\n")
        assert PASSWORD.encode() not in client.until(b"\n1> ")
        client.send(START.encode() + b"\r\n")
        client.until(START.encode())
        client.send(BREAK)
        client.until(b"\n2> ")
        client.send(b"#OUTPUT [#OUTPUT x]y\r\n")
        client.until(b"\r\nx\r\ny\r\n3> ")
        client.send(b"LOGOFF\r\n")
        client.until(b"TACL 1> ")
        client.send(b"EXIT\r\n")
        assert client.is_ended()
    finally:
        client.close()
        telnetd.stop()


def test_the_self_test_of_the_host_kit_passes_in_the_simulator():
    libraries = [f"--library={KIT / name}" for name in ("vtslib.tacl", "vtstest.tacl")]
    with subprocess.Popen(
        [*SIMULATE, "--stdio", "--logged-on", *libraries],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdin.write("VTSTEST\n")
        process.stdin.flush()
        lines = iter(process.stdout.readline, "")
        shown = next(line for line in lines if line.startswith(("VTSTEST passed", "VTSTEST FAIL")))
        process.communicate(timeout=TIMEOUT)
    assert shown == "VTSTEST passed\n"
