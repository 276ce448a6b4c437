"""From an event to a recorded request: who sent it, what it says, which tapes, what the table says.

Everything up to the record is a decision; the record itself is one transaction of the ledger.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from attrs import evolve, frozen

from vtspolicy.config.model import Host
from vtspolicy.engine.policy import Policy
from vtspolicy.events.event import Event, identity
from vtspolicy.grammar import (
    Command,
    CommandError,
    Vocabulary,
    missing_in_cluster,
    parse,
)
from vtspolicy.grammar.values import CUT_AT
from vtspolicy.jobs import JobState, RequestState
from vtspolicy.requests import Intake
from vtspolicy.rights import host_of_event, why_not_command, why_not_tapes
from vtspolicy.rules.decision import (
    Circumstances,
    Decision,
    PlannedJob,
    Verdict,
    proven_user,
)
from vtspolicy.rules.expand import ExpansionError
from vtspolicy.rules.hours import LOCAL, next_start
from vtspolicy.rules.match import decide
from vtspolicy.rules.steps import Inputs, inputs_of
from vtspolicy.tapes import Tape
from vtspolicy.vaults import Found, NoSuchTapeError, OneLook, VaultBusyError, VaultError

_STATES = {
    Verdict.RUN: RequestState.OPEN,
    Verdict.DENIED: RequestState.DENIED,
    Verdict.NO_RULE: RequestState.NORULE,
}

# Made once: json.dumps makes an encoder for every call that has options.
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@frozen(kw_only=True)
class Understood:
    """A command that its host may give, before its tapes are looked at."""

    event: Event
    host: Host
    command: Command
    received: float  # seconds since the epoch
    actor: str | None = None  # for the history; "host NAME" when not given
    asked: str | None = None  # why an operator asked for it; for the history


NO_TAPES = Found(tapes=())
"""What is found of a command that names no tapes, or none that can be had."""


@frozen(kw_only=True)
class Located:
    """A command whose tapes were looked for."""

    understood: Understood
    found: Found = NO_TAPES
    problem: str | None = None  # why its tapes cannot be had; then none was found


@frozen(kw_only=True)
class Unlocated:
    """A command whose tapes could not be looked for."""

    understood: Understood
    error: Exception


@frozen(kw_only=True)
class Unheard:
    """A command that is answered but not recorded: it belongs to no known host."""

    event: Event
    reason: str
    ref: str | None = None  # its own, for the answer


@frozen(kw_only=True)
class Elsewhere:
    """A command for another server: it answers, not this one."""

    event: Event
    server: str


def understand(
    policy: Policy, event: Event, *, hosts: Collection[Host], address: str, received: float
) -> Understood | Intake | Unheard | Elsewhere:
    """Return what a command asks for, or how it is refused before any tape is looked at."""
    host = host_of_event(hosts, event, address=address)
    if isinstance(host, str):
        return Unheard(event=event, reason=host, ref=_ref_of(event, policy.vocabulary))
    try:
        command = _parse(event, policy.vocabulary)
    except CommandError as error:
        if error.source is not None and not policy.configuration.is_this_node(error.source):
            return Elsewhere(event=event, server=error.source)
        return _rejected(event, host, error, received)
    server = command.keywords.get("source")
    configuration = policy.configuration
    if server is not None and not configuration.is_this_node(server):
        return Elsewhere(event=event, server=server)
    understood = Understood(event=event, host=host, command=command, received=received)
    if configuration.cluster:
        missing = missing_in_cluster(command, policy.vocabulary)
        if missing:
            reason = f"in a cluster {command.family} needs {missing[0]}="
            missed = CommandError(column=len(event.text) + 1, message=reason)
            return _rejected(event, host, missed, received)
    denial = why_not_command(host, command)
    if denial is not None:
        return refused(understood, RequestState.DENIED, denial)
    return understood


def find(vaults: OneLook, understood: Understood, records: Mapping[str, Sequence[Tape]]) -> Located:
    """Return a command with its tapes, or why they cannot be had. Touches the disk: in a thread.

    `records` are the tapes that the ledger knows of the names in the command.
    """
    targets = understood.command.targets
    tapes: list[Tape] = []
    missing: list[str] = []
    pool: str | None = None
    try:
        for target in targets:
            try:
                found = vaults.find(target, records.get(target.cartridge or "", ()))
            except NoSuchTapeError as error:
                missing.append(target.cartridge or "")
                if len(targets) == 1:
                    return Located(understood=understood, problem=str(error))
                continue
            tapes.extend(found.tapes)
            pool = found.pool
    except VaultBusyError:
        raise  # a passing trouble of the machine is not an answer
    except VaultError as error:
        return Located(understood=understood, problem=str(error))
    except OSError as error:
        problem = f"the vault cannot be read: {error.strerror or error}"
        return Located(understood=understood, problem=problem)
    if missing and len(missing) == len(targets):
        problem = f"no vault has one of these tapes: {', '.join(missing)}"
        return Located(understood=understood, problem=problem)
    found = Found(tapes=tuple(tapes), pool=pool, missing=tuple(missing))
    return Located(understood=understood, found=found)


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
    commands: Sequence[Understood | Located | Unlocated | Intake],
    now: datetime,
    *,
    room: int,
    failures: list[Exception],
) -> tuple[list[Understood | Intake], int]:
    """Return the records of the first commands, and how many those are: until they fill the room.

    The first is always decided: one that brings more than there is room for would never be.
    Commands about requests stay as they are. One that fails does not affect those beside it.
    """
    decided: list[Understood | Intake] = []
    for count, command in enumerate(commands):
        if room <= 0 and count:
            return decided, count
        if isinstance(command, Unlocated):
            failures.append(command.error)
            continue
        if isinstance(command, Understood):
            decided.append(command)
            continue
        try:
            intake = settle(policy, command, now) if isinstance(command, Located) else command
        except Exception as error:  # noqa: BLE001 - see above
            failures.append(error)
        else:
            decided.append(intake)
            room -= len(intake.jobs)
    return decided, len(commands)


def _decided(understood: Understood, decision: Decision, inputs: Inputs) -> Intake:
    reason = decision.reason
    if decision.verdict is Verdict.RUN and not decision.jobs:
        reason = "there is no tape to do it with"
        if decision.left_out:
            reason += f": {decision.left_out[0][1]}"
    state = _STATES[decision.verdict]
    return refused(understood, state, reason, decision=decision, inputs=inputs)


def refused(
    understood: Understood,
    state: RequestState,
    reason: str | None,
    *,
    end: JobState | None = None,
    decision: Decision | None = None,
    inputs: Inputs | None = None,
) -> Intake:
    """Return the record of a command; only a decision can bring jobs."""
    command = understood.command
    fields: dict[str, str | int] = {}
    if state is RequestState.OPEN and command.warnings:
        fields["reason"] = "; ".join(command.warnings)
    tape = tape_of(command)
    if tape is not None:
        fields["tape"] = tape
    return Intake(
        event=understood.event,
        host=understood.host.name,
        received=understood.received,
        state=state,
        digest=identity(understood.host.name, understood.event),
        family=command.family,
        operation=command.operation,
        ref=command.ref,
        reason=reason,
        rule=decision.rule if decision is not None else None,
        table=decision.table if decision is not None else None,
        jobs=decision.jobs if decision is not None else (),
        why=why(command, decision, reason, inputs),
        fields=fields,
        end=end,
        notify_all=understood.host.notices == "all",
        actor=understood.actor,
        asked=understood.asked,
    )


def _rejected(event: Event, host: Host, error: CommandError, received: float) -> Intake:
    reason = f"{error.message}; {error.hint}" if error.hint else error.message
    trace = {"error": {"column": error.column, "message": error.message, "hint": error.hint}}
    return Intake(
        event=event,
        host=host.name,
        received=received,
        state=RequestState.REJECTED,
        digest=identity(host.name, event),
        reason=reason,
        why=json.dumps(trace, ensure_ascii=False),
        ref=error.ref,
        fields={"column": error.column},
        notify_all=host.notices == "all",
    )


def _parse(event: Event, vocabulary: Vocabulary) -> Command:
    """Return the command of an event; columns of an error count in the event's whole text.

    Whether a plain write may have cut it, is counted behind the writer and from the beginning.
    """
    writer = len(event.writer)
    cuts = {CUT_AT, CUT_AT + writer}
    may_be_cut = any(cut in event.lengths for cut in cuts) if event.lengths else None
    try:
        return parse(event.command, vocabulary, may_be_cut=may_be_cut)
    except CommandError as error:
        error.column += writer
        raise


def _ref_of(event: Event, vocabulary: Vocabulary) -> str | None:
    try:
        return _parse(event, vocabulary).ref
    except CommandError as error:
        return error.ref


def tape_of(command: Command) -> str | None:
    """Return what a notice calls the target of a command: its path, or the tapes' names."""
    names = [target.path or target.cartridge or "" for target in command.targets]
    return " ".join(names) or None


def why(
    command: Command,
    decision: Decision | None,
    reason: str | None,
    inputs: Inputs | None = None,
) -> str:
    """Return as JSON why a command was decided so: kept with the request.

    How each rule was looked at is not in it: `vtspolicy why` makes that of the inputs and of the
    table, which the ledger keeps.
    """
    trace: dict[str, object] = {
        "command": {
            "family": command.family,
            "operation": command.operation,
            "targets": [target.path or target.cartridge for target in command.targets],
            "keywords": dict(command.keywords),
            "ref": command.ref,
            "warnings": list(command.warnings),
        },
    }
    if reason is not None:
        trace["reason"] = reason
    if decision is not None:
        trace["table"] = decision.table
        trace["rule"] = decision.rule
        trace["number"] = decision.number
        trace["left_out"] = [list(pair) for pair in decision.left_out[:100]]
    if inputs is not None:
        trace["inputs"] = inputs.to_data()
    return _json(trace)
