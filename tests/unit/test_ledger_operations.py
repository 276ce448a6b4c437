"""The operations of the ledger, one after the other, as the engine and the operators use them."""

import json
import sqlite3

import pytest
from attrs import evolve
from automat import NoTransition

from tests.harness.evidence import a_copy, a_file
from tests.harness.evidence import a_tape as a_known_tape
from tests.harness.ledger_in_memory import ARCHIVE, DONE, a_tape, an_event, an_intake, words
from vtspolicy.events.event import Event, identity
from vtspolicy.jobs import JobState, RequestState
from vtspolicy.ledger import Ending, LedgerError, MountState, NoSuchRow, retention
from vtspolicy.ledger.works import work_of, work_text
from vtspolicy.notices import Notice, Word
from vtspolicy.rules.decision import PlannedJob
from vtspolicy.rules.work import Expectation, Limits, Poll, Query, Reading, Retry, Work
from vtspolicy.tapes import Brought, Copied, Emptied, Proof, Tape, TapeState
from vtspolicy.testing.ledger import MemoryLedger


@pytest.fixture
def tx():
    ledger = MemoryLedger()
    yield ledger.tx
    ledger.destroy()


FAILED = Ending(state=JobState.FAILED, kind="exited", code=12, reason="exit code 12")


def done_with(*outcomes):
    """The good end of a job that has done something to a tape."""
    return Ending(state=JobState.COMPLETED, code=0, outcomes=outcomes)


def finals(tx, request):
    return [word for word in words(tx, request) if word.is_final]


# -- recording


def test_an_accepted_command_becomes_a_request_with_jobs_and_one_notice(tx):
    recorded = tx.requests.record(an_intake(2, why='{"steps": [1]}'))

    assert [notice.word for notice in recorded.notices] == [Word.ACCEPTED]
    assert recorded.notices[0].fields == {
        "req": recorded.request,
        "jobs": 2,
        "ref": "R1",
        "family": "DSK",
        "operation": "archive",
    }
    request = tx.requests.get(recorded.request)
    assert (request.state, request.jobs, request.live) == (RequestState.OPEN, 2, 2)
    assert request.text == an_event().text
    assert tx.events.get(recorded.request) == an_event()
    assert tx.requests.why(recorded.request) == {"steps": [1]}


def test_the_jobs_that_are_returned_are_those_that_are_read_again(tx):
    recorded = tx.requests.record(an_intake(2, notify_all=True))
    tx.forget()
    assert tx.jobs.live() == list(recorded.jobs)


def test_a_repeated_event_gets_a_duplicate_with_the_first_number_and_nothing_else(tx):
    first = tx.requests.record(an_intake())
    again = tx.requests.record(an_intake(received=200.0, event=an_event(), event_id="E7"))

    assert again.duplicate
    assert again.request == first.request
    assert again.jobs == ()
    (notice,) = again.notices
    assert notice.word is Word.DUPLICATE
    assert notice.fields["req"] == first.request
    assert notice.fields["id"] == "E7"
    assert len(tx.jobs.live()) == 1
    assert len(tx.requests.find()) == 1


def test_a_plain_command_has_no_identity_and_is_never_a_duplicate(tx):
    plain = an_intake(event=Event(text="VTSPolicy DSK '/VAULT01/PAY'", wire="plain"), digest=None)
    assert not tx.requests.record(plain).duplicate
    assert not tx.requests.record(plain).duplicate


def test_a_rejected_command_shows_column_and_reason_and_is_over(tx):
    recorded = tx.requests.record(
        an_intake(
            0,
            state=RequestState.REJECTED,
            family=None,
            operation=None,
            reason="no such family",
            fields={"column": 11},
        )
    )
    (notice,) = recorded.notices
    assert notice.word is Word.REJECTED
    assert (notice.fields["column"], notice.fields["reason"]) == (11, "no such family")
    assert "jobs" not in notice.fields
    assert tx.requests.get(recorded.request).finished == 100.0
    assert tx.requests.live() == []


@pytest.mark.parametrize(
    ("state", "word"), [(RequestState.DENIED, Word.DENIED), (RequestState.NORULE, Word.NORULE)]
)
def test_a_refused_command_gets_its_word_and_no_final_notice(tx, state, word):
    recorded = tx.requests.record(an_intake(0, state=state, reason="not yours"))
    assert words(tx, recorded.request) == [word]


def test_a_status_command_is_answered(tx):
    recorded = tx.requests.record(an_intake(0, state=RequestState.ANSWERED, fields={"ok": 3}))
    assert words(tx, recorded.request) == [Word.STATUS]
    assert recorded.notices[0].fields["ok"] == 3


@pytest.mark.parametrize(
    ("end", "word"), [(None, Word.WARNING), (JobState.COMPLETED, Word.COMPLETED)]
)
def test_an_accepted_command_without_jobs_is_final_at_once(tx, end, word):
    recorded = tx.requests.record(an_intake(0, end=end, reason="the pool is empty"))
    assert [notice.word for notice in recorded.notices] == [Word.ACCEPTED, word]
    assert recorded.notices[1].fields["reason"] == "the pool is empty"
    assert tx.requests.get(recorded.request).state == RequestState[word.name]


def test_half_a_surrogate_pair_from_a_json_event_is_no_reason_to_fail(tx):
    recorded = tx.requests.record(an_intake(event=an_event(user="\ud800bad"), event_id="\udfff"))
    assert tx.events.get(recorded.request).user == "?bad"


