"""Rule tests: a command and its circumstances, what must be decided, and whether it is."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import field, frozen

from vtspolicy.config.model import Configuration, is_same_node
from vtspolicy.config.positions import Place
from vtspolicy.config.problems import Problem
from vtspolicy.config.reading import Findings
from vtspolicy.events.decoder import decoder
from vtspolicy.events.event import Event
from vtspolicy.grammar import (
    VERBS_ON_REQUESTS,
    Command,
    CommandError,
    Vocabulary,
    missing_in_cluster,
    parse,
)
from vtspolicy.rights import why_denied
from vtspolicy.rules.decision import Circumstances, Decision, Verdict, proven_user
from vtspolicy.rules.expand import ExpansionError, expand
from vtspolicy.rules.facts import imagined_facts
from vtspolicy.rules.hours import shown_start
from vtspolicy.rules.match import decide
from vtspolicy.rules.places import RUN_PLACES, is_shipped
from vtspolicy.rules.rulings import ruling_of
from vtspolicy.rules.table import Table
from vtspolicy.suggest import did_you_mean
from vtspolicy.tapes import Facts, Refused

EXAMPLE_NODE = "vts1.example.com"
"""The node of cases that name none, if their command names none with `s=` either."""

EXAMPLE_TIME = datetime(2026, 1, 5, 12, 0)  # noqa: DTZ001 - local time of every machine
"""The time of cases that give none: a Monday at noon."""


@frozen(kw_only=True)
class Case:
    """One rule test."""

    name: str
    place: Place  # where it is written
    command: str | None = None  # the text of a command
    event: str | None = None  # or a displayed event that holds it
    host: str | None = None
    host_place: Place | None = None  # where that is written
    system: str | None = None
    user: str | None = None
    node: str | None = None  # that decides; None: the one that is meant
    at: datetime = EXAMPLE_TIME
    tapes: tuple[Facts, ...] | None = None  # None: those that the command names by path
    expected: Mapping[str, Any] = field(factory=dict)  # by the keys of rules.case_file.EXPECTED


@frozen(kw_only=True)
class Result:
    """How one case came out."""

    case: Case
    rule: str | None  # that decided
    difference: str = ""  # expected against found, as a unified diff; "" when it passed

    @property
    def passed(self) -> bool:
        """Whether everything expected was found."""
        return not self.difference


@frozen(kw_only=True)
class Report:
    """How all cases came out."""

    results: tuple[Result, ...]
    uncovered: tuple[str, ...]  # the rules that decided none of them
    rules: int  # in the table
    shipped: int = 0  # of these, those that come with the program
    shipped_uncovered: tuple[str, ...] = ()  # of the uncovered, those

    @property
    def failed(self) -> tuple[Result, ...]:
        """Those that did not pass."""
        return tuple(result for result in self.results if not result.passed)

    @property
    def coverage(self) -> float:
        """Which share of the rules decided a case, in percent: of the site's own if it has some."""
        rules, uncovered = self.own if self.own[0] else (self.rules, self.uncovered)
        return 100.0 * (rules - len(uncovered)) / rules if rules else 100.0

    @property
    def own(self) -> tuple[int, tuple[str, ...]]:
        """How many rules are the site's own, and which of these decided no case."""
        left = tuple(name for name in self.uncovered if name not in self.shipped_uncovered)
        return self.rules - self.shipped, left


