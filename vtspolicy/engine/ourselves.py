"""What the engine does to tapes itself: looks at them, proves a copy, erases, deletes.

Erase and Delete stand behind the deletion gate: no verified copy newer than the last write, no
erase (APPLICATIONS.md).
"""

from collections.abc import Callable
from typing import Any

from attrs import define, evolve
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from vtspolicy.grammar import Target
from vtspolicy.jobs import Job, JobState
from vtspolicy.ledger import Book, Ledger
from vtspolicy.ledger.jobs import Ending
from vtspolicy.rules.judge import Judgement
from vtspolicy.tapes import Tape, why_not_empty, with_file
from vtspolicy.vaults import VaultError, Vaults


@define(kw_only=True)
class Ourselves:
    """Work on the tapes of this node's vaults."""

    ledger: Ledger
    vaults: Vaults
    threads: Callable[..., Deferred[Any]] = deferToThread  # each call has its own type of answer

    async def look(self, job: Job) -> tuple[Tape, ...]:
        """Return the job's tapes as their files are now and as the ledger knows them.

        Raises VaultError when they cannot be looked at.
        """
        target = Target(
            vault=job.values.get("vault"),
            pool=job.values.get("pool"),
            cartridge=job.values.get("cartridge"),
        )
        if target.vault is None:
            return ()
        found = await self.threads(self.vaults.find, target)
        return await self.ledger.read(known, found.tapes)

    async def before(self, job: Job) -> tuple[Tape, ...]:
        """Return the tapes as they are before a copy is made, so that a later write is noticed."""
        if job.work.then != "migrated":
            return ()
        try:
            return await self.look(job)
        except (VaultError, OSError):
            return ()  # the application will say what is wrong with the tape

    async def proof(self, job: Job, judgement: Judgement) -> tuple[tuple[Tape, ...], Judgement]:
        """Return the tapes that a run has copied or brought back, and how it is judged now.

        A tape that was written while it was copied, or that did not come back, fails the run.
        """
        if judgement.state != "completed" or job.work.then not in {"migrated", "restored"}:
            return (), judgement
        try:
            tapes = await self.look(job)
        except (VaultError, OSError) as error:
            return (), evolve(judgement, state="failed", reason=f"the tape is gone: {error}")
        if job.work.then == "restored":
            empty = [tape.name for tape in tapes if not tape.size]
            if empty or not tapes:
                reason = f"nothing came back: {' '.join(empty)} is empty"
                return (), evolve(judgement, state="failed", reason=reason)
            return tapes, judgement
        before = await self.ledger.read(Book.tapes_before, job.id, job.attempt)
        for tape in tapes:
            if before.get(tape.path, (tape.size, tape.written)) != (tape.size, tape.written):
                reason = f"{tape.name} was written while it was copied"
                return (), evolve(judgement, state="failed", reason=reason)
        return tuple(tape for tape in tapes if tape.path in before), judgement

    async def do(self, job: Job) -> Ending:
        """Erase or delete the job's tapes; done again after a crash it comes to the same end."""
        try:
            tapes = await self.look(job)
            for tape in tapes:
                refusal = why_not_empty(tape)
                gone = tape.size is None and job.work.then == "deleted" and job.attempt > 0
                if refusal is not None and not gone:
                    return Ending(state=JobState.FAILED, reason=f"{tape.name}: {refusal}")
            for tape in tapes:
                if job.work.then == "erased":
                    await self.threads(self.vaults.erase, tape)
                else:
                    await self.threads(self.vaults.delete, tape)
            after = await self.look(job)
        except (VaultError, OSError) as error:
            return Ending(state=JobState.FAILED, reason=str(error))
        return Ending(state=JobState.COMPLETED, code=0, tapes=after)


def known(book: Book, tapes: tuple[Tape, ...]) -> tuple[Tape, ...]:
    """Return tapes with what the ledger knows of them and what their files say."""
    merged = []
    for tape in tapes:
        record = book.tape(tape.path)
        merged.append(
            tape if record is None else with_file(record, size=tape.size, written=tape.written)
        )
    return tuple(merged)
