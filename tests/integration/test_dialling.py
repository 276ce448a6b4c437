"""A real server logs on to a simulated host over real sockets, and to real daemons before it."""

import getpass
import json
import shlex
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.harness.host_simulators import PASSWORD, TIMEOUT, VTSPOLICY, Simulator, stdio
from tests.harness.programs.daemon import program
from tests.harness.programs.sshd import Sshd
from tests.harness.programs.telnetd import Telnetd

pytestmark = pytest.mark.programs

ARCHIVE = "VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00017 ref={}'"
CONFIGURATION = r"""
node: vts1.example.com
ledger: sqlite:ledger.db
spool: spool
vaults: {{VAULT01: {root}/VAULT01}}
dial:
  - {{host: NSK1, endpoint: "{endpoint}", {more}}}
hosts:
  NSK1: {{systems: ['\NSK1'], vaults: [VAULT01], families: [DSK]}}
"""


@pytest.fixture
def keys(tmp_path):
    words = ["-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "id")]
    subprocess.run([program("ssh-keygen"), *words], check=True)
    return tmp_path


class Server:
    """A server that dials one host."""

    def __init__(self, folder, endpoint, **more):
        self.folder = folder
        (folder / "VAULT01" / "PAYROLL").mkdir(parents=True, exist_ok=True)
        (folder / "VAULT01" / "PAYROLL" / "A00017").write_bytes(b"tape" * 1000)
        written = CONFIGURATION.format(
            root=folder, endpoint=endpoint, more=json.dumps(more).strip("{}")
        )
        (folder / "vtspolicy.yaml").write_text(written)
        (folder / "password").write_text(PASSWORD + "\n")
        (folder / "password").chmod(0o600)
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [VTSPOLICY, "serve", "--config", self.folder / "vtspolicy.yaml"],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )

    def until(self, text):
        """Read its log until a line has this; return all lines."""
        lines = []
        while not lines or text not in lines[-1]:
            line = self.process.stderr.readline()
            assert line, "".join(lines)
            lines.append(line)
        return lines

    def status(self):
        argv = [VTSPOLICY, "status", "--json", "--config", self.folder / "vtspolicy.yaml"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT, check=True)
        return json.loads(done.stdout)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        rest = self.process.communicate(timeout=TIMEOUT)[1]
        assert self.process.returncode == 0, rest
        return rest


@pytest.fixture
def server(tmp_path):
    made = []

    def make(endpoint, **more):
        made.append(Server(tmp_path, endpoint, **{"user": "VTS.EMS", **more}))
        made[-1].start()
        return made[-1]

    yield make
    for each in made:
        if each.process.poll() is None:
            each.process.kill()
            each.process.communicate()


def answered(simulator, server, ref="r1"):
    """Give a command, and wait for its answer among the events of the host."""
    simulator.order(ARCHIVE.format(ref))
    while True:
        event = simulator.until("event")
        if f" ref={ref} " in event["text"] and event["text"].startswith("VTSPolicy ACCEPTED"):
            return event


def known_hosts(folder, listener):
    """Write the file of known hosts as people do, from what the host shows."""
    public = subprocess.run(
        ["ssh-keygen", "-y", "-f", folder / "key"], capture_output=True, text=True, check=True
    ).stdout
    (folder / "known").write_text(f"[127.0.0.1]:{listener['port']} {public}")


def test_over_telnet(keys, server):
    simulator = Simulator(keys, "telnet:0")
    where = f"telnet:127.0.0.1:{simulator.listeners['telnet']['port']}"
    running = server(where, password_file="password")
    running.until("The display of NSK1 is read")
    answered(simulator, running)
    (host,) = running.status()["hosts"]
    assert host["link"]["state"] == "reading"
    assert host["connections"] == 1
    log = running.stop()
    assert PASSWORD not in log
    simulator.stop()
    for path in running.folder.rglob("*"):
        if path.is_file() and path.name != "password":
            assert PASSWORD.encode() not in path.read_bytes(), path


