"""The life of a link that this program opens to a host, and how long it waits between tries.

Pure: who dials, and when the time has come, is told from outside.
"""

from enum import StrEnum
from typing import Protocol

from attrs import evolve, frozen
from automat import TypeMachineBuilder
from automat._typed import TypedState, TypeMachine  # the names for annotations


class LinkState(StrEnum):
    """Where a link is in its life."""

    IDLE = "idle"  # not dialled yet
    CONNECTING = "connecting"
    LOGGING_ON = "logging on"
    STARTING = "starting the distributor"
    READING = "reading"  # its display is read
    LOST = "lost"  # it has failed or ended, whatever it did before
    WAITING = "waiting"  # until it is dialled again
    STOPPED = "stopped"  # until an operator restarts it


class Cause(StrEnum):
    """Why a link was lost."""

    UNUSABLE = "unusable"  # a file of ours, as the key, cannot be used
    UNREACHABLE = "unreachable"  # the connection could not be made, or its host was not who it is
    REFUSED = "refused"  # the host did not accept user, password or key
    NO_PROMPT = "no prompt"  # an expected prompt did not come
    NO_DISPLAY = "no display"  # the distributor does not run
    ENDED = "ended"  # the connection ended while it was read
    SILENT = "silent"  # the check from end to end failed
    RESTARTED = "restarted"  # an operator or a reload ended it, to dial anew


class LinkLife(Protocol):
    """What can happen to a link; each answers the state that follows."""

    def dial(self) -> LinkState:
        """A connection is being made."""

    def connect(self) -> LinkState:
        """The connection is there."""

    def log_on(self) -> LinkState:
        """The host has accepted us."""

    def start(self) -> LinkState:
        """The distributor runs."""

    def lose(self) -> LinkState:
        """It failed, was ended, or ended by itself."""

    def wait(self) -> LinkState:
        """It will be dialled again."""

    def stop(self) -> LinkState:
        """It will not be dialled again by itself."""


_UP = (LinkState.CONNECTING, LinkState.LOGGING_ON, LinkState.STARTING, LinkState.READING)

TRANSITIONS = (
    # state                 what happens      state after
    (LinkState.IDLE, LinkLife.dial, LinkState.CONNECTING),
    (LinkState.CONNECTING, LinkLife.connect, LinkState.LOGGING_ON),
    (LinkState.LOGGING_ON, LinkLife.log_on, LinkState.STARTING),
    (LinkState.STARTING, LinkLife.start, LinkState.READING),
    *((each, LinkLife.lose, LinkState.LOST) for each in _UP),
    (LinkState.LOST, LinkLife.wait, LinkState.WAITING),
    (LinkState.LOST, LinkLife.dial, LinkState.CONNECTING),  # restarted
    (LinkState.WAITING, LinkLife.dial, LinkState.CONNECTING),
    (LinkState.STOPPED, LinkLife.dial, LinkState.CONNECTING),
    *((each, LinkLife.stop, LinkState.STOPPED) for each in LinkState),
)
"""The life cycle of a link, to be read as a table; what is not in it cannot happen."""


def _link_machine() -> (
    "tuple[TypeMachine[LinkLife, object], dict[LinkState, TypedState[LinkLife, object]]]"
):
    builder = TypeMachineBuilder(LinkLife, object)
    states = {each: builder.state(each.value) for each in LinkState}
    for before, happening, after in TRANSITIONS:
        states[before].upon(happening).to(states[after]).returns(after)
    return builder.build(), states


_MACHINE, _STATES = _link_machine()


def life(state: LinkState = LinkState.IDLE) -> LinkLife:
    """Return the life of a link that is in `state`.

    An input that TRANSITIONS does not have for the state raises `automat.NoTransition`.
    """
    return _MACHINE(None, _STATES[state])


SHORTEST = 1.0
LONGEST = 300.0
"""Seconds between two tries: the shortest and the longest back-off."""

REFUSED_WAIT = 300.0
"""Seconds that pass at least after a refused password or key."""

MOST_REFUSALS = 2
"""Times in a row that a host may refuse one password or key before the link stops.

Hosts freeze accounts after so many wrong passwords in a row, however slowly they come (the number
is a site's own; three is common). One more try allows for a host that was not ready.
"""

STEADY = 60.0
"""Seconds of reading after which failures before it no longer count."""


def back_off(failures: int, cause: Cause, chance: float) -> float:
    """Return the seconds to wait after so many failures in a row, the last one for `cause`.

    `chance` is from 0 to 1: many links that were lost together do not come back together.
    """
    longest = min(LONGEST, SHORTEST * 2.0 ** min(failures, 20))
    wait = max(SHORTEST, longest * (1 + chance) / 2)
    return max(wait, REFUSED_WAIT * (1 + chance / 5)) if cause is Cause.REFUSED else wait


@frozen(kw_only=True)
class Link:
    """A link at one moment. Times are seconds since the epoch."""

    state: LinkState = LinkState.IDLE
    since: float  # when it came into this state
    failures: int = 0  # in a row
    refusals: int = 0  # of the same password or key, in a row
    cause: Cause | None = None  # why it was lost the last time
    error: str = ""  # what was said of that, for people; never a secret
    due: float | None = None  # when it is to be dialled again; of a link that waits
    last_event: float | None = None  # when its display showed an event the last time

    def dialled(self, now: float) -> "Link":
        """Return the link as it is dialled, for whatever reason."""
        return evolve(self, state=life(self.state).dial(), since=now, due=None)

    def connected(self, now: float) -> "Link":
        """Return the link with its connection there."""
        return evolve(self, state=life(self.state).connect(), since=now)

    def logged_on(self, now: float) -> "Link":
        """Return the link as the host has accepted us: nothing was refused."""
        return evolve(self, state=life(self.state).log_on(), since=now, refusals=0)

    def started(self, now: float) -> "Link":
        """Return the link with its distributor running."""
        return evolve(self, state=life(self.state).start(), since=now)

    def shown(self, now: float) -> "Link":
        """Return the link as its display has shown an event."""
        return evolve(self, last_event=now)

    def lost(self, now: float, cause: Cause, error: str = "") -> "Link":
        """Return the link as it is lost."""
        was_steady = self.state is LinkState.READING and now - self.since >= STEADY
        is_failure = cause is not Cause.RESTARTED
        return evolve(
            self,
            state=life(self.state).lose(),
            since=now,
            failures=(0 if was_steady else self.failures) + is_failure,
            refusals=self.refusals + (cause is Cause.REFUSED),
            cause=cause,
            error=error,
        )

    def put_off(self, now: float, chance: float) -> "Link":
        """Return a lost link as it waits, or stopped if the host has refused it too often."""
        if not self.may_log_on:
            return self.stopped(now)
        wait = back_off(self.failures, self.cause or Cause.ENDED, chance)
        return evolve(self, state=life(self.state).wait(), since=now, due=now + wait)

    def refused(self, error: str) -> "Link":
        """Return the link as its other session was refused, which logs on with the same secret."""
        return evolve(self, refusals=self.refusals + 1, error=error, cause=Cause.REFUSED)

    def accepted(self) -> "Link":
        """Return the link as its other session was let in."""
        return evolve(self, refusals=0)

    @property
    def may_log_on(self) -> bool:
        """Whether another logon may be tried with this secret."""
        return self.refusals < MOST_REFUSALS

    def stopped(self, now: float) -> "Link":
        """Return the link as it is stopped."""
        return evolve(self, state=life(self.state).stop(), since=now, due=None)

    def given_secret(self) -> "Link":
        """Return the link with another password or key: refusals of the old one do not count."""
        return evolve(self, refusals=0)