def of_minute(minute, count=1, **more):
    return an_intake(count, event=an_event(minute), **more)


def rows(tx):
    """All that the ledger holds of commands, as it lies in the tables."""
    return [
        tx.sql.connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
        for table in ("events", "requests", "jobs", "works", "notices")
    ]


MANY = (
    of_minute(1),
    of_minute(2, 3),
    of_minute(3, 0, state=RequestState.DENIED, reason="no"),
    of_minute(4, 0, end=JobState.FAILED, reason="there is no such tape"),
    an_intake(0, event=Event(text="VTSPolicy Status 1"), digest=None, state=RequestState.ANSWERED),
    an_intake(event=an_event(5, user="\ud800bad"), event_id="\udfff"),
    of_minute(6, host="", actor="operator alice"),
    of_minute(7),
)


def one_by_one(tx, intakes):
    return [tx.requests.record(intake) for intake in intakes]


def all_together(tx, intakes):
    return tx.requests.record_all(intakes)


@pytest.mark.parametrize(
    "intakes",
    [MANY, (*MANY[:4], of_minute(2), *MANY[4:], of_minute(1)), (of_minute(1), of_minute(1))],
    ids=["all new", "some seen before", "one event twice"],
)
def test_commands_that_are_recorded_together_are_recorded_as_one_by_one(intakes):
    told, held = [], []
    for record in (one_by_one, all_together):
        ledger = MemoryLedger()
        ledger.tx.requests.record(of_minute(0, 2))
        told.append(record(ledger.tx, intakes))
        ledger.tx.requests.record(of_minute(59))
        held.append(rows(ledger.tx))
        ledger.destroy()
    assert held[0] == held[1]
    shapes = [[without_handles(each) for each in some] for some in told]
    assert shapes[0] == shapes[1]


def without_handles(recorded):
    """The same without handles: each ledger draws a name of its own for them."""
    return evolve(recorded, jobs=tuple(evolve(job, handle="") for job in recorded.jobs))


def test_every_byte_of_a_fields_value_comes_back(tx):
    odd = 'quote " backslash \\ tab \t NUL \0 snow \u2603 line\nend'
    recorded = tx.requests.record(an_intake(0, state=RequestState.DENIED, reason=odd))
    assert tx.notices.pending("NSK1")[0].fields["reason"] == odd
    assert tx.requests.get(recorded.request).reason == odd


def test_an_operators_command_waits_in_nobodys_outbox(tx):
    recorded = tx.requests.record(an_intake(host="", actor="operator alice"))
    assert tx.counts().pending == ()
    assert words(tx, recorded.request) == [Word.ACCEPTED]
    assert tx.history.about(f"request {recorded.request}")[0].actor == "operator alice"


# -- running


def run(tx, job, ending=DONE, at=110.0):
    started = tx.jobs.start_attempt(job.id, at)
    return tx.jobs.finish_attempt(job.id, started.job.attempt, ending, at + 5.0)


def test_a_job_starts_once(tx):
    (job,) = tx.requests.record(an_intake()).jobs
    started = tx.jobs.start_attempt(job.id, 110.0)
    assert (started.job.state, started.job.attempt) == (JobState.RUNNING, 1)
    assert started.job.started == 110.0
    assert started.notices == ()
    assert tx.jobs.start_attempt(job.id, 111.0) is None
    assert tx.jobs.start_attempt(999, 111.0) is None
    assert [attempt.number for attempt in tx.attempts.live()] == [1]


def test_the_only_job_ends_its_request_with_one_notice_that_shows_all(tx):
    (job,) = tx.requests.record(an_intake(event=an_event(id="E1"))).jobs
    finished = run(tx, job, FAILED)

    assert finished.changed
    assert finished.request_state is RequestState.FAILED
    (notice,) = finished.notices
    assert notice.word is Word.FAILED
    assert notice.fields == {
        "req": job.request,
        "job": job.id,
        "ref": "R1",
        "family": "DSK",
        "operation": "archive",
        "tape": "/VAULT01/PAY/A00000",
        "rc": 12,
        "attempt": 1,
        "secs": 5,
        "reason": "exit code 12",
        "id": "E1",
    }
    request = tx.requests.get(job.request)
    assert (request.state, request.failed, request.live) == (RequestState.FAILED, 1, 0)
    assert request.finished == 115.0
    assert request.reason == "exit code 12"
    assert tx.jobs.live() == []
    assert tx.attempts.live() == []


def test_the_second_report_of_an_attempt_changes_nothing(tx):
    (job,) = tx.requests.record(an_intake()).jobs
    run(tx, job)
    again = tx.jobs.finish_attempt(job.id, 1, FAILED, 200.0)
    assert not again.changed
    assert again.notices == ()
    assert again.job.state is JobState.COMPLETED
    assert finals(tx, job.request) == [Word.COMPLETED]


def test_the_report_of_an_attempt_that_never_was_is_refused(tx):
    (job,) = tx.requests.record(an_intake()).jobs
    tx.jobs.start_attempt(job.id, 110.0)
    with pytest.raises(NoSuchRow, match=f"attempt {job.id}-2"):
        tx.jobs.finish_attempt(job.id, 2, DONE, 111.0)
    with pytest.raises(NoSuchRow, match="job 99"):
        tx.jobs.finish_attempt(99, 1, DONE, 111.0)


