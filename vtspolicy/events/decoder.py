"""One decoder for a connection: of the format that is asked for, or that its first bytes show."""

from typing import Protocol

from vtspolicy.events.ems import EmsDecoder
from vtspolicy.events.event import Item
from vtspolicy.events.limits import Counted, Limits

FORMATS = ("auto", "ems", "json", "syslog")


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
        """Return what is open: the time for its continuation has passed."""

    def close(self) -> list[Item]:
        """Return what is left: the connection has ended."""


def decoder(
    format: str,  # noqa: A002 (the word of the configuration)
    *,
    wrapped: bool = True,
    only_candidates: bool = True,
    limits: Limits | None = None,
) -> Decoder:
    """Return a decoder for one connection.

    With `wrapped=False` every display line with a header is an event at once. With
    `only_candidates` all but commands and tape messages is passed over at full speed.
    """
    if format not in FORMATS:
        raise ValueError(f"no such format: {format!r}; it is one of {', '.join(FORMATS)}")
    return EmsDecoder(wrapped=wrapped, only_candidates=only_candidates, limits=limits)
