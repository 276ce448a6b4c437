"""`vtspolicy jobs`, `job`, `why`, `status` and the control verbs, against a real ledger's file."""

import json
import sys
import time
from datetime import datetime, timedelta

import pytest
from attrs import evolve

from tests.harness.cli_servers import BEGAN, NOW, TEXT, Server, Site
from vtspolicy.cli.control import cancel, drain, release_lock, reload, trust_clock
from vtspolicy.cli.jobs import job, jobs
from vtspolicy.cli.retry import retry
from vtspolicy.cli.status import status
from vtspolicy.cli.tables import Column, clock, instant, recent, table
from vtspolicy.cli.tape_orders import restore
from vtspolicy.cli.why import why
from vtspolicy.jobs import JobState, RequestState
from vtspolicy.ledger import JobRecords
from vtspolicy.ledger.notices import Pending
from vtspolicy.queue.protocol import ApplicationUse, LockUse, Snapshot, SnapshotJob, Why
from vtspolicy.readable import duration
from vtspolicy.records import plain
from vtspolicy.rules.decision import PlannedJob
from vtspolicy.rules.work import Work
from vtspolicy.runner.keeper import ROOM, STATE, encoded, fitting
from vtspolicy.runner.protocol import Run
from vtspolicy.runner.spool import Spool
from vtspolicy.status import ClockStatus, HostStatus, LinkStatus, Status
from vtspolicy.tapes import Tape


@pytest.fixture
def server(site):
    server = Server(site.spool)
    yield server
    server.close()


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


class Noon(datetime):
    """A calendar that stands still: midnight is far away, and so is the end of the year."""

    @classmethod
    def now(cls, tz=None):
        return cls(2026, 6, 15, 12, tzinfo=tz)


class Eve(datetime):
    """It is the day on which Europe's summer time begins."""

    @classmethod
    def now(cls, tz=None):
        return cls(2027, 3, 28, 1, tzinfo=tz)


# -- jobs


def test_a_job_that_waits_for_its_hours_says_when_they_begin(site, monkeypatch):
    monkeypatch.setattr("vtspolicy.cli.tables.datetime", Noon)
    begin = datetime.fromtimestamp(NOW).astimezone() + timedelta(hours=3)
    hours = f"{begin:%H}:00-{begin:%H}:30"
    site.record(between=hours)
    expected = f"not before {recent(begin.replace(minute=0, second=0).timestamp())}: its hours are"
    assert f"{expected} {hours}" in site.run(jobs).stdout
    assert f"{expected} {hours}" in site.run(job, 1).stdout


def test_hours_after_a_change_of_the_clock_are_reported_as_it_will_show_them(site, monkeypatch):
    site.record(between="04:00-05:00")
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        eve = datetime(2027, 3, 28, 1).timestamp()  # noqa: DTZ001 - at 02:00 it becomes 03:00
        patch.setattr("vtspolicy.cli.jobs.time.time", lambda: eve)
        patch.setattr("vtspolicy.cli.tables.datetime", Eve)
        shown = site.run(job, 1).stdout
    time.tzset()
    assert "not before 04:00:00: its hours are 04:00-05:00" in shown


def test_jobs_are_listed_with_the_newest_first(site):
    site.record(cartridges=("A00017", "A00018"))
    site.start(1)
    site.finish(1, JobState.FAILED, code=12, reason="exit code 12")
    result = site.run(jobs)
    assert result.exit_code == 0
    heading, second, first = result.stdout.splitlines()
    assert heading.split()[:4] == ["id", "req", "state", "host"]
    assert second.split()[:6] == ["2", "1", "waiting", "NSK1", "DSK", "/VAULT01/PAYROLL/A00018"]
    assert first.split()[:3] == ["1", "1", "failed"]
    assert "2m00s" in first
    assert first.endswith("exit code 12")


def test_jobs_are_filtered_and_limited(site):
    site.record(cartridges=("A00017", "A00018", "A00019"))
    site.start(2)
    assert [each["id"] for each in site.run_json(jobs, "--state=running")[1]["jobs"]] == [2]
    assert [each["id"] for each in site.run_json(jobs, "--limit=1")[1]["jobs"]] == [3]
    assert [each["id"] for each in site.run_json(jobs, "--host=NSK1")[1]["jobs"]] == [3, 2, 1]
    tape = site.run_json(jobs, "--tape=/VAULT01/PAYROLL/A00017")[1]["jobs"]
    assert [each["id"] for each in tape] == [1]


