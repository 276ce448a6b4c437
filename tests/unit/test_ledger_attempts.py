"""What the ledger keeps of an attempt while it is under way."""

import pytest

from tests.harness.ledger_in_memory import DONE, an_intake, words
from vtspolicy.jobs import RequestState
from vtspolicy.notices import Word
from vtspolicy.testing.ledger import MemoryLedger


@pytest.fixture
def tx():
    ledger = MemoryLedger()
    yield ledger.tx
    ledger.destroy()


@pytest.fixture
def running(tx):
    [job] = tx.requests.record(an_intake(1)).jobs
    return tx.jobs.start_attempt(job.id, 101.0).job


def test_readings_are_kept_while_the_attempt_runs_and_not_changed_after_it(tx, running):
    assert tx.attempts.note_readings(running.id, 1, {"application_job": "7"})
    assert tx.attempts.of_job(running.id)[0].readings == {"application_job": "7"}
    tx.jobs.finish_attempt(running.id, 1, DONE, 102.0)
    assert not tx.attempts.note_readings(running.id, 1, {"application_job": "8"})
    assert not tx.attempts.note_readings(running.id, 2, {"application_job": "8"})


def test_progress_is_told_to_a_host_that_wants_it_while_the_attempt_runs(tx):
    [quiet] = tx.requests.record(an_intake(1)).jobs
    tx.jobs.start_attempt(quiet.id, 101.0)
    assert tx.jobs.tell_progress(quiet.id, 1, 50, 160.0) == []
    [job] = tx.requests.record(an_intake(1, event=None, notify_all=True, digest="x")).jobs
    tx.jobs.start_attempt(job.id, 101.0)
    [notice] = tx.jobs.tell_progress(job.id, 1, 50, 160.0)
    assert (notice.word, notice.fields["pct"], notice.fields["attempt"]) == (Word.PROGRESS, 50, 1)
    assert tx.jobs.tell_progress(job.id, 2, 50, 160.0) == []
    tx.jobs.finish_attempt(job.id, 1, DONE, 170.0)
    assert tx.jobs.tell_progress(job.id, 1, 60, 230.0) == []
    assert tx.requests.get(job.request).state is RequestState.COMPLETED
    assert words(tx, job.request).count(Word.PROGRESS) == 1
