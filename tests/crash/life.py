"""How long a server lives before the next blow: by what it has done, not by the clock.

A clock would kill ever younger servers the busier the machine is, and the sites keep it busy.
"""

import random
import time

from attrs import frozen

from tests.crash.hosts import Hosts, Source
from tests.crash.site import Site

STARTING = 0.25
"""The share of servers that are killed while they start and take up what was left."""

INSTALLED = 0.05
"""The share of starts that are those of the installed command, without anything loaded before."""

LONGEST = 2.0
"""Seconds in which a server must have told what it was to tell; then its time is over anyhow."""


@frozen(kw_only=True)
class Life:
    """One life, as it was drawn."""

    installed: bool  # starts as the installed command
    within: float | None  # dies after this share of a start's usual time; None: lives on
    notices: int  # that hosts hear of it, once it can be reached
    longer: float  # seconds after that: what is heard must not decide at which instant it dies


def drawn(draw: random.Random) -> Life:
    """Draw a life."""
    starting = draw.random() < STARTING
    return Life(
        installed=draw.random() < INSTALLED,
        within=draw.uniform(0.0, 1.3) if starting else None,
        notices=int(draw.choice((5, 40, 120, 220)) * draw.uniform(0.2, 1.5)),
        longer=draw.uniform(0.0, 0.03),
    )


def live(life: Life, site: Site, hosts: Hosts, source: Source) -> None:
    """Let the server live so long; hosts speak and listen all the while."""
    if life.within is not None:
        _for(hosts, source, life.within * site.usual_start)
        return
    until = time.monotonic() + site.usual_start + LONGEST
    while (reached := hosts.reached(site.started)) is None and time.monotonic() < until:
        hosts.turn(source, 0.01)
    site.note_start(reached)
    enough = hosts.heard + life.notices
    until = time.monotonic() + LONGEST
    while hosts.heard < enough and time.monotonic() < until:
        hosts.turn(source, 0.01)
    _for(hosts, source, life.longer)


def _for(hosts: Hosts, source: Source, seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        hosts.turn(source, min(left, 0.01))
