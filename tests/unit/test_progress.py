"""Progress is reported at most once a minute, and only to hosts that want to know."""

import pytest
from attrs import evolve
from twisted.internet.defer import succeed
from twisted.internet.task import Clock

from tests.harness.polled_works import READINGS, WORK
from vtspolicy.engine.jobs.progress import Progress
from vtspolicy.jobs import Job, JobState


class Ledger:
    def __init__(self):
        self.told = []

    def write(self, verb, job, attempt, percent, at):
        self.told.append((job, attempt, percent, at))
        return succeed([])


class Runner:
    output = "10%"

    def tail(self, key, limit):
        return self.output


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def progress(clock):
    return Progress(clock=clock, ledger=Ledger(), runner=Runner())


@pytest.fixture
def job():
    return Job(
        id=1,
        request=1,
        host="NSK1",
        work=evolve(WORK, readings=READINGS),
        values={},
        rule="r",
        lock=None,
        priority=0,
        handle="1-1",
        state=JobState.RUNNING,
        attempt=2,
        started=0.0,
        notify_all=True,
    )


def test_the_share_is_read_from_the_output_once_a_minute(progress, clock, job):
    progress.watch(job, "1-2")
    clock.advance(59)
    assert progress.ledger.told == []
    clock.advance(1)
    progress.runner.output = "10%\n55%"
    clock.advance(60)
    assert progress.ledger.told == [(1, 2, 10, 60), (1, 2, 55, 120)]
    progress.forget(1)
    clock.advance(600)
    assert len(progress.ledger.told) == 2


def test_a_share_that_did_not_change_is_not_reported_again(progress, clock, job):
    progress.watch(job, "1-2")
    for _ in range(5):
        clock.advance(60)
    assert len(progress.ledger.told) == 1


def test_polls_that_come_often_tell_it_once_a_minute(progress, clock, job):
    for second in range(180):
        progress.report(job, {"percent": str(second / 2)})
        clock.advance(1)
    assert [at for *_, at in progress.ledger.told] == [60, 120]


@pytest.mark.parametrize("share", ["", "nan", "inf", "much"])
def test_what_is_no_share_is_not_reported(progress, clock, job, share):
    clock.advance(100)
    progress.report(job, {"percent": share})
    assert progress.ledger.told == []


def test_a_share_beyond_its_bounds_is_reported_within_them(progress, clock, job):
    clock.advance(100)
    progress.report(job, {"percent": "140.7"})
    assert progress.ledger.told == [(1, 2, 100, 100)]


def test_a_host_that_does_not_want_to_know_is_not_told(progress, clock, job):
    quiet = evolve(job, notify_all=False)
    progress.watch(quiet, "1-2")
    clock.advance(300)
    progress.report(quiet, {"percent": "50"})
    assert progress.ledger.told == []
    assert clock.getDelayedCalls() == []
