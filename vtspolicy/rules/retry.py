"""Whether a failed attempt is repeated, and when: a pure decision."""

from vtspolicy.rules.work import Work


def next_attempt(
    work: Work, *, attempt: int, end: str, first_start: float, now: float
) -> float | None:
    """Return when the next attempt may start (seconds since the epoch), or None for no more.

    `attempt` is the number of the one that ended, from 1; `end` is how: failed, timeout or lost.
    The time-out over all attempts ends the repetition as well.
    """
    retry = work.retry
    if end not in retry.on or attempt >= retry.attempts:
        return None
    due = now + retry.delay * retry.backoff ** (attempt - 1)
    total = work.limits.total
    if total is not None and due >= first_start + total:
        return None
    return due
