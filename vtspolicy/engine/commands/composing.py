"""The record of a command: what the ledger keeps of it, and what its first notice says."""

import json

from vtspolicy.config.model import Host
from vtspolicy.engine.commands.steps import Authorised
from vtspolicy.events.event import Event, identity
from vtspolicy.grammar import Command, CommandError
from vtspolicy.jobs import JobState, RequestState
from vtspolicy.requests import Intake
from vtspolicy.rules.decision import Decision
from vtspolicy.rules.steps import Inputs

# Made once: json.dumps makes an encoder for every call that has options.
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def refused(
    understood: Authorised,
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


def rejected(event: Event, host: Host, error: CommandError, received: float) -> Intake:
    """Return the record of a text that is not a command of the language."""
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
