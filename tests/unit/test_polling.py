"""Queued jobs are followed with our own clock: to their end, within bounds, and cancelled there."""

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.harness.polled_works import POLL, WORK
from vtspolicy.engine.jobs.polling import QueuedJobPoller
from vtspolicy.engine.jobs.programs import Said
from vtspolicy.jobs import Job, JobState
from vtspolicy.runner.protocol import End


class Application:
    """What the calls of a job meet: answers by time, and what was called."""

    def __init__(self, clock):
        self.clock = clock
        self.cancelled = set()
        self.answer = "state R"
        self.cancels = True
        self.called = []

    def values(self, job, readings=None):
        return {"handle": job.handle, **(readings or {})}

    async def ask(self, job, query, part, readings, *, aside=False):
        assert aside, "it must not be stopped by the cancellation that it is for"
        self.called.append((self.clock.seconds(), part, readings.get("application_job")))
        if part == "cancel":
            code = 0 if self.cancels else 1
            if self.cancels:
                self.answer = "state A"
            return Said(output="", kind="exited", code=code, reason="")
        if self.answer is None:
            return Said(output="", kind="timeout", code=None, reason="no answer")
        return Said(output=self.answer, kind="exited", code=0, reason="")

    def times(self, part):
        return [at for at, which, _ in self.called if which == part]


class Reports:
    def __init__(self):
        self.told = []

    def report(self, job, readings):
        self.told.append(dict(readings))


class SetClock(Clock):
    """A clock that somebody sets; `steady` does not change by that."""

    ahead = 0.0

    def put(self, seconds):
        self.ahead += seconds
        self.rightNow += seconds

    def steady(self):
        return self.seconds() - self.ahead


@pytest.fixture
def clock():
    return SetClock()


@pytest.fixture
def application(clock):
    return Application(clock)


@pytest.fixture
def follower(clock, application):
    return QueuedJobPoller(
        clock=clock, steady=clock.steady, programs=application, progress=Reports()
    )


@pytest.fixture
def job():
    return Job(
        id=1,
        request=1,
        host="NSK1",
        work=WORK,
        values={},
        rule="r",
        lock=None,
        priority=0,
        handle="1-1",
        state=JobState.RUNNING,
    )


def follow(follower, job, **more):
    """Begin to follow; return the list that will hold how it ended."""
    ended = []
    given = {"until": None, **more}
    done = Deferred.fromCoroutine(follower.follow(job, POLL, {"application_job": "7"}, **given))
    done.addCallback(ended.append)
    return ended


def test_a_job_is_polled_by_its_number_quickly_at_first_and_then_as_often_as_the_rule_says(
    follower, application, clock, job
):
    ended = follow(follower, job)
    for _ in range(400):
        clock.advance(0.1)
    assert application.times("poll")[:5] == pytest.approx([0, 0.5, 1.5, 3.5, 7.5], abs=0.2)
    gaps = [
        b - a
        for a, b in zip(application.times("poll")[5:], application.times("poll")[6:], strict=False)
    ]
    assert gaps == pytest.approx([10.0] * len(gaps), abs=0.2)
    assert {number for _, _, number in application.called} == {"7"}
    application.answer = "state T files 1"
    clock.advance(10)
    assert (ended[0].end, ended[0].judgement.state) == (End.EXITED, "completed")
    assert ended[0].judgement.readings["application_job"] == "7"


def test_a_success_without_what_is_expected_is_a_failure(follower, application, clock, job):
    application.answer = "state T files 0"
    ended = follow(follower, job)
    assert ended[0].judgement.state == "failed"
    assert "files is 0" in ended[0].judgement.reason


def test_a_cancelled_job_is_cancelled_in_the_application_at_once(follower, application, clock, job):
    ended = follow(follower, job)
    clock.advance(4)
    application.cancelled.add(1)
    follower.wake(1)
    clock.advance(2)
    assert (ended[0].end, ended[0].over) == (End.CANCELLED, True)
    assert application.times("cancel") == [4]


def test_a_job_that_ended_well_before_the_cancellation_keeps_its_end(
    follower, application, clock, job
):
    ended = follow(follower, job)
    application.cancelled.add(1)
    application.answer = "state T files 1"
    follower.wake(1)
    assert (ended[0].end, application.times("cancel")) == (End.EXITED, [])


def test_a_cancellation_that_is_refused_is_tried_again_and_not_for_ever(
    follower, application, clock, job
):
    application.cancels = False
    application.cancelled.add(1)
    ended = follow(follower, job)
    for _ in range(70):
        clock.advance(1)
    assert len(application.times("cancel")) > 5
    assert (ended[0].end, ended[0].over) == (End.CANCELLED, False)
    assert max(application.times("poll")) <= 61


def test_a_job_out_of_time_is_cancelled_at_that_time(follower, application, clock, job):
    ended = follow(follower, job, until=5.0)
    for _ in range(80):
        clock.advance(0.1)
    assert ended[0].end is End.TIMEOUT
    assert application.times("cancel") == pytest.approx([5.0], abs=0.2)


def test_polls_without_an_answer_are_borne_only_as_long_as_the_rule_says(
    follower, application, clock, job
):
    ended = follow(follower, job)
    clock.advance(0.5)
    application.answer = None
    for _ in range(59):
        clock.advance(1)
    assert ended == []
    application.answer = "state R"  # it is back: the patience begins anew
    for _ in range(12):
        clock.advance(1)
    application.answer = None
    for _ in range(50):
        clock.advance(1)
    assert ended == []
    for _ in range(30):
        clock.advance(1)
    assert (ended[0].end, ended[0].over) == (End.LOST, False)
    assert "job 7" in ended[0].judgement.reason


def test_nothing_is_left_ticking_when_a_job_has_ended(follower, application, clock, job):
    follow(follower, job)
    application.answer = "state T files 1"
    follower.wake(1)
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize("seconds", [86400.0, -86400.0])
def test_a_clock_that_is_set_takes_no_time_from_a_job_and_gives_none(
    follower, application, clock, job, seconds
):
    clock.advance(5000.0)
    ended = follow(follower, job, until=clock.steady() + 100.0)
    clock.advance(50.0)
    waiting = [(call, call.getTime() - clock.seconds()) for call in clock.getDelayedCalls()]
    clock.put(seconds)
    if seconds < 0:
        for call, left in waiting:  # what waits is borne over the step: vtspolicy.clocks
            call.reset(left)
    for _ in range(49):
        clock.advance(1)
    assert application.times("cancel") == ended == []
    for _ in range(3):
        clock.advance(1)
    assert ended[0].end is End.TIMEOUT


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
def test_a_clock_that_is_set_uses_up_no_patience_and_gives_none(
    follower, application, clock, job, seconds
):
    clock.advance(5000.0)
    ended = follow(follower, job)
    clock.advance(0.5)
    application.answer = None
    for _ in range(30):
        clock.advance(1)
    waiting = [(call, call.getTime() - clock.seconds()) for call in clock.getDelayedCalls()]
    clock.put(seconds)
    for call, left in waiting:  # what waits is borne over the step: vtspolicy.clocks
        call.reset(left)
    for _ in range(20):
        clock.advance(1)
    assert ended == []
    for _ in range(30):
        clock.advance(1)
    assert (ended[0].end, ended[0].over) == (End.LOST, False)
