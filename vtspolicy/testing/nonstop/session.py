"""One session of a terminal with the simulated system, from the banner to the log-off.

It has no socket and no clock of its own: it is given bytes and gives bytes, and asks to be called
later.
"""

from collections.abc import Callable

from vtspolicy.testing.nonstop.accounts import Account
from vtspolicy.testing.nonstop.console import Console
from vtspolicy.testing.nonstop.dialogue import Ask, Break, Dialogue, EndOfFile, Wait
from vtspolicy.testing.nonstop.logon import choose, greet, log_on
from vtspolicy.testing.nonstop.system import System
from vtspolicy.testing.nonstop.tacl import Tacl
from vtspolicy.testing.nonstop.terminal import Terminal
from vtspolicy.testing.nonstop.words import WORDS

CallLater = Callable[[float, Callable[[], None]], object]
"""Calls a function after some seconds."""


class Session:
    """One session. `start` it, `feed` it, and tell it when the link is `lost`."""

    def __init__(
        self,
        system: System,
        *,
        write: Callable[[bytes], None],
        ended: Callable[[bool], None],
        call_later: CallLater,
        account: Account | None = None,
        command: str | None = None,
        echo: bool | None = None,
        shows_password: bool = False,
    ) -> None:
        """Prepare a session.

        `ended` is told when the host ends it, and whether its last line did what it should.
        `account`: who is logged on already, as with SSH. `command`: run only this, as
        `ssh HOST tacl -c COMMAND` does. `echo`: other than the system's setting.
        `shows_password`: echo that, too, as a host should not.
        """
        self.terminal = Terminal(
            write=write,
            on_line=self._typed,
            on_break=lambda: self._typed(Break()),
            on_end=lambda: self._typed(EndOfFile()),
            echo=system.settings.echo if echo is None else echo,
            shows_hidden=shows_password,
        )
        self.console = Console(
            system=system,
            window=system.new_window(),
            show=self.terminal.show,
            poke=self._poke,
            account=account,
        )
        self.is_over = False
        self.completion_code: int | None = None  # with which TACL has ended itself, if it did
        self._ended = ended
        self._call_later = call_later
        self._command = command
        self._dialogue = self._run()
        self._ask: Ask | Wait = Wait()
        self._is_busy = False

    def start(self) -> None:
        """Show the banner and the first prompt."""
        self._continue(lambda: next(self._dialogue))

    def feed(self, data: bytes) -> None:
        """Take bytes that were typed."""
        self.terminal.feed(data)

    def press_break(self) -> None:
        """Press the BREAK key."""
        self.terminal.press_break()

    def lost(self) -> None:
        """The link is gone: every program of the session ends."""
        if not self.is_over:
            self.is_over = True
            if not self._is_busy:
                self._clear_up()

    def _clear_up(self) -> None:
        self._dialogue.close()
        self.console.stop_all()

    # The dialogue

    def _run(self) -> Dialogue[bool]:
        """Everything from the banner on; whether the last line did what it should."""
        console = self.console
        if self._command is not None:
            tacl = Tacl(console, WORDS)
            yield from tacl.obey_command(self._command)
            self.completion_code = tacl.completion_code
            return not tacl.failed
        if console.account is None:
            name = console.system.settings.name.removeprefix("\\")
            console.show(f"WELCOME TO {name} [PORT $ZTC0 #23 WINDOW {console.window}]")
            if not (yield from choose(console)):
                return True
        else:
            greet(console)
        while True:
            if console.account is None and not (yield from log_on(console)):
                return True
            tacl = Tacl(console, WORDS)
            yield from tacl.run()
            console.stop_all()
            self.completion_code = tacl.completion_code
            if self.completion_code is not None:
                return not tacl.failed
            console.account = None
            if console.system.settings.after_logoff == "end":
                return not tacl.failed

    def _typed(self, what: str | Break | EndOfFile) -> None:
        """Give the dialogue what was typed."""
        ask = self._ask
        if self.is_over or (isinstance(ask, Wait) and (ask.is_deaf or not isinstance(what, Break))):
            return
        if isinstance(what, str):
            self._continue(lambda: self._dialogue.send(what))
        else:
            self._continue(lambda: self._dialogue.throw(what))

    def _continue(self, step: Callable[[], Ask | Wait]) -> None:
        succeeded: bool | None = None  # how the session ended, if it did
        self._is_busy = True
        try:
            self._ask = step()
            while isinstance(self._ask, Wait) and self._ask.is_over():
                self._ask = self._dialogue.send("")
        except StopIteration as end:
            succeeded = bool(end.value)
        except (Break, EndOfFile):
            succeeded = False
        finally:
            self._is_busy = False
        is_lost, self.is_over = self.is_over, self.is_over or succeeded is not None
        if self.is_over:
            self._clear_up()
            if succeeded is not None and not is_lost:
                self._ended(succeeded)
            return
        ask = self._ask
        self.terminal.ask(ask if isinstance(ask, Ask) else None)
        if isinstance(ask, Wait) and ask.seconds is not None:
            self._call_later(ask.seconds, lambda: self._waited(ask))

    def _waited(self, wait: Wait) -> None:
        if self._ask is wait and not self.is_over:
            self._continue(lambda: self._dialogue.send(""))

    def _poke(self) -> None:
        """What the dialogue waits for may have happened."""
        ask = self._ask
        if not self._is_busy and not self.is_over and isinstance(ask, Wait) and ask.is_over():
            self._continue(lambda: self._dialogue.send(""))
