"""Judges how a run ended: by its exit code, and by what its output says."""

import re
from collections.abc import Mapping
from typing import Literal

from attrs import evolve, field, frozen

from vtspolicy.rules.expand import ExpansionError, fill
from vtspolicy.rules.outputs import number, read_output, with_cause
from vtspolicy.rules.time_limit import SlowPatternError, within_time
from vtspolicy.rules.work import Expectation, OutcomeName, Poll, Query, Work

EXITED = "exited"
"""The one kind of end that has an exit code; see vtspolicy.runner.protocol.End."""

_WORSE: Mapping[OutcomeName, int] = {"completed": 0, "warning": 1, "failed": 2}


@frozen(kw_only=True)
class Judgement:
    """What a run was."""

    state: OutcomeName  # completed, warning or failed
    reason: str = ""  # why it is not completed; "" if it is
    readings: Mapping[str, str] = field(factory=dict)  # what its output had
    absent: bool = False  # the answer to a query is a clear no, not the failure to get one
    told: bool = True  # False: the output could not be read, and so says nothing


@frozen(kw_only=True)
class PollJudgement:
    """The state of a job that the application itself queues."""

    state: Literal["running", "completed", "warning", "failed"]
    reason: str = ""  # why it is not completed, or the state in flight
    readings: Mapping[str, str] = field(factory=dict)  # what the poll's output had
    answered: bool = True  # False: the poll itself failed, and says nothing


def judge(
    work: Work | Query,
    *,
    code: int | None,
    output: str,
    values: Mapping[str, str],
    kind: str = EXITED,
) -> Judgement:
    """Return what the end of a run means.

    `values` are those that its argument list had. The reason ends with the words of the program,
    as the table's `cause` finds them. An exit code that the table does not know is a
    failure, and so is every end that is not an exit. A reading that an expectation needs and that
    the output does not show makes the expectation fail. Readings that take too long are a failure,
    with any exit code.
    """
    try:
        readings = read_output(work.readings, output)
    except SlowPatternError as error:
        return Judgement(state="failed", reason=f"it cannot be judged: {error}", told=False)
    if kind != EXITED or code is None:
        reason = with_cause(f"it did not exit: {kind}", work.cause, output, went_well=False)
        return Judgement(state="failed", reason=reason, readings=readings)
    state, reason = by_code = _by_code(work.outcome, code)
    for expectation in work.expect:
        wrong = _why_not(expectation, {**values, **readings})
        if wrong is not None and _WORSE[expectation.outcome] > _WORSE[state]:
            state, reason = expectation.outcome, wrong
    if state != "completed":
        went_well = by_code[0] == "completed"
        reason = with_cause(reason, work.cause, output, went_well=went_well)
    return Judgement(state=state, reason=reason, readings=readings)


def judge_query(
    query: Query,
    *,
    code: int | None,
    output: str,
    values: Mapping[str, str],
    kind: str = EXITED,
) -> Judgement:
    """Return what the answer to a query means; `completed` is a yes.

    A clear no is a call that went well and did not find what is expected, or an exit code or a
    word of the output that the query lists under `absent`. Where an expectation with
    `outcome: warning` does not hold, the answer is neither, because what was asked for may still be
    there.
    """
    judged = judge(query, code=code, output=output, values=values, kind=kind)
    if judged.state == "completed" or kind != EXITED or code is None or not judged.told:
        return judged
    listed = any(each in output for each in query.absent if not each.isdigit())
    went_well = _by_code(query.outcome, code)[0] == "completed" and judged.state == "failed"
    return evolve(judged, absent=went_well or listed or str(code) in query.absent)


def judge_poll(
    poll: Poll,
    *,
    code: int | None,
    output: str,
    values: Mapping[str, str],
    kind: str = EXITED,
) -> PollJudgement:
    """Return the state of a queued job by the answer to one poll.

    A poll that itself fails says nothing: its state is `running`, with the reason, and it is for
    the caller to bound how often that may be. Expectations are judged when the job has ended.
    """
    call = judge(evolve(poll.query, expect=()), code=code, output=output, values=values, kind=kind)
    state = call.readings.get("state")
    if call.state == "failed" or state is None:
        reason = call.reason or "the output does not show the state"
        return PollJudgement(state="running", reason=reason, readings=call.readings, answered=False)
    try:
        ended = within_time(lambda: _state(poll, state))
    except SlowPatternError as error:
        reason = f"its state cannot be judged: {error}"
        return PollJudgement(state="running", reason=reason, readings=call.readings, answered=False)
    if ended == "running":
        return PollJudgement(state="running", reason=state, readings=call.readings)
    reason = "" if ended == "completed" else f"the application's state is {state}"
    for expectation in poll.query.expect:
        wrong = _why_not(expectation, {**values, **call.readings})
        if wrong is not None and _WORSE[expectation.outcome] > _WORSE[ended]:
            ended, reason = expectation.outcome, wrong
    if ended != "completed":
        reason = with_cause(reason, poll.query.cause, output, went_well=True)
    return PollJudgement(state=ended, reason=reason, readings=call.readings)


def _state(poll: Poll, said: str) -> Literal["running", "completed", "warning", "failed"]:
    """Return what the application's own word for the state of its job means."""
    if poll.running and re.fullmatch(poll.running, said):
        return "running"
    if poll.completed and re.fullmatch(poll.completed, said):
        return "completed"
    if poll.warning and re.fullmatch(poll.warning, said):
        return "warning"
    return "failed"


def _by_code(outcome: Mapping[str, OutcomeName], code: int) -> tuple[OutcomeName, str]:
    known = outcome.get(str(code))
    if known == "completed":
        return known, ""
    if known is not None:
        return known, f"exit code {code}"
    state = outcome.get("default", "failed")
    return state, f"exit code {code}, which the table does not list"


def _why_not(expectation: Expectation, values: Mapping[str, str]) -> str | None:
    """Return why an expectation does not hold, or None."""
    name = expectation.reading
    found = values.get(name)
    if found is None:
        return f"the output does not show {name}"
    for template, holds, words in (
        (expectation.equals, _equal, ""),
        (expectation.at_least, _at_least, "at least "),
    ):
        if template is None:
            continue
        try:
            wanted = fill(template, values)
        except ExpansionError as error:
            return str(error)
        if wanted is None:
            return f"{name} is {found}, and {template} is not known to compare it with"
        if not holds(found, wanted):
            return f"{name} is {found}, expected {words}{wanted}"
    return None


def _equal(found: str, wanted: str) -> bool:
    if found == wanted:
        return True
    numbers = number(found), number(wanted)
    return numbers[0] is not None and numbers[0] == numbers[1]


def _at_least(found: str, wanted: str) -> bool:
    value, least = number(found), number(wanted)
    return value is not None and least is not None and value >= least
