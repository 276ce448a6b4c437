"""How the tapes of a job are before its attempt starts."""

from twisted.internet.task import deferLater

from vtspolicy.engine.tapes.checks import TapeChecks
from vtspolicy.jobs import Job
from vtspolicy.tapes import Look, Tape
from vtspolicy.vaults import VaultError, Vaults


async def before_attempt(checks: TapeChecks, job: Job) -> dict[str, Look]:
    """Return a look at each tape that a job is about, by its path.

    So a write during a copy is noticed, and after a crash what was done already. A tape that was
    written so short a time ago that a further write could bear the same times is waited for.
    """
    if job.work.then in {None, "proven"}:
        return {}
    try:
        tapes = await checks.look(job)
        if job.work.then == "migrated" and tapes:
            wait = await checks.in_thread(_longest, tapes[0], tapes, checks.vaults)
            if wait > 0:
                await deferLater(checks.clock, wait)
                tapes = await checks.look(job)
        if not tapes:
            return {}
        looks: dict[str, Look] = await checks.in_thread(_looks, tapes[0], tapes, checks.vaults)
    except (VaultError, OSError):
        return {}  # the attempt looks again, and says what is wrong
    return looks


def _longest(_vault: Tape, tapes: tuple[Tape, ...], vaults: Vaults) -> float:
    """Return for how many seconds the tapes have to be left alone. In a thread."""
    return max((vaults.settle_time(tape) for tape in tapes if tape.size), default=0.0)


def _looks(_vault: Tape, tapes: tuple[Tape, ...], vaults: Vaults) -> dict[str, Look]:
    """Return a look at each tape. In a thread."""
    return {tape.path: vaults.take_look(tape) for tape in tapes}
