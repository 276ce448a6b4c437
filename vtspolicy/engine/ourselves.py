"""What the engine does to tapes itself: looks at them, proves a copy, erases, deletes.

Erase and Delete stand behind the deletion gate: no verified copy newer than the last write, no
erase (APPLICATIONS.md). The application is asked for the copy once more, just before.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import define, evolve
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from vtspolicy.engine.calls import Calls
from vtspolicy.grammar import Target
from vtspolicy.jobs import DOUBTED, Job, JobState
from vtspolicy.ledger import Book, Ledger
from vtspolicy.ledger.jobs import Ending
from vtspolicy.ledger.tapes import Copy
from vtspolicy.rules.expand import ExpansionError
from vtspolicy.rules.judge import Judgement
from vtspolicy.rules.table import Table
from vtspolicy.rules.work import Work
from vtspolicy.tapes import Tape, is_back, why_not_empty, why_not_restore, with_file
from vtspolicy.vaults import VaultError, Vaults

CLEANUP = "cleanup"
"""A value of jobs that nobody but the cleanup asked for."""

BACK = "it was brought back by another request"
"""Why a restore had nothing to do."""

EMPTIED = "the tape was emptied before its turn came: nothing is copied"
"""Why a copy is not made. It would be the newest, and the one with the data be out of sight."""

SINCE = "it was run before the ledger was put back"
"""How the reasons begin that tell of an old run."""

REFUSED = "refused"
"""The kind of the end of a job that is not run because of its tape."""


@define(kw_only=True)
class Ourselves:
    """Work on the tapes of this node's vaults."""

    ledger: Ledger
    vaults: Vaults
    clock: IReactorTime
    threads: Callable[..., Deferred[Any]]  # each call has its own type of answer
    table: Callable[[], Table | None] = lambda: None  # the rules in force

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
        """Return the tapes as they are before something is done to them.

        So a write during a copy is noticed, and after a crash what was done already.
        """
        if job.work.then not in {"migrated", "erased", "deleted"}:
            return ()
        try:
            return await self.look(job)
        except (VaultError, OSError):
            return ()  # the application will say what is wrong with the tape

    async def instead(self, job: Job) -> Ending | None:
        """Return how a job ends without being run, or None when it has to be run.

        A restore never overwrites data that no copy holds, and a tape that another request has
        brought back meanwhile is not brought back again: its host may be writing to it. A tape
        that was emptied while its copy waited is not copied.
        """
        if job.work.then == "migrated":
            before = await self.ledger.read(Book.tapes_before, job.id, job.attempt)
            if before and not any(size for size, _written in before.values()):
                return Ending(state=JobState.FAILED, kind=REFUSED, reason=EMPTIED)
        if job.work.then != "restored":
            return None
        try:
            tapes = await self.look(job)
        except (VaultError, OSError):
            return None  # the application will say what is wrong with the tape
        if tapes and all(is_back(tape, since=job.created) for tape in tapes):
            return Ending(state=JobState.COMPLETED, reason=BACK)
        for tape in tapes:
            recorded = await self.ledger.read(Book.tape, tape.path)
            refusal = why_not_restore(tape, recorded)
            if refusal is not None:
                reason = f"{tape.name}: {refusal}"
                return Ending(state=JobState.FAILED, kind=REFUSED, reason=reason)
        await self.ledger.write(Book.begin_restore, tapes, self.clock.seconds())
        return None

    async def after_failure(self, job: Job) -> None:
        """Note what a restore that did not end well has left on its tapes.

        Where others may have written since, it is not known to be that, and is not overwritten.
        """
        if job.work.then != "restored" or await self._is_doubted(job):
            return
        try:
            tapes = await self.look(job)
        except (VaultError, OSError):
            return
        await self.ledger.write(Book.keep_partial, tapes)

    async def proof(self, job: Job, judgement: Judgement) -> tuple[tuple[Tape, ...], Judgement]:
        """Return the tapes that a run has copied or brought back, and how it is judged now.

        A tape that was written while it was copied, or that did not come back whole, fails the run.
        What is on a tape now is not taken for what a run did before the ledger was put back.
        """
        good = {"migrated": {"completed"}, "restored": {"completed", "warning"}}
        if judgement.state not in good.get(job.work.then or "", ()):
            return (), judgement
        try:
            tapes = await self.look(job)
        except (VaultError, OSError) as error:
            return (), evolve(judgement, state="failed", reason=f"the tape is gone: {error}")
        if job.work.then == "restored":
            if all(tape.size for tape in tapes) and await self._is_doubted(job):
                return await self._let_be(tapes, judgement)
            reason = _why_not_whole(tapes)
            if reason is not None:
                return (), evolve(judgement, state="failed", reason=reason)
            return tapes, judgement
        before = await self.ledger.read(Book.tapes_before, job.id, job.attempt)
        if tapes and not before and await self._is_doubted(job):
            handle = judgement.readings.get(job.work.handle or "", job.handle)
            return (), _worse(judgement, _unrecorded(tapes, job.work.application, handle))
        for tape in tapes:
            if before.get(tape.path, (tape.size, tape.written)) != (tape.size, tape.written):
                reason = f"{tape.name} was written while it was copied"
                return (), evolve(judgement, state="failed", reason=reason)
        # Of an emptied tape in a pool the copy that has its data stays the newest.
        return tuple(tape for tape in tapes if tape.path in before and tape.size), judgement

    async def _is_doubted(self, job: Job) -> bool:
        """Whether the run of an attempt may have been made before the ledger was put back."""
        return (await self.ledger.read(Book.attempts, job.id))[-1].boot == DOUBTED

    async def _let_be(
        self, tapes: tuple[Tape, ...], judgement: Judgement
    ) -> tuple[tuple[Tape, ...], Judgement]:
        """Note tapes that were brought back so long ago that their host may have used them."""
        others = [tape.name for tape in tapes if not tape.is_as_copied]
        await self.ledger.write(Book.end_restore, tapes, self.clock.seconds())
        if not others:
            return (), judgement
        reason = f"{SINCE}, and what is on {' '.join(others)} now need not be what was brought back"
        return (), _worse(judgement, f"{reason}: it counts as written, migrate it again")

    async def do(self, job: Job, calls: Calls) -> Ending:
        """Erase or delete the job's tapes; done again after a crash it comes to the same end."""
        try:
            tapes = await self.look(job)
            if not tapes:
                return Ending(state=JobState.FAILED, reason="there is no such tape")
            at_start = await self.ledger.read(Book.tapes_before, job.id, job.attempt)
            for tape in tapes:
                size, _ = at_start.get(tape.path, (None, None))
                refusal = await self._refusal(job, tape, calls, was_there=size is not None)
                if job.id in calls.cancelled:
                    return Ending(state=JobState.CANCELLED, reason="cancelled before it was begun")
                if refusal is not None:
                    return Ending(state=JobState.FAILED, reason=f"{tape.name}: {refusal}")
            for tape in tapes:
                now_known = await self.ledger.read(Book.tape, tape.path)
                if now_known is not None and (now_known.mounted or 0.0) > job.created:
                    reason = f"{tape.name}: a host has asked for it meanwhile"
                    return Ending(state=JobState.FAILED, reason=reason)
            act = self.vaults.erase if job.work.then == "erased" else self.vaults.delete
            for tape in tapes:
                await self.threads(act, tape)
            after = await self.look(job)
        except (VaultError, OSError) as error:
            return Ending(state=JobState.FAILED, reason=str(error))
        return Ending(state=JobState.COMPLETED, code=0, tapes=after)

    # -- the deletion gate

    async def _refusal(self, job: Job, tape: Tape, calls: Calls, *, was_there: bool) -> str | None:
        """Return which condition of the gate does not hold for a tape, or None."""
        if tape.size is None and was_there and job.work.then == "deleted":
            return None  # removed before a crash
        refusal = why_not_empty(tape)
        if refusal is not None or not tape.size or tape.is_overridden:
            return refusal
        if CLEANUP in job.values and not tape.by_us:
            return "its copy was not made by us, and nobody asked for this but the cleanup"
        return await self._not_found(job, tape, calls)

    async def _not_found(self, job: Job, tape: Tape, calls: Calls) -> str | None:
        """Return why the application's query does not find the tape's copy, or None: it does."""
        copy = await self.ledger.read(Book.copy_of, tape.path)
        refusal = (
            f"nothing can be asked for its copy: {tape.application} has neither query nor verify"
            " in the rules table"
        )
        for found_by in self._queries(tape, copy):
            query = found_by.work.verify
            if query is None:
                continue
            values = {**found_by.values, "handle": tape.handle or ""}
            asking = evolve(job, work=found_by.work, values=values)
            try:
                found = await calls.answer(asking, query, "gate", {})
            except ExpansionError as error:
                refusal = f"{tape.application} cannot be asked for its copy: {error}"
                continue
            if found.state == "completed":
                await self.ledger.write(Book.set_verified, tape, self.clock.seconds())
                return None
            refusal = f"{tape.application} does not find its copy {tape.handle}: {found.reason}"
        return refusal

    def _queries(self, tape: Tape, copy: Copy | None) -> Iterator[Copy]:
        """The query that found the copy when it was made; then those of the rules in force."""
        if copy is not None and copy.work.verify is not None:
            yield copy
        table = self.table()
        asked: list[Work] = [] if copy is None else [copy.work]
        for rule in table.rules if table is not None else ():
            work = rule.work
            if work is None or work.then != "migrated" or work.application != tape.application:
                continue
            if all((each.verify, each.env) != (work.verify, work.env) for each in asked):
                asked.append(work)
                values: Mapping[str, str] = copy.values if copy is not None else _values(tape)
                yield Copy(work=work, values={**rule.defaults, **values})


