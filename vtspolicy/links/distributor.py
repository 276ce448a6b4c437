"""Starting the distributor on a host, and knowing whether it runs.

Pure: lines to type, and what to make of what comes. EMSDIST's syntax is documented, and so are
that it can show events on its home terminal, that `#IN` names that terminal, that its errors are
not made for programs, and that a prompt comes instead of events when it does not run.

`#SET #INFORMAT TACL` comes first, because the manual says that a session begins with PLAIN, where
`[#IN]` would stay as it is.
"""

import re
from contextlib import suppress
from datetime import datetime, timedelta

from attrs import frozen

from vtspolicy.visible import visible

PREPARATION = "#SET #INFORMAT TACL"
"""The line before the distributor's own."""

TEMPLATE = "EMSDIST / NAME {name} / TYPE PRINTING, COLLECTOR $0, TEXTOUT [#IN]{filter}{time}"
"""The distributor's line where a site has no other."""

OVERLAP = 60.0
"""Seconds before the last event that are read again behind a broken link."""

KEPT = 2000
"""Characters that are kept of what comes instead of events."""

_PLACES = ("{name}", "{filter}", "{time}")
_HEADER = re.compile(rb"\s*\d\d-\d\d-\d\d\s+\d\d:\d\d:\d\d\s")
_LAST_HEADER = re.compile(rb"(?s:.*)(?:\A|\n)[ \t]*(\d\d-\d\d-\d\d)[ \t]+(\d\d:\d\d:\d\d)[ \t]")


class StartError(ValueError):
    """A template for the distributor's line cannot work; the message says why."""


def start_line(
    template: str,
    *,
    name: str,
    filters: tuple[str, ...] = (),
    last_event: datetime | None = None,
    overlap: float = OVERLAP,
) -> str:
    """Return the line that starts the distributor.

    `{filter}` stands for `, FILTER ...` or nothing, `{time}` for `, TIME ...` or nothing. Without a
    last event it begins with the next one; `last_event` is in the time that the display shows.
    Raises StartError.
    """
    unknown = set(re.findall(r"\{.*?\}", template)) - set(_PLACES)
    if unknown:
        raise StartError(f"there is no place {min(unknown)}; places are {', '.join(_PLACES)}")
    if "{time}" not in template:
        raise StartError("without {time} in it, events that come while the link is down are lost")
    if filters and "{filter}" not in template:
        raise StartError("there are filters, and no {filter} in the line")
    since = (
        "" if last_event is None else f"{last_event - timedelta(seconds=overlap):%Y-%m-%d %H:%M:%S}"
    )
    listed = filters[0] if len(filters) == 1 else f"({', '.join(filters)})"
    values = {
        "{name}": name,
        "{filter}": f", FILTER {listed}" if filters else "",
        "{time}": f", TIME {since}" if since else "",
    }
    return re.sub(r"\{.*?\}", lambda place: values[place[0]], template)


@frozen
class NotRunning:
    """The distributor does not run: a prompt came."""

    error: str  # what came instead of events; for people


class Display:
    """What comes behind the start line: events, or a prompt.

    Lines are handed on whole; the last one, as long as it lacks its end, is kept back, because it
    may be a prompt. One that is too long for that is handed on as it comes.
    """

    def __init__(self, *, prompt: str, sent: str) -> None:
        """Begin. `prompt` is the one at which the line was typed; `sent` is the line.

        The prompt must have come before the line is typed: without an echo, what comes next stands
        right behind it.
        """
        self._prompt = re.compile(_any_number(prompt.strip()).encode() + rb"\s*\Z")
        self._sent = sent.encode()
        self._rest = b""
        self._before: list[str] = []  # lines before the first event
        self._is_within = False  # the line that comes has begun to be handed on
        self.has_begun = False  # whether an event has come
        self.last: datetime | None = None  # the time in the last header, as it is shown

    def take(self, data: bytes) -> bytes:
        """Take what came; return the lines that are events."""
        data = self._rest + data if self._rest else data
        end = data.rfind(b"\n") + 1
        whole, self._rest = data[:end], data[end:]
        if whole and not self.has_begun:
            whole = self._first(whole)
        if whole:
            self._is_within = False
            self._note_time(whole)
        if len(self._rest) > KEPT or self._is_within:
            if self.has_begun:
                self._is_within = True
                whole, self._rest = whole + self._rest, b""
            else:
                self._rest = self._rest[-KEPT:]
        return whole

    def _first(self, whole: bytes) -> bytes:
        """Return the lines from the first event on; those before it are noted."""
        lines = whole.splitlines(keepends=True)
        for number, line in enumerate(lines):
            if _HEADER.match(line):
                self.has_begun = True
                return b"".join(lines[number:])
            self._note(line)
        return b""

    def _note_time(self, whole: bytes) -> None:
        found = _LAST_HEADER.match(whole)
        if found is not None:
            with suppress(ValueError):  # digits that are not a time
                # Two digits of the year follow POSIX, and a display names no zone.
                self.last = datetime.strptime(  # noqa: DTZ007
                    f"{found[1].decode()} {found[2].decode()}", "%y-%m-%d %H:%M:%S"
                )

    def _note(self, line: bytes) -> None:
        shown = visible(line.decode("utf-8", "replace")).strip()
        if shown and self._sent not in line and sum(map(len, self._before)) < KEPT:
            self._before.append(shown[:KEPT])

    def quiet(self) -> NotRunning | None:
        """Say whether it runs, now that nothing has come for a moment."""
        if not self._prompt.match(self._rest):
            return None
        if self.has_begun:
            return NotRunning("the distributor has ended: a prompt came")
        came = " / ".join(self._before)[:KEPT] or "nothing but a prompt came"
        return NotRunning(f"the distributor did not start: {came}")


def prompt_pattern(prompt: str) -> re.Pattern[str]:
    """Return what matches a prompt like this one, alone on the last line of a text.

    Its number may be another.
    """
    return re.compile(rf"(?:\A|\n) *{_any_number(prompt.strip())} *\Z")


def _any_number(prompt: str) -> str:
    """Return the pattern of a prompt, whatever its number."""
    return r"\d+".join(re.escape(part) for part in re.split(r"\d+(?=\D*\Z)", prompt))
