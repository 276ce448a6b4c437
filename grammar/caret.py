"""An error shown to a person: the text with a caret under the wrong column."""

from vtspolicy.grammar.command import CommandError

WIDTH = 100
"""Columns of the lines that are shown at most; a longer text is shown around the wrong place."""

NARROWEST = 20
"""Columns that are needed to show anything."""

ELLIPSIS = "..."


def diagnose(text: str, error: CommandError, *, width: int = WIDTH) -> str:
    """Return the line of `text`, the caret under the error's column, the message and the hint.

    The caret is where it should be on a terminal of `width` columns.
    """
    width = max(min(width, WIDTH), NARROWEST)
    line = "".join(c if c.isprintable() else " " for c in text)
    at = error.column - 1
    start, end = 0, len(line)
    if max(end, at + 1) > width:
        room = width - 2 * len(ELLIPSIS)
        start = max(0, min(at - room // 2, len(line) + 1 - room))
        end = min(len(line), start + room)
    before = ELLIPSIS if start else ""
    after = ELLIPSIS if end < len(line) else ""
    shown = [
        f"{before}{line[start:end]}{after}",
        " " * (len(before) + at - start) + "^",
        f"column {error.column}: {error.message}",
    ]
    if error.hint:
        shown.append(error.hint)
    return "\n".join(shown)
