"""The links to dialled hosts: what is shown of them, and an order to open one anew."""

from attrs import define, field
from twisted.logger import Logger

from vtspolicy.control import Told, UnknownThing
from vtspolicy.hosts.dial.dialer import Dialer
from vtspolicy.status import LinkStatus


@define(kw_only=True)
class LinkOrders:
    """The operators' side of the links that a server opens."""

    dialer: Dialer | None  # None: this server dials no hosts
    log: Logger = field(factory=lambda: Logger("vtspolicy.operator"))

    def status(self, host: str) -> LinkStatus | None:
        """Return the state of the link to a host; None if it is not dialled."""
        dialled = self.dialer.links.get(host) if self.dialer is not None else None
        if dialled is None:
            return None
        link = dialled.link
        return LinkStatus(
            state=link.state.value,
            since=link.since,
            endpoint=dialled.dial.endpoint,
            error=link.error,
            due=link.due,
            last_event=link.last_event,
        )

    def restart(self, host: str, actor: str, reason: str | None) -> Told:
        """End a link and open it anew. Raises UnknownThing."""
        if self.dialer is None or not self.dialer.restart(host):
            raise UnknownThing(f"{host} is not a host that is dialled")
        self.log.info(
            "The link to {host} is restarted by {by}.",
            action="link_restarted",
            host=host,
            by=actor,
            why=reason,
        )
        return {"host": host}
