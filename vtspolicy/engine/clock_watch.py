"""Watches the server's clock; records in the ledger and the log whether it is trusted."""

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from vtspolicy.clock_trust import Change, ClockTrust, span
from vtspolicy.control import Refused, Told
from vtspolicy.engine.effects import EngineLedger
from vtspolicy.ledger import ClockRecords
from vtspolicy.metrics import Metrics
from vtspolicy.records import moment
from vtspolicy.status import ClockStatus

LOOK = 5.0
"""Seconds between looks at the clock when nothing else asks whether it is trusted."""

WAITS = (
    "removal of old requests, events and runs",
    "expiry of notices",
    "cleanup of tapes",
)
"""What waits while the clock is not trusted."""

REMEDY = "vtspolicy trust-clock"


@define(kw_only=True)
class ClockWatch:
    """The clock of one server."""

    clock: IReactorTime
    trust: ClockTrust
    ledger: EngineLedger
    metrics: Metrics
    _loop: LoopingCall | None = None
    _keeping: Deferred[None] = field(factory=lambda: succeed(None))
    _log: Logger = field(factory=lambda: Logger("vtspolicy.clock"))

    async def begin(self) -> None:
        """Continue with what the last server kept, before anything else is written."""
        kept = await self.ledger.read(ClockRecords.get)
        self.trust.on_change = self._changed
        self.trust.begin(kept.record, kept.newest)
        self.metrics.clock_trusted.set(self.trust.reason is None)
        back = self.trust.held_back
        if back is not None:
            self._log.info(
                "The clock is {back} ahead of the ledger's newest entry: what became old in that"
                " time is removed when the clock has not been set for a day.",
                action="clock_held_back",
                back=span(back),
            )

    def start(self) -> None:
        """Look at the clock from now on."""
        self._loop = LoopingCall(self.trust.check)
        self._loop.clock = self.clock
        self._loop.start(LOOK, now=False).addErrback(self._defect)

    def stop(self) -> None:
        """Look at it no more."""
        if self._loop is not None and self._loop.running:
            self._loop.stop()

    async def restore(self, actor: str, reason: str | None = None) -> Told:
        """Trust the clock as it is now; Refused if it is trusted. On the disk when it returns."""
        if not self.trust.restore(actor, reason):
            raise Refused("the clock is trusted already; nothing waits for it")
        at = moment(self.trust.time)
        await self._keeping
        return {"at": at}

    def status(self) -> ClockStatus:
        """Return the state of the clock, looked at now."""
        reason, until = self.trust.check(), self.trust.until
        back = self.trust.held_back
        if reason is not None:
            return ClockStatus(
                trusted=False,
                reason=reason,
                since=self.trust.since,
                until=until,
                waits=WAITS,
                remedy=REMEDY,
            )
        if back is not None:
            return ClockStatus(
                trusted=True,
                reason=f"it is {span(back)} ahead of what the ledger can explain",
                until=until,
                waits=tuple(f"{each}, of that time" for each in WAITS),
                remedy=REMEDY,
            )
        return ClockStatus(trusted=True)

    def _changed(self, change: Change) -> None:
        """Keep a change: the ledger writes in order, so nothing is removed before this is kept."""
        self._keeping = self.ledger.write(ClockRecords.keep, change).addErrback(self._not_kept)
        self.metrics.clock_trusted.set(change.trusted)
        if change.cause is None:
            return
        if change.trusted:
            self._log.info(
                "The clock is trusted again: {cause}.",
                action="clock_trusted",
                cause=change.cause,
                by=change.actor,
            )
        else:
            self._log.warn(
                "The clock is not trusted: {cause}. Retention, expiry of notices and the cleanup"
                " wait until an operator runs `{remedy}`, or until it has not been set for a day.",
                action="clock_doubted",
                cause=change.cause,
                remedy=REMEDY,
            )

    def _defect(self, failure: Failure) -> None:
        message = "The watch over the clock has failed; it is still looked at before each act."
        self._log.failure(message, failure, action="clock_watch_failed")

    def _not_kept(self, failure: Failure) -> None:
        self._log.error(
            "The ledger lacks whether the clock is trusted: {why}. The next server may not know.",
            action="clock_not_kept",
            why=failure.getErrorMessage(),
        )