def test_what_the_life_cycle_does_not_have_is_refused(tx):
    (job,) = tx.requests.record(an_intake()).jobs
    with pytest.raises(NoTransition):
        tx.jobs.end(job.id, JobState.COMPLETED, "", 111.0)
    tx.jobs.start_attempt(job.id, 110.0)
    with pytest.raises(ValueError, match="nothing ends as stopping"):
        tx.jobs.finish_attempt(job.id, 1, Ending(state=JobState.STOPPING), 111.0)


def test_the_second_report_of_an_attempt_that_is_to_be_repeated_changes_nothing(tx):
    (job,) = tx.requests.record(an_intake()).jobs
    retry = Ending(state=JobState.WAITING, code=1, due=300.0)
    run(tx, job, retry)
    assert not tx.jobs.finish_attempt(job.id, 1, DONE, 120.0).changed
    tx.jobs.start_attempt(job.id, 300.0)
    assert not tx.jobs.finish_attempt(job.id, 1, DONE, 310.0).changed
    assert tx.jobs.get(job.id).state is JobState.RUNNING


def test_a_run_that_was_ended_from_outside_is_cancelled(tx):
    (job,) = tx.requests.record(an_intake()).jobs
    finished = run(tx, job, Ending(state=JobState.CANCELLED, kind="signal", signal=15))
    assert finished.job.state is JobState.CANCELLED
    assert finals(tx, job.request) == [Word.CANCELLED]


def test_a_pool_gets_one_final_notice_with_counts_and_the_worst_word(tx):
    jobs = tx.requests.record(an_intake(3)).jobs
    warned = Ending(state=JobState.WARNING, kind="exited", code=4)
    assert run(tx, jobs[0], warned).notices == ()
    assert run(tx, jobs[1], FAILED).notices == ()
    (notice,) = run(tx, jobs[2]).notices

    assert notice.word is Word.FAILED
    counts = {key: notice.fields[key] for key in ("jobs", "ok", "warn", "failed")}
    assert counts == {"jobs": 3, "ok": 1, "warn": 1, "failed": 1}
    request = tx.requests.get(jobs[0].request)
    assert (request.ok, request.warn, request.failed) == (1, 1, 1)


def test_a_retry_makes_the_job_wait_and_tells_who_wants_to_know(tx):
    (job,) = tx.requests.record(an_intake(notify_all=True)).jobs
    started = tx.jobs.start_attempt(job.id, 110.0)
    assert [notice.word for notice in started.notices] == [Word.STARTED]
    again = Ending(state=JobState.WAITING, code=75, reason="no seat", due=170.0)
    finished = tx.jobs.finish_attempt(job.id, 1, again, 120.0)

    (notice,) = finished.notices
    assert notice.word is Word.RETRYING
    assert (notice.fields["rc"], notice.fields["attempt"], notice.fields["in"]) == (75, 1, 50)
    assert (finished.job.state, finished.job.due) == (JobState.WAITING, 170.0)
    second = tx.jobs.start_attempt(job.id, 170.0)
    assert (second.job.attempt, second.job.started) == (2, 110.0)
    attempts = tx.attempts.of_job(job.id)
    assert [(each.number, each.code, each.state) for each in attempts] == [
        (1, 75, JobState.WAITING),
        (2, None, None),
    ]


def test_a_job_that_waited_too_long_ends_without_an_attempt(tx):
    (job,) = tx.requests.record(an_intake()).jobs
    finished = tx.jobs.end(job.id, JobState.TIMEDOUT, "waited 3600 s", 4000.0)
    (notice,) = finished.notices
    assert notice.word is Word.TIMEDOUT
    assert "attempt" not in notice.fields
    assert not tx.jobs.end(job.id, JobState.FAILED, "", 4001.0).changed


def test_an_attempt_keeps_what_was_said_of_its_run(tx):
    (job,) = tx.requests.record(an_intake()).jobs
    told = Ending(
        state=JobState.FAILED, kind="signal", signal=9, output="the end", readings={"files": "1"}
    )
    run(tx, job, told)
    (attempt,) = tx.attempts.of_job(job.id)
    assert (attempt.kind, attempt.signal, attempt.output) == ("signal", 9, "the end")
    assert attempt.readings == {"files": "1"}


# -- cancelling


def test_cancelling_a_waiting_job_ends_it(tx):
    (job,) = tx.requests.record(an_intake()).jobs
    cancelled = tx.jobs.cancel(job.id, "operator alice", 120.0)
    assert [each.state for each in cancelled.ended] == [JobState.CANCELLED]
    assert cancelled.running == ()
    assert finals(tx, job.request) == [Word.CANCELLED]
    assert tx.jobs.cancel(job.id, "operator alice", 121.0).ended == ()


def test_cancelling_a_running_job_leaves_its_end_to_its_run(tx):
    first, second = tx.requests.record(an_intake(2)).jobs
    tx.jobs.start_attempt(first.id, 110.0)
    cancelled = tx.requests.cancel(first.request, "host NSK1", 120.0)
    assert [job.id for job in cancelled.running] == [first.id]
    assert [job.id for job in cancelled.ended] == [second.id]
    assert cancelled.notices == ()

    killed = Ending(state=JobState.CANCELLED, kind="signal", signal=15)
    finished = tx.jobs.finish_attempt(first.id, 1, killed, 125.0)
    assert finished.job.state is JobState.CANCELLED
    assert finished.job.reason == "cancelled by host NSK1"
    assert finals(tx, first.request) == [Word.CANCELLED]


