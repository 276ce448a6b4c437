"""What lists are narrowed by: options that they share, and names that do not exist."""

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import click

from vtspolicy.cli.options import give_up
from vtspolicy.cli.times import Time
from vtspolicy.config.model import Configuration
from vtspolicy.config.problems import ConfigurationError
from vtspolicy.exit_codes import Exit
from vtspolicy.suggest import did_you_mean

F = TypeVar("F", bound=Callable[..., Any])

MOST = 100_000
"""Rows of the longest list."""


def options(*some: Callable[[Any], Any]) -> Callable[[F], F]:
    """Return a decorator that adds options, in the order in which they are given."""

    def add(command: F) -> F:
        for each in reversed(some):
            command = each(command)
        return command

    return add


def states(kind: Collection[str]) -> Callable[[Any], Any]:
    """Return the option `--state`, which can be given several times."""
    return click.option(
        "--state",
        "state",
        type=click.Choice(list(kind)),
        multiple=True,
        help="Only these; can be given again.",
    )


HOST = click.option("--host", help="Only those of this host.")
REF = click.option("--ref", help="Only those with this reference of their host.")
FAMILY = click.option("--family", help="Only those of this family.")
SINCE = click.option(
    "--since", type=Time(), help="Only those that had not ended by then: 8h, yesterday, 18:00."
)
UNTIL = click.option("--until", type=Time(), help="Only those that were asked for before.")
RULE = click.option("--rule", help="Only those that this rule decided.")
APPLICATION = click.option("--application", help="Only those of this application.")
TAPE = click.option(
    "--tape", help="Only those about this tape, pool or vault: its whole name or a part of it."
)
NAMES = ("host", "family", "application", "rule")
"""Filters whose values are names that the configuration knows."""


def refuse_unknown(configuration: Configuration, given: Mapping[str, str | None]) -> None:
    """End the program where a list is empty because a name does not exist."""
    if not configuration.whole:
        return
    for kind in NAMES:
        name = given.get(kind)
        if name is None:
            continue
        known = _known(configuration, kind)
        if known is not None and name not in known:
            near = did_you_mean(name, known) or listed(known)
            give_up(f"there is no {kind} {name}", Exit.USAGE, near)


def listed(known: Collection[str]) -> str:
    """Return as a hint which names there are."""
    return f"configured: {', '.join(sorted(known)[:20])}" if known else "none is configured"


def _known(configuration: Configuration, kind: str) -> Collection[str] | None:
    """Return the configured names of a kind; None if the files that have them are wrong."""
    if kind == "host":
        return configuration.hosts
    from vtspolicy.grammar import load_vocabulary  # noqa: PLC0415 - only for a mistyped name
    from vtspolicy.rules.load import load_table  # noqa: PLC0415

    with suppress(ConfigurationError):
        vocabulary = load_vocabulary(configuration.families)
        if kind == "family":
            return vocabulary.families
        table = load_table(configuration.rules, vocabulary=vocabulary, configuration=configuration)
        return table.applications if kind == "application" else [r.name for r in table.rules]
    return None
