"""Builds applications and rules from what was read: defaults, templates and their names."""

from collections.abc import Iterable, Mapping
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
from vtspolicy.rules.evidence import check_keys, check_read_back, check_restore
from vtspolicy.rules.expand import Template
from vtspolicy.rules.hours import named_days
from vtspolicy.rules.parts import Parts, Values, prepared_by, with_cause
from vtspolicy.rules.places import PLACES, PROGRAM, is_shipped, place_of_keyword
from vtspolicy.rules.query_keys import DEFAULT_OUTCOME, DEFAULT_TIMEOUT
from vtspolicy.rules.scope import NOT_FOR_LOCKS, NOT_OF_A_POOL, ONLY_TO_RESTORE, Scope
from vtspolicy.rules.table import Application, Rule
from vtspolicy.rules.unused import check_effects
from vtspolicy.rules.work import (
    Limits,
    Query,
    Retry,
    Work,
)
from vtspolicy.suggest import did_you_mean


@frozen(kw_only=True)
class Defaults:
    """An application with the keys that it gives for its rules."""

    application: Application
    top: Values = field(factory=dict)  # for all its rules
    archive: Values = field(factory=dict)  # for those with then: migrated
    restore: Values = field(factory=dict)  # for those with then: restored
    readings: frozenset[str] = frozenset()  # the names of all its readings
    proof: Place | None = None  # where the proof is that its copies need
    used: set[str] = field(factory=set)  # names of its places and programs that have a use
    read: Section | None = None  # as it was written


