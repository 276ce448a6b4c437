"""Decides about a command: the one function that engine, explain and rule tests use."""

from collections.abc import Sequence
from posixpath import dirname
from typing import NamedTuple

from vtspolicy.grammar.command import Command
from vtspolicy.rules.decision import Circumstances, Decision, PlannedJob, Verdict
from vtspolicy.rules.expand import fill, names_in
from vtspolicy.rules.places import PLACES, place_of_keyword
from vtspolicy.rules.table import Rule, Table, TapeCondition
from vtspolicy.rules.work import Work
from vtspolicy.tapes import Tape

NO_COPY = "no copy of it is recorded"
"""Why a tape cannot be restored."""

NO_FILE = "there is no such tape"
NO_DATA = "it is empty"
"""Why a tape is not copied: the copy of nothing would be newer than the one that has data."""


def decide(table: Table, command: Command, circumstances: Circumstances) -> Decision:
    """Return what the table says about a command: the first rule that matches decides.

    Raises ExpansionError when a value must not be in the lock that a rule wants.
    """
    for rule in table.candidates(command, circumstances):
        fit = _look(rule, command, circumstances)
        if fit is not None:
            return _decided(table, rule, command, circumstances, fit)
    return Decision(verdict=Verdict.NO_RULE, table=table.hash)


class Fit(NamedTuple):
    """The tapes that a rule is for, and those that it leaves out, each with what it fails."""

    tapes: tuple[Tape, ...]
    left_out: Sequence[tuple[Tape, TapeCondition]]


# What follows is asked for every rule and command: it makes no text and no object before one is
# needed.


def _look(rule: Rule, command: Command, around: Circumstances) -> Fit | None:
    for condition in rule.conditions:
        if not condition.accepts(condition.value(command, around)):
            return None
    tapes = around.tapes
    if not rule.selects:
        return Fit(tapes, ())
    if not tapes:
        return _named(rule, command)
    if len(tapes) > 1:
        return _select(rule, tapes, around)
    for selection in rule.selects:
        if not selection.accepts(selection.value(tapes[0], around)):
            return None
    return Fit(tapes, ())


def _named(rule: Rule, command: Command) -> Fit | None:
    """Compare what the command names: there is no tape to look at."""
    for condition in rule.targets:
        if not any(condition.accepts(getattr(each, condition.key)) for each in command.targets):
            return None
    return None if rule.tapes else Fit((), ())


def _select(rule: Rule, tapes: tuple[Tape, ...], around: Circumstances) -> Fit | None:
    fitting: list[Tape] = []
    left_out: list[tuple[Tape, TapeCondition]] = []
    for tape in tapes:
        for condition in rule.selects:
            if not condition.accepts(condition.value(tape, around)):
                left_out.append((tape, condition))
                break
        else:
            fitting.append(tape)
    return Fit(tuple(fitting), left_out) if fitting else None


def _decided(
    table: Table,
    rule: Rule,
    command: Command,
    around: Circumstances,
    fit: Fit,
) -> Decision:
    if rule.work is None:
        return Decision(
            verdict=Verdict.DENIED,
            table=table.hash,
            rule=rule.name,
            number=rule.number,
            reason=rule.deny,
        )
    tapes = fit.tapes
    left_out = [
        (tape.name, f"{condition}, and it is {condition.shown(condition.value(tape, around))}")
        for tape, condition in fit.left_out
    ]
    common = {**rule.defaults, **_common_values(command, around)}
    if rule.each == "pool" and not _names_a_cartridge(command):
        jobs = _pool_jobs(rule, rule.work, common, tapes)
    else:
        named = _names_a_cartridge(command)
        jobs = _tape_jobs(rule, rule.work, common, tapes, None if named else left_out)
    return Decision(
        verdict=Verdict.RUN,
        table=table.hash,
        rule=rule.name,
        number=rule.number,
        jobs=jobs,
        left_out=tuple(left_out),
    )


def _names_a_cartridge(command: Command) -> bool:
    return any(target.cartridge is not None for target in command.targets)


def _common_values(command: Command, around: Circumstances) -> dict[str, str]:
    """The values that are the same for every job of a command."""
    values = {}
    for name, value in command.keywords.items():
        values[place_of_keyword(name) if name in PLACES else name] = value
    values["family"] = command.family
    values["node"] = around.node
    if command.operation is not None:
        values["operation"] = command.operation
    if command.ref is not None:
        values["ref"] = command.ref
    if around.host is not None:
        values["host"] = around.host
    if around.system is not None:
        values["system"] = around.system
    if around.user is not None:
        values["user"] = around.user
    return values


def _tape_jobs(
    rule: Rule,
    work: Work,
    common: dict[str, str],
    tapes: tuple[Tape, ...],
    left_out: list[tuple[str, str]] | None,
) -> tuple[PlannedJob, ...]:
    """One job for each tape; those of a pool with nothing to do are added to `left_out`.

    A tape that the command names has a job in any case, which fails and says why.
    """
    jobs = []
    needs_copy = work.then == "restored" and _wants_handle(work)
    for tape in tapes:
        values = {
            **common,
            "vault": tape.vault,
            "pool": tape.pool,
            "cartridge": tape.cartridge,
            "path": tape.path,
            "relpath": tape.path[1:],
            "source": tape.path,
            "relsource": tape.path[1:],
        }
        if tape.size is not None:
            values["size"] = str(tape.size)
        if work.then == "migrated" and not tape.size and left_out is not None:
            left_out.append((tape.name, NO_FILE if tape.size is None else NO_DATA))
            continue
        if work.then == "restored":
            # What it was when it was copied is what it must be again.
            if tape.copied_size is not None:
                values["size"] = str(tape.copied_size)
            if tape.handle is not None:
                values["handle"] = tape.handle
            elif needs_copy and left_out is not None:
                left_out.append((tape.name, NO_COPY))
                continue
        jobs.append(
            PlannedJob(
                work=work,
                values=values,
                lock=_lock(rule, values),
                priority=rule.priority,
                tape=tape,
            )
        )
    return tuple(jobs)


def _pool_jobs(
    rule: Rule, work: Work, common: dict[str, str], tapes: tuple[Tape, ...]
) -> tuple[PlannedJob, ...]:
    """One job for each pool; the tapes of a command by bare names may lie in several."""
    jobs = []
    for pool, tape in {f"/{tape.vault}/{tape.pool}": tape for tape in reversed(tapes)}.items():
        path = dirname(tape.path)
        values = {**common, "vault": tape.vault, "pool": tape.pool, "path": path}
        values["relpath"] = values["relsource"] = path[1:]
        values["source"] = path
        jobs.append(
            PlannedJob(
                work=work,
                values=values,
                lock=_lock(rule, values),
                priority=rule.priority,
                pool=pool,
            )
        )
    return tuple(reversed(jobs))


def _lock(rule: Rule, values: dict[str, str]) -> str | None:
    """The lock of a job. One that names an absent value falls back to the path: never to none."""
    if rule.lock is None:
        return None
    return fill(rule.lock, values) or values["path"]


def _wants_handle(work: Work) -> bool:
    """Return whether a run names the copy that it is about."""
    templates = [*work.run, *work.input]
    for query in (work.prepare, work.verify):
        if query is not None:
            templates += [*query.run, *query.input]
    return any("{handle}" in template and "handle" in names_in(template) for template in templates)