def test_an_unknown_state_is_bad_usage(site):
    result = site.run(jobs, "--state=broken")
    assert result.exit_code == 2
    assert "'broken' is not one of" in result.stderr


@pytest.mark.parametrize("columns", [60, 80, 100, 120])
def test_no_line_is_wider_than_the_terminal_and_none_is_wrapped(site, columns):
    site.record(cartridges=("A00017", "A00018"), rule="a rule whose name is long " * 6)
    site.start(1)
    site.finish(1, JobState.FAILED, code=12, reason="the library says that it has no media " * 9)
    result = site.run(jobs, env={"COLUMNS": str(columns)})
    lines = result.stdout.splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= columns
    assert "\u2026" in lines[2]


def test_a_terminal_of_80_columns_shows_the_application(site):
    site.record()
    heading, row = site.run(jobs, env={"COLUMNS": "80"}).stdout.splitlines()
    assert row[heading.index(" app ") + 1 :].startswith("DSK ")


def test_what_a_host_sent_cannot_command_the_terminal(site):
    site.record(rule="red \x1b[31m alert\nnext")
    site.start(1)
    site.finish(1, output="50%\r100%\n\x1b]0;title\x07done\n")
    for result in (site.run(jobs), site.run(job, 1), site.run(why, 1)):
        assert result.exit_code == 0
        assert "\x1b" not in result.stdout
        assert "\\x1b[31m alert" in result.stdout
    shown = site.run(job, 1).stdout
    assert "  | 100%\n" in shown
    assert "  | \\x1b]0;title\\x07done\n" in shown


# -- job


def test_a_job_is_shown_with_its_attempts_their_output_and_its_history(site):
    site.record()
    site.start(1)
    retry_at = BEGAN + 130
    site.finish(
        1, JobState.WAITING, code=8, reason="exit code 8", due=retry_at, output="no media\n"
    )
    site.start(1, retry_at)
    site.finish(
        1, attempt=2, at=BEGAN + 190, code=0, output="".join(f"line {n}\n" for n in range(50))
    )
    result = site.run(job, 1)
    assert result.exit_code == 0
    shown = result.stdout
    assert shown.startswith("job 1 of request 1: completed\n")
    assert "output of attempt 1\n  | no media\n" in shown
    assert "output of attempt 2, its last 20 lines\n  | line 30\n" in shown
    assert shown.count("  | line ") == 20
    (history,) = [part for part in shown.split("\n\n") if part.lstrip().startswith("when")]
    became = [line.split()[2] for line in history.splitlines()[1:]]
    assert became == ["waiting", "running", "waiting", "running", "completed"]


def claimed(site, key, *argv):
    """Leave the folder of a run that a keeper has claimed."""
    spool = Spool(site.spool)
    assert spool.prepare(Run(key=key, argv=argv))
    (spool.folder(key) / STATE).write_bytes(encoded({"argv": fitting([*argv], ROOM)}))


def test_the_argument_list_is_the_one_that_was_run(site):
    site.record()
    site.start(1)
    claimed(site, "000001-1", "/usr/bin/disk", "a b")
    assert "arguments\n  /usr/bin/disk 'a b'\n" in site.run(job, 1).stdout
    _, told = site.run_json(job, 1)
    assert (told["argv"], told["argv_as_run"]) == (["/usr/bin/disk", "a b"], True)


def test_an_argument_list_too_long_for_the_journal_is_made_from_the_rule(site):
    site.record()
    site.start(1)
    claimed(site, "000001-1", "/usr/bin/disk", *["word"] * 1000)
    _, told = site.run_json(job, 1)
    assert told["argv_as_run"] is False
    assert told["argv"][:2] == ["disk", "archive"]


def test_without_the_runs_folder_the_argument_list_is_made_from_the_rule(site):
    site.record()
    _, told = site.run_json(job, 1)
    handle = told["handle"]
    expected = ["disk", "archive", "/VAULT01/PAYROLL/A00017", f"--handle={handle}"]
    assert (told["argv"], told["argv_as_run"]) == (expected, False)
    assert "arguments, from the rule\n" in site.run(job, 1).stdout


