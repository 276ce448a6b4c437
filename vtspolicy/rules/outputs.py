"""Reads the output of applications: its values, and the line that names the cause of a failure."""

import json
import re
from collections.abc import Iterator
from typing import Any

from vtspolicy.rules.time_limit import SECONDS, SlowPatternError, within_time
from vtspolicy.rules.work import Reading

OUTPUT_LIMIT = 16 * 2**20
"""Characters of output that are looked at; of more, the end."""

LINE_LIMIT = 4 * 2**10
"""Characters of a line that regular expressions look at."""

VALUE_LIMIT = 1000
"""Characters of a reading that are kept."""

CAUSE_LIMIT = 200
"""Characters of the line with the cause that become part of a reason."""

FAILURES = 1000
"""How many lines that only look like JSON are tried."""


def read_output(
    readings: tuple[Reading, ...], output: str, *, seconds: float = SECONDS
) -> dict[str, str]:
    """Return what the readings find in an output; what is not there is left out.

    Regular expressions look at the output line by line, JSON fields at the output as one document
    or at each line that is one. The last find counts. Raises SlowPatternError.
    """
    if not readings:
        return {}
    return within_time(lambda: _found(readings, output[-OUTPUT_LIMIT:]), seconds)


def with_cause(reason: str, cause: tuple[Reading, ...], output: str, *, went_well: bool) -> str:
    """Return a reason with the words of the program that failed, where its output has them.

    The last line of what went well (by its exit code) is a part of its answer: only what `cause`
    finds is added then.
    """
    try:
        words = cause_in(cause, output)
    except SlowPatternError as error:
        reason = f"{reason} ({error})"
        words = ""
    words = words or ("" if went_well else last_line(output))
    return f"{reason}: {words}" if words else reason


def cause_in(cause: tuple[Reading, ...], output: str) -> str:
    """Return why a program failed, by the first of these readings that finds it; or "".

    A regular expression without a group stands for the whole line in which it is found. Raises
    SlowPatternError.
    """
    return within_time(lambda: _cause_in(cause, output[-OUTPUT_LIMIT:])) if cause else ""


def _cause_in(cause: tuple[Reading, ...], output: str) -> str:
    for each in cause:
        if each.field is not None:
            words = dict(_by_field([each], output)).get(each.name, "")
        else:
            words = _last_match(re.compile(each.pattern or ""), output)
        if words := _one_line(words):
            return words
    return ""


def last_line(output: str) -> str:
    """Return the last line of an output that is written for people, or ""."""
    for line in reversed(output.splitlines()):
        if (words := _one_line(line)) and words[0] not in _OF_JSON:
            return words
    return ""


_OF_JSON = frozenset('{}[]"')
"""What a line of a JSON document begins with."""


def _last_match(pattern: re.Pattern[str], output: str) -> str:
    for line in reversed(output.splitlines()):
        match = pattern.search(_for_people(line))
        words = (match[1] if pattern.groups else match.string) if match else None
        if words and words.strip():
            return words
    return ""


_TERMINAL = re.compile(
    r"\x1b\[[0-?]*+[ -/]*+[@-~]|\x9b[0-?]*+[ -/]*+[@-~]"  # colours, movements
    r"|\x1b\][^\x07\x1b]*+(?:\x07|\x1b\\)"  # titles, links
    r"|\x1b[ -/]*+[0-~]"
)
"""Sequences that programs write for a terminal."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _for_people(line: str) -> str:
    """Return a line without what is not a part of its text."""
    line = line[:LINE_LIMIT]
    return line if line.isprintable() else _CONTROL.sub(" ", _TERMINAL.sub("", line))


def _one_line(text: str) -> str:
    return " ".join(_for_people(text).split())[:CAUSE_LIMIT]


def _found(readings: tuple[Reading, ...], output: str) -> dict[str, str]:
    found = dict(_by_pattern([each for each in readings if each.pattern is not None], output))
    found.update(_by_field([each for each in readings if each.field is not None], output))
    return found


def _by_pattern(readings: list[Reading], output: str) -> Iterator[tuple[str, str]]:
    patterns = [(each, re.compile(each.pattern or "")) for each in readings]
    for line in output.splitlines() if patterns else ():
        for reading, pattern in patterns:
            for match in pattern.finditer(line[:LINE_LIMIT]):
                if match[1] is not None:
                    yield reading.name, _scaled(match[1].strip(), reading.scale)


def _by_field(readings: list[Reading], output: str) -> Iterator[tuple[str, str]]:
    for document in _documents(output) if readings else ():
        for reading in readings:
            value = _text(_inside(document, reading.field or ""))
            if value is not None:
                yield reading.name, _scaled(value, reading.scale)


def _scaled(value: str, scale: float) -> str:
    found = number(value) if scale != 1.0 else None
    return (f"{found * scale:.10g}" if found is not None else value)[:VALUE_LIMIT]


def _documents(output: str) -> Iterator[Any]:  # Any: JSON
    """The JSON documents in an output; each begins a line and may have several."""
    decoder = json.JSONDecoder()
    position = failures = 0
    while failures < FAILURES and (begin := _BEGIN.search(output, position)):
        position = begin.end()
        try:
            document, position = decoder.raw_decode(output, begin.start())
        except (ValueError, RecursionError):
            failures += 1
        else:
            yield document


_BEGIN = re.compile(r"^[{\[]", re.MULTILINE)


def _inside(document: Any, name: str) -> Any:  # Any: JSON
    """Follow a dotted name; a number is an element of a list, `#` how many elements there are."""
    for part in name.split("."):
        if isinstance(document, dict):
            document = document.get(part)
        elif isinstance(document, list):
            if part == "#":
                document = len(document)
            elif re.fullmatch(r"-?[0-9]{1,6}", part, re.ASCII) and -len(document) <= int(
                part
            ) < len(document):
                document = document[int(part)]
            else:
                return None
        else:
            return None
    return document


def _text(value: Any) -> str | None:  # Any: JSON
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | str):
        return str(value)
    return None


def number(text: str) -> float | None:
    """A number as programs print it, with or without commas between thousands."""
    if re.fullmatch(r"[-+]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?", text, re.ASCII):
        text = text.replace(",", "")
    return float(text) if re.fullmatch(r"[-+]?[0-9]+(\.[0-9]+)?", text, re.ASCII) else None
