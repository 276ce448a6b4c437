"""Commands that change something in a running server, over its control socket."""

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from vtspolicy.cli.options import Number, config_option, give_up, json_option, places, print_json
from vtspolicy.cli.tables import emit, instant
from vtspolicy.client import Client, Refusal, Unreachable
from vtspolicy.config.model import Configuration
from vtspolicy.exit_codes import Exit
from vtspolicy.records import seconds
from vtspolicy.visible import visible

LOOK = 1.0
"""Seconds between looks at a server that is draining."""

TIMEOUT = 300.0
"""Seconds that a reload may take: it runs the rule tests."""

LARGE = 20
"""Jobs that an order may be about without a question."""

WRONG_ARGUMENTS = 400
"""The status of an answer to a request that cannot be understood."""

WRONG_FILES = 422
"""The status of an answer when the files that were to be taken are wrong."""

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def reason_option(command: F) -> F:
    """Add `--reason`; the command gets `reason: str | None`."""
    return click.option("--reason", metavar="TEXT", help="Why; the history keeps it.")(command)


def yes_option(command: F) -> F:
    """Add `--yes`; the command gets `yes: bool`."""
    text = f"Do not ask, though it is about more than {LARGE} jobs."
    return click.option("--yes", is_flag=True, help=text)(command)


def because(reason: str | None) -> dict[str, str]:
    """Return the argument of a verb that gives the reason."""
    return {} if not reason else {"reason": reason}


def confirm(what: str, *, yes: bool) -> None:
    """Say that an order is a large one, and ask for confirmation; only in a terminal."""
    click.echo(f"{what}.", err=True)
    if not yes and sys.stdin.isatty() and not click.confirm("Continue?", err=True):
        raise SystemExit(Exit.FAILED)


def jobs_word(number: int) -> str:
    """Return the word for so many jobs."""
    return "job" if number == 1 else "jobs"


def told(ask: Callable[[], T]) -> T:
    """Return what a server answers; end the program when there is none, or when it refuses."""
    try:
        return ask()
    except Unreachable as error:
        give_up(str(error), Exit.UNREACHABLE)
    except Refusal as error:
        code = Exit.USAGE if error.status in {WRONG_ARGUMENTS, WRONG_FILES} else Exit.FAILED
        give_up(str(error), code)


def _client(config: Path, timeout: float = 30.0) -> Client:
    return Client(spool=places(config).spool, timeout=timeout)


def _numbers(value: object) -> list[int]:
    return [each for each in value if isinstance(each, int)] if isinstance(value, list) else []


@click.command()
@config_option
@json_option
@click.argument("request", type=Number(1), required=False)
@click.option("--job", type=Number(1), help="Only this job.")
@reason_option
@yes_option
def cancel(
    *,
    config: Path,
    as_json: bool,
    request: int | None,
    job: int | None,
    reason: str | None,
    yes: bool,
) -> None:
    """Stop a REQUEST, or one job: what waits is taken out, what runs is ended.

    The reason is kept in the history and sent to the host.
    """
    if (request is None) == (job is None):
        raise click.UsageError("name either a REQUEST or a --job")
    given: dict[str, str | int] = {"job": job or 0}
    configuration = places(config)
    if request is not None:
        given = {"request": request}
        count = _live_jobs(configuration, request)
        if count > LARGE:
            confirm(f"request {request} has {count} jobs that have not ended", yes=yes)
    client = Client(spool=configuration.spool)
    answer = told(lambda: client.post("cancel", **given, **because(reason)))
    ended, stopping = _numbers(answer.get("ended")), _numbers(answer.get("stopping"))
    if not ended and not stopping:
        if as_json:
            print_json(dict(answer))
            raise SystemExit(Exit.FAILED)
        what = f"request {request}" if request is not None else f"job {job}"
        give_up(f"{what} had ended already; nothing was cancelled", Exit.FAILED)
    if as_json:
        print_json(dict(answer))
    else:
        emit(
            "; ".join(
                f"{len(numbers)} {jobs_word(len(numbers))} {what}"
                for numbers, what in ((ended, "cancelled"), (stopping, "being stopped"))
                if numbers
            )
        )


def _live_jobs(configuration: Configuration, request: int) -> int:
    """Return how many jobs of a request have not ended; 0 if the ledger cannot be read here."""
    from vtspolicy.ledger import LedgerError, open_ledger  # noqa: PLC0415 - not needed for --help

    try:
        with open_ledger(configuration.ledger, readonly=True) as tx:
            found = tx.requests.get(request)
            return found.live if found is not None else 0
    except (LedgerError, OSError):
        return 0


