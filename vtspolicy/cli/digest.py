"""`vtspolicy digest`: the SHA-256 of what a program writes to its standard output."""

import errno
import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from types import FrameType

import click

BLOCK = 1 << 20  # bytes read at once, and what the pipe holds where the system allows that
BY_SIGNAL = 128  # what a shell adds to the number of the signal that ended a program
NOT_EXECUTABLE = 126  # as shells and env(1) have it
NOT_FOUND = 127


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("--json", "as_json", is_flag=True, help="Changes nothing: it always prints JSON.")
@click.argument("program", nargs=-1, required=True, type=click.UNPROCESSED)
def digest(*, as_json: bool, program: tuple[str, ...]) -> None:  # noqa: ARG001 - see its help
    """Run PROGRAM and print the SHA-256 of its standard output.

    Write `--` before it and its arguments. It is run without a shell, and its output is not kept.
    When it exits with 0, one line of JSON is printed with `digest` (64 hexadecimal digits) and
    `bytes`. Otherwise nothing is printed, and the exit code is that of the program: 128 and the
    number of a signal that ended it, 126 or 127 if it cannot be run. TERM, INT and HUP are passed
    on to its process group, and no digest is printed after one.
    """
    sys.exit(_run(program))


def _run(program: tuple[str, ...]) -> int:
    """Run a program, print the digest of its output; return the exit code."""
    passed_on: list[int] = []
    group: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        passed_on.append(number)
        if group:
            _signal(group[0], number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup, or a job in the background
            signal.signal(number, pass_on)
    try:
        child = subprocess.Popen(program, stdout=subprocess.PIPE, process_group=0)
    except OSError as error:
        click.echo(f"vtspolicy digest: cannot run {program[0]}: {error.strerror}", err=True)
        return NOT_FOUND if error.errno == errno.ENOENT else NOT_EXECUTABLE
    group.append(child.pid)
    for early in passed_on:  # what came before there was a group to pass it on to
        _signal(child.pid, early)
    assert child.stdout is not None  # noqa: S101 - a pipe was asked for
    found, size = _digest(child.stdout.fileno())
    code = child.wait()
    group.clear()  # its number can be another's from now on
    if code < 0:
        return BY_SIGNAL - code
    if code > 0:
        return code
    if passed_on:  # some programs exit with 0 when they are stopped half way
        return BY_SIGNAL + passed_on[0]
    click.echo(json.dumps({"digest": found, "bytes": size}))
    return 0


def _digest(pipe: int) -> tuple[str, int]:
    """Return the SHA-256 of all that comes through a pipe, and how many bytes that were."""
    with suppress(OSError):  # the user's pipes are as large as they may be: it only takes longer
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, BLOCK)
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(BLOCK))
    size = 0
    while read := os.readv(pipe, [buffer]):
        digest.update(buffer[:read])
        size += read
    return digest.hexdigest(), size


def _signal(group: int, number: int) -> None:
    with suppress(ProcessLookupError):  # it has ended on its own
        os.killpg(group, number)
