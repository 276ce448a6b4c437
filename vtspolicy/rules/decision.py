"""What was decided about a command."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from attrs import frozen

from vtspolicy.events.event import Event, is_written_plainly
from vtspolicy.rules.work import Work
from vtspolicy.tapes import Tape


@frozen(kw_only=True)
class Circumstances:
    """What decides with the command: who sent it, when, and what is known of its tapes."""

    node: str  # this node's name
    at: datetime  # local time of this node
    host: str | None = None  # the configured host; None for an operator's command
    system: str | None = None  # of the event's header
    user: str | None = None  # only where the event can prove it
    tapes: tuple[Tape, ...] = ()  # the command's targets, a pool resolved to its cartridges


def proven_user(event: Event) -> str | None:
    """Return the user only where the event can prove it.

    The header of a console text (TANDEM.EMS 512) has the collector's user, not the writer's.
    """
    if event.ssid is not None and is_written_plainly(event.ssid, event.number or 0):
        return None
    return event.user


class Verdict(StrEnum):
    """How a decision ended."""

    RUN = "run"
    DENIED = "denied"
    NO_RULE = "norule"


@frozen(kw_only=True)
class PlannedJob:
    """One job of a decision: the work, and the values for its places."""

    work: Work  # shared by the jobs of one rule
    values: Mapping[str, str]  # from command, tape and event; run values are added at the start
    lock: str | None  # expanded; two jobs with overlapping locks never run together
    priority: int = 0  # higher runs first
    tape: Tape | None = None  # None when one job does a whole pool
    pool: str | None = None  # the pool's path, when one job does it


@frozen(kw_only=True)
class Decision:
    """The answer of the table to one command."""

    verdict: Verdict
    table: str  # the hash of the table that decided
    rule: str | None = None  # the rule that matched
    number: int | None = None  # its place in the table, from 1
    reason: str | None = None  # for a denial
    jobs: tuple[PlannedJob, ...] = ()  # for a run; empty when there is no tape to do it with
    left_out: tuple[tuple[str, str], ...] = ()  # (tape's path, condition that it does not fit)
