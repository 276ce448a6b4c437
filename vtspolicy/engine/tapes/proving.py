"""Repeated proofs: at the interval of its rule, a copy is asked for or read back again.

Each proof is a job of its own: it waits for a seat and the tape's lock like any other, is seen in
the lists, and fails loudly when the copy is lost. Nothing is done to the tape.
"""

from collections.abc import Callable

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from vtspolicy.engine.tapes.checks import TapeChecks
from vtspolicy.events.event import Event
from vtspolicy.jobs import Ending, Job, JobState, RequestState
from vtspolicy.ledger import CopyRecords, Intake, RequestRecords
from vtspolicy.rules.decision import PlannedJob
from vtspolicy.rules.table import Table
from vtspolicy.rules.work import Work
from vtspolicy.tapes import Copy, Found, Proof, Tape
from vtspolicy.vaults import VaultError

LOOK = 600.0
"""Seconds between looks for copies whose proof is old."""

AT_ONCE = 20
"""Proofs that one look asks for at most: the night belongs to the backups."""

AGAIN = 86400.0
"""Seconds until a proof that failed is tried again."""

PRIORITY = -10
"""The priority of these jobs: below all that a host asks for."""

ACTOR = "engine"

COPY = "copy_number"
"""The value of these jobs that names the copy, by its number in the ledger."""


@define(kw_only=True)
class Proving:
    """Asks for proofs that are due, and makes them."""

    clock: IReactorTime
    checks: TapeChecks
    doubt: Callable[[], str | None]  # why the clock is not to be believed
    _asked: dict[int, float] = field(factory=dict)  # copy -> when its proof was last asked for
    _loop: LoopingCall | None = None
    _log: Logger = field(factory=lambda: Logger("vtspolicy.tapes"))

    def start(self) -> None:
        """Look for old proofs from now on."""
        self._loop = LoopingCall(self._look)
        self._loop.clock = self.clock
        self._loop.start(LOOK, now=False)

    def stop(self) -> None:
        """Ask for no proof any more."""
        if self._loop is not None and self._loop.running:
            self._loop.stop()

    def _look(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.ask_for_due()).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        self._log.failure("Copies cannot be proven again.", failure, action="proving_failed")

    async def ask_for_due(self) -> None:
        """Record a job for each copy whose proof is older than its rule wants."""
        if self.doubt() is not None:
            return
        now = self.clock.seconds()
        self._asked = {copy: at for copy, at in self._asked.items() if at > now - AGAIN}
        left = AT_ONCE
        for work in _repeated(self.checks.policy.current.table):
            due = await self.checks.ledger.read(
                CopyRecords.due,
                work.application,
                now - (work.every or 0.0),
                left + len(self._asked),
            )
            for copy in due:
                if copy.id in self._asked or left <= 0:
                    continue
                left -= 1
                self._asked[copy.id] = now
                intake = _intake(copy, work, now)
                await self.checks.ledger.write(RequestRecords.record, intake)

    async def do(self, job: Job) -> Ending:
        """Prove one copy again; a copy that is lost fails the job."""
        checks, now = self.checks, self.clock.seconds()
        copy = await checks.ledger.read(CopyRecords.get, int(job.values[COPY]))
        if copy is None or copy.lost is not None:
            return Ending(state=JobState.FAILED, reason="the copy is not there any more")
        try:
            tape = await checks.look_again(_tape_of(copy))
        except VaultError as error:
            return Ending(state=JobState.FAILED, reason=str(error))
        answer = await checks.ask(job, tape, copy, job.work.proof or Proof.FOUND)
        if answer.found in {Found.FOUND, Found.DATA}:
            proof = Proof.DATA if answer.found is Found.DATA else Proof.FOUND
            digest = answer.words if proof is Proof.DATA else None
            await checks.ledger.write(CopyRecords.note_proof, copy, proof, now, digest=digest)
            return Ending(state=JobState.COMPLETED, code=0)
        lost = "the copy is lost" if answer.found is Found.ABSENT else "it is not proven"
        return Ending(state=JobState.FAILED, reason=f"{lost}: {answer.words or 'other data'}")


def _repeated(table: Table) -> list[Work]:
    """Return one copying work for each application whose copies are to be proven again."""
    works: dict[str, Work] = {}
    for rule in table.rules:
        work = rule.work
        if work is None or work.then != "migrated" or work.every is None:
            continue
        known = works.get(work.application)
        if known is None or work.every < (known.every or work.every):
            works[work.application] = work
    return list(works.values())


def _intake(copy: Copy, work: Work, now: float) -> Intake:
    tape = _tape_of(copy)
    values = {
        "vault": copy.vault,
        "pool": copy.pool,
        "cartridge": copy.cartridge,
        "path": copy.path,
        "handle": copy.handle,
        COPY: str(copy.id),
    }
    proving = Work(
        application=copy.application, then="proven", proof=work.proof, limits=work.limits
    )
    job = PlannedJob(work=proving, values=values, lock=copy.path, priority=PRIORITY, tape=tape)
    return Intake(
        event=Event(text=f"proof of copy {copy.handle} of {tape.name}", wire="plain"),
        host="",
        received=now,
        state=RequestState.OPEN,
        rule=None,
        jobs=(job,),
        fields={"tape": tape.name},
        actor=ACTOR,
    )


def _tape_of(copy: Copy) -> Tape:
    return Tape(vault=copy.vault, pool=copy.pool, cartridge=copy.cartridge, path=copy.path)
