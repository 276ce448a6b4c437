"""`vtspolicy decode` shows the events of a display."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from vtspolicy.cli.decode import decode

DISPLAYS = Path(__file__).parents[2] / "fixtures" / "displays"


def run(*arguments, stdin=None):
    return CliRunner().invoke(decode, list(arguments), input=stdin)


def test_json_lines_are_the_objects_that_are_beside_the_display():
    result = run("--json", str(DISPLAYS / "wrapped.txt"))

    assert result.exit_code == 0
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert found == json.loads((DISPLAYS / "wrapped.json").read_text(encoding="utf-8"))
    assert found[0]["time"] == "2026-11-22T02:14:09"


def test_a_line_for_people_has_the_fields_in_columns():
    result = run(str(DISPLAYS / "asterisks.txt"))

    first = result.stdout.splitlines()[0]
    assert first.split() == [
        *("2026-11-22", "02:14:09", "\\NSK1.$ZBAT", "*", "SITE.BACKUP.A01", "1234", "alone"),
    ]


def test_the_standard_input_is_read_for_a_dash():
    result = run("-", stdin=b"VTSPolicy TSM\n")

    assert result.stdout.split() == ["-", "-", "-", "-", "VTSPolicy", "TSM"]


def test_only_candidates_are_shown_when_asked_for():
    result = run("--candidates", "--json", str(DISPLAYS / "night.txt"))

    assert {json.loads(line)["text"][:5] for line in result.stdout.splitlines()} == {
        "VTSPo",
        "$ZSVR",
        "STATU",
        "MOUNT",
    }


def test_what_is_refused_is_distinguished_and_gives_exit_code_3():
    result = run("-", stdin=b"VTSPolicy " + b"x" * 9000 + b"\nVTSPolicy TSM\n")

    assert result.exit_code == 3
    assert "longer than 8192 bytes" in result.stderr
    assert result.stdout.count("\n") == 1


def test_headers_that_are_none_are_counted_for_the_reader():
    result = run(str(DISPLAYS / "no-headers.txt"))

    assert result.exit_code == 3
    assert result.stderr.count("refused (header)") == 5
    assert "5 headers could not be read" in result.stderr


@pytest.mark.parametrize(("option", "count"), [([], 1), (["--unwrapped"], 2)])
def test_unwrapped_lines_are_whole_events(option, count):
    header = b"26-11-22 02:14:09 \\NSK1.$ZBAT SITE.BACKUP.A01 001234"
    result = run(*option, "-", stdin=header + b"\nVTSPolicy TSM\n")

    assert result.stdout.count("\n") == count


def test_a_format_can_be_named():
    assert "not JSON" in run("--format", "json", "-", stdin=b"VTSPolicy\n").stderr


def test_a_file_that_is_not_there_is_bad_usage():
    assert run("/no/such/display").exit_code == 2
