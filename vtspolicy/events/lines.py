"""Bytes in any chunks become runs of whole lines, none longer than a limit.

Lines are not split one by one: a run of them is passed on as one piece of memory, so that a word
can be looked for in it at the speed of `bytes.find`.
"""

from collections.abc import Callable

Run = Callable[[bytes, int, int], None]
"""Takes `buffer, start, stop`: whole lines, each with its line end, each within the limit."""


class Lines:
    """Cuts a stream at its line ends; holds at most one line of `limit` bytes back."""

    def __init__(self, *, limit: int, run: Run, too_long: Callable[[bytes], None]) -> None:
        self.limit = limit
        self._run = run
        self._too_long = too_long  # called once for such a line, with its first limit + 1 bytes
        self._half = bytearray()
        self._skipping = False

    @property
    def half(self) -> bytes:
        """The beginning of a line whose end has not arrived; empty inside a line too long."""
        return bytes(self._half)

    def feed(self, data: bytes) -> None:
        """Take the next bytes; every line that they complete is passed on before this returns."""
        if self._skipping:
            end = data.find(b"\n") + 1
            if not end:
                return
            data = data[end:]
            self._skipping = False
        cut = data.rfind(b"\n") + 1
        if cut:
            if self._half:
                cut += len(self._half)
                data = bytes(self._half) + data
                self._half.clear()
            self._whole(data, cut)
            self._half += data[cut:]
        else:
            self._half += data
        if len(self._half) > self.limit:
            prefix = bytes(self._half[: self.limit + 1])
            self._half.clear()
            self._skipping = True
            self._too_long(prefix)

    def close(self) -> None:
        """Take what is left as a last line."""
        last = self.half
        self._half.clear()
        self._skipping = False
        if last:
            self._run(last + b"\n", 0, len(last) + 1)

    def _whole(self, data: bytes, stop: int) -> None:
        limit = self.limit
        start = position = 0
        while stop - position > limit:  # else no line in the rest can be too long
            end = data.rfind(b"\n", position, position + limit + 1) + 1
            if end:
                position = end
                continue
            if start < position:
                self._run(data, start, position)
            self._too_long(data[position : position + limit + 1])
            start = position = data.find(b"\n", position + limit + 1) + 1
        if start < stop:
            self._run(data, start, stop)
