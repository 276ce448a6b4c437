"""Texts that are typed at a TACL prompt, so that nothing in them acts.

What acts there is documented: `[ ] { } | ~` and `==`, which a tilde before them makes text; `&` at
the end of a line, `;` between the commands of a program, and `?` or `!` at the beginning of a line.
A line has at most 239 characters, and what is longer is cut silently.

Ours: what no tilde can save is replaced, and so is everything but printable ASCII, because the
host's set of characters is not known.
"""

import re
from collections.abc import Sequence

from vtspolicy.notices import Notice, text

LINE_LIMIT = 239
"""Bytes of a line that is typed."""

_ESCAPED = re.compile(r"[\[\]{}|~]|==")
_REPLACED = {"&": "+", ";": ","}
_OTHER = re.compile(r"[^ -~]")
_AT_ENDS = str.maketrans("=?!/", "----")


def escaped(value: str) -> str:
    """Return a value as it may stand anywhere in a line that is typed at a TACL prompt.

    At its two ends, where what stands beside it could make more of it, `= ? ! /` become `-`.
    """
    shown = _OTHER.sub("?", value)
    for acting, harmless in _REPLACED.items():
        shown = shown.replace(acting, harmless)
    if shown:
        shown = shown[0].translate(_AT_ENDS) + shown[1:]
        shown = shown[:-1] + shown[-1].translate(_AT_ENDS)
    return _ESCAPED.sub(r"~\g<0>", shown)


class TemplateError(ValueError):
    """A command template cannot work; the message says why."""


SHORTEST = 150
"""Characters that a notice has to have room for: its word, all numbers before `ref`, and `ref`."""


ROUTINE = "VTSREPLY"
"""The routine of the host kit: it reads lines of text, and posts each as an event."""

ROUTINE_PROMPT = "VTSREPLY>"
"""The prompt at which a routine reads each line."""

MOST_NUMBERS = 4
"""Digits of a notice's number."""


def routine_pattern(tacl: re.Pattern[str]) -> re.Pattern[str]:
    """Return what matches the routine's prompt alone on the last line, or that of TACL."""
    return re.compile(rf"(?:\A|\n) *{re.escape(ROUTINE_PROMPT)} *\Z|{tacl.pattern}")


def is_template(reply: str) -> bool:
    """Whether a notice is posted by a command of its own, and not by a routine that reads lines."""
    return "{" in reply


def check_reply(reply: str) -> None:
    """Look whether notices can be posted so. Raises TemplateError."""
    if is_template(reply):
        parts = _parts(reply)
        _room([each.replace("{number}", "0" * MOST_NUMBERS) for each in parts])
    elif not reply.isprintable() or not reply.strip() or len(reply.encode()) > LINE_LIMIT:
        raise TemplateError("a routine's line has 1 to 239 printable characters")


def _room(frame: Sequence[str]) -> int:
    """Return the bytes that are left for a text. Raises TemplateError."""
    room = LINE_LIMIT - sum(len(each.encode()) for each in frame)
    if room < SHORTEST:
        raise TemplateError(
            f"there is room for {max(room, 0)} characters of {{text}}, not {SHORTEST}"
        )
    return room


def command_line(template: str, notice: Notice) -> str:
    """Return the line that posts a notice by a command of the site, in at most 239 bytes.

    `{text}` in the template stands for the notice's text, escaped; `{number}` for its number. A
    notice that is too long loses of its reason and other words, and keeps word, `req` and `ref`.
    Raises TemplateError.
    """
    before, behind = _parts(template)
    frame = [each.replace("{number}", str(notice.word.number)) for each in (before, behind)]
    room = _room(frame)
    return escaped(text(notice, limit=room, measure=lambda line: len(escaped(line)))).join(frame)


_ESCAPES = re.compile(r"~(==|[\[\]{}|~])")


def seen_as(posted: str) -> str:
    """Return a text in the form in which it is compared with what a display shows.

    Displays wrap at blanks, and what a host makes of other characters than ASCII is not known.
    """
    return re.sub(r"[^!-~]*[^ -~][^!-~]*", "?", " ".join(posted.split()))


def posted_text(template: str, line: str, notice: Notice) -> str:
    """Return the text that `line`, which `command_line` made, gives an event."""
    before, behind = _parts(template)
    frame = [each.replace("{number}", str(notice.word.number)) for each in (before, behind)]
    return _ESCAPES.sub(r"\1", line[len(frame[0]) : len(line) - len(frame[1])])


def _parts(template: str) -> tuple[str, str]:
    """Return what stands before and behind the text. Raises TemplateError."""
    if not template.isprintable():
        raise TemplateError("a command is one line of printable characters")
    before, place, behind = template.partition("{text}")
    if not place:
        raise TemplateError("there is no {text} in the command, for the text of the notice")
    if not before.strip():
        raise TemplateError("the line begins with the command, and not with {text}")
    others = set(re.findall(r"\{.*?\}", before + behind)) - {"{number}"}
    if "{text}" in others:
        raise TemplateError("there is one {text} in a command, not more")
    if others:
        raise TemplateError(f"there is no place {min(others)}; places are {{text}} and {{number}}")
    return before, behind


def plain_line(notice: Notice) -> str:
    """Return the line for a routine that reads plain text, in at most 239 bytes."""
    return text(notice, limit=LINE_LIMIT, measure=lambda line: len(line.encode("utf-8", "replace")))
