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
def tx():
    ledger = MemoryLedger()
    yield ledger.tx
    ledger.destroy()


def record(tx, count, **more):
    event = Event(text="VTSPolicy DSK '/V/P'", time=datetime(2026, 11, 22))  # noqa: DTZ001 - shown
    intake = Intake(
        event=event,
        host="NSK1",
        received=100.0,
        state=RequestState.OPEN,
        jobs=(PlannedJob(work=WORK, values={}, lock=None),) * count,
        **more,
    )
    return tx.requests.record(intake).jobs


def end(tx, job, at, state, reason=None, **more):
    tx.jobs.start_attempt(job.id, at)
    return tx.jobs.finish_attempt(job.id, 1, Ending(state=state, reason=reason, **more), at)


def final(tx):
    (notice,) = (each for each in tx.notices.of_request(1) if each.word.is_final)
    return notice


def test_a_request_ends_for_the_reason_of_the_first_of_its_worst_jobs(tx):
    first, second, third, fourth = record(tx, 4)
    end(tx, fourth, 101.0, JobState.WARNING, "one file skipped")
    end(tx, third, 102.0, JobState.FAILED, "the drive is gone")
    end(tx, first, 103.0, JobState.FAILED, "the drive is still gone")
    end(tx, second, 104.0, JobState.COMPLETED)
    assert tx.requests.get(1).reason == "the drive is gone"
    assert (final(tx).word, final(tx).fields["reason"]) == (Word.FAILED, "the drive is gone")
    assert list(final(tx).fields)[-2:] == ["secs", "reason"]


def test_a_reason_that_nobody_gave_does_not_hide_that_of_another(tx):
    first, second = record(tx, 2)
    end(tx, first, 101.0, JobState.FAILED)
    end(tx, second, 102.0, JobState.FAILED, "the drive is gone")
    assert tx.requests.get(1).reason == "the drive is gone"


def test_a_request_whose_jobs_all_succeed_has_no_reason(tx):
    for number, job in enumerate(record(tx, 2)):
        end(tx, job, 101.0 + number, JobState.COMPLETED)
    assert tx.requests.get(1).reason is None
    assert "reason" not in final(tx).fields


def test_those_that_wait_when_one_has_failed_do_not_take_its_reason_away(tx):
    first, _, _ = record(tx, 3)
    end(tx, first, 101.0, JobState.FAILED, "the drive is gone")
    tx.requests.cancel(1, "operator alice", 102.0)
    assert final(tx).fields["reason"] == "the drive is gone"


def test_a_job_that_was_stopped_unseen_shows_who_wanted_it_and_what_is_not_known(tx):
    (job,) = record(tx, 1)
    tx.jobs.start_attempt(job.id, 101.0)
    tx.jobs.cancel(job.id, "operator alice", 102.0)
    ending = Ending(state=JobState.INTERRUPTED, reason="job 77 is in state R", over=False)
    after = tx.jobs.finish_attempt(job.id, 1, ending, 103.0).job
    assert after.state is JobState.INTERRUPTED
    assert after.reason == "cancelled by operator alice; job 77 is in state R"
    assert final(tx).fields["reason"] == after.reason
    assert tx.attempts.of_job(job.id)[0].reason == "job 77 is in state R"


def test_a_job_whose_run_died_while_it_was_stopped_is_cancelled(tx):
    (job,) = record(tx, 1)
    tx.jobs.start_attempt(job.id, 101.0)
    tx.jobs.cancel(job.id, "operator alice", 102.0)
    ending = Ending(state=JobState.INTERRUPTED, reason="the machine was restarted")
    after = tx.jobs.finish_attempt(job.id, 1, ending, 103.0).job
    assert (after.state, after.reason) == (JobState.CANCELLED, "cancelled by operator alice")


def test_jobs_that_had_nothing_to_do_tell_why(tx):
    first, second = record(tx, 2)
    end(tx, second, 101.0, JobState.COMPLETED, "tape P00002 is empty already")
    end(tx, first, 102.0, JobState.COMPLETED)
    assert tx.requests.get(1).reason == "tape P00002 is empty already"
    assert final(tx).word is Word.COMPLETED
    assert final(tx).fields["reason"] == "tape P00002 is empty already"


@pytest.mark.parametrize(
    ("named", "told"), [("/VAULT01/PAY", "/VAULT01/PAY"), ("A00001 A00002", None), (None, None)]
)
def test_the_final_notice_of_several_jobs_names_what_the_command_named(tx, named, told):
    for job in record(tx, 2, fields={} if named is None else {"tape": named}):
        end(tx, job, 101.0, JobState.COMPLETED)
    assert final(tx).fields.get("tape") == told
