"""A problem is one line that a terminal can show, with any names in it."""

from vtspolicy.config.problems import ConfigurationError, Problem


def test_a_problem_shows_control_characters_by_their_codes():
    name = "X\x1b[31mY\n2026-01-01 FAKE\x9b2J\u202e"
    problem = Problem(file="f", line=1, column=2, message=f"{name} is there twice", remedy=name)

    shown = r"X\x1b[31mY 2026-01-01 FAKE\x9b2J\u202e"
    assert str(problem) == f"f:1:2: {shown} is there twice; {shown}"
    assert str(ConfigurationError([problem, problem])).count("\n") == 1
