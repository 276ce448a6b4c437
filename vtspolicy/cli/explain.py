"""`vtspolicy explain`: what the rules would do with a command, and why."""

import os
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import click
from attrs import evolve, frozen

from vtspolicy.cli.explained import render
from vtspolicy.cli.language import as_data
from vtspolicy.cli.options import give_up, json_option, print_json
from vtspolicy.cli.tables import width
from vtspolicy.config.keys import DEFAULT_FILE, PREFIX
from vtspolicy.config.load import SHIPPED, load_configuration
from vtspolicy.config.model import Configuration
from vtspolicy.config.problems import ConfigurationError
from vtspolicy.events.event import Event
from vtspolicy.exit_codes import Exit
from vtspolicy.grammar import (
    Command,
    CommandError,
    Target,
    Vocabulary,
    diagnose,
    load_vocabulary,
    parse,
    shipped,
)
from vtspolicy.jobs import RequestState
from vtspolicy.rights import why_not_tapes
from vtspolicy.rules import explain as explaining
from vtspolicy.rules.cases import EXAMPLE_NODE
from vtspolicy.rules.decision import Circumstances
from vtspolicy.rules.expand import ExpansionError
from vtspolicy.rules.facts import FactsError, facts_of
from vtspolicy.rules.load import load_table
from vtspolicy.rules.table import Table
from vtspolicy.suggest import did_you_mean
from vtspolicy.tapes import Facts, Tape
from vtspolicy.vaults import VaultError, Vaults


@frozen(kw_only=True)
class Site:
    """Where a command is tried: a site's configuration, some rules files, or the shipped table."""

    configuration: Configuration | None
    vocabulary: Vocabulary
    table: Table
    source: str  # in words, for the reader


@click.command("explain")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar=f"{PREFIX}CONFIG",
    help=f"The configuration file; without it {DEFAULT_FILE}, or else the shipped table.",
)
@click.option(
    "--rules",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A rules table to try instead of the configured ones; can be given again.",
)
@click.option("--host", help="The configured host that sends it; an operator if not given.")
@click.option("--system", help="The \\SYSTEM in the header of its event.")
@click.option("--user", help="The user that its event proves.")
@click.option("--node", help="The node that decides.")
@click.option("--at", "at_text", help="Local time, as 2026-11-22 02:14; now if not given.")
@click.option(
    "--tape",
    "tapes",
    multiple=True,
    metavar="FACTS",
    help='A tape that need not exist: "/VAULT01/PAY/A00017 size=10M age=3d migrated".',
)
@json_option
@click.argument("text")
def explain(  # noqa: PLR0917 - one option each
    config: Path | None,
    rules: tuple[Path, ...],
    host: str | None,
    system: str | None,
    user: str | None,
    node: str | None,
    at_text: str | None,
    tapes: tuple[str, ...],
    as_json: bool,
    text: str,
) -> None:
    """Show what the rules would do with TEXT, a command beginning with VTSPolicy, and why.

    Every rule is shown with the first of its conditions that fails, then the one that decides and
    exactly what would run. Nothing is run. Exit status: 0 something would run, 1 there is no tape
    to do it with, 4 rejected, denied, no rule, or for another server.
    """
    at = _time(at_text)
    site = _site(config, rules)
    if host is not None:
        _known_host(site, host)
    try:
        command = parse(text, site.vocabulary)
    except CommandError as error:
        _rejected(text, error, as_json=as_json)
    found, note = _tapes(command, site, tapes, at)
    around = Circumstances(
        node=node or (site.configuration.node if site.configuration else EXAMPLE_NODE),
        at=at,
        host=host,
        system=system,
        user=user,
        tapes=tuple(each.tape for each in found),
    )
    try:
        refusal = _refusal(site, text, around)
    except CommandError as error:
        _rejected(text, error, as_json=as_json)
    try:
        data = explaining.explain(
            site.table, command, around, {each.tape.path: each for each in found}
        )
    except ExpansionError as error:
        give_up(str(error), Exit.REFUSED)
    if refusal is not None:
        verdict, reason = refusal
        data |= {"verdict": verdict, "reason": reason, "rule": None, "number": None}
        data |= {"jobs": [], "left_out": []}
    data = {"command": as_data(command), "at": str(at), "host": host, "note": note, **data}
    if as_json:
        print_json(data)
    else:
        click.echo(f"rules: {site.source}\n")
        click.echo(render(data))
    if data["verdict"] == "run" and not data["jobs"]:
        raise SystemExit(Exit.FAILED)
    raise SystemExit(Exit.DONE if data["verdict"] in {"run", "answered"} else Exit.REFUSED)


def _time(written: str | None) -> datetime:
    if written is None:
        return datetime.now()  # noqa: DTZ005 - the node's local time is what rules mean
    try:
        return datetime.fromisoformat(written)
    except ValueError:
        raise click.BadParameter(
            f"{written!r} is not a time, as 2026-11-22 02:14", param_hint="--at"
        ) from None


def load_site(config: Path | None, rules: Sequence[Path]) -> Site:
    """Return what a command is tried against; raises ConfigurationError."""
    if config is None and not rules and Path(DEFAULT_FILE).is_file():
        config = Path(DEFAULT_FILE)
    configuration = load_configuration(config, {}, os.environ) if config is not None else None
    vocabulary = load_vocabulary(configuration.families) if configuration else shipped()
    if rules:
        paths: Sequence[Path] = rules
        source = ", ".join(str(path) for path in rules)
    elif configuration is not None:
        paths, source = configuration.rules, f"those of {configuration.file}"
    else:
        paths, source = (SHIPPED / "dsk.yaml",), "the shipped table for DSK, and imagined tapes"
    table = load_table(paths, vocabulary=vocabulary, configuration=configuration)
    return Site(configuration=configuration, vocabulary=vocabulary, table=table, source=source)


