"""What a restore that is over has left: private files, and perhaps a half-restored tape."""

from attrs import define, evolve

from vtspolicy.engine.tapes.checks import TapeChecks
from vtspolicy.engine.tapes.gate import token_of
from vtspolicy.engine.tapes.plan import Plan
from vtspolicy.jobs import Job
from vtspolicy.ledger import AttemptRecords, CopyRecords, TapeRecords
from vtspolicy.runner.protocol import Ended
from vtspolicy.tapes import Difference, Fingerprint, Proof, Tape, difference
from vtspolicy.vaults import Half, VaultError, Whose


@define(kw_only=True)
class Remains:
    """Removes or records what restores have left."""

    checks: TapeChecks

    async def after_failure(
        self, job: Job, plan: Plan | None, ended: Ended | None, *, over: bool = True
    ) -> None:
        """Note what a restore that did not end well has left, and remove what was private.

        A restore that wrote nothing leaves the tape as it was. Where nobody saw the file at the end
        of the run, what is on it is not taken for the restore's: a host may have written to it.
        What is written from now on is a host's. Where the application may go on, not `over`, it is
        not, and the tape is still being restored.
        """
        try:
            tapes = await self.checks.look(job)
            if plan is None or plan.way == "path":
                if over:
                    await self._keep_partial(job, plan, tapes, ended)
            else:
                await self._leave_nothing(job, tapes)
            for tape in tapes:
                await self._ask_why(job, plan, tape)
        except (VaultError, OSError) as error:
            self.checks.log.warn(
                "What restore job {job} has left cannot be looked at: {error}.",
                action="restore_left",
                job=job.id,
                error=error,
            )

    async def never_begun(self, job: Job, plan: Plan) -> None:
        """Undo what was noted for a run in place that a killed server has not started."""
        if plan.way != "path":
            return
        before = await self.checks.ledger.read(AttemptRecords.tapes_before, job.id, job.attempt)
        try:
            tapes = await self.checks.look(job)
        except VaultError:
            return  # it is looked at again, and refused, before there is a run
        for tape in tapes:
            began = before.get(tape.path)
            if began is not None and _is_untouched(began.fingerprint, tape.seen):
                await self._leave_as_it_was(plan, tape)
            elif tape.size:
                await self.checks.ledger.write(
                    TapeRecords.leave_to_host, tape, self.checks.clock.seconds()
                )

    async def tidy(self, job: Job) -> None:
        """Remove what a restore that ended well has left of what was private.

        Only after its end was recorded: until then a server that is killed needs it.
        """
        if job.work.then != "restored" or job.work.restores_to == "path":
            return
        try:
            for tape in await self.checks.look(job):
                await self.checks.in_thread(self.checks.vaults.discard, tape, token_of(job))
        except (VaultError, OSError) as error:
            self.checks.log.warn(
                "What restore job {job} has left cannot be removed: {error}.",
                action="restore_left",
                job=job.id,
                error=error,
            )

    async def _leave_nothing(self, job: Job, tapes: tuple[Tape, ...]) -> None:
        for tape in tapes:
            if tape.restoring is not None:  # while it was copied into the empty tape
                await self._undo_copying(job, tape)
            await self.checks.in_thread(self.checks.vaults.discard, tape, token_of(job))

    async def _ask_why(self, job: Job, plan: Plan | None, tape: Tape) -> None:
        """Ask whether the copy is still there: if not, the next restore takes another one."""
        if plan is None:
            return
        copies = await self.checks.ledger.read(CopyRecords.of_tape, tape.path)
        copy = next((each for each in copies if each.id == plan.copy), None)
        if copy is not None and copy.lost is None and job.id not in self.checks.programs.cancelled:
            await self.checks.ask(job, tape, copy, Proof.FOUND)

    async def _undo_copying(self, job: Job, tape: Tape) -> None:
        """Remove what was copied into a tape; what cannot be removed is kept apart from a host's.

        What a host has written meanwhile is its own, and no restore may overwrite it.
        """
        checks, undo = self.checks, self.checks.vaults.undo_copying
        left: Half | None = await checks.in_thread(undo, tape, token_of(job))
        there = await checks.look_again(tape)
        if left is not None and left.file is not None:
            there = evolve(there, size=left.file.size, written=left.file.written, seen=left.file)
            await checks.ledger.write(TapeRecords.keep_partial, (there,))
        elif not there.size:
            await checks.ledger.write(TapeRecords.forget_restore, there)
        elif left is not None and left.whose is Whose.UNKNOWN:
            await checks.ledger.write(TapeRecords.keep_partial, (there,), sure=False)
        elif left is not None:  # a host's, or written by one after nothing was left
            await checks.ledger.write(TapeRecords.leave_to_host, there, checks.clock.seconds())

    async def _leave_as_it_was(self, plan: Plan | None, tape: Tape) -> None:
        """Note that nothing was written to a tape: a half-restored one is half-restored still."""
        if plan is None or tape.path not in plan.halves:
            await self.checks.ledger.write(TapeRecords.forget_restore, tape)
        elif (sure := plan.halves[tape.path]) is not None:
            await self.checks.ledger.write(TapeRecords.keep_partial, (tape,), sure=sure)

    async def _keep_partial(
        self, job: Job, plan: Plan | None, tapes: tuple[Tape, ...], ended: Ended | None
    ) -> None:
        before = await self.checks.ledger.read(AttemptRecords.tapes_before, job.id, job.attempt)
        look = ended.after if ended is not None and len(tapes) == 1 else None
        if await self.checks.is_doubted(job):
            look = None  # there may have been later attempts, before the ledger was restored
        left, unsure = [], []
        for tape in tapes:
            began = before.get(tape.path)
            if began is not None and _is_untouched(began.fingerprint, tape.seen):
                await self._leave_as_it_was(plan, tape)
            elif look is not None or not tape.size:
                seen = look.fingerprint if look is not None else tape.seen
                left.append(
                    evolve(
                        tape,
                        size=seen.size if seen is not None else tape.size,
                        written=seen.written if seen is not None else tape.written,
                        seen=seen,
                    )
                )
            else:
                unsure.append(tape)
        if left:
            await self.checks.ledger.write(TapeRecords.keep_partial, tuple(left))
        if unsure:
            await self.checks.ledger.write(TapeRecords.keep_partial, tuple(unsure), sure=False)


def _is_untouched(before: Fingerprint | None, now: Fingerprint | None) -> bool:
    if before is None or now is None:
        return before is now
    return difference(before, now) is Difference.NONE