def _worse(judgement: Judgement, reason: str) -> Judgement:
    """A run that ended well, and of which a person has to hear."""
    return evolve(judgement, state="warning", reason=reason)


def _unrecorded(tapes: tuple[Tape, ...], application: str, handle: str) -> str:
    """Return why a copy is not recorded, and what to do about that."""
    reason = f"{SINCE}, and what its tape was like then is not known: no copy is recorded"
    empty = " ".join(tape.name for tape in tapes if not tape.size)
    if not empty:
        return f"{reason}, migrate it again"
    return f"{reason}; {empty} is empty now, {application} may have its data as {handle}"


def _values(tape: Tape) -> Mapping[str, str]:
    """The values of a copy that was not made by us."""
    values = {
        "vault": tape.vault,
        "pool": tape.pool,
        "cartridge": tape.cartridge,
        "path": tape.path,
        "relpath": tape.path[1:],
        "handle": tape.handle or "",
    }
    return values | ({} if tape.copied_size is None else {"size": str(tape.copied_size)})


def _why_not_whole(tapes: tuple[Tape, ...]) -> str | None:
    """Return why tapes are not as they were when they were copied, or None."""
    empty = [tape.name for tape in tapes if not tape.size]
    if empty or not tapes:
        return f"nothing came back: {' '.join(empty)} is empty"
    for tape in tapes:
        if tape.copied_size is not None and tape.size != tape.copied_size:
            return f"{tape.name} came back with {tape.size} bytes, and had {tape.copied_size}"
    return None


def known(book: Book, tapes: tuple[Tape, ...]) -> tuple[Tape, ...]:
    """Return tapes with what the ledger knows of them and what their files say."""
    merged = []
    for tape in tapes:
        record = book.tape(tape.path)
        merged.append(
            tape if record is None else with_file(record, size=tape.size, written=tape.written)
        )
    return tuple(merged)
