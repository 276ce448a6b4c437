"""Errors of the YAML parser in words that help.

PyYAML has two parsers. That of libyaml is fast; the one in Python has the better messages. They,
and their versions, say the same thing differently.
"""

import re

import yaml
from attrs import frozen

Parser = type[yaml.SafeLoader | yaml.CSafeLoader]

FAST: Parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The parser of libyaml where PyYAML was built with it."""

SLOW: Parser = yaml.SafeLoader
"""The parser in Python."""

EXPLAINED = 2**16
"""How many characters may be before an error for the slow parser to explain it.

It takes half a second for as many, and half a minute for the largest file.
"""

LOOK_AHEAD = 1024
"""How many characters of a line either parser may read before it returns what they are.

So long may a key be in YAML, and an opening bracket may begin one.
"""

_REMEDIES = (
    (
        r"cannot start any token",
        "a tab or one of @ ` % begins no value: indent with blanks, or quote it",
    ),
    (r"mapping values are not allowed", "a value with a colon and a blank in it needs quotes"),
    (r"quoted scalar", "the closing quote is missing"),
    (r"could not find expected ':'", "a key needs a colon and a blank after it"),
    (r"undefined alias", "an anchor &NAME must be before its first *NAME"),
    (r"block (mapping|collection|sequence)", "look at the indentation of this line"),
    (
        r"expected ',' or",
        (
            "the list or mapping is not closed, a comma is missing, or a value that begins with {"
            " has no quotes"
        ),
    ),
)


@frozen(kw_only=True)
class SyntaxProblem:
    """What a parser found wrong, and where."""

    line: int = 1  # 1-based
    column: int = 1  # 1-based, in characters
    message: str
    remedy: str = ""


def describe_error(error: yaml.YAMLError) -> SyntaxProblem:
    """Return the error of either parser as a problem; at the file's beginning if it has no mark."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return SyntaxProblem(message=f"this is not YAML: {error}")
    parts = [error.problem or "", error.context or ""]
    message = " ".join(part for part in parts if part)
    if error.context and error.context_mark is not None:
        message += f" (begun in line {error.context_mark.line + 1})"
    remedy = next((hint for word, hint in _REMEDIES if re.search(word, message)), "")
    mark = error.problem_mark or error.context_mark
    return SyntaxProblem(
        line=mark.line + 1 if mark else 1,
        column=mark.column + 1 if mark else 1,
        message=f"this is not YAML: {message}",
        remedy=remedy,
    )


def position(error: yaml.YAMLError) -> int | None:
    """Return how many characters are before an error, if that is known."""
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    return None if mark is None else mark.index
