"""What `check` finds in tables that can be read, and in all that a configuration names."""

import json

import pytest
from click.testing import CliRunner

from vtspolicy.cli import cli
from vtspolicy.config.load import SHIPPED
from vtspolicy.grammar import shipped
from vtspolicy.rules.check import Surroundings, check_table
from vtspolicy.rules.conditions import covers
from vtspolicy.rules.load import load_table, read_table

HERE = Surroundings(find_program=lambda name: f"/bin/{name}", why_secret_unsafe=lambda _: None)


@pytest.fixture
def problems_of(tmp_path):
    def problems_of(text, surroundings=HERE):
        path = tmp_path / "rules.yaml"
        path.write_text(text)
        table = load_table([path], vocabulary=shipped())
        return [
            str(problem).removeprefix(f"{path}:").replace(f"{path}:", "rules.yaml:")
            for problem in check_table(table, surroundings)
        ]

    return problems_of


def two_rules(first, second):
    rule = "  - {{rule: {}, when: {{{}}}, deny: x}}\n".format
    return "rules:\n" + rule("a", first) + rule("b", second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("", "family: TSM"),
        ("family: TSM", "family: TSM"),
        ("family: '*'", "family: [TSM, NBU]"),
        ("family: [TSM, NBU]", "family: NBU"),
        ("pool: 'PAY*'", "pool: PAYROLL, family: TSM"),
        ("pool: 'PAY*'", "pool: 'PAYR?LL*'"),
        ("keywords: {retention: present}", "keywords: {retention: '14,*'}"),
        ("keywords: {retention: absent}", "keywords: {retention: absent}, family: TSM"),
        ("tape: {size: '> 1M'}", "tape: {size: '> 1M'}, pool: A"),
        ("tape: {state: [written, erased]}", "tape: {state: erased}"),
    ],
)
def test_a_rule_that_an_earlier_one_covers_never_matches(problems_of, first, second):
    text = two_rules(first, second)
    [problem] = problems_of(text)
    assert problem == (
        '3:5: the rule "b" can never match: rule 1, "a", takes all its commands;'
        " put it before that one (rules.yaml:2), or narrow that one"
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("family: TSM", ""),
        ("family: TSM", "family: [TSM, NBU]"),
        ("pool: PAYROLL", "pool: 'PAY*'"),
        ("pool: 'PAY?'", "pool: 'PAY*'"),
        ("pool: '*ROLL'", "pool: 'PAY*ROLL'"),
        ("keywords: {retention: absent}", "keywords: {retention: present}"),
        ("keywords: {retention: present}", "family: TSM"),
        ("tape: {size: '> 1M'}", "tape: {size: '> 2M'}"),
        ("tape: {migrated: true}", "tape: {migrated: false}"),
        ("family: TSM, host: NSK1", "family: TSM"),
    ],
)
def test_a_rule_that_may_match_is_left_in_peace(problems_of, first, second):
    text = two_rules(first, second)
    assert problems_of(text) == []


@pytest.mark.parametrize("pool", ["P{}*Q*", "P*{}Q*"])
def test_rules_are_compared_in_bounded_time(problems_of, monkeypatch, pool):
    asked = []

    def counted(wide, narrow):
        asked.append(wide)
        return covers(wide, narrow)

    monkeypatch.setattr("vtspolicy.rules.unreachable.covers", counted)
    monkeypatch.setattr("vtspolicy.rules.unreachable.MOST", 20_000)
    rule = "  - {{rule: r{0}, when: {{family: TSM, pool: '{1}'}}, deny: x}}\n"
    found = problems_of("rules:\n" + "".join(rule.format(n, pool.format(n)) for n in range(1500)))
    assert len(asked) < 25_000
    if pool.startswith("P{"):
        assert not found
    else:
        [doubt] = found
        assert "warning: the table is too large to find all rules that can never match" in doubt


