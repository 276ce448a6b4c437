"""Decides about a command: the one function that engine, explain and rule tests use."""

from collections.abc import Iterable
from posixpath import dirname

from attrs import evolve, frozen

from vtspolicy.grammar.command import Command
from vtspolicy.rules.decision import Circumstances, Decision, PlannedJob, Step, Verdict
from vtspolicy.rules.expand import fill, names_in
from vtspolicy.rules.places import PLACES, place_of_keyword
from vtspolicy.rules.table import Rule, Table, TapeCondition
from vtspolicy.rules.work import Query, Work
from vtspolicy.tapes import Tape

NO_COPY = "no copy of it is recorded"
"""Why a tape cannot be restored."""


@frozen(kw_only=True)
class _Failed:
    """The first condition that a rule's command does not meet."""

    condition: str
    found: str


def decide(
    table: Table,
    command: Command,
    circumstances: Circumstances,
    *,
    trace: list[Step] | None = None,
) -> Decision:
    """Return what the table says about a command: the first rule that matches decides.

    With `trace` every rule is looked at up to the one that matches, and how each was is added to
    it and to the decision's `steps`; without, rules for other families are passed over unseen.

    Raises ExpansionError when a value must not stand in the lock that a rule wants.
    """
    rules = table.candidates(command.family) if trace is None else table.rules
    for rule in rules:
        fit = _look(rule, command, circumstances)
        if trace is not None:
            trace.append(
                Step(
                    number=rule.number,
                    rule=rule.name,
                    matched=not isinstance(fit, _Failed),
                    condition=fit.condition if isinstance(fit, _Failed) else None,
                    found=fit.found if isinstance(fit, _Failed) else None,
                )
            )
        if not isinstance(fit, _Failed):
            decision = _decided(table, rule, command, circumstances, fit)
            return decision if trace is None else evolve(decision, steps=tuple(trace))
    return Decision(verdict=Verdict.NO_RULE, table=table.hash, steps=tuple(trace or ()))


Fit = tuple[tuple[Tape, ...], list[tuple[str, str]]]
"""The tapes that a rule is for, and those that it leaves out with the reason."""


def _look(rule: Rule, command: Command, around: Circumstances) -> Fit | _Failed:
    for condition in rule.conditions:
        value = condition.value(command, around)
        if not condition.accepts(value):
            found = condition.nothing if value is None else value
            return _Failed(condition=str(condition), found=found)
    if not rule.targets and not rule.tapes:
        return around.tapes, []
    if rule.targets and not around.tapes:
        failed = _targets_fail(rule, command)
        if failed is not None:
            return failed
    return _select(rule, around) if around.tapes or rule.tapes else ((), [])


def _targets_fail(rule: Rule, command: Command) -> _Failed | None:
    """Compare what the command names: there is no tape to look at."""
    for condition in rule.targets:
        for target in command.targets:
            value = getattr(target, condition.key)
            if condition.accepts(value):
                break
        else:
            return _Failed(condition=str(condition), found="no tape")
    return None


def _select(rule: Rule, around: Circumstances) -> Fit | _Failed:
    fitting: list[Tape] = []
    left_out: list[tuple[str, str]] = []
    first: _Failed | None = None
    for tape in around.tapes:
        for condition in (*rule.targets, *rule.tapes):
            value = condition.value(tape, around)
            if not condition.accepts(value):
                found = condition.shown(value)
                left_out.append((tape.name, f"{condition}, and it is {found}"))
                first = first or _Failed(condition=str(condition), found=found)
                break
        else:
            fitting.append(tape)
    if fitting:
        return tuple(fitting), left_out
    return first or _Failed(condition=_words((*rule.targets, *rule.tapes)), found="no tape")


def _words(conditions: Iterable[TapeCondition]) -> str:
    return "; ".join(str(condition) for condition in conditions)


def _decided(
    table: Table,
    rule: Rule,
    command: Command,
    around: Circumstances,
    fit: Fit,
) -> Decision:
    tapes, left_out = fit
    if rule.work is None:
        return Decision(
            verdict=Verdict.DENIED,
            table=table.hash,
            rule=rule.name,
            number=rule.number,
            reason=rule.deny,
        )
    common = {**rule.defaults, **_common_values(command, around)}
    if rule.each == "pool" and not _names_a_cartridge(command):
        jobs = _pool_jobs(rule, rule.work, common, tapes)
    else:
        jobs = _tape_jobs(rule, rule.work, common, tapes, left_out)
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
    left_out: list[tuple[str, str]],
) -> tuple[PlannedJob, ...]:
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
        }
        if tape.size is not None:
            values["size"] = str(tape.size)
        if work.then == "restored":
            # What it was when it was copied is what it must be again.
            if tape.copied_size is not None:
                values["size"] = str(tape.copied_size)
            if tape.handle is not None:
                values["handle"] = tape.handle
            elif needs_copy:
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
        values["relpath"] = path[1:]
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
    queries: tuple[Query, ...] = () if work.verify is None else (work.verify,)
    templates = [*work.run]
    for query in queries:
        templates += query.run
    return any("{handle}" in template and "handle" in names_in(template) for template in templates)
