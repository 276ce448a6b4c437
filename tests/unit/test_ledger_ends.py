"""Why a job, and a request of several, ended as it did: whose reason is given."""

from datetime import datetime

import pytest

from vtspolicy.events.event import Event
from vtspolicy.jobs import JobState, RequestState
from vtspolicy.ledger import Ending, Intake
from vtspolicy.notices import Word
from vtspolicy.rules.decision import PlannedJob
from vtspolicy.rules.work import Work
from vtspolicy.testing.ledger import MemoryLedger

WORK = Work(application="DSK", run=("true",))


@pytest.fixture
def book():
    ledger = MemoryLedger()
    yield ledger.book
    ledger.destroy()


def record(book, count, **more):
    event = Event(text="VTSPolicy DSK '/V/P'", time=datetime(2026, 11, 22))  # noqa: DTZ001 - shown
    intake = Intake(
        event=event,
        host="NSK1",
        received=100.0,
        state=RequestState.OPEN,
        jobs=(PlannedJob(work=WORK, values={}, lock=None),) * count,
        **more,
    )
    return book.record(intake).jobs


def end(book, job, at, state, reason=None, **more):
    book.start_attempt(job.id, at)
    return book.finish_attempt(job.id, 1, Ending(state=state, reason=reason, **more), at)


def final(book):
    (notice,) = (each for each in book.notices_of(1) if each.word.is_final)
    return notice


def test_a_request_ends_for_the_reason_of_the_first_of_its_worst_jobs(book):
    first, second, third, fourth = record(book, 4)
    end(book, fourth, 101.0, JobState.WARNING, "one file skipped")
    end(book, third, 102.0, JobState.FAILED, "the drive is gone")
    end(book, first, 103.0, JobState.FAILED, "the drive is still gone")
    end(book, second, 104.0, JobState.COMPLETED)
    assert book.request(1).reason == "the drive is gone"
    assert (final(book).word, final(book).fields["reason"]) == (Word.FAILED, "the drive is gone")
    assert list(final(book).fields)[-2:] == ["secs", "reason"]


def test_a_reason_that_nobody_gave_does_not_hide_that_of_another(book):
    first, second = record(book, 2)
    end(book, first, 101.0, JobState.FAILED)
    end(book, second, 102.0, JobState.FAILED, "the drive is gone")
    assert book.request(1).reason == "the drive is gone"


def test_a_request_whose_jobs_all_succeed_has_no_reason(book):
    for number, job in enumerate(record(book, 2)):
        end(book, job, 101.0 + number, JobState.COMPLETED)
    assert book.request(1).reason is None
    assert "reason" not in final(book).fields


def test_those_that_wait_when_one_has_failed_do_not_take_its_reason_away(book):
    first, _, _ = record(book, 3)
    end(book, first, 101.0, JobState.FAILED, "the drive is gone")
    book.cancel_request(1, "operator alice", 102.0)
    assert final(book).fields["reason"] == "the drive is gone"


def test_a_job_that_was_stopped_unseen_shows_who_wanted_it_and_what_is_not_known(book):
    (job,) = record(book, 1)
    book.start_attempt(job.id, 101.0)
    book.cancel_job(job.id, "operator alice", 102.0)
    ending = Ending(state=JobState.INTERRUPTED, reason="job 77 is in state R", over=False)
    after = book.finish_attempt(job.id, 1, ending, 103.0).job
    assert after.state is JobState.INTERRUPTED
    assert after.reason == "cancelled by operator alice; job 77 is in state R"
    assert final(book).fields["reason"] == after.reason
    assert book.attempts(job.id)[0].reason == "job 77 is in state R"


def test_a_job_whose_run_died_while_it_was_stopped_is_cancelled(book):
    (job,) = record(book, 1)
    book.start_attempt(job.id, 101.0)
    book.cancel_job(job.id, "operator alice", 102.0)
    ending = Ending(state=JobState.INTERRUPTED, reason="the machine was restarted")
    after = book.finish_attempt(job.id, 1, ending, 103.0).job
    assert (after.state, after.reason) == (JobState.CANCELLED, "cancelled by operator alice")


def test_jobs_that_had_nothing_to_do_tell_why(book):
    first, second = record(book, 2)
    end(book, second, 101.0, JobState.COMPLETED, "tape P00002 is empty already")
    end(book, first, 102.0, JobState.COMPLETED)
    assert book.request(1).reason == "tape P00002 is empty already"
    assert final(book).word is Word.COMPLETED
    assert final(book).fields["reason"] == "tape P00002 is empty already"


@pytest.mark.parametrize(
    ("named", "told"), [("/VAULT01/PAY", "/VAULT01/PAY"), ("A00001 A00002", None), (None, None)]
)
def test_the_final_notice_of_several_jobs_names_what_the_command_named(book, named, told):
    for job in record(book, 2, fields={} if named is None else {"tape": named}):
        end(book, job, 101.0, JobState.COMPLETED)
    assert final(book).fields.get("tape") == told
