"""One decoder for a connection: of the format that is asked for, or that its first bytes show."""

import re
from typing import Protocol

from vtspolicy.events.ems import EmsDecoder
from vtspolicy.events.event import Item
from vtspolicy.events.jsonlines import JsonDecoder
from vtspolicy.events.limits import Counted, Limits
from vtspolicy.events.syslog import SyslogDecoder

FORMATS = ("auto", "ems", "json", "syslog")

_BLANKS = rb"(?:\xef\xbb\xbf)?[ \t\r\n\0\a]*+"
_SHOWN = re.compile(_BLANKS + rb"(?:(?P<json>\{)|(?:\d{1,9} (?:\xef\xbb\xbf)?)?<\d{1,3}>)")
_UNDECIDED = re.compile(
    _BLANKS + rb"(?:\d{1,9}(?: (?:\xef(?:\xbb\xbf?)?)?(?:<\d{0,3})?)?|<\d{0,3})?\Z|\xef\xbb?\Z"
)


class Decoder(Protocol):
    """Bytes in, events out; no sockets, no clock.

    The same bytes give the same items, however they are cut into chunks.
    """

    @property
    def wire(self) -> str | None:
        """The format: ems, json or syslog; None until the first bytes have shown it."""

    @property
    def counted(self) -> Counted:
        """What went through so far."""

    @property
    def pending(self) -> bool:
        """Whether an event waits for its continuation: call `settle` when none comes in time."""

    def feed(self, data: bytes) -> list[Item]:
        """Take the next bytes and return what they complete."""

    def settle(self) -> list[Item]:
        """Return what is open: the time for its continuation has passed.

        While a continuation line has arrived in part, the event stays open and `pending`; wait for
        more bytes, not for `pending` to end.
        """

    def close(self) -> list[Item]:
        """Return what is left: the connection has ended."""


def decoder(
    format: str,  # noqa: A002 (the word of the configuration)
    *,
    wrapped: bool = True,
    plain: bool = True,
    only_candidates: bool = True,
    limits: Limits | None = None,
) -> Decoder:
    """Return a decoder for one connection.

    With `wrapped=False` every display line with a header is an event at once. With `plain=False`
    a display that has shown a header brings no plain command any more: a line of an event's text
    can look like one. With `only_candidates` all but commands and tape messages is passed over at
    full speed.
    """
    if format not in FORMATS:
        raise ValueError(f"no such format: {format!r}; it is one of {', '.join(FORMATS)}")
    limits = limits or Limits()
    if format == "auto":
        return _Auto(wrapped=wrapped, plain=plain, only_candidates=only_candidates, limits=limits)
    return _of(
        format,
        wrapped=wrapped,
        plain=plain,
        only_candidates=only_candidates,
        limits=limits,
        counted=Counted(),
    )


class _Auto:
    """Holds the first bytes back until they show the format, then is that format's decoder."""

    def __init__(
        self, *, wrapped: bool, plain: bool, only_candidates: bool, limits: Limits
    ) -> None:
        self.counted = Counted()
        self._wrapped = wrapped
        self._plain = plain
        self._only_candidates = only_candidates
        self._limits = limits
        self._held = b""
        self._shown: Decoder | None = None

    @property
    def wire(self) -> str | None:
        """The format, once it is known."""
        return self._shown.wire if self._shown else None

    @property
    def pending(self) -> bool:
        """Whether an event waits for its continuation."""
        return self._shown.pending if self._shown else False

    def feed(self, data: bytes) -> list[Item]:
        """Take the next bytes."""
        if self._shown is not None:
            return self._shown.feed(data)
        self._held += data
        wire = shown_format(self._held)
        if wire is None and len(self._held) <= self._limits.line:
            return []
        return self._become(wire or "ems")

    def settle(self) -> list[Item]:
        """Return what is open."""
        return self._shown.settle() if self._shown else []

    def close(self) -> list[Item]:
        """Return what is left."""
        if self._shown is not None:
            return self._shown.close()
        return self._become("ems") + self.close() if self._held else []

    def _become(self, wire: str) -> list[Item]:
        held, self._held = self._held, b""
        self._shown = _of(
            wire,
            wrapped=self._wrapped,
            plain=self._plain,
            only_candidates=self._only_candidates,
            limits=self._limits,
            counted=self.counted,
        )
        return self._shown.feed(held.removeprefix(b"\xef\xbb\xbf"))


def shown_format(beginning: bytes) -> str | None:
    """Return the format that the first bytes of a connection show, or None if they are too few."""
    if match := _SHOWN.match(beginning):
        return "json" if match["json"] else "syslog"
    return None if _UNDECIDED.match(beginning) else "ems"


def _of(
    wire: str,
    *,
    wrapped: bool,
    plain: bool,
    only_candidates: bool,
    limits: Limits,
    counted: Counted,
) -> Decoder:
    if wire == "json":
        return JsonDecoder(only_candidates=only_candidates, limits=limits, counted=counted)
    if wire == "syslog":
        return SyslogDecoder(only_candidates=only_candidates, limits=limits, counted=counted)
    return EmsDecoder(
        wrapped=wrapped,
        plain=plain,
        only_candidates=only_candidates,
        limits=limits,
        counted=counted,
    )
