"""Requests of very many jobs, recorded and cancelled in slices; here a slice is one job."""

from datetime import datetime

import pytest
from attrs import evolve
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock

from tests.harness.engine_worlds import Fault, Site, World
from vtspolicy.changes import Change
from vtspolicy.engine.commands import receiving, recording
from vtspolicy.engine.commands.cancel import Cancel
from vtspolicy.engine.commands.steps import Authorised
from vtspolicy.engine.effects import PUT_AT_ONCE, Effects, EngineLedger, entry
from vtspolicy.engine.jobs.recent import RecentJobs
from vtspolicy.engine.jobs.wait_timeouts import end_of_wait
from vtspolicy.events.event import Event, identity
from vtspolicy.grammar import parse
from vtspolicy.jobs import JobState, RequestState
from vtspolicy.ledger import (
    BeingRecorded,
    Intake,
    JobRecords,
    LargeRequests,
    Transaction,
    large_requests,
)
from vtspolicy.notices import Word
from vtspolicy.rules.decision import PlannedJob
from vtspolicy.rules.work import Limits, Work
from vtspolicy.testing.ledger import MemoryLedger

POOL = "VTSPolicy DSK 'archive /VAULT01/PAY ref=pool'"  # three tapes
CANCEL = "VTSPolicy Cancel - ref=pool"


@pytest.fixture(autouse=True)
def slices_of_one(monkeypatch):
    monkeypatch.setattr(large_requests, "SLICE", 1)


@pytest.fixture(scope="module")
def site():
    site = Site()
    yield site
    site.remove()


@pytest.fixture
def world(site):
    world = World(site)
    yield world
    world.close()
    assert not world.violations


def rows(world, table):
    return world.ledger.tx.sql.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def told(world, word):
    return [each for each in world.mail["NSK1"].notices if each.word is word]


def test_a_large_command_is_accepted_once_with_all_its_jobs(world):
    world.send("NSK1", POOL)

    (accepted,) = told(world, Word.ACCEPTED)
    assert accepted.fields["jobs"] == 3
    assert world.ledger.verbs.count("add_jobs") == 3
    assert rows(world, "jobs") == 3


SLICES = ["begin", "add_jobs", "add_jobs", "add_jobs", "accept"]


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("step", range(len(SLICES)))
def test_a_kill_between_slices_leaves_all_or_nothing(world, step, how):
    before = len(world.ledger.verbs)
    world.ledger.fault = Fault(at=before + 1 + step, how=how)
    world.send("NSK1", POOL)
    assert world.ledger.verbs[before:] == SLICES[: step + 1]
    assert not told(world, Word.ACCEPTED)
    world.ledger.fault = None

    world.restart()

    is_recorded = (SLICES[step], how) == ("accept", "after")
    assert rows(world, "requests") == rows(world, "events") == is_recorded
    assert rows(world, "jobs") == (3 if is_recorded else 0)
    world.send("NSK1", POOL)  # the host shows it again
    assert len(told(world, Word.ACCEPTED)) == 1
    assert len(told(world, Word.DUPLICATE)) == is_recorded
    assert rows(world, "jobs") == 3
    world.end()


def test_a_write_that_fails_for_good_leaves_nothing(world):
    world.ledger.fault = Fault(at=len(world.ledger.verbs) + len(SLICES), how="raises")

    world.send("NSK1", POOL)

    assert world.ledger.verbs[-2:] == ["accept", "abandon"]
    assert rows(world, "jobs") == rows(world, "requests") == rows(world, "events") == 0
    assert rows(world, "meta WHERE key GLOB 'unfinished*'") == 0


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("step", range(2))
def test_a_kill_while_a_large_request_is_cancelled_is_cured_by_asking_again(world, step, how):
    world.send("NSK1", POOL)
    world.cancelled.update(job.id for job in world.ledger.tx.jobs.find(request=1))
    before = len(world.ledger.verbs)
    world.ledger.fault = Fault(at=before + 1 + step, how=how)
    world.send("NSK1", CANCEL, 1)
    assert world.ledger.verbs[before:] == ["answer"] * (step + 1)
    world.ledger.fault = None
    world.restart()
    recorded = rows(world, "requests") == 2

    world.send("NSK1", CANCEL, 1)

    word = Word.DUPLICATE if recorded else Word.COMPLETED
    assert told(world, word)[-1].fields["req"] == 2
    world.end()
    assert len(told(world, Word.CANCELLED)) == 1
    assert world.ledger.tx.requests.get(1).state is RequestState.CANCELLED


