"""Filters of a simulated distributor."""

from collections.abc import Mapping

from vtspolicy.testing.nonstop.journal import LoggedEvent
from vtspolicy.testing.nonstop.system import Filter


def filter_table(text: str) -> Filter:
    """Return the filter that a filter table says.

    A table is a plain file with the owner in column 1, the subsystem in 10, the event number in 20
    and the pass value in 40 (documented). Ours: a line that leaves a column blank means every
    value; the first line that fits decides; a pass value of 0 does not pass, and neither does an
    event that no line fits.
    """
    lines = [
        (line[:9].strip(), line[9:19].strip(), line[19:39].strip(), line[39:].strip())
        for line in text.splitlines()
        if line.strip()
    ]

    def passes(event: LoggedEvent) -> bool:
        owner, subsystem, *_ = (*event.ssid.split("."), "")
        for of, what, number, value in lines:
            found = {of: owner, what: subsystem, number: str(event.number)}
            if all(not wanted or wanted == is_ for wanted, is_ in found.items()):
                return value != "0"
        return False

    return passes


def filter_tables(texts: Mapping[str, str]) -> dict[str, Filter]:
    """Return filters by file name, from the texts of their tables."""
    return {name.upper(): filter_table(text) for name, text in texts.items()}
