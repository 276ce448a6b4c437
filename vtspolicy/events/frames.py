"""Octet-counted frames (RFC 6587, 3.4.1): `LENGTH SP MESSAGE`, cut out of bytes in any chunks."""

import re
from collections.abc import Callable

_LENGTH = re.compile(rb"[\r\n\0]*+([1-9]\d{0,5}) (?=<)")  # some senders add a trailer to each
_LENGTH_TO_COME = re.compile(rb"(?:[1-9]\d{0,5} ?)?\Z")
_LINE_ENDS = re.compile(rb"[\r\n\0]*")

Run = Callable[[bytes, list[tuple[int, int]]], None]
"""Takes a buffer and where in it whole messages begin and end."""


class Frames:
    """Cuts a stream by the lengths it states; holds at most one message of `limit` bytes back.

    A message too long is skipped by its length. When no length stands where one should, the only
    thing left to go by is a line end: all before the next one is skipped.
    """

    def __init__(self, *, limit: int, run: Run, refuse: Callable[[str], None]) -> None:
        self.limit = limit
        self._run = run
        self._refuse = refuse
        self._held = bytearray()
        self._needed = 0  # with fewer bytes held than this there is nothing to do
        self._skip = 0  # bytes of a message too long that are still to come
        self._lost = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes; every message that they complete is passed on."""
        self._held += data
        if len(self._held) < self._needed and not self._skip and not self._lost:
            return
        buffer = bytes(self._held)
        messages: list[tuple[int, int]] = []
        done = self._cut(buffer, messages)
        if messages:
            self._run(buffer, messages)
        del self._held[:done]

    def close(self) -> None:
        """Refuse what is left: it is not the whole of what its length promised."""
        if self._held.strip(b"\r\n\0") and not self._lost:
            self._refuse("the connection ended inside a message: it was not taken")
        self._held.clear()

    def _cut(self, buffer: bytes, messages: list[tuple[int, int]]) -> int:
        position, stop = 0, len(buffer)
        self._needed = 0
        while position < stop:
            if self._skip:
                step = min(self._skip, stop - position)
                self._skip -= step
                position += step
                continue
            if self._lost:
                end = buffer.find(b"\n", position) + 1
                self._lost = not end
                position = end or stop
                continue
            length = _LENGTH.match(buffer, position)
            if length is None:
                if ends := _LINE_ENDS.match(buffer, position):
                    position = ends.end()
                if _LENGTH_TO_COME.match(buffer, position):
                    break
                self._lost = True
                self._tell(
                    buffer,
                    messages,
                    "no length where the next message should begin: skipped to the next line end",
                )
                continue
            size, begin = int(length[1]), length.end()
            if size > self.limit:
                self._tell(
                    buffer,
                    messages,
                    f"a message of {size} bytes: it was skipped; {self.limit} are the most",
                )
                self._skip = size
                position = begin
                continue
            if begin + size > stop:
                self._needed = begin + size - position
                break
            messages.append((begin, begin + size))
            position = begin + size
        return position

    def _tell(self, buffer: bytes, messages: list[tuple[int, int]], reason: str) -> None:
        """Refuse, but after what came before."""
        if messages:
            self._run(buffer, messages[:])
            messages.clear()
        self._refuse(reason)
