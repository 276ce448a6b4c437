"""`vtspolicy explain`: what the rules would do with a command, and why."""

import os
import shlex
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import click
from attrs import frozen

from vtspolicy.cli.language import as_data
from vtspolicy.cli.options import Exit, give_up, json_option, print_json
from vtspolicy.config.keys import DEFAULT_FILE, PREFIX
from vtspolicy.config.load import SHIPPED, load_configuration
from vtspolicy.config.model import Configuration
from vtspolicy.config.problems import ConfigurationError
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
from vtspolicy.rights import why_not_command, why_not_tapes
from vtspolicy.rules import explain as explaining
from vtspolicy.rules.cases import EXAMPLE_NODE
from vtspolicy.rules.decision import Circumstances
from vtspolicy.rules.expand import ExpansionError
from vtspolicy.rules.facts import FactsError, tape_of
from vtspolicy.rules.load import load_table
from vtspolicy.rules.table import Table
from vtspolicy.suggest import did_you_mean
from vtspolicy.tapes import Tape
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
    exactly what would run. Nothing is run. Exit status: 0 something would run, 4 rejected, denied
    or no rule.
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
        tapes=found,
    )
    denial = _right(site, host, command, found)
    try:
        data = explaining.explain(site.table, command, around)
    except ExpansionError as error:
        give_up(str(error), Exit.REFUSED)
    if denial is not None:
        data |= {"verdict": "denied", "reason": denial, "rule": None, "number": None, "jobs": []}
    data = {"command": as_data(command), "at": str(at), "host": host, "note": note, **data}
    if as_json:
        print_json(data)
    else:
        click.echo(f"rules: {site.source}\n")
        click.echo(render(data))
    raise SystemExit(Exit.DONE if data["verdict"] == "run" else Exit.REFUSED)


def _time(written: str | None) -> datetime:
    if written is None:
        return datetime.now()  # noqa: DTZ005 - the node's local time is what rules mean
    try:
        return datetime.fromisoformat(written)
    except ValueError:
        raise click.BadParameter(
            f"{written!r} is no time, as 2026-11-22 02:14", param_hint="--at"
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
        for problem in error.problems:
            click.echo(str(problem), err=True)
        raise SystemExit(Exit.USAGE) from None


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
        click.echo(diagnose(text, error), err=True)
    raise SystemExit(Exit.REFUSED)


def _right(site: Site, host: str | None, command: Command, tapes: tuple[Tape, ...]) -> str | None:
    """Return why the host may not give the command at all, or None."""
    if site.configuration is None or host is None:
        return None
    known = site.configuration.hosts[host]
    return why_not_command(known, command) or why_not_tapes(known, tapes)


def _tapes(
    command: Command, site: Site, facts: Sequence[str], at: datetime
) -> tuple[tuple[Tape, ...], str]:
    """The tapes of a command and, in words, where they come from."""
    roots = site.configuration.vaults if site.configuration else {}
    if facts:
        try:
            return tuple(tape_of(each, at=at, roots=roots) for each in facts), "tapes as given"
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
        tape_of(each, at=at) for target in command.targets for each in _imagined(command, target)
    ), "imagined tapes; --tape says what they are"


def _known(configuration: Configuration, tapes: tuple[Tape, ...]) -> tuple[tuple[Tape, ...], str]:
    """The tapes with what the ledger knows of their copies, if it can be asked."""
    # Not needed for a newcomer's first trial, which has no ledger.
    from vtspolicy.engine.ourselves import known  # noqa: PLC0415
    from vtspolicy.ledger import LedgerError, open_book  # noqa: PLC0415

    try:
        with open_book(configuration.ledger, readonly=True) as book:
            return known(book, tapes), "tapes as their files and the ledger say now"
    except (LedgerError, sqlite3.Error, OSError, ValueError) as error:
        return tapes, f"tapes as their files are now; no ledger tells of copies ({error})"


def _imagined(command: Command, target: Target) -> Iterable[str]:
    """Facts of tapes that fit what a command is about."""
    if target.vault is None:
        state = "erased" if command.operation == "restore" else "migrated"
        return (f"/VAULT01/EXAMPLE/{target.cartridge} {state}",)
    if target.cartridge is None:
        return tuple(f"{target.path}/A0000{number}" for number in (1, 2))
    return (target.path or "",)


# -- for people


def render(data: explaining.Data) -> str:
    """Return an explanation as text."""
    lines = [_command_line(data["command"]), f"at {data['at'][:16]}, {data['note']}"]
    if data["host"]:
        lines[1] += f", from {data['host']}"
    lines += [f"warning: {warning}" for warning in data["command"]["warnings"]]
    lines += ["", *_rule_lines(data["rules"]), "", _verdict(data)]
    for number, job in enumerate(data["jobs"], 1):
        lines += ["", f"job {number}: {job['tape'] or job['pool']}", *_job_lines(job)]
    if data["left_out"]:
        lines += ["", "left out:"]
        lines += [f"  {each['tape']}: {each['reason']}" for each in data["left_out"]]
    return "\n".join(lines)


