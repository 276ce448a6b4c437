"""What a person has to do something about: the one list behind `vtspolicy status --check`."""

from vtspolicy.ledger import Book, Ledger
from vtspolicy.status import Status

FAILED_FOR = 86400.0
"""Seconds for which a job that has failed, and was not done again, needs a person."""

STUCK = 3600.0
"""Seconds after which notices that were not taken need a person."""


async def needs_of(ledger: Ledger, status: Status) -> tuple[str, ...]:
    """Return what of a server needs a person, in words; nothing when all is well."""
    failed = await ledger.read(Book.failed_since, status.at - FAILED_FOR)
    lost = await ledger.read(Book.lost_tapes)
    found = [f"not ready: {reason}" for reason in status.reasons]
    if status.refused_reload is not None:
        refused = status.refused_reload
        found.append(f"the reload by {refused.by} was refused: {refused.problem}")
    if any(failed):
        found.append(f"failed within a day and not done again: {_counted(*failed)}")
    found += [
        f"{each.count} notices for {each.host or 'no host'} are not taken"
        for each in status.pending
        if status.at - each.oldest > STUCK
    ]
    if lost:
        found.append(f"the copy of the last content is lost: {lost} tape{'s' if lost > 1 else ''}")
    found += [f"vaults: {each}" for each in status.tape_troubles]
    if status.unstoppable:
        found.append(f"runs that cannot be stopped: {', '.join(status.unstoppable)}")
    if status.clock.reason is not None:
        found.append(f"the clock: {status.clock.reason}")
    return tuple(found)


def _counted(jobs: int, alone: int) -> str:
    told = [f"{jobs} job{'s' if jobs > 1 else ''}"] if jobs else []
    if alone:
        told.append(f"{alone} request{'s' if alone > 1 else ''} without a job")
    return ", ".join(told)
