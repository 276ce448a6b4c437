"""Log lines about input that is not taken: no sender decides how much is logged."""

from attrs import define, field
from twisted.logger import Logger

from vtspolicy.log_limit import Line, LogLimit

UNHEARD = Line(
    action="unheard",
    format="Command of {address} denied: {reason}.",
    more="{count} more commands of {peer} denied within a minute.",
)
REFUSED = Line(
    action="refused_input",
    format="Input from {address} is not taken: {reason}.",
    more="{count} more inputs from {peer} not taken within a minute.",
)
ELSEWHERE = Line(
    action="elsewhere",
    format="Command of {address} is for {server} and left to it.",
    more="{count} more commands of {peer} for other servers within a minute.",
)


@define
class DeniedLog:
    """Logs the first of a peer at once, and once a minute how many others there were."""

    _limit: LogLimit
    _log: Logger = field(factory=lambda: Logger("vtspolicy.engine"))

    def denied(self, address: str, reason: str, ref: str | None = None) -> None:
        """A command of a peer was denied, and is in no ledger."""
        self._limit.write(self._log.warn, UNHEARD, address, address=address, reason=reason, ref=ref)

    def refused(self, address: str, reason: str) -> None:
        """Input of a peer could not be read, and is in no ledger."""
        self._limit.write(self._log.warn, REFUSED, address, address=address, reason=reason)

    def elsewhere(self, address: str, server: str) -> None:
        """A command of a peer is for another server."""
        self._limit.write(self._log.info, ELSEWHERE, address, address=address, server=server)
