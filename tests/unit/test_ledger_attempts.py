"""What the ledger keeps of an attempt while it is under way."""

import pytest
from test_ledger_book import DONE, an_intake, book, words  # noqa: F401 - book is a fixture

from vtspolicy.jobs import RequestState
from vtspolicy.notices import Word


@pytest.fixture
def running(book):  # noqa: F811 - the fixture
    [job] = book.record(an_intake(1)).jobs
    return book.start_attempt(job.id, 101.0).job


def test_readings_are_kept_while_the_attempt_runs_and_not_changed_after_it(book, running):  # noqa: F811 - the fixture
    assert book.note_readings(running.id, 1, {"application_job": "7"})
    assert book.attempts(running.id)[0].readings == {"application_job": "7"}
    book.finish_attempt(running.id, 1, DONE, 102.0)
    assert not book.note_readings(running.id, 1, {"application_job": "8"})
    assert not book.note_readings(running.id, 2, {"application_job": "8"})


def test_progress_is_told_to_a_host_that_wants_it_while_the_attempt_runs(book):  # noqa: F811 - the fixture
    [quiet] = book.record(an_intake(1)).jobs
    book.start_attempt(quiet.id, 101.0)
    assert book.tell_progress(quiet.id, 1, 50, 160.0) == []
    [job] = book.record(an_intake(1, event=None, notify_all=True, digest="x")).jobs
    book.start_attempt(job.id, 101.0)
    [notice] = book.tell_progress(job.id, 1, 50, 160.0)
    assert (notice.word, notice.fields["pct"], notice.fields["attempt"]) == (Word.PROGRESS, 50, 1)
    assert book.tell_progress(job.id, 2, 50, 160.0) == []
    book.finish_attempt(job.id, 1, DONE, 170.0)
    assert book.tell_progress(job.id, 1, 60, 230.0) == []
    assert book.request(job.request).state is RequestState.COMPLETED
    assert words(book, job.request).count(Word.PROGRESS) == 1
