"""`vtspolicy why`: how a command was understood and decided, as the ledger keeps it."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from vtspolicy.cli.job_table import history_table, job_table
from vtspolicy.cli.options import (
    Number,
    config_option,
    give_up,
    json_option,
    places,
    print_json,
    reading,
)
from vtspolicy.cli.tables import Column, emit, instant, pairs, paragraph, table, width
from vtspolicy.exit_codes import Exit
from vtspolicy.grammar.caret import diagnose
from vtspolicy.grammar.command import CommandError
from vtspolicy.jobs import Job, Request, Transition
from vtspolicy.records import request_page
from vtspolicy.visible import visible

JOBS = 20
"""Jobs of a request that are shown; `vtspolicy jobs --request N` lists all."""

Trace = Mapping[str, Any]  # JSON: see vtspolicy.engine.commands.composing.why


@click.command()
@config_option
@json_option
@click.argument("number", type=Number(1), metavar="REQUEST")
def why(*, config: Path, as_json: bool, number: int) -> None:
    """Show why a request was decided so: its text, each rule that was looked at, the verdict.

    Also for what was rejected or denied. Read from the ledger: no server need run.
    """
    with reading(places(config)) as tx:
        found = tx.requests.get(number)
        if found is None:
            give_up(f"there is no request {number}", Exit.FAILED)
        kept = tx.requests.why(number)
        jobs = tx.jobs.find(request=number, limit=JOBS)
        history = tx.history.about(f"request {number}")
    trace: Trace = kept or {}
    if as_json:
        print_json({"request": request_page(found, jobs, history), "why": trace or None})
        return
    emit("\n\n".join(_sections(found, trace, jobs, history)))


def _sections(
    request: Request, trace: Trace, jobs: Sequence[Job], history: Sequence[Transition]
) -> list[str]:
    own = [each for each in history if each.subject == f"request {request.id}"]
    sections = [_heading(request, own[0].actor if own else None)]
    error = trace.get("error")
    if error is not None:
        sections.append(_error(request.text, error))
    else:
        sections.append("\n".join(paragraph(visible(request.text))))
    command = trace.get("command")
    if command is not None:
        sections.append("understood as\n" + _command(command))
    steps = trace.get("steps")
    if steps:
        sections.append(_steps(steps))
    elif trace.get("no_steps"):
        told = f"how each rule was looked at is not known: {visible(trace['no_steps'])}"
        sections.append("\n".join(paragraph(told)))
    if error is None:
        sections.append(_verdict(request, trace))
    if jobs:
        sections.append(job_table(list(reversed(jobs)), time.time()))
    if own:
        sections.append(history_table(own))
    return sections


def _heading(request: Request, by: str | None) -> str:
    counts = None
    if request.jobs:
        counts = (
            f"{request.jobs}: {request.ok} completed, {request.warn} with warnings, "
            f"{request.failed} failed, {request.live} to go"
        )
    about = pairs(
        (
            ("host", request.host),
            ("asked by", by if not request.host else None),
            ("received", instant(request.received)),
            ("finished", instant(request.finished)),
            ("reference", request.ref),
            ("jobs", counts),
        )
    )
    return f"request {request.id}: {request.state.value}\n{about}"


def _error(text: str, error: Mapping[str, Any]) -> str:
    return diagnose(
        text,
        CommandError(
            column=int(error["column"]),
            message=visible(error["message"]),
            hint=visible(error.get("hint") or ""),
        ),
        width=width(),
    )


def _command(command: Mapping[str, Any]) -> str:
    return pairs(
        [
            ("family", command.get("family")),
            ("operation", command.get("operation")),
            *(("target", each) for each in command.get("targets", ())),
            *command.get("keywords", {}).items(),
            ("ref", command.get("ref")),
            *(("warning", each) for each in command.get("warnings", ())),
        ]
    )


def _steps(steps: Sequence[Mapping[str, Any]]) -> str:
    columns = (
        Column("#", right=True),
        Column("rule", gives=True),
        Column("verdict"),
        Column("wanted", wraps=True),
        Column("found", wraps=True),
    )
    return table(
        columns,
        (
            (
                step["number"],
                step["rule"],
                "matches" if step["matched"] else "no",
                step.get("condition"),
                step.get("found"),
            )
            for step in steps
        ),
    )


def _verdict(request: Request, trace: Trace) -> str:
    reason = trace.get("reason") or request.reason
    lines: list[str] = []
    if trace.get("rule") is not None:
        by = f"decided by rule {trace.get('number')}, {visible(trace['rule'])}"
        lines += paragraph(f"{by} (table {visible(trace.get('table'))})")
    elif trace.get("table") is not None:
        lines.append(f"no rule matched (table {visible(trace.get('table'))})")
    else:
        lines.append(f"{request.state.value} before any rule was asked")
    if reason:
        lines += paragraph(f"reason: {visible(reason)}")
    left_out = trace.get("left_out") or ()
    lines += [f"left out: {visible(path)}: {visible(cause)}" for path, cause in left_out]
    return "\n".join(lines)
