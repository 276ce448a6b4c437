"""Everything that TACL of the simulated system knows by name."""

from collections.abc import Mapping

from vtspolicy.testing.nonstop.emsdist import emsdist
from vtspolicy.testing.nonstop.flow import FLOW
from vtspolicy.testing.nonstop.functions import FUNCTIONS
from vtspolicy.testing.nonstop.fup import fup
from vtspolicy.testing.nonstop.library import LIBRARY
from vtspolicy.testing.nonstop.mediacom import mediacom
from vtspolicy.testing.nonstop.requesters import REQUESTERS
from vtspolicy.testing.nonstop.spi import SPI
from vtspolicy.testing.nonstop.strings import STRINGS
from vtspolicy.testing.nonstop.tacl import Word

PROGRAMS: Mapping[str, Word] = {"EMSDIST": emsdist, "FUP": fup, "MEDIACOM": mediacom}
"""Programs, also found as `$SYSTEM.SYSTEM.NAME`."""

WORDS: Mapping[str, Word] = {
    **FUNCTIONS,
    **FLOW,
    **STRINGS,
    **SPI,
    **REQUESTERS,
    **LIBRARY,
    **PROGRAMS,
    **{f"$SYSTEM.SYSTEM.{name}": program for name, program in PROGRAMS.items()},
}
