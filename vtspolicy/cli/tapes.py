"""Commands about virtual tapes: list, migrate, restore, erase, delete, mark."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from vtspolicy.cli.control import told
from vtspolicy.cli.options import (
    Exit,
    config_option,
    configured,
    give_up,
    json_option,
    print_json,
    reading,
)
from vtspolicy.cli.tables import Column, emit, recent, table
from vtspolicy.cli.tape_page import is_unproven, tape_page
from vtspolicy.client import Client
from vtspolicy.config.model import Configuration
from vtspolicy.config.problems import ConfigurationError
from vtspolicy.jobs import Request, RequestState
from vtspolicy.records import plain, request_row
from vtspolicy.tapes import Copy, Facts, Tape, TapeState, VaultFeatures
from vtspolicy.visible import visible

F = TypeVar("F", bound=Callable[..., None])

FIRST_LOOK, LAST_LOOK = 0.05, 1.0
"""Seconds between looks at a request that is waited for: soon at first, then now and then."""

SCAN_PATIENCE = 600.0
"""Seconds that a scan of all vaults may take."""

ENDS = {
    RequestState.COMPLETED: Exit.DONE,
    RequestState.WARNING: Exit.WARNINGS,
    RequestState.REJECTED: Exit.REFUSED,
    RequestState.DENIED: Exit.REFUSED,
    RequestState.NORULE: Exit.REFUSED,
}
"""Exit codes of requests that have ended; all others failed."""

REFUSED = frozenset({"REJECTED", "DENIED", "NORULE"})


def _wait_options(command: F) -> F:
    command = click.option(
        "--timeout",
        type=click.FloatRange(0),
        help="With --wait: give up waiting after so many seconds (exit 5); the work goes on.",
    )(command)
    command = click.option("--wait", is_flag=True, help="Wait for the end of the request.")(command)
    return click.option("--ref", help="A reference of one's own, kept with the request.")(command)


@click.command()
@config_option
@json_option
@click.option("--state", type=click.Choice([each.value for each in TapeState]), help="Only these.")
@click.option("--vault", help="Only those of this vault.")
@click.option("--pool", help="Only those of pools of this name.")
@click.option("--verdict", is_flag=True, help="Show what the cleanup would do with each, and why.")
@click.option(
    "--unproven",
    is_flag=True,
    help="Only tapes with data of which no copy is known that a query can prove.",
)
@click.option("--scan", is_flag=True, help="Have the server look through the vaults first.")
@click.argument("names", metavar="[TAPE]...", nargs=-1)
def tapes(
    *,
    config: Path,
    as_json: bool,
    state: str | None,
    vault: str | None,
    pool: str | None,
    verdict: bool,
    unproven: bool,
    scan: bool,
    names: tuple[str, ...],
) -> None:
    """List virtual tapes, all or each TAPE, as the catalogue knows them. No server need run.

    One TAPE alone is shown with all its copies and what they prove.
    """
    configuration = configured(config)
    if scan:
        client = Client(spool=configuration.spool, timeout=SCAN_PATIENCE)
        for trouble in told(lambda: client.post("scan")).get("troubles") or ():
            click.echo(visible(trouble), err=True)
    wanted = {_name(configuration, each) for each in names}
    evidence = verdict or unproven or len(names) == 1
    with reading(configuration) as book:
        known = book.tapes(vault=vault, pool=pool)
        copies = book.all_copies() if evidence else {}
        features = book.vault_features() if evidence else {}

    def features_of(tape: Tape) -> VaultFeatures:
        return features.get(tape.vault, VaultFeatures())

    verdicts = _verdicts(configuration, known, copies, features) if evidence else {}
    shown = [
        tape
        for tape in known
        if (state is None or tape.state.value == state)
        and (not wanted or wanted & {tape.name, tape.cartridge})
        and (not unproven or is_unproven(tape, copies.get(tape.path, ()), features_of(tape)))
    ]
    missing = wanted - {each for tape in shown for each in (tape.name, tape.cartridge)}
    if as_json:
        print_json(
            {"tapes": [_row(tape, verdicts, copies, evidence and not verdict) for tape in shown]}
        )
    elif len(names) == 1 and len(shown) == 1 and not (verdict or unproven):
        (tape,) = shown
        said = verdicts.get(tape.path)
        emit(tape_page(tape, copies.get(tape.path, ()), said, features_of(tape)))
    else:
        emit(_table(shown, verdicts if verdict or unproven else {}) if shown else "no tapes")
    if missing and state is None and not unproven:
        give_up(f"the catalogue does not know {', '.join(sorted(missing))}", Exit.FAILED)


Said = tuple[bool, str]  # whether it would be erased, and why


def _verdicts(
    configuration: Configuration,
    known: Sequence[Tape],
    copies: Mapping[str, Sequence[Copy]],
    features: Mapping[str, VaultFeatures],
) -> Mapping[str, Said]:
    """Return what the cleanup would do with each tape, and why, by its path."""
    # Rules are read only by whoever asks for verdicts.
    from vtspolicy.grammar import load_vocabulary  # noqa: PLC0415
    from vtspolicy.rules.cleanup import Fullness, plan  # noqa: PLC0415
    from vtspolicy.rules.load import load_table  # noqa: PLC0415
    from vtspolicy.rules.rulings import movable  # noqa: PLC0415
    from vtspolicy.vaults import VaultError, Vaults  # noqa: PLC0415

    try:
        vocabulary = load_vocabulary(configuration.families)
        rules = load_table(configuration.rules, vocabulary=vocabulary, configuration=configuration)
    except ConfigurationError as error:
        give_up("\n".join(map(str, error.problems)), Exit.USAGE)
    fullness = {}
    vaults = Vaults(configuration.vaults)
    for vault in configuration.vaults:
        try:
            total, taken = vaults.fullness(vault)
        except VaultError as error:
            click.echo(str(error), err=True)
        else:
            fullness[vault] = Fullness(total=total, taken=taken)
    now, can_move = time.time(), movable(rules)
    facts = [
        Facts(
            tape=tape,
            copies=tuple(copies.get(tape.path, ())),
            now=now,
            features=features.get(tape.vault, VaultFeatures()),
            accepted=configuration.vaults_without.get(tape.vault, frozenset()),
            cleanup=True,
            movable=can_move,
        )
        for tape in known
    ]
    judged = plan(facts, rules.cleanup, fullness)
    return {tape.path: (said.erase, said.reason) for tape, said in judged}


def _row(
    tape: Tape,
    verdicts: Mapping[str, Said],
    copies: Mapping[str, Sequence[Copy]],
    with_copies: bool,
) -> dict[str, Any]:
    row = {"tape": tape.name, "state": tape.state.value, **plain(tape)}
    said = verdicts.get(tape.path)
    if said is not None:
        row["verdict"] = {"erase": said[0], "reason": said[1]}
    if with_copies:
        row["copies"] = plain(list(copies.get(tape.path, ())))
    return row


def _table(shown: Sequence[Tape], verdicts: Mapping[str, Said]) -> str:
    columns = [
        Column("tape"),
        Column("state"),
        Column("size", right=True),
        Column("written", needs=130 if verdicts else 80),
        Column("migrated", needs=130 if verdicts else 80),
        Column("application", needs=110),
        Column("handle", gives=True, needs=170 if verdicts else 110),
        Column("kept", needs=130),
        Column("note", gives=True, needs=110 if verdicts else 0),
    ]
    if verdicts:
        columns += [Column("verdict"), Column("because", wraps=True)]
    rows = []
    for tape in shown:
        said = verdicts.get(tape.path)
        row = [
            *(tape.name, tape.state.value, tape.size, recent(tape.written), recent(tape.migrated)),
            *(tape.application, tape.handle, tape.retention, _note(tape)),
        ]
        if verdicts:
            row += [("erase" if said[0] else "keep", said[1]) if said else ("", "")][0]
        rows.append(row)
    return table(columns, rows)


def _note(tape: Tape) -> str:
    notes = [
        "locked" if tape.locked else "",
        "copy not by us" if tape.handle and not tape.by_us else "",
        "restore not ended" if tape.restoring is not None else "",
        f"override: {tape.override}" if tape.override is not None else "",
        f"on {tape.media}" if tape.media else "",
    ]
    return ", ".join(note for note in notes if note)


# -- orders


@click.command()
@config_option
@json_option
@click.option("--application", metavar="FAMILY", required=True, help="As TSM, DSK or RST.")
@click.option(
    "--operation", default="archive", show_default=True, help="archive, selective, or none."
)
@_wait_options
@click.argument("path")
@click.argument("keywords", metavar="[KEYWORD=VALUE]...", nargs=-1)
def migrate(
    *,
    config: Path,
    as_json: bool,
    application: str,
    operation: str,
    ref: str | None,
    wait: bool,
    timeout: float | None,
    path: str,
    keywords: tuple[str, ...],
) -> None:
    """Have an application copy the tape or pool at PATH, by the same rules as for a host."""
    configuration = configured(config)
    for each in keywords:
        if "=" not in each:
            raise click.UsageError(f'"{each}" is no KEYWORD=VALUE')
    words = [operation if operation != "none" else "", _name(configuration, path), *keywords]
    words += [f"ref={ref}"] if ref else []
    inner = " ".join(word for word in words if word)
    quote = '"' if "'" in inner else "'"
    text = f"VTSPolicy {application} {quote}{inner}{quote}"
    _order(configuration, text, (), {}, as_json=as_json, wait=wait, timeout=timeout)


def _verb(verb: str, about: str) -> Callable[..., None]:
    """Return the body of restore, erase or delete."""

    def body(
        *,
        config: Path,
        as_json: bool,
        ref: str | None,
        wait: bool,
        timeout: float | None,
        names: tuple[str, ...],
        override: str | None = None,
        copy: str | None = None,
        to: Path | None = None,
    ) -> None:
        configuration = configured(config)
        given = [_name(configuration, each) for each in names]
        given_with = {"override": override, "copy": copy, "to": str(to) if to is not None else None}
        wishes = {name: value for name, value in given_with.items() if value is not None}
        if wishes and len(given) != 1:
            raise click.UsageError(f"--{' --'.join(wishes)} is for one tape at a time")
        bare = [each.rpartition("/")[2] for each in given]
        text = " ".join([f"VTSPolicy {verb} -", *bare, *([f"ref={ref}"] if ref else [])])
        expected = [each for each in given if each.startswith("/")]
        _order(configuration, text, expected, wishes, as_json=as_json, wait=wait, timeout=timeout)

    body.__doc__ = about
    body.__name__ = verb.lower()
    return body


def _tape_command(verb: str, about: str) -> click.Command:
    command = click.argument("names", metavar="TAPE...", nargs=-1, required=True)(
        _verb(verb, about)
    )
    does = "Overwrite" if verb == "Restore" else "Empty"
    command = click.option(
        "--override",
        metavar="REASON",
        help=f"{does} this one tape, as it is now, without a proven copy; the reason is kept."
        " It holds for this order only, and for a day.",
    )(command)
    if verb == "Restore":
        command = click.option(
            "--to",
            type=click.Path(path_type=Path, resolve_path=True),
            help="Write the copy to this new file, and leave the tape as it is.",
        )(command)
        command = click.option(
            "--copy",
            metavar="HANDLE",
            help="Bring back this copy, in place of the one with the last known content;"
            " `vtspolicy tapes TAPE` lists them.",
        )(command)
    command = config_option(json_option(_wait_options(command)))
    return click.command(name=verb.lower())(command)


restore = _tape_command(
    "Restore",
    "Bring each TAPE back from the application that has its copy.\n\n"
    "A TAPE is a bare name, /VAULT/POOL/NAME, or the path of its file.",
)
erase = _tape_command(
    "Erase",
    "Empty each TAPE and keep its record, if its copy is proven.\n\n"
    "The application is asked for the copy first. A TAPE is a bare name, /VAULT/POOL/NAME, or the"
    " path of its file.",
)
delete = _tape_command(
    "Delete",
    "Remove each TAPE, if its copy is proven; the record of the copy is kept.\n\n"
    "The application is asked for the copy first. A TAPE is a bare name, /VAULT/POOL/NAME, or the"
    " path of its file.",
)


@click.command(name="withdraw-override")
@config_option
@click.argument("path", metavar="TAPE")
def withdraw_override(*, config: Path, path: str) -> None:
    """Withdraw the override of TAPE while the order that it was given with still waits."""
    configuration = configured(config)
    client = Client(spool=configuration.spool)
    answer = told(lambda: client.post("withdraw", tape=_name(configuration, path)))
    emit(f"nothing is overruled for {visible(answer['tape'])} any more")


@click.command()
@config_option
@json_option
@click.option("--application", required=True, help="That made the copy, or brought it back.")
@click.option("--handle", help="By which the application finds the copy; of migrated only.")
@click.option("--retention", metavar="N,UNIT", help="How long it is kept, as 14,d.")
@click.option("--media", help="On which of the application's media the copy is.")
@click.option("--size", type=click.IntRange(1), help="How many bytes of the tape were copied.")
@click.option(
    "--began",
    metavar="TIME",
    help="When the copy began, as 2026-11-22T02:14:09; of migrated. Without it, or without --size,"
    " the copy is recorded, and allows an erase only after its data was read back.",
)
@click.argument("state", type=click.Choice(["migrated", "restored"]))
@click.argument("path")
def mark(
    *,
    config: Path,
    as_json: bool,
    application: str,
    handle: str | None,
    retention: str | None,
    media: str | None,
    size: int | None,
    began: str | None,
    state: str,
    path: str,
) -> None:
    """Note that an application itself has migrated or restored the tape at PATH.

    For the post-command of the application's own schedule. The catalogue tells such copies from
    ours, and nothing is emptied by itself because of one. A mount that waits for a restored tape
    is answered.
    """
    if state == "migrated" and not handle:
        raise click.UsageError("a migrated tape needs --handle")
    configuration = configured(config)
    given = {
        "tape": _name(configuration, path),
        "state": state,
        "application": application,
        "handle": handle,
        "retention": retention,
        "media": media,
        "size": size,
        "began": began,
    }
    arguments = {key: value for key, value in given.items() if value is not None}
    client = Client(spool=configuration.spool)
    answer = told(lambda: client.post("mark", **arguments))
    if as_json:
        print_json(dict(answer))
    else:
        emit(f"{visible(answer['tape'])} is {visible(answer['state'])}")
        if answer.get("doubt"):
            emit(f"its copy is recorded, and allows no erase yet: {visible(answer['doubt'])}")


def _name(configuration: Configuration, written: str) -> str:
    """Return a tape or pool as commands name it, whatever way it was written."""
    path = Path(written)
    if path.is_absolute():
        for vault, root in configuration.vaults.items():
            for base in {root, root.resolve()}:
                if path.is_relative_to(base) and path != base:
                    return "/".join(["", vault, *path.relative_to(base).parts])
    return re.sub(r"(?<=.)/+\Z", "", written)


def _order(
    configuration: Configuration,
    text: str,
    expected: Sequence[str],
    wishes: Mapping[str, str],
    *,
    as_json: bool,
    wait: bool,
    timeout: float | None,
) -> None:
    """Give a command to the server; end the program by what became of it."""
    if timeout is not None and not wait:
        raise click.UsageError("--timeout needs --wait")
    client = Client(spool=configuration.spool)
    given = {"text": text, **wishes} | ({"tapes": " ".join(expected)} if expected else {})
    answer = told(lambda: client.post("order", **given))
    number, word = int(answer["request"]), str(answer["word"])
    reason = f": {visible(answer['reason'])}" if answer.get("reason") else ""
    if word == "NORULE":
        reason = f": no rule matches; `vtspolicy why {number}` shows what each of them wants"
    if word in REFUSED:
        if as_json:
            print_json(dict(answer))
        give_up(f"{word.lower()}, request {number}{reason}", Exit.REFUSED)
    if not wait:
        jobs = int(answer["jobs"])
        if as_json:
            print_json(dict(answer))
        elif jobs:
            emit(f"request {number}: {jobs} {'job' if jobs == 1 else 'jobs'}")
        if not jobs:
            _end(configuration, number, as_json=as_json, quiet=as_json)
        return
    request = _follow(configuration, number, timeout)
    if request is None:
        give_up(f"gave up waiting for request {number}; it goes on", Exit.GAVE_UP)
    _tell(request, as_json=as_json)


def _end(configuration: Configuration, number: int, *, as_json: bool, quiet: bool) -> None:
    request = _follow(configuration, number, 10.0)
    if request is not None:
        _tell(request, as_json=as_json, quiet=quiet)


def _tell(request: Request, *, as_json: bool, quiet: bool = False) -> None:
    code = ENDS.get(request.state, Exit.FAILED)
    if quiet:
        pass
    elif as_json:
        print_json(request_row(request))
    else:
        reason = f": {visible(request.reason)}" if request.reason else ""
        click.echo(f"request {request.id} {request.state.value}{reason}", err=code is Exit.FAILED)
    raise SystemExit(code)


def _follow(configuration: Configuration, number: int, timeout: float | None) -> Request | None:
    """Return a request when it has ended; None when that took too long.

    It is read from the ledger, so that a restart of the server does not end the waiting.
    """
    until = None if timeout is None else time.monotonic() + timeout
    look = FIRST_LOOK
    while True:
        with reading(configuration) as book:
            request = book.request(number)
        if request is not None and request.state is not RequestState.OPEN:
            return request
        left = look if until is None else until - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(look, left))
        look = min(look * 1.5, LAST_LOOK)
