"""`vtspolicy disk`: the embedded disk archive, as the program that the runner or a person runs."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import click

from vtspolicy.exit_codes import Exit
from vtspolicy.runner.disk.archive import archive as archive_tape
from vtspolicy.runner.disk.catalogue import Copy, find, tape_state, verify
from vtspolicy.runner.disk.catalogue import delete as delete_copy
from vtspolicy.runner.disk.failure import (
    BadHandleError,
    DamagedError,
    DiskError,
    StoppedError,
    explained,
    shown,
)
from vtspolicy.runner.disk.layout import CopyFiles, checked_handle, tape_path
from vtspolicy.runner.disk.progress import ProgressLines
from vtspolicy.runner.disk.restore import restore as restore_tape

BY_SIGNAL = 128  # what a shell adds to the number of the signal that ended a program

Progress = Callable[[int, int], None]


def _checked_handle(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    try:
        return value if value is None else checked_handle(value)
    except BadHandleError as error:
        raise click.BadParameter(str(error)) from None


def _tape_path(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Path | None:
    try:
        return value if value is None else tape_path(value, Path.cwd())
    except DiskError as error:
        raise click.BadParameter(str(error)) from None


_path = click.argument("path", callback=_tape_path)
_store = click.option(
    "--store",
    required=True,
    type=click.Path(path_type=Path, resolve_path=True),
    help="The folder that holds the copies.",
)
_handle = click.option(
    "--handle",
    required=True,
    callback=_checked_handle,
    help="The copy's name, unique in the store.",
)
_handle_or_newest = click.option(
    "--handle", callback=_checked_handle, help="The copy's name; left out, the tape's newest copy."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def disk() -> None:
    """Keep checked copies of virtual tapes in a folder.

    PATH is the tape, --store the folder, --handle the name of one copy. Exit status: 0 done, 1
    failed or no such copy, 2 wrong usage, 3 done with warnings, 130 or 143 stopped by a signal.
    """


@disk.command(short_help="copy a tape into the store")
@_path
@_store
@_handle
@click.option(
    "--next-free",
    is_flag=True,
    help="If the handle names an earlier copy of other data of this tape, take HANDLE.2, HANDLE.3"
    " and so on instead.",
)
@_json
def archive(*, path: Path, store: Path, handle: str, next_free: bool, as_json: bool) -> None:
    """Copy the tape at PATH into the store."""
    files = CopyFiles(store=store, tape=path, handle=handle)
    started = time.monotonic()
    with _work(f"cannot archive {shown(path)}", store) as progress:
        copy, made = archive_tape(files, progress, lambda: datetime.now(UTC), next_free=next_free)
    seconds = time.monotonic() - started
    words = "archived" if made else "already archived"
    _tell(
        copy,
        as_json,
        words,
        operation="archive",
        already=not made,
        digest=copy.manifest.sha256,
        bytes=copy.manifest.size,
        seconds=round(seconds, 3),
    )


@disk.command(short_help="bring a tape back from its copy")
@_path
@_store
@_handle_or_newest
@click.option(
    "--to",
    metavar="FILE",
    callback=_tape_path,
    help="Write a new file here, and leave PATH alone, which need not be there.",
)
@click.option("--replace", is_flag=True, help="Overwrite a tape that has other data on it.")
@_json
def restore(
    *, path: Path, store: Path, handle: str | None, to: Path | None, replace: bool, as_json: bool
) -> None:
    """Bring the tape at PATH back from its copy.

    A tape that is absent or empty (erased) is filled. One that has other data on it is left alone,
    unless --replace is given. The file gets the copy's time, and owner and mode of the tape that is
    there, or else those that the tape had.
    """
    target = to or path
    started = time.monotonic()
    with _work(f"cannot restore {shown(target)}", target.parent) as progress:
        copy = find(store, path, handle)
        written, warning = restore_tape(copy, target, replace, progress, tape=path)
    _tell(
        copy,
        as_json,
        "restored" if written else "already on the tape:",
        operation="restore",
        restored=str(target),
        already=not written,
        warning=warning or None,
        seconds=round(time.monotonic() - started, 3),
    )
    if warning:
        click.echo(f"vtspolicy disk: warning: {shown(target)}: {warning}", err=True)
        sys.exit(Exit.WARNINGS)


@disk.command(short_help="check whether the store has a whole copy")
@_path
@_store
@_handle_or_newest
@click.option("--verify", "check", is_flag=True, help="Read the whole copy and compare it.")
@_json
def query(*, path: Path, store: Path, handle: str | None, check: bool, as_json: bool) -> None:
    """Check whether the store holds a whole copy of the tape at PATH (exit status 0 or 1).

    The tape is unchanged, changed (in size or last write), erased or absent. With --json, `digest`
    is the SHA-256 of the copy's data as --verify has read it back.
    """
    started = time.monotonic()
    with _work(f"cannot query {shown(path)}", store) as progress:
        copy = find(store, path, handle)
        read = {"digest": verify(copy, progress)} if check else {}
        state = tape_state(copy)
    _tell(
        copy,
        as_json,
        "verified" if check else "found",
        operation="query",
        verified=check,
        tape=state,
        **read,
        seconds=round(time.monotonic() - started, 3),
    )


@disk.command(short_help="delete one copy; the tape is not touched")
@_path
@_store
@_handle
@_json
def delete(*, path: Path, store: Path, handle: str, as_json: bool) -> None:
    """Delete one copy of the tape at PATH from the store; the tape itself is not touched."""
    with _work(f"cannot delete a copy of {shown(path)}", store):
        stood = delete_copy(CopyFiles(store=store, tape=path, handle=handle))
    if as_json:
        found = {"operation": "delete", "handle": handle, "path": str(path), "already": not stood}
        click.echo(json.dumps(found))
    else:
        words = "deleted" if stood else "no such copy, nothing to delete:"
        click.echo(f"{words} {shown(path)} handle {handle}")


def _tell(copy: Copy, as_json: bool, words: str, **more: object) -> None:
    """Print the copy: one JSON object, or one line for a person."""
    record = copy.manifest
    if as_json:
        fields = {
            "handle": record.handle,
            "path": record.path,
            "size": record.size,
            "sha256": record.sha256,
            "stored": record.stored,
            "mtime_ns": record.mtime_ns,
            "created": record.created,
            "data": str(copy.files.data),
        }
        click.echo(json.dumps(fields | more))
        return
    tape = more.get("tape")
    state = f"; the tape is {tape} now" if tape else ""
    target = more.get("restored", record.path)
    to = f" to {shown(str(target))}" if target != record.path else ""
    click.echo(
        f"{words} {shown(record.path)} handle {record.handle}{to}: {record.size} bytes,"
        f" {record.stored} stored, sha256 {record.sha256}, copied {record.created}{state}"
    )


@contextmanager
def _work(doing: str, filling: Path) -> Iterator[Progress]:
    """Run the work with progress and signals looked after; leave with the right exit status."""
    try:
        with _stoppable() as check, _progress() as show:

            def progress(done: int, total: int) -> None:
                check()
                show(done, total)

            yield progress
    except StoppedError as stop:
        name = signal.Signals(stop.signal_number).name
        click.echo(f"vtspolicy disk: {doing}: stopped by {name}; nothing was changed", err=True)
        sys.exit(BY_SIGNAL + stop.signal_number)
    except DamagedError as error:
        click.echo(f"vtspolicy disk: the copy is damaged: {error}", err=True)
        sys.exit(Exit.FAILED)
    except DiskError as error:
        click.echo(f"vtspolicy disk: {error}", err=True)
        sys.exit(Exit.FAILED)
    except OSError as error:
        click.echo(f"vtspolicy disk: {explained(error, doing, filling)}", err=True)
        sys.exit(Exit.FAILED)


@contextmanager
def _stoppable() -> Iterator[Callable[[], None]]:
    """Give a function that raises StoppedError once a signal has come.

    The handler only takes a note: no signal can fall between two steps that belong together.
    """
    came: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    def check() -> None:
        if came:
            raise StoppedError(came[0])

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup, or a job in the background
            signal.signal(number, note)
    yield check


@contextmanager
def _progress() -> Iterator[Progress]:
    if not os.isatty(2):
        yield ProgressLines(lambda line: click.echo(line, err=True, nl=False), time.monotonic)
        return
    # Only a person at a terminal pays for the import.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bar  # noqa: PLC0415

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