def test_the_output_of_a_running_job_is_read_from_the_spool(site):
    site.record()
    site.start(1)
    for key, text in (("000001-1", "copied 50%\n"), ("000001-1-verify", "looking\n")):
        (site.spool / key).mkdir()
        (site.spool / key / "output").write_text(text)
    shown = site.run(job, 1).stdout
    assert "output so far, 000001-1\n  | copied 50%\n" in shown
    assert "output so far, 000001-1-verify\n  | looking\n" in shown
    site.finish(1, JobState.WAITING, due=NOW + 60)
    assert "output so far" not in site.run(job, 1).stdout


def test_a_job_that_is_not_there_is_a_failure(site):
    result = site.run(job, 7)
    assert (result.exit_code, result.stderr) == (1, "there is no job 7\n")


def test_times_are_the_same_in_the_terminals_json_and_in_that_of_the_web(site):
    site.record()
    _, told = site.run_json(job, 1)
    assert told["created"] == plain(site.write(JobRecords.get, 1))["created"]
    assert told["created"].endswith("+00:00")


def test_without_a_ledger_the_reading_commands_say_so(site):
    site.ledger.unlink()
    for command, arguments in ((jobs, ()), (job, (1,)), (why, (1,))):
        result = site.run(command, *arguments)
        assert result.exit_code == 1
        assert "there is no ledger" in result.stderr


def test_every_problem_of_the_configuration_is_named(site):
    site.config.write_text("nodee: x\nspol: y\n")
    result = site.run(jobs)
    assert result.exit_code == 2
    assert f"{site.config}:1:1:" in result.stderr
    assert f"{site.config}:2:1:" in result.stderr


def test_states_have_their_colour_in_a_terminal_only(monkeypatch):
    columns = (Column("id"), Column("state"))
    rows = [(1, "failed"), (2, "completed")]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    assert table(columns, rows) == "id  state\n1   failed\n2   completed"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[31mfailed" in table(columns, rows)


def test_the_end_of_a_tapes_name_is_kept_when_it_has_to_fit(site):
    pool = "/VAULT01/A-POOL-WITH-A-NAME"
    tape = Tape(vault="VAULT01", pool=pool[9:], cartridge="A00017", path=f"{pool}/A00017")
    planned = PlannedJob(work=Work(application="DSK"), values={}, lock=None, tape=tape)
    site.record(jobs=(planned,))
    assert f"{pool}/A00017" in site.run(jobs).stdout
    assert f"{pool}/A00017" in site.run(jobs, env={"COLUMNS": "80"}).stdout
    assert "\u2026-NAME/A00017" in site.run(jobs, env={"COLUMNS": "60"}).stdout


def test_long_lines_of_an_output_stay_behind_their_bar(site):
    site.record()
    site.start(1)
    site.finish(1, output="x" * 100 + "\n")
    shown = site.run(job, 1, env={"COLUMNS": "60"}).stdout
    assert f"  | {'x' * 56}\n    {'x' * 44}\n" in shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, ""),
        (-3, "0.0s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (59.6, "1m00s"),
        (3599.6, "1h00m"),
        (86399, "23h59m"),
        (86400 * 9 + 3600 * 4, "9d04h"),
    ],
)
def test_a_time_span_fits_six_characters(seconds, shown):
    assert duration(seconds) == shown


def test_a_time_in_a_list_is_as_short_as_its_day_allows(monkeypatch):
    monkeypatch.setattr("vtspolicy.cli.tables.datetime", Noon)
    for when, shown in (
        ((2026, 6, 15, 2, 14, 9), "02:14:09"),
        ((2026, 6, 14, 23, 59, 59), "06-14 23:59"),
        ((2026, 1, 1), "01-01 00:00"),
        ((2025, 12, 31, 23, 59, 59), "2025-12-31"),
        ((2027, 6, 15, 12), "2027-06-15"),
    ):
        assert recent(datetime(*when).timestamp()) == shown  # noqa: DTZ001 - local, as it is shown
    assert recent(None) == ""


# -- why


def test_why_shows_each_rule_and_the_one_that_decided(site):
    site.record()
    shown = site.run(why, 1).stdout
    assert shown.startswith("request 1: open\n")
    assert TEXT in shown
    assert "retention  14,d" in shown
    lines = [line.split() for line in shown.splitlines()]
    assert ["1", "ledgers", "no", "pool:", "LED*", "PAYROLL"] in lines
    assert ["2", "payroll", "to", "disk", "matches"] in lines
    assert "decided by rule 2, payroll to disk (table 3f2a77)" in shown
    assert "left out: /VAULT01/PAYROLL/A00099: size: over 1G" in shown


