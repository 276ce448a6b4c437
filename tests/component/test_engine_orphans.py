"""What a killed server had asked for a job ends before the next one asks; and stops that fail."""

import pytest

from tests.harness.engine_worlds import Site, World
from vtspolicy.engine.jobs.programs import Programs
from vtspolicy.jobs import JobState
from vtspolicy.testing.runner import FakeRunner

RULES = """
applications:
  DSK: {seats: 3, query: ["true", query, "{handle}"]}
  RST: {seats: 1}
  BRG: {seats: 1}
rules:
  - rule: asked for their copy
    when: {family: DSK, operation: archive}
    run: ["true", archive, "{path}"]
    then: migrated
  - rule: prepared
    when: {family: DSK, operation: selective}
    prepare: ["true", label]
    run: ["true", archive, "{path}"]
    on_interrupt: retry
  - rule: asked in two calls
    when: {family: RST}
    run: ["true", archive, "{path}"]
    verify: {run: ["true", list], prepare: ["true", number]}
  - rule: queued
    when: {family: BRG}
    run: ["true", submit]
    read: {application_job: 'job=([0-9]+)'}
    poll:
      run: ["true", state, "{application_job}"]
      read: {state: 'state=(.)'}
      running: R
      completed: T
      find: ["true", find, "{handle}"]
    cancel: ["true", stop, "{application_job}"]
  - rule: erase
    when: {family: Erase}
    then: erased
"""
ARCHIVE = "VTSPolicy DSK 'archive /VAULT01/LEDGER/L00000'"


@pytest.fixture(scope="module")
def site():
    site = Site(RULES)
    yield site
    site.remove()


@pytest.fixture
def world(site):
    world = World(site)
    yield world
    world.close()


def running(world):
    return [life.run.key for life in world.machine.running]


def end(world, code=0, output=""):
    """The one program that runs exits."""
    (key,) = running(world)
    world.runner.exit(key, code, output)
    world.settle()


def preparing(world):
    world.send("NSK1", "VTSPolicy DSK 'selective /VAULT01/LEDGER/L00000'", 1)
    return "000001-1-prepare"


def verifying(world):
    world.send("NSK1", ARCHIVE, 1)
    end(world)
    return "000001-1-verify"


def verifying_first(world):
    world.send("NSK1", "VTSPolicy RST 'archive /VAULT01/LEDGER/L00000'", 1)
    end(world)
    return "000001-1-verify-find"


def polling(world):
    world.send("NSK1", "VTSPolicy BRG '/VAULT01/ONE'", 1)
    end(world, output="job=7")
    return "000001-1-poll"


def cancelling(world):
    polling(world)
    world.cancel_by_operator(1)
    end(world, output="state=R")
    return "000001-1-cancel"


def finding(world):
    world.send("NSK1", "VTSPolicy BRG '/VAULT01/ONE'", 1)
    world.runner.lose("000001-1")
    world.settle()
    return "000001-1-find"


def before_the_gate(world):
    verifying(world)
    end(world)
    world.send("NSK1", "VTSPolicy Erase - L00000", 2)
    return "000002-1-gate"


ASKING = (*(preparing, verifying, verifying_first, polling, cancelling, finding, before_the_gate),)


@pytest.mark.parametrize("asking", ASKING)
def test_what_a_killed_server_asked_is_gone_before_it_is_asked_again(world, monkeypatch, asking):
    monkeypatch.setitem(FakeRunner.__init__.__kwdefaults__, "obedient", False)
    orphan = asking(world)
    assert running(world) == [orphan]
    for _ in range(2):  # the first server that comes after it is killed meanwhile
        world.restart()
        assert running(world) == [orphan]
        assert world.machine.lives[orphan].stopped == "the server that had asked was gone"
    world.runner.finish_stopping(orphan)
    world.settle()
    (again,) = running(world)
    assert again != orphan
    assert again.startswith(orphan[:9])
    world.runner.obedient = True
    assert world.violations == []


def test_an_orphan_that_an_older_server_left_behind_is_found_beside_later_ones(world, monkeypatch):
    monkeypatch.setattr(Programs, "end_orphans", lambda *_: succeeded())
    verifying(world)
    world.restart()
    world.restart()
    asked = ["000001-1-verify", "000001-1-verify2", "000001-1-verify3"]
    assert running(world) == asked
    monkeypatch.undo()
    world.restart()
    assert running(world) == ["000001-1-verify4"]
    assert [world.machine.lives[key].ended.kind for key in asked] == ["cancelled"] * 3


async def succeeded():
    pass


def test_a_job_is_reported_as_cancelled_when_no_question_of_any_server_is_left(world):
    orphan = verifying(world)
    world.restart()
    world.cancel_by_operator(1)
    assert world.ledger.tx.jobs.get(1).state is JobState.CANCELLED
    assert running(world) == []
    assert world.machine.lives[orphan].ended is not None


def test_what_other_jobs_ask_is_left_alone(world):
    world.send("NSK1", ARCHIVE, 1)
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/OLD/O00001'", 2)
    for key in ("000001-1", "000002-1"):
        world.runner.exit(key)
    world.settle()
    assert running(world) == ["000001-1-verify", "000002-1-verify"]
    job = world.ledger.tx.jobs.get(1)
    world.runner.crash()
    done = world.engine.job_runner.programs._asked(job)
    assert list(done) == ["000001-1-verify"]


def test_a_run_that_cannot_be_stopped_keeps_nobody_from_being_told_or_stopped(world, monkeypatch):
    world.send("NSK2", "VTSPolicy DSK 'archive /VAULT01/PAY'", 1)
    assert running(world) == ["000001-1", "000002-1", "000003-1"]
    stop = world.runner.stop

    def refuse(key, reason):
        if key == "000001-1":
            raise PermissionError(1, "Operation not permitted")
        stop(key, reason)

    monkeypatch.setattr(world.runner, "stop", refuse)
    world.cancel_by_host("NSK2", 1, 2)
    states = [world.ledger.tx.jobs.get(job).state for job in (1, 2, 3)]
    assert states == [JobState.STOPPING, JobState.CANCELLED, JobState.CANCELLED]
    assert world.sessions[-1].is_live
    assert len(world.violations) == 1  # it is a defect, and logged as one
    world.violations.clear()
    monkeypatch.setattr(world.runner, "stop", stop)
    world.runner.exit("000001-1")
    world.settle()


def test_the_status_names_the_runs_that_cannot_be_stopped(world, monkeypatch):
    monkeypatch.setattr(FakeRunner, "unstoppable", ("000001-1",))
    told = []
    world.operator.status().addCallback(told.append)
    world.settle()
    assert told[0]["unstoppable"] == ["000001-1"]


def test_a_signal_of_a_machine_that_stopped_is_no_failure_of_the_program(world):
    world.send("NSK1", "VTSPolicy DSK 'selective /VAULT01/LEDGER/L00000'", 1)
    end(world)
    world.kill()
    world.runner.kill("000001-1", 15)
    world.machine.boot = "another start"
    world.start()
    assert running(world) == ["000001-2-prepare"]
