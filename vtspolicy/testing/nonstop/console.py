"""What a program of the simulated system finds when it starts: the system, a terminal, a user."""

from collections.abc import Callable
from typing import Protocol

from attrs import define, field

from vtspolicy.testing.nonstop.accounts import Account
from vtspolicy.testing.nonstop.system import System


class Process(Protocol):
    """A process that goes on while its terminal does something else."""

    @property
    def name(self) -> str:
        """Its name, with the dollar sign."""

    def stop(self) -> None:
        """Stop it."""


@define
class Console:
    """One terminal's side of the system."""

    system: System
    window: str  # the terminal's name
    show: Callable[[str], None]  # lines
    poke: Callable[[], None]  # what is waited for may have happened
    account: Account | None = None  # who is logged on
    processes: list[Process] = field(factory=list)  # started from here, the newest last
    newest: str = ""  # the name of the process that was started last

    def start(self, process: Process) -> None:
        """Remember a process that was started from here."""
        self.system.processes.add(process.name)
        self.processes.append(process)
        self.newest = process.name

    def ended(self, process: Process) -> None:
        """Forget a process."""
        self.system.processes.discard(process.name)
        if process in self.processes:
            self.processes.remove(process)
        self.poke()

    def stop_all(self) -> None:
        """Stop every process that was started from here: the session ends."""
        for process in tuple(self.processes):
            process.stop()
