"""Vocabulary files read and checked: the shipped families.yaml, and a site's own beside it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import cast

from attrs import evolve, field, frozen

from vtspolicy.config.positions import Entry, Items, Node, Place, Scalar, Table, describe, read_file
from vtspolicy.config.problems import ConfigurationError, Problem
from vtspolicy.grammar.values import TYPES
from vtspolicy.grammar.vocabulary import Family, Keyword, Required, Status, Takes, Vocabulary
from vtspolicy.suggest import did_you_mean

SHIPPED = Path(__file__).with_name("families.yaml")

WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}", re.ASCII)
LONGEST_LINE = 200  # characters of a title, a help or a source
RESERVED = frozenset(
    {"ref", "request", "VTSPolicy"}  # words of the language itself
    | {"vault", "cartridge", "path", "host", "system"}  # what the rules take from elsewhere
    | {"req", "job", "handle", "rundir", "node"}
)
FILE_KEYS = ("core", "families")
FAMILY_KEYS = ("title", "status", "source", "takes", "operations", "keywords")
KEYWORD_KEYS = ("short", "type", "required", "help", "source")
CHOICES = {
    "status": ("documented", "ours"),
    "takes": ("path", "tapes", "request"),
    "required": ("never", "always", "cluster"),
    "type": tuple(TYPES),
}


@frozen
class _Reader:
    """One file being read: finds every problem, not only the first."""

    shipped: bool
    families: dict[str, Family]  # known so far, from this file and those before it
    core: dict[str, Keyword]  # of every family that takes a path, known so far
    problems: list[Problem] = field(factory=list)

    def read(self, root: Node) -> None:
        """Add what the file declares to the families and the core."""
        sections = {
            item.key.text: item.value for item in self._entries(root, "the file", FILE_KEYS)
        }
        if "core" in sections:
            self._read_core(sections["core"])
        if "families" not in sections:
            return
        for entry in self._entries(sections["families"], "families"):
            known = self.families.get(entry.key.text)
            family = self._more_keywords(entry, known) if known else self._new_family(entry)
            if family is not None:
                self.families[family.name] = family

    # Families

    def _read_core(self, node: Node) -> None:
        """Add keywords to every family that takes a path, the known ones and those to come."""
        for entry in self._entries(node, "core"):
            keyword = self._keyword(entry)
            if keyword is None:
                continue
            takers = [family for family in self.families.values() if not family.verb]
            taken = [(family.name, family.words) for family in takers] or [("core", self._words())]
            if any(self._clashes(entry.key.place, keyword, *words) for words in taken):
                continue
            self.core[keyword.long] = keyword
            for family in takers:
                keywords = {**family.keywords, keyword.long: keyword}
                self.families[family.name] = evolve(family, keywords=keywords)

    def _words(self) -> dict[str, Keyword]:
        return {word: k for k in self.core.values() for word in (k.long, k.short) if word}

    def _new_family(self, entry: Entry) -> Family | None:
        name = entry.key.text
        fields: dict[str, str] = {}
        operations: tuple[str, ...] = ("archive", "selective")
        keywords_node: Node | None = None
        for item in self._entries(entry.value, f"family {name}", FAMILY_KEYS):
            key = item.key.text
            if key == "keywords":
                keywords_node = item.value
            elif key == "operations":
                operations = self._operations(item.value)
            elif key in CHOICES:
                fields[key] = self._choice(item.value, key)
                if key == "takes" and fields[key] != "path" and not self.shipped:
                    self._problem(item.value, "only the shipped verbs take that", "leave it out")
            else:
                fields[key] = self._line(item.value, key)
        self._missing(entry, ("title",), fields)
        takes = fields.get("takes", "path")
        family = Family(
            name=name,
            title=fields.get("title", ""),
            status=cast("Status", fields.get("status", "ours")),
            takes=cast("Takes", takes),
            operations=operations,
            keywords=self.core if takes == "path" else {},
            source=fields.get("source", "ours"),
        )
        if keywords_node is not None:
            family = self._add_keywords(keywords_node, family)
        return family if self._is_word(entry.key, name, "a family") else None

    def _more_keywords(self, entry: Entry, family: Family) -> Family:
        """Add a site's keywords to a family that is known already; anything else clashes."""
        for item in self._entries(entry.value, f"family {family.name}", FAMILY_KEYS):
            if item.key.text == "keywords":
                family = self._add_keywords(item.value, family)
            else:
                self._problem(
                    item.key,
                    f"family {family.name} is there already: its {item.key.text} stays",
                    "give only keywords: to add to it",
                )
        return family

    def _operations(self, node: Node) -> tuple[str, ...]:
        if not isinstance(node, Items):
            self._problem(node, "operations must be a list", "write [archive, selective]")
            return ()
        found: list[str] = []
        for item in node.items:
            value = self._line(item, "an operation")
            if value in found:
                self._problem(item, f'operation "{value}" is there twice', "remove one of them")
            elif value and self._is_word(item, value, "an operation"):
                found.append(value)
        return tuple(found)

    # Keywords

    def _add_keywords(self, node: Node, family: Family) -> Family:
        """Return the family with more keywords, without those that clash."""
        for entry in self._entries(node, f"the keywords of {family.name}"):
            keyword = self._keyword(entry)
            if keyword is None:
                continue
            if not self._clashes(entry.key.place, keyword, family.name, family.words):
                family = evolve(family, keywords={**family.keywords, keyword.long: keyword})
        return family

    def _clashes(
        self, place: Place, keyword: Keyword, family: str, words: Mapping[str, Keyword]
    ) -> bool:
        """Whether one of the keyword's names is taken in the family; reports it if so."""
        for word in (keyword.long, keyword.short):
            if word and word in words:
                message = f'keyword "{word}" of {family} is there already, as {words[word].long}'
                self.problems.append(place.problem(message, "choose another name"))
                return True
        return False

    def _keyword(self, entry: Entry) -> Keyword | None:
        long = entry.key.text
        fields: dict[str, str] = {}
        for item in self._entries(entry.value, f"keyword {long}", KEYWORD_KEYS):
            key = item.key.text
            choice = key in CHOICES
            fields[key] = self._choice(item.value, key) if choice else self._line(item.value, key)
            if key == "short" and fields[key]:
                self._is_word(item.value, fields[key], "a keyword's short name")
                if fields[key] == long:
                    self._problem(item.value, "the short name is the long one", "leave it out")
        self._missing(entry, ("type", "help"), fields)
        if not self._is_word(entry.key, long, "a keyword"):
            return None
        return Keyword(
            long=long,
            short=fields.get("short") or None,
            type=fields.get("type", "text"),
            required=cast("Required", fields.get("required", "never")),
            help=fields.get("help", ""),
            source=fields.get("source", "ours"),
        )

    # Values

    def _problem(self, node: Node, message: str, remedy: str = "") -> None:
        self.problems.append(node.place.problem(message, remedy))

    def _entries(
        self, node: Node, what: str, allowed: Sequence[str] | None = None
    ) -> Iterator[Entry]:
        """Give the entries of a mapping, without those whose key is not `allowed`."""
        if not isinstance(node, Table):
            self._problem(node, f"{what} must be a mapping, found {describe(node)}")
            return
        for key, entry in node.entries.items():
            if allowed is None or key in allowed:
                yield entry
            else:
                remedy = did_you_mean(key, allowed) or f"allowed: {', '.join(allowed)}"
                self._problem(entry.key, f'unknown key "{key}" in {what}', remedy)

    def _missing(self, entry: Entry, required: Sequence[str], fields: Mapping[str, str]) -> None:
        for key in required:
            if key not in fields:
                self._problem(entry.key, f"{entry.key.text} has no {key}", f"add {key}: ...")

    def _line(self, node: Node, what: str) -> str:
        """Return one line of text; empty, and reported, when it is something else."""
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            self._problem(node, f"{what} must be text, found {describe(node)}", "quote it")
            return ""
        if not node.value or len(node.value) > LONGEST_LINE or not node.value.isprintable():
            self._problem(node, f"{what} must be one line of 1 to {LONGEST_LINE} characters")
            return ""
        return node.value

    def _choice(self, node: Node, what: str) -> str:
        value = self._line(node, what)
        allowed = CHOICES[what]
        if value and value not in allowed:
            remedy = did_you_mean(value, allowed) or f"allowed: {', '.join(allowed)}"
            self._problem(node, f'"{value}" is not a valid {what}', remedy)
        return value if value in allowed else allowed[0]

    def _is_word(self, node: Node, value: str, what: str) -> bool:
        """Whether `value` can be a word of the language; reports it if not."""
        if not WORD.fullmatch(value):
            remedy = "a letter, then up to 31 letters, digits, _ or -"
            self._problem(node, f'"{value}" cannot be {what}', remedy)
        elif value in RESERVED:
            self._problem(node, f'"{value}" has its own meaning already', "choose another name")
        else:
            return True
        return False


def load_vocabulary(files: Sequence[str | Path] = ()) -> Vocabulary:
    """Return the shipped vocabulary with what the site's `files` add to it.

    A site's file has the form of families.yaml. A new name under `families` is a new family; a
    known one may only bring further `keywords`.

    Raises:
        ConfigurationError: with every problem of every file; a clash with a family or keyword
            that is there already is one.

    """
    families: dict[str, Family] = {}
    core: dict[str, Keyword] = {}
    problems: list[Problem] = []
    for file in (SHIPPED, *files):
        root, found = read_file(file)
        reader = _Reader(shipped=file is SHIPPED, families=families, core=core, problems=[*found])
        if root is not None:
            reader.read(root)
        problems += reader.problems
    if problems:
        raise ConfigurationError(problems)
    return Vocabulary(families=families)


@cache
def shipped() -> Vocabulary:
    """Return the vocabulary that comes with the program, read once."""
    return load_vocabulary()
