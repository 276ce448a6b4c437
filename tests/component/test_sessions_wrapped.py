"""An event of several lines is one command: it is never taken without its last lines."""

import socket
import struct
from contextlib import contextmanager

import pytest
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import ITCPTransport
from twisted.python.failure import Failure
from zope.interface import directlyProvides

from tests.harness.sessions_in_memory import GONE, Bench, Wire
from vtspolicy.hosts.connection_state import has_unread

HEADER = b"26-11-22 02:14:09 \\NSK1.$ZBAT TANDEM.EMS.L01 1234 "
FIRST = HEADER + b"VTSPolicy Erase - A00001 A00002\n"
REST = b"        s=vts2.example.com\n"
PART = "VTSPolicy Erase - A00001 A00002"
WHOLE = PART + " s=vts2.example.com"
BEFORE = "VTSPolicy DSK 'archive /VAULT01/P'"
LOST = Failure(ConnectionLost())


@pytest.fixture
def bench():
    bench = Bench()
    bench.cut = []
    bench.link.log.warn = lambda *_, **said: bench.cut.append((said["action"], said["text"]))
    yield bench
    bench.ledger.destroy()


class Over(Wire):
    """A transport over a socket of the test's, which the test reads for the session."""

    def __init__(self, handle):
        super().__init__()
        self.handle = handle
        directlyProvides(self, ITCPTransport)

    def getHandle(self):
        return self.handle

    def setTcpNoDelay(self, enabled):
        pass


class Tls(Wire):
    """The same with TLS on it."""

    _tlsConnection = object()  # noqa: N815  as Twisted names it

    def __init__(self, handle):
        super().__init__()
        self.transport = Over(handle)


