"""Pages from templates: everything that is not ours is escaped, and no page has a script in it."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from vtspolicy.readable import duration, size
from vtspolicy.visible import visible

STATIC: Mapping[str, str] = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""The files that pages load, with their types."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters that spreadsheets take for the beginning of a formula."""


def static_file(name: str) -> bytes:
    """Return a file that pages load."""
    return files("vtspolicy.web.console").joinpath("static", name).read_bytes()


def local(seconds: float | None) -> datetime | None:
    """Return a time in the server's zone; None for no time, or one that no calendar has."""
    if not seconds:
        return None
    try:
        return datetime.fromtimestamp(seconds).astimezone()
    except (ValueError, OverflowError, OSError):
        return None


def moment(seconds: float | None, now: float) -> Markup:
    """Return a time as short as can be, in the server's zone; UTC is shown on hover."""
    when, there = local(seconds), local(now)
    if when is None or there is None:
        return Markup("")
    form = "%H:%M:%S"
    if when.date() != there.date():
        form = "%m-%d %H:%M" if when.year == there.year else "%Y-%m-%d %H:%M"
    utc = datetime.fromtimestamp(when.timestamp(), tz=UTC)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        utc.isoformat(timespec="milliseconds"),
        f"{when:%Y-%m-%d %H:%M:%S %Z}, {utc:%Y-%m-%d %H:%M:%S} UTC",
        f"{when:{form}}",
    )


def address(path: str, **query: object) -> str:
    """Return a path with a query, without what is None or empty."""
    given = {name: str(value) for name, value in query.items() if value not in {None, ""}}
    return f"{quote(path)}?{urlencode(given)}" if given else quote(path)


def environment() -> Environment:
    """Return the templates, with the filters that they use."""
    made = Environment(
        loader=PackageLoader("vtspolicy.web.console", "templates"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["duration"] = duration
    made.filters["size"] = lambda count: "" if count is None else size(count)
    made.filters["visible"] = lambda text: "" if text is None else visible(str(text))
    made.filters["visible_lines"] = _visible_lines
    made.globals["moment"] = moment
    made.globals["address"] = address
    return made


def _visible_lines(text: str) -> str:
    """Return an output line by line, without what could command a terminal or hide something."""
    lines = (line.rpartition("\r")[2] for line in text.removesuffix("\n").split("\n"))
    return "\n".join(visible(line) for line in lines)


def as_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return rows as CSV with a heading; no cell can be taken for a formula."""
    text = io.StringIO()
    names = list(rows[0]) if rows else []
    writer = csv.writer(text)
    writer.writerow(names)
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in names])
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) and not isinstance(value, int | float) else text
