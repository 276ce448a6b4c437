"""What the tests of the ledger's file stand on: a reactor that a test pumps, and commands."""

import queue
from datetime import datetime

from twisted.internet.task import Clock

from vtspolicy.rules.work import Work

WORK = Work(application="DSK", run=("true",))
FIRST = datetime(2026, 11, 22)  # noqa: DTZ001 - as displayed: no zone
TIMEOUT = 120.0  # seconds until a test that waits for nothing fails


class Pump:
    """What a ledger asks of a reactor; the test's own thread is its thread."""

    def __init__(self):
        self._calls = queue.Queue()
        self._later = Clock()

    def callFromThread(self, function, *args, **kwargs):
        self._calls.put((function, args, kwargs))

    def callLater(self, delay, function, *args, **kwargs):
        return self._later.callLater(delay, function, *args, **kwargs)

    def turn(self):
        """Do what is due; with nothing due, let time pass until the next call is."""
        due = self._later.getDelayedCalls()
        try:
            function, args, kwargs = self._calls.get(timeout=0 if due else TIMEOUT)
        except queue.Empty:
            if not due:
                raise
            self._later.advance(max(due[0].getTime() - self._later.seconds(), 0))
        else:
            function(*args, **kwargs)

    def until(self, holds):
        while not holds():
            self.turn()

    def ask(self, deferred):
        """Return what a Deferred brings, or raise it."""
        answers, failures = [], []
        deferred.addCallbacks(answers.append, failures.append)
        self.until(lambda: answers or failures)
        if failures:
            failures[0].raiseException()
        return answers[0]
