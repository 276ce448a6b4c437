"""The steps of a command, as types: authorised, then located; or refused on the way."""

from attrs import frozen

from vtspolicy.config.model import Host
from vtspolicy.events.event import Event
from vtspolicy.grammar import Command
from vtspolicy.vaults import Found


@frozen(kw_only=True)
class Authorised:
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

    understood: Authorised
    found: Found = NO_TAPES
    problem: str | None = None  # why its tapes cannot be had; then none was found


@frozen(kw_only=True)
class Unlocated:
    """A command whose tapes could not be looked for."""

    understood: Authorised
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
