"""A conversation at a host's terminal: log on, type a line, read up to the next prompt."""

import re
from collections.abc import Callable
from datetime import datetime

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from vtspolicy.config.model import Dial
from vtspolicy.hosts.dial.connect import CONNECTING, Attempt, Open, read_password
from vtspolicy.hosts.dial.terminal import LinkError, Terminal
from vtspolicy.links.clock import host_time
from vtspolicy.links.distributor import PREPARATION, prompt_pattern
from vtspolicy.links.life import Cause
from vtspolicy.links.login import HIDDEN, LoggedOn, Login, NoPrompt, Refused, Send
from vtspolicy.visible import visible

KEPT = 65_536
"""Bytes of what comes before a prompt that are kept: a long list of mounts, and no more."""

SHOWN = 200
"""Characters of it that an error shows."""

COMMAND = 20.0
"""Seconds in which a command's prompt has to come (the original's own default)."""

LOGOUT = 3.0
"""Seconds in which the host has to end the session behind LOGOUT (the original's own default)."""

ECHO_LENGTH = 4
"""Characters of a password from which on its coming back is its echo, and not chance."""

Receiver = Callable[[bytes], None]


class Conversation:
    """One terminal, from the connection to its end; it is a `terminal.Screen`.

    Its coroutines raise LinkError. They are called one after the other.
    """

    def __init__(
        self,
        clock: IReactorTime,
        open_terminal: Open,
        dial: Dial,
        *,
        connected: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare it; `connected` is called when the host can be typed to."""
        self.dial = dial
        self.prompt = ""  # the last one that came
        self.echoes_password = False  # the host has shown it
        self.on_ended: Callable[[LinkError], None] = lambda _: None
        self._clock = clock
        self._open = open_terminal
        self._connected = connected
        self._password: str | None = None
        self._terminal: Terminal | None = None
        self._attempt: Attempt | None = None
        self._came = bytearray()  # and was not looked at yet; its end
        self._receiver: Receiver | None = None  # takes what comes, once there is one
        self._error: LinkError | None = None  # why it is over
        self._waiter: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None

    # terminal.Screen

    def opened(self, terminal: Terminal) -> None:
        """The host can be typed to."""
        self._terminal = terminal
        if self._error is not None:  # it was given up meanwhile
            terminal.abort()
            return
        self._wake()

    def shown(self, data: bytes) -> None:
        """Keep what came, or hand it on."""
        if self._error is not None:
            return
        if self._receiver is not None:
            self._receiver(data)
            return
        self._came += data
        del self._came[:-KEPT]
        self._wake()

    def ended(self, error: LinkError) -> None:
        """The terminal is gone."""
        if self._error is None:
            self._error = error
            self._wake()
            self.on_ended(error)

    # Its life

    async def log_on(self) -> datetime | None:
        """Connect and log on; return the host's own time, if it tells it."""
        self._password = None
        if self.dial.password_file is not None:
            self._password = read_password(self.dial.password_file)
        self._attempt = self._open(self.dial, self, self._password)
        deadline = self._clock.seconds() + CONNECTING
        while self._terminal is None:
            if self._error is not None:
                came = self.hide(self._take())[:SHOWN]
                raise LinkError(
                    self._error.cause, f"{self._error}; came: {came}" if came else str(self._error)
                )
            if not await self._wait(deadline):
                self._attempt.cancel()
                raise LinkError(Cause.UNREACHABLE, f"no connection within {CONNECTING:g} s")
        self._connected()
        await self._log_on()
        await self.command(PREPARATION)
        return host_time(await self.command("TIME"))

    async def _log_on(self) -> None:
        login = Login(self.dial.login, user=self.dial.user, password=self._password or "")
        deadline = self._clock.seconds() + login.within
        typed_password = False
        while True:
            try:
                is_in_time = await self._something(deadline)
            except LinkError as error:
                raise error.with_words(login.what_came()) from None
            if not is_in_time:
                raise LinkError(Cause.NO_PROMPT, login.timed_out().error)
            text = self._take()
            self._note_echo(text, typed_password=typed_password)
            answer = login.take(text)
            if isinstance(answer, LoggedOn):
                self.prompt = login.prompt
                return
            if isinstance(answer, Refused):
                raise LinkError(Cause.REFUSED, answer.error)
            if isinstance(answer, NoPrompt):
                raise LinkError(Cause.NO_PROMPT, answer.error)
            if isinstance(answer, Send):
                typed_password = typed_password or answer.text == self._password
                self._type(answer.text)
                deadline = self._clock.seconds() + login.within

    def _note_echo(self, text: str, *, typed_password: bool) -> None:
        password = self._password or ""
        if typed_password and len(password) >= ECHO_LENGTH and password in text:
            self.echoes_password = True

    async def command(
        self, line: str, *, prompts: re.Pattern[str] | None = None, within: float = COMMAND
    ) -> str:
        """Type a line; return what comes before the next prompt, without its echo.

        `prompts` are others than that of TACL, which stand alone on their line, too.
        """
        self._came.clear()
        self._type(line)
        pattern = prompts or prompt_pattern(self.prompt)
        deadline = self._clock.seconds() + within
        text = ""
        while True:
            if not await self._something(deadline):
                came = self.hide(text)[-SHOWN:] or "nothing came"
                verb = line.split(" ", maxsplit=1)[0]
                raise LinkError(
                    Cause.NO_PROMPT, f"no prompt within {within:g} s behind {verb}; came: {came}"
                )
            text = (text + self._take())[-KEPT:]
            match = pattern.search(text)
            if match is not None:
                self.prompt = match[0].strip()
                return text[: match.start()].strip("\r\n ").removeprefix(line).strip("\r\n ")

    def hand_over(self, line: str, receiver: Receiver) -> None:
        """Type a line; what comes from now on is the receiver's."""
        self._came.clear()
        self._receiver = receiver
        self._type(line)

    async def log_off(self) -> None:
        """Say LOGOUT, and end the connection."""
        if self._error is None:
            self._type("LOGOUT")
            deadline = self._clock.seconds() + LOGOUT
            try:
                while await self._something(deadline):
                    self._take()
            except LinkError:
                pass
        self.close()

    def close(self, error: LinkError | None = None) -> None:
        """End the connection at once; who waits for it gets the error."""
        if self._error is None:
            self.ended(error or LinkError(Cause.RESTARTED, "the link was ended here"))
        if self._terminal is not None:
            self._terminal.abort()
        elif self._attempt is not None:
            self._attempt.cancel()

    @property
    def is_over(self) -> bool:
        """Whether nothing can be typed any more."""
        return self._error is not None

    @property
    def terminal(self) -> Terminal | None:
        """What is typed at, to steer its reading."""
        return self._terminal

    def hide(self, text: str) -> str:
        """Return a text of the host on one line, visible and without the password."""
        if self._password:
            text = text.replace(self._password, HIDDEN)
        return visible(" / ".join(each.strip() for each in text.splitlines() if each.strip()))

    def _type(self, line: str) -> None:
        if self._terminal is not None and self._error is None:
            self._terminal.type(line.encode("utf-8", "replace"))

    def _take(self) -> str:
        text = self._came.decode("utf-8", "replace").replace("\r", "").replace("\0", "")
        self._came.clear()
        return text

    async def _something(self, deadline: float) -> bool:
        """Wait until something came; False: the time is over. Raises LinkError."""
        while not self._came:
            if self._error is not None:
                raise self._error
            if not await self._wait(deadline):
                return False
        return True

    async def _wait(self, deadline: float) -> bool:
        """Wait until something happens; False: the time is over."""
        left = deadline - self._clock.seconds()
        if left <= 0:
            return False
        self._waiter = Deferred()
        self._timer = self._clock.callLater(left, self._wake)
        await self._waiter
        return True

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        if waiter is not None:
            waiter.callback(None)
