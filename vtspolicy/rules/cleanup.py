"""Cleanup: which tapes may be emptied because their copy is enough, and why, or why not.

Pure functions of what is known of the tapes: the engine acts by them, `vtspolicy tapes --verdict`
shows them.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime

from attrs import define, evolve, frozen

from vtspolicy.config import reading
from vtspolicy.config.positions import Node, Scalar
from vtspolicy.config.reading import Findings, Key, Section, keys_of
from vtspolicy.grammar.values import LONGEST_PART, PART_CHARACTER
from vtspolicy.tapes import Act, Allowed, Ask, Facts, Ruling, Tape, TapeState, judge

DAY = 86400.0

UNITS: Mapping[str, float] = {
    "h": 3600.0,
    "d": DAY,
    "w": 7 * DAY,
    "m": 30 * DAY,
    "y": 365 * DAY,
}
"""Seconds of the units of `retention=14,d`. Months of 30 and years of 365 days: a decision."""


@frozen(kw_only=True)
class Policy:
    """When tapes are emptied automatically."""

    hour: int | None = None  # of the day, local time, at which it runs; None: never
    threshold: float | None = None  # percent of a vault's file system; above it tapes are emptied
    minimum: int = 0  # bytes; smaller tapes stay
    retention: float | None = None  # seconds that a tape stays whose command did not say; None: on
    rest: float = DAY  # seconds that a tape stays after it was last used
    dry_run: bool = True  # only report what would be done


@frozen(kw_only=True)
class Fullness:
    """How full the file system of a vault is."""

    total: int  # bytes
    taken: int

    @property
    def percent(self) -> float:
        """How much of it is taken."""
        return 100.0 * self.taken / self.total if self.total else 0.0


@frozen(kw_only=True)
class Verdict:
    """What a cleanup does with one tape."""

    erase: bool
    reason: str  # why, or why not


def retention_seconds(written: str | None) -> float | None:
    """Return the seconds of `14,d`; None when nothing, or nothing known, is said."""
    match = re.fullmatch(r"([0-9]{1,5}),([hdwmy])", written or "", re.ASCII)
    return int(match[1]) * UNITS[match[2]] if match else None


def verdict(facts: Facts, policy: Policy, fullness: Fullness | None) -> Verdict:
    """Return what a cleanup does with a tape; `fullness` is that of its vault, None if unknown.

    Whether its copy proves it is judged as for any erase; the application is asked only then.
    """
    ruling = judge(Act.ERASE, facts)
    said = _verdict_by(ruling, facts, policy, fullness)
    if isinstance(ruling, Ask) and ruling.why is not None:
        return evolve(said, reason=f"{said.reason}; its data has to be read back: {ruling.why}")
    return said


def _verdict_by(ruling: Ruling, facts: Facts, policy: Policy, fullness: Fullness | None) -> Verdict:
    tape, now = facts.tape, facts.now
    state = tape.state
    if state is TapeState.DELETED:
        return Verdict(erase=False, reason="deleted")
    if not tape.size:
        return Verdict(erase=False, reason="empty already")
    if tape.locked:
        return Verdict(erase=False, reason="locked")
    if tape.is_overridden(now, facts.job):
        return Verdict(erase=True, reason=f"user authorized: {tape.override}")
    refusal = _why_never(ruling, tape) or _why_not_yet(tape, policy, now)
    if refusal is not None:
        return Verdict(erase=False, reason=refusal)
    kept = retention_seconds(tape.retention)
    kept = policy.retention if kept is None else kept
    ends = None if kept is None or tape.migrated is None else tape.migrated + kept
    if ends is not None and ends <= now:
        return Verdict(erase=True, reason=f"past retention since {_day(ends)}")
    if _is_too_full(policy, fullness) and fullness is not None:
        full = f"{tape.vault} is {fullness.percent:.0f}% full, above {policy.threshold:g}%"
        return Verdict(erase=True, reason=full)
    if ends is None:
        return Verdict(erase=False, reason="no retention is given")
    return Verdict(erase=False, reason=f"not past retention until {_day(ends)}")


def _why_never(ruling: Ruling, tape: Tape) -> str | None:
    if not _WRITABLE.fullmatch(tape.cartridge):
        return "no command can be written about a tape of this name"
    if isinstance(ruling, Allowed | Ask):
        return None
    return ruling.words


_WRITABLE = re.compile(rf"(?!-){PART_CHARACTER}{{1,{LONGEST_PART}}}", re.ASCII)
"""Names of tapes that can be a word of their own in a command."""


def _why_not_yet(tape: Tape, policy: Policy, now: float) -> str | None:
    if tape.size is not None and tape.size < policy.minimum:
        return f"smaller than {_bytes(policy.minimum)}"
    used = last_used(tape)
    if used + policy.rest > now:
        return f"in use until {_day(used + policy.rest)}"
    return None


def last_used(tape: Tape) -> float:
    """Return when a tape was last written, migrated, brought back or asked for by a host."""
    times = (tape.written, tape.migrated, tape.restored, tape.mounted)
    return max(each or 0.0 for each in times)


def _is_too_full(policy: Policy, fullness: Fullness | None) -> bool:
    if policy.threshold is None or fullness is None:
        return False
    return fullness.percent > policy.threshold


def _day(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return "a time that no calendar has"


def _bytes(size: int) -> str:
    for unit, factor in (("G", 2**30), ("M", 2**20), ("K", 2**10)):
        if size >= factor and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


@define
class _Left:
    """How full a vault still is while a plan is made."""

    fullness: Fullness

    def without(self, size: int) -> None:
        taken = max(self.fullness.taken - size, 0)
        self.fullness = Fullness(total=self.fullness.total, taken=taken)


def plan(
    facts: Iterable[Facts], policy: Policy, fullness: Mapping[str, Fullness]
) -> list[tuple[Tape, Verdict]]:
    """Return the verdict about each tape, for a whole cleanup.

    A vault that is too full is emptied only until it is not: first by what must go anyhow, then
    the tapes that have been left alone for the longest time. One odd tape keeps no other.
    """
    left = {vault: _Left(each) for vault, each in fullness.items()}
    judged: dict[str, tuple[Tape, Verdict]] = {}
    rest: list[Facts] = []
    for each in facts:
        tape = each.tape
        said = _verdict(each, policy, None)
        judged[tape.path] = (tape, said)
        if said.erase and tape.vault in left:
            left[tape.vault].without(tape.size or 0)
        elif not said.erase:
            rest.append(each)
    for each in sorted(rest, key=lambda each: last_used(each.tape)):
        tape = each.tape
        vault = left.get(tape.vault)
        if vault is None or not _is_too_full(policy, vault.fullness):
            continue
        said = _verdict(each, policy, vault.fullness)
        if said.erase:
            judged[tape.path] = (tape, said)
            vault.without(tape.size or 0)
    return list(judged.values())


def _verdict(facts: Facts, policy: Policy, fullness: Fullness | None) -> Verdict:
    """Return the verdict about one tape; a fault with it is its own."""
    try:
        return verdict(facts, policy, fullness)
    except (ValueError, OverflowError, ArithmeticError) as error:
        return Verdict(erase=False, reason=f"it cannot be judged: {error}")


# -- how it is written in a rules table


def _hour(node: Node, findings: Findings) -> int | str | None:
    if isinstance(node, Scalar) and node.text == "none":
        return "none"
    return reading.integer(0, 23)(node, findings)


def _percent(node: Node, findings: Findings) -> float | str | None:
    if isinstance(node, Scalar) and node.text == "none":
        return "none"
    return reading.number(1, 100)(node, findings)


def _span(node: Node, findings: Findings) -> float | str | None:
    if isinstance(node, Scalar) and node.text == "none":
        return "none"
    return reading.duration(node, findings)


CLEANUP = keys_of(
    Key(
        name="hour",
        read=_hour,
        type="an hour of 0 to 23, or none",
        default_text="none",
        help="when it runs, once a day, local time",
    ),
    Key(
        name="threshold",
        read=_percent,
        type="a percentage or none",
        default_text="none",
        help="tapes are emptied while their vault's file system is fuller",
    ),
    Key(
        name="minimum",
        read=reading.size,
        type="a size",
        default=0,
        default_text="0",
        help="smaller tapes stay",
    ),
    Key(
        name="retention",
        read=_span,
        type="a duration or none",
        default_text="none",
        help="how long a tape stays after its migration when its command did not say r=",
    ),
    Key(
        name="rest",
        read=reading.duration,
        type="a duration",
        default=DAY,
        default_text="1d",
        help="how long a tape stays after a write, a migration, a restore or a mount request",
    ),
    Key(
        name="dry_run",
        read=reading.boolean,
        type="true or false",
        default=True,
        default_text="true",
        help="only report what would be emptied; false switches the cleanup on",
    ),
)
"""The keys of `cleanup`."""


def check_cleanup(section: Section | None, findings: Findings) -> None:
    """Warn of a cleanup that never runs though nobody has said so."""
    if section is not None and "hour" not in section.given:
        remedy = "hour: 3, or hour: none if only `vtspolicy tapes --verdict` is wanted"
        findings.add(section.table, "this cleanup has no hour: it never runs", remedy, warning=True)


def policy_of(section: Section | None) -> Policy:
    """Return the policy that a section says; none of its values are missing."""
    if section is None:
        return Policy()
    given = {name: section[name] for name in CLEANUP if section[name] not in {None, "none"}}
    return Policy(**given)