def test_a_program_that_is_not_there_is_named_once_where_it_stands(problems_of):
    text = (
        "rules:\n  - {rule: a, when: {family: TSM}, run: [here, x]}\n"
        "  - {rule: b, when: {family: NBU}, run: [gone, x], verify: [gone]}\n"
    )
    nothing = Surroundings(
        find_program=lambda name: None if name == "gone" else name, why_secret_unsafe=lambda _: None
    )
    [problem] = problems_of(text, nothing)
    assert problem == (
        "3:42: the program gone is not there or cannot be executed;"
        " install it, or give its path under programs of its application"
    )


def test_a_rule_with_a_mistake_in_its_conditions_is_not_said_to_take_the_commands_of_others(
    tmp_path,
):
    path = tmp_path / "rules.yaml"
    path.write_text(
        "rules:\n"
        "  - rule: a\n    when: {family: TSM, optfile: /night.opt}\n    deny: later\n"
        "  - {rule: b, when: {family: TSM}, deny: now}\n"
        "  - {rule: c, when: {family: TSM, pool: PAY}, deny: never}\n"
    )
    table, findings = read_table([path], vocabulary=shipped())
    found = [*findings.problems, *check_table(table, HERE, known=findings.problems)]
    assert [(problem.line, problem.message.split(":")[0]) for problem in found] == [
        (3, 'when has no key "optfile"'),
        (6, 'the rule "c" can never match'),
    ]


@pytest.mark.parametrize("key", ["verify: [gone]", "cancel: [gone]", "ready: [gone]"])
def test_every_program_of_a_rule_is_looked_for(problems_of, key):
    text = f"rules:\n  - {{rule: a, when: {{family: TSM}}, run: [here], {key}}}\n"
    nothing = Surroundings(
        find_program=lambda name: None if name == "gone" else name, why_secret_unsafe=lambda _: None
    )
    [problem] = problems_of(text, nothing)
    assert problem.startswith("2:")
    assert "the program gone is not there" in problem


def test_a_program_with_half_a_path_is_refused(problems_of):
    [problem] = problems_of("rules: [{rule: a, when: {family: TSM}, run: [bin/x]}]")
    assert problem.startswith("1:46: the program bin/x has a path that is not absolute")


def test_the_programs_of_an_applications_queries_are_looked_for(problems_of):
    nothing = Surroundings(find_program=lambda _: None, why_secret_unsafe=lambda _: None)
    [problem] = problems_of("applications:\n  TSM: {query: [gone]}\n", nothing)
    assert problem.startswith("2:8: the program gone")


def test_a_secret_file_that_others_can_read_is_named(problems_of):
    text = (
        "applications:\n"
        "  RST: {env: {RESTIC_PASSWORD_FILE: /etc/pw}}\n"
        "  BRG: {env: {BORG_PASSCOMMAND: cat /etc/pw2}}\n"
        "rules:\n  - {rule: a, when: {family: RST}, run: [x]}\n"
        "  - {rule: b, when: {family: BRG}, run: [x]}\n"
    )
    open_to_all = Surroundings(
        find_program=lambda name: name, why_secret_unsafe=lambda path: f"{path} is open"
    )
    assert problems_of(text, open_to_all) == [
        "2:8: RESTIC_PASSWORD_FILE of rule 1: /etc/pw is open; chmod 600 /etc/pw",
        "3:8: BORG_PASSCOMMAND of rule 2: /etc/pw2 is open; chmod 600 /etc/pw2",
    ]


def test_what_nobody_has_verified_is_a_warning(problems_of):
    text = (
        "applications:\n  TSM: {status: unverified}\n"
        "rules: [{rule: a, when: {family: TSM}, run: [x], then: migrated}]\n"
    )
    first, second = problems_of(text)
    assert first.startswith("2:8: warning: the application TSM is a template")
    assert second.startswith('3:9: warning: no query verifies the copies of the rule "a"')


@pytest.mark.parametrize(
    "path",
    sorted(path for path in SHIPPED.glob("*.yaml") if ".tests." not in path.name),
    ids=lambda path: path.stem,
)
def test_shipped_tables_have_no_problem_but_that_some_are_unverified(path):
    table = load_table([path], vocabulary=shipped())
    problems = [each for each in check_table(table, HERE) if "in place" not in each.message]
    assert [each for each in problems if "is not verified" not in each.message] == []
    unverified = {each.name for each in table.applications.values() if each.status == "unverified"}
    assert len(problems) == len(unverified)


