"""Runs of which nothing is left: `on_interrupt` decides, and nothing is asked before it."""

import shutil

import pytest

from tests.harness.engine_worlds import Site, World
from vtspolicy.engine.jobs import job_runner
from vtspolicy.jobs import JobState

RULES = """
applications:
  DSK: {seats: 3}
rules:
  - rule: prepared
    when: {family: DSK, operation: archive}
    prepare: {run: ["true", label], read: {label: "is (.*)"}}
    run: ["true", archive, "{path}", "{label}"]
    on_interrupt: fail
    retry: {attempts: 3, delay: 1m}
  - rule: at any time
    when: {family: DSK, operation: selective}
    run: ["true", selective, "{path}"]
"""
MAIN = "000001-1"


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


def lose_power(world, *, answered):
    """The machine stops, and nothing of the run has reached its disk."""
    world.kill()
    world.machine.boot = "the second start"
    if answered:
        world.runner.forget(MAIN)
    world.start()
    world.settle()


@pytest.mark.parametrize("answered", [True, False])
def test_no_preparation_of_a_run_that_may_have_been_made_gets_round_on_interrupt(world, answered):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 1)
    if answered:
        world.runner.exit(f"{MAIN}-prepare", 0, "it is L1")
        world.settle()
        assert world.machine.starts[-1] == MAIN
    starts = list(world.machine.starts)
    lose_power(world, answered=answered)
    for life in world.machine.running:  # if it was asked again, that fails
        world.runner.exit(life.run.key, 1)
    world.clock.pass_time(200.0, 10.0)
    assert world.machine.starts == starts
    assert world.ledger.tx.jobs.get(1).state is JobState.INTERRUPTED
    assert "nothing is left of its run" in world.ledger.tx.jobs.get(1).reason


def test_hours_are_looked_at_only_where_a_rule_has_some(world, monkeypatch):
    def never(*_):
        raise AssertionError("asked")

    monkeypatch.setattr(job_runner, "next_start", never)
    world.send("NSK1", "VTSPolicy DSK 'selective /VAULT01/PAY/P00001'", 1)
    assert world.machine.starts == [MAIN]
