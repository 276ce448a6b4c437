"""Restores: which copy is brought back, where it is written, and how it takes the tape's place."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from attrs import asdict, define, evolve
from twisted.internet.task import deferLater

from vtspolicy.engine.tapes.checks import TO, TapeChecks, about, of_tape
from vtspolicy.engine.tapes.gate import token_of
from vtspolicy.engine.tapes.plan import Plan
from vtspolicy.jobs import Ending, Job, JobState
from vtspolicy.ledger import AttemptRecords, CopyRecords, TapeRecords, Transaction
from vtspolicy.rules.judge import Judgement
from vtspolicy.runner.protocol import Ended
from vtspolicy.tapes import (
    Act,
    Allowed,
    Brought,
    Copy,
    Done,
    Fingerprint,
    Look,
    Outcome,
    Reason,
    Refused,
    Ruling,
    Tape,
    Use,
    VaultFeatures,
    judge,
)
from vtspolicy.vaults import (
    CannotExchangeError,
    ChangedError,
    InUseError,
    NoLeaseError,
    VaultError,
)

REFUSED = "refused"
"""The kind of the end of a job that is not run because of its tape."""

HELD_OPEN = 30.0
"""Seconds for which an empty tape that a process has open is waited for, at most."""

HELD_PAUSE = 1.0
"""Seconds between tries to put a file in the place of a tape that a process has open."""

FINE_NS = 20_000_000
"""Nanoseconds of the longest tick in which no host is expected to write behind a restore."""

SINCE = "it was run before the ledger was restored"
"""How reasons about an old run begin."""


@define(kw_only=True)
class Restores:
    """Brings tapes back, so that nothing is overwritten that no copy holds."""

    checks: TapeChecks

    async def begin(self, job: Job) -> Plan | Ending:
        """Return how a job brings its tapes back, or how it ends without being run.

        What is true now counts, not what was when the command came: which copy has the last known
        content, how large it is, and whether the tape is back already.
        """
        try:
            return await self._begin(job)
        except VaultError as error:
            return Ending(state=JobState.FAILED, kind=REFUSED, reason=str(error))

    async def _begin(self, job: Job) -> Plan | Ending:
        tapes = await self.checks.look(job)
        if not tapes:
            reason = Reason.NO_TAPE.told()
            return Ending(state=JobState.FAILED, kind=REFUSED, reason=reason)
        if TO in job.values:
            return await self._begin_aside(job, tapes[0], job.values[TO])
        copies: list[Copy | None] = []
        back: list[str] = []
        was_there = await self._was_there(job)
        for tape in tapes:
            ruling = await self._judged(job, tape, was_there=was_there)
            if isinstance(ruling, Refused):
                reason = f"{tape.name}: {ruling.words}"
                return Ending(state=JobState.FAILED, kind=REFUSED, reason=reason)
            if isinstance(ruling, Done):
                back.append(f"{tape.name}: {ruling.words}")
            elif isinstance(ruling, Allowed):
                copies.append(ruling.copy)
        if not copies:
            return Ending(state=JobState.COMPLETED, reason="; ".join(back))
        if back or len({each.handle for each in copies if each is not None}) > 1:
            reason = "the tapes of this pool cannot be brought back by one run: "
            reason += "; ".join(back) or "they are in several copies"
            return Ending(state=JobState.FAILED, kind=REFUSED, reason=reason)
        plan = await self._plan(job, tapes, copies[0])
        there = was_there or tapes[0].seen is not None
        halves = {tape.path: _is_sure(tape) for tape in tapes if tape.is_half_restored}
        return await self._note_begin(job, tapes, evolve(plan, there=there, halves=halves))

    async def _note_begin(self, job: Job, tapes: tuple[Tape, ...], plan: Plan) -> Plan:
        now = self.checks.clock.seconds()

        def note(tx: Transaction) -> Plan:
            tx.attempts.note_plan(job.id, job.attempt, plan.to_json())
            if plan.way == "path":
                tx.tapes.begin_restore(tapes, now)
            return plan

        return await self.checks.ledger.write(note)

    async def as_begun(self, job: Job) -> Plan:
        """Return the plan of a run that version 0.1 began: by its handle, into the tape itself."""
        copies: list[Copy] = []
        if job.path is not None and "cartridge" in job.values:
            copies = await self.checks.ledger.read(CopyRecords.of_tape, job.path)
        handle = job.values.get("handle")
        copy = next((each for each in copies if each.handle == handle), None)
        return Plan(way="path", copy=copy.id if copy is not None else None, size=None, values={})

    async def _was_there(self, job: Job) -> bool:
        """Whether the tape's file was there as an earlier attempt of a job began."""
        for attempt in range(1, job.attempt):
            text = await self.checks.ledger.read(AttemptRecords.plan, job.id, attempt)
            plan = Plan.of_json(text)
            if plan is not None and plan.way != "path" and plan.there:
                return True
        return False

    async def _judged(self, job: Job, tape: Tape, *, was_there: bool) -> Ruling:
        """Return whether a restore may begin.

        One in place is not guarded by us: its program opens the tape itself. So what is on the tape
        is looked at again after the applications were asked, and no process may have it open.
        """
        checks = self.checks
        facts = evolve(await checks.facts(tape, job), was_there=was_there)
        ruling, facts = await checks.judged(Act.RESTORE, job, facts)
        if not (isinstance(ruling, Allowed) and facts.in_place and tape.size):
            return ruling
        use = await checks.in_thread(checks.vaults.use, tape)
        again = await checks.look_again(tape)
        if again.seen != tape.seen and use is not Use.OPEN:
            return await self._judged(job, again, was_there=was_there)
        return judge(Act.RESTORE, evolve(facts, tape=again, use=use))

    async def _begin_aside(self, job: Job, tape: Tape, to: str) -> Plan | Ending:
        """Plan to write a copy to a file of its own, to be looked at: the tape is not touched."""
        refusal = None
        facts = await self.checks.facts(tape, job)
        kept = [each for each in facts.copies if each.lost is None]
        copy = next(iter(kept or facts.copies), None)  # the newest; a lost one if all are lost
        if facts.handle is not None:
            copy = next((each for each in facts.copies if each.handle == facts.handle), None)
        if copy is None:
            reason = Reason.NO_COPY_AT_ALL if facts.handle is None else Reason.NO_SUCH_COPY
            refusal = reason.told(handle=facts.handle)
        elif job.work.restores_to == "path":
            refusal = (
                "the rule restores into the tape itself; one with {target} can write elsewhere"
            )
        elif copy.application != job.work.application:
            refusal = f"the copy is one of {copy.application}"
        if refusal is not None:
            reason_told = f"{tape.name}: {refusal}"
            return Ending(state=JobState.FAILED, kind=REFUSED, reason=reason_told)
        plan = evolve(await self._plan(job, (tape,), copy), to=to)
        await self.checks.ledger.write(
            AttemptRecords.note_plan, job.id, job.attempt, plan.to_json()
        )
        return plan

    async def _plan(self, job: Job, tapes: tuple[Tape, ...], copy: Copy | None) -> Plan:
        tape, way = tapes[0], job.work.restores_to
        values: dict[str, str] = {}
        size = None
        if len(tapes) == 1 and "cartridge" in job.values:
            values = of_tape(tape)
            values.pop("size", None)
        if copy is not None:
            known = about(copy)
            values |= {key: known[key] for key in ("handle", "source", "relsource")}
            if "cartridge" in job.values and "size" in known:
                values["size"], size = known["size"], int(known["size"])
        vaults = self.checks.vaults
        if way == "target":
            values["target"] = await self.checks.in_thread(vaults.new_target, tape, token_of(job))
        elif way == "staging":
            values["staging"] = await self.checks.in_thread(vaults.new_staging, tape, token_of(job))
        return Plan(way=way, copy=copy.id if copy is not None else None, size=size, values=values)

    # -- its end

    async def end(
        self, job: Job, plan: Plan, judgement: Judgement, ended: Ended | None, until: float
    ) -> tuple[tuple[Outcome, ...], Judgement]:
        """Return what a good run has brought back, and how it is judged now.

        `ended` is the run's end as its keeper saw it; None where the application did the work
        after its program had ended. `until` is when the attempt has to be over.
        """
        try:
            tapes = await self.checks.look(job)
            if plan.way == "path":
                return await self._in_place(job, plan, tapes, judgement, ended)
            (tape,) = tapes
            return await self._exchange(job, plan, tape, judgement, until)
        except (VaultError, OSError) as error:
            return (), evolve(judgement, state="failed", reason=str(error))

    async def _exchange(
        self, job: Job, plan: Plan, tape: Tape, judgement: Judgement, until: float
    ) -> tuple[tuple[Outcome, ...], Judgement]:
        """Put what came back in the tape's place, if that may still be."""
        checks, vaults, token = self.checks, self.checks.vaults, token_of(job)
        failed = evolve(judgement, state="failed")
        if tape.seen is not None and plan.has_taken_its_place(tape.seen):
            # A server was killed after that; whether a host has written since is not sure.
            await checks.in_thread(vaults.recover, tape, token)
            return (Brought(tape=tape, file=tape.seen, copy=plan.copy, sure=False),), judgement
        if tape.restoring is not None and tape.size:  # a server was killed while it copied
            await checks.in_thread(vaults.undo_copying, tape, token)
            tape = await checks.look_again(tape)
        file = await checks.in_thread(vaults.brought, tape, token)
        wrong = plan.why_not_whole(tape, file)
        if wrong is not None:
            return (), evolve(failed, reason=wrong)
        other = await self._why_other(plan, tape, partial(vaults.brought_digest, tape, token))
        if plan.to is not None:
            await checks.in_thread(vaults.export, tape, token, Path(plan.to))
            told = f"copy {plan.values['handle']} is written to {plan.to}; the tape is as it was"
            if other is not None:
                return (), evolve(judgement, state="warning", reason=f"{told}; {other}")
            return (), evolve(judgement, reason=told)
        if other is not None:
            return (), evolve(failed, reason=f"{tape.name}: {other}")
        came = evolve(plan, came=asdict(file))
        await checks.ledger.write(AttemptRecords.note_plan, job.id, job.attempt, came.to_json())
        return await self._put_in_place(job, plan, tape, judgement, until)

    async def _put_in_place(
        self, job: Job, plan: Plan, tape: Tape, judgement: Judgement, until: float
    ) -> tuple[tuple[Outcome, ...], Judgement]:
        """Judge the tape and let the private file take its place, until it is done or refused."""
        checks, failed = self.checks, evolve(judgement, state="failed")
        held_until = min(checks.clock.seconds() + HELD_OPEN, until)
        while True:
            try:
                same = await self._is_same(job, tape)
            except ChangedError:
                tape = await checks.look_again(tape)
                continue
            facts = evolve(await checks.facts(tape, job), was_there=plan.there, same=same)
            ruling, _ = await checks.judged(Act.RESTORE, job, facts)
            if isinstance(ruling, Done):  # by another request; the host may be writing to it
                return (), evolve(judgement, reason=ruling.words)
            if isinstance(ruling, Refused):
                return (), evolve(failed, reason=f"{tape.name}: {ruling.words}")
            taken = await self._take_place(job, tape, held_until)
            if isinstance(taken, str):
                return (), evolve(failed, reason=f"{tape.name}: {taken}")
            if taken is not None:
                whole = evolve(tape, size=taken.size, written=taken.written, seen=taken)
                return (Brought(tape=whole, file=taken, copy=plan.copy),), judgement
            tape = await checks.look_again(tape)

    async def _is_same(self, job: Job, tape: Tape) -> bool | None:
        """Return whether what came back is what is on a tape, where that may be a host's."""
        if not tape.is_left_unknown:
            return None
        vaults = self.checks.vaults
        same: bool = await self.checks.in_thread(vaults.is_same, tape, tape.seen, token_of(job))
        return same

    async def _why_other(
        self, plan: Plan, tape: Tape, digest: Callable[[], str | None]
    ) -> str | None:
        """Return why what came back is not what was copied, by its SHA-256; None if it may be.

        The SHA-256 of what was copied is known where the application reported it, or where the
        copy was read back. A copy that brings back other data is marked lost.
        """
        copies = await self.checks.ledger.read(CopyRecords.of_tape, tape.path)
        copy = next((each for each in copies if each.id == plan.copy), None)
        if copy is None or copy.digest is None:
            return None
        came = await self.checks.in_thread(digest)
        if came == copy.digest:
            return None
        words = (
            f"what {copy.application} brought back from copy {copy.handle} is not what was copied:"
            f" its SHA-256 is {came}, and was {copy.digest}"
        )
        await self.checks.lose(copy, words)
        return words

    async def _take_place(
        self, job: Job, tape: Tape, held_until: float
    ) -> Fingerprint | str | None:
        """Put the private file in the place of a tape that was just judged.

        Returns what the tape is then; why that cannot be done; or None to look and judge again.
        """
        checks = self.checks
        try:
            there: Fingerprint = await checks.in_thread(
                checks.vaults.exchange, tape, tape.seen, token_of(job)
            )
        except InUseError as error:
            await checks.note_renamed(tape, error)
            if tape.size:
                return Reason.IN_USE.told()
            if checks.clock.seconds() < held_until:
                await deferLater(checks.clock, HELD_PAUSE)
                return None
            return await self._copy_into(job, tape)
        except (CannotExchangeError, NoLeaseError) as error:
            if tape.seen is None or (tape.size and isinstance(error, NoLeaseError)):
                return str(error)
            return await self._empty_and_copy_into(job, tape)
        except ChangedError as error:
            await checks.note_renamed(tape, error)
            return None
        return there

    async def _empty_and_copy_into(self, job: Job, tape: Tape) -> Fingerprint | str | None:
        """Write what came back into a tape's own file, after what may be overwritten was removed.

        Returns as `_take_place` does.
        """
        if tape.size:
            try:
                await self.checks.in_thread(self.checks.vaults.erase, tape, tape.seen)
            except InUseError:
                return Reason.IN_USE.told()
            except NoLeaseError as error:
                return str(error)
            except ChangedError:
                return None
            tape = await self.checks.look_again(tape)
            if tape.size:
                return None
        return await self._copy_into(job, tape)

    async def _copy_into(self, job: Job, tape: Tape) -> Fingerprint:
        """Write what came back into the empty tape itself, which is half-restored meanwhile."""
        checks, token = self.checks, token_of(job)
        # The note first: where there is none, what is on a half-restored tape was not copied there.
        await checks.in_thread(checks.vaults.begin_copying, tape, tape.seen, token)
        await checks.ledger.write(TapeRecords.begin_restore, (tape,), checks.clock.seconds())
        there: Fingerprint = await checks.in_thread(checks.vaults.copy_into, tape, tape.seen, token)
        return there

    async def _in_place(
        self,
        job: Job,
        plan: Plan,
        tapes: tuple[Tape, ...],
        judgement: Judgement,
        ended: Ended | None,
    ) -> tuple[tuple[Outcome, ...], Judgement]:
        """Return what a run that wrote into the tapes themselves has brought back.

        What is on a tape now need not be that: only what the keeper saw at the run's end is sure.
        """
        is_one = "cartridge" in job.values
        if not is_one:  # a tape that was made meanwhile is none that came back
            tapes = tuple(tape for tape in tapes if tape.restoring is not None)
        look = ended.after if ended is not None and is_one else None
        if all(tape.size for tape in tapes) and await self.checks.is_doubted(job):
            return await self._let_be(tapes, judgement)
        outcomes: list[Outcome] = []
        for tape in tapes:
            features = (await self.checks.facts(tape, job)).features
            came, sure = _came_back(tape, look, features)
            if came is None or not came.size:
                reason = f"nothing came back: {tape.name} is empty"
                return (), evolve(judgement, state="failed", reason=reason)
            size = plan.size if plan.size is not None else tape.copied_size
            if size is not None and came.size != size:
                reason = f"{tape.name} came back with {came.size} bytes, and had {size}"
                return (), evolve(judgement, state="failed", reason=reason)
            if sure and (other := await self._why_other_in_place(plan, tape, came)) is not None:
                return (), evolve(judgement, state="failed", reason=f"{tape.name}: {other}")
            copy = plan.copy if is_one else tape.held
            outcomes.append(Brought(tape=tape, file=came, copy=copy, sure=sure))
        if not tapes:
            return (), evolve(judgement, state="failed", reason="nothing came back")
        return tuple(outcomes), judgement

    async def _why_other_in_place(self, plan: Plan, tape: Tape, came: Fingerprint) -> str | None:
        """Return as `_why_other`; what was written, or is held open, since it came is not known."""

        def digest() -> str | None:
            return self.checks.vaults.digest(tape, came).digest

        try:
            return await self._why_other(plan, tape, digest)
        except (ChangedError, InUseError):
            return None

    async def _let_be(
        self, tapes: tuple[Tape, ...], judgement: Judgement
    ) -> tuple[tuple[Outcome, ...], Judgement]:
        """Note tapes that were brought back so long ago that their host may have used them."""
        others = [tape.name for tape in tapes if not tape.is_as_copied]
        await self.checks.ledger.write(TapeRecords.end_restore, tapes, self.checks.clock.seconds())
        if not others:
            return (), judgement
        reason = f"{SINCE}, and what is on {' '.join(others)} now need not be what was brought back"
        reason = f"{reason}: it counts as written, migrate it again"
        return (), evolve(judgement, state="warning", reason=reason)


def _is_sure(tape: Tape) -> bool | None:
    """Return whether what is on a half-restored tape is a restore's; None: it was not seen."""
    return None if tape.partial is None else tape.partial_sure


def _came_back(
    tape: Tape, look: Look | None, features: VaultFeatures
) -> tuple[Fingerprint | None, bool]:
    """Return the file as the restore left it, and whether that is sure.

    It is sure if the keeper saw it at the end of the run, nobody had it open for writing then, and
    its times are not later than that. Where times are coarse, a write that followed in the same
    tick would have the same ones: they have to be older.
    """
    if look is None or look.fingerprint is None:
        return tape.seen, False
    file = look.fingerprint
    if look.vault_ns is None or file.mtime_ns is None or file.ctime_ns is None:
        return file, False
    margin = 2 * features.tick_ns if features.tick_ns > FINE_NS else 0
    late = max(file.mtime_ns, file.ctime_ns) + margin > look.vault_ns
    return file, not late and look.writer is False