class Builder(Parts):
    """Builds one table; all problems go into the findings."""

    def __init__(
        self,
        *,
        vocabulary: Vocabulary,
        calendar: Mapping[str, tuple[str, ...]],
        findings: Findings,
    ) -> None:
        super().__init__(calendar=calendar, findings=findings)
        self.vocabulary = vocabulary
        self.defaults: dict[str, Defaults] = {}

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
        self._refuse_delete(read)
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
        used = scope.used
        to_restore = scope
        scope = scope.denying(ONLY_TO_RESTORE)
        query = self.query(read["query"], scope) if read["query"] else None
        outcome = query.outcome if query else None
        told = read["cause"] or ()
        application = Application(
            name=name,
            title=read["title"] or (family.title if family else name),
            status=read["status"],
            source=read["source"],
            seats=read["seats"],
            programs=read["programs"],
            places=read["places"],
            defaults=read["defaults"],
            query=with_cause(query, told),
            delete=with_cause(self.query(read["delete"], scope) if read["delete"] else None, told),
            read_back=with_cause(
                self.read_back(read["read_back"], scope) if read["read_back"] else None, told
            ),
            touches="ctime" in read["touches"],
            place=read.table.place,
        )
        archive, restore = read["archive"], read["restore"]
        self.defaults[name] = Defaults(
            application=application,
            top=self.work_values(read, scope, outcome),
            archive=self.work_values(archive, scope, outcome) if archive else {},
            restore=self.work_values(restore, to_restore, outcome) if restore else {},
            readings=readings,
            proof=archive.place("proof") if archive and "proof" in archive.given else None,
            used=used,
            read=read,
        )

    def _refuse_delete(self, read: Section) -> None:
        """Refuse a site's own `delete`: nothing runs it. The shipped ones are there to be read."""
        if "delete" in read.given and not is_shipped(read.key_place("delete")):
            self.findings.add(
                read.key_place("delete"),
                "delete has no effect: this version deletes no copies in an application",
                "remove it, and let the application's own retention delete copies",
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
                self.findings.add(given.key, f'"{name}" is not a keyword of {application}', remedy)
                continue
            kind = TYPES[known[name].type]
            value = read["defaults"].get(name)
            if value is not None and not kind.pattern.fullmatch(value):
                message = f'{name} takes {kind.expected}, and this is "{value}"'
                self.findings.add(given.value, message, f"as {kind.sample}")

    # -- rules

    def rule(self, read: Section, number: int) -> Rule | None:
        """Return a rule, or None when what it does is not clear."""
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
            used=defaults.used,
        )
        special = {"migrated": defaults.archive, "restored": defaults.restore}
        layers = [defaults.top, special.get(read["then"], {})]
        if read["then"] != "restored":
            scope = scope.denying(ONLY_TO_RESTORE)
        each = read["each"] if "each" in read.given else _last(layers, "each", "cartridge")
        if each == "pool":
            scope = scope.denying(NOT_OF_A_POOL)
            if base.tapes or any(condition.key == "cartridge" for condition in base.targets):
                self.findings.add(
                    read.place("each") if "each" in read.given else read.table.place,
                    "one job for a whole pool cannot select among its tapes",
                    "each: cartridge, or no conditions on cartridge and tape",
                )
        outcome = application.query.outcome if application.query else None
        after = evolve(scope, readings=defaults.readings | own)
        before: Query | None = _last(layers, "prepare", None)
        inherited = frozenset(each.name for each in before.readings) if before else frozenset()
        prepared = prepared_by(read) if read["prepare"] else inherited
        values = self.work_values(read, after, outcome, prepared)
        values["run"] = self.arguments(read["run"] or (), evolve(scope, readings=prepared))
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
        check_keys(read, self.findings)
        check_effects(read, work, self.findings)
        check_read_back(work, read, defaults.proof, self.findings)
        check_restore(work, read, self.findings)
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
            message = "between is here and under when"
            self.findings.add(read.key_place("between"), message, "remove one of them")
        if when["between"] is None:
            return None
        return self.hours(when["between"], when.place("between"))

    def _lock(self, read: Section, scope: Scope) -> Template | None:
        written = read["lock"]
        if written == "none":
            return None
        return self.finish(written, scope.denying(NOT_FOR_LOCKS))

    def _work(self, application: Application, layers: list[Values], then: Any) -> Work:  # Any: Then
        env: dict[str, Template] = {}
        readings: dict[str, Any] = {}  # Any: Reading, as in Values
        timeouts: dict[str, Any] = {}  # Any: seconds or None
        proof: dict[str, Any] = {}  # Any: of `proof` and `every`, as in Values
        for layer in layers:
            env.update(layer.get("env", {}))
            readings.update({each.name: each for each in layer.get("read", ())})
            if layer.get("progress"):
                readings["percent"] = layer["progress"]
            timeouts.update(layer.get("timeouts", {}))
            proof.update(layer.get("proof", {}))
        run = _last(layers, "run", ())
        copies = then == "migrated"
        default_verify = application.query if copies else None
        between = _last(layers, "between", None)
        work = Work(
            application=application.name,
            run=run,
            then=then,
            env=env,
            outcome=_last(layers, "outcome", DEFAULT_OUTCOME),
            readings=tuple(readings.values()),
            expect=_last(layers, "expect", ()),
            cause=_last(layers, "cause", ()),
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
            read_back=_last(layers, "read_back", application.read_back) if copies else None,
            touches=application.touches and copies,
            **proof,
        )
        return _telling_causes(work)

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
                    "it is not clear whose program this rule runs",
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
                self.findings.add(node, f'"{word}" is not a family or verb', remedy)
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
                self.findings.add(node, f'"{word}" is not an operation of these families', remedy)
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
                    f'"{name}" is not a keyword of these families',
                    remedy or did_you_mean(name, keywords) or ", ".join(sorted(keywords)),
                )


def _telling_causes(work: Work) -> Work:
    """Return a work whose calls look for causes as its run does."""
    poll = work.poll
    return evolve(
        work,
        prepare=with_cause(work.prepare, work.cause),
        verify=with_cause(work.verify, work.cause),
        read_back=with_cause(work.read_back, work.cause),
        poll=None
        if poll is None
        else evolve(
            poll,
            query=evolve(poll.query, cause=work.cause),
            find=with_cause(poll.find, work.cause),
        ),
    )


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
