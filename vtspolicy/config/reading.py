"""Typed reading of a YAML tree: every problem is collected, and the reading continues.

A reader takes a node and the findings, and returns the value, or None after it has added a problem.
"""

import re
from collections.abc import Callable, Collection, Mapping
from enum import Enum
from typing import Any, TypeVar

from attrs import field, frozen

from vtspolicy.config.positions import Items, Node, Place, Scalar, Table, describe
from vtspolicy.config.problems import ConfigurationError, Problem
from vtspolicy.suggest import did_you_mean

T = TypeVar("T")


ERROR_LIMIT = 100  # in what is read at once; no person reads more


class Findings:
    """The problems found so far."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []
        self._errors = 0

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All of them, by file, line and column, each once."""
        return tuple(sorted(set(self._problems)))

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Those that stop the program."""
        return tuple(problem for problem in self.problems if not problem.warning)

    def add(
        self,
        at: Node | Place,
        message: str,
        remedy: str = "",
        *,
        warning: bool = False,
        may_pass: bool = False,
    ) -> None:
        """Add a problem at a node or place; raises ConfigurationError when there are too many."""
        place = at if isinstance(at, Place) else at.place
        if not warning:
            self._errors += 1
            if self._errors > ERROR_LIMIT:
                last = place.problem(f"more than {ERROR_LIMIT} problems", "correct these first")
                raise ConfigurationError([*self.problems, last])
        self._problems.append(place.problem(message, remedy, warning=warning, may_pass=may_pass))

    def extend(self, problems: Collection[Problem]) -> None:
        """Add problems that were found elsewhere."""
        self._problems.extend(problems)

    def raise_errors(self) -> None:
        """Raise ConfigurationError with everything found, if anything of it stops the program."""
        if self.errors:
            raise ConfigurationError(self.problems)


Read = Callable[[Node, Findings], T | None]
"""A reader: the value, or None after a problem was added."""


class Required(Enum):
    """The default of a key that has none."""

    REQUIRED = "required"


REQUIRED = Required.REQUIRED


@frozen(kw_only=True)
class Key:
    """One key of a mapping: what values it takes, and what it is for."""

    name: str  # as written
    read: Read[Any] = field(repr=False)  # Any: each key has a type of its own
    type: str  # in words, for help and documents: "a duration"
    help: str  # what it says, one sentence
    default: Any = None  # what holds without it; REQUIRED when it must be there
    default_text: str = ""  # the default as people would write it, where that differs


def keys_of(*keys: Key) -> Mapping[str, Key]:
    """Return keys by their names, in order."""
    return {key.name: key for key in keys}


@frozen(kw_only=True)
class Section:
    """A mapping that was read by a table of keys."""

    table: Table  # where it is
    values: Mapping[str, Any]  # of every key, with defaults; Any: each key has its own type
    given: frozenset[str]  # the keys that were written

    def __getitem__(self, name: str) -> Any:
        """Return the value of a key; Any because each key has a type of its own."""
        return self.values[name]

    def place(self, name: str) -> Place:
        """Return where the value of a key is, or the mapping when it is not written."""
        entry = self.table.entries.get(name)
        return entry.value.place if entry else self.table.place

    def key_place(self, name: str) -> Place:
        """Return where a key is, or the mapping when it is not written."""
        entry = self.table.entries.get(name)
        return entry.key.place if entry else self.table.place


def section(
    node: Node | None,
    keys: Mapping[str, Key],
    findings: Findings,
    *,
    what: str,
    place: Place,
    elsewhere: str = "",
) -> Section:
    """Read a mapping by its table of keys; `what` completes "... of WHAT" in messages.

    Unknown keys get the nearest right word, or else all keys and `elsewhere`: where else a word
    may belong that people look for here. Keys that are wrong or missing have their default.
    """
    values = {name: None if key.default is REQUIRED else key.default for name, key in keys.items()}
    if node is None or (isinstance(node, Scalar) and node.value is None):
        node = Table(place=node.place if node else place)
    if not isinstance(node, Table):
        findings.add(node, f"{what} must be a mapping of keys, and this is {describe(node)}")
        return Section(table=Table(place=node.place), values=values, given=frozenset())
    given = set()
    for name, entry in node.entries.items():
        key = keys.get(name)
        if key is None:
            remedy = (
                unquoted(node)
                or did_you_mean(name, keys)
                or f"the keys are {', '.join(keys)}{elsewhere}"
            )
            findings.add(entry.key, f'{what} has no key "{name}"', remedy)
            continue
        given.add(name)
        value = key.read(entry.value, findings)
        if value is not None:
            values[name] = value
    for name, key in keys.items():
        if key.default is REQUIRED and name not in given:
            findings.add(node, f'{what} needs the key "{name}"', f"{key.type}: {key.help}")
    return Section(table=node, values=values, given=frozenset(given))


def unquoted(node: Node) -> str:
    """Return the remedy for `{path}` without quotes, which YAML takes for a mapping; else ""."""
    if not isinstance(node, Table) or len(node.entries) != 1:
        return ""
    (entry,) = node.entries.values()
    if isinstance(entry.value, Scalar) and entry.value.value is None and not entry.value.text:
        return f'write "{{{entry.key.text}}}" in quotes'
    return ""


def text(node: Node, findings: Findings) -> str | None:
    """A word or a text; a number is taken as it is written."""
    if isinstance(node, Scalar) and node.value is not None and not isinstance(node.value, bool):
        if node.text == "":
            findings.add(node, "a text is expected here, and this is empty")
            return None
        if "\0" in node.text:
            findings.add(node, "NUL is not allowed in a text")
            return None
        return node.text
    remedy = unquoted(node)
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        remedy = f'write "{node.text}" in quotes'
    findings.add(node, f"a text is expected here, and this is {describe(node)}", remedy)
    return None


def boolean(node: Node, findings: Findings) -> bool | None:
    """True or false."""
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return node.value
    findings.add(node, f"true or false is expected here, and this is {describe(node)}")
    return None


def integer(least: int | None = None, most: int | None = None) -> Read[int]:
    """Make a reader of whole numbers within bounds."""

    def read(node: Node, findings: Findings) -> int | None:
        if not isinstance(node, Scalar) or type(node.value) is not int:
            findings.add(node, f"a whole number is expected here, and this is {describe(node)}")
            return None
        return _bounded(node, node.value, least, most, findings)

    return read


def number(least: float | None = None, most: float | None = None) -> Read[float]:
    """Make a reader of numbers within bounds."""

    def read(node: Node, findings: Findings) -> float | None:
        if not isinstance(node, Scalar) or type(node.value) not in {int, float}:
            findings.add(node, f"a number is expected here, and this is {describe(node)}")
            return None
        return _bounded(node, float(node.text), least, most, findings)

    return read


Number = TypeVar("Number", int, float)


def _out_of_bounds(node: Node, what: str, bound: str, findings: Findings) -> None:
    written = node.text if isinstance(node, Scalar) else describe(node)
    findings.add(node, f"{written} is too {what}", bound)


def _bounded(
    node: Scalar, value: Number, least: float | None, most: float | None, findings: Findings
) -> Number | None:
    if least is not None and value < least:
        findings.add(node, f"{node.text} is too small", f"at least {least:g}")
        return None
    if most is not None and value > most:
        findings.add(node, f"{node.text} is too large", f"at most {most:g}")
        return None
    return value


_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d|w)?", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kKMGTP]?)(i?B)?", re.ASCII)
_BYTES = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}
LONGEST_DURATION = 100 * 366 * 86400.0  # seconds; beyond it a time of day cannot be computed


def seconds(written: str) -> float | None:
    """Return the seconds of `0.2`, `5s`, `10m`, `12h` or `7d`; None when it is not a duration."""
    match = _DURATION.fullmatch(written)
    if match is None or len(written) > 30:
        return None
    found = float(match[1]) * _SECONDS[match[2] or "s"]
    return found if found <= LONGEST_DURATION else None


def size_in_bytes(written: str) -> int | None:
    """Return the bytes of `512`, `64K`, `10M`, `2G` (powers of 1024); None if it is not a size."""
    match = _SIZE.fullmatch(written)
    if match is None or len(written) > 30:
        return None
    return int(float(match[1]) * _BYTES[match[2].upper()])


def duration(node: Node, findings: Findings) -> float | None:
    """A duration, in seconds."""
    found = seconds(node.text) if isinstance(node, Scalar) else None
    if found is None:
        message = f"a duration is expected here, and this is {describe(node)}"
        findings.add(node, message, "a number and one of s m h d, as in 90s, 10m, 12h, 7d")
    return found


def duration_within(least: str, most: str = "", *, off: bool = False) -> Read[float]:
    """Make a reader of durations within bounds, which are written as in a file.

    With `off`, 0 is taken, too.
    """
    shortest, longest = seconds(least) or 0.0, seconds(most) or LONGEST_DURATION

    def read(node: Node, findings: Findings) -> float | None:
        found = duration(node, findings)
        if found is None or shortest <= found <= longest or (off and found == 0):
            return found
        bound = f"at most {most}"
        if found < shortest:
            bound = f"at least {least}{', or 0 for off' if off else ''}"
        _out_of_bounds(node, "short" if found < shortest else "long", bound, findings)
        return None

    return read


def size(node: Node, findings: Findings) -> int | None:
    """A size, in bytes."""
    found = size_in_bytes(node.text) if isinstance(node, Scalar) else None
    if found is None:
        message = f"a size is expected here, and this is {describe(node)}"
        findings.add(node, message, "a number and none or one of K M G T, as in 10M")
    return found


def size_within(least: str, most: str) -> Read[int]:
    """Make a reader of sizes within bounds, which are written as in a file."""
    smallest, largest = size_in_bytes(least) or 0, size_in_bytes(most) or 0

    def read(node: Node, findings: Findings) -> int | None:
        found = size(node, findings)
        if found is None or smallest <= found <= largest:
            return found
        bound = f"at least {least}" if found < smallest else f"at most {most}"
        what = "small" if found < smallest else "large"
        _out_of_bounds(node, what, bound, findings)
        return None

    return read


def choice(*allowed: str) -> Read[Any]:
    """Make a reader of one of a few words; Any because callers know them as Literals."""

    def read(node: Node, findings: Findings) -> str | None:
        if isinstance(node, Scalar) and node.text in allowed:
            return node.text
        near = did_you_mean(node.text, allowed) if isinstance(node, Scalar) else ""
        known = f"one of {', '.join(allowed)}" if len(allowed) > 1 else allowed[0]
        message = f"{known} is expected here, and this is {describe(node)}"
        findings.add(node, message, near)
        return None

    return read


def items(read_item: Read[T], *, single: bool = False, least: int = 0) -> Read[tuple[T, ...]]:
    """Make a reader of lists; with `single`, one value stands for a list of one."""

    def read(node: Node, findings: Findings) -> tuple[T, ...] | None:
        if isinstance(node, Items):
            if len(node.items) < least:
                findings.add(node, "this list is empty", f"at least {least} expected")
                return None
            values = [read_item(item, findings) for item in node.items]
            return None if None in values else tuple(v for v in values if v is not None)
        if single:
            value = read_item(node, findings)
            return None if value is None else (value,)
        message = f"a list is expected here, and this is {describe(node)}"
        findings.add(node, message, unquoted(node))
        return None

    return read


def mapping(read_key: Read[str], read_value: Read[T]) -> Read[Mapping[str, T]]:
    """Make a reader of mappings whose keys are names that the site chooses."""

    def read(node: Node, findings: Findings) -> Mapping[str, T] | None:
        if not isinstance(node, Table):
            findings.add(node, f"a mapping is expected here, and this is {describe(node)}")
            return None
        found: dict[str, T] = {}
        for entry in node.entries.values():
            key = read_key(entry.key, findings)
            value = read_value(entry.value, findings)
            if key is not None and value is not None:
                found[key] = value
        return found

    return read


def matching(pattern: str, expected: str) -> Read[str]:
    """Make a reader of texts of one form; `expected` completes "... is expected here"."""
    compiled = re.compile(pattern)

    def read(node: Node, findings: Findings) -> str | None:
        if isinstance(node, Scalar) and compiled.fullmatch(node.text):
            return node.text
        findings.add(node, f"{expected} is expected here, and this is {describe(node)}")
        return None

    return read


def section_of(keys: Mapping[str, Key], what: str, *, elsewhere: str = "") -> Read[Section]:
    """Make a reader of mappings that have a table of keys; see `section`."""

    def read(node: Node, findings: Findings) -> Section | None:
        if not isinstance(node, Table):
            findings.add(node, f"{what} must be a mapping of keys, and this is {describe(node)}")
            return None
        return section(node, keys, findings, what=what, place=node.place, elsewhere=elsewhere)

    return read
