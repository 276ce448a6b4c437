"""The life of a connection: its table, what it reads and when, and how it ends."""

from itertools import pairwise

import pytest
from automat import NoTransition
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from tests.harness.sessions_in_memory import GONE, Bench, Wire, a_host, a_session
from vtspolicy.hosts.delivery import CONFIRM, PARTING, UNCONFIRMED
from vtspolicy.hosts.session_life import FAREWELL, LINGER, STRANGER_PATIENCE
from vtspolicy.ledger import LedgerError, NoSuchRow
from vtspolicy.notices import Notice, Word
from vtspolicy.sessions import TRANSITIONS, Pause, SessionLife, SessionState, life

COMMAND = b"VTSPolicy DSK 'archive /VAULT01/PAYROLL'\n"
EVENT = b"26-11-22 02:14:09 \\NSK1.$ZBAT TANDEM.EMS.L01 1234 VTSPolicy DSK 'archive /VAULT01/P'\n"
INPUTS = (SessionLife.connect, SessionLife.end_input, SessionLife.close, SessionLife.lose)


@pytest.fixture
def bench():
    bench = Bench()
    yield bench
    bench.ledger.destroy()


def test_the_life_of_a_connection_is_what_its_table_says_and_nothing_else():
    for state in SessionState:
        for happening in INPUTS:
            after = [row[2] for row in TRANSITIONS if row[:2] == (state, happening)]
            try:
                assert [getattr(life(state=state), happening.__name__)()] == after
            except NoTransition:
                assert after == []


def test_every_life_can_end_and_ends_once():
    for state in set(SessionState) - {SessionState.CLOSED}:
        assert life(state=state).lose() is SessionState.CLOSED
    with pytest.raises(NoTransition):
        life(state=SessionState.CLOSED).lose()


# Reading


def test_nothing_more_is_read_while_a_batch_is_being_recorded(bench):
    session = bench.connect()
    session.dataReceived(COMMAND)
    assert bench.engine.got == [["VTSPolicy DSK 'archive /VAULT01/PAYROLL'"]]
    assert not session.transport.reads
    bench.engine.record()
    assert session.transport.reads


def test_noise_holds_nobody_up(bench):
    session = bench.connect()
    session.dataReceived(EVENT.replace(b"VTSPolicy", b"Volume") * 100)
    assert bench.engine.got == []
    assert session.transport.turns == []


def test_what_is_recorded_at_once_does_not_touch_the_transport(bench):
    bench.engine.at_once = True
    session = bench.connect()
    for _ in range(3):
        session.dataReceived(COMMAND)
    assert len(bench.engine.got) == 3
    assert session.transport.turns == []


def test_batches_are_handed_over_one_after_the_other_in_the_order_of_arrival(bench):
    session = bench.connect()
    for pool in (b"A", b"B", b"C"):
        session.dataReceived(COMMAND.replace(b"PAYROLL", pool))
    assert len(bench.engine.got) == 1
    bench.engine.record()
    bench.engine.record()
    assert [batch[0][-2] for batch in bench.engine.got] == ["A", "B", "C"]
    assert not session.transport.reads
    bench.engine.record()
    assert session.transport.reads


@given(happenings=st.lists(st.sampled_from([*Pause, "done"]), max_size=12))
def test_an_open_connection_is_read_exactly_when_no_pause_is_left(happenings):
    """Begins and ends in any order: recording, a slow peer; a stop does not end."""
    bench = Bench()
    session = bench.connect()
    left = set()
    for each in happenings:
        if each is Pause.SLOW:
            session.resumeProducing() if each in left else session.pauseProducing()
            left ^= {each}
        elif each is Pause.HELD:
            session.hold()
            left |= {each}
        elif each is Pause.RECORDING and each not in left:
            session.dataReceived(COMMAND)
            left |= {each}
        elif each == "done" and Pause.RECORDING in left:
            bench.engine.record()
            left -= {Pause.RECORDING}
        assert session.transport.reads == (not left)
    turns = session.transport.turns
    assert all(one != two for one, two in pairwise(turns))
    bench.ledger.destroy()


def test_an_event_is_complete_when_nothing_follows_for_the_settle_time(bench):
    session = bench.connect()
    session.dataReceived(EVENT)
    bench.clock.pass_time(0.15)
    session.dataReceived(b"       ref=late\n")
    bench.clock.pass_time(0.15)
    assert bench.engine.got == []
    bench.clock.pass_time(0.1)
    assert bench.engine.got == [["VTSPolicy DSK 'archive /VAULT01/P' ref=late"]]


def test_a_stop_takes_what_was_on_its_way_and_reads_no_more(bench):
    session = bench.connect()
    session.hold()
    assert not session.transport.reads
    session.dataReceived(COMMAND)
    assert len(bench.engine.got) == 1
    bench.engine.record()
    assert not session.transport.reads


# The end


