"""Loading rules tables: defaults, merging, and every problem with its place."""

import re

import pytest

from tests.harness.mistakes import mistakes
from vtspolicy.config.load import SHIPPED
from vtspolicy.config.model import Configuration, Host
from vtspolicy.config.problems import ConfigurationError
from vtspolicy.grammar import shipped
from vtspolicy.rules.keys import APPLICATION, RULE, WORK
from vtspolicy.rules.load import load_table, read_table
from vtspolicy.rules.query_keys import DEFAULT_TIMEOUT
from vtspolicy.rules.work import Expectation, Limits, Reading, Retry


@pytest.fixture
def load(tmp_path):
    def load(text, *more, configuration=None):
        paths = []
        for number, each in enumerate((text, *more)):
            path = tmp_path / f"rules{number or ''}.yaml"
            path.write_text(each)
            paths.append(path)
        return load_table(paths, vocabulary=shipped(), configuration=configuration)

    return load


def only_rule(table):
    [rule] = table.rules
    return rule


@pytest.mark.parametrize(("text", "problem"), mistakes("rules"))
def test_each_problem_has_its_place_and_its_remedy(tmp_path, text, problem):
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    _, findings = read_table([path], vocabulary=shipped())
    found = [re.sub(re.escape(str(tmp_path)) + "/", "", str(each)) for each in findings.problems]
    assert f"rules.yaml:{problem}" in found


def test_a_table_with_problems_is_refused_with_all_of_them(load):
    with pytest.raises(ConfigurationError) as caught:
        load("ruls: []\nrules:\n  - {rule: a}\n  - x\n")
    assert [problem.line for problem in caught.value.problems] == [1, 3, 4]


EVERYTHING = """
calendar: {holidays: [2026-12-25]}
x-anchors: &times {waiting: 1h, silence: 10m}
applications:
  TSM:
    title: the archive
    seats: 4
    programs: {dsmc: /opt/dsmc}
    places: {site: "{berlin}"}
    defaults: {class: KEEP}
    env: {A: "1", B: "{rundir}"}
    outcome: {0: completed, 100-102: warning}
    timeouts: *times
    read: {files: 'files: ([0-9]+)'}
    progress: {field: percent_done, scale: 100}
    expect: {files: 1}
    retry: {attempts: 3, delay: 5m, backoff: 2, on: [failed, lost]}
    on_interrupt: retry
    query: ["{program.dsmc}", query, "{handle}"]
    archive: {timeout: 1h, ready: [mount, "{cartridge}"]}
rules:
  - rule: everything
    when: {family: TSM, between: ["Mon-Fri 20:00-06:00", "!holidays Sat,Sun"]}
    run: ["{program.dsmc}", "{site}", [-c, "{class}"], "{keyword.source}", "{{x}}"]
    then: migrated
    each: pool
    lock: "{vault}"
    priority: 7
    env: {A: "2"}
    timeouts: {grace: 5s, waiting: none}
    poll: {run: [p, "{job_id}"], every: 2s, running: R, completed: T, warning: W,
           read: {state: 'S=(.)', errors: 'E=(.)'}, expect: {errors: 0}}
    read: {job_id: 'id=([0-9]+)'}
    cancel: [stop, "{job_id}"]
"""


def test_everything_of_a_work_can_be_said_in_the_table(load):
    table = load(EVERYTHING)
    rule = only_rule(table)
    work = rule.work
    assert work.application == "TSM"
    assert work.run == ("/opt/dsmc", "{{berlin}}", "-c\x1f{class}", "{keyword.source}", "{{x}}")
    assert work.env == {"A": "2", "B": "{rundir}"}
    assert work.outcome == {"0": "completed", "100": "warning", "101": "warning", "102": "warning"}
    assert work.readings == (
        Reading(name="files", pattern="files: ([0-9]+)"),
        Reading(name="percent", field="percent_done", scale=100.0),
        Reading(name="job_id", pattern="id=([0-9]+)"),
    )
    assert work.expect == (Expectation(reading="files", equals="1"),)
    assert work.verify.run == ("/opt/dsmc", "query", "{handle}")
    assert (work.poll.every, work.poll.query.run) == (2.0, ("p", "{job_id}"))
    assert (work.poll.running, work.poll.completed, work.poll.warning) == ("R", "T", "W")
    assert work.cancel == ("stop", "{job_id}")
    assert work.ready == ("mount", "{cartridge}")
    assert work.limits == Limits(attempt=3600.0, silence=600.0, grace=5.0)
    assert work.retry == Retry(attempts=3, delay=300.0, backoff=2.0, on=("failed", "lost"))
    assert work.on_interrupt == "retry"
    assert work.between == "Mon-Fri 20:00-06:00;!holidays Sat,Sun"
    assert work.calendar == {"holidays": ("2026-12-25",)}
    assert (rule.each, rule.lock, rule.priority) == ("pool", "{vault}", 7)
    assert rule.defaults == {"class": "KEEP"}
    assert table.seats == {"TSM": 4}


def test_what_is_not_said_is_safe(load):
    rule = only_rule(load("rules: [{rule: a, when: {family: TSM}, run: [x]}]"))
    assert rule.work.outcome == {"0": "completed", "default": "failed"}
    assert rule.work.limits == Limits(attempt=DEFAULT_TIMEOUT)
    assert rule.work.retry.attempts == 1
    assert rule.work.on_interrupt == "fail"
    assert (rule.lock, rule.each) == ("{path}", "cartridge")