def _command_line(command: Mapping[str, Any]) -> str:
    parts = [command["family"], command["operation"] or ""]
    parts += [
        "/" + "/".join(part for part in target.values() if part)
        if target["vault"]
        else target["cartridge"]
        for target in command["targets"]
    ]
    parts += [f"{name}={value}" for name, value in command["keywords"].items()]
    parts += [f"ref={command['ref']}"] if command["ref"] else []
    return "command: " + " ".join(part for part in parts if part)


def _rule_lines(rules: Sequence[Mapping[str, Any]]) -> list[str]:
    width = max((len(each["rule"]) for each in rules), default=0)
    lines = []
    for each in rules:
        if each["matched"]:
            how = "matches"
        elif each["reached"]:
            how = f"no: {each['condition']}, found {each['found']}"
        else:
            how = "not reached"
        lines.append(f"{each['number']:4}  {each['rule']:{width}}  {how}")
    return lines or ["   there are no rules"]


def _verdict(data: explaining.Data) -> str:
    if data["verdict"] == "norule":
        return "no rule matches: NORULE"
    if data["verdict"] == "denied":
        by = f' by rule {data["number"]}, "{data["rule"]}"' if data["rule"] else ""
        return f"denied{by}: {data['reason']}"
    jobs = len(data["jobs"])
    what = "no job, because there is no tape to do it with" if not jobs else f"{jobs} job"
    return f'rule {data["number"]}, "{data["rule"]}", decides: {what}{"s" if jobs > 1 else ""}'


def _job_lines(job: Mapping[str, Any]) -> list[str]:
    seats = job["seats"]
    retry = job["retry"]
    rows = [
        ("first", _call(job["prepare"])),
        ("runs", shlex.join(job["run"]) if job["run"] else "by this program itself"),
        ("input", _lines(job["input"])),
        ("application", f"{job['application']}, {seats} seat{'' if seats == 1 else 's'}"),
        ("variables", " ".join(f"{name}={value}" for name, value in job["env"].items())),
        ("lock", job["lock"] or "none"),
        ("priority", str(job["priority"]) if job["priority"] else ""),
        ("starts", _starts(job)),
        ("time-outs", _timeouts(job["timeouts"])),
    ]
    if retry["attempts"] > 1:
        delay = f"{duration(retry['delay'])} apart"
        factor = f", each {retry['backoff']:g} times longer" if retry["backoff"] != 1 else ""
        when = " or ".join(retry["on"])
        rows.append(("attempts", f"{retry['attempts']}, {delay}{factor}, after {when}"))
    rows.append(("interrupted", "runs again" if job["on_interrupt"] == "retry" else "fails"))
    if job["run"]:
        rows.append(("success", "; ".join(_success(job))))
    rows += [(name, _call(job[name])) for name in ("poll", "verify")]
    if job["cancel"]:
        rows.append(("cancel", _call({"run": job["cancel"], "input": job["cancel_input"]})))
    rows.append(("ready", shlex.join(job["ready"] or ())))
    rows.append(("then", f"the tape is {job['then']}" if job["then"] else ""))
    return [f"  {name:12} {value}" for name, value in rows if value]


def _call(query: Mapping[str, Any] | None) -> str:
    """A query as one line: what runs, and the lines that it reads."""
    if query is None:
        return ""
    lines = _lines(query["input"])
    return shlex.join(query["run"]) + (f" < {lines}" if lines else "")


def _lines(text: str | None) -> str:
    return " / ".join((text or "").splitlines())


def _starts(job: Mapping[str, Any]) -> str:
    if job["starts"] is None:
        return f"never: no hours of {job['between']} are to come"
    return f"{job['starts']} ({job['between']})" if job["waits"] else "at once"


def _success(job: Mapping[str, Any]) -> list[str]:
    words = [f"exit code {_codes(job['outcome'], 'completed') or 'none'}", *job["expect"]]
    warnings = _codes(job["outcome"], "warning")
    if job["verify"]:
        words.append(" and ".join(["the query finds the copy", *job["verify"]["expect"]]))
    if warnings:
        words.append(f"with warnings {warnings}")
    return words


def _codes(outcome: Mapping[str, str], state: str) -> str:
    return ", ".join(code for code, name in outcome.items() if name == state)


_TIMEOUT_WORDS = {
    "waiting": "waiting",
    "attempt": "one attempt",
    "total": "all attempts",
    "silence": "silence",
    "grace": "stopping",
}


def _timeouts(timeouts: Mapping[str, float | None]) -> str:
    return ", ".join(
        f"{_TIMEOUT_WORDS[name]} {duration(seconds)}"
        for name, seconds in timeouts.items()
        if seconds is not None
    )


def duration(seconds: float) -> str:
    """Return a duration as tables are written: 90s, 12h, 7d."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"
