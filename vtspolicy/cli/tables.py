"""Tables and texts for a terminal: they fit its width, and nothing in them can command it."""

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from datetime import datetime
from io import StringIO
from itertools import chain, zip_longest
from typing import Literal

import click
from attrs import frozen

from vtspolicy.visible import visible

UNBOUNDED = 20_000
"""Columns of a table that goes into a file or a pipe: nothing is cut there."""

MANY = 300
"""Rows of a table from which on it has no colours: the library takes a millisecond for each."""

ELLIPSIS = "\u2026"

STYLES = {
    "completed": "green",
    "ready": "green",
    "warning": "yellow",
    "waiting": "dim",
    "running": "cyan",
    "stopping": "cyan",
    "open": "cyan",
    "failed": "red",
    "timedout": "red",
    "interrupted": "red",
    "denied": "red",
    "rejected": "red",
    "norule": "red",
}
"""Colours of words about states; others have none."""


@frozen
class Column:
    """One column of a table."""

    name: str
    right: bool = False  # numbers are aligned to the right
    gives: bool = False  # it becomes narrower when the table is wider than the terminal
    needs: int = 0  # it is left out on terminals with fewer columns
    wraps: bool = False  # what does not fit continues in further lines, and is not cut


def width() -> int:
    """Return how many columns there are: COLUMNS, or the terminal's, or all that are wanted."""
    if not sys.stdout.isatty() and not os.environ.get("COLUMNS", "").isdigit():
        return UNBOUNDED
    return max(shutil.get_terminal_size().columns, 20)


def visible_lines(text: str, last: int | None = None) -> list[str]:
    """Return the (last) lines of an output, each of them made visible.

    What a carriage return has overwritten, as progress bars do, is left out.
    """
    lines = text.rstrip("\n").split("\n") if text.strip() else []
    kept = lines if last is None else lines[-last:]
    return [visible(line.rstrip("\r").rpartition("\r")[2]).expandtabs() for line in kept]


def table(columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> str:
    """Return a table. None is an empty cell; in a terminal words of states have their colour."""
    rows = list(rows)
    if len(rows) > MANY:
        return _long_table(columns, rows)
    # Loaded only by commands that show tables: it takes longer than all the rest of them.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    columns_there = width()
    shown = [place for place, each in enumerate(columns) if columns_there >= each.needs]
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for place in shown:
        each = columns[place]
        grid.add_column(
            Text(each.name, no_wrap=True, overflow="ellipsis"),
            justify="right" if each.right else "left",
            no_wrap=not (each.gives or each.wraps),
            overflow="ellipsis",
        )
    for row in rows:
        cells = []
        for place in shown:
            cell, wraps = "" if row[place] is None else visible(row[place]), columns[place].wraps
            overflow: Literal["fold", "ellipsis"] = "fold" if wraps else "ellipsis"
            cells.append(Text(cell, STYLES.get(cell, ""), no_wrap=not wraps, overflow=overflow))
        grid.add_row(*cells)
    out = StringIO()
    in_terminal = sys.stdout.isatty()
    Console(
        file=out,
        width=columns_there,
        force_terminal=in_terminal,
        color_system="standard" if in_terminal else None,
    ).print(grid)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip("\n").split("\n"))


def _long_table(columns: Sequence[Column], rows: Sequence[Sequence[object]]) -> str:
    """Return a table of very many rows, without colours: as fast as its texts are made."""
    from rich.cells import cell_len, set_cell_size  # noqa: PLC0415

    columns_there = width()
    shown = [place for place, each in enumerate(columns) if columns_there >= each.needs]
    texts = [["" if row[place] is None else visible(row[place]) for place in shown] for row in rows]
    names = [columns[place].name for place in shown]
    broad = [max(map(cell_len, column)) for column in zip(names, *texts, strict=True)]
    gives = [
        number for number, place in enumerate(shown) if columns[place].gives or columns[place].wraps
    ]
    wraps = [columns[place].wraps for place in shown]
    while gives and sum(broad) + 2 * len(broad) - 2 > columns_there:
        widest = max(gives, key=lambda number: broad[number])
        if broad[widest] <= len(names[widest]):
            break
        broad[widest] -= 1
    right = [columns[place].right for place in shown]

    def line(cells: Sequence[str]) -> str:
        fitted = []
        for cell, size, to_right in zip(cells, broad, right, strict=True):
            length = cell_len(cell)
            if length > size:
                fitted.append(set_cell_size(cell, size - 1) + ELLIPSIS)
            else:
                blanks = " " * (size - length)
                fitted.append(blanks + cell if to_right else cell + blanks)
        return "  ".join(fitted).rstrip()

    def lines(cells: Sequence[str]) -> Iterable[str]:
        wrapped = [
            textwrap.wrap(cell, size) or [""] if each else [cell]
            for cell, size, each in zip(cells, broad, wraps, strict=True)
        ]
        return map(line, zip_longest(*wrapped, fillvalue=""))

    return "\n".join([line(names), *chain.from_iterable(map(lines, texts))])


