"""Octet-counted frames (RFC 6587, 3.4.1): `LENGTH SP MESSAGE`, cut out of bytes in any chunks."""

import re
from collections.abc import Callable

_TRAILERS = rb"[\r\n\0]*+"  # some senders add one to each message, counted or not
_BEGIN = rb" (?=(?:\xef\xbb\xbf)?<)"
_LENGTH = re.compile(_TRAILERS + rb"([1-9]\d{0,5})" + _BEGIN)
_LENGTH_TO_COME = re.compile(
    _TRAILERS + rb"(?:[1-9]\d{0,5}(?: (?:\xef(?:\xbb\xbf?)?)?)?)?\Z",
)
_ENDS = re.compile(_TRAILERS)
# Where a stream that is out of step may resume: `LENGTH <PRI>VERSION `. The digits may be glued to
# what is before them, so that any last part of them can be the length.
_AGAIN = re.compile(rb"(?<!\d)(\d++) (?=(?:\xef\xbb\xbf)?<\d{1,3}>[1-9]\d{0,2} )")
_AGAIN_TO_COME = re.compile(
    rb"\d+(?: (?:\xef(?:\xbb\xbf?)?)?(?:<(?:\d{1,3}(?:>(?:[1-9]\d{0,2})?)?)?)?)?\Z"
)
_LONGEST_LENGTH = 6  # digits
_LONGEST_BEGIN = 32  # bytes of a length and what may follow it until it is known to be one
_DIGITS = b"0123456789"

Run = Callable[[bytes, list[tuple[int, int]]], None]
"""Takes a buffer and where in it whole messages begin and end."""