def run_cases(
    table: Table,
    vocabulary: Vocabulary,
    cases: Iterable[Case],
    configuration: Configuration | None = None,
) -> Report:
    """Run cases against a table, with the engine's own functions.

    A case that names a host of the configuration has its rights. Without a configuration no rights
    are known, and the table alone decides. Raises ConfigurationError for a host that is not
    configured.
    """
    cases = tuple(cases)
    findings = Findings()
    hosts = configuration.hosts if configuration is not None else {}
    for case in cases if configuration is not None else ():
        if case.host is not None and case.host not in hosts:
            known = did_you_mean(case.host, hosts) or f"configured are {', '.join(hosts) or 'none'}"
            findings.add(case.host_place or case.place, f"there is no host {case.host}", known)
    findings.raise_errors()
    results = tuple(_run(table, vocabulary, case, configuration) for case in cases)
    decided = {result.rule for result in results}
    uncovered = [rule for rule in table.rules if rule.name not in decided]
    return Report(
        results=results,
        uncovered=tuple(rule.name for rule in uncovered),
        rules=len(table.rules),
        shipped=sum(is_shipped(rule.place) for rule in table.rules),
        shipped_uncovered=tuple(rule.name for rule in uncovered if is_shipped(rule.place)),
    )


def failed_cases(
    paths: Sequence[str | Path],
    *,
    table: Table,
    vocabulary: Vocabulary,
    configuration: Configuration | None = None,
) -> list[Problem]:
    """Return a problem for each case of some files that does not pass.

    Raises ConfigurationError for files that cannot be read, and for unknown hosts.
    """
    from vtspolicy.rules.case_file import read_cases  # noqa: PLC0415 - it imports this module

    cases = [case for path in paths for case in read_cases(path)]
    findings = Findings()
    for result in run_cases(table, vocabulary, cases, configuration).failed:
        changed = [
            line
            for line in result.difference.splitlines()
            if line[:1] in {"-", "+"} and not line.startswith(("---", "+++"))
        ]
        message = f'the rule test "{result.case.name}" fails: {" ".join(changed)}'
        findings.add(result.case.place, message, "`vtspolicy test` shows the difference")
    return list(findings.problems)


class _OtherServerError(Exception):
    """The command of a case is for another server."""


def _run(
    table: Table, vocabulary: Vocabulary, case: Case, configuration: Configuration | None
) -> Result:
    rule: str | None = None
    try:
        command, system, user = _command(case, vocabulary)
        host = configuration.hosts.get(case.host or "") if configuration is not None else None
        is_heard = host is None or system is None or system in host.systems
        node = _node(case, command.keywords.get("source") if is_heard else None)
        if configuration is not None and configuration.cluster:
            _require_for_cluster(case, command, vocabulary)
        facts = imagined_facts(command, at=case.at) if case.tapes is None else case.tapes
        around = Circumstances(
            node=node,
            at=case.at,
            host=case.host,
            system=system,
            user=user,
            tapes=tuple(each.tape for each in facts),
        )
        denial = host and why_denied(host, command, system=system, tapes=around.tapes)
        if denial:
            decision = Decision(verdict=Verdict.DENIED, table=table.hash, reason=denial)
        elif command.operation in VERBS_ON_REQUESTS:
            return Result(case=case, rule=None, difference=_difference(case, {"answered": True}))
        else:
            decision = decide(table, command, around)
        rule = decision.rule
        found = {**_found(case, decision), "refused": _refused(table, decision, facts)}
    except _OtherServerError:
        found = {"elsewhere": True}
    except CommandError as error:
        if error.source is not None and not is_same_node(case.node or error.source, error.source):
            found = {"elsewhere": True}
        else:
            found = {"error": {"column": error.column, "message": error.message}}
    except ExpansionError as error:
        found = {"error": {"message": str(error)}}
    return Result(case=case, rule=rule, difference=_difference(case, found))


def _node(case: Case, server: str | None) -> str:
    """Return the node that decides. Raises _OtherServerError if the command is not for it."""
    node = case.node or server or EXAMPLE_NODE
    if server is not None and not is_same_node(node, server):
        raise _OtherServerError
    return node


def _require_for_cluster(case: Case, command: Command, vocabulary: Vocabulary) -> None:
    """Raise CommandError for a command that a cluster does not take."""
    missing = missing_in_cluster(command, vocabulary)
    if missing:
        message = f"in a cluster {command.family} needs {missing[0]}="
        raise CommandError(column=len(case.command or "") + 1, message=message)


class _NoCommandError(CommandError):
    """An event that holds no command."""


