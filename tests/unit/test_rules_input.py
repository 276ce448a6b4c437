"""Lines for a program's standard input, and queries that can say a clear no."""

import pytest

from vtspolicy.config.problems import ConfigurationError
from vtspolicy.grammar import shipped
from vtspolicy.rules.expand import GROUP, ExpansionError, expand_input
from vtspolicy.rules.judge import judge_query
from vtspolicy.rules.load import load_table
from vtspolicy.rules.work import Expectation, Query, Reading


def words(*each):
    return GROUP.join(each)


def test_no_lines_are_no_input_and_lines_end_each():
    assert expand_input((), {}) is None
    assert expand_input(("one", "two {x}"), {"x": "3"}) == "one\ntwo 3\n"


def test_a_line_that_names_an_absent_value_is_left_out_and_of_words_only_those():
    lines = ("list {absent}", words("run", "pool={absent}", "job={job}", "yes"))
    assert expand_input(lines, {"job": "Archive"}) == "run job=Archive yes\n"
    assert expand_input(("list {absent}",), {}) == ""


@pytest.mark.parametrize("value", ['x" yes\ndelete all', "a\nb", "a\rb", 'a"b', "a\x1fb", "\0"])
def test_a_value_never_becomes_a_command_of_its_own(value):
    with pytest.raises(ExpansionError):
        expand_input((words("run", 'comment="{handle}"'),), {"handle": value})


QUERY = Query(
    run=("x",),
    outcome={"0": "completed"},
    readings=(Reading(name="copies", pattern="copies ([0-9]+)"),),
    expect=(Expectation(reading="copies", at_least="1"),),
    absent=("227", "ANS1092W"),
)


@pytest.mark.parametrize(
    ("code", "output", "state", "absent"),
    [
        (0, "copies 1", "completed", False),
        (0, "copies 0", "failed", True),
        (0, "", "failed", True),
        (1, "copies 0", "failed", False),
        (227, "", "failed", True),
        (8, "ANS1092W No files", "failed", True),
        (8, "ANS1017E Session rejected", "failed", False),
    ],
)
def test_a_clear_no_is_distinguished_from_no_answer(code, output, state, absent):
    judged = judge_query(QUERY, code=code, output=output, values={})
    assert (judged.state, judged.absent) == (state, absent)


def test_a_query_that_was_stopped_is_no_clear_no():
    judged = judge_query(QUERY, code=None, output="", values={}, kind="timeout")
    assert (judged.state, judged.absent) == ("failed", False)


TABLE = """
applications:
  BAC:
    programs: {console: /bin/cat}
    read: {application_job: 'JobId=([0-9]+)'}
    handle: application_job
    cancel: ["{program.console}"]
    cancel_input: ["cancel jobid={application_job}"]
    poll:
      run: ["{program.console}"]
      input: ["llist jobid={application_job}"]
      read: {state: 'S: (.)'}
      running: R
      completed: T
      patience: 5m
      find: {run: ["{program.console}"], input: ["find {handle}"]}
    query:
      run: ["{program.console}"]
      prepare: {run: ["{program.console}"], read: {copy: '([0-9]+)'}}
      input: ["list {copy}"]
      absent: [3, none]
rules:
  - rule: all
    when: {family: BAC}
    prepare: {run: ["{program.console}"], input: ["{path}"], read: {slot: 'slot ([0-9]+)'}}
    run: ["{program.console}", "{slot}"]
    input:
      - [run, "client={client}", "slot={slot}", "yes"]
      - quit
    then: migrated
"""


@pytest.fixture
def load(tmp_path):
    def load(text):
        (tmp_path / "t.yaml").write_text(text)
        return load_table([tmp_path / "t.yaml"], vocabulary=shipped())

    return load


def test_all_that_a_queued_application_needs_can_be_said_in_the_table(load):
    [rule] = load(TABLE).rules
    work = rule.work
    assert work.input == (words("run", "client={client}", "slot={slot}", "yes"), "quit")
    assert (work.prepare.input, work.handle) == (("{path}",), "application_job")
    assert work.cancel_input == ("cancel jobid={application_job}",)
    assert (work.poll.patience, work.poll.find.input) == (300.0, ("find {handle}",))
    assert work.poll.query.input == ("llist jobid={application_job}",)
    assert (work.verify.absent, work.verify.prepare.readings[0].name) == (("3", "none"), "copy")


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("handle: application_job", "handle: aplication_job", "no reading is called"),
        ('"slot={slot}"', '"slot={slott}"', "nothing provides {slott}"),
        ('["{program.console}", "{slot}"]', '["{program.console}", "{state}"]', "{state}"),
    ],
)
def test_a_name_that_nothing_provides_is_reported(load, right, wrong, said):
    assert right in TABLE
    with pytest.raises(ConfigurationError) as caught:
        load(TABLE.replace(right, wrong))
    assert said in str(caught.value)
