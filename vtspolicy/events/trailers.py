"""NUL as the end of a syslog message (RFC 6587, 3.4.2), as the one of Python's library sends it."""

import re

# The lookbehind: a run of NULs is tried once, not once for each of them.
_END = re.compile(rb"(?<!\0)\0++(?=<\d{1,3}>)")
_BEGIN_TO_COME = re.compile(rb"(?:<\d{0,3})?")


class Trailers:
    """Puts a line end in place of each NUL that ends a message, and drops all others.

    A NUL ends a message if `<PRI>` follows, or nothing: the latter is decided by `settle`.
    """

    def __init__(self) -> None:
        self._held = b""  # one NUL for all of its run, and what may become a priority

    @property
    def pending(self) -> bool:
        """Whether the last that has come is a NUL."""
        return self._held == b"\0"

    def feed(self, data: bytes) -> bytes:
        """Return the next bytes with line ends for NULs, but for the last, which may be either."""
        if not self._held and b"\0" not in data:
            return data
        data = _END.sub(b"\n", self._held + data)
        last = data.rfind(b"\0") + 1
        self._held = b""
        if last and _BEGIN_TO_COME.fullmatch(data, last):
            self._held = b"\0" + data[last:]
            data = data[:last]
        return data.translate(None, b"\0")

    def settle(self) -> bytes:
        """Return the line end that the last NUL stands for: nothing has followed."""
        if not self.pending:
            return b""
        self._held = b""
        return b"\n"

    def close(self) -> bytes:
        """Return what is left: the connection has ended."""
        rest = self.settle() or self._held[1:]
        self._held = b""
        return rest
