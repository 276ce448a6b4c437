"""When hosts last sent anything."""

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from vtspolicy.engine.policy import Policy


@define(kw_only=True)
class HostActivity:
    """The time of each host's last event, in seconds since the epoch."""

    clock: IReactorTime
    last: dict[str, float] = field(factory=dict)  # by host; of those that sent something
    _since: dict[str, float] = field(factory=dict, init=False)  # when each became a host here

    def use(self, policy: Policy) -> None:
        """Know the hosts that are configured from now on."""
        now = self.clock.seconds()
        self._since = {name: self._since.get(name, now) for name in policy.configuration.hosts}

    def heard(self, host: str, at: float) -> None:
        """A host has sent something."""
        self.last[host] = max(self.last.get(host, 0.0), at)

    def quiet_since(self, host: str) -> float:
        """Return when a host last sent something; until then, since when it is configured."""
        return max(self.last.get(host, 0.0), self._since[host])
