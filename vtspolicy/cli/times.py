"""Times as people give them on the command line: 2026-11-22, 02:14, yesterday, 8h."""

from datetime import datetime

import click

from vtspolicy.readable import TIMES, moment_of


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
            self.fail(f'"{value}" is not a time; times are {TIMES}', param, ctx)
        return moment
