"""The deletion gate: Erase and Delete, done by the engine itself on exactly what was judged."""

from collections.abc import Mapping

from attrs import define, evolve

from vtspolicy.engine.tapes.checks import TapeChecks
from vtspolicy.jobs import Ending, Job, JobState
from vtspolicy.ledger import AttemptRecords, TapeRecords, Transaction
from vtspolicy.tapes import (
    Act,
    Allowed,
    Difference,
    Done,
    Emptied,
    Facts,
    Look,
    Outcome,
    Proof,
    Refused,
    Ruling,
    Tape,
    Use,
    difference,
    judge,
)
from vtspolicy.vaults import ChangedError, InUseError, NoLeaseError, VaultError

TRIES = 3
"""How often a tape is judged anew that was touched between the judgement and the act."""

CHANGED = "it was judged otherwise meanwhile"
"""Why a tape is left alone about which nothing more can be told."""


@define(kw_only=True)
class DeletionGate:
    """Erases and deletes tapes of which the last content is proven to be in a copy."""

    checks: TapeChecks

    async def do(self, job: Job) -> Ending:
        """Erase or delete the job's tapes; done again after a crash it comes to the same end."""
        act = Act.ERASE if job.work.then == "erased" else Act.DELETE
        try:
            return await self._do(job, act)
        except VaultError as error:
            return Ending(state=JobState.FAILED, reason=str(error))

    async def _do(self, job: Job, act: Act) -> Ending:
        tapes = await self.checks.look(job)
        if not tapes:
            return Ending(state=JobState.FAILED, reason="there is no such tape")
        at_start = await self.checks.ledger.read(AttemptRecords.tapes_before, job.id, job.attempt)
        if act is Act.DELETE:
            tapes = await self._undo(job, tapes, at_start)
        judged: list[tuple[Tape, Ruling, Facts]] = []
        for tape in tapes:
            ruling, facts = await self._judged(act, job, tape, at_start.get(tape.path))
            if job.id in self.checks.programs.cancelled:
                return Ending(state=JobState.CANCELLED, reason="cancelled before it was begun")
            if isinstance(ruling, Refused):
                return Ending(state=JobState.FAILED, reason=f"{tape.name}: {ruling.words}")
            judged.append((facts.tape, ruling, facts))
        outcomes: list[Outcome] = []
        told: list[str] = []
        for tape, ruling, facts in judged:
            if isinstance(ruling, Done):
                told.append(f"{tape.name}: {ruling.words}")
                outcomes += _left_by_a_crash(job, tape, at_start.get(tape.path))
                continue
            outcome = await self._act(act, job, ruling, facts)
            if isinstance(outcome, str):
                reason = f"{tape.name}: {outcome}"
                return Ending(state=JobState.FAILED, reason=reason, outcomes=tuple(outcomes))
            outcomes.append(outcome)
        return Ending(
            state=JobState.COMPLETED,
            code=0,
            reason="; ".join(told) or None,
            outcomes=tuple(outcomes),
        )

    async def _undo(
        self, job: Job, tapes: tuple[Tape, ...], at_start: Mapping[str, Look]
    ) -> tuple[Tape, ...]:
        """Give tapes their names back that a Delete had moved aside when the server was killed.

        Without an override a tape is moved aside only after its copy was proven: what the copy
        proved then, it proves of the file that was renamed.
        """
        checks, undone = self.checks, set()
        for tape in tapes:
            if await checks.in_thread(checks.vaults.undo_delete, tape, token_of(job)):
                undone.add(tape.path)
        if not undone:
            return tapes
        tapes = await checks.look(job)
        for tape in tapes:
            before = at_start.get(tape.path)
            if tape.path not in undone or tape.has_override_for(job.id):
                continue
            if before is not None and before.fingerprint is not None:
                now = checks.clock.seconds()
                await checks.ledger.write(TapeRecords.note_renamed, tape, before.fingerprint, now)
        return await checks.look(job)

    async def _judged(
        self, act: Act, job: Job, tape: Tape, before: Look | None
    ) -> tuple[Ruling, Facts]:
        """Judge an act on a tape by facts that did not change while the applications were asked."""
        for _ in range(TRIES):
            facts = await self.checks.facts(tape, job)
            was_there = before is not None and before.fingerprint is not None
            if act is Act.DELETE and tape.size is None and was_there and tape.deleted is None:
                facts = evolve(facts, tape=evolve(tape, deleted=facts.now))  # just before a crash
            ruling, facts = await self.checks.judged(act, job, facts)
            if not isinstance(ruling, Allowed) or not facts.answers:
                break
            # Asking took time: a host may have asked for the tape, or written to it.
            again = await self.checks.look_again(tape)
            if again.seen == tape.seen:
                facts = evolve(facts, tape=again, now=self.checks.clock.seconds())
                return judge(act, facts), facts
            tape = again
        return ruling, facts

    async def _act(self, act: Act, job: Job, ruling: Ruling, facts: Facts) -> Outcome | str:
        """Empty or remove one tape that was judged; returns why not, if that cannot be done."""
        checks, tape = self.checks, facts.tape
        if not isinstance(ruling, Allowed):
            return CHANGED
        if ruling.copy is not None:
            # First: a server that is killed now finds which copy has what was on the tape.
            digest = facts.answers[ruling.copy.id].words if ruling.proof is Proof.DATA else None
            await checks.ledger.write(
                TapeRecords.prove_copy, tape, ruling.copy, ruling.proof, facts.now, digest=digest
            )
        again = judge(act, await self._anew(job, facts))
        if not isinstance(again, Allowed):
            return again.words if isinstance(again, Refused | Done) else CHANGED
        try:
            if act is Act.ERASE:
                file = await checks.in_thread(checks.vaults.erase, tape, tape.seen)
            else:
                file = None
                await checks.in_thread(checks.vaults.delete, tape, tape.seen, token_of(job))
        except (VaultError, OSError) as error:
            if ruling.overridden:
                await self._note_unproven(tape)
            if isinstance(error, OSError):
                return f"it could not be {job.work.then}: {error.strerror or error}"
            if not isinstance(error, InUseError | NoLeaseError | ChangedError):
                raise
            await checks.note_renamed(tape, error)
            return _why_not(act, facts, error)
        copy = ruling.copy.id if ruling.copy is not None else None
        return Emptied(tape=tape, file=file, proven=copy is not None or not tape.size, copy=copy)

    async def _note_unproven(self, tape: Tape) -> None:
        """Note that no copy has what was on a tape, if an act that failed has emptied it."""
        try:
            emptied = not (await self.checks.look_again(tape)).size
        except VaultError:
            emptied = True  # for all that is known
        if emptied:
            now = self.checks.clock.seconds()
            await self.checks.ledger.write(TapeRecords.note_unproven, tape, now)

    async def _anew(self, job: Job, facts: Facts) -> Facts:
        """Return the facts with what the ledger says of mounts, locks and overrides just now.

        All tapes of a job are judged before the first of them is emptied, which can take long.
        """
        now, tape = self.checks.clock.seconds(), facts.tape

        def look(tx: Transaction) -> tuple[Tape | None, bool]:
            return tx.tapes.get(tape.path), tx.mounts.is_mounted_since(tape.path, job.request)

        record, wanted = await self.checks.ledger.read(look)
        if record is None:
            return evolve(facts, now=now, wanted=wanted)
        there = evolve(
            tape,
            locked=record.locked,
            override=record.override,
            override_at=record.override_at,
            override_seen=record.override_seen,
            override_job=record.override_job,
        )
        return evolve(facts, now=now, wanted=wanted, tape=there)


