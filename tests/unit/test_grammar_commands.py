"""`vtspolicy parse` and `vtspolicy grammar`, as a person or a script uses them."""

import json

import pytest
from click.testing import CliRunner

from vtspolicy.cli.language import grammar, parse
from vtspolicy.grammar import shipped

RIGHT = "VTSPolicy TSM 'archive /VAULT01/PAYROLL/A00017 s=vts1 r=14,d ref=N1'"


@pytest.fixture
def run():
    return CliRunner().invoke


def test_a_command_is_shown_in_its_parts(run):
    result = run(parse, [RIGHT])
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "family     TSM",
        "operation  archive",
        "tape       /VAULT01/PAYROLL/A00017",
        "source     vts1",
        "retention  14,d",
        "ref        N1",
    ]


def test_a_command_is_one_json_object(run):
    result = run(parse, ["--json", RIGHT])
    assert json.loads(result.stdout) == {
        "family": "TSM",
        "operation": "archive",
        "targets": [{"vault": "VAULT01", "pool": "PAYROLL", "cartridge": "A00017"}],
        "keywords": {"source": "vts1", "retention": "14,d"},
        "ref": "N1",
        "warnings": [],
    }


def test_what_is_absent_is_null(run):
    pool = json.loads(run(parse, ["--json", "VTSPolicy TSM '/VAULT01/P'"]).stdout)
    assert (pool["operation"], pool["ref"]) == (None, None)
    assert pool["targets"] == [{"vault": "VAULT01", "pool": "P", "cartridge": None}]
    tape = json.loads(run(parse, ["--json", "VTSPolicy Erase - A"]).stdout)
    assert tape["targets"] == [{"vault": None, "pool": None, "cartridge": "A"}]
    status = json.loads(run(parse, ["--json", "VTSPolicy Status - 7"]).stdout)
    assert (status["targets"], status["keywords"]) == ([], {"request": "7"})


def test_a_mistake_is_shown_with_its_caret_and_exit_status_4(run):
    result = run(parse, ["VTSPolicy tsm '/VAULT01/P'"])
    assert result.exit_code == 4
    assert result.stderr == ""
    assert result.stdout.splitlines()[:2] == ["VTSPolicy tsm '/VAULT01/P'", " " * 10 + "^"]


def test_a_mistake_is_one_json_object_and_exit_status_4(run):
    result = run(parse, ["--json", "VTSPolicy tsm '/VAULT01/P'"])
    assert result.exit_code == 4
    assert json.loads(result.stdout) == {
        "error": {
            "column": 11,
            "message": 'found "tsm", expected a family',
            "hint": 'did you mean "TSM"?',
        }
    }


def test_warnings_are_shown(run):
    result = run(parse, ["VTSPolicy TSM \u2018/VAULT01/P\u2019"])
    last = result.stdout.splitlines()[-1]
    assert last == "warning  typographic quotes were taken as plain ones"


def test_a_site_file_is_taken_and_a_wrong_one_is_exit_status_2(run, tmp_path):
    site = tmp_path / "site.yaml"
    site.write_text("families: {XYZ: {title: our own}}\n")
    assert run(parse, ["--families", str(site), "VTSPolicy XYZ '/VAULT01/P'"]).exit_code == 0
    site.write_text("families: {TSM: {title: our own}}\n")
    result = run(parse, ["--families", str(site), RIGHT])
    assert result.exit_code == 2
    assert f"{site}:1:18: family TSM is there already" in result.stderr


def test_the_overview_names_every_family_and_verb(run):
    result = run(grammar)
    assert result.exit_code == 0
    for family in shipped().families.values():
        assert family.title in result.stdout


@pytest.mark.parametrize("family", list(shipped().families))
def test_a_family_is_shown_with_every_keyword_on_lines_that_fit(run, family):
    result = run(grammar, [family])
    assert result.exit_code == 0
    for keyword in shipped().families[family].keywords:
        assert f"  {keyword} " in result.stdout
    assert max(len(line) for line in result.stdout.splitlines()[:-1]) <= 100  # the last: an example


def test_mistakes_and_keywords_fit_a_narrow_terminal(run):
    narrow = {"COLUMNS": "80"}
    wrong = RIGHT.replace("r=14,d", "o=/opt/a/b rr=14")
    shown, caret, *_ = run(parse, [wrong], env=narrow).stdout.splitlines()
    assert len(shown) <= 80
    assert shown[caret.index("^") :].startswith("rr=14")
    keywords = run(grammar, ["TSM"], env=narrow).stdout.partition("Keywords")[2].partition("Values")
    assert max(map(len, keywords[0].splitlines())) <= 80


def test_the_vocabulary_is_one_json_object(run):
    whole = json.loads(run(grammar, ["--json"]).stdout)
    one = json.loads(run(grammar, ["--json", "TSM"]).stdout)
    assert one == whole["families"][0]
    assert one["keywords"][0]["long"] == "source"
    assert one["keywords"][-1]["long"] == "ref"


def test_a_family_that_is_not_known_is_exit_status_2_with_the_nearest(run):
    result = run(grammar, ["tsm"])
    assert result.exit_code == 2
    assert 'did you mean "TSM"?' in result.stderr
