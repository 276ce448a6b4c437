"""Orders about jobs: cancel them, run them again, take a lock from one."""

from attrs import define
from twisted.internet.interfaces import IReactorTime

from vtspolicy.control import Refused, Told
from vtspolicy.engine.effects import EngineLedger
from vtspolicy.engine.operators.by_hand import ManualOrders, asked, unlock
from vtspolicy.ledger import (
    BeingRecorded,
    Cancelled,
    JobRecords,
    LargeRequests,
    LedgerError,
    NoSuchRow,
    RequestRecords,
    Transaction,
)
from vtspolicy.ledger.large_requests import LAST
from vtspolicy.queue.protocol import Queue


@define(kw_only=True)
class JobOrders:
    """What operators order about jobs."""

    clock: IReactorTime
    ledger: EngineLedger
    queue: Queue
    by_hand: ManualOrders  # which knows whether there is room for more jobs

    async def cancel(
        self, request: int | None, job: int | None, actor: str, reason: str | None
    ) -> Told:
        """Stop a request, or one job. Raises NoSuchRow, Refused."""
        now, write = self.clock.seconds(), self.ledger.write
        done: Cancelled
        ended: list[int] = []
        if job is not None:
            done = await write(JobRecords.cancel, job, actor, now, reason)
        elif request is not None:
            below, cancel = LAST, LargeRequests.cancel_some
            try:
                while some := await write(cancel, request, actor, now, reason, below=below):
                    below = some[0].id
                    ended[:0] = [each.id for each in some]
            except BeingRecorded as error:
                raise Refused(f"{error}; try again in a moment") from error
            done = await write(RequestRecords.cancel, request, actor, now, reason)
        else:
            raise ValueError("a request or a job must be named")
        return {
            "ended": [*(each.id for each in done.ended), *ended],
            "stopping": [each.id for each in done.running],
        }

    async def retry(self, job: int, actor: str, reason: str | None) -> Told:
        """Run a finished job's work again as a new request. Raises NoSuchRow, Refused."""
        self.by_hand.refuse_when_full()
        try:
            recorded = await self.ledger.write(
                RequestRecords.renew, job, actor, self.clock.seconds(), reason
            )
        except NoSuchRow:
            raise
        except LedgerError as error:  # the job has not ended, or is run again already
            raise Refused(str(error)) from error
        return {"request": recorded.request, "job": recorded.jobs[0].id}

    async def release_lock(self, lock: str, actor: str, reason: str | None) -> Told:
        """Take a lock from its holder; the ledger keeps who did so."""
        now = self.clock.seconds()
        holders = self.queue.holders(lock)

        def note(tx: Transaction) -> bool:
            unlocked = unlock(tx, lock, actor, now, asked(reason))
            if holders or unlocked:
                tx.attempts.release_lock(lock, holders, actor=actor, at=now, reason=reason)
            return unlocked

        # Asked for and done in one turn: meanwhile the lock could become another job's. The ledger
        # writes in the order in which it is asked, and no job runs whose start it has not written:
        # so this is on the disk before anything runs that it has let go.
        noted = self.ledger.write(note)
        self.queue.release(lock, holders)
        return {"lock": lock, "released": await noted or bool(holders)}