def _site(config: Path | None, rules: Sequence[Path]) -> Site:
    try:
        return load_site(config, rules)
    except ConfigurationError as error:
        give_up(str(error), Exit.USAGE)


def _known_host(site: Site, host: str) -> None:
    known = site.configuration.hosts if site.configuration else {host: None}
    if host not in known:
        remedy = did_you_mean(host, known) or f"configured are {', '.join(known) or 'none'}"
        raise click.BadParameter(f"there is no host {host}: {remedy}", param_hint="--host")


def _rejected(text: str, error: CommandError, *, as_json: bool) -> NoReturn:
    if as_json:
        place = {"column": error.column, "message": error.message, "hint": error.hint}
        print_json({"verdict": "rejected", "error": place})
    else:
        click.echo(diagnose(text, error, width=width()), err=True)
    raise SystemExit(Exit.REFUSED)


def _refusal(site: Site, text: str, around: Circumstances) -> tuple[str, str] | None:
    """Return what the engine answers before it asks the rules, and why; None when it asks them.

    Raises CommandError for what only a cluster rejects.
    """
    if site.configuration is None:
        return None
    # Not needed for a newcomer's first trial, which has no configuration.
    from vtspolicy.engine.commands.about_request import AboutRequest  # noqa: PLC0415
    from vtspolicy.engine.commands.authorising import understand  # noqa: PLC0415
    from vtspolicy.engine.commands.steps import Authorised, Elsewhere, Unheard  # noqa: PLC0415
    from vtspolicy.engine.policy import Policy  # noqa: PLC0415
    from vtspolicy.engine.tapes.cleanup import OURSELVES  # noqa: PLC0415

    known = site.configuration.hosts[around.host] if around.host is not None else OURSELVES
    policy = Policy(
        configuration=evolve(site.configuration, node=around.node),
        vocabulary=site.vocabulary,
        table=site.table,
    )
    event = Event(text=text, system=around.system if around.host is not None else None)
    understood = understand(policy, event, hosts=(known,), address="", received=0.0)
    if isinstance(understood, Elsewhere):
        return "elsewhere", f"it is for {understood.server}, and this is {around.node}"
    if isinstance(understood, Unheard):
        return "denied", understood.reason
    if isinstance(understood, AboutRequest):
        return "answered", "by the server itself, without the rules"
    if not isinstance(understood, Authorised):
        reason = understood.reason or ""
        if understood.state is RequestState.REJECTED:
            raise CommandError(column=int(understood.fields["column"]), message=reason)
        return "denied", reason
    denial = why_not_tapes(known, around.tapes)
    return ("denied", denial) if denial is not None else None


def _tapes(
    command: Command, site: Site, facts: Sequence[str], at: datetime
) -> tuple[tuple[Facts, ...], str]:
    """What is known of the tapes of a command and, in words, where they come from."""
    roots = site.configuration.vaults if site.configuration else {}
    if facts:
        try:
            return tuple(facts_of(each, at=at, roots=roots) for each in facts), "tapes as given"
        except FactsError as error:
            raise click.BadParameter(
                f"{error.message}: {error.remedy}", param_hint="--tape"
            ) from None
    if site.configuration is not None:
        vaults = Vaults(roots)
        try:
            found = [tape for target in command.targets for tape in vaults.find(target).tapes]
        except VaultError as error:
            return (), f"no tapes: {error}"
        except OSError as error:
            return (), f"no tapes: {error.strerror}"
        return _known(site.configuration, tuple(found))
    return tuple(
        facts_of(each, at=at) for target in command.targets for each in _imagined(command, target)
    ), "imagined tapes; --tape says what they are"


def _known(configuration: Configuration, tapes: tuple[Tape, ...]) -> tuple[tuple[Facts, ...], str]:
    """The tapes, with what the ledger knows of their copies, if it can be asked."""
    # Not needed for a newcomer's first trial, which has no ledger.
    from vtspolicy.engine.tapes.checks import known  # noqa: PLC0415
    from vtspolicy.ledger import LedgerError, open_ledger  # noqa: PLC0415

    try:
        with open_ledger(configuration.ledger, readonly=True) as tx:
            now = time.time()
            facts = tuple(
                Facts(
                    tape=tape,
                    copies=tuple(tx.copies.of_tape(tape.path)),
                    now=now,
                    accepted=configuration.vaults_without.get(tape.vault, frozenset()),
                )
                for tape in known(tx, tapes, now)
            )
            return facts, "tapes as their files and the ledger say now"
    except (LedgerError, OSError, ValueError) as error:
        note = f"tapes as their files are now; without a ledger, copies are not known ({error})"
        return tuple(Facts(tape=tape) for tape in tapes), note


def _imagined(command: Command, target: Target) -> Iterable[str]:
    """Facts of tapes that fit what a command is about."""
    if target.vault is None:
        state = "erased" if command.operation == "restore" else "migrated"
        return (f"/VAULT01/EXAMPLE/{target.cartridge} {state}",)
    if target.cartridge is None:
        return tuple(f"{target.path}/A0000{number}" for number in (1, 2))
    return (target.path or "",)