def test_a_peer_that_sends_no_more_gets_its_final_notice_before_the_end(bench):
    session = bench.connect()
    session.dataReceived(COMMAND)
    session.readConnectionLost()
    assert session.state is SessionState.HALF_CLOSED
    bench.push(Word.ACCEPTED, origin=session)
    bench.engine.record()
    bench.clock.pass_time(LINGER / 2)
    assert not session.transport.disconnecting
    bench.push(Word.COMPLETED)
    assert session.transport.told() == [("ACCEPTED", 1), ("COMPLETED", 1)]
    bench.clock.pass_time(PARTING)
    assert session.transport.disconnecting
    assert bench.pending() == []


def test_the_end_waits_until_the_last_notices_have_arrived(bench, monkeypatch):
    arrived = []
    monkeypatch.setattr("vtspolicy.hosts.delivery.all_acknowledged", lambda _: bool(arrived))
    session = bench.connect()
    session.dataReceived(COMMAND)
    session.readConnectionLost()
    bench.push(Word.REJECTED, origin=session)
    bench.engine.record()
    bench.clock.pass_time(10 * PARTING, PARTING)
    assert not session.transport.disconnecting
    arrived.append(True)
    bench.clock.pass_time(PARTING)
    assert session.transport.disconnecting
    assert bench.pending() == []


def test_a_half_closed_connection_that_its_peer_has_reset_is_given_up_at_once(bench, monkeypatch):
    monkeypatch.setattr("vtspolicy.hosts.delivery.all_acknowledged", lambda _: False)
    session = bench.connect()
    session.dataReceived(COMMAND)
    session.readConnectionLost()
    bench.push(Word.REJECTED, origin=session)
    bench.engine.record()
    monkeypatch.setattr("vtspolicy.hosts.delivery.is_broken", lambda _: True)
    bench.clock.pass_time(CONFIRM)
    assert session.transport.aborted
    bench.hang_up(session)
    assert bench.pending() == [("REJECTED", 1)]


def test_a_peer_that_sends_no_more_is_not_kept_for_ever(bench):
    session = bench.connect()
    session.dataReceived(COMMAND)
    session.readConnectionLost()
    bench.push(Word.ACCEPTED, origin=session)
    bench.engine.record()
    bench.clock.pass_time(LINGER)
    assert session.transport.disconnecting


def test_a_peer_that_had_nothing_to_say_gets_what_it_missed_and_goes(bench):
    bench.record(Word.COMPLETED)
    session = bench.connect(format="auto")
    session.readConnectionLost()
    bench.clock.pass_time(PARTING)
    assert session.transport.told() == [("COMPLETED", 1)]
    assert session.transport.disconnecting
    assert bench.pending() == []


def test_the_last_line_counts_without_its_end(bench):
    session = bench.connect()
    session.dataReceived(COMMAND.rstrip(b"\n"))
    assert bench.engine.got == []
    session.readConnectionLost()
    assert len(bench.engine.got) == 1
    bench.hang_up(session)
    assert len(bench.engine.got) == 1


def test_what_was_complete_when_the_connection_went_is_still_recorded_in_order(bench):
    session = bench.connect()
    session.dataReceived(COMMAND)
    session.dataReceived(COMMAND.replace(b"PAYROLL", b"LEDGER"))
    session.dataReceived(COMMAND.replace(b"PAYROLL", b"HALF").rstrip(b"\n"))
    bench.hang_up(session)
    bench.engine.record()
    bench.engine.record()
    pools = [batch[0].rpartition("/")[2] for batch in bench.engine.got]
    assert pools == ["PAYROLL'", "LEDGER'", "HALF'"]
    bench.engine.record()
    assert bench.clock.getDelayedCalls() == []


@pytest.mark.parametrize("who", ["the network", "we"])
def test_a_line_that_somebody_else_has_cut_is_not_taken_for_a_command(bench, who):
    """The beginning of a tape's path is the path of its pool."""
    session = bench.connect()
    session.dataReceived(b"VTSPolicy DSK 'archive /VAULT01/PAYROLL'\nVTSPolicy Erase - A0000")
    bench.engine.record()
    if who == "we":
        session.close()
        bench.hang_up(session)
    else:
        session.connectionLost(Failure(ConnectionLost()))
    assert bench.engine.got == [["VTSPolicy DSK 'archive /VAULT01/PAYROLL'"]]


def test_a_connection_that_is_closed_while_recording_reads_no_more_and_is_not_resumed(bench):
    session = bench.connect()
    session.close()
    session.dataReceived(COMMAND)
    bench.engine.record()
    assert session.transport.turns == ["off"]


def test_a_peer_that_does_not_read_its_last_notices_is_cut_off(bench):
    session = bench.connect()
    session.close()
    assert session.transport.disconnecting
    bench.clock.pass_time(FAREWELL)
    assert session.transport.aborted


