"""A YAML file as a tree in which every value knows its line and column.

Anchors, aliases and merges (`<<`) work. What YAML 1.1 would silently turn into something else
(`no` into false, `010` into 8, `20:00` into 1200) is refused with the way to write it, and so is
everything that could make a small file large, or the reading of it long: the nodes after aliases,
the depth, the directives, the problems and what is read again for a better message are bounded.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import MappingProxyType

import yaml
from attrs import evolve, field, frozen

from vtspolicy.config.invisible import Invisible, before_error, in_key, in_value
from vtspolicy.config.problems import ConfigurationError, Problem
from vtspolicy.config.syntax import (
    EXPLAINED,
    FAST,
    LOOK_AHEAD,
    SLOW,
    Parser,
    describe_error,
    position,
)

SIZE_LIMIT = 4 * 2**20  # bytes of one file
NODE_LIMIT = 100_000  # values in one file, each alias counted as what it stands for
DEPTH_LIMIT = 40  # mappings and lists within one another
LONGEST = 2**16  # characters of one value
TAG_LIMIT = 100  # %TAG directives; libyaml compares each with every other
PROBLEM_LIMIT = 100  # problems in the form of one file; no person reads more


@frozen(kw_only=True, order=True)
class Place:
    """A place in a file that a person can find."""

    file: str  # as the user named it
    line: int = 1  # 1-based
    column: int = 1  # 1-based, in characters

    def problem(
        self, message: str, remedy: str = "", *, warning: bool = False, may_pass: bool = False
    ) -> Problem:
        """Return a problem at this place."""
        return Problem(
            file=self.file,
            line=self.line,
            column=self.column,
            message=message,
            remedy=remedy,
            warning=warning,
            may_pass=may_pass,
        )


@frozen(kw_only=True)
class Scalar:
    """A single value."""

    place: Place
    text: str  # as written, without its quotes
    value: str | int | float | bool | None  # as it is meant
    quoted: bool = False  # in quotes or a block: always a string


@frozen(kw_only=True)
class Items:
    """A list."""

    place: Place
    items: tuple["Node", ...]


@frozen(kw_only=True)
class Entry:
    """One key of a mapping with its value."""

    key: Scalar
    value: "Node"


@frozen(kw_only=True)
class Table:
    """A mapping; what was merged into it comes after its own keys."""

    place: Place
    entries: Mapping[str, Entry] = field(factory=dict)  # by the key as written


Node = Scalar | Items | Table


def describe(node: Node) -> str:
    """Return what a node is, in words for a message."""
    if isinstance(node, Table):
        return "a mapping"
    if isinstance(node, Items):
        return "a list"
    if node.value is None:
        return "nothing"
    shown = _shown(node.text)
    return f'"{shown}"' if isinstance(node.value, str) else shown


def _shown(text: str) -> str:
    """Return as much of a text as a message repeats."""
    return text if len(text) <= 60 else text[:57] + "..."


def read_file(path: Path | str, *, name: str | None = None) -> tuple[Node | None, list[Problem]]:
    """Return the tree of a file (None when it is empty or unreadable) and its problems.

    `name` is how messages call the file, if not by its path.
    """
    file = name or str(path)
    try:
        text = read_bounded(path, name=file)
    except ConfigurationError as error:
        return None, list(error.problems)
    return read_text(text, file=file)


def read_bounded(path: Path | str, *, name: str | None = None) -> str:
    """Return the text of a file, without a byte order mark.

    `name` is how messages call the file, if not by its path. Raises ConfigurationError when it
    cannot be read, is larger than SIZE_LIMIT, or is not UTF-8.
    """
    place = Place(file=name or str(path))
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(SIZE_LIMIT + 1)
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
        raise ConfigurationError([place.problem(message)]) from None
    if len(content) > SIZE_LIMIT:
        message = f"the file is larger than {SIZE_LIMIT // 2**20} MiB"
        raise ConfigurationError([place.problem(message)])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        place = Place(
            file=place.file,
            line=before.count(b"\n") + 1,
            column=len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1,
        )
        problem = place.problem("this is not UTF-8", "save the file in UTF-8")
        raise ConfigurationError([problem]) from None


def read_text(text: str, *, file: str) -> tuple[Node | None, list[Problem]]:
    """Return the tree of a text (None when it is empty or no YAML) and its problems."""
    strange = _STRANGE.search(text)
    if strange:
        message = f"the character U+{ord(strange.group()):04X} is not allowed in YAML"
        mark = "\ufeff" in strange.group()
        remedy = "a byte order mark may be at the beginning only" if mark else ""
        return None, [_place_in(text, strange.start(), file).problem(message, remedy)]
    tag = next(islice(_TAG_DIRECTIVE.finditer(text), TAG_LIMIT, None), None)
    if tag:
        message = f"more than {TAG_LIMIT} %TAG directives"
        remedy = "tags are not used here: leave them out"
        return None, [_place_in(text, tag.start(), file).problem(message, remedy)]
    composer = _Composer(file)
    try:
        node = composer.compose(text, FAST)
    except ConfigurationError as error:
        return None, [*composer.problems, *error.problems]
    except yaml.YAMLError as error:
        return None, _refused(text, file, error)
    return node, composer.problems


def _place_in(text: str, at: int, file: str) -> Place:
    before = text[:at]
    return Place(file=file, line=before.count("\n") + 1, column=len(before.rpartition("\n")[2]) + 1)


def load(path: Path | str) -> Node | None:
    """Return the tree of a file; raises ConfigurationError with all that is wrong in its form."""
    node, problems = read_file(path)
    if problems:
        raise ConfigurationError(problems)
    return node


_STRANGE = re.compile(
    r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)

# At the beginning of the text, or after what YAML takes for a line break.
_TAG_DIRECTIVE = re.compile(r"(?:\A|(?<=[\n\r\x85\u2028\u2029]))%TAG\b")


class _TooDeepError(ConfigurationError):
    """A value lies deeper than DEPTH_LIMIT."""


def _refused(text: str, file: str, error: yaml.YAMLError) -> list[Problem]:
    """Return the problems of a text that the fast parser refuses.

    The text is read again up to the error, near its beginning by the parser with the better
    messages. Libyaml looks ahead, and that of PyYAML 6.0.4 refuses a thousand levels before it
    returns the first of them: what is too deep must be reported as with every other version.
    """
    found = position(error)
    if found is not None:
        near = found <= EXPLAINED
        composer = _Composer(file)
        try:
            if near:
                composer.compose(text[: found + LOOK_AHEAD], SLOW)
            else:
                composer.compose(text[: found - LOOK_AHEAD // 2], FAST)
        except _TooDeepError as deep:
            return [*composer.problems, *deep.problems]
        except ConfigurationError:
            pass  # the text is cut, perhaps in a name
        except yaml.YAMLError as slow:
            if near and (position(slow) or 0) <= found + LOOK_AHEAD // 2:
                error = slow
    hidden = before_error(text, found) if found is not None else None
    if hidden is not None:
        return [_place_in(text, hidden.at, file).problem(hidden.message, hidden.remedy)]
    explained = describe_error(error)
    place = Place(file=file, line=explained.line, column=explained.column)
    return [place.problem(explained.message, explained.remedy)]


class _Composer:
    """Builds the tree from the parser's events."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._anchors: dict[str, tuple[Node, int]] = {}  # with the size of what it stands for
        self._trapped: set[Place] = set()
        self._count = 0

    def compose(self, text: str, parser: Parser) -> Node | None:
        """Return the tree of a text; raises what the parser raises, or ConfigurationError."""
        return self._document(yaml.parse(text, Loader=parser))

    def _place(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        if mark is None:  # the parser's type allows it; it does not happen
            return Place(file=self.file)
        return Place(file=self.file, line=mark.line + 1, column=mark.column + 1)

    def _add(self, place: Place, message: str, remedy: str) -> None:
        if len(self.problems) == PROBLEM_LIMIT:
            raise self._stop(place, f"more than {PROBLEM_LIMIT} problems", "correct these first")
        self.problems.append(place.problem(message, remedy))

    def _stop(self, place: Place, message: str, remedy: str = "") -> ConfigurationError:
        return ConfigurationError([place.problem(message, remedy)])

    def _document(self, events: Iterator[yaml.Event]) -> Node | None:
        root: Node | None = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._stop(
                        self._place(event),
                        "a second document begins here",
                        "one file, one document",
                    )
                root = self._node(next(events), events, 0)
        return root

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
        place = self._place(event)
        before = self._count
        self._spend(1, place)
        if depth > DEPTH_LIMIT:
            message = f"more than {DEPTH_LIMIT} levels within one another"
            raise _TooDeepError([place.problem(message)])
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, place)
        if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            raise self._stop(place, "a value is expected here")
        tag = event.tag
        if tag is not None and tag not in {"!", _STR}:
            self._add(place, f"the tag {_shown(tag)} is not used here", "leave it out")
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, place)
        elif isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(following := next(events), yaml.SequenceEndEvent):
                items.append(self._checked(self._node(following, events, depth + 1)))
            node = Items(place=place, items=tuple(items))
        else:
            node = self._table(place, events, depth)
        if event.anchor:
            self._anchors[event.anchor] = (node, self._count - before)
        return node

    def _alias(self, event: yaml.AliasEvent, place: Place) -> Node:
        known = self._anchors.get(event.anchor or "")
        if known is None:
            name = _shown(event.anchor or "")
            raise self._stop(
                place,
                f"*{name} has no anchor before it",
                f"an anchor &{name} must begin and end before it is referred to",
            )
        node, size = known
        self._spend(size, place)
        return node

    def _spend(self, nodes: int, place: Place) -> None:
        self._count += nodes
        if self._count > NODE_LIMIT:
            raise self._stop(place, f"more than {NODE_LIMIT} values, aliases counted in full")

    def _scalar(self, event: yaml.ScalarEvent, place: Place) -> Scalar:
        text = event.value
        if len(text) > LONGEST:
            self._add(place, f"a value of more than {LONGEST} characters", "shorten it")
        plain = event.style in (None, "") and event.tag is None
        if not plain:
            return Scalar(place=place, text=text, value=text, quoted=True)
        self._look_for_invisible(in_value(text), text, place)
        return Scalar(place=place, text=text, value=_meaning(text))

    def _look_for_invisible(self, hidden: Invisible | None, text: str, place: Place) -> None:
        if hidden is not None and place not in self._trapped:
            self._trapped.add(place)
            at = evolve(place, column=place.column + hidden.at)  # where it is on one line
            self._add(at, hidden.message, hidden.remedy)

    def _checked(self, node: Node) -> Node:
        """Report a plain value that programs reading YAML 1.1 take for something else."""
        if isinstance(node, Scalar) and not node.quoted:
            for pattern, message, remedy in _TRAPS:
                if pattern.fullmatch(node.text):
                    if node.place not in self._trapped:  # an alias leads here twice
                        self._trapped.add(node.place)
                        shown = _shown(node.text)
                        self._add(node.place, message.format(shown), remedy.format(shown))
                    break
        return node

    def _table(self, place: Place, events: Iterator[yaml.Event], depth: int) -> Table:
        own: dict[str, Entry] = {}
        merged: list[Node] = []
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._node(event, events, depth + 1)
            value = self._checked(self._node(next(events), events, depth + 1))
            if isinstance(key, Scalar) and not key.quoted:
                self._look_for_invisible(in_key(key.text), key.text, key.place)
            if not isinstance(key, Scalar):
                message = f"a key must be a word, and this is {describe(key)}"
                self._add(key.place, message, "quote a value that begins with {")
            elif key.text == "<<" and not key.quoted:
                merged.append(value)
            elif key.text in own:
                first = own[key.text].key.place.line
                message = f'the key "{_shown(key.text)}" is here twice'
                self._add(key.place, message, f"it is in line {first} already: remove one")
            else:
                own[key.text] = Entry(key=key, value=value)
        for node in merged:
            for table in node.items if isinstance(node, Items) else (node,):
                if not isinstance(table, Table):
                    message = f"<< merges mappings, and this is {describe(table)}"
                    self._add(table.place, message, "write <<: *ANCHOR")
                    continue
                for name, entry in table.entries.items():
                    own.setdefault(name, entry)
        return Table(place=place, entries=MappingProxyType(own))


