"""Operators' acts beside hosts' commands: what the history says of them, and where they end."""

import pytest
from attrs import evolve
from twisted.internet.defer import Deferred

from tests.harness.engine_worlds import Site, World
from vtspolicy.control import Refused
from vtspolicy.jobs import JobState

ALICE, BOB = "operator alice", "operator bob"
ORDER = "VTSPolicy DSK 'archive /VAULT01/PAY/P00000'"


@pytest.fixture(scope="module")
def site():
    site = Site()
    yield site
    site.remove()


@pytest.fixture
def world(site):
    world = World(site)
    world.use_sessions()
    yield world
    world.close()


def said(world, deferred):
    """What a verb answers, or why not."""
    found = []
    deferred.addBoth(found.append)
    world.settle()
    (answer,) = found
    return getattr(answer, "value", answer)


def test_a_drain_and_its_end_stand_in_the_history_once_each(world):
    for verb, actor in (("drain", ALICE), ("drain", BOB), ("resume", BOB), ("resume", ALICE)):
        answer = said(world, getattr(world.operator, verb)(actor))
        if verb == "resume":
            assert answer["was_draining"] == (actor == BOB)
        world.clock.pass_time(1.0)
    lines = world.ledger.tx.history.about("server")
    assert [(line.before, line.after, line.actor) for line in lines] == [
        ("working", "draining", ALICE),
        ("draining", "working", BOB),
    ]
    assert lines[1].at - lines[0].at == 2.0


def test_a_drain_that_a_restart_ended_is_in_the_history_as_ended_once(world):
    said(world, world.operator.drain(ALICE))
    world.restart()
    world.operator.begin()
    world.operator.begin()
    lines = [
        (line.before, line.after, line.actor) for line in world.ledger.tx.history.about("server")
    ]
    assert lines == [("working", "draining", ALICE), ("draining", "working", "engine")]


def test_a_start_after_no_drain_leaves_no_line(world):
    world.operator.begin()
    assert world.ledger.tx.history.about("server") == []


def test_a_drain_does_not_wait_for_a_ledger_that_takes_no_writes(world, monkeypatch):
    asked = []
    monkeypatch.setattr(world.ledger, "write", lambda *_, **__: asked.append(1) or Deferred())
    assert said(world, world.operator.drain(ALICE)) == {"running": 0}
    assert asked == [1]
    assert world.engine.queue.snapshot().draining


def full(world, waiting):
    """A queue that has as many waiting jobs as it may."""
    configuration = evolve(world.engine.policy.current.configuration, waiting=waiting)
    world.engine.policy.current = evolve(world.engine.policy.current, configuration=configuration)
    world.engine.queue.drain()
    for minute in range(waiting):
        world.send("NSK1", ORDER.replace("archive", "selective"), minute)
    assert world.engine.queue.waiting == waiting


def test_a_full_queue_takes_no_order_and_no_retry_either(world):
    said(world, world.order(ORDER))
    world.runner.exit("000001-1", 1)
    full(world, 3)
    for asked in (world.order(ORDER), world.operator.retry(1, ALICE)):
        answer = said(world, asked)
        assert isinstance(answer, Refused)
        assert "the queue is full: 3 jobs wait, and `waiting` allows 3" in str(answer)
    assert world.engine.queue.waiting == 3
    assert len(world.ledger.tx.requests.find()) == 4
    world.engine.queue.resume()
    world.settle()
    assert said(world, world.operator.retry(1, ALICE))["job"] == 5


def test_a_job_that_is_being_run_again_is_not_run_again_beside_that(world):
    world.send("NSK1", ORDER, 1)
    world.runner.exit("000001-1", 1)
    world.settle()
    assert said(world, world.operator.retry(1, ALICE))["job"] == 2
    answer = said(world, world.operator.retry(1, ALICE))
    assert isinstance(answer, Refused)
    assert str(answer) == "job 1 is being run again already, as job 2"
    world.runner.exit("000002-1", 1)
    world.settle()
    assert said(world, world.operator.retry(2, ALICE))["job"] == 3
    for job in (1, 2):  # the third one is the first one's work, too
        assert "as job 3" in str(said(world, world.operator.retry(job, ALICE)))
    world.runner.exit("000003-1", 1)
    world.settle()
    assert said(world, world.operator.retry(1, ALICE))["job"] == 4
    assert "as job 4" in str(said(world, world.operator.retry(1, ALICE)))
    live = [job.id for job in world.ledger.tx.jobs.find(state=JobState.RUNNING)]
    assert live == [4]


def test_an_order_keeps_its_reason_in_the_history_and_tells_the_host(world):
    world.send("NSK1", ORDER)
    said(world, world.operator.cancel(1, None, ALICE, "the wrong pool"))
    (job,) = world.ledger.tx.jobs.find()
    assert job.reason == "cancelled by operator alice: the wrong pool"
    final = [each for each in world.mail["NSK1"].notices if each.word.is_final]
    assert final[0].fields["reason"] == job.reason
    said(world, world.operator.retry(1, BOB, "the right one"))
    said(world, world.operator.drain(BOB, "upgrade"))
    assert world.ledger.tx.history.about("job 1")[-1].cause.endswith("as job 2: the right one")
    assert world.ledger.tx.history.about("server")[-1].cause.endswith(": upgrade")


def test_the_server_shows_why_jobs_wait_and_how_far_they_are(world):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY'")
    jobs = world.ledger.tx.jobs.find()
    known = world.operator.live(jobs)
    waiting = next(job for job in jobs if job.state is JobState.WAITING)
    assert (known[waiting.id].waits_for, known[waiting.id].place) == ("seat", 1)
    assert sum(each.waits_for is None for each in known.values()) == 2
    said(world, world.operator.drain(ALICE))
    assert world.operator.live(jobs)[waiting.id].waits_for == "drain"
