"""One suite for every ledger: on the disk and in memory they promise the same."""

import pytest
from ledger_ground import Pump, an_intake
from twisted.internet.defer import Deferred

from vtspolicy.jobs import JobState
from vtspolicy.ledger import (
    Ending,
    JobRecords,
    LedgerError,
    Meta,
    NoSuchRow,
    NoticeRecords,
    RequestRecords,
    open_ledger,
)
from vtspolicy.ledger.sqlite import SqliteLedger
from vtspolicy.notices import Word
from vtspolicy.testing.ledger import MemoryLedger


class Opened:
    """A ledger with its pump."""

    def __init__(self, ledger, pump):
        self.ledger = ledger
        self.pump = pump

    def write(self, verb, *args, **more):
        return self.pump.ask(self.ledger.write(verb, *args, **more)).result

    def read(self, verb, *args, **more):
        return self.pump.ask(self.ledger.read(verb, *args, **more))

    def wait(self, coroutine):
        return self.pump.ask(Deferred.fromCoroutine(coroutine))


@pytest.fixture(params=["sqlite", "memory"])
def opened(request, tmp_path):
    pump = Pump()
    if request.param == "sqlite":
        ledger = SqliteLedger(tmp_path / "ledger.db", pump)
    else:
        ledger = MemoryLedger()
    opened = Opened(ledger, pump)
    opened.wait(ledger.open())
    yield opened
    opened.wait(ledger.close())
    if request.param == "memory":
        ledger.destroy()


def test_what_was_written_is_read(opened):
    recorded = opened.write(RequestRecords.record, an_intake(1))
    assert opened.read(JobRecords.live) == list(recorded.jobs)


def test_answers_come_in_the_order_of_the_questions(opened):
    answered = []
    several = [
        opened.ledger.write(RequestRecords.record, an_intake(number)) for number in range(50)
    ]
    for deferred in several:
        deferred.addCallback(lambda written: answered.append(written.result.request))
    opened.pump.until(lambda: len(answered) == 50)
    assert answered == sorted(answered)


def test_a_verb_that_raises_takes_back_its_own_part_and_no_other(opened):
    def half(tx, number):
        tx.requests.record(an_intake(number))
        raise KeyError("after writing")

    before = opened.ledger.write(RequestRecords.record, an_intake(1))
    failing = opened.ledger.write(half, 2)
    after = opened.ledger.write(RequestRecords.record, an_intake(3))

    first, third = opened.pump.ask(before), None
    with pytest.raises(KeyError, match="after writing"):
        opened.pump.ask(failing)
    third = opened.pump.ask(after)
    requests = opened.read(RequestRecords.find)
    assert [request.id for request in requests] == [third.result.request, first.result.request]
    assert not opened.write(RequestRecords.record, an_intake(2)).duplicate


def test_a_work_first_seen_by_a_verb_that_failed_is_stored_by_the_next(opened):
    def half(tx):
        tx.requests.record(an_intake(1))
        raise KeyError

    with pytest.raises(KeyError):
        opened.write(half)
    recorded = opened.write(RequestRecords.record, an_intake(2))
    assert opened.read(JobRecords.get, recorded.jobs[0].id) == recorded.jobs[0]


def test_the_failure_of_a_question_is_its_own(opened):
    with pytest.raises(NoSuchRow):
        opened.read(RequestRecords.why, 99)
    assert opened.read(RequestRecords.find) == []


def test_a_command_runs_from_its_arrival_to_its_final_notice(opened):
    (job,) = opened.write(RequestRecords.record, an_intake(1)).jobs
    opened.write(JobRecords.start_attempt, job.id, 1.0)
    done = Ending(state=JobState.COMPLETED, code=0)
    finished = opened.write(JobRecords.finish_attempt, job.id, 1, done, 2.0)
    pending = opened.read(NoticeRecords.pending, "NSK1")
    assert pending[-1] == finished.notices[0]
    assert opened.write(NoticeRecords.deliver, [notice.id for notice in pending], 3.0) == 2
    assert opened.read(NoticeRecords.pending, "NSK1") == []


def test_a_closed_ledger_says_so(opened):
    opened.wait(opened.ledger.close())
    for ask in (opened.ledger.write, opened.ledger.read):
        with pytest.raises(LedgerError, match="closed"):
            opened.pump.ask(ask(Meta.uid))


def test_a_copy_made_while_it_is_open_holds_all_that_was_written(opened, tmp_path):
    recorded = opened.write(RequestRecords.record, an_intake(1))
    opened.pump.ask(opened.ledger.backup(tmp_path / "copy.db"))
    opened.write(RequestRecords.record, an_intake(2))
    with open_ledger(tmp_path / "copy.db") as tx:
        assert [request.id for request in tx.requests.find()] == [recorded.request]


def test_there_is_no_trouble_and_no_backlog_when_nothing_is_asked(opened):
    opened.write(RequestRecords.record, an_intake(1))
    assert opened.ledger.trouble is None
    opened.read(Meta.uid)
    assert opened.ledger.backlog == 0


def test_a_write_answers_what_it_has_changed(opened):
    def two(tx):
        tx.requests.record(an_intake(1))
        return tx.requests.cancel(tx.requests.record(an_intake(2)).request, "operator alice", 2.0)

    written = opened.pump.ask(opened.ledger.write(two))
    change = written.change
    assert [each.answer.word for each in change.answered] == [Word.ACCEPTED, Word.ACCEPTED]
    assert [notice.word for notice in change.notices] == [*[Word.ACCEPTED] * 2, Word.CANCELLED]
    assert list(change.notices) == opened.read(NoticeRecords.pending, "NSK1")
    assert [job.id for job in change.waiting] == [
        job.id for job in opened.read(JobRecords.live)
    ] + [job.id for job in written.result.ended]
    assert (change.ended, change.requests) == (written.result.ended, (change.ended[0].request,))


def test_a_verb_that_raised_leaves_nothing_in_the_change_of_another(opened):
    def half(tx):
        tx.requests.record(an_intake(1))
        raise KeyError

    failing = opened.ledger.write(half)
    after = opened.ledger.write(RequestRecords.record, an_intake(2))
    with pytest.raises(KeyError):
        opened.pump.ask(failing)
    written = opened.pump.ask(after)
    assert written.change.notices == written.result.notices
    assert written.change.waiting == written.result.jobs
