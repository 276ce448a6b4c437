"""What a session cannot take for a moment is not read back from the ledger."""

import pytest

from tests.harness.sessions_in_memory import Bench, a_host
from vtspolicy.hosts import load, outbox
from vtspolicy.notices import Word


@pytest.fixture
def bench():
    bench = Bench(unsent=3)
    yield bench
    bench.ledger.destroy()


def slow(bench):
    """A session that cannot take anything; the ledger has been asked what waits for it."""
    session = bench.connect()
    session.pauseProducing()
    bench.store.asked.clear()
    return session


def completed(*requests):
    return [("COMPLETED", request) for request in requests]


def test_what_a_full_session_is_sent_later_does_not_come_from_the_ledger(bench):
    session = slow(bench)
    for request in range(3):
        bench.push(Word.COMPLETED, request)
    session.resumeProducing()
    assert session.transport.told() == completed(0, 1, 2)
    assert bench.store.asked == []


def test_a_session_that_is_full_again_gets_the_rest_later_in_order(bench):
    session = slow(bench)
    for request in range(3):
        bench.push(Word.COMPLETED, request)
    write = session.transport.write

    def fill(data):
        write(data)
        session.pauseProducing()

    session.transport.write = fill
    session.resumeProducing()
    assert session.transport.told() == completed(0)
    bench.push(Word.COMPLETED, 3)
    session.transport.write = write
    session.resumeProducing()
    assert session.transport.told() == completed(1, 2, 3)
    assert bench.store.asked == []


def test_what_there_is_no_room_for_comes_from_the_ledger_and_nothing_before_it(bench):
    session = bench.connect()
    bench.push(Word.COMPLETED, 0)  # it is under way, and not known to have arrived
    session.pauseProducing()
    bench.store.asked.clear()
    for request in range(1, 6):
        bench.push(Word.COMPLETED, request)
    session.resumeProducing()
    assert session.transport.told() == completed(0, 1, 2, 3, 4, 5)
    assert bench.store.asked == [1]


def test_hosts_share_the_room(bench):
    session = slow(bench)
    other = bench.connect(a_host("NSK2"))
    other.pauseProducing()
    for request in range(3):
        bench.push(Word.COMPLETED, request, host="NSK2")
    bench.push(Word.COMPLETED, 7)
    bench.store.asked.clear()
    session.resumeProducing()
    other.resumeProducing()
    assert session.transport.told() == completed(7)
    assert other.transport.told() == completed(0, 1, 2)
    assert len(bench.store.asked) == 1


def test_what_was_kept_for_a_session_that_is_gone_waits_in_the_ledger(bench):
    session = slow(bench)
    bench.push(Word.COMPLETED, 1)
    bench.hang_up(session)
    bench.push(Word.COMPLETED, 2)
    session = slow(bench)
    assert session.transport.told() == completed(1, 2)
    for request in range(3, 6):  # the room is there again
        bench.push(Word.COMPLETED, request)
    session.resumeProducing()
    assert session.transport.told() == completed(3, 4, 5)
    assert bench.store.asked == []


def test_a_half_closed_session_is_open_until_it_has_what_was_kept_for_it(bench):
    session = bench.connect()
    bench.push(Word.ACCEPTED, origin=session)
    session.pauseProducing()
    bench.push(Word.COMPLETED)
    session.readConnectionLost()
    bench.clock.pass_time(1.0)
    assert not session.transport.disconnecting
    session.resumeProducing()
    bench.clock.pass_time(1.0)
    assert session.transport.told() == [("ACCEPTED", 1), *completed(1)]
    assert session.transport.disconnecting


def test_a_load_that_is_interrupted_goes_on_where_it_was(bench, monkeypatch):
    monkeypatch.setattr(outbox, "PAGE", 3)
    for request in range(8):
        bench.record(Word.COMPLETED, request)
    bench.store.slow = True
    session = bench.connect()
    session.pauseProducing()
    bench.store.answer()
    assert session.transport.told() == []
    session.resumeProducing()
    bench.store.answer()
    session.pauseProducing()  # while the second page is read
    bench.store.slow = False
    bench.store.answer()
    bench.push(Word.COMPLETED, 8)
    session.resumeProducing()
    assert session.transport.told() == completed(*range(9))
    assert bench.store.asked == [0, 0, 3, 3, 6, 9]


def test_notices_for_which_a_load_has_no_room_come_from_the_ledger_in_order(bench, monkeypatch):
    monkeypatch.setattr(load, "HELD", 2)
    for request in range(2):
        bench.record(Word.COMPLETED, request)
    bench.store.slow = True
    session = bench.connect()
    for request in range(2, 7):
        bench.push(Word.COMPLETED, request)
    while bench.store.waiting:
        bench.store.answer()
    assert session.transport.told() == completed(*range(7))
