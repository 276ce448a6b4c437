"""What is in force: configuration, vocabulary and table, replaced whole by a reload."""

from collections.abc import Callable

from attrs import define, field, frozen

from vtspolicy.config.model import Configuration, Host
from vtspolicy.grammar import Vocabulary
from vtspolicy.rules.table import Table


@frozen(kw_only=True)
class Policy:
    """What is needed to understand a command, and to decide about it."""

    configuration: Configuration
    vocabulary: Vocabulary
    table: Table


@define
class PolicyInForce:
    """The policy by which commands are decided now. What was decided keeps its decision."""

    current: Policy
    _subscribers: list[Callable[[Policy], object]] = field(factory=list, init=False)

    def hosts(self) -> tuple[Host, ...]:
        """Return the hosts as they are configured now."""
        return tuple(self.current.configuration.hosts.values())

    def vaults(self) -> tuple[str, ...]:
        """Return the names of the vaults as they are configured now."""
        return tuple(self.current.configuration.vaults)

    def subscribe(self, take: Callable[[Policy], object]) -> None:
        """Have a part take each policy as it comes into force, in the order of subscription."""
        self._subscribers.append(take)

    def use(self, policy: Policy) -> None:
        """Decide by this one from now on."""
        self.current = policy
        for take in self._subscribers:
            take(policy)
