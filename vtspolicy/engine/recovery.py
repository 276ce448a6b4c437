"""What an earlier server left is taken up: the numbers that it gave, its runs, its waiting jobs."""

from attrs import define, evolve, field
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from vtspolicy.engine.effects import Effects, EngineLedger, entry
from vtspolicy.engine.jobs.job_runner import JobRunner
from vtspolicy.engine.jobs.wait_timeouts import WaitTimeouts
from vtspolicy.engine.policy import PolicyInForce
from vtspolicy.jobs import Job
from vtspolicy.ledger import Meta, Transaction, WaitingJobs
from vtspolicy.ledger.attempts import UnderWay
from vtspolicy.ledger.transaction import Serving
from vtspolicy.queue.protocol import Queue
from vtspolicy.rules.steps import outline
from vtspolicy.runner.protocol import Runner, WrongSpoolError

PAGE = 1000
"""Jobs taken from the ledger at a time when the queue is rebuilt."""


@define(kw_only=True)
class Recovery:
    """The start of a server, from the ledger and the spool; each step is done once."""

    clock: IReactorTime
    ledger: EngineLedger
    policy: PolicyInForce
    runner: Runner
    queue: Queue
    effects: Effects
    wait_timeouts: WaitTimeouts
    job_runner: JobRunner
    log: Logger = field(factory=lambda: Logger("vtspolicy.engine"))

    async def begin_era(self) -> None:
        """Give new numbers only; take nothing for never run that may have.

        Ledger and spool belong together. Where the spool says otherwise than it did to the last
        server, or the ledger was restored, that a run has no folder says nothing. A ledger that
        has not kept what it said is one of before there were marks.
        """
        ledger, marked = await self.ledger.read(Meta.uid), self.runner.ledger
        if marked not in {None, ledger}:  # runs are found by the numbers of their jobs
            spool = self.policy.current.configuration.spool
            raise WrongSpoolError(
                f"{spool}: the runs there belong to ledger {marked}, and this one is {ledger};"
                " each needs a spool of its own. To go on without what ran there, first move the"
                " folder away"
            )
        kept = await self.ledger.read(Meta.spool_mark)
        newest, now, table = self.runner.newest(), self.clock.seconds(), self.policy.current.table
        is_own = (marked or "") in {ledger, kept or ""}

        def begin_era(tx: Transaction) -> Serving:
            tx.meta.keep_rule_table(table.hash, outline(table))
            return tx.begin_serving(newest, now=now, is_own_spool=is_own)

        era = await self.ledger.write(begin_era)
        if era.restored:
            self.log.warn(
                "The ledger was restored from a copy: what came after it is not known. The next"
                " request is {first}, behind all that were given since the copy.{more}",
                action="put_back",
                first=era.first,
                more=""
                if marked == ledger
                else " The spool is not the one of that ledger: jobs that waited when the copy was"
                " made are run, though they may have run since.",
            )
        if era.doubted:
            self.log.warn(
                "{doubted} attempts were under way. Those that have no folder in the spool may have"
                " run all the same, and count as interrupted: {why}.",
                action="doubted",
                doubted=era.doubted,
                why="the ledger was restored"
                if era.restored
                else "the spool does not say that it belongs to this ledger",
            )
        try:
            self.runner.belong(ledger)
        except OSError as error:
            self.log.warn(
                "The spool cannot keep that it belongs to this ledger: {error}. Should it be lost"
                " before a server can mark it, that will not be noticed.",
                action="spool_unmarked",
                error=str(error),
            )
        if (mark := self.runner.ledger or "") != kept:
            await self.ledger.write(Meta.keep_spool_mark, mark)

    async def take_up(self) -> None:
        """Adopt the jobs that run, let the others wait on, and open the queue."""
        adopted = await self.ledger.read(_under_way)
        for job, attempt in adopted:
            own = evolve(entry(job), since=attempt.started)
            self.queue.adopt(own, released=attempt.released)
        after = 0
        while page := await self.ledger.read(WaitingJobs.page, after, PAGE):
            self.effects.take_up(page)
            for each in page:
                self.wait_timeouts.watch(each)
            after = page[-1].id
        for job, _ in adopted:
            self.job_runner.resume(job)
        self.queue.open(self.job_runner.begin)
        self.log.info(
            "Recovered {running} running and {waiting} waiting jobs.",
            action="recovered",
            running=len(adopted),
            waiting=self.queue.waiting,
        )


def _under_way(tx: Transaction) -> list[tuple[Job, UnderWay]]:
    """Return the jobs that run or are being stopped, each with its attempt, by number."""
    under_way = tx.attempts.under_way()
    return [(tx.jobs.need(job), under_way[job]) for job in sorted(under_way)]
