"""What the ledger keeps of the clock: whether it is trusted, and which entries were ahead."""

import json

from attrs import frozen
from cattrs.preconf.json import make_converter

from vtspolicy.changes import ChangeBuilder
from vtspolicy.clock_trust import STEP, Change, ClockRecord
from vtspolicy.ledger.history import History
from vtspolicy.ledger.part import Part
from vtspolicy.ledger.statements import Statements

_CONVERTER = make_converter()

SUBJECT = "clock"
"""Whose lines in the history these are."""


@frozen(kw_only=True)
class KeptClock:
    """What a server finds about the clock as it begins."""

    record: ClockRecord | None  # of the last server
    newest: float | None  # when the newest entry was made, seconds since the epoch


class ClockRecords(Part):
    """The state of the clock."""

    def __init__(self, sql: Statements, change: ChangeBuilder, history: History) -> None:
        super().__init__(sql, change)
        self._history = history

    def get(self) -> KeptClock:
        """Return what is kept of the clock.

        Of each table the entry that was made last counts, with any time. One that was ahead of the
        clock when that was trusted again does not.
        """
        row, known = self._sql.one("meta", key="clock"), self._sql.one("meta", key="clock_ahead")
        wrong = set(json.loads(known.value)) if known is not None else set()
        times = [time for time in self._newest_times() if time not in wrong]
        return KeptClock(
            record=None if row is None else _CONVERTER.loads(row.value, ClockRecord),
            newest=max(times, default=None),
        )

    def keep(self, change: Change) -> None:
        """Record a changed state of the clock; a `cause` goes to the history."""
        self._sql.do("set_meta", key="clock", value=_CONVERTER.dumps(change.record))
        if change.cause is None:
            return
        if change.trusted:
            ahead = [time for time in self._newest_times() if time > change.at + STEP]
            self._sql.do("set_meta", key="clock_ahead", value=json.dumps(ahead))
        after = "trusted" if change.trusted else "not trusted"
        self._history.note(change.at, None, after, change.cause, change.actor, subject=SUBJECT)

    def _newest_times(self) -> list[float]:
        return [float(row.time) for row in self._sql.all("newest_times") if row.time is not None]