def test_a_defect_of_the_engine_drops_the_link_and_takes_what_follows(bench):
    session = bench.connect()
    session.dataReceived(COMMAND)
    session.dataReceived(COMMAND)
    failures = []
    bench.link.log.failure = lambda *_, **kwargs: failures.append(kwargs["action"])
    bench.engine.open.pop(0).errback(Failure(RuntimeError("defect")))
    assert failures == ["receive_failed"]
    assert session.transport.disconnecting
    assert len(bench.engine.got) == 2


def test_a_ledger_that_a_stop_closes_in_trouble_is_no_defect(bench):
    session = bench.connect()
    session.dataReceived(COMMAND)
    session.close()  # the server was told to stop, and what came cannot be recorded
    failures, warnings = [], []
    bench.link.log.failure = lambda *_, **kwargs: failures.append(kwargs["action"])
    bench.link.log.warn = lambda *_, **kwargs: warnings.append((kwargs["action"], kwargs["why"]))
    bench.engine.open.pop(0).errback(LedgerError("ledger.db: closed in trouble: disk full"))
    assert failures == []
    assert warnings == [("not_recorded", "ledger.db: closed in trouble: disk full")]


@pytest.mark.parametrize("error", [NoSuchRow("request", 7), RuntimeError("defect")])
def test_what_else_fails_at_a_stop_is_a_defect(bench, error):
    session = bench.connect()
    session.dataReceived(COMMAND)
    session.close()
    failures = []
    bench.link.log.failure = lambda *_, **kwargs: failures.append(kwargs["action"])
    bench.engine.open.pop(0).errback(error)
    assert failures == ["receive_failed"]


def test_closing_twice_or_after_the_end_does_nothing_more(bench):
    session = bench.connect()
    session.close()
    session.close()
    closed = []
    session.on_closed = closed.append
    session.connectionLost(GONE)
    session.close()
    assert closed == [session]
    assert session.state is SessionState.CLOSED
    assert bench.clock.getDelayedCalls() == []


# Writing


def test_a_notice_is_confirmed_when_the_peers_system_has_it(bench, monkeypatch):
    arrived = []
    monkeypatch.setattr("vtspolicy.hosts.delivery.all_acknowledged", lambda _: bool(arrived))
    session = bench.connect()
    bench.push(Word.ACCEPTED, origin=session)
    bench.clock.pass_time(5 * CONFIRM, CONFIRM)
    assert bench.pending() == [("ACCEPTED", 1)]
    arrived.append(True)
    bench.clock.pass_time(CONFIRM)
    assert bench.pending() == []
    assert bench.clock.getDelayedCalls() == []


def test_a_stranger_is_answered_and_does_not_stay(bench):
    stranger = a_session(bench.link, address="192.0.2.1", format="auto")
    stranger.makeConnection(Wire())
    stranger.tell(Notice(word=Word.DENIED, host="", fields={"reason": "no peer"}))
    bench.clock.pass_time(STRANGER_PATIENCE - 1)
    assert stranger.transport.told() == [("DENIED", None)]
    assert not stranger.transport.disconnecting
    bench.clock.pass_time(1)
    assert stranger.transport.disconnecting


def test_an_idle_link_has_a_heartbeat_and_a_busy_one_has_none(bench):
    bench.engine.at_once = True
    session = bench.connect(a_host(keepalive=10.0))
    bench.clock.pass_time(9)
    session.dataReceived(COMMAND)
    bench.clock.pass_time(9)
    bench.push(Word.ACCEPTED, origin=session)
    bench.clock.pass_time(9)
    assert session.transport.told() == [("ACCEPTED", 1)]
    bench.clock.pass_time(21, 1)
    assert session.transport.told() == [("HEARTBEAT", None)] * 3


def test_the_shortest_keepalive_of_the_hosts_on_a_link_counts(bench):
    session = bench.connect(a_host(keepalive=60.0), a_host("NSK2", keepalive=5.0), a_host("NSK3"))
    bench.clock.pass_time(10, 1)
    assert session.transport.told() == [("HEARTBEAT", None)] * 2


def test_a_peer_that_reads_nothing_has_no_heartbeats_piled_up_for_it(bench):
    session = bench.connect(a_host(keepalive=10.0))
    session.pauseProducing()
    bench.clock.pass_time(100, 1)
    assert session.transport.value() == b""
    session.resumeProducing()
    bench.clock.pass_time(10, 1)
    assert session.transport.told() == [("HEARTBEAT", None)]


def test_only_so_many_notices_are_written_before_the_first_is_confirmed(bench):
    session = bench.connect(a_host(acknowledge=True), format="json")
    first = bench.record()
    for number in range(UNCONFIRMED):
        session.tell(Notice(word=Word.ACCEPTED, host="NSK1", id=first.id + 1 + number))
    assert not session.can_take
    session.acknowledge((first.id + 1,))
    assert session.can_take
