"""Rate-limited logging of input that is not taken: no sender decides how much is logged."""

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

PERIOD = 60.0
"""Seconds in which one peer brings one line of each kind; the others are told as a number."""


@define
class Complaints:
    """Logs the first of a peer at once, and once a minute how many others there were."""

    _clock: IReactorTime
    _more: dict[tuple[str, str], int] = field(factory=dict)  # by kind and address: not told yet
    _log: Logger = field(factory=lambda: Logger("vtspolicy.engine"))

    def denied(self, address: str, reason: str) -> None:
        """A command of a peer was denied, and is in no ledger."""
        if self._begins("unheard", address):
            self._log.warn(
                "Command of {address} denied: {reason}.",
                action="unheard",
                address=address,
                reason=reason,
            )

    def refused(self, address: str, reason: str) -> None:
        """Input of a peer could not be read, and is in no ledger."""
        if self._begins("refused_input", address):
            self._log.warn(
                "Input from {address} is not taken: {reason}.",
                action="refused_input",
                address=address,
                reason=reason,
            )

    def _begins(self, kind: str, address: str) -> bool:
        """Whether this is the first of its kind and peer for now; counts it if not."""
        key = kind, address
        if key in self._more:
            self._more[key] += 1
            return False
        self._begin(key)
        return True

    def _begin(self, key: tuple[str, str]) -> None:
        self._more[key] = 0
        self._clock.callLater(PERIOD, self._end, key)

    def _end(self, key: tuple[str, str]) -> None:
        count = self._more.pop(key)
        if not count:
            return
        kind, address = key
        self._log.warn(
            "{count} more commands of {address} denied within a minute."
            if kind == "unheard"
            else "{count} more inputs from {address} not taken within a minute.",
            action=f"{kind}_more",
            count=count,
            address=address,
        )
        self._begin(key)
