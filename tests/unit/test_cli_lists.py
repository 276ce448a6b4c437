"""Lists: what they are narrowed by, what they show, and orders about what they find."""

import json
import subprocess
import sys
import time
from datetime import datetime

import pytest
from click.testing import CliRunner

from tests.harness.cli_servers import BEGAN, Server, Site
from vtspolicy.cli import cli
from vtspolicy.cli import tapes as cli_tapes
from vtspolicy.cli.control import cancel, drain, release_lock
from vtspolicy.cli.job_table import words_first
from vtspolicy.cli.jobs import job, jobs
from vtspolicy.cli.requests import requests
from vtspolicy.cli.retry import retry
from vtspolicy.cli.tapes import tapes
from vtspolicy.cli.times import moment_of
from vtspolicy.cli.why import why
from vtspolicy.client import Client, Unreachable
from vtspolicy.jobs import JobState, RequestState
from vtspolicy.ledger import AttemptRecords, RequestRecords, TapeRecords
from vtspolicy.rules.decision import PlannedJob
from vtspolicy.rules.work import Reading, Work
from vtspolicy.tapes import Tape


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    with site.config.open("a") as file:
        file.write(
            "vaults: {VAULT01: /tmp}\nhosts:\n"
            "  NSK1: {peers: [10.0.0.9], systems: ['\\NSK1'], vaults: [VAULT01], families: [DSK]}\n"
        )
    return site


@pytest.fixture
def server(site):
    server = Server(site.spool)
    yield server
    server.close()


def a_job(tape, *, application="DSK", **more):
    vault, pool, cartridge = tape.strip("/").split("/")
    there = Tape(vault=vault, pool=pool, cartridge=cartridge, path=tape)
    work = Work(application=application, run=("true", "{path}"), **more)
    return PlannedJob(work=work, values={}, lock=tape, tape=there)


def numbers(site, command, *options):
    code, told = site.run_json(command, *options)
    assert code == 0
    return [row["id"] for row in told["jobs" if command is jobs else "requests"]]


@pytest.mark.parametrize(
    ("tape", "found"),
    [
        ("/VAULT01/PAY/P00001", [1]),
        ("P00001", [1]),
        ("VAULT01/PAY/P00001/", [1]),
        ("PAY", [2, 1]),
        ("/VAULT01/PAY", [2, 1]),
        ("/VAULT01", [3, 2, 1]),
        ("P0000", []),
        ("%", []),
    ],
)
def test_a_tape_is_found_by_its_name_and_by_those_of_its_pool_and_vault(site, tape, found):
    names = ("/VAULT01/PAY/P00001", "/VAULT01/PAY/P00002", "/VAULT01/PAYROLL/A00017")
    site.record(jobs=tuple(map(a_job, names)))
    assert numbers(site, jobs, "--tape", tape) == found


def test_jobs_are_found_by_what_is_known_of_them(site):
    site.record(jobs=(a_job("/VAULT01/PAY/P00001"),), ref="R1", rule="first")
    site.record(jobs=(a_job("/VAULT01/PAY/P00002", application="TSM"),), ref="R2", rule="second")
    site.start(1)
    site.finish(1, JobState.FAILED, code=12)
    assert numbers(site, jobs, "--ref", "R2") == [2]
    assert numbers(site, jobs, "--rule", "first") == [1]
    assert numbers(site, jobs, "--application", "TSM") == [2]
    assert numbers(site, jobs, "--state", "failed", "--state", "waiting") == [2, 1]
    assert numbers(site, jobs, "--state", "failed", "--state", "timedout") == [1]


def test_a_job_counts_for_a_night_if_it_lived_in_it(site):
    evening, morning = BEGAN + 100, BEGAN + 200
    site.record(received=BEGAN)  # asked for before the evening, failed in the night
    site.start(1, BEGAN + 5)
    site.finish(1, JobState.FAILED, at=BEGAN + 150)
    site.record(received=BEGAN)  # over before
    site.start(2, BEGAN + 5)
    site.finish(2, JobState.FAILED, at=BEGAN + 50)
    site.record(received=BEGAN + 300)  # asked for after
    since, until = (datetime.fromtimestamp(at).isoformat() for at in (evening, morning))  # noqa: DTZ006
    assert numbers(site, jobs, "--since", since, "--until", until) == [1]
    assert numbers(site, requests, "--since", since, "--until", until) == [1]