def token_of(job: Job) -> str:
    """Return the token in the private names of a job's attempt; it is unique among servers."""
    return f"{job.handle}-{job.attempt}"


def _why_not(act: Act, facts: Facts, error: VaultError) -> str:
    if isinstance(error, InUseError):
        return _words(judge(act, evolve(facts, use=Use.OPEN)))
    if isinstance(error, NoLeaseError):
        return _words(judge(act, evolve(facts, use=Use.UNTOLD)))
    name = facts.tape.name
    return str(error).removeprefix(f"{name} ").removeprefix(f"{name}: ")


def _words(ruling: Ruling) -> str:
    return ruling.words if isinstance(ruling, Refused) else "it is in use: a process has it open"


def _left_by_a_crash(job: Job, tape: Tape, before: Look | None) -> list[Outcome]:
    """Return what an earlier server had done for this attempt, and could not write down.

    What an operator's word allowed was not proven, whatever copies there are.
    """
    if before is None or before.fingerprint is None or not before.fingerprint.size:
        return []
    there = evolve(tape, size=before.fingerprint.size, seen=before.fingerprint)
    proven = (
        not there.is_overridden(job.started or job.created, job.id)
        and tape.rewritten is None
        and tape.kept is not None
        and difference(tape.kept, before.fingerprint) is not Difference.WRITTEN
    )
    return [Emptied(tape=there, file=tape.seen, proven=proven)]