def test_why_shows_a_mistake_under_its_column(site):
    text = "VTSPolicy DSK 'archve /VAULT01/PAYROLL'"
    trace = {
        "error": {"column": 16, "message": "archve is not an operation", "hint": "write archive"}
    }
    site.record(
        cartridges=(),
        text=text,
        state=RequestState.REJECTED,
        rule=None,
        table=None,
        family=None,
        why=json.dumps(trace),
    )
    lines = site.run(why, 1).stdout.splitlines()
    place = lines.index(text)
    assert lines[place + 1] == " " * 15 + "^"
    assert lines[place + 2 : place + 4] == [
        "column 16: archve is not an operation",
        "write archive",
    ]


def test_why_gives_the_reason_of_a_denial_before_the_rules(site):
    trace = {"command": {"family": "TSM", "targets": []}, "reason": "host NSK1 may not use TSM"}
    site.record(
        cartridges=(), state=RequestState.DENIED, rule=None, table=None, why=json.dumps(trace)
    )
    shown = site.run(why, 1).stdout
    assert "denied before any rule was asked\nreason: host NSK1 may not use TSM" in shown


def test_why_as_json_holds_the_trace_as_the_ledger_has_it(site):
    site.record()
    code, told = site.run_json(why, 1)
    assert code == 0
    assert told["why"]["number"] == 2
    assert [each["id"] for each in told["request"]["job_list"]] == [1]
    assert site.run(why, 9).exit_code == 1


# -- status


def full_status():
    running = SnapshotJob(
        job=23, application="DSK", lock="/VAULT01/PAYROLL", since=NOW - 250, due=0, why=None
    )
    waiting = SnapshotJob(
        job=24, application="DSK", lock="/VAULT01/PAYROLL", since=NOW - 35, due=0, why=Why.LOCK
    )
    return Status(
        node="vts1.example.com",
        pid=4711,
        version="0.1.0",
        at=NOW,
        started=NOW - 7384,
        ready=False,
        reasons=("the queue is full",),
        table="3f2a77",
        rules=12,
        queue=Snapshot(
            at=NOW,
            draining=False,
            running=1,
            waiting=1,
            applications=(
                ApplicationUse(
                    application="DSK",
                    seats=2,
                    running=1,
                    waiting=1,
                    holders=(running,),
                    waiters=(),
                ),
            ),
            locks=(
                LockUse(lock="/VAULT01/PAYROLL", holders=(running,), waiting=1, waiters=(waiting,)),
            ),
        ),
        hosts=(HostStatus(name="NSK1", connections=2, last_event=NOW - 3), HostStatus(name="NSK2")),
        jobs={"waiting": 1, "running": 1, "completed": 120, "failed": 0},
        pending=(Pending(host="NSK2", count=4, oldest=NOW - 3700),),
    )


def test_status_shows_hosts_seats_locks_jobs_and_notices(site, server):
    server.answers = [(200, plain(full_status()))]
    result = site.run(status)
    assert result.exit_code == 0
    assert server.asked == [("/api/v1/status", None)]
    shown = result.stdout
    assert "not ready: the queue is full" in shown
    assert "pid 4711, version 0.1.0" in shown
    assert "2h03m" in shown
    lines = [line.split() for line in shown.splitlines()]
    assert ["NSK1", "2", "3.0s", "ago", "0"] in lines
    assert ["NSK2", "0", "4", "1h01m"] in lines
    assert ["DSK", "1/2", "1", "23", "for", "4m10s"] in lines
    assert [*["/VAULT01/PAYROLL", "23", "for", "4m10s", "1", "24", "for", "35s"]] in lines
    assert "jobs: 1 waiting, 1 running, 120 completed" in shown


def test_status_keeps_the_names_of_hosts_in_a_narrow_terminal(site, server):
    server.answers = [(200, plain(full_status()))]
    lines = site.run(status, env={"COLUMNS": "50"}).stdout.splitlines()
    assert {"host", "NSK1", "NSK2"} <= {line.split()[0] for line in lines if line}
    assert max(map(len, lines)) <= 50


def test_status_names_the_runs_that_cannot_be_stopped(site, server):
    server.answers = [(200, plain(evolve(full_status(), unstoppable=("000001-1", "000002-1"))))]
    (line,) = [each for each in site.run(status).stdout.splitlines() if "cannot stop" in each]
    assert line.split() == ["cannot", "stop", "000001-1,", "000002-1"]