def test_requests_are_listed_also_those_without_a_job(site):
    site.record(ref="R1")
    site.record(cartridges=(), state=RequestState.DENIED, reason="not yours", ref="R2")
    result = site.run(requests, env={"COLUMNS": "100"})
    heading, denied, accepted = result.stdout.splitlines()
    assert heading.split()[:5] == ["req", "state", "host", "ref", "family"]
    assert denied.split()[:5] == ["2", "denied", "NSK1", "R2", "DSK"]
    assert denied.endswith("not yours")
    assert accepted.split()[:4] == ["1", "open", "NSK1", "R1"]
    assert numbers(site, requests, "--state", "denied", "--state", "norule") == [2]
    assert numbers(site, requests, "--ref", "R1") == [1]
    assert numbers(site, requests, "--family", "DSK", "--host", "NSK1") == [2, 1]


@pytest.mark.parametrize("command", [jobs, requests])
def test_an_unknown_host_is_reported_with_the_nearest_name(site, command):
    result = site.run(command, "--host", "NSK2")
    assert result.exit_code == 2
    assert 'there is no host NSK2; did you mean "NSK1"?' in result.stderr
    code, told = site.run_json(command, "--host", "NSK2")
    assert (code, told["error"]["message"]) == (2, "there is no host NSK2")


def test_a_known_host_without_jobs_has_none(site):
    result = site.run(jobs, "--host", "NSK1")
    assert (result.exit_code, result.stderr) == (0, "no jobs\n")


@pytest.mark.parametrize(
    "arguments",
    [("jobs", "--state", "odd"), ("jobs", "--since", "soon"), ("job",), ("job", "1", "--config=x")],
)
def test_whoever_wants_json_gets_mistakes_as_json(arguments):
    result = CliRunner().invoke(cli, [*arguments, "--json"])
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["message"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("explain", "--rules", "FILE", "VTSPolicy DSK '/VAULT01/PAY'"),
        ("test", "--rules", "FILE", "FILE"),
        ("parse", "--families", "FILE", "VTSPolicy Status - 1"),
        ("send", "--to", "127.0.0.1:1", "VTSPolicy Status - 1"),
    ],
)
def test_files_and_servers_that_cannot_be_used_are_reported_as_json(tmp_path, arguments):
    file = tmp_path / "odd.yaml"
    file.write_text("odd: [")
    given = [str(file) if each == "FILE" else each for each in arguments]
    result = CliRunner().invoke(cli, [*given, "--json"])
    assert result.exit_code in {2, 6}
    assert json.loads(result.stdout)["error"]["message"]
    assert result.stderr == ""


@pytest.mark.parametrize("columns", [80, 120])
def test_a_list_has_references_dates_and_the_zone(site, columns, monkeypatch):
    monkeypatch.setenv("TZ", "CET-1")
    site.record(ref="payroll-17")
    site.start(1)
    heading, row = site.run(jobs, env={"COLUMNS": str(columns)}).stdout.splitlines()
    assert "started " in heading
    assert "payroll-17" in row
    assert f"{datetime.fromtimestamp(BEGAN + 5):%m-%d %H:%M}" in row  # noqa: DTZ006
    assert max(map(len, (heading, row))) <= columns


def test_what_is_cut_of_a_reason_is_not_what_the_application_said(site):
    reason = "exit code 12, which the table does not list: ANS1301E No space in the pool"
    assert words_first(reason) == (
        "ANS1301E No space in the pool (exit code 12, which the table does not list)"
    )
    assert words_first("the library is closed: for good") == "the library is closed: for good"
    site.record()
    site.start(1)
    site.finish(1, JobState.FAILED, code=12, reason=reason)
    assert "ANS1301E" in site.run(jobs, env={"COLUMNS": "80"}).stdout
    assert site.run_json(jobs)[1]["jobs"][0]["reason"] == reason


