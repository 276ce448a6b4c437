"""Conditions of lists of jobs and requests, by the names of their statements."""

import json
from collections.abc import Collection, Iterable

from vtspolicy.jobs import JobState, RequestState

_BAD = {JobState.FAILED, JobState.TIMEDOUT, JobState.INTERRUPTED}


def hint_for(states: Collection[JobState]) -> str | None:
    """Return the condition that lets the partial index of some states' jobs be used."""
    if states and all(state.is_live for state in states):
        return "jobs_live"
    if states and _BAD.issuperset(states):
        return "jobs_bad"
    return None


def one_of(states: Iterable[JobState] | Iterable[RequestState]) -> str | None:
    """Return states as the text of a JSON array; None for no state at all."""
    values = [state.value for state in states]
    return json.dumps(values) if values else None


def among(names: Collection[str] | None) -> str | None:
    """Return names as the text of a JSON array; None for no condition."""
    return None if names is None else json.dumps(sorted(names))


def lower(text: str | None) -> str | None:
    """Return a text to look for, whatever its case."""
    return None if text is None else text.lower()


def about_tape(tape: str | None) -> dict[str, str | None]:
    """Return the condition for jobs about a tape, or about a pool or vault and what is in it.

    A name with slashes counts from the vault on, a bare word anywhere in the name.
    """
    parts = "/".join(part for part in (tape or "").split("/") if part)
    name = "jobs_about_tape" if "/" in (tape or "") else "jobs_about_name"
    return {name: f"/{parts}/" if parts else None}
