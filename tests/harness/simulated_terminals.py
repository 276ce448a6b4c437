"""A terminal at a simulated system: types lines, and knows what is shown."""

from datetime import UTC, datetime, timedelta

from twisted.internet.task import Clock

from vtspolicy.testing.nonstop.session import Session
from vtspolicy.testing.nonstop.system import VTS, Settings, System

AT = datetime(2026, 11, 22, 2, 14, 9, tzinfo=UTC)


class Times:
    """The system's clock: a second passes with each look, so that no two events are alike."""

    def __init__(self, now=AT):
        self.now = now

    def __call__(self):
        self.now += timedelta(seconds=1)
        return self.now


def system(journal=None, **settings):
    return System(Settings(**{"now": Times(), "echo": False, **settings}), journal)


class Typist:
    """One session, without a link."""

    def __init__(self, at=None, *, account=None, command=None, clock=None, start=True, **settings):
        self.system = at or system(**settings)
        self.clock = clock or Clock()
        self.data = b""
        self.ends = []
        self.session = Session(
            self.system,
            write=self._shown,
            ended=self.ends.append,
            call_later=self.clock.callLater,
            account=account,
            command=command,
        )
        if start:
            self.session.start()

    def _shown(self, data):
        self.data += data

    def type(self, *lines):
        """Type lines and return what is shown for them, without the first end of line."""
        echo = self.session.terminal.echo
        before = len(self.data) + (0 if echo else 2)
        for line in lines:
            if not echo and not self.session.is_over:
                self.data += b"\r\n"  # the terminal shows by itself what is typed
            self.session.feed(line.encode() + b"\r")
        return self.text(before)

    def text(self, since=0):
        return self.data[since:].decode("utf-8", "surrogateescape").replace("\r\n", "\n")

    @property
    def window(self):
        return self.session.console.window

    @property
    def prompt(self):
        """The line on which the cursor stands."""
        return self.text().rpartition("\n")[2]


def logged_on(at=None, **more):
    """A terminal at which TACL runs for a user, as behind SSH."""
    return Typist(at, account=VTS, **more)


def distributor(typist, *options, name="$VTS"):
    """Start a distributor as a link does; return what is shown at once."""
    words = ", ".join(("TYPE PRINTING", "COLLECTOR $0", "TEXTOUT [#MYTERM]", *options))
    return typist.type(f"EMSDIST / NAME {name} / {words}")