def test_over_ssh_with_a_key_and_again_after_a_restart_of_the_server(keys, server):
    words = ["--authorized-keys", keys / "id.pub", "--host-key", keys / "key"]
    simulator = Simulator(keys, "ssh:0", *words)
    listener = simulator.listeners["ssh"]
    known_hosts(keys, listener)
    where = f"ssh:127.0.0.1:{listener['port']}"
    running = server(where, key_file="id", known_hosts="known")
    running.until("The display of NSK1 is read")
    answered(simulator, running)
    running.stop()
    simulator.order(ARCHIVE.format("r2"))
    simulator.until("event")
    running.start()
    while " ref=r2 " not in (text := simulator.until("event")["text"]):
        pass
    assert text.startswith("VTSPolicy ACCEPTED")
    running.stop()
    simulator.stop()


def test_a_changed_host_key_is_refused(keys, server):
    words = ["--authorized-keys", keys / "id.pub", "--host-key", keys / "key"]
    simulator = Simulator(keys, "ssh:0", *words)
    listener = simulator.listeners["ssh"]
    known_hosts(keys, listener)
    other = (keys / "id.pub").read_text()
    (keys / "known").write_text(f"[127.0.0.1]:{listener['port']} {other}")
    running = server(f"ssh:127.0.0.1:{listener['port']}", key_file="id", known_hosts="known")
    line = running.until("The link to NSK1 is down")[-1]
    assert "has changed" in line
    assert listener["fingerprint"] in line
    running.stop()
    simulator.stop()


def certificate(folder):
    """Make a certificate that has signed itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nsk1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    folder.mkdir(exist_ok=True)
    (folder / "cert.pem").write_bytes(made.public_bytes(encoding))
    (folder / "key.pem").write_bytes(key.private_bytes(encoding, form, plain))
    return ["--cert", folder / "cert.pem", "--key", folder / "key.pem"]


def test_over_telnet_with_tls(keys, server):
    simulator = Simulator(keys, "telnets:0", *certificate(keys))
    where = f"telnets:127.0.0.1:{simulator.listeners['telnets']['port']}"
    running = server(where, password_file="password", authority="cert.pem")
    running.until("The display of NSK1 is read")
    answered(simulator, running)
    running.stop()
    simulator.stop()


def test_a_certificate_of_another_authority_is_refused(keys, server):
    simulator = Simulator(keys, "telnets:0", *certificate(keys))
    certificate(keys / "other")
    where = f"telnets:127.0.0.1:{simulator.listeners['telnets']['port']}"
    running = server(where, password_file="password", authority="other/cert.pem")
    line = running.until("The link to NSK1 is down")[-1]
    assert "no TLS connection" in line
    running.stop()
    simulator.stop()


@pytest.mark.parametrize("how", ["subsystem", "forced command"])
def test_behind_a_real_sshd(keys, server, how):
    """The simulated TACL is a program that sshd starts; all share one log of events."""
    simulator = Simulator(keys, "lines:0")
    command = stdio(keys, "--logged-on")
    more = f"Subsystem tacl {command}\n" if how == "subsystem" else f"ForceCommand {command}\n"
    sshd = Sshd(keys, more)
    sshd.daemon.start()
    try:
        port = next(each for each in sshd.ssh if "Port=" in each).rpartition("=")[2]
        running = server(
            f"ssh:127.0.0.1:{port}",
            user=getpass.getuser(),
            key_file="client_key",
            known_hosts="known_hosts",
            **({"command": "tacl"} if how == "forced command" else {}),
        )
        running.until("The display of NSK1 is read")
        answered(simulator, running)
        running.stop()
    finally:
        sshd.daemon.stop()
    simulator.stop()


def test_behind_a_real_telnet_daemon(keys, server):
    simulator = Simulator(keys, "lines:0")
    words = ("--password-file", str(keys / "password"))
    telnetd = Telnetd(shlex.split(stdio(keys, *words)))
    try:
        running = server(f"telnet:127.0.0.1:{telnetd.port}", password_file="password")
        running.until("The display of NSK1 is read")
        answered(simulator, running)
        running.stop()
    finally:
        telnetd.stop()
    simulator.stop()