def test_status_shows_what_waits_for_the_clock_and_the_way_out(site, server):
    doubted = ClockStatus(
        trusted=False,
        reason="it was set forward by 200 days",
        since=NOW - 60,
        until=NOW + 86340,
        waits=("expiry of notices", "cleanup of tapes"),
        remedy="vtspolicy trust-clock",
    )
    server.answers = [(200, plain(evolve(full_status(), clock=doubted)))]
    shown = [" ".join(each.split()) for each in site.run(status).stdout.splitlines()]
    since, until = clock(NOW - 60), clock(NOW + 86340)
    assert f"clock not trusted since {since}: it was set forward by 200 days" in shown
    assert "waits for it expiry of notices, cleanup of tapes" in shown
    assert f"continues {until} if it is not set again, or by `vtspolicy trust-clock`" in shown


def test_status_as_json_is_the_servers_answer(site, server):
    answer = plain(full_status())
    server.answers = [(200, answer)]
    assert site.run_json(status) == (0, answer)


def test_without_a_server_status_shows_what_the_ledger_knows_and_exits_6(site):
    site.record(cartridges=("A00017", "A00018"))
    site.start(1)
    result = site.run(status)
    assert result.exit_code == 6
    assert "no server runs here" in result.stderr
    assert "jobs: 1 waiting, 1 running" in result.stdout
    assert "NSK1" in result.stdout
    code, told = site.run_json(status)
    assert code == 6
    assert (told["jobs"]["waiting"], told["jobs"]["running"]) == (1, 1)
    assert [each["id"] for each in told["live"]] == [1, 2]


def test_without_a_server_and_a_ledger_status_exits_6_too(site):
    site.ledger.unlink()
    result = site.run(status)
    assert result.exit_code == 6
    assert "there is no ledger" in result.stderr


def test_the_state_of_a_server_of_another_version_is_not_guessed_at(site, server):
    server.answers = [(200, {"node": "vts1"})]
    result = site.run(status)
    assert result.exit_code == 1
    assert "another version" in result.stderr


# -- control


def test_cancel_shows_what_it_brought_about(site, server):
    server.answers = [(200, {"ended": [1, 2], "stopping": [3]})]
    result = site.run(cancel, 17)
    assert (result.exit_code, result.stdout) == (0, "2 jobs cancelled; 1 job being stopped\n")
    assert server.asked == [("/api/v1/cancel", {"request": 17})]


def test_a_single_job_is_cancelled_by_its_number(site, server):
    server.answers = [(200, {"ended": [3], "stopping": []})]
    assert site.run(cancel, "--job=3").exit_code == 0
    assert server.asked == [("/api/v1/cancel", {"job": 3})]


BEYOND = 10**23  # SQLite's numbers end before


@pytest.mark.parametrize(("command", "what"), [(job, "job"), (why, "request")])
def test_a_number_that_no_ledger_can_have_is_unknown(site, command, what):
    result = site.run(command, BEYOND)
    assert (result.exit_code, result.stderr) == (1, f"there is no {what} {BEYOND}\n")


def test_a_request_that_no_ledger_can_have_has_no_jobs(site):
    result = site.run(jobs, f"--request={BEYOND}")
    assert (result.exit_code, result.stderr) == (0, "no jobs\n")


def test_cancelling_what_has_ended_is_a_failure(site, server):
    server.answers = [(200, {"ended": [], "stopping": []})]
    result = site.run(cancel, 17)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "request 17 had ended already" in result.stderr


def test_cancel_wants_exactly_one_thing(site):
    for arguments in ((), (17, "--job=3")):
        assert site.run(cancel, *arguments).exit_code == 2


def test_retry_names_the_new_job(site, server):
    server.answers = [(200, {"request": 18, "job": 41})]
    result = site.run(retry, 23)
    assert result.stdout == "job 23 is run again as job 41 of request 18\n"


def test_what_the_server_refuses_is_a_failure_with_its_words(site, server):
    server.answers = [(404, {"error": {"message": "there is no job 23", "hint": None}})]
    result = site.run(retry, 23)
    assert (result.exit_code, result.stderr) == (1, "there is no job 23\n")


def test_a_reload_that_is_refused_names_the_problems(site, server):
    message = "rules.yaml:3:5: no such key\nrules.yaml:9:1: no rule"
    server.answers = [(422, {"error": {"message": message, "hint": None}})]
    result = site.run(reload)
    kept = "nothing was taken: the rules from before stay in force"
    assert (result.exit_code, result.stderr) == (2, f"{message}\n{kept}\n")