def test_cancelling_a_pool_that_waits_ends_it_at_once_with_its_counts(tx):
    jobs = tx.requests.record(an_intake(4)).jobs
    run(tx, jobs[0])
    cancelled = tx.requests.cancel(jobs[0].request, "operator alice", 120.0)
    assert cancelled.ended == tuple(tx.jobs.get(job.id) for job in jobs[1:])
    assert {job.reason for job in cancelled.ended} == {"cancelled by operator alice"}
    (notice,) = cancelled.notices
    assert (notice.word, notice.fields["ok"], notice.fields["failed"]) == (Word.CANCELLED, 1, 3)
    line = tx.history.about(f"job {jobs[3].id}")[-1]
    assert (line.before, line.after, line.actor) == ("waiting", "cancelled", "operator alice")
    assert tx.counts().jobs[JobState.CANCELLED] == 3
    assert tx.jobs.live() == []


def test_a_cancelled_run_that_ended_well_before_the_signal_keeps_its_end(tx):
    (job,) = tx.requests.record(an_intake()).jobs
    tx.jobs.start_attempt(job.id, 110.0)
    tx.jobs.cancel(job.id, "operator alice", 120.0)
    assert tx.jobs.finish_attempt(job.id, 1, DONE, 121.0).job.state is JobState.COMPLETED


def test_a_cancelled_job_is_not_tried_again(tx):
    (job,) = tx.requests.record(an_intake()).jobs
    tx.jobs.start_attempt(job.id, 110.0)
    tx.jobs.cancel(job.id, "operator alice", 120.0)
    retry = Ending(state=JobState.WAITING, code=1, due=300.0)
    assert tx.jobs.finish_attempt(job.id, 1, retry, 121.0).job.state is JobState.CANCELLED


# -- again


def test_a_job_that_failed_is_run_again_under_a_new_handle(tx):
    (job,) = tx.requests.record(an_intake()).jobs
    with pytest.raises(LedgerError, match="is waiting"):
        tx.requests.renew(job.id, "operator alice", 200.0)
    run(tx, job, FAILED)
    recorded = tx.requests.renew(job.id, "operator alice", 200.0)

    (again,) = recorded.jobs
    assert not recorded.duplicate
    assert (again.work, again.values, again.tape) == (job.work, job.values, job.tape)
    assert (again.path, again.lock) == (job.path, job.lock)
    assert again.handle != job.handle
    renewed = tx.requests.get(recorded.request)
    assert (renewed.ref, renewed.again) == (None, job.request)
    assert [each.fields.get("again") for each in recorded.notices] == [job.request]
    for subject in (f"job {job.id}", f"request {recorded.request}"):
        assert f"job {job.id} is run again as job {again.id}" in [
            line.cause for line in tx.history.about(subject)
        ]


def test_a_job_is_not_run_again_while_it_is_by_way_of_an_older_renewal(tx):
    (job,) = tx.requests.record(an_intake()).jobs
    run(tx, job, FAILED)
    for _ in range(2):
        (again,) = tx.requests.renew(job.id, "operator alice", 200.0).jobs
        run(tx, again, FAILED)
    (third,) = tx.requests.renew(again.id - 1, "operator alice", 300.0).jobs
    with pytest.raises(LedgerError, match=f"again already, as job {third.id}$"):
        tx.requests.renew(job.id, "operator alice", 400.0)
    run(tx, third, FAILED)
    assert tx.requests.renew(job.id, "operator alice", 500.0).jobs


def test_a_job_is_not_run_again_while_another_repeat_of_the_same_is(tx):
    (job,) = tx.requests.record(an_intake()).jobs
    run(tx, job, FAILED)
    (one,) = tx.requests.renew(job.id, "operator alice", 200.0).jobs
    run(tx, one, FAILED)
    (two,) = tx.requests.renew(job.id, "operator alice", 300.0).jobs
    with pytest.raises(LedgerError, match=f"again already, as job {two.id}$"):
        tx.requests.renew(one.id, "operator alice", 400.0)


def test_former_renewals_cost_no_statement_each(tx):
    (job,) = tx.requests.record(an_intake()).jobs
    run(tx, job, FAILED)
    asked = []
    for _ in range(20):
        seen = []
        tx.sql.connection.set_trace_callback(seen.append)
        (again,) = tx.requests.renew(job.id, "operator alice", 200.0).jobs
        tx.sql.connection.set_trace_callback(None)
        asked.append(len(seen))
        run(tx, again, FAILED)
    assert max(asked) == asked[0]


def test_no_other_ledger_gives_the_same_handle():
    handles = set()
    for _ in range(2):
        ledger = MemoryLedger()
        handles.add(ledger.tx.requests.record(an_intake()).jobs[0].handle)
        ledger.destroy()
    assert len(handles) == 2


# -- outbox


def test_notices_wait_in_their_order_until_they_are_delivered(tx):
    for minute in range(3):
        tx.requests.record(an_intake(event=an_event(minute)))
    waiting = tx.notices.pending("NSK1")
    assert [notice.id for notice in waiting] == sorted(notice.id for notice in waiting)
    assert tx.notices.pending("NSK2") == []

    assert tx.notices.deliver([waiting[0].id], 200.0) == 1
    assert tx.notices.deliver([waiting[0].id], 201.0) == 0
    assert tx.notices.pending("NSK1") == waiting[1:]
    assert tx.notices.pending("NSK1", after_id=waiting[1].id) == waiting[2:]


