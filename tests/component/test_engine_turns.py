"""A job's turn: its seat and its lock over hours, operators' releases, and restarts."""

from datetime import datetime

import pytest
from attrs import evolve

from tests.harness.engine_worlds import Fault, Site, World
from vtspolicy.jobs import JobState
from vtspolicy.ledger import JobRecords
from vtspolicy.rules.load import load_table
from vtspolicy.testing.runner import FakeRunner

RULES = """
applications:
  DSK: {seats: 1, outcome: {0: completed, default: failed}}
  TWO: {seats: 3, outcome: {0: completed, default: failed}}
rules:
  - rule: at night
    when: {family: DSK, operation: archive, pool: PAY}
    between: "20:00-06:00"
    run: ["true", "{path}"]
    lock: the drive
  - rule: urgent
    when: {family: DSK, operation: selective, pool: PAY}
    priority: 5
    run: ["true", "{path}"]
  - rule: by day too
    when: {family: DSK, pool: PAY}
    run: ["true", "{path}"]
    lock: the drive
  - rule: repeated
    when: {family: DSK, operation: archive, pool: LEDGER}
    application: TWO
    run: ["true", "{path}"]
    timeouts: {total: 10m}
    retry: {attempts: 3, delay: 5m, on: [failed, lost]}
  - rule: as a last resort
    when: {family: DSK, pool: LEDGER}
    application: TWO
    run: ["true", "{path}"]
    on_interrupt: retry
  - rule: several at once
    when: {family: DSK}
    application: TWO
    run: ["true", "{path}"]
    lock: the robot
"""

NIGHTLY = "VTSPolicy DSK 'archive /VAULT01/PAY/P00000'"
DAILY = "VTSPolicy DSK '/VAULT01/PAY/P00001'"
URGENT = "VTSPolicy DSK 'selective /VAULT01/PAY/P00001'"
REPEATED = "VTSPolicy DSK 'archive /VAULT01/LEDGER/L00000'"
AGAIN = "VTSPolicy DSK '/VAULT01/LEDGER/L00000'"
SEVERAL = "VTSPolicy DSK 'archive /VAULT01/ONE/O00000'"


@pytest.fixture(scope="module")
def site():
    site = Site()
    path = site.root / "turns.yaml"
    path.write_text(RULES)
    table = load_table([path], vocabulary=site.vocabulary, configuration=site.configuration)
    site.reader = evolve(site.reader, table=table)
    yield site
    site.remove()


@pytest.fixture
def world(site):
    world = World(site)
    yield world
    world.close()
    assert not world.violations


def running(world):
    return [int(life.run.key.split("-")[0]) for life in world.machine.running]


def at(world, hour):
    """Let it become that hour of the day, today or tomorrow."""
    now = datetime.fromtimestamp(world.clock.seconds()).astimezone()
    seconds = (hour * 3600 - (now.hour * 3600 + now.minute * 60 + now.second)) % 86400
    world.clock.pass_time(float(seconds))
    world.settle()


def test_a_job_that_is_cancelled_as_its_hours_are_found_out_keeps_no_lock(world, monkeypatch):
    at(world, 12)
    read, late = world.ledger.read, []

    def answer_late(verb, *args):
        answer = read(verb, *args)
        if verb is not JobRecords.get:
            return answer
        answer.pause()
        late.append(answer)
        return answer

    world.engine.queue.drain()
    world.send("NSK1", NIGHTLY, 1)
    world.engine.job_runner.recent._jobs.clear()  # so that the job has to be read
    monkeypatch.setattr(world.ledger, "read", answer_late)
    world.engine.queue.resume()
    monkeypatch.undo()
    assert late
    world.cancel_by_operator(1)
    late.pop().unpause()
    world.settle()
    assert world.engine.queue.waiting == 0
    world.send("NSK1", DAILY, 2)
    assert running(world) == [2]


def test_when_a_job_may_start_is_recorded_with_it(world):
    at(world, 12)
    world.send("NSK1", NIGHTLY, 1)
    at(world, 20)
    job = world.ledger.tx.jobs.get(1)
    assert job.state is JobState.RUNNING
    assert datetime.fromtimestamp(job.due).astimezone().hour == 20


