"""What the log says of input that nobody may send; how much that is, its sender does not decide."""

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

PERIOD = 60.0
"""Seconds in which one peer brings one line; what else there was is told as a number."""


@define
class Complaints:
    """Says the first of a peer at once, and of the others once a minute how many they were."""

    _clock: IReactorTime
    _more: dict[str, int] = field(factory=dict)  # by address: not told yet, since its last line
    _log: Logger = field(factory=lambda: Logger("vtspolicy.engine"))

    def denied(self, address: str, reason: str) -> None:
        """A command of a peer was denied, and is in no ledger."""
        if address in self._more:
            self._more[address] += 1
            return
        self._log.warn(
            "Command of {address} denied: {reason}.",
            action="unheard",
            address=address,
            reason=reason,
        )
        self._begin(address)

    def _begin(self, address: str) -> None:
        self._more[address] = 0
        self._clock.callLater(PERIOD, self._end, address)

    def _end(self, address: str) -> None:
        count = self._more.pop(address)
        if count:
            self._log.warn(
                "{count} more commands of {address} denied within a minute.",
                action="unheard_more",
                count=count,
                address=address,
            )
            self._begin(address)
