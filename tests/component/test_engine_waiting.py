"""What a job waits for between its attempts and for its hours: neither may take it too far."""

import time
from datetime import datetime

import pytest
from attrs import evolve

from tests.harness.engine_worlds import Site, World
from vtspolicy.jobs import JobState
from vtspolicy.notices import Word
from vtspolicy.rules.load import load_table

RULES = """
applications:
  DSK: {seats: 1, outcome: {0: completed, default: failed}}
  TWO: {seats: 1, outcome: {0: completed, default: failed}}
rules:
  - rule: nightly
    when: {family: DSK, operation: archive, pool: PAY}
    between: "20:00-06:00"
    run: ["true", "{path}"]
    lock: the drive
    timeouts: {total: 2h}
    retry: {attempts: 3, delay: 5m}
  - rule: daily
    when: {family: DSK, pool: PAY}
    application: TWO
    run: ["true", "{path}"]
    lock: the drive
  - rule: repeated
    when: {family: DSK, operation: archive}
    run: ["true", "{path}"]
    timeouts: {total: 2h}
    retry: {attempts: 3, delay: 5m}
  - rule: short hours
    when: {family: DSK, operation: selective}
    between: "04:00-05:00"
    run: ["true", "{path}"]
  - rule: several
    when: {family: DSK}
    run: ["true", "{path}"]
"""
NIGHTLY = "VTSPolicy DSK 'archive /VAULT01/PAY/P00000'"
SAME_LOCK = "VTSPolicy DSK '/VAULT01/PAY/P00001'"
REPEATED = "VTSPolicy DSK 'archive /VAULT01/LEDGER/L00000'"
SAME_SEAT = "VTSPolicy DSK '/VAULT01/LEDGER/L00001'"
AT_FOUR = "VTSPolicy DSK 'selective /VAULT01/LEDGER/L00000'"
TOTAL = "all attempts together took longer than 7200 s"


@pytest.fixture(scope="module")
def site():
    site = Site()
    path = site.root / "waiting.yaml"
    path.write_text(RULES)
    table = load_table([path], vocabulary=site.vocabulary, configuration=site.configuration)
    site.reader = evolve(site.reader, table=table)
    yield site
    site.remove()


@pytest.fixture
def berlin(monkeypatch):
    """A machine that goes by Berlin's time; the rule for it needs no files of zones."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def world(berlin, site):
    world = World(site)
    yield world
    world.close()
    assert not world.violations


def set_to(world, text):
    """Let the machine's clock show that; nothing waits yet."""
    world.clock.rightNow = datetime.fromisoformat(text).timestamp()


def shown(world, seconds=None):
    now = world.clock.seconds() if seconds is None else seconds
    return datetime.fromtimestamp(now).isoformat(" ", "minutes")  # noqa: DTZ006 - as it shows it


def until_ended(world, job):
    """Let time pass, minute by minute, until the job has ended; return what the clock shows."""
    for _ in range(20 * 60):
        if not world.ledger.tx.jobs.get(job).state.is_live:
            break
        world.clock.pass_time(60.0)
    return shown(world, world.ledger.tx.jobs.get(job).finished)


@pytest.mark.parametrize("restarts", [False, True])
def test_the_time_of_all_attempts_ends_while_the_next_one_waits_for_its_hours(world, restarts):
    set_to(world, "2026-06-01 05:00")
    world.send("NSK1", NIGHTLY, 1)
    world.send("NSK1", SAME_LOCK, 2)
    world.clock.pass_time(59 * 60.0)
    world.runner.exit("000001-1", 1)
    world.settle()
    if restarts:
        world.restart()
        world.connect("NSK1")
    assert until_ended(world, 1) == "2026-06-01 07:00"
    job, other = world.ledger.tx.jobs.get(1), world.ledger.tx.jobs.get(2)
    assert (job.state, job.reason) == (JobState.TIMEDOUT, TOTAL)
    assert shown(world, other.started) == "2026-06-01 07:00"
    assert world.mail["NSK1"].finals[1] == [Word.TIMEDOUT]


@pytest.mark.parametrize("restarts", [False, True])
def test_the_time_of_all_attempts_ends_while_the_seat_is_taken(world, restarts):
    set_to(world, "2026-06-01 12:00")
    world.send("NSK1", REPEATED, 1)
    world.send("NSK1", SAME_SEAT, 2)
    world.clock.pass_time(60.0)
    world.runner.exit("000001-1", 1)  # and the other one takes the seat
    world.settle()
    if restarts:
        world.restart()
    assert world.ledger.tx.jobs.get(2).state is JobState.RUNNING
    assert until_ended(world, 1) == "2026-06-01 14:00"
    assert world.ledger.tx.jobs.get(1).reason == TOTAL
    assert world.engine.queue.waiting == 0
    world.runner.exit("000002-1")
    world.settle()
    assert world.machine.starts == ["000001-1", "000002-1"]


def test_a_job_that_is_tried_again_in_time_is_not_ended_by_the_time_of_all(world):
    set_to(world, "2026-06-01 12:00")
    world.send("NSK1", REPEATED, 1)
    world.runner.exit("000001-1", 1)
    world.clock.pass_time(301.0)
    world.runner.exit("000001-2")
    world.clock.pass_time(3 * 3600.0)
    assert world.ledger.tx.jobs.get(1).state is JobState.COMPLETED
    assert not world.engine.wait_timeouts._waits


@pytest.mark.parametrize(
    ("sent", "start"),
    [
        ("2026-03-28 12:00", "2026-03-29 04:00"),  # the clock goes from 02:00 to 03:00
        ("2026-03-29 01:00", "2026-03-29 04:00"),
        ("2026-10-24 12:00", "2026-10-25 04:00"),  # and from 03:00 back to 02:00
        ("2026-10-25 01:00", "2026-10-25 04:00"),
    ],
)
def test_hours_are_those_of_the_clock_on_the_wall_also_when_it_is_changed_before(
    world, sent, start
):
    set_to(world, sent)
    world.send("NSK1", AT_FOUR, 1)
    turns = []
    while world.ledger.tx.jobs.get(1).state is JobState.WAITING:
        turns.append(world.ledger.tx.jobs.get(1).due)
        world.clock.pass_time(1800.0)
    assert shown(world, world.ledger.tx.jobs.get(1).started) == start
    assert [shown(world, due) for due in set(turns)] == [start]
    world.runner.exit("000001-1")
    world.settle()
