"""The log of requests and jobs: one line for each thing that happens to them."""

import pytest
from twisted.logger import LogLevel, formatEvent, globalLogPublisher

from tests.harness.engine_worlds import Site, World
from vtspolicy.jobs import JobState

RULES = """
applications:
  DSK: {seats: 2, outcome: {0: completed, 4: warning, default: failed}}
  RST: {seats: 1, outcome: {0: completed, default: failed}}
rules:
  - rule: secrets stay
    when: {family: DSK, pool: SECRET}
    deny: secrets stay where they are
  - rule: try twice
    when: {family: DSK}
    run: ["true", archive, "{path}"]
    retry: {attempts: 2, delay: 1m}
  - rule: not for long
    when: {family: RST}
    run: ["true", backup, "{path}"]
    timeouts: {waiting: 1h}
"""
NIGHT = "VTSPolicy DSK 'archive /VAULT01/PAY/P00000 ref=payroll-17'"


@pytest.fixture(scope="module")
def site():
    site = Site(RULES)
    yield site
    site.remove()


@pytest.fixture
def world(site):
    world = World(site)
    world.use_sessions()
    yield world
    world.close()


@pytest.fixture
def lines(world):
    """What is logged from now on, by its action; a list of the fields of each."""
    found = []
    globalLogPublisher.addObserver(found.append)
    yield found
    globalLogPublisher.removeObserver(found.append)


def about(lines, action):
    return [line for line in lines if line.get("action") == action]


def run_out(world, code, output=""):
    (life,) = world.machine.running
    world.runner.exit(life.run.key, code, output)
    world.settle()


def test_a_failed_backup_is_an_error_with_all_that_the_morning_wants_to_know(world, lines):
    world.send("NSK1", NIGHT)
    run_out(world, 12, "ANS1301E No space\n")
    world.clock.pass_time(61.0)
    run_out(world, 12, "ANS1301E No space\n")

    (accepted,) = about(lines, "request_accepted")
    (ended,) = about(lines, "job_ended")
    assert (accepted["req"], accepted["host"], accepted["ref"]) == (1, "NSK1", "payroll-17")
    assert ended["log_level"] is LogLevel.error
    wanted = {
        "tape": "/VAULT01/PAY/P00000",
        "host": "NSK1",
        "ref": "payroll-17",
        "req": 1,
        "job": 1,
        "application": "DSK",
        "code": 12,
        "state": "failed",
        "attempt": 2,
    }
    assert {name: ended[name] for name in wanted} == wanted
    assert "ANS1301E No space" in ended["cause"]
    (retried,) = about(lines, "job_retried")
    assert (retried["log_level"], retried["wait"]) == (LogLevel.warn, 60)
    assert [line["attempt"] for line in about(lines, "job_started")] == [1, 2]
    assert about(lines, "request_ended") == []  # its only job has told it


@pytest.mark.parametrize(
    ("code", "level"), [(0, LogLevel.info), (4, LogLevel.warn)], ids=["completed", "warning"]
)
def test_the_level_follows_the_fact(world, lines, code, level):
    world.send("NSK1", NIGHT)
    run_out(world, code)
    (ended,) = about(lines, "job_ended")
    assert ended["log_level"] is level


def test_a_request_of_several_jobs_has_a_line_of_its_own(world, lines):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/LEDGER ref=R2'")
    for life in world.machine.running:
        world.runner.exit(life.run.key, 0)
    world.settle()
    (ended,) = about(lines, "request_ended")
    assert (ended["req"], ended["ref"], ended["jobs"], ended["ok"]) == (1, "R2", 2, 2)


def test_a_request_without_a_job_has_its_line(world, lines):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/NOSUCH ref=R3'")
    (ended,) = about(lines, "request_ended")
    assert (ended["log_level"], ended["state"], ended["ref"]) == (LogLevel.error, "failed", "R3")
    assert "NOSUCH" in ended["cause"]
    assert ended["tape"] == "/VAULT01/NOSUCH"
    assert world.mail["NSK1"].notices[-1].fields["tape"] == "/VAULT01/NOSUCH"


def test_work_that_is_run_again_names_its_tape_at_once(world, lines):
    world.send("NSK1", NIGHT)
    run_out(world, 12)
    world.clock.pass_time(61.0)
    run_out(world, 12)
    world.operator.retry(1, "operator alice")
    world.settle()
    assert [line["tape"] for line in about(lines, "request_accepted")] == [
        "/VAULT01/PAY/P00000",
        "/VAULT01/PAY/P00000",
    ]


def test_warnings_are_told_as_such(world, lines):
    world.send("NSK1", NIGHT)
    run_out(world, 4)
    (ended,) = about(lines, "job_ended")
    assert formatEvent(ended).startswith("Job 1 ended with warnings: ")


def test_a_job_that_is_cancelled_while_it_waits_has_its_line(world, lines):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY'")  # three jobs, two seats
    world.runner.obedient = False
    world.cancel_by_operator(1)
    (ended,) = about(lines, "job_ended")
    assert (ended["state"], ended["cause"]) == ("cancelled", "cancelled by operator alice")
    assert len(about(lines, "job_stopping")) == 2
    for life in list(world.machine.running):
        world.runner.finish_stopping(life.run.key)
    world.settle()
    assert [line["state"] for line in about(lines, "job_ended")] == ["cancelled"] * 3
    assert [line["state"] for line in about(lines, "request_ended")] == ["cancelled"]


def test_a_job_whose_waiting_time_is_over_has_its_line(world, lines):
    world.send("NSK1", "VTSPolicy RST '/VAULT01/LEDGER'")  # two jobs, one seat
    world.clock.pass_time(3601.0)
    (ended,) = about(lines, "job_ended")
    assert (ended["state"], ended["log_level"]) == ("timedout", LogLevel.error)
    assert ended["tape"].startswith("/VAULT01/LEDGER")


def test_refusals_have_their_lines_with_what_was_refused(world, lines):
    for minute, text in enumerate(
        (
            "VTSPolicy DSK 'archve /VAULT01/PAY'",
            "VTSPolicy DSK 'archive /VAULT01/SECRET ref=R4'",
            "VTSPolicy NBU '/VAULT01/PAY ref=R5'",
        )
    ):
        world.send("NSK1", text, minute)
    (rejected,) = about(lines, "request_rejected")
    (denied,) = about(lines, "request_denied")
    (norule,) = about(lines, "request_norule")
    assert (rejected["req"], rejected["host"]) == (1, "NSK1")
    assert rejected["column"]
    assert (denied["ref"], denied["cause"]) == ("R4", "secrets stay where they are")
    assert (norule["ref"], norule["host"]) == ("R5", "NSK1")
    assert {line["log_level"] for line in (rejected, denied, norule)} == {LogLevel.warn}


def test_a_host_does_not_decide_how_much_is_logged_of_what_it_may_not(world, lines):
    for minute in range(50):
        world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/SECRET'", minute)
    assert len(about(lines, "request_denied")) == 1
    world.clock.pass_time(60.0)
    (more,) = about(lines, "request_denied_more")
    assert (more["peer"], more["count"]) == ("NSK1", 49)


def test_who_had_a_job_run_again_is_reported(world, lines):
    world.send("NSK1", NIGHT)
    run_out(world, 0)
    world.retry(world.ledger.tx.jobs.get(1))
    again = about(lines, "request_accepted")[-1]
    assert (again["by"], again["again"], again["req"], again["ref"]) == (
        "operator alice",
        1,
        2,
        None,
    )
    assert about(lines, "job_started")[-1]["repeats"] == 1
    assert world.ledger.tx.jobs.get(2).state is JobState.RUNNING
