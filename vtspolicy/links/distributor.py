"""Starting the distributor on a host, and knowing whether it runs.

Pure: lines to type, and what to make of what comes. EMSDIST's syntax is documented, and so are
that it can show events on its home terminal, that `#IN` names that terminal, that its errors are
not made for programs, and that a prompt comes instead of events when it does not run.

`#SET #INFORMAT TACL` comes first, because the manual says that a session begins with PLAIN, where
`[#IN]` would stay as it is.
"""

import re
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
    may be a prompt.
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
        self.has_begun = False  # whether an event has come

    def take(self, data: bytes) -> bytes:
        """Take what came; return the lines that are events."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        events = []
        for line in lines:
            if not self.has_begun and not _HEADER.match(line):
                self._note(line)
                continue
            self.has_begun = True
            events.append(line + b"\n")
        return b"".join(events)

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


def _any_number(prompt: str) -> str:
    """Return the pattern of a prompt, whatever its number."""
    return r"\d+".join(re.escape(part) for part in re.split(r"\d+(?=\D*\Z)", prompt))