class Frames:
    """Cuts a stream by the lengths it states; holds about one message of `limit` bytes back.

    A message is passed on when the beginning of the next one shows that its length was right, or
    at `settle`, when nothing follows. Behind a wrong length, the stream is out of step: all is
    skipped up to the next `LENGTH <PRI>VERSION ` whose length is right. What is before a wrong
    length is passed on only if `shows_end` says that it is whole.
    """

    def __init__(
        self,
        *,
        limit: int,
        run: Run,
        refuse: Callable[[str], None],
        shows_end: Callable[[bytes], bool],
    ) -> None:
        self.limit = limit
        self._run = run
        self._refuse = refuse
        self._shows_end = shows_end
        self._held = bytearray()
        self._needed = 0  # with fewer bytes held than this there is nothing to do
        self._skip = 0  # bytes of a message too long that are still to come
        self._lost = False

    @property
    def pending(self) -> bool:
        """Whether `settle` can do something: a message is whole, or the stream may be stuck."""
        if self._skip or self._lost:
            return self._skip > 0 or bool(self._held)
        length = _LENGTH.match(self._held)
        if length is None:
            return False
        whole = len(self._held) >= length.end() + int(length[1])
        return whole or _AGAIN.search(self._held, length.end()) is not None

    def feed(self, data: bytes) -> None:
        """Take the next bytes; every message that they complete is passed on."""
        self._held += data
        if len(self._held) < self._needed and not self._skip and not self._lost:
            return
        self._take(is_last=False)

    def settle(self) -> None:
        """Pass on the last message; a stream stuck in a wrong length is resumed."""
        if self._skip:
            self._skip, self._lost = 0, True
        self._take(is_last=True)

    def close(self) -> None:
        """Pass on a whole last message, and refuse what is left: its length promised more."""
        self.settle()
        if self._held.strip(b"\r\n\0") and not self._lost:
            self._refuse("the connection ended inside a message: it was not taken")
        self._held.clear()

    def _take(self, *, is_last: bool) -> None:
        buffer = bytes(self._held)
        messages: list[tuple[int, int]] = []
        done = self._cut(buffer, messages, is_last=is_last)
        if messages:
            self._run(buffer, messages)
        del self._held[:done]

    def _cut(self, buffer: bytes, messages: list[tuple[int, int]], *, is_last: bool) -> int:
        """Find the messages, and return how many bytes are done with."""
        position, stop = 0, len(buffer)
        self._needed = 0
        while position < stop:
            if self._skip:
                step = min(self._skip, stop - position)
                self._skip -= step
                position += step
                continue
            if self._lost:
                position, is_found = self._again(buffer, position, is_last=is_last)
                if not is_found:
                    break
                self._lost = False
            length = _LENGTH.match(buffer, position)
            if length is not None:
                position, is_open = self._take_message(buffer, length, messages, is_last=is_last)
            else:
                position, is_open = self._take_no_length(buffer, position, messages)
            if is_open:
                break
        return position

    def _take_no_length(
        self, buffer: bytes, position: int, messages: list[tuple[int, int]]
    ) -> tuple[int, bool]:
        """Return where to continue, and whether that is to wait for more."""
        if ends := _ENDS.match(buffer, position):
            position = ends.end()
        if _LENGTH_TO_COME.match(buffer, position):
            return position, True
        reason = "no length where the next message should begin: skipped to the next one"
        self._lose(buffer, messages, reason)
        return position, False

    def _take_message(
        self,
        buffer: bytes,
        length: re.Match[bytes],
        messages: list[tuple[int, int]],
        *,
        is_last: bool,
    ) -> tuple[int, bool]:
        """Return where to continue, and whether that is to wait for more."""
        size, begin, stop = int(length[1]), length.end(), len(buffer)
        end = begin + size
        if size > self.limit and stop - begin > self.limit:
            most = f"{self.limit} are the most"
            self._tell(buffer, messages, f"a message of {size} bytes: it was skipped; {most}")
            self._skip = size
            return begin, False
        if end > stop:
            if is_last and self._again(buffer, begin, is_last=True)[1]:
                begun = "but another one begins within it: skipped"
                self._lose(buffer, messages, f"a message of {size} bytes has not come, {begun}")
                return begin, False
            self._needed = min(end, begin + self.limit) + 1 - length.start()
            return length.start(), True
        is_right = self._is_right(buffer, begin, end, is_last=is_last)
        if is_right is None:
            return length.start(), True
        if is_right:
            messages.append((begin, end))
            return end, False
        self._lose(buffer, messages, f"no length behind a message of {size} bytes: it was skipped")
        return begin, False

    def _is_right(self, buffer: bytes, begin: int, end: int, *, is_last: bool) -> bool | None:
        """Whether a message ends at `end`; None if that depends on bytes still to come.

        A message that shows its end itself is right, with anything after it.
        """
        if self._shows_end(buffer[begin:end]):
            return True if is_last or end < len(buffer) else None
        follows = self._follows(buffer, end, is_last=is_last)
        if not follows:
            return follows
        # A digit too many or too few joins what remains of a message and the next length.
        start = end
        while start > begin and end - start < _LONGEST_LENGTH and buffer[start - 1] in _DIGITS:
            start -= 1
        match = _AGAIN.match(buffer, start)
        if match is None:
            return None if not is_last and _AGAIN_TO_COME.match(buffer, start) else True
        rights = {
            place: self._is_message(buffer, place, match, is_last=is_last)
            for place in _places(buffer, match)
        }
        if rights.pop(end, None):
            return True
        if True in rights.values():
            return False
        return None if None in rights.values() and not is_last else True

    def _is_message(
        self, buffer: bytes, place: int, match: re.Match[bytes], *, is_last: bool
    ) -> bool | None:
        """Whether a length at `place` is right; None if that is still to come."""
        end = match.end() + int(buffer[place : match.end(1)])
        if end - match.end() > self.limit:
            return False
        return None if end > len(buffer) else self._follows(buffer, end, is_last=is_last)

    def _follows(self, buffer: bytes, end: int, *, is_last: bool) -> bool | None:
        """Whether a message begins where another one ends; None if that is still to come.

        At last it is enough if nothing follows.
        """
        if _LENGTH.match(buffer, end):
            return True
        if is_last:
            return _ENDS.fullmatch(buffer, end) is not None
        return None if _LENGTH_TO_COME.match(buffer, end) else False

    def _again(self, buffer: bytes, start: int, *, is_last: bool) -> tuple[int, bool]:
        """Return where the stream is in step again, and True; else what is done with, and False.

        It is where a right length is: another message follows, or at last nothing.
        """
        for match in _AGAIN.finditer(buffer, start):
            is_open = False
            for place in _places(buffer, match):
                is_right = self._is_message(buffer, place, match, is_last=is_last)
                if is_right:
                    return place, True
                is_open |= is_right is None
            if is_open and not is_last:
                return match.start(), False
        if is_last and (match_ := _AGAIN.search(buffer, start)):
            return match_.start(), False  # the rest of it may still come
        half = _AGAIN_TO_COME.search(buffer, max(start, len(buffer) - _LONGEST_BEGIN))
        return (half.start() if half else len(buffer)), False

    def _lose(self, buffer: bytes, messages: list[tuple[int, int]], reason: str) -> None:
        self._tell(buffer, messages, reason)
        self._lost = True

    def _tell(self, buffer: bytes, messages: list[tuple[int, int]], reason: str) -> None:
        """Refuse, but after what came before."""
        if messages:
            self._run(buffer, messages[:])
            messages.clear()
        self._refuse(reason)


def _places(buffer: bytes, match: re.Match[bytes]) -> list[int]:
    """Return where a length may begin in digits, of which the first may belong to other things."""
    stop = match.end(1)
    first = max(match.start(1), stop - _LONGEST_LENGTH)
    return [place for place in range(first, stop) if buffer[place] != _DIGITS[0]]
