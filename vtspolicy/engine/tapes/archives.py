"""Archives: what a run has copied, and how sure it is that this is what is on the tape."""

from collections.abc import Mapping
from pathlib import Path

from attrs import define, evolve

from vtspolicy.engine.tapes.checks import TapeChecks, sha256
from vtspolicy.engine.tapes.restores import REFUSED, SINCE
from vtspolicy.jobs import Ending, Job, JobState
from vtspolicy.ledger import AttemptRecords
from vtspolicy.rules.judge import Judgement
from vtspolicy.runner.protocol import Ended
from vtspolicy.tapes import (
    Act,
    Copied,
    Copy,
    Difference,
    Found,
    Look,
    Outcome,
    Proof,
    Reason,
    Refused,
    Tape,
    difference,
    judge,
)
from vtspolicy.vaults import VaultError

FUTURE_NS = 5 * 10**9
"""Nanoseconds by which a file's time may be later than its vault's clock."""

GONE = "was moved, removed or emptied while it was copied"
"""Why there is no copy of a tape that had data as its copy began."""

EMPTIED = "there is no tape in the pool"
"""Why a whole pool is not copied that had tapes as the command came."""


@define(kw_only=True)
class Archives:
    """Judges copying runs by the tapes themselves."""

    checks: TapeChecks

    async def begin(self, job: Job) -> Ending | None:
        """Return how a job ends without being run, or None when it has to be run."""
        try:
            tapes = await self.checks.look(job)
            rulings = [
                (tape, judge(Act.ARCHIVE, await self.checks.facts(tape, job))) for tape in tapes
            ]
        except VaultError as error:
            return Ending(state=JobState.FAILED, kind=REFUSED, reason=str(error))
        if not tapes and {"cartridge", "pool"} & job.values.keys():
            reason = Reason.NO_TAPE.told() if "cartridge" in job.values else EMPTIED
            return Ending(state=JobState.FAILED, kind=REFUSED, reason=reason)
        refused = [(tape, each) for tape, each in rulings if isinstance(each, Refused)]
        whole_pool = "cartridge" not in job.values
        if refused and (len(refused) == len(rulings) or not whole_pool):
            tape, ruling = refused[0]
            reason = ruling.words if len(rulings) == 1 else f"{tape.name}: {ruling.words}"
            return Ending(state=JobState.FAILED, kind=REFUSED, reason=reason)
        return None

    async def end(
        self, job: Job, judgement: Judgement, ended: Ended | None, *, verified: bool
    ) -> tuple[tuple[Outcome, ...], Judgement]:
        """Return the copies that a good run has made, and how it is judged now.

        `ended` is the run's end as its keeper saw it; None where the application did the work after
        its program had ended. A tape that was written, moved or removed while it was copied fails
        the run.
        """
        try:
            tapes = await self.checks.look(job)
        except VaultError as error:
            reason = f"the tape is gone: {error}"
            return (), evolve(judgement, state="failed", reason=reason)
        before = await self.checks.ledger.read(AttemptRecords.tapes_before, job.id, job.attempt)
        if tapes and not before:
            reason = _unrecorded(tapes, job, judgement)
            return (), evolve(judgement, state="warning", reason=reason)
        gone = _gone(before, tapes)
        if gone is not None:
            name = f"/{job.values['vault']}/{job.values['pool']}/{gone}"
            return (), evolve(judgement, state="failed", reason=f"{name} {GONE}")
        outcomes: list[Copied] = []
        # Of a half-restored tape in a pool, too, the copy that has its data stays the newest.
        halves = [tape for tape in tapes if tape.is_half_restored]
        for tape in (each for each in tapes if each not in halves):
            began = before.get(tape.path)
            if began is None or not (tape.size or _had_data(began)):
                continue  # of an emptied tape in a pool the copy that has its data stays the newest
            made = await self._made(job, tape, began, ended, judgement)
            if isinstance(made, str):
                return (), evolve(judgement, state="failed", reason=f"{tape.name} {made}")
            missing = await self._why_missing(job, tape, judgement) if verified else None
            if missing is not None:
                judgement = evolve(judgement, state="failed", reason=missing)
                continue
            if verified and made.copy.doubt is None:
                proved = evolve(made.copy, proof=Proof.FOUND, proved=self.checks.clock.seconds())
                made = evolve(made, copy=proved)
            outcomes.append(made)
        doubts = [
            f"{each.tape.name}: {each.copy.doubt}; this copy does not allow an erase yet"
            for each in outcomes
            if not each.known
        ]
        doubts += [f"{each.name} is not copied: {Reason.HALF_RESTORED.told()}" for each in halves]
        if doubts and judgement.state == "completed":
            judgement = evolve(judgement, state="warning", reason="; ".join(doubts))
        return tuple(outcomes), judgement

    async def _made(
        self, job: Job, tape: Tape, began: Look, ended: Ended | None, judgement: Judgement
    ) -> Copied | str:
        """Return the copy of one tape, or why there is none.

        Where its keeper saw the tape as the run began and ended, that counts. For a pool, and where
        the application does the work after its program has ended, the server's looks enclose it.
        """
        after, doubt = await self._look(tape), None
        if "cartridge" in job.values and ended is not None:
            if ended.before is not None and ended.after is not None:
                began, after = ended.before, ended.after
            else:
                doubt = "its keeper did not see the tape as it was copied"
        if None in {began.writer, after.writer} and not self._may_lack_leases(tape):
            doubt = doubt or "whether a process had it open for writing could not be told"
        copy, known, wrong = _copy(job, tape, began, after, judgement)
        if wrong is not None:
            return wrong
        if known and doubt is not None:
            copy = evolve(copy, doubt=doubt)
        return Copied(tape=tape, copy=copy, known=known)

    async def _why_missing(self, job: Job, tape: Tape, judgement: Judgement) -> str | None:
        """Return why a query does not find one tape's copy in that of its pool, or None."""
        if "cartridge" in job.values:
            return None  # it was asked already
        answer = await self.checks.verify(job, tape, judgement.readings)
        if answer.found is Found.FOUND:
            return None
        return f"{tape.name}: its copy is not found: {answer.words}"

    def _may_lack_leases(self, tape: Tape) -> bool:
        return "leases" in self.checks.vaults.accepted.get(tape.vault, ())

    async def _look(self, tape: Tape) -> Look:
        look: Look = await self.checks.in_thread(self.checks.vaults.take_look, tape)
        return look