def _command(case: Case, vocabulary: Vocabulary) -> tuple[Command, str | None, str | None]:
    """The command of a case, and what its event says of system and user."""
    if case.event is None:
        return parse(case.command or "", vocabulary), case.system, case.user
    reading = decoder("auto", only_candidates=False)
    items = [*reading.feed(case.event.encode() + b"\n"), *reading.close()]
    event = next((item for item in items if isinstance(item, Event) and item.is_command), None)
    if event is None:
        raise _NoCommandError(column=1, message="the event holds no command")
    user = proven_user(event) if event.user is not None else case.user
    if proven_user(Event(text="", number=event.number, ssid=event.ssid, user="x")) is None:
        user = None
    return parse(event.command, vocabulary), event.system or case.system, user


def _found(case: Case, decision: Decision) -> dict[str, Any]:
    """What was decided, in the words that a case expects it in."""
    works = [job.work for job in decision.jobs]
    starts = [shown_start(work.between, work.calendar, case.at) for work in works]
    return {
        "rule": decision.rule,
        "denied": decision.reason if decision.verdict is Verdict.DENIED else None,
        "norule": decision.verdict is Verdict.NO_RULE,
        "run": [
            list(expand(job.work.run, job.values, keep=RUN_PLACES))
            for job in decision.jobs
            if job.work.run
        ],
        "jobs": len(decision.jobs),
        "application": works[0].application if works else None,
        "then": works[0].then if works else None,
        "locks": [job.lock for job in decision.jobs],
        "starts": starts[0].isoformat(" ", "minutes") if starts and starts[0] else None,
        "left_out": [path for path, _ in decision.left_out],
        "error": None,
        "elsewhere": False,
        "answered": False,
    }


def _refused(table: Table, decision: Decision, facts: Sequence[Facts]) -> str | None:
    """Why the evidence of copies refuses the first of the tapes that it refuses."""
    known = {each.tape.path: each for each in facts}
    for job in decision.jobs:
        if job.tape is not None:
            ruling = ruling_of(table, job, known[job.tape.path])
            if isinstance(ruling, Refused):
                return ruling.words
    return None


def _difference(case: Case, found: Mapping[str, Any]) -> str:
    """What was expected against what was found, as a unified diff; "" when nothing differs."""
    expected_lines, found_lines = [], []
    for key, wanted in case.expected.items():
        value = found.get(key)
        if _holds(key, wanted, value):
            value = wanted
        expected_lines += _lines(key, wanted)
        found_lines += _lines(key, value)
    for key in ("error", "elsewhere", "answered"):
        if found.get(key) and key not in case.expected:
            found_lines += _lines(key, found[key])
    diff = difflib.unified_diff(expected_lines, found_lines, "expected", "found", lineterm="")
    return "\n".join(diff)


def _holds(key: str, wanted: Any, found: Any) -> bool:
    """Whether what was found is what was wanted: of reasons and messages a part is enough."""
    if key in {"denied", "refused"} and wanted is not False:
        return isinstance(found, str) and (wanted is True or str(wanted) in found)
    if key == "refused":
        return found is None
    if key == "error":
        return isinstance(found, Mapping) and all(
            value in found.get("message", "") if part == "message" else found.get(part) == value
            for part, value in wanted.items()
        )
    if key == "starts":
        return isinstance(found, str) and found.startswith(wanted)
    return bool(wanted == found)


def _lines(key: str, value: Any) -> list[str]:  # Any: what YAML can hold
    """A value as lines, one for each argument, so that a difference has its own line."""
    if isinstance(value, list):
        lines = [f"{key}:"]
        for each in value:
            first, *rest = each if isinstance(each, list) and each else [each]
            lines += [f"  - {first}", *(f"    {argument}" for argument in rest)]
        return lines
    if isinstance(value, Mapping):
        return [f"{key}:", *(f"  {name}: {each}" for name, each in value.items())]
    return [f"{key}: {value}"]
