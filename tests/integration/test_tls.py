"""TLS: a host is who its certificate says, and no other host gets in or holds a place."""

import datetime as dt
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from types import SimpleNamespace
from urllib.request import urlopen

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactor, StringTransport

from tests.harness.certificates import Authority
from tests.harness.ports import free_ports
from vtspolicy.config.endpoints import why_no_server
from vtspolicy.config.model import Host, Listen
from vtspolicy.hosts.certificates import accepts_no_client
from vtspolicy.hosts.listener import (
    HANDSHAKE,
    HANDSHAKES,
    Listeners,
    _SessionFactory,
    server_endpoint,
)
from vtspolicy.hosts.sessions import Sessions
from vtspolicy.log_limit import PERIOD
from vtspolicy.notices import Word, read_line

VTSPOLICY = Path(sys.executable).parent / "vtspolicy"

CONFIGURATION = r"""
node: vts1.example.com
listen:
  - {{endpoint: "tls:port={port}:interface=127.0.0.1", format: {format},
      key: server.key, cert: server.pem, clients: authority.pem}}
ledger: sqlite:ledger.db
spool: {root}/spool
web: "tcp:port={web}:interface=127.0.0.1"
connections: 3
hosts:
  NSK1: {{peers: ["CN=nsk1"], systems: ['\NSK1'], families: [Status]}}
  NSK2: {{peers: ["CN=nsk2", 192.0.2.1], systems: ['\NSK2'], families: [Status]}}
rules: [rules.yaml]
"""

RULES = "rules:\n  - {rule: nothing, deny: this site only answers}\n"

DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2} UTC"

ASK = r"26-11-22 02:14:09 \NSK1.$ZBAT  TANDEM.EMS.L01  001234 VTSPolicy Status - 99"


class Server:
    """A real server with one TLS listener, and hosts that come to it."""

    def __init__(self, root, wire, authority=None):
        self.root = root
        self.authority = authority or Authority(root)
        self.authority.certify("server")
        self.port, self.web = free_ports(2)
        configuration = CONFIGURATION.format(root=root, port=self.port, web=self.web, format=wire)
        (root / "vtspolicy.yaml").write_text(configuration)
        (root / "rules.yaml").write_text(RULES)
        self.process = subprocess.Popen(
            [VTSPOLICY, "serve", "--config", root / "vtspolicy.yaml"],
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = ""
        while "Ready" not in self.said:
            line = self.process.stderr.readline()
            assert line, f"the server did not start: {self.said}"
            self.said += line

    def close(self):
        self.process.terminate()
        self.process.communicate(timeout=120)

    def connect(self, name=None, authority=None, *, tickets=True):
        """Connect with a certificate of that name; the server's own is checked.

        Without `tickets` nothing comes from the server unasked: the kernel resets a connection that
        is closed before all that has come was read.
        """
        context = ssl.create_default_context(cafile=self.authority.file)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # our authority is as simple as can be
        if not tickets:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.options |= ssl.OP_NO_TICKET
        if name is not None:
            context.load_cert_chain(*(authority or self.authority).certify(name))
        plain = socket.create_connection(("127.0.0.1", self.port), 60)
        return context.wrap_socket(plain, server_hostname="127.0.0.1")

    def ask(self, line, **who):
        """Send one line, and return the first notice about it; None if there is none."""
        with self.connect(**who) as link:
            link.sendall(line.encode() + b"\n")
            received = link.makefile("rb").readline()
            return read_line(received) if received else None


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("tls"), "auto")
    yield server
    server.close()


def test_a_host_is_known_by_the_name_in_its_certificate(server):
    notice = server.ask(ASK, name="nsk1")
    assert notice.fields["reason"] == "host NSK1 has no request 99"


