"""Invisible characters, and places without quotes, are reported with their place."""

import pytest

from vtspolicy.config.positions import read_file, read_text
from vtspolicy.grammar import shipped
from vtspolicy.rules.load import read_table


def problems(text):
    return [str(each).removeprefix("r.yaml:") for each in read_text(text, file="r.yaml")[1]]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("rules:\n  - rule:\xa0night\n    deny: no\n", "2:10", "a no-break space (U+00A0)"),
        ("rules:\n\xa0\xa0- rule: night\n    deny: no\n", "2:1", "a no-break space (U+00A0)"),
        ("a:\n  b: 1\n\xa0 c: 2\n", "3:1", "a no-break space"),
        ("a: \xa0b\n", "1:4", "a no-break space"),
        ("a:\u2003b\nc: d\n", "1:3", "a em space (U+2003)"),
        ("a\xa0: b\n", "1:2", "a no-break space"),
        ("a\u200b: b\n", "1:2", "an invisible character (U+200B, zero width space)"),
        ("a: b\u200bc\n", "1:5", "an invisible character (U+200B"),
        ("a: \u202eb\n", "1:4", "an invisible character (U+202E"),
        ("a: \u201cb\u201d\n", "1:4", "a typographic quote (U+201C)"),
        ("a: [\u2018b\u2019, c]\n", "1:5", "a typographic quote (U+2018)"),
        ("a: b\nc\ufeff: d\n", "2:2", "the character U+FEFF is not allowed in YAML; a byte order"),
        ("a:\n\t- b\n", "2:1", "this is not YAML: found character '\\t'"),
    ],
)
def test_what_cannot_be_seen_is_reported_with_its_own_place(text, place, message):
    [problem] = problems(text)
    assert problem.startswith(f"{place}: {message}")
    assert ";" in problem  # a remedy


@pytest.mark.parametrize(
    "text",
    [
        "a: 'b\xa0c'  # \xa0\u200b\n",
        'a: "\u201cb\u201d \u200b"\n',
        "a: b\xa0c\n",
        "a: it\u2019s so\n",
        "a: |\n  \xa0b\n",
        "\ufeffa: b\n",
    ],
)
def test_what_is_meant_is_left_alone(text, tmp_path):
    file = tmp_path / "r.yaml"
    file.write_text(text, encoding="utf-8")
    assert read_file(file)[1] == []


def test_an_error_that_it_does_not_explain_keeps_its_own_place():
    [problem] = problems('a: "b\xa0c"  # \u200b\nd: e: f\n')
    assert problem.startswith("2:5: this is not YAML: mapping values")


@pytest.mark.parametrize(
    ("line", "place", "remedy"),
    [
        ("run: [x, {path}]", "4:14", 'write "{path}" in quotes'),
        ("run: {path}", "4:10", 'write "{path}" in quotes'),
        ("run: [x]\n    lock: {path}", "5:11", 'write "{path}" in quotes'),
        ("run: [x]\n    expect: {bytes: {size}}", "5:22", 'write "{size}" in quotes'),
        ("run: [x, {path}/y]", "4:20", "a value that begins with { has no quotes"),
    ],
)
def test_a_place_without_quotes_gets_its_remedy(tmp_path, line, place, remedy):
    file = tmp_path / "r.yaml"
    file.write_text(f"rules:\n  - rule: night\n    when: {{family: DSK}}\n    {line}\n")
    _, findings = read_table([file], vocabulary=shipped())
    told = [str(each).removeprefix(f"{file}:") for each in findings.errors]
    assert any(each.startswith(f"{place}: ") and remedy in each for each in told), told
