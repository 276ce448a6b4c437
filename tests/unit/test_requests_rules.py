"""What becomes of jobs and requests: which state follows, whose reason counts, what notices say."""

import pytest
from automat import NoTransition

from vtspolicy.events.event import Event
from vtspolicy.jobs import (
    ENDS,
    STARTED_AS,
    STARTS_FROM,
    TRANSITIONS,
    Ending,
    Job,
    JobLife,
    JobState,
    Request,
    RequestState,
    ended,
    ended_unstarted,
    to_be_stopped,
)
from vtspolicy.notices import Word
from vtspolicy.requests import (
    Intake,
    Standing,
    duplicate_fields,
    end_at_once,
    final_fields,
    first_notices,
    reason_of,
    renewal,
    retry_fields,
    target_of,
    why_not_renewed,
)
from vtspolicy.rules.decision import PlannedJob
from vtspolicy.rules.work import Work
from vtspolicy.tapes import Tape

WORK = Work(application="DSK", run=("true",))
TAPE = Tape(vault="V", pool="P", cartridge="A", path="/V/P/A")


def job(**more):
    given = {
        "id": 23,
        "request": 17,
        "host": "NSK1",
        "work": WORK,
        "values": {},
        "rule": "nightly",
        "lock": "/V/P/A",
        "priority": 0,
        "handle": "vts-1",
        "state": JobState.RUNNING,
        "tape": "/V/P/A",
        "path": "/V/P/A",
        "attempt": 2,
        "started": 10.0,
        "code": 4,
    }
    return Job(**{**given, **more})


def standing(jobs=1, live=1, **ends):
    return Standing(
        ref="R1",
        again=None,
        family="DSK",
        operation="archive",
        event_id="e1",
        received=5.0,
        jobs=jobs,
        live=live,
        ends={state: ends.get(state.value, 0) for state in ENDS},
    )


def intake(**more):
    given = {
        "event": Event(text="VTSPolicy DSK", id="own"),
        "host": "NSK1",
        "received": 1.0,
        "state": RequestState.OPEN,
        "family": "DSK",
        "ref": "R1",
    }
    return Intake(**{**given, **more})


# -- jobs


@pytest.mark.parametrize(
    ("ending", "over", "state", "reason"),
    [
        (JobState.FAILED, True, JobState.FAILED, "exit code 8"),  # it ended on its own
        (JobState.TIMEDOUT, True, JobState.CANCELLED, "cancelled by alice"),
        (JobState.WAITING, True, JobState.CANCELLED, "cancelled by alice"),
        (JobState.INTERRUPTED, True, JobState.CANCELLED, "cancelled by alice"),
        (JobState.INTERRUPTED, False, JobState.INTERRUPTED, "cancelled by alice; exit code 8"),
    ],
)
def test_whose_reason_counts_of_a_job_that_was_to_stop(ending, over, state, reason):
    before = job(state=JobState.STOPPING, reason="cancelled by alice")
    after = ended(before, Ending(state=ending, reason="exit code 8", over=over, code=8), 20.0)
    assert (after.state, after.reason, after.code, after.finished) == (state, reason, 8, 20.0)


def test_a_job_that_is_tried_again_waits_until_it_is_due():
    after = ended(job(due=1.0), Ending(state=JobState.WAITING, due=80.0, reason="busy"), 20.0)
    assert (after.state, after.due, after.finished, after.reason) == (
        *(JobState.WAITING, 80.0, None, "busy"),
    )
    ended_now = ended(job(due=1.0), Ending(state=JobState.COMPLETED, due=80.0), 20.0)
    assert (ended_now.due, ended_now.reason) == (1.0, None)


def test_a_job_that_waits_ends_without_an_attempt_only_as_its_life_allows():
    waits = job(state=JobState.WAITING, attempt=0, started=None)
    after = ended_unstarted(waits, JobState.TIMEDOUT, "too late", 9.0)
    assert (after.state, after.reason, after.finished) == (JobState.TIMEDOUT, "too late", 9.0)
    with pytest.raises(NoTransition):
        ended_unstarted(waits, JobState.COMPLETED, "", 9.0)
    with pytest.raises(NoTransition):
        ended(waits, Ending(state=JobState.WARNING), 9.0)


def test_a_job_is_to_be_stopped_once():
    stopping = to_be_stopped(job(), "cancelled by alice")
    assert (stopping.state, stopping.reason) == (JobState.STOPPING, "cancelled by alice")
    with pytest.raises(NoTransition):
        to_be_stopped(stopping, "again")


# -- when a request is final


def test_a_request_is_final_with_its_last_job_and_the_worst_end_wins():
    first = standing(jobs=3, live=3).after(JobState.FAILED)
    assert (first.live, first.final) == (2, None)
    last = first.after(JobState.COMPLETED, 2)
    assert (last.live, last.final) == (0, Word.FAILED)
    assert (last.ends[JobState.COMPLETED], last.ends[JobState.FAILED]) == (2, 1)


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({}, Word.WARNING),  # about nothing
        ({"end": JobState.COMPLETED}, Word.COMPLETED),
        ({"state": RequestState.DENIED}, None),
        ({"jobs": (PlannedJob(work=WORK, values={}, lock=None, tape=TAPE),)}, None),
    ],
)
def test_a_command_is_final_at_once_where_nothing_is_to_be_waited_for(more, word):
    assert end_at_once(intake(**more)) is word