@pytest.mark.parametrize("restarts", [False, True])
def test_waiting_for_its_hours_makes_a_job_not_more_urgent(world, restarts):
    at(world, 8)
    world.send("NSK1", NIGHTLY, 1)
    at(world, 19)
    world.engine.queue.drain()
    world.send("NSK1", URGENT, 2)
    if restarts:
        world.restart()
        world.engine.queue.drain()
    at(world, 20)
    world.engine.queue.resume()
    world.settle()
    assert running(world) == [2]


def test_a_rules_priority_decides_whose_turn_it_is(world):
    at(world, 21)
    world.engine.queue.drain()
    world.send("NSK1", NIGHTLY, 1)
    world.send("NSK1", URGENT, 2)
    world.engine.queue.resume()
    world.settle()
    assert running(world) == [2]


def test_a_lock_that_an_operator_released_stays_released_over_a_restart(world):
    for minute in range(3):
        world.send("NSK1", SEVERAL, minute)
    assert running(world) == [1]
    told = []
    world.operator.release_lock("the robot", "operator alice").addCallback(told.append)
    world.settle()
    assert told == [{"lock": "the robot", "released": True}]
    assert running(world) == [1, 2]
    world.restart()
    assert world.engine.queue.holders("the robot") == (2,)
    world.runner.exit("000002-1")
    world.settle()
    assert running(world) == [1, 3]
    world.runner.exit("000001-1")
    world.settle()
    assert world.engine.queue.holders("the robot") == (3,)


def test_a_lock_is_not_taken_from_a_job_that_got_it_while_the_ledger_was_slow(world):
    for minute in range(3):
        world.send("NSK1", SEVERAL, minute)
    write, waiting = world.ledger.write, []

    def slowly(*args, **kwargs):
        """What a real ledger does: it answers in order, but later."""
        waiting.append(write(*args, **kwargs))
        waiting[-1].pause()
        return waiting[-1]

    world.ledger.write = slowly
    told = []
    world.operator.release_lock("the robot", "operator alice").addCallback(told.append)
    world.runner.exit("000001-1")  # the job that was meant ends just now
    while waiting:
        world.settle()
        waiting.pop(0).unpause()
    world.ledger.write = write
    world.settle()
    assert told == [{"lock": "the robot", "released": True}]
    assert running(world) == [2]
    assert world.engine.queue.holders("the robot") == (2,)


def test_the_history_names_the_jobs_that_a_lock_was_taken_from(world):
    for minute in range(3):
        world.send("NSK1", SEVERAL, minute)
    for _ in range(2):
        world.operator.release_lock("the robot", "operator alice")
        world.settle()
    world.restart()
    assert running(world) == [1, 2, 3]
    lines = world.ledger.tx.history.about("lock the robot")
    assert [line.cause for line in lines] == [
        "an operator asked for it; taken from job 1",
        "an operator asked for it; taken from job 2",
    ]


def test_a_lock_that_no_job_holds_is_not_released_and_leaves_no_trace(world):
    told = []
    world.operator.release_lock("the robot", "operator alice").addCallback(told.append)
    world.settle()
    assert told == [{"lock": "the robot", "released": False}]
    assert world.ledger.tx.history.about("lock the robot") == []


def test_after_a_restart_a_running_job_is_shown_since_its_start(world):
    world.send("NSK1", SEVERAL, 1)
    world.send("NSK1", SEVERAL, 2)
    world.clock.pass_time(100.0)
    world.runner.exit("000001-1")
    world.settle()
    begun = world.clock.seconds()
    world.clock.pass_time(50.0)
    world.restart()
    (lock,) = world.engine.queue.snapshot().locks
    assert [(place.job, place.since) for place in lock.holders] == [(2, begun)]


def power_fails(world, key):
    """The machine stops before the folder of a run is on the disk; what was flushed is there."""
    world.kill()
    world.runner.forget(key)
    world.machine.boot = "the second start"
    world.start()


def states(world, job=1):
    return [attempt.state for attempt in world.ledger.tx.attempts.of_job(job)]


def test_a_run_of_which_a_power_failure_left_nothing_is_not_made_again(world):
    world.send("NSK1", SEVERAL, 1)
    power_fails(world, "000001-1")
    assert world.ledger.tx.jobs.get(1).state is JobState.INTERRUPTED
    assert "nothing is left of its run" in world.ledger.tx.jobs.get(1).reason
    assert world.machine.starts == ["000001-1"]


def test_it_is_made_again_as_another_attempt_where_the_rule_says_so(world):
    world.send("NSK1", AGAIN, 1)
    power_fails(world, "000001-1")
    assert world.machine.starts == ["000001-1", "000001-2"]
    assert states(world) == [JobState.WAITING, None]