def test_none_is_written_out(load):
    text = "rules: [{rule: a, when: {family: TSM}, run: [x], lock: none, timeout: none}]"
    rule = only_rule(load(text))
    assert rule.lock is None
    assert rule.work.limits.attempt is None


def test_a_query_is_the_verification_of_archives_only_and_none_takes_it_away(load):
    table = load(
        """
applications: {TSM: {query: {run: [q], outcome: {3: completed}}}}
rules:
  - {rule: a, when: {family: TSM}, run: [x], then: migrated}
  - {rule: b, when: {family: TSM}, run: [x], then: migrated, verify: none}
  - {rule: c, when: {family: TSM}, run: [x], then: migrated, verify: [own]}
  - {rule: d, when: {family: Restore, tape: {application: TSM}}, run: [x], then: restored}
"""
    )
    queries = [rule.work.verify for rule in table.rules]
    assert [query and query.run for query in queries] == [("q",), None, ("own",), None]
    assert queries[2].outcome == {"3": "completed"}


def test_the_engine_erases_and_deletes_on_its_own(load):
    rule = only_rule(load("rules: [{rule: a, when: {family: Erase}, then: erased}]"))
    assert (rule.work.run, rule.work.then) == ((), "erased")


def test_an_application_is_the_one_that_has_the_copy(load):
    text = "rules: [{rule: a, when: {family: Restore, tape: {application: RST}}, run: [x]}]"
    assert only_rule(load(text)).work.application == "RST"


def test_a_sites_file_completes_the_shipped_application_whatever_the_order(tmp_path):
    site = tmp_path / "site.yaml"
    site.write_text("applications: {DSK: {seats: 9, places: {store: /mine}, env: {A: b}}}")
    for paths in ([site, SHIPPED / "dsk.yaml"], [SHIPPED / "dsk.yaml", site]):
        table = load_table(paths, vocabulary=shipped())
        assert table.seats["DSK"] == 9
        work = table.rules[1].work
        assert "--store=/mine" in work.run
        assert (work.env, work.application) == ({"A": "b"}, "DSK")
        assert table.applications["DSK"].programs == {"vtspolicy": "vtspolicy"}


def test_a_site_replaces_one_place_of_an_application_and_keeps_the_others(tmp_path):
    site = tmp_path / "site.yaml"
    site.write_text("applications: {RST: {places: {repository: /mine}}}")
    table = load_table([SHIPPED / "rst.yaml", site], vocabulary=shipped())
    places = table.applications["RST"].places
    assert places["repository"] == "/mine"
    assert places["password_file"] == "/etc/vtspolicy/restic.pw"


def test_two_files_of_a_site_cannot_both_have_the_seats_of_an_application(load):
    with pytest.raises(ConfigurationError) as caught:
        load("applications: {TSM: {seats: 2}}", "applications: {TSM: {seats: 3}}")
    [problem] = caught.value.problems
    assert problem.message == "the application TSM is defined twice"
    assert (problem.line, problem.column) == (1, 21)


def test_rules_are_numbered_through_the_files(load):
    rules = "rules: [{{rule: {}, when: {{family: TSM}}, deny: later}}]".format
    assert [rule.number for rule in load(rules("a"), rules("b")).rules] == [1, 2]


def test_the_hash_is_of_the_content_not_of_its_form(load):
    one = load("rules: [{rule: a, when: {family: TSM}, deny: 'later'}]")
    same = load("# a comment\nrules:\n  - rule: a\n    when: {family: TSM}\n    deny: later\n")
    other = load("rules: [{rule: a, when: {family: TSM}, deny: never}]")
    assert one.hash == same.hash != other.hash
    assert re.fullmatch("[0-9a-f]{12}", one.hash)


def test_hosts_and_vaults_that_are_not_configured_are_doubtful(load, tmp_path):
    configuration = Configuration(
        file="f",
        node="n",
        listen=(),
        ledger="",
        spool=tmp_path,
        vaults={"VAULT01": tmp_path},
        hosts={"NSK1": Host(name="NSK1")},
    )
    text = "rules: [{rule: a, when: {host: [NSK1, NSK2], vault: VAULT02}, deny: later}]"
    warnings = load(text, configuration=configuration).warnings
    assert [each.message for each in warnings] == [
        "the host NSK2 of this rule is not configured",
        "the vault VAULT02 of this rule is not configured",
    ]


def test_every_key_of_a_table_has_a_type_and_a_help():
    for keys in (WORK, APPLICATION, RULE):
        assert all(key.type and key.help and key.name == name for name, key in keys.items())


@pytest.mark.parametrize(
    "path", sorted(SHIPPED.glob("[a-z][a-z][a-z].yaml")), ids=lambda path: path.stem
)
def test_each_shipped_table_can_be_loaded_and_has_no_doubts(path):
    assert load_table([path], vocabulary=shipped()).warnings == ()


def test_all_shipped_tables_go_together():
    paths = sorted(SHIPPED.glob("[a-z][a-z][a-z].yaml"))
    table = load_table(paths, vocabulary=shipped())
    families = {family.name for family in shipped().applications}
    assert families <= {name for rule in table.rules for name in rule.families}
