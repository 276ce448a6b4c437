"""Jobs that may not wait for ever for their first start."""

from datetime import datetime

import pytest
from attrs import evolve

from vtspolicy.engine.effects import Effects, EngineLedger
from vtspolicy.engine.jobs.recent import RecentJobs
from vtspolicy.engine.jobs.wait_timeouts import WaitTimeouts
from vtspolicy.events.event import Event
from vtspolicy.jobs import JobState, RequestState
from vtspolicy.ledger import Ending, JobRecords, RequestRecords
from vtspolicy.notices import Word
from vtspolicy.requests import Intake
from vtspolicy.rules.decision import PlannedJob
from vtspolicy.rules.work import Limits, Work
from vtspolicy.testing.clock import TestClock
from vtspolicy.testing.ledger import MemoryLedger

WORK = Work(application="DSK", run=("true",), limits=Limits(waiting=60.0))


class Queue:
    """Remembers what was taken out."""

    def __init__(self):
        self.withdrawn = []

    def withdraw(self, job):
        self.withdrawn.append(job)
        return True


class Outbox:
    """Remembers what is to be reported."""

    def __init__(self):
        self.words = []

    def push(self, notices):
        self.words += [notice.word for notice in notices]


class Ground:
    def __init__(self):
        self.clock = TestClock()
        self.ledger = MemoryLedger()
        self.queue, self.outbox = Queue(), Outbox()
        written = EngineLedger(self.ledger)
        self.wait_timeouts = WaitTimeouts(clock=self.clock, ledger=written)
        self.changes = []
        effects = Effects(
            clock=self.clock,
            outbox=self.outbox,
            queue=self.queue,
            recent=RecentJobs(),
            runs=None,
            watchers=[self.changes.append],
        )
        written.on_change(effects.apply)

    def job(self, work=WORK):
        event = Event(text="VTSPolicy DSK '/V/P'", time=datetime(2026, 11, 22))  # noqa: DTZ001
        intake = Intake(
            event=event,
            host="NSK1",
            received=self.clock.seconds(),
            state=RequestState.OPEN,
            jobs=(PlannedJob(work=work, values={}, lock=None),),
        )
        recorded = []
        self.ledger.write(RequestRecords.record, intake).addCallback(recorded.append)
        self.settle()
        (job,) = recorded[0].result.jobs
        return job

    def settle(self):
        self.clock.pass_time(0.0)

    def state(self, job):
        return self.ledger.tx.jobs.get(job.id).state


@pytest.fixture
def ground():
    ground = Ground()
    yield ground
    ground.ledger.destroy()


def test_a_job_is_ended_when_its_time_is_over_and_not_before(ground):
    job = ground.job()
    ground.wait_timeouts.watch(job)
    ground.clock.pass_time(59.0)
    assert ground.state(job) is JobState.WAITING
    ground.clock.pass_time(1.5)
    assert ground.state(job) is JobState.TIMEDOUT
    assert ground.outbox.words == [Word.TIMEDOUT]
    assert ground.queue.withdrawn == [job.id]


def test_a_job_that_was_started_waits_for_its_next_attempt_as_long_as_it_takes(ground):
    job = ground.job()
    ground.wait_timeouts.watch(job)
    ground.ledger.write(JobRecords.start_attempt, job.id, ground.clock.seconds())
    ground.wait_timeouts.forget(job.id)
    ground.clock.pass_time(100.0)
    ground.wait_timeouts.watch(evolve(job, attempt=1))
    ground.clock.pass_time(100.0)
    assert ground.state(job) is JobState.RUNNING
    assert ground.outbox.words == []


TOTAL = Work(application="DSK", run=("true",), limits=Limits(waiting=60.0, total=600.0))
FAILED = Ending(state=JobState.WAITING, code=1, due=1e10)


def failed_once(ground):
    """A job whose first attempt has failed, ten seconds after its start."""
    job = ground.job(TOTAL)
    ground.ledger.write(JobRecords.start_attempt, job.id, ground.clock.seconds())
    ground.clock.pass_time(10.0)
    done = []
    written = ground.ledger.write(
        JobRecords.finish_attempt, job.id, 1, FAILED, ground.clock.seconds()
    )
    written.addCallback(done.append)
    ground.settle()
    return done[0].result.job


