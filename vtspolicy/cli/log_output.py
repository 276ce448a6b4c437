"""How the log is written: for people, for the journal of systemd, or an object a line."""

import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from functools import lru_cache
from string import Formatter
from typing import TYPE_CHECKING, TextIO, cast

from zope.interface import implementer

if TYPE_CHECKING:
    from twisted.logger import ILogObserver, LogEvent

PRIORITIES = {"debug": 7, "info": 6, "warn": 4, "error": 3, "critical": 2}
"""The numbers of syslog(3) by which the journal of systemd knows how serious a line is."""

FIELDS = (
    *("req", "job", "host", "by", "ref", "family", "operation", "tape", "application", "rule"),
    *("attempt", "code", "secs", "ok", "warn", "failed", "column", "notbefore", "again"),
    *("repeats", "address", "certificate", "listener", "cause"),
)
"""Fields behind the text of a line for people, where the text does not have them."""

_BARE = re.compile(r"[^\s\"=]+")
"""A value that needs no quotes."""


def is_journal(out: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether lines go to the journal of systemd, which reads `<3>` as how serious one is.

    JOURNAL_STREAM is set for all that a service starts, also where the output goes to a terminal
    or a file.
    """
    if not environment.get("JOURNAL_STREAM"):
        return False
    try:
        return not out.isatty() and not stat.S_ISREG(os.fstat(out.fileno()).st_mode)
    except (OSError, ValueError):
        return True


def observer(out: TextIO, *, as_json: bool, journal: bool = False) -> "ILogObserver":
    """Return what writes the log to `out`, one line for each event."""
    from twisted.logger import (  # noqa: PLC0415 - only for a server
        ILogObserver,
        LogLevel,
        eventAsText,
        formatEvent,
        formatTime,
    )

    clock = _once_a_second(formatTime)

    def for_people(event: "LogEvent") -> None:
        level = event["log_level"].name
        text = _plain(event)
        if text is None:
            text = eventAsText(event, includeTimestamp=False, includeSystem=False)
        text = f"{text.rstrip()}{_fields(event)}"
        if not text.isprintable():
            text = "".join(
                each if each.isprintable() or each in "\n\t" else _escaped(each) for each in text
            )
        if journal:
            mark = f"<{PRIORITIES.get(level, 6)}>"
            text = text.replace("\n", f"\n{mark}    ")
            out.write(f"{mark}{text}".rstrip() + "\n")
        else:
            text = text.replace("\n", "\n    ")
            out.write(f"{clock(event['log_time'])} {level:<8} {text}".rstrip() + "\n")
        out.flush()

    def for_machines(event: "LogEvent") -> None:
        record = {
            "time": clock(event["log_time"]),
            "level": event["log_level"].name,
            "system": event.get("log_namespace"),
            "text": formatEvent(event),
        }
        if "log_failure" in event:
            record["failure"] = event["log_failure"].getTraceback()
        record |= {
            key: value if isinstance(value, int | float | str) else str(value)
            for key, value in event.items()
            if not key.startswith("log_")
            and key not in {"message", "isError", "time", "system"}
            and value is not None
        }
        text = json.dumps(record, ensure_ascii=False)
        if (
            not text.isprintable()
        ):  # it is read in terminals, too; and half a character has no UTF-8
            text = json.dumps(record)
        out.write(text + "\n")
        out.flush()

    write = for_machines if as_json else for_people

    @implementer(ILogObserver)
    def ours(event: "LogEvent") -> None:
        """Write our own lines, and of the libraries' only what is wrong."""
        own = str(event.get("log_namespace", "")).startswith("vtspolicy")
        if own or event["log_level"] >= LogLevel.warn:
            write(event)

    return cast("ILogObserver", ours)  # implementer() is untyped


def _plain(event: "LogEvent") -> str | None:
    """Return the text of an event that Python's own formatting can make, as nearly all are."""
    written = event.get("log_format")
    if not isinstance(written, str) or "(" in written or "log_failure" in event:
        return None  # Twisted's formatting can call what is logged
    try:
        return written.format_map(event)
    except Exception:  # noqa: BLE001 - Twisted's formatting says what is wrong
        return None


def _fields(event: "LogEvent") -> str:
    """Return the fields of one of our events that its text does not have, as ` key=value`."""
    written = event.get("log_format")
    if "action" not in event or not isinstance(written, str):
        return ""
    said = _said(written)
    pairs = (
        f" {name}={_value(event[name])}"
        for name in FIELDS
        if name not in said and event.get(name) is not None
    )
    return "".join(pairs)


@lru_cache
def _said(written: str) -> frozenset[str]:
    """Return the names of the fields that a text has."""
    try:
        return frozenset(name for _, name, *_ in Formatter().parse(written) if name)
    except ValueError:
        return frozenset()


def _escaped(character: str) -> str:
    """Return what could steer a terminal, or turn what it shows, as an escape."""
    return character.encode("unicode_escape").decode()


def _value(value: object) -> str:
    text = str(value)
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _once_a_second(form: Callable[[float], str]) -> Callable[[float], str]:
    """Return what gives a time of whole seconds; a flood has many lines in each of them."""
    known, text = -1, ""

    def clock(when: float) -> str:
        nonlocal known, text
        if int(when) != known:
            known, text = int(when), form(when)
        return text

    return clock