def _copy(
    job: Job, tape: Tape, before: Look, after: Look, judgement: Judgement
) -> tuple[Copy, bool, str | None]:
    """Return a copy, any doubt whether it holds what is on the tape, and why there is no copy."""
    doubt, known = None, True
    first, last = before.fingerprint, after.fingerprint
    if last is None and not tape.size:
        return _of(job, tape, before, after, judgement), False, GONE
    if first is None or last is None:
        doubt = "the tape was not looked at when it was copied"
    else:
        changed = difference(first, last)
        unseen = not first.is_whole  # version 0.1 looked at size and last write only
        if changed is Difference.WRITTEN:
            return (
                _of(job, tape, before, after, judgement),
                False,
                "was written while it was copied",
            )
        if unseen:
            doubt = "its file was not fully looked at as it was copied"
        elif changed is Difference.TOUCHED and not job.work.touches:
            doubt = "the file's attributes were changed while it was copied, and perhaps its data"
    if before.writer or after.writer:
        doubt, known = "a process had it open for writing while it was copied", False
    elif _is_in_future(after) or _is_in_future(before):
        doubt, known = "its file has a time in the future", False
    copy = _of(job, tape, before, after, judgement)
    return evolve(copy, doubt=doubt), known, None


def _of(job: Job, tape: Tape, before: Look, after: Look, judgement: Judgement) -> Copy:
    readings = judgement.readings
    handle = readings.get(job.work.handle or "", job.handle)
    counted = readings if "cartridge" in job.values else {}  # else they are of the whole pool
    return Copy(
        vault=tape.vault,
        pool=tape.pool,
        cartridge=tape.cartridge,
        path=tape.path,
        source=tape.path,
        application=job.work.application,
        handle=handle,
        began=before.at,
        ended=after.at,
        before=before.fingerprint,
        after=after.fingerprint,
        size=_count(counted.get("bytes")),
        files=_count(counted.get("files")),
        digest=sha256(counted.get("digest")),
        demanded=job.work.proof,
        retention=job.values.get("retention"),
        touches=job.work.touches,
    )


def _gone(before: Mapping[str, Look], tapes: tuple[Tape, ...]) -> str | None:
    """Return the name of a tape that had data as the run began, and is not in its pool now."""
    there = {tape.path for tape in tapes}
    gone = (path for path, look in before.items() if _had_data(look) and path not in there)
    return next((Path(path).name for path in gone), None)


def _had_data(look: Look) -> bool:
    return look.fingerprint is not None and look.fingerprint.size > 0


def _count(text: str | None) -> int | None:
    plain = (text or "").replace(",", "")
    return int(plain) if plain.isascii() and plain.isdigit() and len(plain) < 19 else None


def _is_in_future(look: Look) -> bool:
    file = look.fingerprint
    if file is None or file.mtime_ns is None:
        return False
    clock = look.vault_ns if look.vault_ns is not None else int(look.at * 1e9)
    return max(file.mtime_ns, file.ctime_ns or 0) > clock + FUTURE_NS


def _unrecorded(tapes: tuple[Tape, ...], job: Job, judgement: Judgement) -> str:
    """Return why a copy is not recorded, and what to do about that."""
    handle = judgement.readings.get(job.work.handle or "", job.handle)
    reason = f"{SINCE}, and what its tape was like then is not known: no copy is recorded"
    empty = " ".join(tape.name for tape in tapes if not tape.size)
    if not empty:
        return f"{reason}, migrate it again"
    return f"{reason}; {empty} is empty now, {job.work.application} may have its data as {handle}"
