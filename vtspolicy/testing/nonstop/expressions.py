"""Expressions of TACL: what #COMPUTE and #IF compute.

Documented: `+ - * /` of integers, `= <> < > <= >=`, `AND OR NOT`, comparisons of strings by
operators in apostrophes, which make no difference between upper and lower case; false is 0 and true
is -1; the name of a variable stands for its contents. An empty variable is 0, as an example of the
maker's manual has it.

Ours: a quotient is cut towards zero; `'='` and `'<>'` alone are there of the operators on strings;
a number that 64 bits cannot hold is an error; all messages.
"""

import re
from collections.abc import Callable

from attrs import define

from vtspolicy.testing.nonstop.variables import TaclError, Variables

Value = int | str

DEEPEST = 50
"""Parentheses and signs inside each other."""

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+)|\"(?P<string>[^\"]*)\"|(?P<operator>'[<>=]+'|<>|<=|>=|[-+*/()=<>])"
    r"|(?P<name>[A-Za-z^_][A-Za-z0-9^_]*))"
)
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "=": lambda one, other: one == other,
    "<>": lambda one, other: one != other,
    "<": lambda one, other: one < other,
    ">": lambda one, other: one > other,
    "<=": lambda one, other: one <= other,
    ">=": lambda one, other: one >= other,
}
_STRINGS = ("'='", "'<>'")


def compute(text: str, variables: Variables) -> int:
    """Return the value of an expression. Raises TaclError."""
    parser = _Parser(_tokens(text), variables)
    value = _number(parser.either())
    if parser.rest:
        raise TaclError(f"{parser.rest[0][1]} is not expected in an expression")
    return value


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, at, end = [], 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            raise TaclError(f"{text[at:].strip()[:20]} is not expected in an expression")
        kind = str(found.lastgroup)
        tokens.append((kind, found[kind]))
        at = found.end()
    return tokens


def _number(value: Value) -> int:
    if isinstance(value, int):
        number = value
    elif not value.strip():
        number = 0
    elif re.fullmatch(r"\s*[-+]?\d{1,20}\s*", value):
        number = int(value)
    else:
        raise TaclError(f"{value[:20]} is not a number")
    if not -(2**63) <= number < 2**63:
        raise TaclError("Arithmetic overflow")
    return number


@define
class _Parser:
    rest: list[tuple[str, str]]
    variables: Variables
    depth: int = 0

    def _takes(self, *words: str) -> str:
        """Take the next token if it is one of these; return it, or nothing."""
        if self.rest and self.rest[0][0] in ("operator", "name"):
            word = self.rest[0][1].upper()
            if word in words:
                self.rest.pop(0)
                return word
        return ""

    def either(self) -> Value:
        value = self._both()
        while self._takes("OR"):
            other = self._both()
            value = -(_number(value) != 0 or _number(other) != 0)
        return value

    def _both(self) -> Value:
        value = self._negation()
        while self._takes("AND"):
            other = self._negation()
            value = -(_number(value) != 0 and _number(other) != 0)
        return value

    def _negation(self) -> Value:
        if self._takes("NOT"):
            self._deeper()
            value: Value = -(_number(self._negation()) == 0)
            self.depth -= 1
            return value
        return self._comparison()

    def _comparison(self) -> Value:
        value = self._sum()
        if word := self._takes(*_COMPARE):
            return -_COMPARE[word](_number(value), _number(self._sum()))
        if word := self._takes(*_STRINGS):
            same = str(value).upper() == str(self._sum()).upper()
            return -(same if word == "'='" else not same)
        return value

    def _sum(self) -> Value:
        value = self._product()
        while word := self._takes("+", "-"):
            other = _number(self._product())
            value = _number(_number(value) + (other if word == "+" else -other))
        return value

    def _product(self) -> Value:
        value = self._single()
        while word := self._takes("*", "/"):
            one, other = _number(value), _number(self._single())
            if word == "/" and not other:
                raise TaclError("Division by zero")
            quotient = abs(one) // abs(other) if word == "/" else 0
            cut = quotient if (one < 0) == (other < 0) else -quotient
            value = _number(one * other if word == "*" else cut)
        return value

    def _single(self) -> Value:
        if self._takes("-"):
            self._deeper()
            value: Value = -_number(self._single())
        elif self._takes("("):
            self._deeper()
            value = self.either()
            if not self._takes(")"):
                raise TaclError("A parenthesis is not closed")
        else:
            return self._operand()
        self.depth -= 1
        return value

    def _operand(self) -> Value:
        kind, text = self.rest.pop(0) if self.rest else ("", "")
        if kind == "number":
            return _number(text)
        if kind == "string":
            return text
        if kind == "name":
            return self.variables.text(text)
        raise TaclError(f"{text} is not expected in an expression" if text else "Operand needed")

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise TaclError("The expression is too deep")
