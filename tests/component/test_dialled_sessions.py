"""Sessions of links that this program opens: a known host, and answers that go another way."""

from types import SimpleNamespace

import pytest
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from tests.harness.sessions_in_memory import Bench, a_host
from vtspolicy.events.decoder import decoder
from vtspolicy.hosts.listener import Listeners
from vtspolicy.hosts.peers import DialledPeer
from vtspolicy.hosts.session import HostSession
from vtspolicy.hosts.sessions import Sessions
from vtspolicy.hosts.wires import Wire
from vtspolicy.log_limit import LogLimit
from vtspolicy.notices import Word
from vtspolicy.sessions import SessionState

SHOWN = b"26-11-22 02:14:09 \\NSK1.$ZBAT TANDEM.EMS.L01 1234 VTSPolicy Erase - A0\n"
NEXT = b"26-11-22 02:14:10 \\NSK1.$ZBAT TANDEM.EMS.L01 1234 other\n"


class Display:
    """A host's display, as far as a session steers it: it cannot be written to."""

    def __init__(self):
        self.done = []

    def pauseProducing(self):
        self.done.append("pause")

    def resumeProducing(self):
        self.done.append("resume")

    def loseConnection(self):
        self.done.append("lose")

    def abortConnection(self):
        self.done.append("abort")


class Posted:
    """A delivery that posts a few notices at a time; the test says which were seen."""

    sends_heartbeats = False
    is_waiting = False

    def __init__(self, most=2):
        self.under_way = []
        self.most = most
        self.ended = False

    @property
    def has_room(self):
        return len(self.under_way) < self.most

    def begin(self, session, transport):
        self.session = session

    def tell(self, notice):
        if notice.id is not None:
            self.under_way.append(notice.id)

    def acknowledge(self, ids):
        raise AssertionError("displays acknowledge nothing")

    def take_back(self):
        left, self.under_way = self.under_way, []
        return left

    def look(self):
        raise AssertionError("the other side of a display is never closed first")

    def end(self):
        self.ended = True

    def seen(self):
        self.session.delivered(self.take_back())


@pytest.fixture
def bench():
    bench = Bench()
    yield bench
    bench.ledger.destroy()


@pytest.fixture
def site(bench):
    """The hosts as they are configured, all sessions, and how many there are of hosts."""

    hosts, counted = [a_host(keepalive=10.0)], []
    sessions = Sessions(
        services=bench.link,
        hosts=lambda: tuple(hosts),
        on_count=lambda session, change: counted.append(change * len(session.hosts)),
    )
    return SimpleNamespace(hosts=hosts, counted=counted, sessions=sessions)


def dial(bench, site, *, shows_again=True):
    session = HostSession(
        bench.link,
        peer=DialledPeer(host="NSK1", address="ssh:nsk1.example.com"),
        hosts=tuple(site.hosts),
        wire=Wire(decoder=decoder("ems", plain=False), shows_again=shows_again),
        delivery=Posted(),
    )
    session.makeConnection(Display())
    site.sessions.add(session, "ssh:nsk1.example.com")
    bench.clock.settle()
    return session


def test_lines_of_a_display_are_handed_to_the_engine_and_hold_it_up_meanwhile(bench, site):
    session, recorded = dial(bench, site), []
    session.on_recorded = lambda: recorded.append(session.has_recorded_all)
    session.dataReceived(SHOWN + NEXT)
    assert bench.engine.got == [["VTSPolicy Erase - A0"]]
    assert session.transport.done == ["pause"]
    assert not session.has_recorded_all
    bench.engine.record()
    assert session.transport.done == ["pause", "resume"]
    assert recorded == [True]


def test_a_notice_is_delivered_when_the_display_has_shown_it(bench, site):
    session = dial(bench, site)
    bench.push(Word.ACCEPTED, origin=session)
    bench.clock.pass_time(60.0)
    assert bench.pending() == [("ACCEPTED", 1)]
    session._delivery.seen()
    assert bench.pending() == []


def test_no_more_is_posted_than_there_is_room_for_and_the_rest_follows(bench, site):
    session = dial(bench, site)
    for request in range(1, 6):
        bench.push(Word.COMPLETED, request)
    for left in (5, 3, 1):
        assert len(bench.pending()) == left
        assert len(session._delivery.under_way) == min(left, 2)
        session._delivery.seen()
        bench.clock.settle()
    assert bench.pending() == []


def test_what_was_not_seen_when_the_link_was_lost_is_due_on_the_next_one(bench, site):
    first = dial(bench, site)
    bench.push(Word.COMPLETED)
    first.connectionLost(Failure(ConnectionLost()))
    assert first._delivery.ended
    assert first.state is SessionState.CLOSED
    second = dial(bench, site)
    assert len(second._delivery.under_way) == 1


@pytest.mark.parametrize("shows_again", [True, False])
def test_an_event_that_a_lost_link_has_cut_is_missed_only_if_it_is_not_shown_again(
    bench, site, monkeypatch, shows_again
):
    session, lines = dial(bench, site, shows_again=shows_again), []
    monkeypatch.setattr(LogLimit, "write", lambda *args, **_: lines.append(args[2].action))
    session.dataReceived(SHOWN)
    session.connectionLost(Failure(ConnectionLost()))
    assert bench.engine.got == []
    assert ("event_cut" in lines) is not shows_again


def test_the_heartbeat_of_a_delivery_that_has_its_own_is_not_sent(bench, site):
    session, told = dial(bench, site), []
    session._delivery.tell = told.append
    bench.clock.pass_time(60.0)
    assert told == []


def test_a_reload_ends_the_link_of_a_host_that_is_no_longer_configured(bench, site):
    session = dial(bench, site)
    site.hosts[:] = [a_host(families=("X",))]
    site.sessions.renew()
    assert [host.families for host in session.hosts] == [("X",)]
    assert session.is_live
    site.hosts.clear()
    site.sessions.renew()
    assert session.transport.done == ["lose"]
    session.connectionLost(Failure(ConnectionLost()))
    assert sum(site.counted) == 0
    assert site.sessions.all == set()


def test_a_dialled_link_takes_no_place_of_those_that_connect(bench, site):
    doors = Listeners(sessions=site.sessions, limit=1, on_refused=lambda _: None)
    dial(bench, site)
    assert doors.admit((a_host("NSK2"),))
