"""The keys of `when`: what is written there becomes conditions that are fast to ask."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import translate
from functools import lru_cache

from attrs import frozen

from vtspolicy.config import reading
from vtspolicy.config.positions import Node, Scalar, describe
from vtspolicy.config.reading import Findings, Key, Section, keys_of
from vtspolicy.grammar.command import Command
from vtspolicy.rules.decision import Circumstances
from vtspolicy.rules.table import Condition, TapeCondition
from vtspolicy.tapes import Tape, TapeState

Value = str | float | None

KEYWORD = "keywords."
"""With which the key of a condition on a keyword begins."""

STATE = "tape."
"""With which the key of a condition on the state of a tape begins."""

PATTERNS = 32_768
"""Patterns that are kept compiled while rules are compared."""

GLOB_LENGTH = 1024
"""Characters of the longest glob: a longer one would take seconds to be made ready."""

GLOB_STARS = 32
"""How many * a glob may have."""


def _pattern(node: Node, findings: Findings) -> str | None:
    written = reading.text(node, findings)
    if written is None or not is_glob(written):
        return written
    if len(written) > GLOB_LENGTH:
        message = f"a glob of {len(written)} characters; {GLOB_LENGTH} are allowed"
        findings.add(node, message, "write a shorter one, or several in a list")
        return None
    if written.count("*") > GLOB_STARS:
        message = f"a glob with {written.count('*')} times *; {GLOB_STARS} are allowed"
        findings.add(node, message, "write a simpler one, or several in a list")
        return None
    return written


patterns = reading.items(_pattern, single=True, least=1)
"""A value, a glob, or a list of them."""


def is_glob(pattern: str) -> bool:
    """Return whether a pattern is more than a value."""
    return any(mark in pattern for mark in "*?[")


def accepts_any(written: tuple[str, ...]) -> Callable[[Value], bool]:
    """Return the test whether a value is one of some values, or fits one of some globs."""
    literals = frozenset(each for each in written if not is_glob(each))
    globs = "|".join(translate(each) for each in written if is_glob(each))
    if not globs:
        return literals.__contains__
    fits = re.compile(globs).match
    return lambda value: isinstance(value, str) and (value in literals or fits(value) is not None)


def covers(wide: str, narrow: str) -> bool:
    """Return whether all that fits `narrow` fits `wide`, as far as is known; False if unsure."""
    if wide in {narrow, "*"}:
        return True
    if not stem_of(narrow).startswith(stem_of(wide)):
        return False
    if not is_glob(narrow):
        return is_glob(wide) and _matcher(wide)(narrow) is not None
    return wide == f"{stem_of(wide)}*"


@lru_cache(maxsize=PATTERNS)
def stem_of(pattern: str) -> str:
    """Return with what all begins that fits a pattern: all of it before the first wildcard."""
    return re.split(r"[*?\[]", pattern, maxsplit=1)[0]


@lru_cache(maxsize=PATTERNS)
def _matcher(pattern: str) -> Callable[[str], object]:
    return re.compile(translate(pattern)).match


_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
_COMPARISON = re.compile(r"(>=|<=|>|<|=)\s*(\S.*)")


@frozen(kw_only=True)
class Comparison:
    """`>= 10M`."""

    written: str
    compare: Callable[[float, float], bool]
    limit: float

    def holds(self, value: Value) -> bool:
        """Whether a number fits; nothing never does."""
        return isinstance(value, int | float) and self.compare(value, self.limit)


_UNITS: Mapping[str, Callable[[str], float | None]] = {
    "size": reading.size_in_bytes,
    "age": reading.seconds,
}
"""What a comparison compares with, by the key below `tape`."""


def _comparison(written: str, key: str) -> Comparison:
    """Return a comparison as it is written. Raises ValueError for what is none."""
    match = _COMPARISON.fullmatch(written)
    limit = _UNITS[key](match[2]) if match else None
    if match is None or limit is None:
        raise ValueError(f"{written} is not a comparison")
    return Comparison(written=written, compare=_OPERATORS[match[1]], limit=limit)


def _comparisons(key: str, sample: str) -> reading.Read[object]:
    def one(node: Node, findings: Findings) -> Comparison | None:
        try:
            return _comparison(node.text if isinstance(node, Scalar) else "", key)
        except ValueError:
            findings.add(
                node,
                f"a comparison is expected here, and this is {describe(node)}",
                f'one of >= > <= < = and a value, in quotes, as in "{sample}"',
            )
            return None

    return reading.items(one, single=True, least=1)


def _keyword_patterns(node: Node, findings: Findings) -> tuple[str, ...] | None:
    found = patterns(node, findings)
    if found is not None and len(found) > 1 and {"present", "absent"} & set(found):
        findings.add(node, "present and absent are written alone", "write one of them, or values")
        return None
    return found


TAPE = keys_of(
    Key(
        name="size",
        read=_comparisons("size", ">= 10M"),
        type="a comparison or a list",
        help='its bytes, as in ">= 10M"; of a list all must hold',
    ),
    Key(
        name="age",
        read=_comparisons("age", "> 30d"),
        type="a comparison or a list",
        help='the time since its last write, as in "> 30d"; of a list all must hold',
    ),
    Key(
        name="migrated",
        read=reading.boolean,
        type="true or false",
        help="whether a verified copy holds what is on the tape now",
    ),
    Key(
        name="state",
        read=reading.items(reading.choice(*TapeState), single=True, least=1),
        type="a state or a list",
        help=f"where its data is: {', '.join(TapeState)}",
    ),
    Key(
        name="application",
        read=patterns,
        type="a value, a glob or a list",
        help="the application that has its newest copy",
    ),
)
"""The keys of `tape` in `when`."""


def _pattern_key(name: str, text: str) -> Key:
    return Key(name=name, read=patterns, type="a value, a glob or a list", help=text)


WHEN = keys_of(
    _pattern_key("family", "the family or verb"),
    _pattern_key("operation", "the operation; none for a command without one"),
    _pattern_key("host", "the configured host that sent it"),
    _pattern_key("system", "the \\SYSTEM in the header of its event"),
    _pattern_key("user", "the user, where the event proves it; a console text never does"),
    _pattern_key("node", "the node that decides"),
    _pattern_key("vault", "the vault of its pool or tape"),
    _pattern_key("pool", "the pool"),
    _pattern_key("cartridge", "the tape; selects among the tapes of a pool"),
    Key(
        name="keywords",
        read=reading.mapping(reading.text, _keyword_patterns),
        type="a mapping",
        help="for each keyword's long name: present, absent, a value, a glob or a list",
    ),
    Key(
        name="tape",
        read=reading.section_of(TAPE, "tape"),
        type="a mapping",
        help="what the tape must be; selects among the tapes of the command",
    ),
    Key(
        name="between",
        read=patterns,
        type="hours or a list",
        help="hours in which it may start, outside of which it waits, as Mon-Fri 20:00-06:00",
    ),
)
"""The keys of `when`."""

_COMMAND_VALUES: Mapping[str, Callable[[Command, Circumstances], str | None]] = {
    "family": lambda command, _: command.family,
    "operation": lambda command, _: command.operation,
    "host": lambda _, around: around.host,
    "system": lambda _, around: around.system,
    "user": lambda _, around: around.user,
    "node": lambda _, around: around.node,
}
_NOTHING = {"host": "an operator's command", "user": "not proven by the event"}

_TARGET_VALUES: Mapping[str, Callable[[Tape, Circumstances], Value]] = {
    "vault": lambda tape, _: tape.vault,
    "pool": lambda tape, _: tape.pool,
    "cartridge": lambda tape, _: tape.cartridge,
}


def command_conditions(when: Section) -> tuple[Condition, ...]:
    """Return the conditions on the command itself."""
    written = {key: when[key] for key in _COMMAND_VALUES if when[key] is not None}
    written |= {f"{KEYWORD}{name}": each for name, each in (when["keywords"] or {}).items()}
    return tuple(command_condition(key, each) for key, each in written.items())


def command_condition(key: str, written: tuple[str, ...]) -> Condition:
    """Return the condition with a key, such as `host` or `keywords.retention`."""
    if key.startswith(KEYWORD):
        return _keyword_condition(key, written)
    accepts = accepts_any(written)
    if key == "operation" and "none" in written:
        accepts = _or_nothing(accepts)
    return Condition(
        key=key,
        patterns=written,
        value=_COMMAND_VALUES[key],
        accepts=accepts,
        nothing=_NOTHING.get(key, "none"),
        is_exact=not any(map(is_glob, written)) and not (key == "operation" and "none" in written),
    )


def _or_nothing(accepts: Callable[[Value], bool]) -> Callable[[Value], bool]:
    return lambda value: value is None or accepts(value)


def _keyword_condition(key: str, written: tuple[str, ...]) -> Condition:
    name = key.removeprefix(KEYWORD)
    accepts: Callable[[Value], bool]
    if written == ("present",):
        accepts = _is_present
    elif written == ("absent",):
        accepts = _is_absent
    else:
        accepts = accepts_any(written)
    return Condition(
        key=key,
        patterns=written,
        value=lambda command, _: command.keywords.get(name),
        accepts=accepts,
        nothing="absent",
        is_exact=accepts not in {_is_present, _is_absent} and not any(map(is_glob, written)),
    )


def _is_present(value: Value) -> bool:
    return value is not None


def _is_absent(value: Value) -> bool:
    return value is None


def target_conditions(when: Section) -> tuple[TapeCondition, ...]:
    """Return the conditions on what the command is about."""
    return tuple(
        target_condition(key, when[key]) for key in _TARGET_VALUES if when[key] is not None
    )


def target_condition(key: str, written: tuple[str, ...]) -> TapeCondition:
    """Return the condition with a key: `vault`, `pool` or `cartridge`."""
    return TapeCondition(
        key=key,
        patterns=written,
        value=_TARGET_VALUES[key],
        accepts=accepts_any(written),
        is_exact=not any(map(is_glob, written)),
    )


def tape_conditions(when: Section) -> tuple[TapeCondition, ...]:
    """Return the conditions on the state of each tape."""
    tape: Section | None = when["tape"]
    if tape is None:
        return ()
    written: dict[str, tuple[str, ...]] = {
        key: tuple(each.written for each in tape[key]) for key in _UNITS if tape[key]
    }
    if tape["migrated"] is not None:
        written["migrated"] = ("true" if tape["migrated"] else "false",)
    written |= {key: tape[key] for key in ("state", "application") if tape[key]}
    return tuple(tape_condition(f"{STATE}{key}", each) for key, each in written.items())


def tape_condition(key: str, written: tuple[str, ...]) -> TapeCondition:
    """Return the condition with a key, such as `tape.size`."""
    name = key.removeprefix(STATE)
    if name in _UNITS:
        accepts = _all_hold([_comparison(each, name) for each in written])
    else:
        accepts = accepts_any(written)
    value, shown = _TAPE_VALUES[name]
    return TapeCondition(key=key, patterns=written, value=value, accepts=accepts, shown=shown)


def _all_hold(comparisons: Sequence[Comparison]) -> Callable[[Value], bool]:
    return lambda value: all(each.holds(value) for each in comparisons)


def _age(tape: Tape, around: Circumstances) -> float | None:
    return None if tape.written is None else around.at.timestamp() - tape.written


def _shown_size(value: Value) -> str:
    return "no file" if value is None else f"{value} bytes"


def _shown_age(value: Value) -> str:
    return "never written" if value is None else f"{float(value) / 86400:.1f}d"


def _shown_application(value: Value) -> str:
    return "none" if value is None else str(value)


_TAPE_VALUES: Mapping[
    str, tuple[Callable[[Tape, Circumstances], Value], Callable[[Value], str]]
] = {
    "size": (lambda tape, _: tape.size, _shown_size),
    "age": (_age, _shown_age),
    "migrated": (lambda tape, _: "true" if tape.has_copy else "false", str),
    "state": (lambda tape, _: tape.state.value, str),
    "application": (lambda tape, _: tape.application, _shown_application),
}
"""What a condition on the state of a tape looks at, and how that is shown."""
