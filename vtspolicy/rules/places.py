"""The names that may be in `{}`: where each comes from and what it is."""

from collections.abc import Mapping
from typing import Literal

from attrs import frozen

from vtspolicy.config.load import SHIPPED
from vtspolicy.config.positions import Place

Origin = Literal["command", "tape", "event", "run"]


@frozen(kw_only=True)
class PlaceName:
    """One name that a rule may write in `{}`."""

    name: str
    origin: Origin  # what it is taken from
    help: str  # what it stands for


def _names(*rows: tuple[str, Origin, str]) -> Mapping[str, PlaceName]:
    return {name: PlaceName(name=name, origin=origin, help=text) for name, origin, text in rows}


PLACES = _names(
    ("family", "command", "the family or verb"),
    ("operation", "command", "archive, selective or the verb's; absent if the command has none"),
    ("ref", "command", "the host's own reference; absent if the command has none"),
    ("vault", "tape", "the name of the vault"),
    ("pool", "tape", "the name of the pool; a keyword of this name is {keyword.pool}"),
    ("cartridge", "tape", "the name of the tape; absent with each: pool"),
    ("path", "tape", "the real path of the tape, or of the pool with each: pool"),
    ("relpath", "tape", "the same path without its first /, for programs that want it so"),
    (
        "source",
        "tape",
        (
            "the path by which its application knows the copy: that of the tape when it was copied,"
            " also after it was moved; a keyword of this name is {keyword.source}"
        ),
    ),
    ("relsource", "tape", "the same path without its first /"),
    ("size", "tape", "the size of the tape in bytes; absent with each: pool"),
    ("host", "event", "the configured host; absent for an operator's command"),
    ("system", "event", "the \\SYSTEM of the event's header; absent where there is none"),
    ("user", "event", "the user, where the event proves it; absent elsewhere"),
    ("req", "run", "the number of the request"),
    ("job", "run", "the number of the job"),
    ("attempt", "run", "the number of the attempt, from 1"),
    ("handle", "run", "our name of the copy: the new one, or to restore the newest copy's"),
    ("rundir", "run", "the folder of this run, which is also its working directory"),
    (
        "target",
        "run",
        (
            "a private name in the tape's pool that a restore writes to: the whole file then takes"
            " the tape's place; only in rules with then: restored, and in read_back"
        ),
    ),
    (
        "staging",
        "run",
        (
            "a private folder that a restore writes below, for programs that keep paths; only in"
            " rules with then: restored, and in read_back"
        ),
    ),
    ("seq", "run", "the host's number of its mount request; absent but in ready"),
    ("drive", "run", "the drive that a mount request names; absent but in ready"),
    ("node", "run", "the name of this node; a keyword of this name is {keyword.node}"),
)
"""Every name but the keywords of the families, the readings and the site's own."""

RUN_PLACES = frozenset(each.name for each in PLACES.values() if each.origin == "run")
"""Those that are known only when a run starts (`node` and a tape's `handle` earlier)."""

KEYWORD = "keyword."
"""A keyword whose name is taken by one of PLACES is written with this before it."""

PROGRAM = "program."
"""The programs of an application are written with this before their names."""


def place_of_keyword(name: str) -> str:
    """Return the name under which a keyword's value is found: `retention`, `keyword.pool`."""
    return KEYWORD + name if name in PLACES else name


def is_shipped(place: Place) -> bool:
    """Whether something is in a table that comes with the program."""
    return place.file.startswith(f"{SHIPPED}/")
