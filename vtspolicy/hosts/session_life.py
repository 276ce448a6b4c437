"""What a session needs in each state of its life: the timers, which end with the state."""

from collections.abc import Callable
from typing import Protocol

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from vtspolicy.config.model import Host
from vtspolicy.hosts.timers import Timer
from vtspolicy.sessions import SessionCore, SessionData, SessionState

STRANGER_PATIENCE = 30.0
"""Seconds that a peer that is not a configured host may stay."""

LINGER = 60.0
"""Seconds that a peer that sends no more is kept for the final notices of its commands."""

FAREWELL = 60.0
"""Seconds that a peer may take to read its last notices, once its connection is being closed."""


_NOT_ENDED = (SessionState.OPEN, SessionState.HALF_CLOSED)

TIMERS = (
    # states                       seconds            what follows
    (_NOT_ENDED, "`keepalive`", "a heartbeat to an idle host"),
    (_NOT_ENDED, STRANGER_PATIENCE, "the end, for a peer that is not a configured host"),
    ((SessionState.HALF_CLOSED,), LINGER, "the end, though answers may be missing"),
    ((SessionState.CLOSING,), FAREWELL, "the cut, though the last notices may not have been read"),
)
"""The timers of the states, to be read as a table."""


class Timed(Protocol):
    """What the states need of their session."""

    hosts: tuple[Host, ...]

    @property
    def reactor(self) -> IReactorTime:
        """The clock."""

    def send_heartbeat(self) -> None:
        """Nothing was sent or received for as long as `keepalive` says."""

    def close(self) -> None:
        """End the link in order."""

    def abort(self) -> None:
        """End the link at once."""


@define(eq=False)
class Open(SessionData):
    """Both sides may send: strangers do not stay long, hosts may have a heartbeat."""

    _session: Timed
    _patience: Timer = field(init=False)
    _keepalive: Timer = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._patience = Timer(self._session.reactor, self._session.close)
        self._keepalive = Timer(self._session.reactor, self._beat)

    def active(self) -> None:
        """Put the next heartbeat off."""
        if self._keepalive.runs:
            self._start_keepalive()

    def identified(self) -> None:
        """Begin the time of a stranger, or until the heartbeat of a host."""
        self._patience.stop()
        self._keepalive.stop()
        if self._session.hosts:
            self._start_keepalive()
        else:
            self._patience.start(STRANGER_PATIENCE)

    def leave(self) -> None:
        """Stop the timers."""
        self._patience.stop()
        self._keepalive.stop()

    def _start_keepalive(self) -> None:
        seconds = min((each.keepalive for each in self._session.hosts if each.keepalive), default=0)
        if seconds:
            self._keepalive.start(seconds)

    def _beat(self) -> None:
        self._session.send_heartbeat()
        self._start_keepalive()


@define(eq=False)
class HalfClosed(Open):
    """The peer sends no more; besides, it stays for its answers, but not for ever."""

    _linger: Timer = field(init=False)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.identified()
        self._linger = Timer(self._session.reactor, self._session.close)
        self._linger.start(LINGER)

    def leave(self) -> None:
        """Stop the timers."""
        super().leave()
        self._linger.stop()


@define(eq=False)
class Closing(SessionData):
    """We have ended the link: the peer has some time to read its last notices."""

    _session: Timed
    _farewell: Timer = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._farewell = Timer(self._session.reactor, self._session.abort)
        self._farewell.start(FAREWELL)

    def leave(self) -> None:
        """Stop the timer."""
        self._farewell.stop()


_STATES: dict[SessionState, Callable[[Timed], SessionData]] = {
    SessionState.OPEN: Open,
    SessionState.HALF_CLOSED: HalfClosed,
    SessionState.CLOSING: Closing,
}


def session_core(session: Timed) -> SessionCore:
    """Return a session as its life sees it: in each state it has what that state needs."""

    def make(state: SessionState) -> SessionData:
        of_state = _STATES.get(state)
        return SessionData() if of_state is None else of_state(session)

    return SessionCore(make)