def test_notices_of_a_time_that_is_spared_do_not_expire(tx):
    tx.requests.record(an_intake(received=100.0))
    assert tx.notices.expire(500.0, spared=((99.0, 101.0),)) == 0
    assert tx.notices.expire(500.0, spared=((101.0, 102.0),)) == 1


def test_notices_that_nobody_fetched_expire_by_age(tx):
    tx.requests.record(an_intake(received=100.0))
    tx.requests.record(an_intake(received=900.0, event=an_event(2)))
    assert tx.notices.expire(500.0) == 1
    (left,) = tx.notices.pending("NSK1")
    assert left.created == 900.0


def test_the_database_itself_refuses_a_second_final_notice(tx):
    (job,) = tx.requests.record(an_intake()).jobs
    run(tx, job)
    second = Notice(word=Word.FAILED, host="NSK1", fields={"req": job.request}, created=1.0)
    with pytest.raises(sqlite3.IntegrityError):
        tx.notices.add(second, job.request)


def test_counts_tell_jobs_by_state_and_what_hosts_have_not_got(tx):
    jobs = tx.requests.record(an_intake(3)).jobs
    run(tx, jobs[0])
    run(tx, jobs[1], FAILED)
    counts = tx.counts()
    assert counts.jobs[JobState.COMPLETED] == 1
    assert counts.jobs[JobState.FAILED] == 1
    assert counts.jobs[JobState.WAITING] == 1
    (pending,) = counts.pending
    assert (pending.host, pending.count, pending.oldest) == ("NSK1", 1, 100.0)


# -- history and retention


def test_the_history_shows_every_step_with_its_cause_and_actor(tx):
    (job,) = tx.requests.record(an_intake()).jobs
    run(tx, job, FAILED)
    lines = tx.history.about(f"request {job.request}")
    assert [(each.subject, each.before, each.after, each.actor) for each in lines] == [
        (f"request {job.request}", None, "open", "host NSK1"),
        (f"job {job.id}", None, "waiting", "engine"),
        (f"job {job.id}", "waiting", "running", "engine"),
        (f"job {job.id}", "running", "failed", "engine"),
        (f"request {job.request}", "open", "failed", "engine"),
    ]
    assert lines[3].cause == "exit code 12"
    assert tx.history.about(f"job {job.id}") == lines[1:4]


def test_the_history_is_in_the_order_of_recording_though_the_clock_was_set_back(tx):
    jobs = tx.requests.record(an_intake(2)).jobs
    assert tx.jobs.start_attempt(jobs[0].id, 90.0)
    tx.jobs.finish_attempt(jobs[0].id, 1, FAILED, 50.0)
    tx.jobs.end(jobs[1].id, JobState.TIMEDOUT, "too late", 40.0)
    tx.requests.renew(jobs[0].id, "operator alice", 30.0)
    told = [(each.subject, each.after) for each in tx.history.about(f"request {jobs[0].request}")]
    request, first, second = f"request {jobs[0].request}", f"job {jobs[0].id}", f"job {jobs[1].id}"
    assert told == [
        (request, "open"),
        (first, "waiting"),
        (second, "waiting"),
        (first, "running"),
        (first, "failed"),
        (second, "timedout"),
        (request, "failed"),
        (first, "failed"),  # is done again
    ]
    assert [each.after for each in tx.history.about(first)] == [
        "waiting",
        "running",
        "failed",
        "failed",
    ]


@pytest.mark.parametrize("count", [1, 2])
def test_a_notice_shows_no_time_below_nothing_though_the_clock_was_set_back(tx, count):
    for job in tx.requests.record(an_intake(count)).jobs:
        tx.jobs.start_attempt(job.id, 110.0)
        finished = tx.jobs.finish_attempt(job.id, 1, DONE, 50.0)
    assert finished.notices[0].fields["secs"] == 0


@pytest.mark.parametrize("number", [2**63, 10**30])
def test_a_number_that_no_row_can_have_is_that_of_no_row(tx, number):
    assert tx.jobs.get(number) is None
    assert tx.requests.get(number) is None
    assert tx.jobs.find(request=number) == []
    assert tx.jobs.find(before_id=number) == []
    assert tx.history.about(f"job {number}") == []
    for verb in (tx.jobs.cancel, tx.requests.cancel, tx.requests.renew):
        with pytest.raises(NoSuchRow, match=f"there is no (job|request) {number}"):
            verb(number, "operator alice", 1.0)


@pytest.mark.parametrize("change", ["UPDATE transitions SET cause = ''", "DELETE FROM transitions"])
def test_the_history_can_not_be_rewritten(tx, change):
    (job,) = tx.requests.record(an_intake()).jobs
    run(tx, job)
    with pytest.raises(sqlite3.IntegrityError, match="only ever added to"):
        tx.sql.connection.execute(change)


def test_retention_removes_what_finished_long_ago_and_nothing_that_lives(tx):
    old = tx.requests.record(an_intake(2)).jobs
    live = tx.requests.record(an_intake(1, event=an_event(2))).jobs
    for job in old:
        run(tx, job)
    assert tx.retention.prune(1000.0) == 0, "a notice waits for its host"
    tx.notices.deliver([notice.id for notice in tx.notices.pending("NSK1")], 120.0)
    assert tx.retention.prune(100.0) == 0

    assert tx.retention.prune(1000.0) == 1

    assert tx.requests.get(old[0].request) is None
    assert tx.attempts.of_job(old[0].id) == []
    assert tx.history.about(f"request {old[0].request}") == []
    assert [job.id for job in tx.jobs.find()] == [live[0].id]
    assert tx.counts().jobs[JobState.COMPLETED] == 0
    assert tx.retention.prune(1000.0) == 0
    assert tx.sql.connection.execute("PRAGMA foreign_key_check").fetchall() == []
    tx.requests.record(an_intake(event=an_event(3)))
    assert tx.history.about(f"request {live[0].request}") != []