def test_an_operator_cancels_a_large_request_in_slices(world):
    world.send("NSK1", POOL)
    world.cancelled.update(job.id for job in world.ledger.tx.jobs.find(request=1))
    answers = []

    world.operator.cancel(1, None, "operator alice").addCallback(answers.append)
    world.settle()

    assert world.ledger.verbs.count("cancel_some") >= 1
    (answer,) = answers
    assert sorted(answer["ended"] + answer["stopping"]) == [1, 2, 3]


def test_a_cancel_that_is_shown_again_leaves_a_newer_request_of_that_name_alone(world):
    world.send("NSK1", POOL, 0)
    world.cancelled.update(job.id for job in world.ledger.tx.jobs.find(request=1))
    world.send("NSK1", CANCEL, 1)
    world.send("NSK1", POOL, 2)

    world.send("NSK1", CANCEL, 1)

    assert told(world, Word.DUPLICATE)[-1].fields["req"] == 2
    assert {job.state for job in world.ledger.tx.jobs.find(request=3)} <= {
        JobState.WAITING,
        JobState.RUNNING,
    }


def test_very_many_tapes_are_decided_in_a_thread_by_the_rules_of_the_moment(world, monkeypatch):
    monkeypatch.setattr(receiving, "SLICE", 1)
    thread = []

    def threads(function, *args):
        if function.__name__ != "settle_all":
            return execute(function, *args)
        done = Deferred()
        thread.append(lambda: execute(function, *args).chainDeferred(done))
        return done

    world.use_threads(threads)
    world.send("NSK1", POOL)
    assert len(thread) == 1
    assert not told(world, Word.ACCEPTED)

    changed = evolve(world.site.reader)
    world.engine.policy.use(changed)
    thread[0]()
    world.settle()
    assert len(thread) == 2
    assert not told(world, Word.ACCEPTED)

    thread[1]()
    world.settle()
    (accepted,) = told(world, Word.ACCEPTED)
    assert accepted.fields["jobs"] == 3


# What others ask for between two slices


class Turns:
    """A ledger whose writes are done one by one, when the test says so."""

    def __init__(self, inner):
        self.inner = inner
        self.waiting = []

    def write(self, verb, *args, **kwargs):
        done = Deferred()
        self.waiting.append((done, verb, args, kwargs))
        return done

    def turn(self):
        done, verb, args, kwargs = self.waiting.pop(0)
        self.inner.write(verb, *args, **kwargs).chainDeferred(done)
        return verb.__name__


@pytest.fixture
def turns():
    ledger = MemoryLedger()
    ledger.tx.begin_serving(now=0.0)
    yield Turns(ledger)
    ledger.destroy()


@pytest.fixture
def changes():
    return []


@pytest.fixture
def writes(turns, changes):
    ledger = EngineLedger(turns)
    ledger.on_change(lambda change, _asker: changes.append(change))
    return ledger


def large(host="NSK1"):
    event = Event(text=POOL, time=datetime(2026, 11, 22), system="\\NSK1")  # noqa: DTZ001
    work = Work(application="DSK", run=("true",), limits=Limits(waiting=30.0))
    planned = PlannedJob(work=work, values={"path": "/x"}, lock="/x", priority=3)
    return Intake(
        event=event,
        host=host,
        received=1.0,
        state=RequestState.OPEN,
        digest=identity(host, event),
        family="DSK",
        ref="pool",
        jobs=(planned,) * 3,
    )


def cancel(site):
    event = Event(text=CANCEL, time=datetime(2026, 11, 23))  # noqa: DTZ001
    host = site.configuration.hosts["NSK1"]
    return Cancel(command=Authorised(event=event, host=host, command=parse(CANCEL), received=2.0))


def recorded(writes, command):
    answers = []
    done = Deferred.fromCoroutine(recording.record(writes, [command], None))
    done.addCallback(answers.extend)
    return answers


def test_nothing_is_told_or_queued_before_the_last_slice(writes, turns, changes):
    answers = recorded(writes, large())

    while turns.waiting[0][1].__name__ != "accept":
        turns.turn()
        assert changes == []
    turns.turn()

    (change,) = changes
    assert [notice.word for notice in change.notices] == [Word.ACCEPTED]
    assert [job.id for job in change.waiting] == [1, 2, 3]
    assert answers[0].jobs == change.waiting


