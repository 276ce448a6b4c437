"""What a session has in each state of its life: timers that begin and end with it."""

import pytest

from tests.harness.sessions_in_memory import Bench, a_host
from vtspolicy.hosts.session_life import FAREWELL, LINGER, STRANGER_PATIENCE, session_core
from vtspolicy.hosts.timers import Timer
from vtspolicy.notices import Word
from vtspolicy.sessions import SessionState, life
from vtspolicy.testing.clock import TestClock

BEAT = 10.0


class Host:
    """A session, as far as the states need one: it notes what they ask of it, and when."""

    def __init__(self, *hosts):
        self.hosts = hosts
        self.reactor = TestClock()
        self.begun = self.reactor.seconds()
        self.asked = []
        self.core = session_core(self)
        self.life = life(self.core)

    def _note(self, what):
        self.asked.append((what, self.reactor.seconds() - self.begun))

    def send_heartbeat(self):
        self._note("heartbeat")

    def close(self):
        self._note("close")

    def abort(self):
        self._note("abort")

    @property
    def timers(self):
        return [call.getTime() - self.begun for call in self.reactor.getDelayedCalls()]


def opened(*hosts):
    session = Host(*hosts)
    assert session.life.connect() is SessionState.OPEN
    session.core.data.identified()
    return session


def test_a_host_without_keepalive_has_no_timer_while_it_is_open():
    session = opened(a_host())
    session.core.data.active()
    assert session.timers == []


def test_the_shortest_keepalive_of_the_hosts_of_a_peer_counts_from_the_last_activity():
    session = opened(a_host(keepalive=BEAT), a_host("NSK2", keepalive=25.0), a_host("NSK3"))
    session.reactor.pass_time(4.0)
    session.core.data.active()
    session.reactor.pass_time(2 * BEAT, 1.0)
    assert session.asked == [("heartbeat", 14.0), ("heartbeat", 24.0)]


def test_a_stranger_that_becomes_a_host_stays_and_a_host_that_becomes_a_stranger_does_not():
    session = opened()
    assert session.timers == [STRANGER_PATIENCE]
    session.hosts = (a_host(),)
    session.core.data.identified()
    assert session.timers == []
    session.hosts = ()
    session.core.data.identified()
    session.reactor.pass_time(STRANGER_PATIENCE)
    assert session.asked == [("close", STRANGER_PATIENCE)]


def test_activity_does_not_prolong_the_time_of_a_stranger():
    session = opened()
    session.reactor.pass_time(STRANGER_PATIENCE - 1)
    session.core.data.active()
    session.reactor.pass_time(1.0)
    assert session.asked == [("close", STRANGER_PATIENCE)]


def test_a_half_closed_session_lingers_for_a_limited_time_whatever_is_sent_or_reloaded():
    session = opened(a_host())
    session.life.end_input()
    for _ in range(5):
        session.reactor.pass_time(LINGER / 6)
        session.core.data.active()
        session.core.data.identified()
    session.reactor.pass_time(LINGER / 6)
    assert [what for what, _ in session.asked] == ["close"]


def test_a_closing_session_has_its_farewell_and_nothing_else():
    session = opened(a_host(keepalive=BEAT))
    session.life.end_input()
    session.life.close()
    session.core.data.active()
    session.core.data.identified()
    assert session.timers == [FAREWELL]
    session.reactor.pass_time(FAREWELL / 2)
    session.life.close()  # again: it does not begin anew
    session.reactor.pass_time(FAREWELL / 2)
    assert session.asked == [("abort", FAREWELL)]


@pytest.mark.parametrize("happened", [(), ("end_input",), ("close",), ("end_input", "close")])
@pytest.mark.parametrize("hosts", [(), (a_host(keepalive=BEAT),)])
def test_a_session_that_is_gone_has_no_timer(happened, hosts):
    session = opened(*hosts)
    for step in happened:
        getattr(session.life, step)()
    assert session.life.lose() is SessionState.CLOSED
    session.core.data.active()
    session.core.data.identified()
    assert session.timers == []


def test_a_connection_that_is_being_closed_is_told_no_heartbeat():
    bench = Bench()
    session = bench.connect(a_host(keepalive=BEAT))
    bench.push(Word.COMPLETED)
    session.close()
    bench.clock.pass_time(2 * BEAT)
    assert session.transport.told() == [("COMPLETED", 1)]
    bench.ledger.destroy()


def test_a_timer_that_is_started_again_calls_once_from_then():
    clock, called = TestClock(), []
    begun = clock.seconds()
    timer = Timer(clock, lambda: called.append(clock.seconds() - begun))
    timer.start(5.0)
    clock.pass_time(3.0)
    timer.start(5.0)
    assert timer.runs
    clock.pass_time(6.0, 1.0)
    assert called == [8.0]
    assert not timer.runs
    timer.start(1.0)
    timer.stop()
    timer.stop()
    clock.pass_time(2.0)
    assert called == [8.0]
