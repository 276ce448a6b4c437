"""The life of a run that somebody waits for: its states, each with what only that state knows."""

from enum import StrEnum
from functools import partial
from typing import Protocol

from attrs import define, field
from automat import TypeMachineBuilder
from automat._typed import TypedDataState, TypeMachine  # the names for annotations

from vtspolicy.runner.identity import Process
from vtspolicy.runner.protocol import Ended


class RunState(StrEnum):
    """Where a run is in its life."""

    SOUGHT = "sought"  # how it is must be found out from its files
    ASKED = "asked"  # the keeper was asked to start it, and has not answered
    RUNNING = "running"  # its leader is known
    LEFT = "left"  # its leader has ended; other processes of its session are left
    OVER = "over"  # its end is reported


@define(eq=False)
class RunData:
    """What is known in one state; of a run that is sought or over, nothing more."""


@define(eq=False)
class Asked(RunData):
    """The keeper was asked to start it."""

    at: float  # by the monotonic clock


@define(eq=False)
class Running(RunData):
    """Its leader is known."""

    leader: Process
    held: bool = False  # the keeper that we are connected to will report its end
    size: int = -1  # of the output, when last looked at
    grown: float = 0.0  # age of the leader when the output last changed


@define(eq=False)
class Left(Running):
    """Its leader has ended."""

    ended: Ended = field(kw_only=True)  # what is reported once all the others have ended


@define(eq=False)
class RunCore:
    """A run, as far as its life needs it."""

    state: RunState = RunState.SOUGHT
    data: RunData = field(factory=RunData)


class RunLife(Protocol):
    """What can happen to a run; `data` is what the state that follows knows."""

    def ask(self, data: RunData) -> None:
        """The keeper is asked to start it."""

    def claim(self, data: RunData) -> None:
        """The keeper says that it was claimed before."""

    def begin(self, data: RunData) -> None:
        """Its leader is found, or reported."""

    def leave(self, data: RunData) -> None:
        """Its leader has ended, and has left processes that must end, too."""

    def finish(self, data: RunData) -> None:
        """Its end is reported, or why it cannot be started."""


TRANSITIONS = (
    # state             what happens     state after
    (RunState.SOUGHT, RunLife.ask, RunState.ASKED),
    (RunState.SOUGHT, RunLife.begin, RunState.RUNNING),
    (RunState.SOUGHT, RunLife.finish, RunState.OVER),
    (RunState.ASKED, RunLife.claim, RunState.SOUGHT),
    (RunState.ASKED, RunLife.begin, RunState.RUNNING),
    (RunState.ASKED, RunLife.finish, RunState.OVER),
    (RunState.RUNNING, RunLife.leave, RunState.LEFT),
    (RunState.RUNNING, RunLife.finish, RunState.OVER),
    (RunState.LEFT, RunLife.finish, RunState.OVER),
)
"""The life cycle of a run, to be read as a table; what is not in it cannot happen."""

State = TypedDataState[RunLife, RunCore, RunData, ...]


def _run_machine() -> "TypeMachine[RunLife, RunCore]":
    builder = TypeMachineBuilder(RunLife, RunCore)
    new = builder.state("new")  # Automat's own first state has no data
    states: dict[RunState, State] = {
        each: builder.state(each.value, partial(_enter, each)) for each in RunState
    }
    for before, happening, after in TRANSITIONS:
        if before is RunState.SOUGHT:
            new.upon(happening).to(states[after]).returns(None)
        states[before].upon(happening).to(states[after]).returns(None)
    return builder.build()


def _enter(state: RunState, _life: RunLife, core: RunCore, data: RunData) -> RunData:
    core.state, core.data = state, data
    return data


_MACHINE = _run_machine()


def life(core: RunCore) -> RunLife:
    """Return the life of a run that is sought.

    An input that TRANSITIONS does not have for the state raises `automat.NoTransition`.
    """
    return _MACHINE(core)