def test_a_host_that_vanishes_is_missed_behind_tls_too(server):
    with server.connect(name="nsk1") as link:
        link.sendall(ASK.replace("02:14:09", "02:14:11").encode() + b"\n")
        assert link.makefile("rb").readline()
        ends = f":{server.port:04X}", f":{link.getsockname()[1]:04X}"
        end = time.monotonic() + 60
        timers = set()
        # Until the answer is acknowledged: then the timer is that of the keep-alive. The table can
        # show a connection twice while others come and go.
        while timers != {"02"}:
            assert time.monotonic() < end, timers
            lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
            timers = {line[5][:2] for line in lines if (line[1][-5:], line[2][-5:]) == ends}


def test_the_name_of_another_host_does_not_do(server):
    notice = server.ask(ASK.replace("02:14:09", "02:14:10"), name="nsk3")
    assert notice.word is Word.DENIED
    assert "is not a peer of a configured host" in notice.text


def test_a_host_that_lists_an_address_too_must_come_from_there(server):
    notice = server.ask(ASK.replace("NSK1", "NSK2"), name="nsk2")
    assert notice.word is Word.DENIED
    assert "is not a peer of a configured host" in notice.text


def test_without_a_certificate_nobody_gets_in(server):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        server.ask(ASK)


def test_a_certificate_of_another_authority_does_not_do(server, tmp_path):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        server.ask(ASK, name="nsk1", authority=Authority(tmp_path))


def test_peers_that_show_nothing_keep_no_host_out(server):
    with ExitStack() as mute:
        for _ in range(8):  # more than may be connected at once
            mute.enter_context(socket.create_connection(("127.0.0.1", server.port), 60))
        notice = server.ask(ASK.replace("02:14:09", "02:14:12"), name="nsk1")
    assert notice.fields["reason"] == "host NSK1 has no request 99"


def test_the_log_names_a_stranger_by_its_certificate_and_shows_why_tls_failed(tmp_path):
    site, other = tmp_path / "site", tmp_path / "other"
    site.mkdir()
    other.mkdir()
    server = Server(site, "auto")
    assert server.ask(ASK, name="mallory").word is Word.DENIED
    with suppress(OSError), server.connect(name="nsk1", authority=Authority(other)) as link:
        link.recv(1)
    server.process.terminate()
    _, log = server.process.communicate(timeout=120)
    door = f"tls:port={server.port}:interface=127.0.0.1"
    assert f"mallory (127.0.0.1) at {door} is not a peer of a configured host" in log
    (failed,) = [line for line in log.splitlines() if "No TLS connection" in line]
    assert f"127.0.0.1 to {door}: the certificate of nsk1 is not accepted" in failed
    assert "not in `clients`" in failed


def test_plain_tcp_gets_nothing_on_a_tls_door(server):
    with socket.create_connection(("127.0.0.1", server.port), 60) as link:
        link.sendall(ASK.encode() + b"\n")
        with suppress(ConnectionResetError):
            assert b"VTSPolicy" not in link.recv(1000)