def test_a_reload_shows_the_table_and_its_warnings(site, server):
    server.answers = [(200, {"table": "77aa", "rules": 3, "warnings": ["rules.yaml:1:1: doubt"]})]
    result = site.run(reload)
    assert (result.exit_code, result.stdout) == (0, "table 77aa with 3 rules is in force\n")
    assert result.stderr == "rules.yaml:1:1: doubt\n"


def test_a_reload_names_a_table_of_one_rule_in_the_singular(site, server):
    server.answers = [(200, {"table": "77aa", "rules": 1, "warnings": []})]
    assert site.run(reload).stdout == "table 77aa with 1 rule is in force\n"


def test_an_order_that_no_rule_matches_names_the_way_to_the_cause(site, server):
    server.answers = [(200, {"request": 36, "word": "NORULE", "jobs": 0, "reason": None})]
    result = site.run(restore, "A00017")
    assert (result.exit_code, result.stderr) == (
        4,
        "norule, request 36: no rule matches; `vtspolicy why 36` shows what each of them wants\n",
    )


def test_the_time_that_is_trusted_is_reported(site, server):
    server.answers = [
        (200, {"at": "2026-11-22T02:14:31.000+00:00"}),
        (409, {"error": {"message": "the clock is trusted already; nothing waits for it"}}),
    ]
    result = site.run(trust_clock)
    assert result.stdout == f"the clock is trusted; it says {instant(1795313671.0)}\n"
    assert server.asked == [("/api/v1/trust-clock", {})]
    result = site.run(trust_clock)
    assert (result.exit_code, "already" in result.stderr) == (1, True)


def test_a_lock_that_no_job_holds_is_a_failure(site, server):
    server.answers = [
        (200, {"lock": "/V/P", "released": True}),
        (200, {"lock": "/V/P", "released": False}),
    ]
    assert site.run(release_lock, "/V/P").stdout == "/V/P is free\n"
    result = site.run(release_lock, "/V/P")
    assert (result.exit_code, result.stderr) == (1, "no job holds /V/P\n")


def test_a_drain_is_waited_for(site, server, monkeypatch):
    monkeypatch.setattr("vtspolicy.cli.control.LOOK", 0.001)
    server.answers = [
        (200, {"running": 2}),
        (200, {"queue": {"running": 1}}),
        (200, {"queue": {"running": 0}}),
    ]
    result = site.run(drain, "--wait")
    assert (result.exit_code, result.stdout) == (0, "drained\n")
    assert [path for path, _ in server.asked] == ["/api/v1/drain", *["/api/v1/status"] * 2]


def test_a_drain_that_takes_too_long_is_given_up_with_5(site, server):
    server.answers = [(200, {"running": 1}), (200, {"queue": {"running": 1}})]
    result = site.run(drain, "--wait", "--timeout=0.01")
    assert result.exit_code == 5
    assert "1 job still running" in result.stderr


def test_a_drain_can_be_ended(site, server):
    server.answers = [(200, {"waiting": 3, "was_draining": each}) for each in (True, False)]
    ended, idle = site.run(drain, "--end"), site.run(drain, "--end")
    assert (ended.exit_code, ended.stdout) == (0, "taking and starting jobs again\n")
    assert (idle.exit_code, idle.stdout) == (0, "there was no drain to end\n")
    assert server.asked == [("/api/v1/resume", {})] * 2


@pytest.mark.parametrize(
    ("command", "arguments"),
    [(cancel, ("1",)), (retry, ("1",)), (drain, ()), (reload, ()), (release_lock, ("/V/P",))],
)
def test_control_needs_a_server(site, command, arguments):
    result = site.run(command, *arguments)
    assert result.exit_code == 6
    assert "no server runs here" in result.stderr


def test_status_shows_the_links_to_dialled_hosts(site, server):
    link = LinkStatus(
        state="waiting", since=NOW - 5, endpoint="ssh:nsk1", error="no connection", due=NOW + 7
    )
    hosts = (HostStatus(name="NSK1", link=link), HostStatus(name="NSK2"))
    server.answers = [(200, plain(evolve(full_status(), hosts=hosts)))]
    lines = [line.split() for line in site.run(status).stdout.splitlines()]
    assert ["NSK1", "waiting", "5.0s", "7.0s", "no", "connection"] in lines
