"""What many rules of one family cost: commands accepted, and what a command takes in the ledger."""

from pathlib import Path

from .accept import burst, held
from .ground import RULES, Server
from .size import Size
from .table import Beside, Line, at_least, middle

GOAL_KB = 3.0  # of ledger a command
WAYS = ("pool: N{}", "pool: 'N{}*'", "cartridge: 'N{}*'")
"""What the rules that do not match look at, in turns: a value, a glob, and a glob of each tape."""


def many(count: int) -> str:
    """Return a table with so many rules before those that decide."""
    head, rules = RULES.split("rules:\n")
    looks = [WAYS[number % 3].format(number) for number in range(count)]
    made = [
        f"  - {{rule: n{number}, when: {{family: DSK, {look}}}, deny: x}}"
        for number, look in enumerate(looks)
    ]
    return "\n".join([f"{head}rules:", *made, rules])


def measure(folder: Path, size: Size, *, peers: bool) -> list[Line]:
    """Measure a server with few rules and one with many in turns."""
    few, lots = folder / "few", folder / "many"
    few.mkdir()
    lots.mkdir()
    rates: dict[Path, list[float]] = {few: [], lots: []}
    with (
        Server(few) as one,
        Server(lots, rules=many(size.rules)) as other,
        held(one) as to_one,
        held(other) as to_other,
    ):
        for turn in range(size.rounds):
            for root, link in ((few, to_one), (lots, to_other)):
                taken = burst(link, f"B{turn}", size.burst, 1 + turn * size.burst)
                rates[root].append(size.burst / taken)
    commands = size.rounds * size.burst
    kilobytes = sum(each.stat().st_size for each in lots.glob("ledger.db*")) / commands / 1000
    beside = middle(rates[few])
    ours = middle(rates[lots])
    return [
        Line(
            row="rules",
            what=f"commands accepted, {size.rules:,} rules of the family",
            unit="commands/s",
            ours=ours,
            floors=(Beside(what="with three rules", value=beside),),
            goal="0.7 of with three",
            reached=at_least(ours, 0.7, beside),
        ),
        Line(
            row="rules",
            what="the ledger, for each of them",
            unit="KB",
            ours=kilobytes,
            goal=f"at most {GOAL_KB:g} KB",
            reached=kilobytes <= GOAL_KB,
        ),
    ]
