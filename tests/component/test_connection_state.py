"""What is known of a peer's system: it is asked whether it is there, and gone when it is silent."""

import socket
import struct

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Factory
from twisted.trial.unittest import TestCase
from zope.interface import directlyProvides

from tests.harness.sessions_in_memory import Bench, Wire, a_host, a_session
from vtspolicy.hosts.connection_state import KEEPALIVE, SILENCE, is_broken, is_silent, keep_alive
from vtspolicy.hosts.presence import PRESENCE
from vtspolicy.notices import Word
from vtspolicy.sessions import Pause

SETTINGS = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    *((socket.IPPROTO_TCP, getattr(socket, name)) for name in KEEPALIVE),
]


class Lower(Wire):
    """A TCP transport with a socket of the test's."""

    def __init__(self, handle=None):
        super().__init__()
        self.handle = handle
        directlyProvides(self, ITCPTransport)

    def getHandle(self):
        return self.handle

    def setTcpNoDelay(self, enabled):
        pass


class Told(socket.socket):
    """A socket of which Linux says what the test wants."""

    def __init__(self, facts):
        super().__init__()
        self.facts = facts

    def getsockopt(self, *_):
        return self.facts


class HostsOverTcp(TestCase):
    @inlineCallbacks
    def test_the_system_of_a_host_is_asked_after_a_minute_whether_it_is_still_there(self):
        bench, made = Bench(), Deferred()
        self.addCleanup(bench.ledger.destroy)
        session = a_session(bench.link, a_host(), address="127.0.0.1")

        def build():
            reactor.callLater(0, made.callback, None)  # by then it is connected
            return session

        factory = Factory.forProtocol(build)
        factory.noisy = False
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        closed = Deferred()
        session.on_closed = closed.callback
        client = socket.create_connection(("127.0.0.1", port.getHost().port))
        yield made
        handle = session.transport.getHandle()
        told = [handle.getsockopt(*setting) for setting in SETTINGS]
        client.close()
        yield closed
        assert told == [1, 60, 15, 4]


def test_what_is_no_tcp_connection_is_left_alone(monkeypatch):
    keep_alive(Wire())
    assert not is_silent(Wire())
    one, other = socket.socketpair()
    with one, other:
        keep_alive(one)
        wire = Lower(one)  # what Twisted has for a UNIX socket says that it is TCP
        keep_alive(wire)
        assert not one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert not is_silent(wire)
        assert not is_broken(wire)
    with socket.socket() as tcp:
        monkeypatch.delattr(socket, "TCP_KEEPIDLE")  # as on some other system
        keep_alive(Lower(tcp))
        assert tcp.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


@pytest.mark.parametrize(
    ("retransmits", "probes", "seconds", "silent"),
    [
        (9, 0, SILENCE, True),
        (0, 3, SILENCE, True),
        (2, 0, SILENCE, True),
        (0, 2, SILENCE, True),
        (0, 1, 239.0, False),  # a closed window is asked about each two minutes: one was lost
        (1, 0, 239.0, False),
        (9, 0, SILENCE - 1, False),
        (0, 0, 86400.0, False),  # it owes nothing
    ],
)
def test_silent_is_who_owes_an_answer_for_long(retransmits, probes, seconds, silent):
    facts = struct.pack("4B52xI", 1, 0, retransmits, probes, round(seconds * 1000))
    with Told(facts) as handle:
        assert is_silent(Lower(handle)) is silent


def test_the_notices_of_a_vanished_peer_go_another_way(monkeypatch):
    silent = []
    monkeypatch.setattr("vtspolicy.hosts.presence.is_silent", silent.__contains__)
    bench = Bench()
    session = a_session(bench.link, a_host(), address="::")
    session.makeConnection(Lower())
    bench.clock.settle()
    bench.push(Word.COMPLETED)
    bench.clock.pass_time(2 * PRESENCE)
    assert not session.transport.aborted
    silent.append(session.transport)
    session.dataReceived(b"VTSPolicy Status - 1\n")
    assert session._pauses == {Pause.RECORDING}
    bench.clock.pass_time(2 * PRESENCE)
    assert not session.transport.aborted  # what it has sent can still be read
    bench.engine.record()
    bench.clock.pass_time(PRESENCE)
    assert session.transport.aborted
    bench.hang_up(session)
    assert bench.connect().transport.told() == [("COMPLETED", 1)]
    bench.ledger.destroy()
