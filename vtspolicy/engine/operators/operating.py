"""What operators do with a running server: each order goes to the part that carries it out."""

from collections.abc import Mapping, Sequence

from attrs import frozen
from twisted.internet.defer import Deferred, succeed

from vtspolicy.control import Told
from vtspolicy.engine.clock_watch import ClockWatch
from vtspolicy.engine.measures import Recalling
from vtspolicy.engine.operators.by_hand import ManualOrders, Said, Wish
from vtspolicy.engine.operators.drain import Drain
from vtspolicy.engine.operators.gauges import Gauges
from vtspolicy.engine.operators.job_orders import JobOrders
from vtspolicy.engine.operators.ledger_copies import LedgerCopies
from vtspolicy.engine.operators.link_orders import LinkOrders
from vtspolicy.engine.operators.reloading import Reloading
from vtspolicy.engine.operators.state import ServerState
from vtspolicy.engine.tapes.catalogue import Catalogue
from vtspolicy.jobs import Job
from vtspolicy.records import Live, plain


@frozen(kw_only=True)
class Operator:
    """The operators' side of one server; vtspolicy.control.Control."""

    state: ServerState
    gauges: Gauges
    draining: Drain
    reloading: Reloading
    job_orders: JobOrders
    by_hand: ManualOrders
    catalogue: Catalogue
    clock_watch: ClockWatch
    ledger_copies: LedgerCopies
    recalling: Recalling
    links: LinkOrders

    def begin(self) -> None:
        """The server works from now on; the history is told if the last one was draining."""
        self.state.begin()
        self.draining.end_earlier()
        self.recalling.begin()

    # -- reading

    def status(self) -> Deferred[Told]:
        """Return what there is to know about the server now."""
        return Deferred.fromCoroutine(self.state.status())

    def ready(self) -> tuple[bool, tuple[str, ...]]:
        """Whether new commands can be taken and carried out, and why not."""
        return self.state.ready()

    def collect(self) -> Deferred[None]:
        """Bring the metrics up to date."""
        return Deferred.fromCoroutine(self.gauges.collect())

    def live(self, jobs: Sequence[Job]) -> Mapping[int, Live]:
        """Return what only the server knows of those jobs that have not ended, by number."""
        return self.state.live(jobs)

    # -- the server

    def drain(self, actor: str, reason: str | None = None) -> Deferred[Told]:
        """Take no jobs from hosts, start nothing more; what runs continues to its end."""
        return succeed(self.draining.begin(actor, reason))

    def resume(self, actor: str, reason: str | None = None) -> Deferred[Told]:
        """End a drain."""
        return succeed(self.draining.end(actor, reason))

    def reload(self, actor: str, reason: str | None = None) -> Deferred[Told]:
        """Take the files as they are now, whole, if they and their tests are right.

        Fails with ConfigurationError; then everything stays as it was.
        """
        return Deferred.fromCoroutine(self.reloading.reload(actor, reason))

    def trust_clock(self, actor: str, reason: str | None = None) -> Deferred[Told]:
        """Trust the clock as it is now, and resume what waited for it. Fails with Refused."""
        return Deferred.fromCoroutine(self.clock_watch.restore(actor, reason))

    def restart_link(self, host: str, actor: str, reason: str | None = None) -> Deferred[Told]:
        """End the link to a dialled host and open it anew. Fails with UnknownThing."""
        return succeed(self.links.restart(host, actor, reason))

    def backup(self, path: str, actor: str) -> Deferred[Told]:
        """Write a consistent copy of the ledger while all goes on. Fails with Refused."""
        return Deferred.fromCoroutine(self.ledger_copies.make(path, actor))

    # -- jobs

    def cancel(
        self, request: int | None, job: int | None, actor: str, reason: str | None = None
    ) -> Deferred[Told]:
        """Stop a request, or one job. Fails with NoSuchRow."""
        return Deferred.fromCoroutine(self.job_orders.cancel(request, job, actor, reason))

    def retry(self, job: int, actor: str, reason: str | None = None) -> Deferred[Told]:
        """Run a finished job's work again as a new request. Fails with NoSuchRow, Refused."""
        return Deferred.fromCoroutine(self.job_orders.retry(job, actor, reason))

    def release_lock(self, lock: str, actor: str, reason: str | None = None) -> Deferred[Told]:
        """Take a lock from its holder; the ledger keeps who did so."""
        return Deferred.fromCoroutine(self.job_orders.release_lock(lock, actor, reason))

    # -- tapes

    def scan(self, actor: str) -> Deferred[Told]:
        """Look through the vaults and bring the catalogue of tapes up to date."""
        return Deferred.fromCoroutine(self._scan(actor))

    async def _scan(self, actor: str) -> Told:
        told: Told = plain(await self.catalogue.scan(actor))
        return told

    def withdraw(self, tape: str, actor: str, reason: str | None = None) -> Deferred[Told]:
        """Withdraw an override that no order has used yet. Fails with Refused, UnknownThing."""
        return Deferred.fromCoroutine(self.by_hand.withdraw(tape, actor, reason))

    def order(
        self,
        *,
        text: str,
        tapes: str | None,
        override: str | None,
        copy: str | None,
        to: str | None,
        actor: str,
        reason: str | None = None,
    ) -> Deferred[Told]:
        """Take a command by an operator's right. Fails with Refused."""
        wish = Wish(
            tapes=tuple((tapes or "").split()),
            override=override,
            copy=copy,
            to=to,
            reason=reason,
        )
        return Deferred.fromCoroutine(self.by_hand.order(text, wish, actor))

    def mark(
        self,
        *,
        tape: str,
        state: str,
        handle: str | None,
        application: str,
        retention: str | None,
        media: str | None,
        size: int | None,
        began: str | None,
        actor: str,
        reason: str | None = None,
    ) -> Deferred[Told]:
        """Note what an application did by its own schedule. Fails with Refused, UnknownThing."""
        said = Said(
            state=state,
            handle=handle,
            application=application,
            retention=retention,
            media=media,
            size=size,
            began=began,
            reason=reason,
        )
        return Deferred.fromCoroutine(self.by_hand.mark(tape, said, actor))
