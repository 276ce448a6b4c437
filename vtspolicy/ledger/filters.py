"""Conditions of lists of jobs and requests."""

import json
from collections.abc import Collection, Iterable

from vtspolicy.jobs import JobState, RequestState

_BAD = {JobState.FAILED, JobState.TIMEDOUT, JobState.INTERRUPTED}


def hint_for(states: Collection[JobState]) -> str:
    """Return the condition that lets SQLite use the partial index of some states' jobs."""
    if states and all(state.is_live for state in states):
        return "AND jobs.finished IS NULL"
    if states and _BAD.issuperset(states):
        return "AND jobs.state IN ('failed', 'timedout', 'interrupted')"
    return ""


def one_of(states: Iterable[JobState] | Iterable[RequestState]) -> str:
    """Return states as the text of a JSON array."""
    return json.dumps([state.value for state in states])


def among(names: Collection[str] | None) -> str | None:
    """Return names as the text of a JSON array; None for no condition."""
    return None if names is None else json.dumps(sorted(names))


JOB_TEXT = (
    "lower(coalesce(jobs.tape, '') || ' ' || coalesce(requests.ref, '') || ' '"
    " || coalesce(jobs.reason, ''))"
)
REQUEST_TEXT = "lower(events.text || ' ' || coalesce(requests.reason, ''))"
"""Where a free text is looked for."""


def about_tape(tape: str | None) -> tuple[str, str | None]:
    """Return the condition for jobs about a tape, or about a pool or vault and what is in it.

    A name with slashes counts from the vault on, a bare word anywhere in the name.
    """
    parts = "/".join(part for part in (tape or "").split("/") if part)
    place = "= 1" if "/" in (tape or "") else "> 0"
    named = "'/' || trim(jobs.tape, '/') || '/'"
    return f"instr({named}, ?) {place}", f"/{parts}/" if parts else None
