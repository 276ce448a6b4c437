"""Builds applications and rules from what was read: defaults, templates and their names."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from attrs import evolve, field, frozen

from vtspolicy.config.positions import Node, Place, Table
from vtspolicy.config.reading import Findings, Section
from vtspolicy.grammar.values import TYPES
from vtspolicy.grammar.vocabulary import Family, Vocabulary
from vtspolicy.rules.conditions import (
    accepts_any,
    command_conditions,
    is_glob,
    tape_conditions,
    target_conditions,
)
from vtspolicy.rules.expand import GROUP, names_in, parts_of
from vtspolicy.rules.hours import SEPARATOR, HoursError, named_days, parse_hours
from vtspolicy.rules.keys import DEFAULT_OUTCOME, DEFAULT_TIMEOUT, WORK, Written
from vtspolicy.rules.places import KEYWORD, PLACES, PROGRAM, place_of_keyword
from vtspolicy.rules.secrets import BY_FILE, doubtful_pair, secret_argument, secret_variable
from vtspolicy.rules.table import Application, Rule
from vtspolicy.rules.work import (
    Expectation,
    Limits,
    OutcomeName,
    Poll,
    Query,
    Retry,
    Template,
    Work,
)
from vtspolicy.suggest import did_you_mean

Values = dict[str, Any]
"""Values of WORK keys, ready for use; Any: each key has a type of its own."""

NOT_FOR_LOCKS = dict.fromkeys(
    ("req", "job", "attempt", "handle", "rundir"), "a lock is made before the job has it"
)
"""Names that are not known yet when a job's lock is made."""

NOT_OF_A_POOL = dict.fromkeys(
    ("cartridge", "size"), "one job is done for the whole pool (each: pool)"
)
"""Names that one job for a whole pool does not have."""


@frozen(kw_only=True)
class Scope:
    """Which names the templates of one application or rule may use."""

    families: tuple[Family, ...]  # whose keywords may be there
    constants: Mapping[str, str] = field(factory=dict)  # the site's places and programs
    readings: frozenset[str] = frozenset()  # what was read from the output before
    defaults: Mapping[str, str] = field(factory=dict)  # keywords that always have a value
    denied: Mapping[str, str] = field(factory=dict)  # names that mean nothing here, and why

    @property
    def keywords(self) -> Mapping[str, str]:
        """How each keyword's value is written: by its place, and with `keyword.` before it."""
        names = {}
        for family in self.families:
            for long in family.keywords:
                names[place_of_keyword(long)] = place_of_keyword(long)
                names[KEYWORD + long] = place_of_keyword(long)
        for long in self.defaults:
            names[place_of_keyword(long)] = place_of_keyword(long)
            names[KEYWORD + long] = place_of_keyword(long)
        return names

    @property
    def short_names(self) -> Mapping[str, str]:
        """The long names of keywords by their short ones."""
        return {
            keyword.short: keyword.long
            for family in self.families
            for keyword in family.keywords.values()
            if keyword.short
        }


@frozen(kw_only=True)
class Defaults:
    """An application with the keys that it gives for its rules."""

    application: Application
    top: Values = field(factory=dict)  # for all its rules
    archive: Values = field(factory=dict)  # for those with then: migrated
    restore: Values = field(factory=dict)  # for those with then: restored
    readings: frozenset[str] = frozenset()  # the names of all its readings


