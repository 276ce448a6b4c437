"""Vocabulary files read and checked: the shipped families.yaml, and a site's own beside it."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import cast

import yaml
from attrs import evolve, field, frozen

from vtspolicy.config.problems import ConfigurationError, Problem
from vtspolicy.grammar.values import TYPES
from vtspolicy.grammar.vocabulary import Family, Keyword, Required, Status, Takes, Vocabulary
from vtspolicy.suggest import did_you_mean

SHIPPED = Path(__file__).with_name("families.yaml")

WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}", re.ASCII)
RESERVED = frozenset({"ref", "request"})
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
class _Entry:
    """One key of a mapping in the file, with its value, both still at their places."""

    key: str
    key_node: yaml.Node
    node: yaml.Node


@frozen
class _Reader:
    """One file being read: finds every problem, not only the first."""

    file: str
    shipped: bool
    problems: list[Problem] = field(factory=list)

    def problem(self, node: yaml.Node, message: str, remedy: str = "") -> None:
        mark = node.start_mark
        self.problems.append(
            Problem(
                file=self.file,
                line=mark.line + 1,
                column=mark.column + 1,
                message=message,
                remedy=remedy,
            )
        )

    def root(self) -> yaml.Node | None:
        try:
            text = Path(self.file).read_text(encoding="utf-8")
            return cast("yaml.Node | None", yaml.compose(text, Loader=yaml.SafeLoader))
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8"
            self._whole(1, 1, f"cannot be read: {reason}")
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            self._whole(line, column, f"not YAML: {error.problem}")
        except yaml.YAMLError as error:
            self._whole(1, 1, f"not YAML: {error}")
        return None

    def _whole(self, line: int, column: int, message: str) -> None:
        problem = Problem(file=self.file, line=line, column=column, message=message)
        self.problems.append(problem)

    def entries(
        self, node: yaml.Node, what: str, allowed: Sequence[str] | None = None
    ) -> Iterator[_Entry]:
        if not isinstance(node, yaml.MappingNode):
            self.problem(node, f"{what} must be a mapping", "write key: value")
            return
        seen: set[str] = set()
        for key_node, value in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None or key_node.tag != "tag:yaml.org,2002:str":
                self.problem(
                    key_node, f"{what} has a key that is not a word", "put it in double quotes"
                )
            elif key in seen:
                self.problem(key_node, f'duplicate key "{key}" in {what}', "remove one of them")
            elif allowed is not None and key not in allowed:
                remedy = did_you_mean(key, allowed) or f"allowed: {', '.join(allowed)}"
                self.problem(key_node, f'unknown key "{key}" in {what}', remedy)
            else:
                seen.add(key)
                yield _Entry(key, key_node, value)

    def line(self, node: yaml.Node, what: str, longest: int = 200) -> str:
        """One line of text."""
        if not isinstance(node, yaml.ScalarNode) or node.tag != "tag:yaml.org,2002:str":
            self.problem(node, f"{what} must be text", "put it in double quotes")
            return ""
        value = str(node.value)
        if not value or len(value) > longest or not value.isprintable():
            self.problem(node, f"{what} must be one line of 1 to {longest} characters")
            return ""
        return value

    def choice(self, node: yaml.Node, what: str) -> str:
        value = self.line(node, what)
        allowed = CHOICES[what]
        if value and value not in allowed:
            remedy = did_you_mean(value, allowed) or f"allowed: {', '.join(allowed)}"
            self.problem(node, f'"{value}" is no {what}', remedy)
        return value if value in allowed else allowed[0]

    def word(self, node: yaml.Node, value: str, what: str) -> bool:
        """Whether `value` can stand as a word of the language; reports it if not."""
        if not WORD.fullmatch(value):
            self.problem(
                node,
                f'"{value}" cannot be {what}',
                "a letter, then up to 31 letters, digits, _ or -",
            )
            return False
        if value in RESERVED:
            self.problem(node, f'"{value}" has a meaning in every family', "choose another name")
            return False
        return True

    def keyword(self, entry: _Entry) -> Keyword | None:
        what = f"keyword {entry.key}"
        fields: dict[str, str] = {}
        for item in self.entries(entry.node, what, KEYWORD_KEYS):
            if item.key in {"type", "required"}:
                fields[item.key] = self.choice(item.node, item.key)
            else:
                fields[item.key] = self.line(item.node, item.key)
            if item.key == "short":
                self.word(item.node, fields["short"], "a keyword's short name")
        for missing in [key for key in ("type", "help") if key not in fields]:
            self.problem(entry.key_node, f"{what} has no {missing}", f"add {missing}: ...")
        if not self.word(entry.key_node, entry.key, "a keyword"):
            return None
        return Keyword(
            long=entry.key,
            short=fields.get("short") or None,
            type=fields.get("type", "text"),
            required=cast("Required", fields.get("required", "never")),
            help=fields.get("help", ""),
            source=fields.get("source", "ours"),
        )

    def add_keywords(self, node: yaml.Node, family: str, known: dict[str, Keyword]) -> None:
        """Add the keywords of a mapping to `known`, unless they clash with one of it."""
        for entry in self.entries(node, f"the keywords of {family}"):
            keyword = self.keyword(entry)
            if keyword is None:
                continue
            taken = {word: k for k in known.values() for word in (k.long, k.short) if word}
            for word in (keyword.long, keyword.short):
                if word in taken:
                    self.problem(
                        entry.key_node,
                        f'keyword "{word}" of {family} is there already, as {taken[word].long}',
                        "choose another name",
                    )
                    break
            else:
                known[keyword.long] = keyword

    def operations(self, node: yaml.Node) -> tuple[str, ...]:
        if not isinstance(node, yaml.SequenceNode):
            self.problem(node, "operations must be a list", "write [archive, selective]")
            return ()
        found: list[str] = []
        for item in node.value:
            value = self.line(item, "an operation")
            if value in found:
                self.problem(item, f'operation "{value}" is there twice', "remove one of them")
            elif value and self.word(item, value, "an operation"):
                found.append(value)
        return tuple(found)

    def family(self, entry: _Entry, core: dict[str, Keyword]) -> Family | None:
        """Read a family that is not known yet."""
        fields: dict[str, str] = {}
        operations: tuple[str, ...] | None = None
        keywords_node: yaml.Node | None = None
        for item in self.entries(entry.node, f"family {entry.key}", FAMILY_KEYS):
            if item.key == "keywords":
                keywords_node = item.node
            elif item.key == "operations":
                operations = self.operations(item.node)
            elif item.key in CHOICES:
                fields[item.key] = self.choice(item.node, item.key)
                if item.key == "takes" and fields["takes"] != "path" and not self.shipped:
                    self.problem(item.node, "only the shipped verbs take that", "write takes: path")
            else:
                fields[item.key] = self.line(item.node, item.key)
        if "title" not in fields:
            self.problem(entry.key_node, f"family {entry.key} has no title", "add title: ...")
        takes = fields.get("takes", "path")
        keywords = dict(core) if takes == "path" else {}
        if keywords_node is not None:
            self.add_keywords(keywords_node, entry.key, keywords)
        if not self.word(entry.key_node, entry.key, "a family"):
            return None
        return Family(
            name=entry.key,
            title=fields.get("title", ""),
            status=cast("Status", fields.get("status", "ours")),
            takes=cast("Takes", takes),
            operations=("archive", "selective") if operations is None else operations,
            keywords=keywords,
            source=fields.get("source", "ours"),
        )

    def more_keywords(self, entry: _Entry, family: Family) -> Family:
        """Add a site's keywords to a family that is known already; anything else clashes."""
        keywords = dict(family.keywords)
        for item in self.entries(entry.node, f"family {entry.key}", FAMILY_KEYS):
            if item.key == "keywords":
                self.add_keywords(item.node, entry.key, keywords)
            else:
                self.problem(
                    item.key_node,
                    f'family {entry.key} is there already, its "{item.key}" cannot be changed',
                    "give only keywords: to add to it, or choose another name",
                )
        return evolve(family, keywords=keywords)

    def read(self, families: dict[str, Family], core: dict[str, Keyword]) -> None:
        """Add what the file declares to `families` and `core`."""
        root = self.root()
        if root is None:
            return
        sections = {entry.key: entry.node for entry in self.entries(root, "the file", FILE_KEYS)}
        if "core" in sections:
            self.core(sections["core"], families, core)
        if "families" not in sections:
            return
        for entry in self.entries(sections["families"], "families"):
            known = families.get(entry.key)
            family = self.more_keywords(entry, known) if known else self.family(entry, core)
            if family is not None:
                families[entry.key] = family

    def core(self, node: yaml.Node, families: dict[str, Family], core: dict[str, Keyword]) -> None:
        """Add keywords to every family that takes a path, the known ones and those to come."""
        before = set(core)
        self.add_keywords(node, "core", core)
        added = {name: word for name, word in core.items() if name not in before}
        for name, family in families.items():
            if family.verb:
                continue
            clash = {w for k in added.values() for w in (k.long, k.short) if w in family.words}
            if clash:
                message = f'keyword "{min(clash)}" is there already in family {name}'
                self.problem(node, message, "choose another name")
            else:
                families[name] = evolve(family, keywords={**family.keywords, **added})


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
        reader = _Reader(str(file), shipped=file is SHIPPED)
        reader.read(families, core)
        problems += reader.problems
    if problems:
        raise ConfigurationError(problems)
    return Vocabulary(families=families)


@cache
def shipped() -> Vocabulary:
    """Return the vocabulary that comes with the program, read once."""
    return load_vocabulary()