def test_a_reason_does_not_repeat_the_tape_of_its_row_in_a_terminal(site):
    site.record()
    site.start(1)
    site.finish(1, JobState.COMPLETED, reason="/VAULT01/PAYROLL/A00017: it is empty already")
    row = site.run(jobs, env={"COLUMNS": "90"}).stdout.splitlines()[1]
    assert "/VAULT01/PAYROLL/A00017  " in row
    assert row.endswith("  it is empty already")


def test_why_a_job_waits_and_how_far_another_is_comes_from_the_server(site, server):
    site.record(cartridges=("A00017", "A00018"))
    site.start(1)
    told = {
        "1": {"pct": 45, "bytes": 1288490189},
        "2": {"waits_for": "lock", "place": 1, "of": 3, "behind": 1},
    }
    server.answers += [(200, {"live": told})] * 2
    second, first = site.run(jobs, env={"COLUMNS": "160"}).stdout.splitlines()[1:]
    assert "45 %, 1.2G" in first
    assert "behind job 1, place 1 of 3 for lock" in second
    rows = site.run_json(jobs)[1]["jobs"]
    assert [(row["pct"], row["bytes"]) for row in rows] == [(None, None), (45, 1288490189)]
    assert [(row["waits_for"], row["place"]) for row in rows] == [("lock", 1), (None, None)]
    assert server.asked[0][0] == "/api/v1/live?jobs=2%2C1"


def test_without_a_server_the_spool_shows_how_far_a_job_is(site):
    reading = Reading(name="percent", pattern="([0-9]+)%")
    site.record(jobs=(a_job("/VAULT01/PAY/P00001", readings=(reading,)),))
    site.start(1)
    folder = site.spool / "runs" / "000001-1"
    for each in (folder, site.spool / "000001-1"):
        each.mkdir(parents=True)
        (each / "output").write_text("10%\n37%\n")
    assert site.run_json(jobs)[1]["jobs"][0]["pct"] == 37
    assert site.run_json(job, 1)[1]["pct"] == 37
    assert "37 %" in site.run(jobs).stdout


def test_a_repeated_job_names_what_it_repeats_and_who_asked(site):
    site.record(ref="R1")
    site.start(1)
    site.finish(1, JobState.FAILED, code=12)
    site.write(RequestRecords.renew, 1, "operator alice", BEGAN + 200, "the pool has room again")
    shown = site.run(job, 2).stdout
    assert "repeats      job 1, asked for by operator alice" in shown
    _, told = site.run_json(job, 2)
    assert (told["repeats"], told["asked_by"]) == (1, "operator alice")
    _, old = site.run_json(job, 1)
    assert (old["repeated_by"], old["asked_by"]) == ([2], "host NSK1")
    assert "the pool has room again" in old["history"][-1]["cause"]


def test_a_job_is_followed_to_its_end(site, monkeypatch):
    site.record()

    def pass_time(_seconds):
        if not site.write(AttemptRecords.of_job, 1):
            site.start(1)
        else:
            site.finish(1, JobState.WARNING, code=4, reason="exit code 4")

    monkeypatch.setattr("vtspolicy.cli.following.time.sleep", pass_time)
    result = site.run(job, 1, "--follow")
    assert result.exit_code == 3
    became = [line.split()[2] for line in result.stdout.splitlines()]
    assert became == ["waiting", "running", "warning"]


def failed(site, count):
    site.record(jobs=tuple(a_job(f"/VAULT01/PAY/P{number:05d}") for number in range(count)))
    for number in range(1, count + 1):
        site.start(number)
        site.finish(number, JobState.FAILED, code=12)


def test_several_jobs_are_run_again_by_their_numbers(site, server):
    failed(site, 3)
    server.answers += [(200, {"request": 2, "job": 4}), (409, {"error": {"message": "it is full"}})]
    result = site.run(retry, 1, 3, "--reason", "the pool has room again")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "job 1 is run again as job 4 of request 2",
        "job 3 cannot be run again: it is full",
        "1 job is run again (1 DSK), 1 cannot",
    ]
    assert server.asked[0] == (
        "/api/v1/retry",
        {"job": 1, "reason": "the pool has room again"},
    )


