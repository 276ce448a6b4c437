"""Runs that were interrupted: what is found of a job need not be of its last attempt."""

import shutil

import pytest

from tests.harness.engine_worlds import Site, World
from vtspolicy.jobs import JobState

RULES = """
applications:
  RST: {seats: 3, outcome: {0: completed, default: failed}}
  BRG: {seats: 3, outcome: {0: completed, default: failed}}
rules:
  - rule: a program of ours
    when: {family: RST}
    run: ["true", backup, "{path}"]
    verify: ["true", snapshots, "{handle}"]
    on_interrupt: retry
    retry: {attempts: 3, delay: 1m}
  - rule: queued
    when: {family: BRG}
    run: ["true", submit, "{path}"]
    read: {application_job: 'JobId=([0-9]+)'}
    poll:
      run: ["true", poll, "{application_job}"]
      running: R
      completed: T
      read: {state: 'state ([A-Z])'}
      find:
        run: ["true", find, "{handle}"]
        read: {application_job: 'JobId=([0-9]+)'}
        absent: "nothing found"
    on_interrupt: retry
    retry: {attempts: 3, delay: 1m}
"""


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


def lose(world):
    """The keeper dies while the attempt runs: how it ended is not known."""
    (life,) = world.machine.running
    world.runner.lose(life.run.key)
    world.settle()


def test_after_a_first_attempt_its_copy_is_looked_for(world):
    world.send("NSK1", "VTSPolicy RST '/VAULT01/PAY/P00001'", 1)
    lose(world)
    world.runner.exit("000001-1-verify", 0)
    world.settle()
    assert world.machine.starts == ["000001-1", "000001-1-verify"]
    assert world.ledger.tx.jobs.get(1).state is JobState.COMPLETED


def test_after_a_later_attempt_the_copy_that_an_earlier_one_has_left_is_not_taken_for_it(world):
    world.send("NSK1", "VTSPolicy RST '/VAULT01/PAY/P00001'", 1)
    world.runner.exit("000001-1", 7)
    world.clock.pass_time(61.0)
    lose(world)
    world.clock.pass_time(61.0)
    assert world.machine.starts == ["000001-1", "000001-2", "000001-3"]


@pytest.mark.parametrize(("number", "state"), [(77, JobState.RUNNING), (78, JobState.COMPLETED)])
def test_a_queued_job_of_an_earlier_attempt_is_not_followed_for_a_later_one(world, number, state):
    world.send("NSK1", "VTSPolicy BRG '/VAULT01/PAY/P00001'", 1)
    world.runner.exit("000001-1", 0, "JobId=77\n")
    world.clock.pass_time(1.0)
    world.runner.exit("000001-1-poll", 0, "state F\n")
    world.clock.pass_time(61.0)
    lose(world)
    world.runner.exit("000001-2-find", 0, f"JobId={number}\n")
    world.clock.pass_time(1.0)
    for life in world.machine.running:
        if "poll" in life.run.key:
            world.runner.exit(life.run.key, 0, "state T\n")
    world.settle()
    world.clock.pass_time(1.0)
    assert world.ledger.tx.jobs.get(1).state is state
    assert ("000001-3" in world.machine.starts) == (number == 77)