def rules_of(tx):
    return dict(tx.sql.connection.execute("SELECT hash, rules FROM rule_tables ORDER BY hash"))


def test_a_rules_table_is_kept_as_long_as_what_it_decided(tx):
    trace = {"table": "t1", "number": None, "inputs": {"values": {}, "targets": []}}
    named = {"number": 1, "rule": "a", "targets": [], "tapes": []}
    outline = json.dumps([{**named, "conditions": [["family", "TSM"]]}])
    tx.meta.keep_rule_table("t1", outline)
    (job,) = tx.requests.record(an_intake(table="t1", why=json.dumps(trace))).jobs
    tx.meta.keep_rule_table("t2", "[]")
    tx.meta.keep_rule_table("t3", "[]")
    assert rules_of(tx).keys() == {"t1", "t2", "t3"}
    step = {"number": 1, "rule": "a", "matched": False, "condition": "family: TSM"}
    assert tx.requests.why(job.request)["steps"] == [{**step, "found": "none"}]

    run(tx, job)
    tx.notices.deliver([notice.id for notice in tx.notices.pending("NSK1")], 120.0)
    tx.retention.prune(100.0)
    assert rules_of(tx).keys() == {"t1", "t2", "t3"}
    tx.retention.prune(1000.0)
    assert rules_of(tx).keys() == {"t3"}


def test_a_rules_table_that_is_in_use_again_stays(tx):
    tx.meta.keep_rule_table("t1", "[]")
    tx.meta.keep_rule_table("t2", "[]")
    tx.meta.keep_rule_table("t1", "[]")
    tx.retention.prune(1000.0)
    assert rules_of(tx).keys() == {"t1"}


def test_retention_looks_at_so_many_requests_and_waits_where_their_notices_wait(tx, monkeypatch):
    monkeypatch.setattr(retention, "LOOKED_AT", 3)
    for minute in range(5):
        (job,) = tx.requests.record(an_intake(event=an_event(minute))).jobs
        run(tx, job)
    waiting = tx.notices.pending("NSK1")
    tx.notices.deliver([each.id for each in waiting if each.fields["req"] > 3], 120.0)
    assert tx.retention.prune(1000.0) == 0
    tx.notices.deliver([each.id for each in waiting if each.fields["req"] == 2], 120.0)
    assert [tx.retention.prune(1000.0) for _ in range(3)] == [1, 1, 1]
    assert [each.id for each in tx.requests.find()] == [3, 1]


def test_retention_removes_what_the_program_did_to_tapes_and_keeps_what_operators_did(tx):
    for actor in ("engine", "cleanup", "operator alice"):
        cause = "seen by a scan"
        tx.history.add("tape /V/P/A", "written", "deleted", cause=cause, actor=actor, at=1.0)
    tx.retention.prune(1000.0)
    assert [line.actor for line in tx.history.about("tape /V/P/A")] == ["operator alice"]


def test_retention_leaves_what_bears_a_time_that_is_spared(tx):
    (job,) = tx.requests.record(an_intake()).jobs
    run(tx, job)
    tx.notices.deliver([notice.id for notice in tx.notices.pending("NSK1")], 120.0)
    at = tx.requests.get(job.request).finished
    tx.history.add("tape /V/P/A", None, "written", cause="", actor="engine", at=at)
    spared = ((1.0, 2.0), (at - 1.0, at + 1.0))
    assert tx.retention.prune(1000.0, spared=spared) == 0
    assert tx.retention.prune(1000.0, spared=((at - 2.0, at - 1.0),)) == 1
    assert tx.history.about("tape /V/P/A") == []


def test_retention_goes_in_steps(tx):
    for minute in range(5):
        (job,) = tx.requests.record(an_intake(event=an_event(minute))).jobs
        run(tx, job)
    tx.notices.deliver([notice.id for notice in tx.notices.pending("NSK1")], 120.0)
    assert [tx.retention.prune(1000.0, limit=2) for _ in range(3)] == [2, 2, 1]


def test_a_step_of_retention_ends_with_a_large_request(tx, monkeypatch):
    monkeypatch.setattr(retention, "JOBS_AT_ONCE", 3)
    for minute, jobs in enumerate((1, 3, 1, 1)):
        for job in tx.requests.record(an_intake(jobs, event=an_event(minute))).jobs:
            run(tx, job)
    tx.notices.deliver([notice.id for notice in tx.notices.pending("NSK1")], 120.0)
    assert [tx.retention.prune(1000.0) for _ in range(3)] == [2, 2, 0]


def test_a_number_that_retention_removed_is_not_given_again(tx):
    (job,) = tx.requests.record(an_intake()).jobs
    run(tx, job)
    tx.notices.deliver([notice.id for notice in tx.notices.pending("NSK1")], 120.0)
    tx.retention.prune(1000.0)
    (later,) = tx.requests.record(an_intake()).jobs
    assert later.id > job.id
    assert later.request > job.request


# -- filters