def test_a_server_that_ends_meanwhile_hides_no_job_that_is_done_again(site, server, monkeypatch):
    failed(site, 3)
    post = Client.post

    def once(client, verb, **given):
        if given["job"] > 1:
            raise Unreachable("no server runs here")
        return post(client, verb, **given)

    monkeypatch.setattr(Client, "post", once)
    server.answers += [(200, {"request": 2, "job": 4})]
    result = site.run(retry, 1, 2, 3)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "job 1 is run again as job 4 of request 2",
        "job 2 cannot be run again: no server runs here",
        "job 3 cannot be run again: no server runs here",
        "1 job is run again (1 DSK), 2 cannot",
    ]
    assert site.run(retry, 2, 3).exit_code == 6


def test_a_dry_run_shows_which_jobs_can_be_run_again_and_why_others_cannot(site):
    failed(site, 3)
    site.write(RequestRecords.renew, 2, "operator alice", BEGAN + 200)
    site.start(4)
    site.finish(4, at=BEGAN + 300)
    code, told = site.run_json(retry, "--state", "failed", "--since", "1d", "--dry-run")
    assert code == 0  # what was run again already needs no person
    assert [row["id"] for row in told["retried"]] == [1, 3]
    (refused,) = told["refused"]
    assert refused["refusal"] == "job 2 was run again already, as job 4: completed"
    assert (
        "2 jobs can be run again (2 DSK), 1 cannot"
        in site.run(retry, "--host", "NSK1", "--dry-run").stdout
    )


def test_retry_wants_jobs_or_a_filter(site):
    for arguments in ((), (1, "--state", "failed")):
        assert site.run(retry, *arguments).exit_code == 2
    result = site.run(retry, 1, 99, "--dry-run")
    assert "there is no job 1; nothing was done" in result.stderr


def test_orders_say_why(site, server):
    server.answers += [(200, {"ended": [1], "stopping": []}), (200, {"running": 0})]
    server.answers += [(200, {"lock": "x", "released": True})]
    site.run(cancel, "--job", 1, "--reason", "wrong pool")
    site.run(drain, "--reason", "upgrade")
    site.run(release_lock, "x", "--reason", "it hangs")
    assert [body.get("reason") for _, body in server.asked] == ["wrong pool", "upgrade", "it hangs"]


def test_a_large_cancellation_shows_how_many_jobs_it_is_about(site, server):
    site.record(jobs=tuple(a_job(f"/VAULT01/PAY/P{number:05d}") for number in range(25)))
    server.answers.append((200, {"ended": list(range(1, 26)), "stopping": []}))
    result = site.run(cancel, 1, "--yes")
    assert "request 1 has 25 jobs that have not ended" in result.stderr
    assert result.stdout == "25 jobs cancelled\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22", "2026-11-22T00:00:00+01:00"),
        ("2026-11-22T02:14", "2026-11-22T02:14:00+01:00"),
        ("2026-11-22 02:14:09+00:00", "2026-11-22T02:14:09+00:00"),
        ("23:00", "2026-11-22T23:00:00+01:00"),
        ("06:30", "2026-11-23T06:30:00+01:00"),
        ("today", "2026-11-23T00:00:00+01:00"),
        ("yesterday", "2026-11-22T00:00:00+01:00"),
        ("90m", "2026-11-23T06:30:00+01:00"),
        ("2d", "2026-11-21T08:00:00+01:00"),
        ("soon", None),
        ("25:00", None),
    ],
)
def test_times_are_understood_as_people_give_them(text, expected, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "CET-1")
        time.tzset()
        now = datetime.fromisoformat("2026-11-23T08:00:00+01:00")
        moment = moment_of(text, now)
    time.tzset()
    wanted = None if expected is None else datetime.fromisoformat(expected).timestamp()
    assert moment == wanted


