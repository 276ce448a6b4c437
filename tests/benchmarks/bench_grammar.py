"""How many commands a second the language's parser reads, beside a floor and its peers.

    python tests/benchmarks/bench_grammar.py [--json] [--rounds 7] [--texts 200]

All read the same texts in the same run, in turns; a figure is the best of several rounds.

- floor: one hand-written regular expression for the one form of the texts
- matching: our pyparsing grammar alone, from the text to tokens
- parse: what the program calls, from the text to a checked Command
- naive: the same language in pyparsing the way one writes it first, of Words and Keywords
- Lark: the same language for its LALR parser with the contextual lexer, from the text to a tree

The longest legal texts follow, right and wrong, in milliseconds for one.
"""

import argparse
import contextlib
import json
import random
import re
import time
from collections.abc import Callable, Sequence

import click
from lark import Lark
from pyparsing import (
    Combine,
    Group,
    Keyword,
    OneOrMore,
    Opt,
    ParserElement,
    Suppress,
    Word,
    ZeroOrMore,
    alphanums,
    alphas,
    nums,
    one_of,
    printables,
)

from vtspolicy.grammar import CommandError, parse, shipped
from vtspolicy.grammar.syntax import grammar_of

GOALS = {"of naive": 2.0, "of Lark": 1.0}
LONGEST_MS = 50.0

FLOOR = re.compile(
    r"VTSPolicy +(TSM|NBU|LEG|BEX|HPD|ARC|IDR|FTX|DSK|RST|BRG|BAC) +'(?:(archive|selective) +)?"
    r"/(VAULT[\w-]+)/([\w.@#$+-]+)(?:/([\w.@#$+-]+))?((?: +\w+ *= *[^\s='\"]+)*) *'\s*\Z",
    re.ASCII,
)
FLOOR_PAIR = re.compile(r"(\w+) *= *(\S+)", re.ASCII)

LARK = r"""
start: "VTSPolicy" (application | tapes | request)
application: APPLICATION ("'" words "'" | "\"" words "\"")
words: OPERATION? PATH pair*
tapes: ON_TAPES "-" TAPE+ pair*
request: ON_REQUESTS "-" REQUEST pair*
pair: KEYWORD "=" VALUE
APPLICATION.2: "TSM"|"NBU"|"LEG"|"BEX"|"HPD"|"ARC"|"IDR"|"FTX"|"DSK"|"RST"|"BRG"|"BAC"
ON_TAPES.2: "Erase"|"Delete"|"Restore"
ON_REQUESTS.2: "Status"|"Cancel"
OPERATION.2: "archive"|"selective"
PATH: /\/VAULT[A-Za-z0-9_-]+\/[A-Za-z0-9_.@#$+-]+(\/[A-Za-z0-9_.@#$+-]+)?/
TAPE.2: /[A-Za-z0-9_.@#$+-]+(?![A-Za-z0-9_.@#$+-]|\s*=)/
REQUEST: /[0-9]{1,18}/
KEYWORD: /[A-Za-z][A-Za-z0-9_-]*(?=\s*=)/
VALUE: /[!#-&(-<>-~]+/
%ignore /[ \t\r\n]+/
"""


def naive_grammar() -> ParserElement:
    """Return the language as a first draft says it: no terminal is more than a word."""
    word = Word(alphanums + "_.@#$+-")
    part = Suppress("/") + word
    vault = Suppress("/") + Combine("VAULT" + word)
    path = Group(vault + part + Opt(part))
    value = Word(printables, exclude_chars="'\"=")
    pair = Group(Combine(Word(alphas, alphanums + "_-")) + Suppress("=") + value)
    words = Opt(one_of("archive selective", as_keyword=True)) + path + ZeroOrMore(pair)
    quoted = Suppress("'") + words + Suppress("'") | Suppress('"') + words + Suppress('"')
    families = [family.name for family in shipped().applications]
    application = one_of(families, as_keyword=True) + quoted
    tape = word + ~Suppress("=")
    verbs = one_of("Erase Delete Restore", as_keyword=True)
    tapes = verbs + Suppress("-") + OneOrMore(tape) + ZeroOrMore(pair)
    request = one_of("Status Cancel", as_keyword=True) + Suppress("-") + Word(nums)
    return Suppress(Keyword("VTSPolicy")) + (application | tapes | request + ZeroOrMore(pair))


