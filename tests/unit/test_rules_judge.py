"""Judging runs: exit codes, what output says, and the traps of the applications."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtspolicy.rules.judge import judge, judge_poll, judge_query
from vtspolicy.rules.outputs import LINE_LIMIT, read_output
from vtspolicy.rules.work import Expectation, Poll, Query, Reading, Work

OUTCOME = {"0": "completed", "4": "failed", "8": "warning", "default": "failed"}


def test_an_expectation_that_says_nothing_makes_no_clear_no():
    read = (Reading(name="latest", pattern="latest=(.*)"),)
    for outcome, absent in (("failed", True), ("warning", False)):
        expect = (Expectation(reading="latest", equals="{handle}", outcome=outcome),)
        query = Query(run=("q",), outcome={"0": "completed"}, readings=read, expect=expect)
        judged = judge_query(query, code=0, output="latest=7-2", values={"handle": "7-1"})
        assert (judged.state, judged.absent) == (outcome, absent)


def work(**changes):
    return Work(application="TSM", outcome=OUTCOME, **changes)


@pytest.mark.parametrize(
    ("code", "state", "reason"),
    [
        (0, "completed", ""),
        (8, "warning", "exit code 8"),
        (4, "failed", "exit code 4"),
        (99, "failed", "exit code 99, which the table does not list"),
        (-9, "failed", "exit code -9, which the table does not list"),
    ],
)
def test_an_exit_code_is_what_the_table_says(code, state, reason):
    found = judge(work(), code=code, output="", values={})
    assert (found.state, found.reason) == (state, reason)


def test_a_table_without_a_default_fails_what_it_does_not_list():
    query = Query(run=("x",), outcome={"0": "completed"})
    assert judge_query(query, code=1, output="", values={}).state == "failed"


@pytest.mark.parametrize("kind", ["signalled", "timeout", "lost", "unstartable"])
def test_what_did_not_exit_failed_whatever_its_code(kind):
    assert judge(work(), kind=kind, code=0, output="", values={}).state == "failed"


def test_an_exit_without_a_code_failed():
    assert judge(work(), code=None, output="", values={}).state == "failed"


def expecting(*expectations, pattern="files: ([0-9,]+)"):
    return work(readings=(Reading(name="files", pattern=pattern),), expect=expectations)


def test_a_success_without_the_expected_count_is_none():
    wanted = expecting(Expectation(reading="files", equals="1"))
    assert judge(wanted, code=0, output="files: 1\n", values={}).state == "completed"
    failed = judge(wanted, code=0, output="files: 0\n", values={})
    assert (failed.state, failed.reason) == ("failed", "files is 0, expected 1")
    silent = judge(wanted, code=0, output="", values={})
    assert (silent.state, silent.reason) == ("failed", "the output does not show files")


def test_the_size_of_the_tape_can_be_expected():
    wanted = expecting(Expectation(reading="files", equals="{size}"))
    assert (
        judge(wanted, code=0, output="files: 1,024", values={"size": "1024"}).state == "completed"
    )
    assert judge(wanted, code=0, output="files: 1023", values={"size": "1024"}).state == "failed"
    unknown = judge(wanted, code=0, output="files: 1024", values={})
    assert unknown.state == "failed"
    assert "not known" in unknown.reason


def test_at_least_compares_numbers_not_words():
    wanted = expecting(Expectation(reading="files", at_least="9"))
    assert judge(wanted, code=0, output="files: 10", values={}).state == "completed"
    assert (
        judge(wanted, code=0, output="files: 8", values={}).reason
        == "files is 8, expected at least 9"
    )


def test_an_expectation_never_makes_a_failure_better():
    wanted = expecting(Expectation(reading="files", equals="1", outcome="warning"))
    assert judge(wanted, code=4, output="files: 0", values={}).state == "failed"
    assert judge(wanted, code=0, output="files: 0", values={}).state == "warning"


def test_the_last_match_counts():
    reading = Reading(name="job", pattern="JobId=([0-9]+)")
    assert read_output((reading,), "JobId=1\nJobId=2 JobId=3\n") == {"job": "3"}


def test_a_share_becomes_a_percentage():
    reading = Reading(name="percent", field="percent_done", scale=100)
    lines = '{"percent_done": 0.25}\nnoise\n{"percent_done": 0.5, "x": [1]}\n'
    assert read_output((reading,), lines) == {"percent": "50"}


@pytest.mark.parametrize(
    ("field", "output", "value"),
    [
        ("#", "[]", "0"),
        ("#", '[{"a": 1}, {"a": 2}]', "2"),
        ("1.a", '[{"a": 1}, {"a": 2}]', "2"),
        ("a.b.0", '{"a": {"b": ["x"]}}', "x"),
        ("a", '{"a": true}', "true"),
        ("a", 'warning: {"a": 9}\n{\n "a": 1\n}\ntrailer', "1"),
        ("a", '{"a": null}', None),
        ("a.b", '{"a": 1}', None),
        ("5", "[1]", None),
        ("#", "null", None),
        ("a", "{broken\n", None),
        ("a", "[" * 5000, None),
    ],
)
def test_a_field_is_found_where_its_dotted_name_leads(field, output, value):
    found = read_output((Reading(name="x", field=field),), output)
    assert found == ({} if value is None else {"x": value})


def test_no_line_keeps_a_regular_expression_busy():
    reading = Reading(name="x", pattern="(a*)b")
    assert read_output((reading,), "a" * (LINE_LIMIT - 1) + "cb") == {}


@given(st.text(max_size=300))
def test_any_output_is_judged(output):
    readings = (Reading(name="a", pattern="(.)x"), Reading(name="b", field="a.#.0"))
    found = judge(work(readings=readings), code=0, output=output, values={})
    assert found.state == "completed"


# -- traps of applications, by the outputs that they were seen to give


BACULA = Query(
    run=("x",),
    outcome={"0": "completed", "default": "failed"},
    readings=tuple(
        Reading(name=name, pattern=f"{field}: (\\S+)")
        for name, field in (
            ("state", "jobstatus"),
            ("errors", "joberrors"),
            ("files", "jobfiles"),
            ("bytes", "jobbytes"),
        )
    ),
    expect=(
        Expectation(reading="state", equals="T"),
        Expectation(reading="errors", equals="0"),
        Expectation(reading="files", equals="1"),
        Expectation(reading="bytes", at_least="{size}"),
    ),
)


def bacula(state, errors, files, size):
    return (
        f"           jobid: 7\n       jobstatus: {state}\n        jobfiles: {files}\n"
        f"        jobbytes: {size}\n       joberrors: {errors}\n"
    )


def test_bacula_says_ok_for_a_path_that_does_not_exist_and_is_not_believed():
    found = judge_query(BACULA, code=0, output=bacula("T", 1, 0, 0), values={"size": "1000"})
    assert (found.state, found.reason) == ("failed", "errors is 1, expected 0")


def test_bacula_is_believed_when_errors_files_and_bytes_are_right():
    output = bacula("T", 0, 1, "1,048,576")
    assert (
        judge_query(BACULA, code=0, output=output, values={"size": "1048576"}).state == "completed"
    )


POLL = Poll(
    query=Query(run=("x",), outcome=BACULA.outcome, readings=BACULA.readings),
    running="[CRBFSmMsjcdtpialL]",
    completed="T",
    warning="W",
)


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("R", "running"),
        ("C", "running"),
        ("T", "completed"),
        ("W", "warning"),
        ("A", "failed"),
        ("f", "failed"),
        ("?", "failed"),
    ],
)
def test_a_queued_job_stands_as_its_state_says(state, found):
    output = bacula(state, 0, 1, 1)
    assert judge_poll(POLL, code=0, output=output, values={}).state == found


@pytest.mark.parametrize(("code", "output"), [(1, "no director"), (0, ""), (0, "jobstatus")])
def test_a_poll_that_says_nothing_is_no_end(code, output):
    found = judge_poll(POLL, code=code, output=output, values={})
    assert found.state == "running"
    assert found.reason