@pytest.mark.parametrize("columns", [50, 80, 140])
def test_a_list_of_requests_fits_and_begins_its_reason_with_the_cause(site, columns):
    reason = "exit code 12, which the table does not list: ANS1311E no space"
    site.record(cartridges=(), state=RequestState.NORULE, ref="payroll-17")
    site.record(ref="payroll-18")
    site.start(1)
    site.finish(1, JobState.FAILED, code=12, reason=reason)
    shown = site.run(requests, env={"COLUMNS": str(columns)}).stdout.splitlines()
    heading, failed_one, without = shown
    assert max(map(len, shown)) <= columns
    assert heading.split()[:2] == ["req", "state"]
    assert "ANS1" in failed_one
    assert "no rule" in without
    assert ("DSK 'archive" in failed_one) == (columns >= 140)


def test_a_job_page_wraps_its_reasons(site):
    reason = "exit code 12, which the table does not list: ANS1311E no space left in the pool"
    site.record()
    site.start(1)
    site.finish(1, JobState.FAILED, code=12, reason=reason)
    shown = site.run(job, 1, env={"COLUMNS": "70"}).stdout
    assert "\u2026" not in shown
    assert max(map(len, shown.splitlines())) <= 70


def test_a_request_without_a_host_names_who_asked(site):
    site.record(host="")
    assert "(an operator)" not in site.run(job, 1).stdout + site.run(why, 1).stdout
    for shown in (site.run(job, 1).stdout, site.run(why, 1).stdout):
        assert "asked by" in shown


def test_a_job_page_says_what_success_would_mean(site):
    site.record(jobs=(a_job("/VAULT01/PAY/P00001", then="migrated"),))
    site.start(1)
    site.finish(1, JobState.FAILED, code=12)
    assert "on success   migrated" in site.run(job, 1).stdout


def test_a_pool_or_vault_that_nobody_knows_is_reported_as_such(site):
    assert (site.run(tapes).exit_code, site.run(tapes).stdout) == (0, "no tapes\n")
    result = site.run(tapes, "--vault", "VAULT1")
    assert result.exit_code == 2
    assert 'there is no vault VAULT1; did you mean "VAULT01"?' in result.stderr
    result = site.run(tapes, "--pool", "PAY")
    assert result.exit_code == 1
    assert "the catalogue does not know the pool PAY" in result.stderr


def test_an_unknown_tape_is_reported_within_the_one_object(site):
    code, told = site.run_json(tapes, "A00017")
    assert code == 1
    assert told["tapes"] == []
    assert told["error"]["message"] == "the catalogue does not know A00017"


STRANGE = "A\x1b[31m\x9b2J\u202e"


@pytest.mark.parametrize(
    "arguments",
    [("jobs", "--host", STRANGE), ("jobs", "--since", STRANGE), (STRANGE,), ("tapes", STRANGE)],
)
def test_a_mistake_is_shown_with_visible_characters(site, arguments):
    given = [arguments[0], "--config", str(site.config), *arguments[1:]]
    result = CliRunner().invoke(cli, given if len(arguments) > 1 else arguments, color=True)
    assert result.exit_code in {1, 2}
    assert "\\x1b[31m\\x9b2J\\u202e" in result.stderr
    assert result.stderr.replace("\n", "").isprintable()


def test_an_output_that_takes_no_more_is_an_error_in_one_line():
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", "vtspolicy", "grammar"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == ("vtspolicy: the output could not be written: No space left on device\n")


def test_a_table_of_tapes_is_limited_and_json_is_whole(site, monkeypatch):
    names = [f"A{number:05}" for number in range(4)]
    for name in names:
        path = f"/VAULT01/PAY/{name}"
        site.write(TapeRecords.save, Tape(vault="VAULT01", pool="PAY", cartridge=name, path=path))
    monkeypatch.setattr(cli_tapes, "TABLE", 3)

    def shown(*options):
        result = site.run(tapes, *options)
        assert result.exit_code == 0
        return len(result.stdout.splitlines()) - 1, result.stderr

    told = "{} of 4 tapes are shown; --limit shows more\n"
    assert shown() == (3, told.format(3))
    assert shown("--limit", "2") == (2, told.format(2))
    assert shown("--limit", "4") == (4, "")
    assert shown("--verdict", "--limit", "1")[1] == told.format(1)
    _, whole = site.run_json(tapes)
    assert [each["cartridge"] for each in whole["tapes"]] == names
    assert len(site.run_json(tapes, "--limit", "2")[1]["tapes"]) == 2
