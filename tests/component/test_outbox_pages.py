"""What arrives while a page of pending notices is read is not sent again from that page."""

import pytest
from twisted.internet.defer import Deferred

from tests.harness.sessions_in_memory import Bench
from vtspolicy.hosts.delivery import CONFIRM
from vtspolicy.notices import Word


@pytest.fixture
def bench():
    bench = Bench(unsent=0)  # what cannot be sent at once waits in the ledger
    yield bench
    bench.ledger.destroy()


def test_what_was_confirmed_since_a_page_was_asked_for_is_not_sent_from_it(bench):
    session = bench.connect()
    session.pauseProducing()
    bench.push(Word.COMPLETED, request=1)  # it waits in the ledger
    bench.store.slow = True
    session.resumeProducing()  # and is asked for
    bench.push(Word.ACCEPTED, request=2, origin=session)  # an answer goes at once
    bench.store.answer()  # a page without it
    bench.clock.pass_time(2 * CONFIRM)

    assert session.transport.told() == [("ACCEPTED", 2), ("COMPLETED", 1)]


def test_an_answer_that_is_in_the_page_and_was_confirmed_is_sent_once(bench):
    session = bench.connect()
    session.pauseProducing()
    bench.push(Word.COMPLETED, request=1)
    bench.push(Word.ACCEPTED, request=2)
    bench.store.slow = True
    session.resumeProducing()
    bench.store.answer()
    assert session.transport.told() == [("COMPLETED", 1), ("ACCEPTED", 2)]

    session.pauseProducing()
    bench.push(Word.COMPLETED, request=2)
    session.resumeProducing()  # the page is asked for: it has all three
    bench.clock.pass_time(2 * CONFIRM)  # the first two are confirmed, recorded and forgotten
    assert bench.pending() == [("COMPLETED", 2)]
    bench.store.answer()

    assert session.transport.told() == [("COMPLETED", 2)]


def test_what_is_confirmed_while_its_record_waits_is_not_sent_from_a_page_either(bench):
    session = bench.connect()
    session.pauseProducing()
    bench.push(Word.COMPLETED, request=1)
    session.resumeProducing()
    assert session.transport.told() == [("COMPLETED", 1)]
    bench.store.slow = True
    session.pauseProducing()
    bench.push(Word.COMPLETED, request=2)
    session.resumeProducing()
    bench.clock.pass_time(2 * CONFIRM)
    bench.store.answer()

    assert session.transport.told() == [("COMPLETED", 2)]


def test_a_page_from_the_ledger_goes_to_those_that_asked(bench):
    asked, newest = bench.connect(), bench.connect()
    bench.push(Word.ACCEPTED, origin=asked)
    bench.clock.pass_time(CONFIRM)
    asked.pauseProducing()
    newest.pauseProducing()
    bench.push(Word.COMPLETED, request=2)
    bench.push(Word.COMPLETED)
    newest.transport.clear()
    bench.store.slow = True
    newest.resumeProducing()
    asked.resumeProducing()
    bench.store.answer()
    assert asked.transport.told() == [("ACCEPTED", 1), ("COMPLETED", 1)]
    assert newest.transport.told() == [("COMPLETED", 2)]


def test_an_answer_that_a_page_had_before_it_was_told_is_sent_once_though_it_has_arrived(bench):
    session = bench.connect()
    session.pauseProducing()
    bench.push(Word.COMPLETED, request=1)
    answer = bench.record(Word.ACCEPTED, request=2)  # on the disk, and nobody told yet
    session.resumeProducing()
    assert session.transport.told() == [("COMPLETED", 1), ("ACCEPTED", 2)]
    recorded, bench.store.delivered = [], lambda _: recorded.append(Deferred()) or recorded[-1]
    bench.clock.pass_time(2 * CONFIRM)  # both arrive, which is not recorded yet
    assert len(recorded) == 1
    bench.outbox.push([answer], session)

    assert session.transport.told() == []
