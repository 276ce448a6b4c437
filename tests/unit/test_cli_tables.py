"""Times and columns of the tables that commands print."""

import pytest

from vtspolicy.cli.tables import ODD_TIME, clock, instant, recent


@pytest.mark.parametrize("shown", [clock, instant, recent])
@pytest.mark.parametrize("seconds", [1e300, -1e300, float("inf"), float("nan"), 1e17])
def test_a_time_that_no_calendar_has_hides_no_other_row(shown, seconds):
    assert shown(seconds) == ODD_TIME