def tsm_commands(count: int) -> list[str]:
    """Return different TSM commands of the newest form, as hosts send them."""
    dice = random.Random(1)
    return [
        f"VTSPolicy TSM '{dice.choice(['archive', 'selective'])} "
        f"/VAULT{dice.randrange(1, 9):02}/POOL{dice.randrange(50)}/A{number:05} "
        f"s=vts{dice.randrange(9)}.example.com o=/opt/tivoli/dsm{number}.opt "
        f"r={dice.randrange(1, 99)},{dice.choice('dwmy')}'"
        for number in range(count)
    ]


def by_hand(text: str) -> tuple[str, ...]:
    """Read a text with regular expressions alone."""
    match = FLOOR.match(text)
    if match is None:
        raise AssertionError(f"the floor does not take {text}")
    pairs = dict(FLOOR_PAIR.findall(match[6]))
    return (*match.groups()[:5], *pairs)


def readers() -> dict[str, Callable[[str], object]]:
    """Return what is measured, by its name in the table."""
    lark = Lark(LARK, parser="lalr")
    naive = naive_grammar()
    ours = grammar_of(shipped())
    return {
        "floor: one hand-written re": by_hand,
        "matching (pyparsing)": ours.parse_string,
        "parse, to a Command": parse,
        "naive: pyparsing of Words": lambda text: naive.parse_string(text, parse_all=True),
        "Lark LALR": lark.parse,
    }


def rates(texts: Sequence[str], rounds: int) -> dict[str, float]:
    """Return texts a second for every reader, the best of `rounds` in turns."""
    measured = readers()
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, read in measured.items():
            start = time.perf_counter()
            for text in texts:
                read(text)
            rate = len(texts) / (time.perf_counter() - start)
            best[name] = max(best.get(name, 0.0), rate)
    return {name: round(rate) for name, rate in best.items()}


def longest() -> dict[str, str]:
    """Return texts of the greatest length, right and wrong."""
    start = "VTSPolicy TSM 'archive /VAULT01/PAYROLL "
    texts = {
        "right, 570 tapes": "VTSPolicy Erase -" + "".join(f" A{n:05}" for n in range(572)),
        "right, blanks": f"{start}{' ' * 4024}"[:4019] + "s=a'",
        "wrong in the last word": "VTSPolicy Erase -" + " A1" * 1335 + "*",
        "wrong, 1300 words": start + "x=y " * 1300,
        "wrong, one long word": start + "o=/" + "a" * 4024,
    }
    return {name: text[:4024] for name, text in texts.items()}


def milliseconds(text: str, rounds: int) -> float:
    """Return how long one text takes, right or wrong, the best of `rounds`."""
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        with contextlib.suppress(CommandError):
            parse(text)
        best = min(best, time.perf_counter() - start)
    return round(best * 1000, 2)


def main(argv: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    """Measure, print a table or JSON, and return the figures."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--json", action="store_true", help="print one JSON object")
    options.add_argument("--rounds", type=int, default=7, help="the best of so many counts")
    options.add_argument("--texts", type=int, default=200, help="different texts in a round")
    chosen = options.parse_args(argv)
    texts = tsm_commands(chosen.texts)
    per_second = rates(texts, chosen.rounds)
    ours = per_second["matching (pyparsing)"]
    ratios = {
        "of naive": round(ours / per_second["naive: pyparsing of Words"], 2),
        "of Lark": round(ours / per_second["Lark LALR"], 2),
        "of the floor": round(ours / per_second["floor: one hand-written re"], 2),
    }
    slowest = {name: milliseconds(text, chosen.rounds) for name, text in longest().items()}
    figures = {
        "commands_per_s": per_second,
        "matching_ratio": ratios,
        "ms_for_4024_characters": slowest,
    }
    if chosen.json:
        click.echo(json.dumps({"grammar": figures}))
        return figures
    for name, rate in per_second.items():
        click.echo(f"{name:32}{rate:>12,} commands/s")
    for name, ratio in ratios.items():
        goal = f"  (goal: {GOALS[name]})" if name in GOALS else ""
        click.echo(f"{'matching ' + name:32}{ratio:>12} times{goal}")
    for name, figure in slowest.items():
        click.echo(f"{'4024: ' + name:32}{figure:>12} ms  (goal: under {LONGEST_MS:.0f})")
    return figures


if __name__ == "__main__":
    main()
