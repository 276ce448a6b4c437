"""`vtspolicy parse` and `vtspolicy grammar`: the language of the commands, tried and looked up."""

import json
from pathlib import Path

import click

from vtspolicy.cli.tables import width
from vtspolicy.config.problems import ConfigurationError
from vtspolicy.exit_codes import Exit
from vtspolicy.grammar import Command, CommandError, Vocabulary, diagnose, load_vocabulary
from vtspolicy.grammar import parse as parse_text
from vtspolicy.grammar.reference import describe, describe_family, one_family, overview
from vtspolicy.suggest import did_you_mean

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_families = click.option(
    "--families",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the site's own families and keywords; can be given again.",
)


@click.command()
@_json
@_families
@click.argument("text")
def parse(text: str, families: tuple[Path, ...], *, as_json: bool) -> None:
    """Show what TEXT, an event's text beginning with VTSPolicy, means.

    Exit status: 0 for a command; 4 for a mistake, which is shown with a caret under its column.
    """
    vocabulary = _vocabulary(families)
    try:
        command = parse_text(text, vocabulary)
    except CommandError as error:
        if as_json:
            place = {"column": error.column, "message": error.message, "hint": error.hint}
            click.echo(json.dumps({"error": place}))
        else:
            click.echo(diagnose(text, error, width=width()))
        raise SystemExit(Exit.REFUSED) from None
    click.echo(json.dumps(as_data(command)) if as_json else _as_text(command))


@click.command()
@_json
@_families
@click.argument("family", required=False)
def grammar(family: str | None, families: tuple[Path, ...], *, as_json: bool) -> None:
    """Show the forms and families of the language, or the keywords of one FAMILY."""
    vocabulary = _vocabulary(families)
    if family is None:
        click.echo(json.dumps(describe(vocabulary)) if as_json else overview(vocabulary))
        return
    known = vocabulary.families.get(family)
    if known is None:
        names = list(vocabulary.families)
        remedy = did_you_mean(family, names) or f"known are {', '.join(names)}"
        raise click.BadParameter(f"{family!r} is not a family or verb: {remedy}")
    click.echo(json.dumps(describe_family(known)) if as_json else one_family(known, width=width()))


def as_data(command: Command) -> dict[str, object]:
    """Return the Command as `parse --json` prints it: absent parts are null."""
    return {
        "family": command.family,
        "operation": command.operation,
        "targets": [
            {"vault": target.vault, "pool": target.pool, "cartridge": target.cartridge}
            for target in command.targets
        ],
        "keywords": dict(command.keywords),
        "ref": command.ref,
        "warnings": list(command.warnings),
    }


def _as_text(command: Command) -> str:
    rows = [("family", command.family)]
    if command.operation is not None:
        rows.append(("operation", command.operation))
    for target in command.targets:
        pool = target.vault is not None and target.cartridge is None
        rows.append(("pool" if pool else "tape", target.path or target.cartridge or ""))
    rows += command.keywords.items()
    if command.ref is not None:
        rows.append(("ref", command.ref))
    rows += [("warning", warning) for warning in command.warnings]
    first = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{first}}  {value}" for name, value in rows)


def _vocabulary(families: tuple[Path, ...]) -> Vocabulary:
    try:
        return load_vocabulary(families)
    except ConfigurationError as error:
        from vtspolicy.cli.options import give_up  # noqa: PLC0415 - only for a mistake

        give_up(str(error), Exit.USAGE)
