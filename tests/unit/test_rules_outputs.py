"""The line of an output that says why a program failed, and where the tables look for it."""

import json
import time

import pytest

from vtspolicy.config.load import SHIPPED
from vtspolicy.config.problems import ConfigurationError
from vtspolicy.grammar import shipped
from vtspolicy.rules.judge import judge, judge_poll, judge_query
from vtspolicy.rules.load import load_table
from vtspolicy.rules.outputs import CAUSE_LIMIT, LINE_LIMIT
from vtspolicy.rules.progress import read_progress
from vtspolicy.rules.work import Expectation, Poll, Query, Reading, Work

STATISTICS = "Total number of objects failed:  1\nElapsed processing time:  00:00:04\n"


def lines(*patterns):
    return tuple(Reading(name="cause", pattern=pattern) for pattern in patterns)


def reason(cause, output, code=12):
    work = Work(application="X", outcome={"0": "completed"}, cause=cause)
    return judge(work, code=code, output=output, values={}).reason.partition("list: ")[2]


def test_the_line_that_shows_why_is_the_reason_and_not_the_statistics_after_it():
    output = f"reading /VAULT01/PAY/A1\nXYZ104E the server is full\n{STATISTICS}"
    assert reason(lines("XYZ[0-9]{3}E"), output) == "XYZ104E the server is full"


def test_of_several_such_lines_the_last_is_reported():
    assert reason(lines("^ERR"), "ERR one\nERR two\ndone\n") == "ERR two"


def test_the_first_pattern_that_finds_a_line_counts():
    output = "W something odd\nE it broke\nW again odd\n"
    assert reason(lines("^E ", "^W "), output) == "E it broke"
    assert reason(lines("^F ", "^W "), output) == "W again odd"


def test_a_group_is_the_part_that_is_reported():
    assert reason(lines(r"\d+ because (.*)"), "at 12:00 3 because of rain\n") == "of rain"


def test_a_field_of_json_is_reported_with_its_escapes_undone():
    output = json.dumps({"kind": "end", "why": {"text": 'no "lock"\nleft'}}) + '\n{"n": 1}\n'
    cause = (Reading(name="cause", field="why.text"),)
    assert reason(cause, output) == 'no "lock" left'


def test_without_such_a_line_the_last_one_for_people_is_reported():
    assert reason(lines("^ERR"), "first\nlast words\n\n") == "last words"
    assert reason((), 'last words\n{\n  "files": 0\n}\n') == "last words"


def test_sequences_for_a_terminal_are_not_part_of_the_cause():
    red = "\x1b[31mERR the pool is full\x1b[0m\n\x1b]0;done\x07\x1b[0m\n\x00\n"
    assert reason(lines("^ERR"), red) == "ERR the pool is full"
    assert reason((), red) == "ERR the pool is full"
    assert reason((), "a\x00b\x08c \x9b2Jd\n") == "a b c d"


def test_what_is_told_has_an_end():
    assert len(reason(lines("^ERR"), "ERR " + "x" * 5000)) == CAUSE_LIMIT


def test_no_more_of_a_line_is_looked_at_than_of_any_other():
    output = "x" * LINE_LIMIT + " ERR far away\nlast words\n"
    assert reason(lines("ERR"), output) == "last words"


def test_a_slow_expression_looks_at_no_more_of_any_line():
    output = ("a" * 100_000 + "b\n") * 3  # the whole line would take it minutes
    began = time.monotonic()
    assert reason(lines("a*b"), f"{output}last words\n") == "last words"
    assert time.monotonic() - began < 60


def test_a_run_that_did_not_exit_shows_its_last_words():
    work = Work(application="X", cause=lines("^ERR"))
    judged = judge(work, code=None, output="ERR no tape\nbye\n", values={}, kind="signalled")
    assert judged.reason == "it did not exit: signalled: ERR no tape"


def test_a_query_that_failed_shows_its_cause_and_one_that_went_well_no_statistics():
    query = Query(
        run=("q",),
        outcome={"0": "completed"},
        cause=lines("^ERR"),
        readings=(Reading(name="files", pattern="files=([0-9]+)"),),
        expect=(Expectation(reading="files", equals="1"),),
    )
    failed = judge_query(query, code=2, output="ERR locked\n1 s\n", values={})
    assert failed.reason == "exit code 2, which the table does not list: ERR locked"
    empty = judge_query(query, code=0, output="files=0\n1 s\n", values={})
    assert empty.reason == "files is 0, expected 1"
    warned = judge_query(query, code=0, output="ERR of files\nfiles=0\n", values={})
    assert warned.reason == "files is 0, expected 1: ERR of files"