@click.command()
@config_option
@json_option
@click.option("--wait", is_flag=True, help="Until nothing runs any more.")
@click.option(
    "--timeout", type=click.FloatRange(0), help="Give up waiting after so many seconds (exit 5)."
)
@click.option("--end", is_flag=True, help="End a drain: take and start jobs again.")
@reason_option
def drain(
    *,
    config: Path,
    as_json: bool,
    wait: bool,
    timeout: float | None,
    end: bool,
    reason: str | None,
) -> None:
    """Finish what runs and take nothing new; what waits is kept for the next server."""
    if end and wait:
        raise click.UsageError("--end and --wait exclude each other")
    client = _client(config)
    answer = told(lambda: client.post("resume" if end else "drain", **because(reason)))
    if wait:
        running = _wait(client, answer, timeout)
        answer = {**answer, "running": running}
    if as_json:
        print_json(dict(answer))
    elif end:
        did = answer.get("was_draining", True)
        emit("taking and starting jobs again" if did else "there was no drain to end")
    else:
        running = int(answer.get("running") or 0)
        emit(f"draining; {running} {jobs_word(running)} still running" if running else "drained")


def _wait(client: Client, answer: Mapping[str, Any], timeout: float | None) -> int:
    until = None if timeout is None else time.monotonic() + timeout
    running = int(answer.get("running") or 0)
    while running:
        left = LOOK if until is None else until - time.monotonic()
        if left <= 0:
            give_up(f"gave up waiting: {running} {jobs_word(running)} still running", Exit.GAVE_UP)
        time.sleep(min(LOOK, left))
        running = int(told(lambda: client.get("status"))["queue"]["running"])
    return running


@click.command()
@config_option
@json_option
@reason_option
def reload(*, config: Path, as_json: bool, reason: str | None) -> None:
    """Take new rules whole, if they and their tests are right; else keep the old ones (exit 2)."""
    client = _client(config, TIMEOUT)
    answer = told(lambda: _renewed(client, reason))
    if as_json:
        print_json(dict(answer))
        return
    rules = "1 rule" if answer["rules"] == 1 else f"{answer['rules']} rules"
    emit(f"table {visible(answer['table'])} with {rules} is in force")
    for warning in answer.get("warnings") or ():
        click.echo(visible(warning), err=True)


def _renewed(client: Client, reason: str | None) -> Mapping[str, Any]:
    try:
        return client.post("reload", **because(reason))
    except Refusal as error:
        if error.status != WRONG_FILES:
            raise
        kept = f"{error}\nnothing was taken: the rules from before stay in force"
        raise Refusal(error.status, kept) from None


@click.command("release-lock")
@config_option
@json_option
@click.argument("lock")
@reason_option
def release_lock(*, config: Path, as_json: bool, lock: str, reason: str | None) -> None:
    """Take LOCK from the job that holds it, so that others may start. The ledger keeps who did so.

    The job itself continues. Locks and their holders are shown by `vtspolicy status`.
    """
    client = _client(config)
    answer = told(lambda: client.post("release-lock", lock=lock, **because(reason)))
    if as_json:
        print_json(dict(answer))
        if not answer.get("released"):
            raise SystemExit(Exit.FAILED)
    elif answer.get("released"):
        emit(f"{visible(lock)} is free")
    else:
        give_up(f"no job holds {visible(lock)}", Exit.FAILED)


@click.command("restart-link")
@config_option
@json_option
@click.argument("host")
@reason_option
def restart_link(*, config: Path, as_json: bool, host: str, reason: str | None) -> None:
    """End the link to a dialled HOST, and open it anew.

    A link that is stopped, because the host has refused its password or key too often, is tried
    once more. `vtspolicy status` shows the links.
    """
    client = _client(config)
    answer = told(lambda: client.post("restart-link", host=host, **because(reason)))
    if as_json:
        print_json(dict(answer))
        return
    emit(f"the link to {visible(host)} is opened anew")


@click.command("trust-clock")
@config_option
@json_option
@reason_option
def trust_clock(*, config: Path, as_json: bool, reason: str | None) -> None:
    """Trust the server's clock as it is now, after it was set by more than a minute.

    Retention, the expiry of notices and the cleanup waited and are resumed. Check the time first:
    what is old by it is removed. `vtspolicy status` shows why they wait. The history
    keeps who gave this order.
    """
    client = _client(config)
    answer = told(lambda: client.post("trust-clock", **because(reason)))
    if as_json:
        print_json(dict(answer))
        return
    emit(f"the clock is trusted; it says {instant(seconds(str(answer['at'])))}")
