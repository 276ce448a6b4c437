"""The machine's clocks; one that is put back holds up nothing that waits."""

import time
from collections.abc import Callable
from typing import Any

STEP = 1.0
"""Seconds by which the clock must go back against the passing of time to have been set."""


def boot_time() -> float:
    """Return the seconds since the machine was started, sleep included. Nobody sets this clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def bear_steps(
    reactor: Any,  # its `seconds` is to be replaced, which no interface has
    *,
    wall: Callable[[], float] = time.time,
    steady: Callable[[], float] = time.monotonic,
) -> None:
    """Have all that waits in a reactor wait for as long as it was to when the clock is put back.

    Twisted plans by the wall clock. Without this a clock that is put back by an hour, when a
    machine was restored or its time server comes back, stops for that hour the watch over the
    applications, the scans, and whatever waited for a fraction of a second. What waits for a time
    of the day is woken too early then, and looks at the clock itself. A clock that is put forward
    ends waits early, as it should for a time of the day.
    """
    ahead = wall() - steady()

    def seconds() -> float:
        nonlocal ahead
        now = wall()
        step = now - steady() - ahead
        if step > 0:
            ahead += step
        elif step < -STEP:
            ahead += step
            before = now - step
            for call in reactor.getDelayedCalls():
                call.reset(max(call.getTime() - before, 0.0))
            reactor.wakeUp()  # it may just have reckoned, by the old times, how long to sleep
        return now

    reactor.seconds = seconds