class Builder:
    """Builds one table; all problems go into the findings."""

    def __init__(
        self,
        *,
        vocabulary: Vocabulary,
        calendar: Mapping[str, tuple[str, ...]],
        findings: Findings,
    ) -> None:
        self.vocabulary = vocabulary
        self.calendar = calendar
        self.findings = findings
        self.defaults: dict[str, Defaults] = {}

    # -- templates

    def finish(self, written: Template, scope: Scope) -> Template:
        """Return a template with the constants filled in, all its names checked."""
        if not isinstance(written, Written):
            return written
        if len(written.members) > 1:
            return GROUP.join(self.finish(member, scope) for member in written.members)
        keywords = scope.keywords
        result = ""
        for is_name, text in parts_of(written):
            if not is_name:
                result += text.replace("{", "{{").replace("}", "}}")
            elif text in scope.constants:
                constant = scope.constants[text]
                result += constant.replace("{", "{{").replace("}", "}}")
            else:
                self._check_name(text, written.place, scope, keywords)
                result += f"{{{keywords.get(text, text)}}}"
        return result

    def _check_name(
        self, name: str, place: Place, scope: Scope, keywords: Mapping[str, str]
    ) -> None:
        if name in scope.denied:
            self.findings.add(place, f"{{{name}}} means nothing here: {scope.denied[name]}")
        elif name not in PLACES and name not in keywords and name not in scope.readings:
            known = [*keywords, *PLACES, *scope.constants, *sorted(scope.readings)]
            remedy = did_you_mean(name, known)
            if name in scope.short_names:
                remedy = f"write the long name: {{{scope.short_names[name]}}}"
            families = ", ".join(family.name for family in scope.families[:4])
            more = " and others" if len(scope.families) > 4 else ""
            message = f"nothing provides {{{name}}}"
            if families:
                message += f" (families: {families}{more})"
            names = ", ".join(each for each in dict.fromkeys(known) if KEYWORD not in each)
            self.findings.add(place, message, remedy or f"the names are {names}")

    def arguments(self, written: Iterable[Template], scope: Scope) -> tuple[Template, ...]:
        """Return an argument list; the program itself must be the site's word."""
        argv = tuple(written)
        first = argv[0] if argv else None
        if isinstance(first, Written):
            loose = [name for name in names_in(first) if name not in scope.constants]
            if GROUP in first:
                self.findings.add(first.place, "the program stands alone, not in a list")
            elif loose:
                message = f"the program cannot depend on the command: {{{loose[0]}}}"
                self.findings.add(first.place, message, "write its name, or {program.NAME}")
        self._check_secrets(each for each in argv if isinstance(each, Written))
        return tuple(self.finish(each, scope) for each in argv)

    def lines(self, written: Iterable[Template], scope: Scope) -> tuple[Template, ...]:
        """Return lines for a standard input."""
        return tuple(self.finish(each, scope) for each in written)

    def _check_secrets(self, argv: Iterable[Written]) -> None:
        before = ""
        for member in (member for each in argv for member in each.members):
            secret = secret_argument(member)
            if secret is not None:
                self.findings.add(member.place, secret, BY_FILE)
            doubt = doubtful_pair(before, member)
            if doubt is not None:
                self.findings.add(member.place, doubt, BY_FILE, warning=True)
            before = member

    # -- parts of the work

    def query(
        self, read: Section, scope: Scope, outcome: Mapping[str, OutcomeName] | None = None
    ) -> Query:
        """Return a query; `outcome` is how its exit codes are judged when it does not say so."""
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
        )

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
            message = "poll reads no state, which tells whether the job is still in flight"
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
        self, read: Section, scope: Scope, outcome: Mapping[str, OutcomeName] | None
    ) -> Values:
        """Return the WORK keys that a section gives; `outcome` is that of the query."""
        make: Mapping[str, Callable[[Any], Any]] = {  # Any: as in Values
            "env": lambda env: self._env(env, scope),
            "timeout": _or_none,
            "timeouts": _timeouts,
            "expect": lambda _: self._work_expectations(read, scope),
            "verify": lambda verify: (
                None if verify == "none" else self.query(verify, scope, outcome)
            ),
            "poll": lambda poll: self._poll(poll, scope),
            "cancel": lambda cancel: self.arguments(cancel, scope),
            "cancel_input": lambda lines: self.lines(lines, scope),
            "prepare": lambda prepare: self.query(prepare, scope),
            "input": lambda lines: self.lines(lines, scope),
            "ready": lambda ready: self.arguments(ready, scope),
            "retry": lambda retry: Retry(**{key: retry[key] for key in retry.values}),
            "between": lambda between: self.hours(between, read.place("between")),
        }
        return {
            name: make[name](read[name]) if name in make else read[name]
            for name in WORK
            if name in read.given and read[name] is not None
        }

    def _env(self, env: Mapping[str, Template], scope: Scope) -> dict[str, Template]:
        finished = {name: self.finish(each, scope) for name, each in env.items()}
        for name, written in env.items():
            secret = secret_variable(name, finished[name])
            if secret is not None and isinstance(written, Written):
                self.findings.add(written.place, secret, "give a file that holds it")
        return finished

    def _work_expectations(self, read: Section, scope: Scope) -> tuple[Expectation, ...]:
        self._check_expected(read, scope.readings)
        return self._expectations(read, scope)

    # -- applications

    def application(self, name: str, read: Section) -> None:
        """Add an application."""
        family = self.vocabulary.families.get(name)
        families = (family,) if family else tuple(self.vocabulary.families.values())
        constants = {
            **read["places"],
            **{PROGRAM + each: path for each, path in read["programs"].items()},
        }
        self._check_constants(read)
        self._check_defaults(name, read, families)
        sections = [each for each in (read, read["archive"], read["restore"]) if each is not None]
        readings = frozenset(
            each.name
            for section in sections
            for each in (
                *section["read"],
                *filter(None, [section["progress"]]),
                *(section["prepare"]["read"] if section["prepare"] else ()),
            )
        )
        scope = Scope(
            families=families, constants=constants, readings=readings, defaults=read["defaults"]
        )
        query = self.query(read["query"], scope) if read["query"] else None
        outcome = query.outcome if query else None
        application = Application(
            name=name,
            title=read["title"] or (family.title if family else name),
            status=read["status"],
            source=read["source"],
            seats=read["seats"],
            programs=read["programs"],
            places=read["places"],
            defaults=read["defaults"],
            query=query,
            delete=self.query(read["delete"], scope) if read["delete"] else None,
            place=read.table.place,
        )
        self.defaults[name] = Defaults(
            application=application,
            top=self.work_values(read, scope, outcome),
            archive=self.work_values(read["archive"], scope, outcome) if read["archive"] else {},
            restore=self.work_values(read["restore"], scope, outcome) if read["restore"] else {},
            readings=readings,
        )

    def _check_constants(self, read: Section) -> None:
        entry = read.table.entries.get("places")
        if entry is None or not isinstance(entry.value, Table):
            return
        for name, place in entry.value.entries.items():
            if name in PLACES:
                message = f"{{{name}}} has its own meaning in every rule"
                self.findings.add(place.key, message, "choose another name")

    def _check_defaults(
        self, application: str, read: Section, families: tuple[Family, ...]
    ) -> None:
        entry = read.table.entries.get("defaults")
        if entry is None or not isinstance(entry.value, Table):
            return
        known = {long: keyword for family in families for long, keyword in family.keywords.items()}
        for name, given in entry.value.entries.items():
            if name not in known:
                remedy = did_you_mean(name, known) or f"keywords: {', '.join(known)}"
                self.findings.add(given.key, f'"{name}" is no keyword of {application}', remedy)
                continue
            kind = TYPES[known[name].type]
            value = read["defaults"].get(name)
            if value is not None and not kind.pattern.fullmatch(value):
                message = f'{name} takes {kind.expected}, and this is "{value}"'
                self.findings.add(given.value, message, f"as {kind.sample}")

    # -- rules

    def rule(self, read: Section, number: int) -> Rule | None:
        """Return a rule, or None when what it does cannot be told."""
        name = read["rule"]
        when: Section | None = read["when"]
        families = self._families(when)
        if when is not None:
            self._check_words(when, families)
        places = {key: read.place(key) for key in read.given}
        if read["run"]:
            places["run"] = read["run"][0].place  # the program's own
        base = Rule(
            number=number,
            name=name or f"rule {number}",
            place=read.table.place,
            conditions=command_conditions(when) if when else (),
            targets=target_conditions(when) if when else (),
            tapes=tape_conditions(when) if when else (),
            families=_literal_families(when),
            places=places,
        )
        doing = [key for key in ("run", "deny") if key in read.given]
        engine_does = not doing and read["then"] in {"erased", "deleted"}
        if len(doing) != 1 and not engine_does:
            found = "run and deny" if doing else "neither run nor deny"
            self.findings.add(
                read.table,
                f"a rule does one thing, and this one has {found}",
                "run: [PROGRAM, ...], or deny: REASON, or only then: erased or deleted",
            )
            return None
        if "deny" in read.given:
            for key in sorted(read.given - {"rule", "when", "deny"}):
                message = f"a rule that denies has no use for {key}"
                self.findings.add(read.key_place(key), message, "remove it")
            return evolve(base, deny=read["deny"] or "denied")
        if doing and read["then"] in {"erased", "deleted"}:
            self.findings.add(
                read.place("then"),
                f"a tape is {read['then']} by this program itself, behind the deletion gate",
                "leave out run, or say migrated or restored",
            )
        return self._running(base, read, families, engine_does=engine_does)

    def _running(
        self, base: Rule, read: Section, families: tuple[Family, ...], *, engine_does: bool
    ) -> Rule:
        defaults = self._defaults_of(read, families, engine_does=engine_does)
        application = defaults.application
        own = frozenset(each.name for each in (*read["read"], *filter(None, [read["progress"]])))
        scope = Scope(
            families=families,
            constants={
                **application.places,
                **{PROGRAM + name: path for name, path in application.programs.items()},
            },
            defaults=application.defaults,
        )
        special = {"migrated": defaults.archive, "restored": defaults.restore}
        layers = [defaults.top, special.get(read["then"], {})]
        each = read["each"] if "each" in read.given else _last(layers, "each", "cartridge")
        if each == "pool":
            scope = evolve(scope, denied=NOT_OF_A_POOL)
            if base.tapes or any(condition.key == "cartridge" for condition in base.targets):
                self.findings.add(
                    read.place("each") if "each" in read.given else read.table.place,
                    "one job for a whole pool cannot select among its tapes",
                    "each: cartridge, or no conditions on cartridge and tape",
                )
        outcome = application.query.outcome if application.query else None
        after = evolve(scope, readings=defaults.readings | own)
        values = self.work_values(read, after, outcome)
        prepare = values.get("prepare") or _last(layers, "prepare", None)
        prepared = frozenset(each.name for each in prepare.readings) if prepare else frozenset()
        scope = evolve(scope, readings=prepared)
        values["run"] = self.arguments(read["run"] or (), scope)
        if "input" in values:
            values["input"] = self.lines(read["input"], scope)
        values["between"] = self._between(read, values)
        lock = self._lock(read, scope)
        layers.append(
            {
                key: value
                for key, value in values.items()
                if value is not None or key in {"timeout", "verify"}
            }
        )
        work = self._work(application, layers, read["then"])
        if work.handle is not None and work.handle not in {each.name for each in work.readings}:
            known = [each.name for each in work.readings]
            remedy = did_you_mean(work.handle, known) or "add it to read"
            self.findings.add(read.place("handle"), f'no reading is called "{work.handle}"', remedy)
        return evolve(
            base,
            work=work,
            each=each,
            lock=lock,
            defaults={
                place_of_keyword(name): value for name, value in application.defaults.items()
            },
            priority=_last(layers, "priority", 0),
        )

    def _between(self, read: Section, values: Values) -> str | None:
        when: Section | None = read["when"]
        if when is None or "between" not in when.given:
            hours: str | None = values.get("between")
            return hours
        if "between" in read.given:
            message = "between stands here and under when"
            self.findings.add(read.key_place("between"), message, "remove one of them")
        if when["between"] is None:
            return None
        return self.hours(when["between"], when.place("between"))

    def _lock(self, read: Section, scope: Scope) -> Template | None:
        written = read["lock"]
        if written == "none":
            return None
        return self.finish(written, evolve(scope, denied={**NOT_FOR_LOCKS, **scope.denied}))

    def _work(self, application: Application, layers: list[Values], then: Any) -> Work:  # Any: Then
        env: dict[str, Template] = {}
        readings: dict[str, Any] = {}  # Any: Reading, as in Values
        timeouts: dict[str, Any] = {}  # Any: seconds or None
        for layer in layers:
            env.update(layer.get("env", {}))
            readings.update({each.name: each for each in layer.get("read", ())})
            if layer.get("progress"):
                readings["percent"] = layer["progress"]
            timeouts.update(layer.get("timeouts", {}))
        run = _last(layers, "run", ())
        default_verify = application.query if then == "migrated" else None
        between = _last(layers, "between", None)
        return Work(
            application=application.name,
            run=run,
            then=then,
            env=env,
            outcome=_last(layers, "outcome", DEFAULT_OUTCOME),
            readings=tuple(readings.values()),
            expect=_last(layers, "expect", ()),
            verify=_last(layers, "verify", default_verify),
            prepare=_last(layers, "prepare", None),
            input=_last(layers, "input", ()),
            poll=_last(layers, "poll", None),
            cancel=_last(layers, "cancel", ()),
            cancel_input=_last(layers, "cancel_input", ()),
            handle=_last(layers, "handle", None),
            ready=_last(layers, "ready", ()),
            limits=Limits(
                attempt=_last(layers, "timeout", DEFAULT_TIMEOUT if run else None), **timeouts
            ),
            retry=_last(layers, "retry", Retry()),
            on_interrupt=_last(layers, "on_interrupt", "fail"),
            between=between,
            calendar={
                name: self.calendar[name]
                for name in sorted(named_days(between) if between else ())
                if name in self.calendar
            },
        )

    def _defaults_of(
        self, read: Section, families: tuple[Family, ...], *, engine_does: bool
    ) -> Defaults:
        """The application of a rule: named, or the one family in `when`, or the engine itself."""
        name = read["application"]
        if name is not None and name not in self.defaults:
            known = [*self.defaults, *(family.name for family in self.vocabulary.applications)]
            if name not in known:
                self.findings.add(
                    read.place("application"),
                    f"there is no application {name}",
                    did_you_mean(name, known) or "add it under applications",
                )
        if name is None and len(families) == 1 and (engine_does or not families[0].verb):
            name = families[0].name
        if name is None:
            name = self._copied_by(read["when"])
        if name is None and "application" not in read.given:
            if not engine_does:
                self.findings.add(
                    read.table,
                    "it cannot be told whose program this rule runs",
                    "application: NAME, or one family in when",
                )
            name = (read["then"] or "erased").removesuffix("d").capitalize()
        name = name or "unknown"
        if name in self.defaults:
            return self.defaults[name]
        return Defaults(application=Application(name=name, title=name, place=read.table.place))

    def _copied_by(self, when: Section | None) -> str | None:
        """The one application that has the tapes' copies, if `when` says so."""
        tape: Section | None = when["tape"] if when is not None else None
        written = tape["application"] if tape is not None else None
        known = {*self.defaults, *self.vocabulary.families}
        return written[0] if written and len(written) == 1 and written[0] in known else None

    def _families(self, when: Section | None) -> tuple[Family, ...]:
        """The families and verbs that a rule may match, unknown words reported."""
        known = self.vocabulary.families
        if when is None or when["family"] is None:
            return tuple(known.values())
        for node, word in _words(when, "family"):
            if not is_glob(word) and word not in known:
                remedy = did_you_mean(word, known) or f"the families are {', '.join(known)}"
                self.findings.add(node, f'"{word}" is no family or verb', remedy)
            elif word in known and known[word].takes == "request":
                message = f"{word} is answered by the program itself"
                self.findings.add(node, message, "the families of a host say who may use it")
        accepts = accepts_any(when["family"])
        return tuple(family for name, family in known.items() if accepts(name))

    def _check_words(self, when: Section, families: tuple[Family, ...]) -> None:
        """Report operations and keywords that none of the families has."""
        operations = {word for family in families for word in family.operations} | {"none"}
        for node, word in _words(when, "operation"):
            if families and not is_glob(word) and word not in operations:
                remedy = did_you_mean(word, operations) or ", ".join(sorted(operations))
                self.findings.add(node, f'"{word}" is no operation of these families', remedy)
        entry = when.table.entries.get("keywords")
        keywords = {word for family in families for word in family.keywords}
        if entry is None or not isinstance(entry.value, Table) or not families:
            return
        short = Scope(families=families).short_names
        for name, keyword in entry.value.entries.items():
            if name not in keywords:
                remedy = f"write the long name: {short[name]}" if name in short else ""
                self.findings.add(
                    keyword.key,
                    f'"{name}" is no keyword of these families',
                    remedy or did_you_mean(name, keywords) or ", ".join(sorted(keywords)),
                )


def _or_none(written: float | str) -> float | str | None:
    return None if written == "none" else written


def _timeouts(read: Section) -> Mapping[str, float | None]:
    return {key: _or_none(read[key]) for key in read.given if read[key] is not None}  # type: ignore[misc]  # numbers, once "none" is gone


def _last(layers: Iterable[Values], name: str, default: Any) -> Any:
    """Return the value of the last layer that gives a key; Any: as in Values."""
    found = default
    for layer in layers:
        if name in layer:
            found = layer[name]
    return found


def _words(when: Section, key: str) -> Iterable[tuple[Node, str]]:
    """The words under a key of `when`, each with its node."""
    entry = when.table.entries.get(key)
    if entry is None or when[key] is None:
        return
    nodes = getattr(entry.value, "items", None)
    yield from zip(nodes if isinstance(nodes, tuple) else (entry.value,), when[key], strict=True)


def _literal_families(when: Section | None) -> tuple[str, ...] | None:
    if when is None or when["family"] is None or any(is_glob(each) for each in when["family"]):
        return None
    written: tuple[str, ...] = when["family"]
    return written
