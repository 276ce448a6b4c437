"""What time a host says it is, in its own civil time."""

import re
from datetime import datetime

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_TIME = r"(?P<year>\d{4}),? +(?P<time>\d\d:\d\d:\d\d)"
_FORMS = (
    re.compile(rf"(?P<day>\d{{1,2}}) (?P<month>[A-Za-z]{{3}})[A-Za-z]* {_TIME}"),
    re.compile(rf"(?P<month>[A-Za-z]{{3}})[A-Za-z]* (?P<day>\d{{1,2}}), {_TIME}"),
)
"""22 NOV 2026, 02:14:09 and November 22, 2026 02:14:09."""


def host_time(shown: str) -> datetime | None:
    """Return the time in what the command TIME shows; None if it is not understood.

    The first form is documented for the time before a logon, the second is how people have seen it.
    """
    for form in _FORMS:
        match = form.search(shown)
        if match is not None and match["month"].upper() in _MONTHS:
            month = _MONTHS.index(match["month"].upper()) + 1
            try:
                return datetime.fromisoformat(
                    f"{match['year']}-{month:02d}-{int(match['day']):02d}T{match['time']}"
                )
            except ValueError:
                return None
    return None
