"""Commands that change something in a running server, over its control socket."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from vtspolicy.cli.options import (
    Exit,
    Number,
    config_option,
    configured,
    give_up,
    json_option,
    print_json,
)
from vtspolicy.cli.tables import emit, instant
from vtspolicy.client import Client, Refusal, Unreachable
from vtspolicy.records import seconds
from vtspolicy.visible import visible

LOOK = 1.0
"""Seconds between looks at a server that is draining."""

PATIENCE = 300.0
"""Seconds that a reload may take: it runs the rule tests."""

T = TypeVar("T")


def told(ask: Callable[[], T]) -> T:
    """Return what a server answers; end the program when there is none, or when it refuses."""
    try:
        return ask()
    except Unreachable as error:
        give_up(str(error), Exit.UNREACHABLE)
    except Refusal as error:
        # 422: the files that were to be taken are wrong; 400 would be the arguments.
        code = Exit.USAGE if error.status in {400, 422} else Exit.FAILED
        give_up(str(error), code)


def _client(config: Path, timeout: float = 30.0) -> Client:
    return Client(spool=configured(config).spool, timeout=timeout)


def _numbers(value: object) -> list[int]:
    return [each for each in value if isinstance(each, int)] if isinstance(value, list) else []


@click.command()
@config_option
@json_option
@click.argument("request", type=Number(1), required=False)
@click.option("--job", type=Number(1), help="Only this job.")
def cancel(*, config: Path, as_json: bool, request: int | None, job: int | None) -> None:
    """Stop a REQUEST, or one job: what waits is taken out, what runs is ended."""
    if (request is None) == (job is None):
        raise click.UsageError("name either a REQUEST or a --job")
    given = {"request": request} if request is not None else {"job": job or 0}
    client = _client(config)
    answer = told(lambda: client.post("cancel", **given))
    ended, stopping = _numbers(answer.get("ended")), _numbers(answer.get("stopping"))
    if as_json:
        print_json(dict(answer))
    elif ended or stopping:
        emit(
            "; ".join(
                f"{len(numbers)} {_jobs(len(numbers))} {what}"
                for numbers, what in ((ended, "cancelled"), (stopping, "being stopped"))
                if numbers
            )
        )
    if not ended and not stopping:
        what = f"request {request}" if request is not None else f"job {job}"
        give_up(f"{what} had ended already; nothing was cancelled", Exit.FAILED)


def _jobs(number: int) -> str:
    return "job" if number == 1 else "jobs"


@click.command()
@config_option
@json_option
@click.argument("job", type=Number(1))
def retry(*, config: Path, as_json: bool, job: int) -> None:
    """Do an ended JOB once more, as a new request."""
    client = _client(config)
    answer = told(lambda: client.post("retry", job=job))
    if as_json:
        print_json(dict(answer))
    else:
        emit(f"job {job} is done again as job {answer['job']} of request {answer['request']}")


@click.command()
@config_option
@json_option
@click.option("--wait", is_flag=True, help="Until nothing runs any more.")
@click.option(
    "--timeout", type=click.FloatRange(0), help="Give up waiting after so many seconds (exit 5)."
)
@click.option("--end", is_flag=True, help="End a drain: take and start jobs again.")
def drain(*, config: Path, as_json: bool, wait: bool, timeout: float | None, end: bool) -> None:
    """Finish what runs and take nothing new; what waits is kept for the next server."""
    if end and wait:
        raise click.UsageError("--end and --wait exclude each other")
    client = _client(config)
    answer = told(lambda: client.post("resume" if end else "drain"))
    if wait:
        running = _wait(client, answer, timeout)
        answer = {**answer, "running": running}
    if as_json:
        print_json(dict(answer))
    elif end:
        emit("taking and starting jobs again")
    else:
        running = int(answer.get("running") or 0)
        emit(f"draining; {running} {_jobs(running)} still running" if running else "drained")


def _wait(client: Client, answer: Mapping[str, Any], timeout: float | None) -> int:
    until = None if timeout is None else time.monotonic() + timeout
    running = int(answer.get("running") or 0)
    while running:
        left = LOOK if until is None else until - time.monotonic()
        if left <= 0:
            give_up(f"gave up waiting: {running} {_jobs(running)} still running", Exit.GAVE_UP)
        time.sleep(min(LOOK, left))
        running = int(told(lambda: client.get("status"))["queue"]["running"])
    return running


@click.command()
@config_option
@json_option
def reload(*, config: Path, as_json: bool) -> None:
    """Take new rules whole, if they and their tests are right; else keep the old ones (exit 2)."""
    client = _client(config, PATIENCE)
    answer = told(lambda: client.post("reload"))
    if as_json:
        print_json(dict(answer))
        return
    emit(f"table {visible(answer['table'])} with {answer['rules']} rules is in force")
    for warning in answer.get("warnings") or ():
        click.echo(visible(warning), err=True)


@click.command("release-lock")
@config_option
@json_option
@click.argument("lock")
def release_lock(*, config: Path, as_json: bool, lock: str) -> None:
    """Take LOCK from the job that holds it, so that others may start. The ledger keeps who did so.

    The job itself goes on. Locks and their holders are shown by `vtspolicy status`.
    """
    client = _client(config)
    answer = told(lambda: client.post("release-lock", lock=lock))
    if as_json:
        print_json(dict(answer))
    elif answer.get("released"):
        emit(f"{visible(lock)} is free")
    if not answer.get("released"):
        give_up(f"nobody holds {visible(lock)}", Exit.FAILED)


@click.command("trust-clock")
@config_option
def trust_clock(*, config: Path) -> None:
    """Trust the server's clock as it is now, after it was set by more than a minute.

    Retention, the expiry of notices and the cleanup, which waited, go on. Look first whether the
    time is right: what is old by it is removed. `vtspolicy status` tells why they wait. The history
    keeps who gave this order.
    """
    client = _client(config)
    answer = told(lambda: client.post("trust-clock"))
    emit(f"the clock is trusted; it says {instant(seconds(str(answer['at'])))}")