def test_jobs_are_found_by_what_they_are_and_by_pages(tx):
    first = tx.requests.record(an_intake(2)).jobs
    second = tx.requests.record(an_intake(1, event=an_event(2), host="NSK2", ref="R2")).jobs
    run(tx, first[0], FAILED)
    assert [job.id for job in tx.jobs.find(state=JobState.FAILED)] == [first[0].id]
    assert [job.id for job in tx.jobs.find(host="NSK2")] == [second[0].id]
    assert [job.id for job in tx.jobs.find(ref="R2")] == [second[0].id]
    assert [job.id for job in tx.jobs.find(tape="/VAULT01/PAY/A00001")] == [first[1].id]
    assert [job.id for job in tx.jobs.find(limit=2)] == [second[0].id, first[1].id]
    assert [job.id for job in tx.jobs.find(before_id=first[1].id)] == [first[0].id]
    assert [each.id for each in tx.requests.find(ref="R2", host="NSK2")] == [second[0].request]
    assert tx.requests.find(ref="R2", host="NSK1") == []


# -- tapes


def test_a_migration_marks_the_tape_as_it_was_copied(tx):
    (job,) = tx.requests.record(an_intake(1)).jobs
    file = a_file(4096, 50.0)
    made = a_copy(a_known_tape(file), handle=job.handle)
    run(tx, job, done_with(Copied(tape=a_known_tape(file), copy=made)))
    tape = tx.tapes.get(made.path)
    assert (tape.state, tape.handle, tape.application) == (TapeState.MIGRATED, job.handle, "DSK")
    assert (tape.copied_size, tape.copied_written, tape.kept) == (4096, 50.0, file)
    assert tx.tapes.find(handle=job.handle) == [tape]
    (copy,) = tx.copies.of_tape(made.path)
    assert (copy.id, copy.job, copy.after, copy.proof) == (tape.held, job.id, file, Proof.FOUND)
    assert tx.copies.work_of(copy) == ARCHIVE
    (line,) = tx.history.about("tape /VAULT01/PAY/A00017")
    assert line.after == "migrated"


def test_a_migration_that_failed_marks_nothing(tx):
    (job,) = tx.requests.record(an_intake(1)).jobs
    run(tx, job, Ending(state=JobState.FAILED, code=1))
    path = a_tape(0).path
    assert (tx.tapes.get(path), tx.copies.of_tape(path)) == (None, [])


def test_a_tape_has_all_its_copies_the_newest_first(tx):
    file = a_file()
    for minute in (1, 2, 3):
        (job,) = tx.requests.record(an_intake(1, event=an_event(minute))).jobs
        copy = a_copy(a_known_tape(file), handle=f"H{minute}", doubt="d" if minute == 2 else None)
        run(tx, job, done_with(Copied(tape=a_known_tape(file), copy=copy, known=minute != 2)))
    copies = tx.copies.of_tape("/v/PAY/A00017")
    assert [each.handle for each in copies] == ["H3", "H2", "H1"]
    assert [each.doubt for each in copies] == [None, "d", None]
    assert tx.copies.by_path() == {"/v/PAY/A00017": copies}
    assert tx.copies.get(copies[1].id) == copies[1]


def test_a_tape_that_was_erased_and_restored_still_has_its_copy(tx):
    there = a_known_tape(a_file())
    tx.tapes.save(there)
    (job,) = tx.requests.record(an_intake(1)).jobs
    run(tx, job, done_with(Copied(tape=there, copy=a_copy(there, demanded=Proof.DATA))))
    (copy,) = tx.copies.of_tape(there.path)
    assert copy.demanded is Proof.DATA
    empty, back = a_file(0, 92.0), a_file(10, 93.0, inode=8)
    for minute, then, outcome, state in [
        (2, "erased", Emptied(tape=there, file=empty), TapeState.ERASED),
        (
            3,
            "restored",
            Brought(tape=a_known_tape(back), file=back, copy=copy.id),
            TapeState.MIGRATED,
        ),
        (4, "deleted", Emptied(tape=a_known_tape(back), file=None), TapeState.DELETED),
    ]:
        work = Work(application="DSK", then=then)
        (job,) = tx.requests.record(an_intake(1, work=work, event=an_event(minute))).jobs
        run(tx, job, done_with(outcome))
        assert tx.tapes.get(there.path).state is state
        assert tx.tapes.get(there.path).held == copy.id
    (copy,) = tx.copies.of_tape(there.path)
    assert [(each.fingerprint, each.sure) for each in copy.restored] == [(back, True)]


def test_what_was_emptied_without_proof_is_scratch_and_its_copy_an_old_one(tx):
    there = a_known_tape(a_file())
    (job,) = tx.requests.record(an_intake(1)).jobs
    run(tx, job, done_with(Copied(tape=there, copy=a_copy(there))))
    written = a_known_tape(a_file(11, 60.0))
    (job,) = tx.requests.record(
        an_intake(1, work=Work(application="DSK", then="erased"), event=an_event(2))
    ).jobs
    run(tx, job, done_with(Emptied(tape=written, file=a_file(0, 92.0), proven=False)))
    assert tx.tapes.get(there.path).state is TapeState.SCRATCH
    assert len(tx.copies.of_tape(there.path)) == 1