def test_send_speaks_tls(server):
    certificate, key = server.authority.certify("nsk1")
    done = subprocess.run(
        [
            *(VTSPOLICY, "send", "--to", f"127.0.0.1:{server.port}", "--tls"),
            *("--cert", certificate, "--key", key, "--ca", server.authority.file),
            *("--system", r"\NSK1", "VTSPolicy Erase - A00017"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    assert "host NSK1 may not use Erase" in done.stdout


def test_a_host_that_only_listens_is_told_what_it_missed(tmp_path):
    server = Server(tmp_path, "ems")
    try:
        link = server.connect("nsk1", tickets=False)
        server.process.send_signal(signal.SIGSTOP)  # or it might answer before we have left
        link.sendall(ASK.encode() + b"\n")
        link.close()  # without the end that TLS has for this, as most programs do
        server.process.send_signal(signal.SIGCONT)
        with server.connect("nsk1") as silent:
            silent.settimeout(120)
            assert "99" in read_line(silent.makefile("rb").readline()).text
    finally:
        server.close()


@pytest.mark.parametrize(
    ("endpoint", "opened"),
    [
        ("tls:port=7172", (7172, 50, "")),
        ("tls:7172", (7172, 50, "")),
        (r"tls:7172:interface=\:\:1:backlog=9", (7172, 9, "::1")),
    ],
)
def test_a_tls_door_is_opened_with_all_that_its_endpoint_says(tmp_path, endpoint, opened):
    assert why_no_server(endpoint) is None
    authority = Authority(tmp_path)
    certificate, key = authority.certify("server")
    listen = Listen(endpoint=endpoint, key=key, cert=certificate, clients=authority.file)
    reactor = MemoryReactor()
    server_endpoint(reactor, listen).listen(Factory())
    [(port, _, backlog, interface)] = reactor.tcpServers
    assert (port, backlog, interface) == opened


@pytest.mark.parametrize(
    ("file", "place", "told"),
    [
        ("server.key", "5:12", "server.key holds no key in PEM, or one with a passphrase"),
        ("server.pem", "5:30", "server.pem holds no certificate in PEM"),
        ("authority.pem", "5:51", "authority.pem holds no certificates in PEM"),
        ("other", "5:12", "server.key is not the key of"),
    ],
)
def test_a_file_that_does_not_hold_what_it_must_is_reported_by_check_and_by_the_server(
    tmp_path, file, place, told
):
    authority = Authority(tmp_path)
    _, key = authority.certify("server")
    if file == "other":
        key.write_bytes(authority.certify("other")[1].read_bytes())
    else:
        (tmp_path / file).write_text("{}")
    configuration = tmp_path / "vtspolicy.yaml"
    configuration.write_text(CONFIGURATION.format(root=tmp_path, port=0, web=0, format="auto"))
    (tmp_path / "rules.yaml").write_text(RULES)
    for verb, where in (("check", f"{configuration}:{place}: {tmp_path}/"), ("serve", "vtspoli")):
        done = subprocess.run(
            [VTSPOLICY, verb, "--config", configuration],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 2
        [line] = [line for line in (done.stdout + done.stderr).splitlines() if told in line]
        assert line.startswith(where)
        assert "Traceback" not in done.stderr


def test_a_certificate_that_signs_no_other_does_not_do_for_the_authority(tmp_path):
    configuration = site(tmp_path, (-1, 100), (-1, 100))
    (tmp_path / "authority.pem").write_bytes((tmp_path / "server.pem").read_bytes())
    for verb in ("check", "serve"):
        code, said = told_by(verb, configuration)
        assert code == 2
        assert "authority.pem holds no certificate of an authority" in said


@pytest.mark.parametrize(
    ("usage", "good"),
    [
        ([ExtendedKeyUsageOID.CLIENT_AUTH], False),
        ([ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.CODE_SIGNING], False),
        ([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH], True),
        ([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE], True),
    ],
)
def test_a_certificate_that_is_not_for_servers_is_an_error(tmp_path, usage, good):
    configuration = site(tmp_path, (-1, 100), (-1, 100))
    Authority(tmp_path).certify("server", usage)
    for verb in ("check",) if good else ("check", "serve"):
        code, said = told_by(verb, configuration)
        assert ("server.pem is not for TLS servers" in said) is not good
        assert (code == 2) is not good


def test_an_intermediate_authority_lets_in_hosts_and_a_host_that_signed_itself_lets_in_itself(
    tmp_path,
):
    root = Authority(tmp_path)
    (tmp_path / "below").mkdir()
    below = Authority(tmp_path / "below", above=root)
    key = ec.generate_private_key(ec.SECP256R1())
    itself = below._builder(below.name, key).add_extension(
        x509.BasicConstraints(ca=False, path_length=None), critical=True
    )
    host, _ = root.certify("host")
    assert not accepts_no_client(x509.load_pem_x509_certificate(below.file.read_bytes()))
    assert not accepts_no_client(itself.sign(key, hashes.SHA256()))
    assert accepts_no_client(x509.load_pem_x509_certificate(host.read_bytes()))


def told_by(verb, configuration):
    done = subprocess.run(
        [VTSPOLICY, verb, "--config", configuration],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("authority", "own", "told"),
    [
        ((-9, -1), (-1, 100), [f"authority.pem has expired on {DAY}"]),
        ((-1, 100), (-9, -1), [f"server.pem has expired on {DAY}"]),
        ((-1, 100), (2, 9), [f"server.pem holds from {DAY} on"]),
        ((-9, -1), (-9, -1), ["authority.pem has expired", "server.pem has expired"]),
    ],
)
def test_a_certificate_that_does_not_hold_is_an_error_and_no_server_starts_with_it(
    tmp_path, authority, own, told
):
    configuration = site(tmp_path, authority, own)
    code, said = told_by("check", configuration)
    assert code == 2
    for words in told:
        assert re.search(f"^[^ ]+:5:[0-9]+: (?!warning).*{words}", said, re.MULTILINE), said
    code, said = told_by("serve", configuration)
    assert code == 2
    assert "certificate of" in said
    assert "Traceback" not in said


def between(root, authority, **lasting):
    """Give a server a certificate of an authority below that of its site, and its chain."""
    folder = root / "between"
    folder.mkdir()
    between = Authority(folder, above=authority, **lasting)
    between.begin, between.end = authority.begin, authority.end
    certificate, key = between.certify("server")
    chain = certificate.read_bytes() + between.file.read_bytes()
    (root / "server.pem").write_bytes(chain)
    (root / "server.key").write_bytes(key.read_bytes())
    return chain


def test_a_server_shows_the_chain_of_its_certificate(tmp_path):
    authority = Authority(tmp_path)
    certify = authority.certify

    def with_chain(name):
        return between(tmp_path, authority) if name == "server" else certify(name)

    authority.certify = with_chain
    (tmp_path / "server.key").touch(mode=0o600)
    server = Server(tmp_path, "auto", authority=authority)
    try:
        assert server.ask(ASK, name="nsk1").fields["reason"] == "host NSK1 has no request 99"
    finally:
        server.close()


def test_a_chain_that_does_not_hold_is_an_error_too(tmp_path):
    configuration = site(tmp_path, (-1, 100), (-1, 100))
    between(tmp_path, Authority(tmp_path), begin=-9, end=-1)
    for verb in ("check", "serve"):
        code, said = told_by(verb, configuration)
        assert code == 2
        assert re.search(f"the certificate of between in .*server.pem has expired on {DAY}", said)


@pytest.mark.parametrize("file", ["server.pem", "authority.pem"])
@pytest.mark.parametrize("left", ["-----BEGIN CERTIFICATE-----\nMIIB", "{0}xxx\n{1}"])
def test_a_broken_certificate_behind_good_ones_is_reported(tmp_path, file, left):
    configuration = site(tmp_path, (-1, 100), (-1, 100))
    with (tmp_path / file).open("a") as pem:
        pem.write(left.format("-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n"))
    for verb in ("check", "serve"):
        code, said = told_by(verb, configuration)
        assert code == 2
        assert f"{file} holds no certificate" in said
        assert "or a broken one" in said
        assert "Traceback" not in said


@pytest.mark.parametrize(("end", "soon"), [(29.9, True), (30.1, False)])
def test_a_certificate_is_warned_about_from_thirty_days_before_its_end(tmp_path, end, soon):
    configuration = site(tmp_path, (-1, 100), (-1, end))
    _, said = told_by("check", configuration)
    assert ("warning: the certificate of server in" in said) == soon
    assert ("expires in 29 days, on" in said) == soon


def test_a_server_warns_at_its_start_and_shows_when_its_certificates_expire(tmp_path):
    server = Server(tmp_path, "auto", authority=Authority(tmp_path, end=5.5))
    try:
        assert "expires in 5 days" in server.said
        url = f"http://127.0.0.1:{server.web}/metrics"
        metrics = urlopen(url, timeout=60).read().decode()
    finally:
        server.close()
    for file in ("server.pem", "authority.pem"):
        name = f'vtspolicy_certificate_expiry_timestamp_seconds{{file="{tmp_path}/{file}"}} '
        [line] = [each for each in metrics.splitlines() if each.startswith(name)]
        left = float(line.rpartition(" ")[2]) - time.time()
        assert 5.4 < left / 86400 < 5.6


def site(root, authority, own):
    """A site whose authority and server have certificates that hold so, in days from now."""
    signs = Authority(root, begin=authority[0], end=authority[1])
    signs.begin, signs.end = (dt.timedelta(days=each) for each in own)
    signs.certify("server")
    configuration = root / "vtspolicy.yaml"
    configuration.write_text(CONFIGURATION.format(root=root, port=0, web=0, format="auto"))
    (root / "rules.yaml").write_text(RULES)
    return configuration


@pytest.fixture
def door():
    """A TLS door without a network, and why it refused."""
    clock = Clock()
    refused = []
    sessions = Sessions(
        services=SimpleNamespace(reactor=clock), hosts=tuple, on_count=lambda *_: None
    )
    doors = Listeners(sessions=sessions, limit=2, on_refused=refused.append)
    file = Path("unused.pem")
    listen = Listen(endpoint="tls:port=1", key=file, cert=file, clients=file)
    return SimpleNamespace(
        door=_SessionFactory(doors, listen), doors=doors, clock=clock, refused=refused
    )


def knock(door, address="192.0.2.9"):
    protocol = door.door.buildProtocol(SimpleNamespace(host=address))
    if protocol is not None:
        protocol.makeConnection(StringTransport())
    return protocol


def test_a_peer_that_shows_no_certificate_does_not_hold_its_place(door):
    silent = knock(door)
    door.clock.advance(HANDSHAKE - 1)
    assert not silent.transport.disconnected
    door.clock.advance(1)
    assert silent.transport.disconnected
    assert door.refused == ["handshake"]
    silent.connectionLost()
    assert not door.doors.handshakes


def test_peers_that_show_no_certificate_take_no_place_from_a_host(door):
    mute = [knock(door) for _ in range(door.doors.limit + 1)]
    assert None not in mute
    assert door.doors.has_room()
    assert door.refused == []


class Taken:
    """The place of a session."""

    def __init__(self, name):
        self.hosts = (Host(name=name),)


def test_a_door_whose_places_are_taken_begins_no_handshake(door):
    door.doors.sessions.incoming.update(Taken(f"NSK{nth}") for nth in range(door.doors.limit))
    assert knock(door) is None
    assert door.refused == ["full"]


def test_a_door_begins_a_handshake_where_a_host_has_several_places(door):
    door.doors.sessions.incoming.update(Taken("NSK1") for _ in range(door.doors.limit))
    assert knock(door) is not None


def test_too_many_handshakes_end_the_oldest_of_the_address_that_has_most(door):
    host = knock(door, "192.0.2.1")
    mute = [knock(door) for _ in range(HANDSHAKES - 1)]
    for nth in range(2):
        newest = knock(door)
        assert len(door.doors.handshakes) == HANDSHAKES
        assert [each.transport.disconnected for each in mute] == [
            place <= nth for place in range(len(mute))
        ]
    assert not host.transport.disconnected
    assert not newest.transport.disconnected
    assert door.refused == ["handshake"] * 2
    for ended in (mute[0], mute[1]):
        ended.connectionLost()
    door.clock.advance(HANDSHAKE)
    assert door.refused == ["handshake"] * (2 + HANDSHAKES)
    assert not door.doors.handshakes


def test_a_peer_that_leaves_before_its_certificate_leaves_no_timer(door):
    knock(door).connectionLost()
    (log,) = door.clock.getDelayedCalls()  # until it tells how many others left so
    assert log.getTime() == PERIOD
