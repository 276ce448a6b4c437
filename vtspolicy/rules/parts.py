"""The parts of a rule's work, made from what was read: queries, polls, hours, time-outs."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from attrs import evolve

from vtspolicy.config.positions import Place, Table
from vtspolicy.config.reading import Findings, Section
from vtspolicy.rules.expand import Template
from vtspolicy.rules.forms import Written
from vtspolicy.rules.hours import SEPARATOR, HoursError, named_days, parse_hours
from vtspolicy.rules.keys import EVIDENCE, WORK
from vtspolicy.rules.query_keys import DEFAULT_OUTCOME
from vtspolicy.rules.scope import NOT_OF_A_POOL, ONLY_TO_RESTORE, Scope, Templates
from vtspolicy.rules.secrets import secret_name, secret_variable
from vtspolicy.rules.work import (
    Expectation,
    OutcomeName,
    Poll,
    Query,
    Reading,
    Retry,
)
from vtspolicy.suggest import did_you_mean

Values = dict[str, Any]
"""Values of WORK keys, ready for use; Any: each key has a type of its own."""


class Parts(Templates):
    """Makes the values of WORK keys; all problems go into the findings."""

    def __init__(self, *, calendar: Mapping[str, tuple[str, ...]], findings: Findings) -> None:
        super().__init__(findings)
        self.calendar = calendar

    def query(
        self, read: Section, scope: Scope, outcome: Mapping[str, OutcomeName] | None = None
    ) -> Query:
        """Return a query; `outcome` is how its exit codes are judged when it does not say so."""
        prepare = self.query(read["prepare"], scope) if read.values.get("prepare") else None
        if prepare is not None:
            named = frozenset(each.name for each in prepare.readings)
            scope = evolve(scope, readings=scope.readings | named)
        own = frozenset(each.name for each in read["read"])
        inner = evolve(scope, readings=scope.readings | own)
        self._check_expected(read, own)
        return Query(
            run=self.arguments(read["run"] or (), scope),
            input=self.lines(read["input"], scope),
            timeout=read["timeout"],
            outcome=read["outcome"] or outcome or DEFAULT_OUTCOME,
            readings=read["read"],
            expect=self._expectations(read, inner),
            absent=tuple(read["absent"]),
            prepare=prepare,
        )

    def read_back(self, read: Section, scope: Scope) -> Query:
        """Return the query that reads the data of a copy of one tape."""
        query = self.query(read, scope.allowing(NOT_OF_A_POOL).allowing(ONLY_TO_RESTORE))
        if "digest" not in {each.name for each in query.readings}:
            message = "read_back reads no digest, the SHA-256 of the data that was read"
            self.findings.add(read.table.place, message, "read: {digest: {field: digest}}")
        return query

    def _expectations(self, read: Section, scope: Scope) -> tuple[Expectation, ...]:
        return tuple(
            evolve(
                each,
                equals=None if each.equals is None else self.finish(each.equals, scope),
                at_least=None if each.at_least is None else self.finish(each.at_least, scope),
            )
            for each in read["expect"]
        )

    def _check_expected(self, read: Section, readings: Collection[str]) -> None:
        entry = read.table.entries.get("expect")
        if entry is None or not isinstance(entry.value, Table):
            return
        for name, expected in entry.value.entries.items():
            if name not in readings:
                known = f"read: {', '.join(sorted(readings))}" if readings else "add it to read"
                remedy = did_you_mean(name, readings) or known
                self.findings.add(expected.key, f'no reading is called "{name}"', remedy)

    def _poll(self, read: Section, scope: Scope) -> Poll:
        query = self.query(read, scope)
        if "state" not in {each.name for each in query.readings}:
            message = "poll reads no state, which says whether the job is still in flight"
            self.findings.add(read.table.place, message, "read: {state: 'REGULAR EXPRESSION'}")
        return Poll(
            query=query,
            every=read["every"],
            running=read["running"] or "",
            completed=read["completed"] or "",
            warning=read["warning"],
            find=self.query(read["find"], scope) if read["find"] else None,
            patience=read["patience"],
        )

    def hours(self, between: tuple[str, ...], place: Place) -> str | None:
        """Return hours as one text, checked."""
        joined = SEPARATOR.join(between)
        try:
            parse_hours(joined)
            for name in sorted(named_days(joined) - set(self.calendar)):
                known = ", ".join(self.calendar) or "the table has no calendar"
                remedy = did_you_mean(name, self.calendar) or f"calendar: {known}"
                self.findings.add(place, f'the calendar has no days called "{name}"', remedy)
        except HoursError as error:
            self.findings.add(place, error.message, error.remedy)
            return None
        return joined

    def work_values(
        self,
        read: Section,
        scope: Scope,
        outcome: Mapping[str, OutcomeName] | None,
        prepared: frozenset[str] | None = None,
    ) -> Values:
        """Return the WORK keys that a section gives; `outcome` is that of the query.

        `prepared` are the readings that are there before the run; None: those of the section.
        """
        if prepared is None:
            prepared = prepared_by(read)
        make: Mapping[str, Callable[[Any], Any]] = {  # Any: as in Values
            "env": lambda env: self._env(env, scope),
            "timeout": _or_none,
            "timeouts": _timeouts,
            "expect": lambda _: self._work_expectations(read, scope),
            "verify": lambda verify: (
                None
                if verify == "none"
                else self.query(verify, scope.allowing(NOT_OF_A_POOL), outcome)
            ),
            "read_back": lambda read_back: self.read_back(read_back, scope),
            "poll": lambda poll: self._poll(poll, scope),
            "cancel": lambda cancel: self.arguments(cancel, scope),
            "cancel_input": lambda lines: self.lines(lines, scope),
            "prepare": lambda prepare: self.query(prepare, scope),
            "input": lambda lines: self.lines(lines, evolve(scope, readings=prepared)),
            "ready": lambda ready: self.arguments(ready, scope),
            "retry": lambda retry: Retry(**{key: retry[key] for key in retry.values}),
            "between": lambda between: self.hours(between, read.place("between")),
        }
        return {
            name: make[name](read[name]) if name in make else read[name]
            for name in (*WORK, *EVIDENCE)
            if name in read.given and read[name] is not None
        }

    def _env(self, env: Mapping[str, Template], scope: Scope) -> dict[str, Template]:
        finished = {name: self.finish(each, scope) for name, each in env.items()}
        for name, written in env.items():
            secret = secret_variable(name, finished[name]) or secret_name(written, scope.constants)
            if secret is not None and isinstance(written, Written):
                self.findings.add(written.place, secret, "give a file that holds it")
        return finished

    def _work_expectations(self, read: Section, scope: Scope) -> tuple[Expectation, ...]:
        self._check_expected(read, scope.readings)
        return self._expectations(read, scope)


def with_cause(query: Query | None, cause: tuple[Reading, ...]) -> Query | None:
    """Return a query, and the call before it, that look for causes so; None for None."""
    if query is None:
        return None
    return evolve(query, cause=cause, prepare=with_cause(query.prepare, cause))


def prepared_by(read: Section) -> frozenset[str]:
    """Return the names of the readings that a section's `prepare` gives."""
    return (
        frozenset(each.name for each in read["prepare"]["read"]) if read["prepare"] else frozenset()
    )


def _or_none(written: float | str) -> float | str | None:
    return None if written == "none" else written


def _timeouts(read: Section) -> Mapping[str, float | None]:
    return {key: _or_none(read[key]) for key in read.given if read[key] is not None}  # type: ignore[misc]  # numbers, once "none" is gone
