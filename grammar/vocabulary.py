"""The words of the language: families, verbs and their keywords, as data."""

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

from attrs import field, frozen

Required = Literal["never", "always", "cluster"]
Status = Literal["documented", "ours"]
Takes = Literal["path", "tapes", "request"]


def _read_only(mapping: Mapping[str, Any]) -> Mapping[str, Any]:  # attrs converter: any values
    return MappingProxyType(dict(mapping))


@frozen(kw_only=True)
class Keyword:
    """One keyword of a family: `long=value` or `short=value`."""

    long: str  # the name in rules, JSON and documents
    short: str | None = None  # the name that fits into a short event
    type: str  # a key of vtspolicy.grammar.values.TYPES
    required: Required = "never"  # cluster: only where several servers share the work
    help: str  # what it means, in one line
    source: str = "ours"  # where the fact comes from


@frozen(kw_only=True)
class Family:
    """An application family, or one of the verbs: what may follow its word."""

    name: str  # the word, case and all
    title: str  # the product or the deed in one line
    status: Status = "ours"  # documented by the maker, or decided by this project or the site
    takes: Takes = "path"  # one quoted path, tape names, or a request
    operations: tuple[str, ...] = ()  # words before the path; for a verb its only operation
    keywords: Mapping[str, Keyword] = field(converter=_read_only)  # by long name, core first
    source: str = "ours"  # where the fact comes from

    @property
    def verb(self) -> bool:
        """Whether it is a verb such as Erase, whose words are not quoted."""
        return self.takes != "path"

    @cached_property
    def words(self) -> Mapping[str, Keyword]:
        """Every keyword by its long and by its short name."""
        words = {keyword.long: keyword for keyword in self.keywords.values()}
        words |= {keyword.short: keyword for keyword in self.keywords.values() if keyword.short}
        return MappingProxyType(words)

    @cached_property
    def always_required(self) -> tuple[str, ...]:
        """Long names of the keywords without which no command of the family is complete."""
        return tuple(word.long for word in self.keywords.values() if word.required == "always")


@frozen(kw_only=True, eq=False)
class Vocabulary:
    """All families and verbs that a text may use; compared by identity, for its grammar is kept."""

    families: Mapping[str, Family] = field(converter=_read_only)  # by name, in the files' order

    @cached_property
    def applications(self) -> tuple[Family, ...]:
        """The families that take a quoted path."""
        return tuple(family for family in self.families.values() if not family.verb)

    @cached_property
    def verbs(self) -> tuple[Family, ...]:
        """The families that take `-` and tapes, or `-` and a request."""
        return tuple(family for family in self.families.values() if family.verb)
