"""Time for tests: it passes when the test says so."""

from twisted.internet.task import Clock

MIDDAY = 1_795_348_800.0
"""A moment to begin at, 2026-11-22 12:00 UTC, so that due times look like real ones."""


class TestClock(Clock):
    """A Twisted clock that begins at MIDDAY and can be run until nothing is left to do at once."""

    __test__ = False  # pytest would take it for a test by its name

    def __init__(self, now: float = MIDDAY) -> None:
        super().__init__()
        self.rightNow = now

    def turn(self) -> bool:
        """Run what is due now, but not what that makes due now; False if there was nothing."""
        due = [call for call in self.calls if call.getTime() <= self.seconds()]
        for call in due:
            if call.active():
                self.calls.remove(call)
                call.called = 1
                call.func(*call.args, **call.kw)
        return bool(due)

    def settle(self, turns: int = 10_000) -> None:
        """Run what is due now, and what that makes due now, without letting time pass.

        Raises AssertionError if there is still something after so many turns.
        """
        for _turn in range(turns):
            if not self.turn():
                return
        raise AssertionError(f"there is no end of what is due now: {self.getDelayedCalls()[:3]}")

    def pass_time(self, seconds: float, step: float | None = None) -> None:
        """Let time pass, in steps if given, and settle after each."""
        left = seconds
        while left > 0:
            part = left if step is None else min(step, left)
            self.advance(part)
            self.settle()
            left -= part
