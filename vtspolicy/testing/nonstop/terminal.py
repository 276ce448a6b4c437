r"""A terminal of the simulated system: bytes become lines, and lines bytes.

A line has at most 239 bytes, and what is longer is cut silently (documented for TACL; here for
every program). Ours: backspace takes a character back, Control-X the line, and Control-Y at its
beginning is the end of the file; Control-C and Control-\ are taken for BREAK, because they are what
a Telnet daemon of another system makes of INTERRUPT PROCESS and BREAK.
"""

from collections.abc import Callable

from vtspolicy.testing.nonstop.dialogue import Ask

LINE_LIMIT = 239
"""Bytes of a line from a terminal (documented)."""

_BACK = b"\x08\x7f"
_KILL = 0x18
_BREAK = b"\x03\x1c"
_END = 0x19


class Terminal:
    """One terminal. Give it the bytes that come, and it calls back."""

    def __init__(
        self,
        *,
        write: Callable[[bytes], None],
        on_line: Callable[[str], None],
        on_break: Callable[[], None],
        on_end: Callable[[], None],
        echo: bool,
        shows_hidden: bool = False,
    ) -> None:
        self.echo = echo
        self._shows_hidden = shows_hidden  # whether it echoes also what should not be seen
        self._write = write
        self._on_line = on_line
        self._on_break = on_break
        self._on_end = on_end
        self._line = bytearray()
        self._ask: Ask | None = None  # the read that is outstanding
        self._in_line = False  # whether the cursor is behind the first column
        self._was_return = False

    def feed(self, data: bytes) -> None:
        """Take bytes that were typed. CR, LF, and CR LF end a line."""
        for byte in data:
            self._key(byte)

    def _key(self, byte: int) -> None:
        was_return, self._was_return = self._was_return, byte == 0x0D
        if byte == 0x0A and was_return:
            return
        if byte in (0x0D, 0x0A):
            self._return()
        elif byte in _BREAK:
            self.press_break()
        elif byte in _BACK:
            if self._line:
                del self._line[-1]
                self._echo(b"\b \b")
        elif byte == _KILL:
            self._line.clear()
            self._echo(b"\r\n")
        elif byte == _END and not self._line:
            self._on_end()
        elif byte and len(self._line) < LINE_LIMIT:
            self._line.append(byte)
            self._echo(bytes((byte,)))

    def press_break(self) -> None:
        """Press the BREAK key; what was typed of a line is lost."""
        self._line.clear()
        self._on_break()

    def _return(self) -> None:
        line = self._line.decode("utf-8", "surrogateescape")
        self._line.clear()
        if self.echo or (self._ask is not None and self._ask.hidden):
            # Where the terminal shows itself what is typed, it shows the end of the line, too.
            self._write(b"\r\n")
        self._in_line = False
        self._on_line(line)

    def _echo(self, data: bytes) -> None:
        is_hidden = self._ask is not None and self._ask.hidden
        if self._shows_hidden if is_hidden else self.echo:
            self._write(data)
            self._in_line = True

    def ask(self, ask: Ask | None) -> None:
        """Begin a read with its prompt; None: nothing is read now."""
        self._ask = ask
        if ask is not None and ask.prompt:
            self._fresh_line()
            self._write(_encoded(ask.prompt))
            self._in_line = True

    def show(self, text: str) -> None:
        """Show lines, from the first column."""
        self._fresh_line()
        self._write(b"".join(_encoded(line) + b"\r\n" for line in text.split("\n")))

    def _fresh_line(self) -> None:
        if self._in_line:
            self._write(b"\r\n")
            self._in_line = False


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