def test_a_run_that_was_not_begun_when_the_server_alone_died_is_begun_then(world):
    world.send("NSK1", SEVERAL, 1)
    world.kill()
    world.runner.forget("000001-1")
    world.start()
    assert world.machine.starts == ["000001-1", "000001-1"]
    assert states(world) == [None]


def test_a_run_without_a_folder_may_have_been_made_where_the_spool_was_emptied(world):
    world.send("NSK1", SEVERAL, 1)
    world.send("NSK1", SEVERAL, 2)
    world.kill()
    world.runner.forget("000001-1")
    world.machine.ledger = None
    world.start()
    assert world.ledger.tx.jobs.get(1).state is JobState.INTERRUPTED
    assert "nothing is left of its run" in world.ledger.tx.jobs.get(1).reason
    assert world.machine.starts == ["000001-1", "000002-1"]
    assert world.machine.ledger == world.ledger.tx.meta.uid()


def start_without_mark(world):
    """Begin a server of which nothing shows whether the run of job 1 was made."""
    world.kill()
    world.runner.forget("000001-1")
    world.machine.ledger = None
    world.start()


def test_a_ledger_and_a_spool_of_before_the_marks_belong_together(world):
    world.send("NSK1", SEVERAL, 1)  # its spool is full, or it is still prepared
    world.ledger.tx.sql.connection.execute("DELETE FROM meta WHERE key = 'spool_mark'")
    start_without_mark(world)
    assert world.machine.starts == ["000001-1", "000001-1"]
    assert states(world) == [None]
    start_without_mark(world)  # but now it had one
    assert states(world) == [JobState.INTERRUPTED]


def test_a_spool_that_takes_no_mark_is_not_doubted_at_every_start(world, monkeypatch):
    def full(_runner, _ledger):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FakeRunner, "belong", full)
    world.kill()
    world.machine.ledger = None  # it had one, and lost it: that is doubted, once
    world.start()
    world.send("NSK1", SEVERAL, 1)
    start_without_mark(world)
    assert world.machine.starts == ["000001-1", "000001-1"]
    assert states(world) == [None]


def test_what_was_doubted_is_doubted_by_the_next_server_too(world):
    world.send("NSK1", SEVERAL, 1)
    world.kill()
    world.runner.forget("000001-1")
    world.machine.ledger = None
    world.ledger.fault = Fault(at=len(world.ledger.verbs) + 2, how="before")
    world.start()
    assert world.ledger.tx.jobs.get(1).state is JobState.RUNNING
    world.ledger.fault = None
    world.restart()
    assert world.ledger.tx.jobs.get(1).state is JobState.INTERRUPTED
    assert world.machine.starts == ["000001-1"]


def test_a_spool_that_cannot_be_marked_keeps_no_server_from_starting(world, monkeypatch):
    def full(_runner, _ledger):
        raise OSError(28, "No space left on device")

    world.kill()
    world.machine.ledger = None
    monkeypatch.setattr(FakeRunner, "belong", full)
    world.start()
    world.send("NSK1", SEVERAL, 1)
    assert world.machine.starts == ["000001-1"]


def test_a_run_that_was_lost_is_repeated_where_retry_names_it_and_no_oftener_than_it_says(world):
    world.send("NSK1", REPEATED, 1)
    world.runner.lose("000001-1")
    world.settle()
    assert world.ledger.tx.jobs.get(1).state is JobState.WAITING
    world.clock.pass_time(300.0)
    assert world.machine.starts == ["000001-1", "000001-2"]
    world.runner.exit("000001-2")
    world.settle()
    assert world.ledger.tx.jobs.get(1).state is JobState.COMPLETED


def test_no_attempt_begins_when_the_time_of_all_is_over(world):
    world.send("NSK1", REPEATED, 1)
    world.runner.exit("000001-1", 1)
    world.settle()
    world.engine.queue.drain()  # its turn comes late
    world.clock.pass_time(601.0)
    world.engine.queue.resume()
    world.settle()
    assert world.machine.starts == ["000001-1"]
    job = world.ledger.tx.jobs.get(1)
    assert (job.state, job.reason) == (
        JobState.TIMEDOUT,
        "all attempts together took longer than 600 s",
    )
    assert world.engine.queue.waiting == world.engine.queue.running == 0