def test_the_time_of_all_attempts_is_over_when_it_is_whatever_the_next_one_waits_for(ground):
    job = failed_once(ground)
    ground.wait_timeouts.watch(job)
    ground.clock.pass_time(589.0)
    assert ground.state(job) is JobState.WAITING
    ground.clock.pass_time(1.5)
    assert ground.state(job) is JobState.TIMEDOUT
    assert (
        ground.ledger.tx.jobs.get(job.id).reason == "all attempts together took longer than 600 s"
    )
    assert ground.outbox.words == [Word.TIMEDOUT]
    assert ground.queue.withdrawn == [job.id]
    assert [change.requests for change in ground.changes] == [(job.request,)]


def test_an_attempt_that_has_begun_is_not_ended_by_the_wait_before_it(ground):
    job = failed_once(ground)
    ground.wait_timeouts.watch(job)
    ground.ledger.write(JobRecords.start_attempt, job.id, ground.clock.seconds())
    ground.clock.pass_time(700.0)
    assert ground.state(job) is JobState.RUNNING
    again = evolve(FAILED, state=JobState.WAITING)
    ground.ledger.write(JobRecords.finish_attempt, job.id, 2, again, ground.clock.seconds())
    ground.settle()
    assert ground.state(job) is JobState.WAITING
    ground.wait_timeouts.watch(ground.ledger.tx.jobs.get(job.id))
    ground.clock.pass_time(0.1)
    assert ground.state(job) is JobState.TIMEDOUT


def test_jobs_that_were_started_are_not_remembered_behind_one_that_waits(ground):
    first = evolve(ground.job(), id=1_000_000)
    ground.wait_timeouts.watch(first)
    for number in range(10_000):
        ground.wait_timeouts.watch(evolve(first, id=number))
        ground.wait_timeouts.forget(number)
    assert len(ground.wait_timeouts._heap) <= 200
    assert set(ground.wait_timeouts._waits) == {first.id}


def test_what_is_swept_out_takes_none_with_it_that_waits(ground):
    jobs = [ground.job() for _ in range(400)]
    for job in jobs:
        ground.wait_timeouts.watch(job)
    for job in jobs[:-3]:
        ground.ledger.write(JobRecords.start_attempt, job.id, ground.clock.seconds())
        ground.wait_timeouts.forget(job.id)
    ground.clock.pass_time(61.0)
    assert {ground.state(job) for job in jobs[-3:]} == {JobState.TIMEDOUT}
    assert {ground.state(job) for job in jobs[:-3]} == {JobState.RUNNING}


def test_a_start_that_was_recorded_in_the_same_instant_wins(ground):
    job = ground.job()
    ground.wait_timeouts.watch(job)
    ground.ledger.write(JobRecords.start_attempt, job.id, ground.clock.seconds())
    ground.clock.pass_time(100.0)
    assert ground.state(job) is JobState.RUNNING
    assert ground.queue.withdrawn == []


def test_a_wait_that_was_over_while_no_server_ran_ends_at_once(ground):
    job = ground.job()
    ground.clock.pass_time(600.0)
    ground.wait_timeouts.watch(job)
    ground.clock.pass_time(0.1)
    assert ground.state(job) is JobState.TIMEDOUT


def test_no_timer_is_left_when_nobody_waits(ground):
    first, second = ground.job(), ground.job()
    ground.wait_timeouts.watch(first)
    ground.wait_timeouts.watch(second)
    ground.wait_timeouts.watch(ground.job(Work(application="DSK", run=("true",))))
    ground.wait_timeouts.close()
    ground.clock.pass_time(600.0)
    assert ground.state(first) is JobState.WAITING
    assert ground.outbox.words == []


def test_many_that_end_at_once_all_end(ground):
    jobs = [ground.job() for _ in range(250)]
    for job in jobs:
        ground.wait_timeouts.watch(job)
    ground.clock.pass_time(61.0)
    ground.clock.pass_time(1.0)
    assert {ground.state(job) for job in jobs} == {JobState.TIMEDOUT}


def test_of_a_job_that_waits_only_the_end_of_that_is_kept(ground):
    """There may be a hundred thousand of them."""
    job = ground.job()
    ground.wait_timeouts.watch(job)
    assert ground.wait_timeouts._waits == {job.id: job.created + 60.0}
