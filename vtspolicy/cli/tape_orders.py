"""Orders about virtual tapes: migrate, restore, erase, delete, mark, withdraw-override."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import click

from vtspolicy.cli.control import because, reason_option, told
from vtspolicy.cli.options import (
    config_option,
    configured,
    give_up,
    json_option,
    print_json,
    reading,
)
from vtspolicy.cli.tables import emit
from vtspolicy.cli.tape_page import tape_name
from vtspolicy.client import Client
from vtspolicy.config.model import Configuration
from vtspolicy.exit_codes import Exit
from vtspolicy.jobs import Request, RequestState
from vtspolicy.records import request_row
from vtspolicy.visible import visible

F = TypeVar("F", bound=Callable[..., None])

FIRST_LOOK, LAST_LOOK = 0.05, 1.0
"""Seconds between looks at a request that is waited for: soon at first, then now and then."""

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
        help="With --wait: give up waiting after so many seconds (exit 5); the work continues.",
    )(command)
    command = click.option("--wait", is_flag=True, help="Wait for the end of the request.")(command)
    command = click.option("--ref", help="Your reference, kept with the request.")(command)
    return reason_option(command)


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
    reason: str | None,
    wait: bool,
    timeout: float | None,
    path: str,
    keywords: tuple[str, ...],
) -> None:
    """Have an application copy the tape or pool at PATH, by the same rules as for a host."""
    configuration = configured(config)
    for each in keywords:
        if "=" not in each:
            raise click.UsageError(f'"{each}" is not KEYWORD=VALUE')
    words = [operation if operation != "none" else "", tape_name(configuration, path), *keywords]
    words += [f"ref={ref}"] if ref else []
    inner = " ".join(word for word in words if word)
    quote = '"' if "'" in inner else "'"
    text = f"VTSPolicy {application} {quote}{inner}{quote}"
    _order(configuration, text, (), because(reason), as_json=as_json, wait=wait, timeout=timeout)


def _verb(verb: str, about: str) -> Callable[..., None]:
    """Return the body of restore, erase or delete."""

    def body(
        *,
        config: Path,
        as_json: bool,
        ref: str | None,
        reason: str | None,
        wait: bool,
        timeout: float | None,
        names: tuple[str, ...],
        override: str | None = None,
        copy: str | None = None,
        to: Path | None = None,
    ) -> None:
        configuration = configured(config)
        given = [tape_name(configuration, each) for each in names]
        given_with = {"override": override, "copy": copy, "to": str(to) if to is not None else None}
        wishes = {name: value for name, value in given_with.items() if value is not None}
        if wishes and len(given) != 1:
            raise click.UsageError(f"--{' --'.join(wishes)} is for one tape at a time")
        bare = [each.rpartition("/")[2] for each in given]
        text = " ".join([f"VTSPolicy {verb} -", *bare, *([f"ref={ref}"] if ref else [])])
        expected = [each for each in given if each.startswith("/")]
        more = {**wishes, **because(reason)}
        _order(configuration, text, expected, more, as_json=as_json, wait=wait, timeout=timeout)

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
@json_option
@reason_option
@click.argument("path", metavar="TAPE")
def withdraw_override(*, config: Path, as_json: bool, reason: str | None, path: str) -> None:
    """Withdraw the override of TAPE while the order that it was given with still waits."""
    configuration = configured(config)
    client = Client(spool=configuration.spool)
    tape = tape_name(configuration, path)
    answer = told(lambda: client.post("withdraw", tape=tape, **because(reason)))
    if as_json:
        print_json(dict(answer))
        return
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
@reason_option
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
    reason: str | None,
    state: str,
    path: str,
) -> None:
    """Note that an application itself has migrated or restored the tape at PATH.

    For the post-command of the application's own schedule. The catalogue marks such copies, and
    the cleanup never empties a tape because of one. A mount that waits for a restored tape
    is answered.
    """
    if state == "migrated" and not handle:
        raise click.UsageError("a migrated tape needs --handle")
    configuration = configured(config)
    given = {
        "tape": tape_name(configuration, path),
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
    answer = told(lambda: client.post("mark", **arguments, **because(reason)))
    if as_json:
        print_json(dict(answer))
    else:
        emit(f"{visible(answer['tape'])} is {visible(answer['state'])}")
        if answer.get("doubt"):
            emit(f"its copy is recorded, and allows no erase yet: {visible(answer['doubt'])}")


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
        give_up(f"gave up waiting for request {number}; it continues", Exit.GAVE_UP)
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
        with reading(configuration) as tx:
            request = tx.requests.get(number)
        if request is not None and request.state is not RequestState.OPEN:
            return request
        left = look if until is None else until - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(look, left))
        look = min(look * 1.5, LAST_LOOK)