@contextmanager
def a_pair():
    """Both ends of a TCP connection: the server's, the host's."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        host = socket.create_connection(door.getsockname())
        ours, _ = door.accept()
        with ours, host:
            yield ours, host


def texts(bench):
    return [text for batch in bench.engine.got for text in batch]


@contextmanager
def recording(bench, session):
    session.dataReceived(FIRST.replace(PART.encode(), BEFORE.encode()) + FIRST)
    yield
    bench.engine.record()


@contextmanager
def slow(_, session):
    session.dataReceived(FIRST)
    session.pauseProducing()
    yield
    session.resumeProducing()


@contextmanager
def slow_before(_, session):
    session.pauseProducing()
    session.dataReceived(FIRST)  # it was on its way
    yield
    session.resumeProducing()


PAUSES = [recording, slow, slow_before]


@pytest.mark.parametrize("pause", PAUSES)
def test_no_time_passes_for_an_open_event_while_nothing_is_read(bench, pause):
    session = bench.connect()
    with pause(bench, session):
        bench.clock.pass_time(60)
        assert PART not in texts(bench)
    bench.clock.pass_time(0.15)  # the rest waited in the system's buffer, or at the host
    session.dataReceived(REST)
    bench.clock.pass_time(0.15)
    assert WHOLE not in texts(bench)
    bench.clock.pass_time(0.1)
    assert texts(bench)[-1] == WHOLE
    assert PART not in texts(bench)


@pytest.mark.parametrize("pause", PAUSES)
def test_an_event_that_was_whole_is_taken_when_it_is_read_on(bench, pause):
    session = bench.connect()
    with pause(bench, session):
        bench.clock.pass_time(60)
    bench.clock.pass_time(0.25)
    assert texts(bench)[-1] == PART


@pytest.mark.parametrize("wire", [Over, Tls])
def test_an_event_whose_rest_is_here_and_not_read_yet_waits_for_it(bench, wire):
    """The reactor was held up: timers ring before it reads."""
    with a_pair() as (ours, host):
        session = bench.connect()
        session.transport = wire(ours)
        host.sendall(FIRST)
        session.dataReceived(ours.recv(65536))
        host.sendall(REST)
        bench.clock.pass_time(0.5, 0.1)
        assert texts(bench) == []
        session.dataReceived(ours.recv(65536))
        bench.clock.pass_time(0.25)
        assert texts(bench) == [WHOLE]


def test_an_event_on_a_connection_that_was_reset_is_left_to_its_end(bench):
    with a_pair() as (ours, host):
        session = bench.connect()
        session.transport = Over(ours)
        host.sendall(FIRST)
        session.dataReceived(ours.recv(65536))
        host.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        host.close()
        bench.clock.pass_time(0.5, 0.1)
        session.connectionLost(LOST)
    assert texts(bench) == []
    assert bench.cut == [("event_cut", PART)]


def test_only_what_has_a_socket_has_something_unread(bench):
    assert not has_unread(Wire())
    with a_pair() as (ours, host):
        assert not has_unread(Over(ours))
        host.sendall(b"x")
        assert has_unread(Over(ours))
        ours.close()
        assert not has_unread(Over(ours))


@pytest.mark.parametrize("who", ["the network", "we", "we, held"])
@pytest.mark.parametrize(("came", "cut"), [(FIRST, PART), (FIRST + b"   ref=", PART + " ref=")])
def test_an_event_that_somebody_else_has_cut_is_named_and_not_taken(bench, who, came, cut):
    session = bench.connect()
    session.dataReceived(came)
    if who == "we, held":
        session.hold()
    if who == "the network":
        session.connectionLost(LOST)
    else:
        session.close()
        bench.hang_up(session)
    assert texts(bench) == []
    assert bench.cut == [("event_cut", cut)]
    bench.clock.advance(60.0)  # the log counts others of this kind so long
    assert bench.clock.getDelayedCalls() == []


def test_an_event_whose_time_had_passed_counts_when_the_connection_breaks(bench):
    session = bench.connect()
    session.dataReceived(FIRST)
    bench.clock.pass_time(0.25)
    session.connectionLost(LOST)
    assert texts(bench) == [PART]
    assert bench.cut == []


def test_an_event_counts_at_once_when_its_host_ends_the_connection(bench):
    session = bench.connect()
    session.dataReceived(FIRST)
    session.connectionLost(GONE)
    assert texts(bench) == [PART]
    assert bench.cut == []


@pytest.mark.parametrize(
    ("more", "taken", "cut"),
    [(b"", [PART], []), (REST[:-5], [], [("event_cut", WHOLE[:-4])])],
)
def test_whole_lines_count_of_a_host_that_ends_tcp_but_not_its_tls(bench, more, taken, cut):
    session = bench.connect()
    session.transport.peer_ended = True
    session.dataReceived(FIRST + more)
    session.connectionLost(LOST)
    assert texts(bench) == taken
    assert bench.cut == cut


def test_nothing_is_said_of_a_cut_that_cuts_no_command(bench):
    session = bench.connect()
    session.dataReceived(FIRST.replace(b"TANDEM.EMS.L01", b"VTS.POLICY.A01"))
    session.connectionLost(LOST)
    session = bench.connect()
    session.dataReceived(FIRST.replace(b"Erase", b"REJECTED"))  # ours, under another name
    session.connectionLost(LOST)
    session = bench.connect()
    session.dataReceived(HEADER + b"Volume $DATA")
    session.connectionLost(LOST)
    assert bench.cut == []


def test_a_stop_waits_for_an_open_event_while_it_reads_and_not_when_it_reads_no_more(bench):
    session = bench.connect()
    session.dataReceived(FIRST)
    assert session.is_busy
    session.hold()
    assert not session.is_busy


def test_a_stop_waits_for_an_event_that_has_become_whole(bench):
    session = bench.connect()
    session.dataReceived(FIRST)
    assert session.is_busy
    bench.clock.pass_time(0.25)
    assert session.is_busy
    bench.engine.record()
    assert not session.is_busy
    session.kept = 1  # the engine has no room for it yet
    assert session.is_busy


def test_an_event_is_complete_at_once_where_it_has_no_time(bench):
    bench.link.settle = 0.0
    session = bench.connect()
    session.dataReceived(FIRST)
    bench.clock.settle()
    assert texts(bench) == [PART]
