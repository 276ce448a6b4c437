"""The machine's clocks. Setting the wall clock back does not delay what waits in the reactor."""

import time
from collections.abc import Callable
from typing import Any

STEP = 1.0
"""Seconds by which the clock must go back against the passing of time to have been set."""


def boot_time() -> float:
    """Return the seconds since the machine was started, sleep included. This clock is never set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def bear_steps(
    reactor: Any,  # its `seconds` is to be replaced, which no interface has
    *,
    wall: Callable[[], float] = time.time,
    steady: Callable[[], float] = time.monotonic,
) -> None:
    """Keep the delays of a reactor's calls as planned when the clock is set back.

    Twisted plans by the wall clock. Without this a clock that is set back by an hour, when a
    machine was restored or its time server comes back, stops for that hour the watch over the
    applications, the scans, and all that waited for a fraction of a second. What waits for a time
    of the day is woken too early then, and looks at the clock itself. A clock that is set forward
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
