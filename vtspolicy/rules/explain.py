"""What the table would do with a command, as data: the engine's own decision with its trace."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from vtspolicy.grammar.command import Command
from vtspolicy.rules.decision import Circumstances, PlannedJob
from vtspolicy.rules.expand import Template, expand, expand_environment, expand_input
from vtspolicy.rules.hours import shown_start
from vtspolicy.rules.match import decide
from vtspolicy.rules.places import RUN_PLACES
from vtspolicy.rules.rulings import ruling_of
from vtspolicy.rules.steps import Step, inputs_of, steps
from vtspolicy.rules.table import Table
from vtspolicy.rules.work import Expectation, Limits, Query, Work
from vtspolicy.tapes import Allowed, Ask, Done, Facts, Refused

OF_ONE_TAPE = ("cartridge", "path", "relpath", "source", "relsource", "size")
"""Places that a question about a copy has from its tape, also where one job did a whole pool."""

Data = dict[str, Any]
"""JSON; Any: its values are of all JSON's types."""


def explain(
    table: Table,
    command: Command,
    around: Circumstances,
    facts: Mapping[str, Facts] | None = None,
) -> Data:
    """Return every rule with its first failing condition, the verdict, and what would run.

    With `facts` about the tapes, by their paths, also what the evidence of copies says. Names that
    are known only when a job runs, such as {handle}, stay as they are written.

    Raises ExpansionError when a value must not be where a rule wants it.
    """
    decision = decide(table, command, around)
    made = steps(table, inputs_of(table, command, around), decision.number)
    return {
        "table": table.hash,
        "verdict": decision.verdict.value,
        "rule": decision.rule,
        "number": decision.number,
        "reason": decision.reason,
        "rules": _rules(table, made),
        "jobs": [
            _job(table, job, around.at) | {"evidence": _evidence(table, job, facts or {})}
            for job in decision.jobs
        ],
        "left_out": [{"tape": path, "reason": reason} for path, reason in decision.left_out],
    }


def _rules(table: Table, made: list[Step]) -> list[Data]:
    looked_at = {step.number: step for step in made}
    rows = []
    for rule in table.rules:
        step = looked_at.get(rule.number)
        row: Data = {"number": rule.number, "rule": rule.name, "reached": step is not None}
        row["place"] = f"{rule.place.file}:{rule.place.line}"
        row["matched"] = step is not None and step.matched
        row["condition"] = step.condition if step else None
        row["found"] = step.found if step else None
        rows.append(row)
    return rows


def _evidence(table: Table, job: PlannedJob, facts: Mapping[str, Facts]) -> Data | None:
    """What the evidence of copies says to a job, in a word and with its reason."""
    known = facts.get(job.tape.path) if job.tape is not None else None
    ruling = ruling_of(table, job, known) if known is not None else None
    match ruling:
        case Refused() | Done():
            word = "refused" if isinstance(ruling, Refused) else "done"
            return {"answer": word, "reason": ruling.words}
        case Ask(copy=copy, need=need):
            return {
                "answer": "ask",
                "application": copy.application,
                "handle": copy.handle,
                "need": need.value,
            }
        case Allowed():
            return {"answer": "allowed"}
    return None


def _job(table: Table, job: PlannedJob, at: datetime) -> Data:
    work, values = job.work, job.values
    of_a_tape = values
    if job.pool is not None:  # its copies are asked for tape by tape: these names are open
        of_a_tape = {**values, **{name: f"{{{name}}}" for name in OF_ONE_TAPE}}
    starts = shown_start(work.between, work.calendar, at)
    return {
        "tape": job.tape.name if job.tape else None,
        "pool": job.pool,
        "application": work.application,
        "seats": table.seats.get(work.application),
        "prepare": _query(work.prepare, _after(work, values)),
        "run": _arguments(work.run, _after(work, values)),
        "input": expand_input(work.input, _after(work, values), keep=RUN_PLACES),
        "env": expand_environment(work.env, values, keep=RUN_PLACES),
        "lock": job.lock,
        "priority": job.priority,
        "between": work.between,
        "starts": None if starts is None else starts.isoformat(sep=" ", timespec="minutes"),
        "waits": starts != at.replace(tzinfo=None),
        "timeouts": _timeouts(work.limits),
        "retry": {
            "attempts": work.retry.attempts,
            "delay": work.retry.delay,
            "backoff": work.retry.backoff,
            "on": list(work.retry.on),
        },
        "on_interrupt": work.on_interrupt,
        "outcome": dict(work.outcome),
        "expect": [_expectation(each) for each in work.expect],
        "verify": _query(work.verify, _after(work, of_a_tape)),
        "poll": _query(work.poll.query if work.poll else None, _after(work, values)),
        "cancel": _arguments(work.cancel, _after(work, values)),
        "cancel_input": expand_input(work.cancel_input, _after(work, values), keep=RUN_PLACES),
        "ready": _arguments(work.ready, _after(work, values)),
        "then": work.then,
        "restores_to": work.restores_to if work.then == "restored" else None,
        "proof": work.proof.value if work.proof is not None else None,
        "every": work.every,
        "read_back": _query(work.read_back, _after(work, of_a_tape)),
    }


def _after(work: Work, values: Mapping[str, str]) -> Mapping[str, str]:
    """The values when the output has been read: each reading stands for itself."""
    readings = [*work.readings, *(work.prepare.readings if work.prepare else ())]
    return {**{each.name: f"{{{each.name}}}" for each in readings}, **values}


def _arguments(templates: tuple[Template, ...], values: Mapping[str, str]) -> list[str] | None:
    return list(expand(templates, values, keep=RUN_PLACES)) if templates else None


def _query(query: Query | None, values: Mapping[str, str]) -> Data | None:
    if query is None:
        return None
    before = query.prepare.readings if query.prepare else ()
    values = {**{each.name: f"{{{each.name}}}" for each in before}, **values}
    return {
        "prepare": _query(query.prepare, values),
        "run": list(expand(query.run, values, keep=RUN_PLACES)),
        "input": expand_input(query.input, values, keep=RUN_PLACES),
        "outcome": dict(query.outcome),
        "expect": [_expectation(each) for each in query.expect],
        "timeout": query.timeout,
    }


def _expectation(expectation: Expectation) -> str:
    """`files = 1`, `bytes >= {size}`."""
    wanted = []
    if expectation.equals is not None:
        wanted.append(f"{expectation.reading} = {expectation.equals}")
    if expectation.at_least is not None:
        wanted.append(f"{expectation.reading} >= {expectation.at_least}")
    return " and ".join(wanted)


def _timeouts(limits: Limits) -> Mapping[str, float | None]:
    return {
        "waiting": limits.waiting,
        "attempt": limits.attempt,
        "total": limits.total,
        "silence": limits.silence,
        "grace": limits.grace,
    }