def test_a_restore_in_place_is_pointed_out(problems_of):
    rule = (
        "rules: [{{rule: a, when: {{family: Restore}}, application: TSM, then: restored,"
        " run: [x, '{}']}}]\n"
    ).format
    [problem] = problems_of(rule("{path}"))
    assert problem == (
        '1:84: warning: the rule "a" restores in place: the tape is half restored while it runs,'
        " and when it fails; let it write to {target} or below {staging}, if the application can"
    )
    assert problems_of(rule("{target}")) == problems_of(rule("{staging}")) == []


# -- the command


@pytest.fixture
def site(tmp_path):
    (tmp_path / "VAULT01").mkdir()
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (tmp_path / "rules.yaml").write_text(
        f"rules: [{{rule: a, when: {{family: TSM}}, run: [{program}, '{{path}}']}}]\n"
    )
    (tmp_path / "site.yaml").write_text(
        f"listen: ['tcp:port=7171']\nvaults: {{VAULT01: {tmp_path}/VAULT01}}\n"
        "hosts: {NSK1: {peers: [10.0.0.9], vaults: [VAULT01], families: [TSM]}}\n"
        "rules: [rules.yaml]\n"
    )
    return tmp_path


def check(site, *options):
    return CliRunner().invoke(cli, ["check", "--config", str(site / "site.yaml"), *options])


def append(path, text):
    path.write_text(path.read_text() + text)


def test_a_site_without_problems_is_told_so(site):
    result = check(site)
    assert result.exit_code == 0, result.output
    assert "1 rule for 0 applications" in result.output
    assert "no problems" in result.output


def test_warnings_alone_have_an_exit_code_of_their_own(site):
    append(site / "rules.yaml", "applications: {TSM: {status: unverified}}\n")
    result = check(site)
    assert result.exit_code == 3
    assert "0 problems, 1 warning" in result.output


def test_problems_of_every_file_come_at_once(site):
    append(site / "site.yaml", "settle: soon\nfamilies: [families.yaml]\ntests: [tests.yaml]\n")
    (site / "families.yaml").write_text("familis: {}\n")
    (site / "tests.yaml").write_text("cases: [{case: x, command: VTSPolicy Erase - A1, rule: a}]\n")
    result = check(site)
    assert result.exit_code == 2
    assert f"{site}/site.yaml:5:9: a duration is expected here" in result.output
    assert f"{site}/families.yaml:1:1:" in result.output
    assert f'{site}/tests.yaml:1:9: the rule test "x" fails' in result.output


def test_a_program_that_cannot_be_executed_is_a_problem(site):
    (site / "program").chmod(0o644)
    result = check(site)
    assert result.exit_code == 2
    assert f"{site}/rules.yaml:1:46: the program {site}/program is not there" in result.output


def test_a_host_that_may_use_what_is_no_family_is_a_problem(site):
    text = (site / "site.yaml").read_text().replace("families: [TSM]", "families: [TMS]")
    (site / "site.yaml").write_text(text)
    result = check(site)
    assert result.exit_code == 2
    assert (
        'host NSK1 may use "TMS", which is not a family or verb; did you mean "TSM"?'
        in result.output
    )
    assert f"{site}/site.yaml:3:64:" in result.output


def test_a_file_that_is_not_there_is_a_problem(tmp_path):
    result = check(tmp_path)
    assert result.exit_code == 2
    assert "the file cannot be read: No such file or directory" in result.output


def test_json_holds_each_problem_with_its_place(site):
    append(site / "site.yaml", "settle: soon\n")
    found = json.loads(check(site, "--json").output)
    [problem] = found["problems"]
    assert (problem["line"], problem["column"], problem["warning"]) == (5, 9, False)
    assert found["rules"] == 1
