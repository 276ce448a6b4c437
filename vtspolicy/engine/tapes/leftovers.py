"""Private files that a killed server has left beside tapes: the act is completed, or undone.

The leftovers of a live job are handled when that job is continued.
"""

import re

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from vtspolicy.engine.tapes.checks import TapeChecks
from vtspolicy.grammar import Target
from vtspolicy.jobs import JobState
from vtspolicy.ledger import LedgerError, Transaction
from vtspolicy.tapes import Tape
from vtspolicy.vaults import VaultError, Vaults

TOKEN = re.compile(r"(vts-[0-9a-f]+-([0-9]{1,18})-([0-9]{1,18}))-[0-9]{1,9}(?:-again)?")
"""The token in private names: the handle of a job, with its request and job, and the attempt."""


def put_right(checks: TapeChecks) -> Deferred[None]:
    """Put right, in threads, what ended jobs have left in all vaults; fires when that is done."""

    def failed(failure: Failure) -> None:
        if failure.type is not LedgerError:  # else the server stops: the next one looks
            checks.log.failure("Vaults cannot be put right.", failure, action="left_behind")

    return Deferred.fromCoroutine(recover(checks)).addErrback(failed)


async def recover(checks: TapeChecks) -> None:
    """Put right what ended jobs have left in all vaults; what cannot be is told, and stays."""
    for vault in tuple(checks.vaults.roots):
        try:
            found = await checks.in_thread(_leftovers, Target(vault=vault), checks.vaults)
        except (VaultError, OSError) as error:
            _tell(checks, f"vault {vault}", error)
            continue
        for pool, token, cartridge in found:
            match = TOKEN.fullmatch(token)
            if match is None or not await checks.ledger.read(_is_over, *match.groups()):
                continue  # it is another server's, or of a job that lives
            path = checks.vaults.path(Target(vault=vault, pool=pool, cartridge=cartridge))
            tape = Tape(vault=vault, pool=pool, cartridge=cartridge, path=path)
            try:
                if await checks.ledger.read(_went_well, match[3]):
                    await checks.in_thread(checks.vaults.discard, tape, token)
                await checks.in_thread(checks.vaults.recover, tape, token)
            except (VaultError, OSError) as error:
                _tell(checks, tape.name, error)


def _leftovers(target: Target, vaults: Vaults) -> list[tuple[str, str, str]]:
    """Return pool, token and cartridge of what was left, each once. In a thread."""
    found = vaults.leftovers(target.vault or "")
    named = {(pool, token): cartridge for pool, token, _kind, cartridge in found if cartridge}
    return sorted(
        {
            (pool, token, cartridge or named.get((pool, token), "none"))
            for pool, token, _kind, cartridge in found
        }
    )


def _is_over(tx: Transaction, handle: str, request: str, job: str) -> bool:
    """Whether a job was one of this ledger, and has ended."""
    if tx.numbers.handle(int(request), int(job)) != handle:
        return False
    known = tx.jobs.get(int(job))
    return known is None or not known.state.is_live


def _went_well(tx: Transaction, job: str) -> bool:
    """Whether the tape is as a job has left it, and what is on it now is its host's."""
    known = tx.jobs.get(int(job))
    return known is not None and known.state in {JobState.COMPLETED, JobState.WARNING}


def _tell(checks: TapeChecks, what: str, error: Exception) -> None:
    checks.log.warn(
        "What a killed server has left beside {what} stays: {error}.",
        action="left_behind",
        what=what,
        error=error,
    )
