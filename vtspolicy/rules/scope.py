"""Which names the templates of an application or rule may use, and how templates are finished."""

from collections.abc import Iterable, Mapping

from attrs import evolve, field, frozen

from vtspolicy.config.positions import Place
from vtspolicy.config.reading import Findings
from vtspolicy.grammar.vocabulary import Family
from vtspolicy.rules.expand import GROUP, Template, names_in, parts_of
from vtspolicy.rules.forms import Written
from vtspolicy.rules.places import KEYWORD, PLACES, place_of_keyword
from vtspolicy.rules.secrets import BY_FILE, doubtful_pair, secret_argument, secret_name
from vtspolicy.suggest import did_you_mean

NOT_FOR_LOCKS = dict.fromkeys(
    ("req", "job", "attempt", "handle", "rundir", "target", "staging"),
    "a lock is made before the job has it",
)
"""Names that are not known yet when a job's lock is made."""

NOT_OF_A_POOL = dict.fromkeys(
    ("cartridge", "size", "target", "staging"), "one job is done for the whole pool (each: pool)"
)
"""Names that one job for a whole pool does not have; its copies are asked for tape by tape."""

ONLY_TO_RESTORE = dict.fromkeys(
    ("target", "staging"), "it is there for rules with then: restored, and for read_back"
)
"""Names of places that only a restore, or the reading of a copy, writes to."""


@frozen(kw_only=True)
class Scope:
    """Which names the templates of one application or rule may use."""

    families: tuple[Family, ...]  # whose keywords may be there
    constants: Mapping[str, str] = field(factory=dict)  # the site's places and programs
    readings: frozenset[str] = frozenset()  # what was read from the output before
    defaults: Mapping[str, str] = field(factory=dict)  # keywords that always have a value
    used: set[str] = field(factory=set, eq=False)  # the constants that a template has named
    denied: Mapping[str, str] = field(factory=dict)  # names that mean nothing here, and why

    def denying(self, names: Mapping[str, str]) -> "Scope":
        """Return the same without some names; each has the reason why it means nothing."""
        return evolve(self, denied={**self.denied, **names})

    def allowing(self, names: Mapping[str, str]) -> "Scope":
        """Return the same with names that `denying` has taken away."""
        denied = {name: why for name, why in self.denied.items() if names.get(name) != why}
        return evolve(self, denied=denied)

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


class Templates:
    """Finishes templates; all problems go into the findings."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings

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
                scope.used.add(text)
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
            scope.used.update(name for name in names_in(first) if name in scope.constants)
            loose = [name for name in names_in(first) if name not in scope.constants]
            if GROUP in first:
                self.findings.add(first.place, "the program must not be in a list")
            elif loose:
                message = f"the program cannot depend on the command: {{{loose[0]}}}"
                self.findings.add(first.place, message, "write its name, or {program.NAME}")
        self._check_secrets((each for each in argv if isinstance(each, Written)), scope)
        return tuple(self.finish(each, scope) for each in argv)

    def lines(self, written: Iterable[Template], scope: Scope) -> tuple[Template, ...]:
        """Return lines for a standard input."""
        return tuple(self.finish(each, scope) for each in written)

    def _check_secrets(self, argv: Iterable[Written], scope: Scope) -> None:
        before = ""
        for member in (member for each in argv for member in each.members):
            secret = secret_argument(member)
            named = secret_name(member, scope.constants)
            if secret is None and named is not None:
                secret = f"{named}, and puts it on the argument list"
            if secret is not None:
                self.findings.add(member.place, secret, BY_FILE)
            doubt = doubtful_pair(before, member)
            if doubt is not None:
                self.findings.add(member.place, doubt, BY_FILE, warning=True)
            before = member