def test_a_queued_job_that_failed_shows_the_cause_of_its_own_log():
    query = Query(
        run=("q",),
        outcome={"0": "completed"},
        cause=lines("Fatal: (.*)"),
        readings=(Reading(name="state", pattern="state=(.)"),),
    )
    poll = Poll(query=query, running="R", completed="T")
    judged = judge_poll(poll, code=0, output="Fatal: no medium\nstate=E\n", values={})
    assert judged.reason == "the application's state is E: no medium"
    unanswered = judge_poll(poll, code=1, output="no director\n", values={})
    assert unanswered.reason == "exit code 1, which the table does not list: no director"


# -- what a table may say


def table_of(tmp_path, text):
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    return load_table([path], vocabulary=shipped())


TABLE = """
applications:
  DSK:
    cause: ['ONE', {field: two.three}]
    query: [q, "{handle}"]
    read_back: {run: [r, "{handle}"], read: {digest: '(.*)'}, prepare: [p, "{handle}"]}
    archive: {prepare: [before]}
rules:
  - {rule: a, when: {family: DSK, operation: archive}, run: [x], then: migrated}
  - {rule: b, when: {family: DSK}, run: [x], then: migrated, cause: OWN}
"""


def test_an_application_says_it_for_its_rules_and_for_their_calls(tmp_path):
    first, second = (rule.work for rule in table_of(tmp_path, TABLE).rules)
    both = (Reading(name="cause", pattern="ONE"), Reading(name="cause", field="two.three"))
    own = (Reading(name="cause", pattern="OWN"),)
    for work, cause in ((first, both), (second, own)):
        calls = (work.prepare, work.verify, work.read_back, work.read_back.prepare)
        assert work.cause == cause
        assert all(each.cause == cause for each in calls)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("'(a)(b)'", "a regular expression with one group, or without any, is expected here"),
        ("'(a'", "this is not a regular expression"),
        ("{feild: message}", 'did you mean "field"?'),
        ("{}", "a cause is a regular expression or a field"),
        ("[]", "this list is empty"),
    ],
)
def test_a_cause_that_cannot_be_is_reported_with_its_place(tmp_path, written, message):
    text = TABLE.replace("cause: OWN", f"cause: {written}")
    with pytest.raises(ConfigurationError) as caught:
        table_of(tmp_path, text)
    assert message in str(caught.value)
    assert ":10:" in str(caught.value)


# -- what the shipped tables find

RESTIC_EXIT = {"message_type": "exit_error", "code": 11, "message": "Fatal: repository is locked"}
RESTIC_FILE = {"message_type": "error", "error": {"message": "open: denied"}, "item": "/x"}
SUMMARY = {"message_type": "summary", "files_new": 0}

