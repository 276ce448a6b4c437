"""Mistakes that people make, read from fixtures/rules: a text, and what must be said of it."""

from pathlib import Path

FIXTURES = Path(__file__).parents[2] / "fixtures" / "rules"


def mistakes(name):
    """Return (text, problem) pairs of a file: each text ends with the line of its problem."""
    pairs = []
    text = []
    for line in (FIXTURES / f"{name}-mistakes.txt").read_text().splitlines():
        if line.startswith(">>> "):
            pairs.append(("\n".join(text).strip("\n") + "\n", line.removeprefix(">>> ")))
            text = []
        elif not line.startswith("#"):
            text.append(line)
    assert pairs
    return pairs
