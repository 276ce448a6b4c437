"""Places and programs that no template uses are named with the nearest right word."""

import pytest

from vtspolicy.config.load import SHIPPED
from vtspolicy.grammar import shipped
from vtspolicy.rules.load import read_table

RULES = "rules: [{rule: a, when: {family: DSK}, run: ['{program.copy}', '{shelf}']}]\n"


def errors(tmp_path, text, *more):
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    _, findings = read_table([path, *more], vocabulary=shipped())
    return [str(each).removeprefix(f"{path}:") for each in findings.errors]


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (
            "places: {shelf: /a, shelv: /b}",
            '1:52: no argument of DSK uses the place "shelv"; did you mean "shelf"?',
        ),
        (
            "places: {shelf: /a}, programs: {copy: cp, cpoy: dd}",
            '1:74: no argument of DSK uses the program "cpoy"; did you mean "copy"?',
        ),
        (
            "places: {shelf: /a, zzz: /b}",
            '1:52: no argument of DSK uses the place "zzz"; it uses shelf',
        ),
    ],
)
def test_a_name_that_no_argument_uses_is_an_error(tmp_path, written, problem):
    programs = "" if "programs" in written else ", programs: {copy: cp}"
    found = errors(tmp_path, f"applications: {{DSK: {{seats: 2, {written}{programs}}}}}\n{RULES}")
    assert found == [problem]


def test_a_name_may_be_used_in_any_call_of_the_application(tmp_path):
    text = """
applications:
  DSK:
    programs: {p: /p, q: /q}
    places: {a: /a, b: /b, c: /c, d: /d}
    env: {A: "{a}"}
    query: {run: ["{program.q}"], input: ["{b}"]}
    archive: {prepare: ["{program.p}", "{c}"], expect: {x: {equals: "{d}"}}, read: {x: '(.)'}}
rules: [{rule: a, when: {family: DSK}, run: [x], then: migrated}]
"""
    assert errors(tmp_path, text) == []


def test_applications_that_share_a_mapping_use_it_together(tmp_path):
    text = """
x-both: &both {a: /a, b: /b}
applications: {DSK: {places: *both}, RST: {places: *both}}
rules:
  - {rule: a, when: {family: DSK}, run: [x, "{a}"]}
  - {rule: b, when: {family: RST}, run: [x, "{b}"]}
"""
    assert errors(tmp_path, text) == []


def test_a_misspelt_place_over_a_shipped_one_is_an_error(tmp_path):
    text = "applications: {DSK: {places: {stroe: /a}}}\n"
    [problem] = errors(tmp_path, text, SHIPPED / "dsk.yaml")
    assert problem == '1:31: no argument of DSK uses the place "stroe"; did you mean "store"?'


def test_a_site_need_not_use_all_that_is_shipped(tmp_path):
    text = "applications: {DSK: {archive: {proof: found}, query: [q, '{handle}']}}\n"
    assert errors(tmp_path, text, SHIPPED / "dsk.yaml") == []


def test_a_command_that_deletes_copies_is_refused_because_nothing_runs_it(tmp_path):
    text = "applications: {DSK: {delete: [d, '{handle}']}}\n"
    [problem] = errors(tmp_path, text, SHIPPED / "dsk.yaml")
    assert problem.startswith("1:22: delete has no effect")
    assert errors(tmp_path, "rules: []\n", SHIPPED / "dsk.yaml") == []


RUN = "when: {family: DSK}, run: [cp, '{path}'], verify: none"


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (f"{RUN}, retry: {{delay: 5m}}", "retry has no effect here: attempts is 1"),
        (f"{RUN}, cancel: [stop]", "cancel has no effect here: it has no poll"),
        (f"{RUN}, cancel_input: [stop]", "cancel_input has no effect here: it has no cancel"),
        (f"{RUN}, ready: [mount]", "ready has no effect here: it restores nothing"),
        (f"{RUN}, read: {{n: '(.)'}}, handle: n", "handle has no effect here: it makes no copies"),
        (f"{RUN}, timeout: 1h, timeouts: {{silence: 2h}}", "timeouts has no effect here: silence"),
        (f"{RUN}, timeout: 2h, timeouts: {{total: 1h}}", "timeout has no effect here: total is"),
        ("when: {family: Erase}, then: erased, env: {A: b}", "env has no effect here: it runs no"),
    ],
)
def test_a_key_that_has_no_effect_beside_the_others_is_a_warning(tmp_path, rule, told):
    (tmp_path / "rules.yaml").write_text(f"rules: [{{rule: a, {rule}}}]\n")
    _, findings = read_table([tmp_path / "rules.yaml"], vocabulary=shipped())
    [warning] = findings.problems
    assert warning.warning
    assert warning.message.startswith(told)