FOUND = [
    (
        "tsm",
        "archive to TSM",
        f"ANS4037E it changed\nANS1803E finished\n{STATISTICS}",
        "ANS4037E it changed",
    ),
    ("tsm", "archive to TSM", f"ANS1802E finished\n{STATISTICS}", "ANS1802E finished"),
    (
        "tsm",
        "archive to TSM",
        f"ANS1898I busy\nANS1115W excluded\n{STATISTICS}",
        "ANS1115W excluded",
    ),
    ("rst", "archive to restic", f"{json.dumps(RESTIC_EXIT)}\n", "Fatal: repository is locked"),
    (
        "rst",
        "archive to restic",
        f"{json.dumps(RESTIC_FILE)}\n{json.dumps(SUMMARY)}\n",
        "open: denied",
    ),
    ("rst", "archive to restic", "Fatal: wrong password\nrepository x\n", "Fatal: wrong password"),
    (
        "brg",
        "archive to borg",
        '/x: stat: [Errno 2] No such file\n{\n    "archive": {\n        "n": 0\n    }\n}\n',
        "/x: stat: [Errno 2] No such file",
    ),
    (
        "brg",
        "archive to borg",
        (
            "Local Exception\nTraceback (most recent):\n  File x\nOSError: [Errno 28] full\n"
            "Platform: Linux\nPID: 7\n"
        ),
        "OSError: [Errno 28] full",
    ),
    (
        "nbu",
        "archive to NetBackup",
        "EXIT STATUS 71: none of the files\nbye\n",
        "EXIT STATUS 71: none of the files",
    ),
    (
        "idr",
        "archive to the shelf",
        (
            'rsync: [sender] link_stat "/x" failed: No such file or directory (2)\n'
            "rsync error: some files could not be sent (code 23) at main.c(1338)\nsent 20 bytes\n"
        ),
        'rsync: [sender] link_stat "/x" failed: No such file or directory (2)',
    ),
    (
        "idr",
        "archive to the shelf",
        (
            "ssh: connect to host x port 22: Connection refused\n"
            "rsync: connection unexpectedly closed (0 bytes received so far) [sender]\n"
            "rsync error: unexplained error (code 255) at io.c(228)\n"
        ),
        "ssh: connect to host x port 22: Connection refused",
    ),
    (
        "idr",
        "archive to the shelf",
        "rsync error: time out (code 30)\nsent 2 bytes\n",
        "rsync error: time out (code 30)",
    ),
    (
        "dsk",
        "archive to disk",
        "vtspolicy disk: No space left on device\nvtspolicy disk: warning: mode\nprogress 10%\n",
        "vtspolicy disk: No space left on device",
    ),
]


@pytest.mark.parametrize(("family", "rule", "output", "cause"), FOUND)
def test_a_shipped_table_finds_the_cause(family, rule, output, cause):
    table = load_table([SHIPPED / f"{family}.yaml"], vocabulary=shipped())
    work = next(each.work for each in table.rules if each.name == rule)
    judged = judge(work, code=99, output=output, values={"size": "1", "handle": "1-1"})
    assert judged.reason == f"exit code 99, which the table does not list: {cause}"


SLOW = "(x+x+)+y"
LINE = "x" * 60 + "\n"
"""Trying all ways to divide this line takes longer than there is time in the world."""


@pytest.fixture
def short_of_time(monkeypatch):
    monkeypatch.setattr("vtspolicy.rules.time_limit.within_time.__defaults__", (0.05,))
    monkeypatch.setattr("vtspolicy.rules.outputs.read_output.__kwdefaults__", {"seconds": 0.05})


@pytest.mark.usefixtures("short_of_time")
def test_a_cause_that_takes_too_long_gives_way_to_the_last_line():
    work = Work(application="X", outcome={"0": "completed"}, cause=lines(SLOW))
    judged = judge(work, code=12, output=f"{LINE}the disk is full\n", values={})
    assert judged.reason.endswith(
        "(the table's regular expressions take too long on this output): the disk is full"
    )


@pytest.mark.usefixtures("short_of_time")
def test_a_reading_that_takes_too_long_is_a_failure_and_no_clear_no():
    query = Query(
        run=("q",),
        outcome={"0": "completed"},
        readings=(Reading(name="copies", pattern=f"({SLOW.replace('(', '(?:')})"),),
        expect=(Expectation(reading="copies", at_least="1"),),
    )
    judged = judge_query(query, code=0, output=LINE, values={})
    assert (judged.state, judged.absent) == ("failed", False)
    assert "too long" in judged.reason


@pytest.mark.usefixtures("short_of_time")
def test_a_state_that_takes_too_long_leaves_the_job_running():
    query = Query(
        run=("q",),
        outcome={"0": "completed"},
        readings=(Reading(name="state", pattern="state (.*)"),),
    )
    poll = Poll(query=query, completed=SLOW)
    judged = judge_poll(poll, code=0, output=f"state {LINE}", values={})
    assert (judged.state, judged.answered) == ("running", False)


def test_progress_that_takes_too_long_is_not_reported():
    slow = (Reading(name="percent", pattern=f"({SLOW.replace('(', '(?:')})"),)
    assert read_progress(slow, LINE) == {}


@pytest.mark.usefixtures("short_of_time")
def test_documents_that_begin_without_an_end_take_no_longer():
    query = Query(run=("q",), readings=(Reading(name="copies", field="n"),))
    output = "[\n" * 900 + "1," * 400_000
    assert "too long" in judge_query(query, code=0, output=output, values={}).reason