_STR = "tag:yaml.org,2002:str"
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")

_TRAPS = (
    (
        re.compile(r"yes|Yes|YES|on|On|ON"),
        "{} can mean the word or true",
        'write true, or "{}" in quotes',
    ),
    (
        re.compile(r"no|No|NO|off|Off|OFF"),
        "{} can mean the word or false",
        'write false, or "{}" in quotes',
    ),
    (
        re.compile(r"[-+]?0[0-9_]+|[-+]?0[oxb][0-9a-fA-F_]+"),
        "{} can be read as a number of another base",
        'write "{}" in quotes, or the number without leading zeros',
    ),
    (
        re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"),
        "{} can be read as a number of base 60",
        'write "{}" in quotes',
    ),
    (
        re.compile(r"[-+]?[0-9]+_[0-9_]*"),
        "{} can be read as a number",
        'write it without _, or "{}" in quotes',
    ),
)
"""Plain values that YAML 1.1 and 1.2 read differently: pattern, message, remedy."""


def _meaning(text: str) -> str | int | float | bool | None:
    """What a plain value means in YAML 1.2; dates stay as they are written."""
    if text in {"", "~", "null", "Null", "NULL"}:
        return None
    if text in {"true", "True", "TRUE"}:
        return True
    if text in {"false", "False", "FALSE"}:
        return False
    if len(text) <= 30:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
    return text