@pytest.mark.parametrize(
    "rule",
    [
        f"{RUN}, retry: 1",  # where the application repeats
        f"{RUN}, retry: {{attempts: 2, delay: 5m}}",
        f"{RUN}, timeout: none, timeouts: {{silence: 2h}}",
        f"{RUN}, timeout: 1h, timeouts: {{total: 1h}}",
        f"{RUN}, then: migrated, read: {{n: '(.)'}}, handle: n",
        (
            "when: {family: Restore}, application: DSK, run: [cp, '{target}'], then: restored,"
            " ready: [mount]"
        ),
        "when: {family: Erase}, then: erased, timeout: 5m, retry: {attempts: 3}",
    ],
)
def test_keys_that_have_an_effect_are_no_warning(tmp_path, rule):
    text = f"applications: {{DSK: {{retry: 3}}}}\nrules: [{{rule: a, {rule}}}]\n"
    (tmp_path / "rules.yaml").write_text(text)
    _, findings = read_table([tmp_path / "rules.yaml"], vocabulary=shipped())
    assert [each for each in findings.problems if "no effect" in each.message] == []


def test_nothing_in_a_shipped_table_has_no_effect():
    tables = [each for each in SHIPPED.glob("*.yaml") if ".tests." not in each.name]
    for each in tables:
        _, findings = read_table([each], vocabulary=shipped())
        assert [one for one in findings.problems if "no effect" in one.message] == []
    assert len(tables) > 5


def warnings(tmp_path, text, *more):
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    _, findings = read_table([path, *more], vocabulary=shipped())
    assert findings.errors == ()
    return [str(each).removeprefix(f"{path}:") for each in findings.problems]


COPIES = (
    "rules: [{rule: a, when: {family: DSK}, run: [cp, '{path}'], then: migrated, verify: none}]\n"
)


@pytest.mark.parametrize(
    ("applications", "told"),
    [
        ("TSM: {seats: 4}", "1:21: warning: no rule uses the application TSM"),
        (
            "DSK: {restore: {timeout: 5m}}",
            "1:22: warning: restore has no effect in any rule of DSK: none has then: restored",
        ),
        (
            "DSK: {ready: [mount]}",
            (
                "1:22: warning: ready has no effect in any rule of DSK: it restores nothing, so"
                " that no mount waits for it"
            ),
        ),
        (
            "DSK: {archive: {retry: {delay: 5m}}}",
            (
                "1:32: warning: archive.retry has no effect in any rule of DSK: attempts is 1, so"
                " that nothing is repeated"
            ),
        ),
    ],
)
def test_what_no_rule_uses_of_the_applications_is_a_warning(tmp_path, applications, told):
    assert warnings(tmp_path, f"applications: {{{applications}}}\n{COPIES}") == [told]


def test_what_says_something_about_copies_needs_a_rule_that_copies(tmp_path):
    text = "applications: {DSK: {query: [q, '{handle}'], touches: ctime}}\n"
    found = warnings(tmp_path, text + COPIES.replace(", then: migrated", ""))
    assert [each.split(" has ")[0] for each in found] == [
        "1:22: warning: query",
        "1:46: warning: touches",
    ]
    assert warnings(tmp_path, text + COPIES) == []


def test_what_applications_share_is_of_use_if_one_of_them_uses_it(tmp_path):
    text = """
x-all: &all {retry: {delay: 5m}, timeout: 1h}
applications: {DSK: *all, RST: {<<: *all}}
rules:
  - {rule: a, when: {family: DSK}, run: [x, "{path}"], retry: 3}
  - {rule: b, when: {family: RST}, run: [x, "{path}"], retry: {attempts: 2}}
"""
    assert warnings(tmp_path, text.replace("{<<: *all}", "*all")) == []


def test_a_rule_of_the_site_uses_what_is_shipped_and_the_site_changed(tmp_path):
    assert warnings(tmp_path, "applications: {DSK: {seats: 2}}\n", SHIPPED / "dsk.yaml") == []
    assert warnings(tmp_path, "rules: []\n", SHIPPED / "dsk.yaml") == []
    found = warnings(tmp_path, "applications: {TSM: {seats: 2}}\n", SHIPPED / "dsk.yaml")
    assert found == ["1:21: warning: no rule uses the application TSM"]


def test_days_that_no_hours_name_are_a_warning(tmp_path):
    text = "calendar: {holidays: [2026-12-25], holiday: [2026-12-26]}\n"
    text += COPIES.replace("then:", "between: '!holidays 20:00-06:00', then:")
    assert warnings(tmp_path, text) == [
        '1:36: warning: no rule\'s between names the days holiday; did you mean "holidays"?'
    ]


def test_days_that_only_an_application_names_are_used(tmp_path):
    text = "calendar: {payday: [2026-12-25]}\n"
    text += "applications: {DSK: {between: 'payday 20:00-06:00'}}\n"
    assert warnings(tmp_path, text + COPIES) == []