@pytest.mark.parametrize("slices", range(1, 5))
def test_a_duplicate_between_slices_is_answered_after_the_first(writes, turns, changes, slices):
    first = recorded(writes, large())
    for _ in range(slices):
        turns.turn()
    again = recorded(writes, large())
    while turns.waiting:
        turns.turn()

    assert [each.duplicate for each in (*first, *again)] == [False, True]
    words = [notice.word for change in changes for notice in change.notices]
    assert words == [Word.ACCEPTED, Word.DUPLICATE]


def test_a_replay_between_slices_is_known_only_when_the_first_is_accepted(writes, turns):
    first, command = recorded(writes, large()), large()
    turns.turn()
    again = recorded(writes, evolve(command, event=evolve(command.event, replayed=True)))
    while turns.waiting:
        assert not again or first
        turns.turn()

    assert [each.duplicate for each in (*first, *again)] == [False, True]


@pytest.mark.parametrize("slices", range(1, 5))
def test_a_cancel_between_slices_ends_all_jobs(writes, turns, changes, site, slices):
    recorded(writes, large())
    for _ in range(slices):
        turns.turn()
    answers = recorded(writes, cancel(site))
    while turns.waiting:
        turns.turn()

    (answer,) = answers
    assert [notice.word for notice in answer.notices] == [Word.ACCEPTED, Word.COMPLETED]
    assert answer.notices[1].fields["reason"] == "request 1: 3 jobs being cancelled"
    ended = [job.id for change in changes for job in change.ended]
    assert sorted(ended) == [1, 2, 3]
    words = [notice.word for change in changes for notice in change.notices]
    assert words.count(Word.CANCELLED) == 1


def test_a_job_that_was_cancelled_between_slices_does_not_keep_the_rest(writes, turns):
    recorded(writes, large())
    for _ in range(3):
        turns.turn()
    tx = turns.inner.tx
    turns.inner.write(JobRecords.cancel, 1, "operator alice", 2.0)
    assert tx.jobs.counts()[JobState.CANCELLED] == 1

    turns.inner.write(Transaction.begin_serving, now=3.0)

    assert tx.requests.get(1) is None
    assert set(tx.jobs.counts().values()) == {0}
    assert tx.sql.connection.execute("SELECT count(*) FROM transitions").fetchone() == (0,)


def test_an_operator_is_told_that_a_request_is_still_being_recorded(writes, turns):
    recorded(writes, large())
    turns.turn()

    with pytest.raises(BeingRecorded, match="request 1 is still being recorded"):
        turns.inner.tx.ask(LargeRequests.cancel_some, 1, "operator alice", 2.0)


# The queue


def test_what_waits_is_read_for_a_start_as_it_was_recorded(turns, writes):
    answers = recorded(writes, large())
    while turns.waiting:
        turns.turn()
    jobs = answers[0].jobs
    turns.inner.tx.jobs.start_attempt(jobs[1].id, 5.0)

    first, last = turns.inner.tx.waiting.page(0, 10)

    assert [first.id, last.id] == [jobs[0].id, jobs[2].id]
    assert entry(first) == entry(jobs[0])
    assert end_of_wait(first) == end_of_wait(jobs[0]) == 31.0
    assert turns.inner.tx.waiting.page(first.id, 10) == [last]
    assert turns.inner.tx.waiting.page(0, 1) == [first]


class Queue:
    def __init__(self):
        self.jobs = []

    def put(self, entry):
        self.jobs.append(entry.job)

    def withdraw(self, job):
        self.jobs.remove(job)


def test_very_many_jobs_are_put_into_the_queue_in_turns(writes, turns):
    clock, queue, seen = Clock(), Queue(), []
    effects = Effects(
        clock=clock,
        outbox=None,
        queue=queue,
        recent=RecentJobs(),
        runs=None,
        watchers=[lambda change: seen.extend(job.id for job in change.waiting)],
    )
    recorded(writes, large())
    while turns.waiting:
        turns.turn()
    job = turns.inner.tx.jobs.get(1)
    numbers = range(1, PUT_AT_ONCE + 4)
    first, ended, last = numbers[0], numbers[-1], numbers[-2]

    effects.apply(Change(waiting=tuple(evolve(job, id=number) for number in numbers)))
    effects.apply(Change(waiting=(evolve(job, id=5000),)))
    effects.apply(Change(ended=(evolve(job, id=ended), evolve(job, id=first))))

    assert len(queue.jobs) == PUT_AT_ONCE - 1
    clock.advance(0)
    assert queue.jobs[-2:] == [last, 5000]
    assert first not in queue.jobs
    assert ended not in queue.jobs
    assert sorted(seen) == [*numbers[:-1], 5000]
