"""Commands about a request of the same host: what Status and Cancel have in common."""

from attrs import frozen

from vtspolicy.config.model import Host
from vtspolicy.engine.commands.composing import refused
from vtspolicy.engine.commands.steps import Authorised
from vtspolicy.events.event import Event
from vtspolicy.grammar.values import BY_REFERENCE
from vtspolicy.jobs import Request, RequestState
from vtspolicy.ledger import NoSuchRow, Recorded, Transaction


@frozen(kw_only=True)
class NotTheirs:
    """The host has no such request: the same words, whether another host has it or not."""

    reason: str


@frozen(kw_only=True)
class AboutRequest:
    """A Status or a Cancel that its host may give."""

    command: Authorised

    @property
    def event(self) -> Event:
        """The event that held it."""
        return self.command.event

    @property
    def host(self) -> Host:
        """The host that gave it."""
        return self.command.host

    @property
    def received(self) -> float:
        """When it came, in seconds since the epoch."""
        return self.command.received

    @property
    def named(self) -> str:
        """The request as it is written: `17`, or `ref=NAME`."""
        return self.command.command.keywords.get("request", "")

    @property
    def reference(self) -> str | None:
        """The host's reference by which it is named; None if it is by its number."""
        named = self.named
        return named.removeprefix(BY_REFERENCE) if named.startswith(BY_REFERENCE) else None

    def answer(self, tx: Transaction) -> "Recorded | AboutRequest":
        """Carry the command out and record it, in one transaction.

        What needs several transactions answers what is left to do in the next one; the last of them
        records the command, and until then nothing was promised. Raises BeingRecorded.
        """
        request = self.target(tx)
        if isinstance(request, NotTheirs):
            return tx.requests.record(refused(self.command, RequestState.DENIED, request.reason))
        tx.large.require_accepted(request.id)
        return self.carry_out(tx, request)

    def carry_out(self, tx: Transaction, request: Request) -> "Recorded | AboutRequest":
        """Do it to a request of the host, and record the command; or answer what is left."""
        raise NotImplementedError

    def target(self, tx: Transaction) -> Request | NotTheirs:
        """Return the request that is named, if it is the host's own."""
        host, text = self.host.name, self.named
        try:
            if self.reference is not None:
                request = tx.requests.by_ref(host, self.reference)
            else:
                request = tx.requests.get(int(text)) if text.isdigit() and len(text) < 19 else None
        except NoSuchRow:
            request = None
        if request is None or request.host != host:
            return NotTheirs(reason=f"host {host} has no request {text}")
        return request
