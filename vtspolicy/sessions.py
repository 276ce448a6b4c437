"""The life of a host's connection, and what may keep its input waiting meanwhile."""

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Protocol

from attrs import define, field
from automat import TypeMachineBuilder
from automat._typed import TypedDataState, TypeMachine  # the names for annotations


class SessionState(StrEnum):
    """Where a connection is in its life."""

    NEW = "new"  # it is not connected yet
    OPEN = "open"  # both sides may send
    HALF_CLOSED = "half-closed"  # the peer sends no more; it stays for its answers
    CLOSING = "closing"  # we have ended it: what is written still goes out, nothing more is said
    CLOSED = "closed"  # it is gone


class Pause(StrEnum):
    """Why nothing is read from an open connection, though the peer may be sending."""

    RECORDING = "recording"  # what came before is not in the ledger yet
    SLOW = "slow"  # the peer does not read its answers
    HELD = "held"  # the server stops


class SessionData:
    """What a connection has in one state of its life, such as timers: nothing, in this class."""

    def active(self) -> None:
        """Something was received or sent."""

    def identified(self) -> None:
        """It is known which hosts the peer is, or they have changed."""

    def leave(self) -> None:
        """The connection is in another state: nothing may be left of this one."""


@define
class SessionCore:
    """A connection, as far as its life needs it."""

    make: Callable[[SessionState], SessionData] = lambda _: SessionData()
    # returns what it has in a state, when it comes there
    data: SessionData = field(factory=SessionData)  # what it has now


class SessionLife(Protocol):
    """What can happen to a connection; each answers the state that follows."""

    def connect(self) -> SessionState:
        """It is there: both sides may send."""

    def end_input(self) -> SessionState:
        """The peer sends no more."""

    def close(self) -> SessionState:
        """We end it."""

    def lose(self) -> SessionState:
        """It is gone, whichever side ended it."""


TRANSITIONS = (
    # state                     what happens           state after
    (SessionState.NEW, SessionLife.connect, SessionState.OPEN),
    (SessionState.NEW, SessionLife.close, SessionState.CLOSED),
    (SessionState.NEW, SessionLife.lose, SessionState.CLOSED),
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


State = TypedDataState[SessionLife, SessionCore, SessionData, []]


def _session_machine() -> "tuple[TypeMachine[SessionLife, SessionCore], dict[SessionState, State]]":
    builder = TypeMachineBuilder(SessionLife, SessionCore)
    builder.state("before its life")  # Automat's own first state has no data
    states: dict[SessionState, State] = {
        each: builder.state(each.value, partial(_enter, each)) for each in SessionState
    }
    for before, happening, after in TRANSITIONS:
        # mypy sees only that both have data, not that it is of one kind.
        states[before].upon(happening).to(states[after])(partial(_follow, before, after))
    return builder.build(), states


def _enter(state: SessionState, _life: SessionLife, core: SessionCore) -> SessionData:
    core.data = core.make(state)
    return core.data


def _follow(
    before: SessionState,
    after: SessionState,
    _life: SessionLife,
    _core: SessionCore,
    data: SessionData,
) -> SessionState:
    if after is not before:
        data.leave()
    return after


_MACHINE, _STATES = _session_machine()


def life(core: SessionCore | None = None, state: SessionState = SessionState.NEW) -> SessionLife:
    """Return the life of a connection that is in `state`; without `core` it has no data.

    An input that TRANSITIONS does not have for the state raises `automat.NoTransition`.
    """
    return _MACHINE(core or SessionCore(), _STATES[state], partial(_enter, state))
