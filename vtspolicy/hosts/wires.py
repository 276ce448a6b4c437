"""The wire of a link: its decoder, its encoder, and the rule when a notice counts as delivered."""

from collections.abc import Iterable
from datetime import datetime

from attrs import define

from vtspolicy.config.model import Host
from vtspolicy.events.decoder import Decoder
from vtspolicy.notices import Notice, ems_line, json_line

ENCODERS = {"ems": ems_line, "syslog": ems_line, "json": json_line}
"""What writes a notice as one line, by the format that comes in."""


def local_time(seconds: float) -> datetime:
    """Return this node's local time for seconds since the epoch, as notices show it."""
    return datetime.fromtimestamp(seconds)  # noqa: DTZ006  displays bear local time without a zone


@define(kw_only=True)
class Wire:
    """What one peer speaks; with `auto`, its first bytes show it."""

    decoder: Decoder
    shows_again: bool = False  # an event that the link's end has cut comes again on the next link
    acknowledges: bool = False  # the peer has named notices that it has got

    @property
    def format(self) -> str | None:
        """The format that comes in: ems, json or syslog; None as long as nothing has."""
        return self.decoder.wire

    def must_acknowledge(self, hosts: Iterable[Host]) -> bool:
        """Whether a notice counts as delivered only when the peer has named its number.

        It is so once it has done that, or if the configuration of one of its hosts demands it.
        """
        return self.acknowledges or any(host.acknowledge for host in hosts)

    def encode(self, notice: Notice, *, node: str, hosts: Iterable[Host]) -> bytes:
        """Return a notice as a line that the peer reads; `node` is named in its header.

        A peer that has to acknowledge by number needs the number, even if it has sent nothing yet.
        """
        name = self.format or ("json" if self.must_acknowledge(hosts) else "ems")
        return ENCODERS[name](notice, node=node, at=local_time(notice.created))
