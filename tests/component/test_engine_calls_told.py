"""What the calls beside a run have said: in the reason of its job, and kept with its attempt."""

import shutil

import pytest

from tests.harness.engine_worlds import Site, World
from vtspolicy.engine.jobs.programs import CALL_KEPT

RULES = """
applications:
  DSK:
    cause: '^ERR .*'
    query: {run: ["true", list, "{handle}"], outcome: {0: completed, default: failed}}
  BAC:
    cause: 'Fatal error: (.*)'
    read: {application_job: "number ([0-9]+)"}
    poll:
      run: ["true", poll, "{application_job}"]
      read: {state: "state (.)"}
      running: R
      completed: T
      every: 1s
rules:
  - rule: prepared
    when: {family: DSK, operation: archive}
    prepare: ["true", label]
    run: ["true", archive, "{path}"]
    then: migrated
  - rule: queued
    when: {family: DSK, operation: selective}
    application: BAC
    run: ["true", submit, "{path}"]
  - {rule: erase, when: {family: Erase}, then: erased}
"""
MAIN = "000001-1"
LOCKED = "opening\nERR the repository is locked\n1 s\n"


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
    shutil.rmtree(site.root / "VAULT01")


def answer(world, key, code, output):
    world.runner.exit(key, code, output)
    world.settle()


def attempt(world, job=1):
    return world.ledger.tx.attempts.of_job(job)[-1]


def test_a_preparation_that_failed_shows_why(world):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 1)
    answer(world, f"{MAIN}-prepare", 2, LOCKED)
    told = "it could not be prepared: exit code 2, which the table does not list:"
    assert attempt(world).reason == f"{told} ERR the repository is locked"
    assert attempt(world).output == f"--- prepare: exit code 2\n{LOCKED}"


def test_a_verification_that_failed_shows_why_beside_what_the_run_said(world):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 1)
    answer(world, f"{MAIN}-prepare", 0, "ready")
    answer(world, MAIN, 0, "1 file")
    answer(world, f"{MAIN}-verify", 2, LOCKED)
    assert attempt(world).reason.endswith("ERR the repository is locked")
    assert attempt(world).output == (
        f"1 file\n--- prepare: exit code 0\nready\n--- verify: exit code 2\n{LOCKED}"
    )


def test_of_what_a_call_said_the_end_is_kept(world):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 1)
    answer(world, f"{MAIN}-prepare", 2, "x" * 10_000 + "\nend")
    assert attempt(world).output.endswith("x\nend\n")
    assert len(attempt(world).output) < CALL_KEPT + 100


def test_an_attempt_that_went_well_keeps_what_its_run_said(world):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 1)
    answer(world, f"{MAIN}-prepare", 0, "ready")
    answer(world, MAIN, 0, "1 file")
    answer(world, f"{MAIN}-verify", 0, "found")
    assert attempt(world).output == "1 file"


def test_a_queued_job_that_failed_shows_what_the_last_poll_said(world):
    world.send("NSK1", "VTSPolicy DSK 'selective /VAULT01/PAY/P00001'", 1)
    answer(world, MAIN, 0, "number 7")
    answer(world, f"{MAIN}-poll", 0, "state R")
    world.clock.pass_time(2.0, 0.5)
    (again,) = world.machine.running
    answer(world, again.run.key, 0, "Fatal error: no medium\nstate E")
    assert attempt(world).reason == "the application's state is E: no medium"
    assert (
        attempt(world).output
        == "number 7\n--- poll: exit code 0\nFatal error: no medium\nstate E\n"
    )


def test_a_refused_erase_shows_what_the_gate_was_told(world):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 1)
    for key in (f"{MAIN}-prepare", MAIN, f"{MAIN}-verify"):
        answer(world, key, 0, "")
    world.send("NSK1", "VTSPolicy Erase - P00001", 2)
    world.settle()
    answer(world, "000002-1-gate", 2, LOCKED)
    assert "ERR the repository is locked" in attempt(world, 2).reason
    assert attempt(world, 2).output == f"--- gate: exit code 2\n{LOCKED}"


def test_another_attempt_begins_with_an_empty_page(world):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 1)
    answer(world, f"{MAIN}-prepare", 2, LOCKED)
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00002'", 2)
    answer(world, "000002-1-prepare", 2, "ERR another")
    assert attempt(world, 2).output == "--- prepare: exit code 2\nERR another\n"
