"""Times as people give them on the command line: 2026-11-22, 02:14, yesterday, 8h."""

import re
from datetime import datetime, timedelta

import click

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?")
_DAYS = {"today": 0, "yesterday": 1}

KNOWN = "2026-11-22, 2026-11-22T02:14, 02:14, today, yesterday, or 8h for eight hours ago"


class Time(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """A moment, in seconds since the epoch."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the moment that a text means now, in the local zone if it names none."""
        if isinstance(value, float):
            return value
        moment = moment_of(str(value), datetime.now().astimezone())
        if moment is None:
            self.fail(f'"{value}" is not a time; times are {KNOWN}', param, ctx)
        return moment


def moment_of(text: str, now: datetime) -> float | None:
    """Return the moment that a text means, seconds since the epoch; None if it means none.

    A time of the day is the last one: 23:00 in the morning was yesterday.
    """
    text = text.strip()
    if text == "now":
        return now.timestamp()
    if ago := _AGO.fullmatch(text):
        return now.timestamp() - float(ago[1]) * _UNITS[ago[2]]
    try:
        if clock := _CLOCK.fullmatch(text):
            hour, minute, second = (int(each or 0) for each in clock.groups())
            then = _local(now).replace(hour=hour, minute=minute, second=second, microsecond=0)
            if then.timestamp() > now.timestamp():
                then -= timedelta(days=1)
            return then.timestamp()
        if text in _DAYS:
            midnight = _local(now).replace(hour=0, minute=0, second=0, microsecond=0)
            return (midnight - timedelta(days=_DAYS[text])).timestamp()
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _local(now: datetime) -> datetime:
    """Return the local time without its zone: its offset on another day may be another."""
    return now.astimezone().replace(tzinfo=None)