# -- what notices say


def test_the_first_notice_says_what_became_of_a_command():
    [(word, fields)] = first_notices(intake(jobs=(None, None), fields={"tape": "/V/P"}), 17, None)
    assert (word, fields["jobs"], fields["tape"], fields["id"]) == (Word.ACCEPTED, 2, "/V/P", "own")
    refused = intake(state=RequestState.DENIED, reason="not yours", event_id="theirs")
    [(word, fields)] = first_notices(refused, 17, None)
    assert (word, fields["reason"], fields["id"]) == (Word.DENIED, "not yours", "theirs")
    assert "jobs" not in fields


def test_a_command_that_is_final_at_once_has_its_final_notice_too():
    told = list(
        first_notices(intake(reason="no tape is due", fields={"tape": "/V"}), 17, Word.WARNING)
    )
    assert [word for word, _fields in told] == [Word.ACCEPTED, Word.WARNING]
    assert "reason" not in told[0][1]
    assert (told[1][1]["reason"], told[1][1]["tape"], told[1][1]["jobs"]) == (
        *("no tape is due", "/V", 0),
    )


@pytest.mark.parametrize(("state", "told"), [("open", None), ("failed", "failed")])
def test_a_duplicate_says_how_the_first_one_ended(state, told):
    known = Request(id=17, host="NSK1", received=1.0, text="x", state=RequestState(state))
    fields = duplicate_fields(intake(), 17, known)
    assert (fields["req"], fields.get("reason")) == (17, told)
    assert "reason" not in duplicate_fields(intake(), 17, None)


def test_the_final_notice_of_one_job_is_about_the_job():
    fields = final_fields(job(), standing(), "exit code 4", 25.4, target="/V/P")
    assert (fields["job"], fields["tape"], fields["rc"], fields["attempt"], fields["secs"]) == (
        *(23, "/V/P/A", 4, 2, 15),
    )
    never = final_fields(job(attempt=0, started=None), standing(), None, 25.0, target=None)
    assert not {"attempt", "secs", "reason"} & never.keys()


def test_the_final_notice_of_several_jobs_counts_them():
    stands = standing(jobs=6, live=0, completed=3, warning=1, timedout=2)
    fields = final_fields(job(), stands, "why", 25.0, target="/V/P")
    assert (fields["jobs"], fields["ok"], fields["warn"], fields["failed"]) == (6, 3, 1, 2)
    assert (fields["tape"], fields["secs"], fields["reason"]) == ("/V/P", 20, "why")
    assert "job" not in fields


def test_a_notice_of_another_attempt_says_when_it_begins():
    again = job(state=JobState.WAITING, due=80.0, reason="busy")
    fields = retry_fields(again, standing(), 2, 20.4)
    assert (fields["in"], fields["attempt"], fields["rc"], fields["reason"]) == (60, 2, 4, "busy")
    assert retry_fields(again, standing(), 2, 99.0)["in"] == 0


def test_a_reason_names_the_tape_once_and_a_list_is_no_target():
    assert reason_of("no copy", "/V/P/A") == "/V/P/A: no copy"
    assert reason_of("/V/P/A has no copy", "/V/P/A") == "/V/P/A has no copy"
    assert reason_of("no copy", None) == "no copy"
    assert target_of("/V/P") == "/V/P"
    assert target_of("A00001 A00002") is None
    assert target_of(None) is None


# -- jobs that are run again


def test_only_a_job_that_has_ended_is_run_again_and_once_at_a_time():
    assert why_not_renewed(job(), None) == "job 23 is running; only one that has ended is run again"
    over = job(state=JobState.FAILED)
    assert why_not_renewed(over, 31) == "job 23 is being run again already, as job 31"
    assert why_not_renewed(over, None) is None


def test_a_repeat_names_the_first_request_has_no_identity_and_no_reference():
    known = Request(
        id=17,
        host="NSK1",
        received=1.0,
        text="x",
        state=RequestState.FAILED,
        family="DSK",
        operation="archive",
        ref="R1",
        table="t1",
        again=9,
    )
    event = Event(text="VTSPolicy DSK", id="own")
    made = renewal(job(), known, event, why="{}", actor="operator alice", at=50.0)
    assert (made.again, made.repeats, made.digest, made.ref) == (9, 23, None, None)
    assert (made.event.text, made.event.id, made.table) == ("VTSPolicy DSK", None, "t1")
    (planned,) = made.jobs
    assert (planned.work, planned.tape, planned.pool) == (WORK, TAPE, None)
    alone = renewal(job(tape="/V/P", path=None), None, None, why=None, actor="alice", at=50.0)
    assert (alone.again, alone.jobs[0].tape, alone.jobs[0].pool) == (17, None, "/V/P")


def test_an_attempt_starts_from_one_state_only():
    starts = [(before, after) for before, what, after in TRANSITIONS if what is JobLife.start]
    assert starts == [(STARTS_FROM, STARTED_AS)]
