"""Globs are bounded: a table is ready in no time, with any content."""

import time

import pytest

from vtspolicy.grammar import shipped
from vtspolicy.rules.conditions import GLOB_LENGTH, GLOB_STARS
from vtspolicy.rules.load import read_table


def errors(tmp_path, glob):
    path = tmp_path / "rules.yaml"
    path.write_text(f"rules: [{{rule: a, when: {{family: DSK, pool: ['{glob}']}}, deny: never}}]\n")
    _, findings = read_table([path], vocabulary=shipped())
    return [str(each).removeprefix(f"{path}:") for each in findings.errors]


@pytest.mark.parametrize(
    ("glob", "problem"),
    [
        (
            "a" * GLOB_LENGTH + "*",
            f"1:46: a glob of {GLOB_LENGTH + 1} characters; {GLOB_LENGTH} are",
        ),
        ("a*" * (GLOB_STARS + 1), f"1:46: a glob with {GLOB_STARS + 1} times *; {GLOB_STARS} are"),
        ("*[ab]" * 13_000, "1:46: a glob of 65000 characters"),
    ],
)
def test_a_glob_that_is_too_large_is_refused_at_once(tmp_path, glob, problem):
    began = time.process_time()
    [found] = errors(tmp_path, glob)
    assert found.startswith(problem)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("glob", ["a*" * GLOB_STARS, "a" * (GLOB_LENGTH - 1) + "*", "a" * 5000])
def test_what_is_within_bounds_or_no_glob_is_taken(tmp_path, glob):
    assert errors(tmp_path, glob) == []
