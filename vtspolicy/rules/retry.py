"""Whether a failed attempt is repeated, and when: a pure decision."""

from vtspolicy.rules.work import Work

LONGEST = 7 * 86400.0
"""Seconds beyond which `backoff` lets no delay grow."""


def next_attempt(
    work: Work, *, attempt: int, end: str, first_start: float, now: float
) -> float | None:
    """Return when the next attempt may start (seconds since the epoch), or None for no more.

    `attempt` is the number of the one that ended, from 1; `end` is how: failed, timeout or lost.
    The time-out over all attempts ends the repetition as well. A delay grows up to LONGEST.
    """
    retry = work.retry
    if end not in retry.on or attempt >= retry.attempts:
        return None
    growth = retry.backoff ** min(attempt - 1, 100)  # at most a hundred times itself: no overflow
    due = now + min(retry.delay * growth, max(retry.delay, LONGEST))
    total = work.limits.total
    if total is not None and due >= first_start + total:
        return None
    return due