def fits(columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> bool:
    """Whether a table is not wider than the terminal, so that nothing of it is cut."""
    broad = [len(each.name) for each in columns]
    for row in rows:
        broad = [
            max(most, 0 if cell is None else len(visible(cell)))
            for most, cell in zip(broad, row, strict=True)
        ]
    there = [most for most, each in zip(broad, columns, strict=True) if width() >= each.needs]
    return sum(there) + 2 * len(there) - 2 <= width()


def ending(text: str | None, most: int) -> str | None:
    """Return the end of a name, where names of tapes differ; whole when nothing has to fit."""
    if text is None or len(text) <= most or width() == UNBOUNDED:
        return text
    return ELLIPSIS + text[1 - most :]


def pairs(rows: Iterable[tuple[str, object]], indent: str = "  ") -> str:
    """Return names with their values, one under the other; rows without a value are left out."""
    present = [(name, visible(value)) for name, value in rows if value not in {None, ""}]
    broad = max((len(name) for name, _ in present), default=0)
    lines: list[str] = []
    for name, value in present:
        first = f"{indent}{name:{broad}}  "
        lines += paragraph(value, first, " " * len(first))
    return "\n".join(lines)


def paragraph(text: str, first: str = "", further: str = "") -> list[str]:
    """Return a text in lines of the terminal's width; words, such as paths, are never broken."""
    return textwrap.wrap(
        text,
        max(width(), len(first) + 20),
        initial_indent=first,
        subsequent_indent=further,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first.rstrip()]


def quoted(lines: Iterable[str]) -> list[str]:
    """Return lines behind a bar; what is wider than the terminal continues without one."""
    wide = max(width() - 4, 20)
    shown: list[str] = []
    for line in lines:
        pieces = [line[at : at + wide] for at in range(0, len(line), wide)] or [""]
        shown += [f"  {'|' if not place else ' '} {each}" for place, each in enumerate(pieces)]
    return shown


def emit(text: str) -> None:
    """Print a text, with a question mark for what the terminal's encoding does not have."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    click.echo(text.encode(encoding, "replace").decode(encoding))


ODD_TIME = "no date"
"""What stands for a time that no calendar has: one odd record must not hide the others."""


def _local(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds).astimezone()
    except (ValueError, OverflowError, OSError):
        return None


def clock(seconds: float | None) -> str:
    """Return a time in the local zone: 11-22 02:14:09, or with its year when that is another."""
    if not seconds:
        return ""
    when = _local(seconds)
    if when is None:
        return ODD_TIME
    now = datetime.now().astimezone()
    return when.strftime("%m-%d %H:%M:%S" if when.year == now.year else "%Y-%m-%d %H:%M")


def recent(seconds: float | None) -> str:
    """Return a time in the local zone, as short as can be: 02:14:09 today, 11-22 02:14 this year.

    In other years the date alone.
    """
    if not seconds:
        return ""
    when = _local(seconds)
    if when is None:
        return ODD_TIME
    now = datetime.now().astimezone()
    if when.date() == now.date():
        return when.strftime("%H:%M:%S")
    return when.strftime("%m-%d %H:%M" if when.year == now.year else "%Y-%m-%d")


def dated(seconds: float | None, now: float) -> str:
    """Return a time in the local zone to the minute, with its date: 11-22 02:14.

    Its year, and its zone, are there if they are not those of `now`.
    """
    if not seconds:
        return ""
    when, there = (datetime.fromtimestamp(each).astimezone() for each in (seconds, now))
    text = when.strftime("%m-%d %H:%M" if when.year == there.year else "%Y-%m-%d %H:%M")
    return text if when.utcoffset() == there.utcoffset() else f"{text} {when:%Z}"


def zone(now: float) -> str:
    """Return the name of the local zone, as times of `now` have it: CET."""
    return f"{datetime.fromtimestamp(now).astimezone():%Z}"


def instant(seconds: float | None) -> str | None:
    """Return a time in full, in the local zone with its offset; None for no time."""
    if not seconds:
        return None
    when = _local(seconds)
    return ODD_TIME if when is None else when.isoformat(" ", "milliseconds")
