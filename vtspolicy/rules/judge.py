"""Judges how a run ended: by its exit code, and by what its output tells."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from attrs import evolve, field, frozen

from vtspolicy.rules.expand import ExpansionError, fill
from vtspolicy.rules.work import Expectation, OutcomeName, Poll, Query, Reading, Work

OUTPUT_LIMIT = 16 * 2**20
"""Characters of output that are looked at; of more, the end."""

LINE_LIMIT = 4 * 2**10
"""Characters of a line that regular expressions look at: no output can keep them busy for long."""

VALUE_LIMIT = 1000
"""Characters of a reading that are kept."""

FAILURES = 1000
"""How many lines that only look like JSON are tried."""

EXITED = "exited"
"""The one kind of end that has an exit code; see vtspolicy.runner.protocol.End."""

_WORSE: Mapping[OutcomeName, int] = {"completed": 0, "warning": 1, "failed": 2}


@frozen(kw_only=True)
class Judgement:
    """What a run was."""

    state: OutcomeName  # completed, warning or failed
    reason: str = ""  # why it is not completed; "" if it is
    readings: Mapping[str, str] = field(factory=dict)  # what its output told
    absent: bool = False  # the answer to a query is a clear no, not the failure to get one


@frozen(kw_only=True)
class PollJudgement:
    """How a job stands that the application itself queues."""

    state: Literal["running", "completed", "warning", "failed"]
    reason: str = ""  # why it is not completed, or the state in flight
    readings: Mapping[str, str] = field(factory=dict)  # what the poll's output told
    answered: bool = True  # False: the poll itself failed, and tells nothing


def judge(
    work: Work | Query,
    *,
    code: int | None,
    output: str,
    values: Mapping[str, str],
    kind: str = EXITED,
) -> Judgement:
    """Return what the end of a run means.

    `values` are those that its argument list had. An exit code that the table does not know is a
    failure, and so is every end that is no exit. A reading that an expectation needs and that the
    output does not tell makes the expectation fail.
    """
    readings = read_output(work.readings, output)
    if kind != EXITED or code is None:
        return Judgement(state="failed", reason=f"it did not exit: {kind}", readings=readings)
    state, reason = _by_code(work.outcome, code)
    for expectation in work.expect:
        wrong = _why_not(expectation, {**values, **readings})
        if wrong is not None and _WORSE[expectation.outcome] > _WORSE[state]:
            state, reason = expectation.outcome, wrong
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
    word of the output that the query lists as such. Where an expectation with `outcome: warning`
    does not hold, the answer is neither: what was asked for may be there all the same.
    """
    judged = judge(query, code=code, output=output, values=values, kind=kind)
    if judged.state == "completed" or kind != EXITED or code is None:
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
    """Return how a queued job stands by the answer to one poll.

    A poll that itself fails tells nothing: its state is `running`, with the reason, and it is for
    the caller to bound how often that may be. Expectations are judged when the job has ended.
    """
    call = judge(evolve(poll.query, expect=()), code=code, output=output, values=values, kind=kind)
    state = call.readings.get("state")
    if call.state == "failed" or state is None:
        reason = call.reason or "the output does not tell the state"
        return PollJudgement(state="running", reason=reason, readings=call.readings, answered=False)
    if poll.running and re.fullmatch(poll.running, state):
        return PollJudgement(state="running", reason=state, readings=call.readings)
    ended: OutcomeName = "failed"
    if poll.completed and re.fullmatch(poll.completed, state):
        ended = "completed"
    elif poll.warning and re.fullmatch(poll.warning, state):
        ended = "warning"
    reason = "" if ended == "completed" else f"the application's state is {state}"
    for expectation in poll.query.expect:
        wrong = _why_not(expectation, {**values, **call.readings})
        if wrong is not None and _WORSE[expectation.outcome] > _WORSE[ended]:
            ended, reason = expectation.outcome, wrong
    return PollJudgement(state=ended, reason=reason, readings=call.readings)


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
        return f"the output does not tell {name}"
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


def _number(text: str) -> float | None:
    """A number as programs print it, with or without commas between thousands."""
    if re.fullmatch(r"[-+]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?", text, re.ASCII):
        text = text.replace(",", "")
    return float(text) if re.fullmatch(r"[-+]?[0-9]+(\.[0-9]+)?", text, re.ASCII) else None


def _equal(found: str, wanted: str) -> bool:
    if found == wanted:
        return True
    numbers = _number(found), _number(wanted)
    return numbers[0] is not None and numbers[0] == numbers[1]


def _at_least(found: str, wanted: str) -> bool:
    value, least = _number(found), _number(wanted)
    return value is not None and least is not None and value >= least


def read_output(readings: tuple[Reading, ...], output: str) -> dict[str, str]:
    """Return what the readings find in an output; what is not there is left out.

    Regular expressions look at the output line by line, JSON fields at the output as one document
    or at each line that is one. The last find counts.
    """
    if not readings:
        return {}
    output = output[-OUTPUT_LIMIT:]
    found = dict(_by_pattern([each for each in readings if each.pattern is not None], output))
    found.update(_by_field([each for each in readings if each.field is not None], output))
    return found


def _by_pattern(readings: list[Reading], output: str) -> Iterator[tuple[str, str]]:
    patterns = [(each, re.compile(each.pattern or "")) for each in readings]
    for line in output.splitlines() if patterns else ():
        for reading, pattern in patterns:
            for match in pattern.finditer(line[:LINE_LIMIT]):
                if match[1] is not None:
                    yield reading.name, _scaled(match[1].strip(), reading.scale)


def _by_field(readings: list[Reading], output: str) -> Iterator[tuple[str, str]]:
    for document in _documents(output) if readings else ():
        for reading in readings:
            value = _text(_inside(document, reading.field or ""))
            if value is not None:
                yield reading.name, _scaled(value, reading.scale)


def _scaled(value: str, scale: float) -> str:
    number = _number(value) if scale != 1.0 else None
    return (f"{number * scale:.10g}" if number is not None else value)[:VALUE_LIMIT]


def _documents(output: str) -> Iterator[Any]:  # Any: JSON
    """The JSON documents in an output: whatever begins a line and is one, in one line or more."""
    decoder = json.JSONDecoder()
    position = failures = 0
    while failures < FAILURES and (begin := _BEGIN.search(output, position)):
        position = begin.end()
        try:
            document, position = decoder.raw_decode(output, begin.start())
        except (ValueError, RecursionError):
            failures += 1
        else:
            yield document


_BEGIN = re.compile(r"^[{\[]", re.MULTILINE)


def _inside(document: Any, name: str) -> Any:  # Any: JSON
    """Follow a dotted name; a number is an element of a list, `#` how many elements there are."""
    for part in name.split("."):
        if isinstance(document, dict):
            document = document.get(part)
        elif isinstance(document, list):
            if part == "#":
                document = len(document)
            elif re.fullmatch(r"-?[0-9]{1,6}", part, re.ASCII) and -len(document) <= int(
                part
            ) < len(document):
                document = document[int(part)]
            else:
                return None
        else:
            return None
    return document


def _text(value: Any) -> str | None:  # Any: JSON
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | str):
        return str(value)
    return None
