"""Who may ask the web endpoint, by which name, and how long a request may take."""

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from vtspolicy.metrics import Metrics
from vtspolicy.web import make_site
from vtspolicy.web.site import CONNECTIONS, HEAD, IDLE, SLOW

NAMES = {"vts1.example.com", "vts1", "localhost"}


class Ready:
    """A server that is always ready."""

    def ready(self):
        return True, ()


class Peers:
    """Connections to one site, on a clock."""

    def __init__(self, names=None):
        self.clock = Clock()
        asked = None if names is None else lambda: names
        self.site = make_site(
            Ready(), None, Metrics(), writable=False, names=asked, reactor=self.clock
        )

    def connect(self):
        channel = self.site.buildProtocol(None)
        transport = StringTransport()
        transport.connectionLost = channel.connectionLost
        channel.makeConnection(transport)
        return channel

    def ask(self, *headers, version="1.1", path="/"):
        channel = self.connect()
        head = "".join(f"{line}\r\n" for line in (f"GET {path} HTTP/{version}", *headers, ""))
        channel.dataReceived(head.encode())
        return int(channel.transport.value().split()[1])


def is_gone(channel):
    return channel.transport.disconnecting or channel.transport.disconnected


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("vts1.example.com:7180", 200),
        ("VTS1:7180", 200),
        ("vts1.example.com.", 200),
        ("localhost", 200),
        ("127.0.0.1:7180", 200),
        ("[::1]:7180", 200),
        ("10.0.0.7", 200),
        ("evil.example.net", 403),
        ("vts1.example.net:7180", 403),
        ("vts1.example.com.evil.example.net", 403),
        ("127.0.0.1.evil.example.net", 403),
        ("", 403),
    ],
)
def test_a_request_for_a_name_of_others_is_forbidden(host, status):
    assert Peers(NAMES).ask(f"Host: {host}") == status


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_may_ask_by_any_name(path):
    assert Peers(NAMES).ask("Host: balancer.example.net", path=path) == 200


def test_where_no_names_are_given_any_name_will_do():
    assert Peers().ask("Host: evil.example.net") == 200


def test_who_names_no_host_is_no_browser():
    assert Peers(NAMES).ask(version="1.0") == 200


def test_a_request_that_comes_byte_by_byte_has_its_time_as_a_whole():
    peers = Peers()
    slow = peers.connect()
    for _ in range(int(HEAD)):
        assert not is_gone(slow)
        slow.dataReceived(b"G")
        silent = peers.connect()
        peers.clock.advance(1.0)

    assert is_gone(slow)
    assert not is_gone(silent)


def test_each_request_of_a_connection_has_its_own_time():
    peers = Peers()
    channel = peers.connect()
    for _ in range(5):
        channel.dataReceived(b"GET /readyz HTTP/1.1\r\n")
        peers.clock.advance(IDLE - 1)
        channel.dataReceived(b"Host: x\r\n\r\n")
        peers.clock.advance(IDLE - 1)

    assert channel.transport.value().count(b"HTTP/1.1 200 ") == 5
    assert not is_gone(channel)


def test_the_slowest_makes_way_for_one_connection_too_many():
    peers = Peers()
    crowd = [peers.connect() for _ in range(CONNECTIONS)]
    crowd[0].dataReceived(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")  # it waits anew from now on
    peers.clock.advance(SLOW)
    crowd[0].dataReceived(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
    late = peers.connect()
    late.dataReceived(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")

    assert late.transport.value().startswith(b"HTTP/1.1 200 ")
    assert [is_gone(each) for each in crowd[:3]] == [False, True, False]


def test_where_all_have_just_come_the_last_one_is_closed():
    peers = Peers()
    crowd = [peers.connect() for _ in range(CONNECTIONS)]
    late = peers.connect()

    assert is_gone(late)
    assert not any(is_gone(each) for each in crowd)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://localhost/", 200),
        ("HTTP://vts1.example.com:7180/readyz?verbose", 200),
        ("http://127.0.0.1:7180", 200),
        ("http://localhost/nothing", 404),
        ("http://evil.example.net/", 403),
        ("http://localhost@evil.example.net/", 403),
    ],
)
def test_of_a_target_in_absolute_form_its_own_name_counts(target, status):
    assert Peers(NAMES).ask("Host: 127.0.0.1", path=target) == status
    assert Peers(NAMES).ask("Host: evil.example.net", path=target) == status
