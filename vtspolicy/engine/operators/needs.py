"""What a person has to do something about: the one list behind `vtspolicy status --check`."""

from vtspolicy.engine.effects import EngineLedger
from vtspolicy.ledger import Overview, TapeRecords
from vtspolicy.links.life import LinkState
from vtspolicy.status import Status

FAILED_FOR = 86400.0
"""Seconds for which a job that has failed, and was not run again, needs a person."""

STUCK = 3600.0
"""Seconds after which notices that were not taken need a person."""


async def needs_of(ledger: EngineLedger, status: Status) -> tuple[str, ...]:
    """Return what of a server needs a person, in words; nothing when all is well."""
    jobs, alone = await ledger.read(Overview.failed_since, status.at - FAILED_FOR)
    lost = await ledger.read(TapeRecords.lost)
    found = [f"not ready: {reason}" for reason in status.reasons]
    if status.refused_reload is not None:
        refused = status.refused_reload
        found.append(
            f"the reload by {refused.by} was refused: {refused.problem}; the rules from before it "
            "are in force"
        )
    if jobs:
        seen = "`vtspolicy retry --since 1d --dry-run` shows them"
        found.append(f"failed within a day and not run again: {_counted(jobs, 'job')}; {seen}")
    if alone:
        seen = "`vtspolicy requests --since 1d --state failed` shows them"
        found.append(f"failed within a day without a job: {_counted(alone, 'request')}; {seen}")
    found += [
        f"not taken by {each.host or 'any host'} for {(status.at - each.oldest) / 3600:.0f} h: "
        f"{_counted(each.count, 'notice')}"
        for each in status.pending
        if status.at - each.oldest > STUCK
    ]
    if lost:
        seen = "`vtspolicy tapes --unproven` lists them"
        found.append(f"the copy of the last content is lost: {_counted(lost, 'tape')}; {seen}")
    found += [
        f"the link to {each.name} is stopped: {each.link.error}; once that is put right:"
        f" `vtspolicy restart-link {each.name}`"
        for each in status.hosts
        if each.link is not None and each.link.state == LinkState.STOPPED
    ]
    found += status.tape_troubles
    if status.unstoppable:
        found.append(f"runs that cannot be stopped: {', '.join(status.unstoppable)}")
    if status.clock.reason is not None:
        found.append(
            f"the clock: {status.clock.reason}; if its time is right now: `{status.clock.remedy}`"
        )
    return tuple(found)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
