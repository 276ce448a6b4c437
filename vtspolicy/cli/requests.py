"""`vtspolicy requests`: what hosts and operators asked for, carried out or not."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from vtspolicy.cli import filters
from vtspolicy.cli.options import (
    Number,
    config_option,
    json_option,
    places,
    print_json,
    reading,
)
from vtspolicy.cli.tables import (
    UNBOUNDED,
    Column,
    dated,
    emit,
    ending,
    table,
    width,
    zone,
)
from vtspolicy.jobs import Request, RequestState
from vtspolicy.readable import duration, words_first
from vtspolicy.records import request_row


@click.command()
@config_option
@json_option
@filters.options(
    filters.states([each.value for each in RequestState]),
    filters.HOST,
    filters.REF,
    filters.FAMILY,
    filters.SINCE,
    filters.UNTIL,
)
@click.option(
    "--limit", type=Number(1, filters.MOST), default=50, show_default=True, help="At most so many."
)
def requests(
    *, config: Path, as_json: bool, state: tuple[str, ...], limit: int, **given: Any
) -> None:
    """List requests, the newest first: also those that were rejected or denied, or had no job.

    This reads the ledger; the server need not run. `vtspolicy why N` explains one decision.
    """
    configuration = places(config)
    with reading(configuration) as tx:
        found = tx.requests.find(state=[RequestState(each) for each in state], limit=limit, **given)
    if not found:
        filters.refuse_unknown(configuration, given)
    if as_json:
        print_json({"requests": [request_row(each) for each in found]})
    elif found:
        emit(request_table(found, time.time()))
        if len(found) == limit:
            click.echo(f"the newest {limit} are shown; --limit shows more", err=True)
    else:
        click.echo("no requests", err=True)


def request_table(requests: Iterable[Request], now: float) -> str:
    """Return a list of requests."""
    columns = (
        Column("req", right=True),
        Column("state"),
        Column("host", needs=70),
        Column("ref"),
        Column("family", needs=60),
        Column("operation", needs=120),
        Column(f"received {zone(now)}"),
        Column("took", right=True, needs=100),
        Column("jobs", right=True, needs=70),
        Column("command", gives=True, needs=140),
        Column("reason", gives=True),
    )
    return table(columns, ([*_cells(each, now)] for each in requests))


def _cells(request: Request, now: float) -> tuple[object, ...]:
    took = duration((request.finished or now) - request.received) if request.jobs else None
    done = f"{request.jobs - request.live}/{request.jobs}" if request.live else request.jobs
    reason = request.reason
    if reason is None and request.state is RequestState.NORULE:
        reason = "no rule matches"
    if reason is None and request.again is not None:
        reason = f"repeats request {request.again}"
    if width() < UNBOUNDED:
        reason = words_first(reason)
    command = request.text.removeprefix("VTSPolicy ")
    return (
        *(request.id, request.state.value, request.host, ending(request.ref, 14), request.family),
        *(request.operation, dated(request.received, now), took, done or None, command, reason),
    )
