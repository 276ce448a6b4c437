"""The life of a host's connection, and what may keep its input waiting meanwhile."""

from enum import StrEnum
from typing import Protocol

from automat import TypeMachineBuilder
from automat._typed import TypedState, TypeMachine  # the names for annotations


class SessionState(StrEnum):
    """Where a connection is in its life."""

    OPEN = "open"  # both sides may send
    HALF_CLOSED = "half-closed"  # the peer sends no more; it stays for its answers
    CLOSING = "closing"  # we have ended it: what is written still goes out, nothing more is said
    CLOSED = "closed"  # it is gone


class Pause(StrEnum):
    """Why nothing is read from an open connection, though the peer may be sending."""

    RECORDING = "recording"  # what came before is not in the ledger yet
    SLOW = "slow"  # the peer does not read its answers
    HELD = "held"  # the server stops


class SessionLife(Protocol):
    """What can happen to a connection; each answers the state that follows."""

    def end_input(self) -> SessionState:
        """The peer sends no more."""

    def close(self) -> SessionState:
        """We end it."""

    def lose(self) -> SessionState:
        """It is gone, whichever side ended it."""


TRANSITIONS = (
    # state                     what happens           state after
    (SessionState.OPEN, SessionLife.end_input, SessionState.HALF_CLOSED),
    (SessionState.OPEN, SessionLife.close, SessionState.CLOSING),
    (SessionState.OPEN, SessionLife.lose, SessionState.CLOSED),
    (SessionState.HALF_CLOSED, SessionLife.close, SessionState.CLOSING),
    (SessionState.HALF_CLOSED, SessionLife.lose, SessionState.CLOSED),
    # A peer whose input we still read may end it while our last words are on their way.
    (SessionState.CLOSING, SessionLife.end_input, SessionState.CLOSING),
    (SessionState.CLOSING, SessionLife.close, SessionState.CLOSING),
    (SessionState.CLOSING, SessionLife.lose, SessionState.CLOSED),
    # The engine may fail, or the server stop, after the connection is gone.
    (SessionState.CLOSED, SessionLife.close, SessionState.CLOSED),
)
"""The life cycle of a connection, to be read as a table; what is not in it cannot happen."""


def _session_machine() -> (
    "tuple[TypeMachine[SessionLife, object], dict[SessionState, TypedState[SessionLife, object]]]"
):
    builder = TypeMachineBuilder(SessionLife, object)
    states = {each: builder.state(each.value) for each in SessionState}
    for before, happening, after in TRANSITIONS:
        states[before].upon(happening).to(states[after]).returns(after)
    return builder.build(), states


_MACHINE, _STATES = _session_machine()


def life(state: SessionState = SessionState.OPEN) -> SessionLife:
    """Return the life of a connection that is in `state`.

    An input that TRANSITIONS does not have for the state raises `automat.NoTransition`.
    """
    return _MACHINE(None, _STATES[state])