def test_a_copy_is_proven_and_lost_once(tx):
    there = a_known_tape(a_file())
    tx.tapes.save(there)
    copy = tx.copies.add(a_copy(there, found=False))
    tape = tx.tapes.prove_copy(there, copy, Proof.DATA, 70.0, digest="ab")
    assert (tape.held, tape.verified, tape.kept) == (copy.id, 70.0, there.seen)
    (copy,) = tx.copies.of_tape(there.path)
    assert (copy.proof, copy.proved, copy.digest) == (Proof.DATA, 70.0, "ab")
    assert tx.copies.lose(copy, 80.0, "it is gone")
    assert not tx.copies.lose(copy, 90.0, "it is gone")
    assert tx.copies.of_tape(there.path)[0].lost == 80.0
    line = tx.history.about(f"tape {there.name}")[0]
    assert (line.before, line.after) == ("copied", "copy lost")


def test_retention_keeps_the_copies_of_tapes(tx):
    there = a_known_tape(a_file())
    (job,) = tx.requests.record(an_intake(1)).jobs
    run(tx, job, done_with(Copied(tape=there, copy=a_copy(there))))
    tx.notices.deliver([notice.id for notice in tx.notices.pending("NSK1")], 120.0)
    tx.retention.prune(1000.0)
    assert tx.jobs.get(job.id) is None
    (copy,) = tx.copies.of_tape(there.path)
    assert (copy.job, tx.copies.work_of(copy)) == (job.id, ARCHIVE)


def test_a_scan_never_touches_the_marks_of_copies(tx):
    tx.tapes.save(a_tape(0, handle="H", migrated=1.0))
    assert tx.tapes.save_files([a_tape(0, size=99), a_tape(1)], 60.0) == 2
    assert tx.tapes.save_files([a_tape(0, size=99), a_tape(1)], 60.0) == 0
    tape = tx.tapes.get(a_tape(0).path)
    assert (tape.size, tape.handle) == (99, "H")
    assert len(tx.tapes.find()) == 2
    assert len(tx.tapes.find(pool="PAY", after=tape.path)) == 1


def test_names_that_occur_twice_are_both_found(tx):
    tx.tapes.save(a_tape(1))
    tx.tapes.save(Tape(vault="V2", pool="P", cartridge="A00001", path="/x/A00001"))
    assert len(tx.tapes.named("A00001")) == 2


def test_an_override_is_kept_with_who_and_why(tx):
    there = a_known_tape(a_file(), cartridge="A00000")
    tx.tapes.save(there)
    tape = tx.orders.set_override(there, "tested by hand", "operator alice", 10.0, job=3)
    assert (tape.override, tape.override_at) == ("tested by hand", 10.0)
    assert (tape.override_seen, tape.override_job) == (there.seen, 3)
    assert tx.tapes.get(tape.path) == tape
    (line,) = tx.history.about(f"tape {tape.name}")
    assert (line.before, line.after, line.cause) == ("guarded", "overridden", "tested by hand")
    assert line.actor == "operator alice"
    with pytest.raises(NoSuchRow):
        tx.orders.set_override(a_known_tape(cartridge="NONE"), "", "operator alice", 10.0)


@pytest.mark.parametrize(("order", "left"), [(None, None), ("own", None), ("other", "by hand")])
def test_an_override_ends_with_its_own_order(tx, order, left):
    there = a_known_tape(a_file())
    tx.tapes.save(there)
    work = Work(application="DSK", then="erased")
    planned = PlannedJob(work=work, values={"path": there.path}, lock=there.name, tape=there)
    (job,) = tx.requests.record(an_intake(jobs=(planned,), work=work)).jobs
    number = {None: None, "own": job.id, "other": job.id + 1}[order]
    tx.orders.set_override(there, "by hand", "operator alice", 90.0, job=number)
    run(tx, job, Ending(state=JobState.FAILED, reason="in use"))
    assert tx.tapes.get(there.path).override == left


# -- mounts


def test_a_mount_that_waits_for_its_tape_is_closed_once(tx):
    event = an_event(text="$ZSVR: 0412 MOUNT A00017 WITH RING")
    digest = identity("NSK1", event)
    told = {"event": event, "host": "NSK1", "digest": digest, "seq": "0412", "volume": "A00017"}
    mount = tx.mounts.record(**told, received=10.0, state=MountState.RESTORING)
    assert tx.mounts.record(**told, received=11.0) is None
    assert tx.mounts.open() == [mount]
    assert tx.mounts.open("NSK1", "0412") == [mount]
    ready = tx.mounts.move(mount.id, MountState.READY, 20.0)
    assert (ready.state, ready.closed) == (MountState.READY, 20.0)
    assert tx.mounts.move(mount.id, MountState.FAILED, 21.0) is None
    assert tx.mounts.open() == []
    assert tx.retention.prune(100.0) == 1
    assert tx.mounts.record(**told, received=12.0) is not None


# -- works


def test_a_work_comes_back_as_it_was(tx):
    query = Query(
        run=("q", "{handle}"),
        outcome={"0": "completed"},
        readings=(Reading(name="files", pattern="(\\d+) files"),),
        expect=(Expectation(reading="files", equals="1"),),
    )
    work = Work(
        application="BAC",
        run=("a",),
        then="restored",
        env={"A": "{b}"},
        outcome={"default": "failed"},
        verify=query,
        poll=Poll(query=query, every=3.0),
        limits=Limits(attempt=3.5),
        retry=Retry(attempts=3),
        calendar={"end": ("2026-12-31",)},
    )
    assert work_of(work_text(work)) == work
    (job,) = tx.requests.record(an_intake(work=work)).jobs
    tx.forget()
    assert tx.jobs.get(job.id).work == work
    tx.requests.record(an_intake(event=an_event(2), work=work_of(work_text(work))))
    assert tx.sql.connection.execute("SELECT count(*) FROM works").fetchone() == (1,)
