"""What the tests of the ledger's file stand on: a reactor that a test pumps, and commands."""

import queue
from datetime import datetime, timedelta

from twisted.internet.task import Clock

from vtspolicy.events.event import Event, identity
from vtspolicy.jobs import RequestState
from vtspolicy.ledger import Intake
from vtspolicy.rules.decision import PlannedJob
from vtspolicy.rules.work import Work
from vtspolicy.tapes import Tape

WORK = Work(application="DSK", run=("true",))
FIRST = datetime(2026, 11, 22)  # noqa: DTZ001 - as displayed: no zone
PATIENCE = 120.0  # seconds until a test that waits for nothing fails


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
            function, args, kwargs = self._calls.get(timeout=0 if due else PATIENCE)
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


def an_intake(number, **more):
    """Return the command of the event of this number: the same number is the same event."""
    event = Event(
        text=f"VTSPolicy DSK '/V/P ref=R{number}'", time=FIRST + timedelta(seconds=number)
    )
    tape = Tape(vault="V", pool="P", cartridge="A", path="/V/P/A")
    given = {
        "event": event,
        "host": "NSK1",
        "received": 1000.0 + number,
        "state": RequestState.OPEN,
        "digest": identity("NSK1", event),
        "family": "DSK",
        "ref": f"R{number}",
        "jobs": (PlannedJob(work=WORK, values={}, lock=None, tape=tape),),
    }
    return Intake(**{**given, **more})
