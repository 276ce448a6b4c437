"""What the rules table says of a command whose tapes are known."""

from collections.abc import Sequence
from datetime import datetime

from attrs import evolve

from vtspolicy.engine.commands.about_request import AboutRequest
from vtspolicy.engine.commands.composing import refused
from vtspolicy.engine.commands.steps import Authorised, Located, Unlocated
from vtspolicy.engine.policy import Policy
from vtspolicy.jobs import JobState, RequestState
from vtspolicy.requests import Intake
from vtspolicy.rights import why_not_tapes
from vtspolicy.rules.decision import Circumstances, Decision, PlannedJob, Verdict, proven_user
from vtspolicy.rules.expand import ExpansionError
from vtspolicy.rules.hours import LOCAL, next_start
from vtspolicy.rules.match import decide
from vtspolicy.rules.steps import Inputs, inputs_of

_STATES = {
    Verdict.RUN: RequestState.OPEN,
    Verdict.DENIED: RequestState.DENIED,
    Verdict.NO_RULE: RequestState.NORULE,
}


def settle(policy: Policy, located: Located, now: datetime) -> Intake:
    """Return the record of a command, now that its tapes are known: what the table decides."""
    understood, found = located.understood, located.found
    if located.problem is not None:
        return refused(understood, RequestState.OPEN, located.problem, end=JobState.FAILED)
    denial = why_not_tapes(understood.host, found.tapes)
    if denial is not None:
        return refused(understood, RequestState.DENIED, denial)
    event = understood.event
    circumstances = Circumstances(
        node=policy.configuration.node,
        at=now,
        host=understood.host.name or None,
        system=event.system,
        user=proven_user(event),
        tapes=found.tapes,
    )
    try:
        decision = decide(policy.table, understood.command, circumstances)
    except ExpansionError as error:
        return refused(understood, RequestState.DENIED, str(error))
    decision = _with_missing(decision, found.missing)
    inputs = inputs_of(policy.table, understood.command, circumstances)
    intake = _decided(understood, decision, inputs)
    begin = _not_before(decision, now)
    if begin is None or intake.state is not RequestState.OPEN:
        return intake
    told = begin.replace(tzinfo=None).isoformat(timespec="seconds")
    return evolve(intake, fields={**intake.fields, "notbefore": told})


def _with_missing(decision: Decision, missing: Sequence[str]) -> Decision:
    """Return a decision with a job for each tape that no vault has: it fails, and says so.

    The others of the list are done; the command as a whole fails.
    """
    if not decision.jobs or not missing:
        return decision
    planned = decision.jobs[0]
    lost = (
        PlannedJob(work=planned.work, values={"cartridge": name}, lock=None, pool=name)
        for name in missing
    )
    return evolve(decision, jobs=(*decision.jobs, *lost))


def _not_before(decision: Decision, now: datetime) -> datetime | None:
    """Return when the first job may start, where hours keep all of them waiting; or None."""
    at = datetime.fromtimestamp(now.timestamp(), LOCAL)
    begins: list[datetime] = []
    for work in {id(job.work): job.work for job in decision.jobs}.values():
        begin = next_start(work.between, work.calendar, at)
        if begin is not None and begin.timestamp() <= at.timestamp():
            return None
        begins += [begin] if begin is not None else []
    return min(begins, key=datetime.timestamp, default=None)


def settle_some(
    policy: Policy,
    commands: Sequence[Authorised | AboutRequest | Located | Unlocated | Intake],
    now: datetime,
    *,
    room: int,
    failures: list[Exception],
) -> tuple[list[AboutRequest | Intake], int]:
    """Return the records of the first commands, and how many those are: until they fill the room.

    The first is always decided: one that brings more than there is room for would never be.
    Commands about requests stay as they are. One that fails does not affect those beside it.
    """
    decided: list[AboutRequest | Intake] = []
    for count, command in enumerate(commands):
        if room <= 0 and count:
            return decided, count
        if isinstance(command, Unlocated):
            failures.append(command.error)
            continue
        if isinstance(command, AboutRequest):
            decided.append(command)
            continue
        if isinstance(command, Authorised):
            raise TypeError("its tapes were not looked for")
        try:
            intake = settle(policy, command, now) if isinstance(command, Located) else command
        except Exception as error:  # noqa: BLE001 - see above
            failures.append(error)
        else:
            decided.append(intake)
            room -= len(intake.jobs)
    return decided, len(commands)


def _decided(understood: Authorised, decision: Decision, inputs: Inputs) -> Intake:
    reason = decision.reason
    if decision.verdict is Verdict.RUN and not decision.jobs:
        reason = "there is no tape to do it with"
        if decision.left_out:
            reason += f": {decision.left_out[0][1]}"
    state = _STATES[decision.verdict]
    return refused(understood, state, reason, decision=decision, inputs=inputs)
