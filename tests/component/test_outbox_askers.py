"""The notices of a request go to the connection that it came on, as long as that can take them."""

import pytest

from tests.harness.sessions_in_memory import Bench, a_host
from vtspolicy.hosts.delivery import CONFIRM
from vtspolicy.notices import Word


@pytest.fixture(params=[0, 4000], ids=["nothing kept in memory", "kept in memory"])
def bench(request):
    bench = Bench(unsent=request.param)
    yield bench
    bench.ledger.destroy()


def test_the_session_that_asked_gets_all_notices_of_its_request(bench):
    first, second = bench.connect(), bench.connect()
    bench.push(Word.ACCEPTED, origin=first)
    bench.push(Word.ACCEPTED, request=2, origin=second)
    bench.clock.pass_time(CONFIRM)
    bench.push(Word.STARTED)
    bench.push(Word.STARTED, request=2)
    bench.clock.pass_time(CONFIRM)
    bench.push(Word.COMPLETED, request=2)
    bench.push(Word.COMPLETED)
    assert first.transport.told() == [("ACCEPTED", 1), ("STARTED", 1), ("COMPLETED", 1)]
    assert second.transport.told() == [("ACCEPTED", 2), ("STARTED", 2), ("COMPLETED", 2)]


def test_the_newest_session_gets_what_nobody_here_has_asked_for_or_who_did_cannot_take(bench):
    asked, slow, newest = bench.connect(), bench.connect(), bench.connect()
    bench.push(Word.ACCEPTED, origin=asked)
    bench.push(Word.ACCEPTED, request=2, origin=slow)
    bench.clock.pass_time(CONFIRM)
    bench.hang_up(asked)
    slow.pauseProducing()
    for request in (1, 2, 3):
        bench.push(Word.COMPLETED, request)
    assert newest.transport.told() == [("COMPLETED", 1), ("COMPLETED", 2), ("COMPLETED", 3)]
    assert slow.waiting == set()


def test_who_sends_no_more_gets_its_final_notice_beside_an_idle_link_before_it_is_closed(bench):
    asked, idle = bench.connect(), bench.connect()
    bench.push(Word.ACCEPTED, origin=asked)
    asked.readConnectionLost()
    bench.clock.pass_time(5 * CONFIRM, CONFIRM)
    assert not asked.transport.disconnecting
    bench.push(Word.COMPLETED)
    bench.clock.pass_time(CONFIRM)
    assert asked.transport.told() == [("ACCEPTED", 1), ("COMPLETED", 1)]
    assert asked.transport.disconnecting
    assert idle.transport.told() == []


def test_who_asked_gets_its_final_notice_from_the_ledger_too(bench):
    asked = bench.connect()
    bench.push(Word.ACCEPTED, origin=asked)
    asked.readConnectionLost()
    bench.clock.pass_time(CONFIRM)
    bench.store.slow = True
    newest = bench.connect()  # what waits is read now, and the final notice comes meanwhile
    bench.push(Word.COMPLETED, request=2)
    bench.store.answer()
    bench.push(Word.COMPLETED)
    while bench.store.waiting:
        bench.store.answer()
    bench.clock.pass_time(CONFIRM)
    assert asked.transport.told() == [("ACCEPTED", 1), ("COMPLETED", 1)]
    assert newest.transport.told() == [("COMPLETED", 2)]
    assert asked.transport.disconnecting


def test_a_session_that_is_another_host_now_gets_nothing_of_the_former_one(bench):
    both = bench.connect(a_host(), a_host("NSK2"))
    other = bench.connect()
    bench.push(Word.ACCEPTED, origin=both)
    bench.clock.pass_time(CONFIRM)
    both.transport.clear()
    both.serve((a_host("NSK2"),))
    bench.push(Word.COMPLETED)
    assert both.transport.told() == []
    assert other.transport.told() == [("COMPLETED", 1)]


def test_nothing_is_kept_of_who_asked_when_it_is_gone_or_has_been_told(bench):
    gone, told = bench.connect(), bench.connect()
    bench.push(Word.ACCEPTED, origin=gone)
    bench.push(Word.ACCEPTED, request=2, origin=told)
    assert len(bench.outbox._askers) == 2
    bench.hang_up(gone)
    bench.push(Word.COMPLETED, request=2)
    bench.push(Word.ACCEPTED, request=3, origin=gone)  # recorded when it was gone
    assert bench.outbox._askers == {}


def test_who_asked_and_cannot_take_its_final_notice_is_not_kept_when_another_was_given_it(bench):
    asked, newest = bench.connect(), bench.connect()
    bench.push(Word.ACCEPTED, origin=asked)
    asked.readConnectionLost()
    bench.clock.pass_time(CONFIRM)
    asked.pauseProducing()
    bench.push(Word.COMPLETED)
    assert newest.transport.told() == [("COMPLETED", 1)]
    assert asked.transport.disconnecting
