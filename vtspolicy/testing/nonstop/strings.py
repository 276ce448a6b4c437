"""TACL's functions on texts.

Documented: what they take and give; characters are counted from 1; 0 says that a text was not
found; `FOR` less than 1 copies nothing; what lies beyond the end is left out; searches make no
difference between upper and lower case unless `/EXACT/` is said; -1 is true. `#CHARFIND` drops
blanks around its text, and `#CHARFINDV` keeps those of its string.

Ours: a letter of several bytes counts as one character; `#COMPAREV` sees the case of letters; `TO`
is not simulated.
"""

from collections.abc import Mapping

from vtspolicy.testing.nonstop.expressions import compute
from vtspolicy.testing.nonstop.lexical import BLANK, END, shown
from vtspolicy.testing.nonstop.options import (
    nothing_more,
    take_number,
    take_options,
    take_string,
    take_word,
)
from vtspolicy.testing.nonstop.tacl import Tacl, Word, at_once
from vtspolicy.testing.nonstop.variables import TaclError


def truth(value: bool) -> str:
    """Return how TACL writes whether something is so."""
    return "-1" if value else "0"


def _charcount(tacl: Tacl, rest: str) -> str:
    name, rest = take_word(rest)
    nothing_more(rest)
    return str(len(shown(tacl.variables.text(name))))


def _charfind(tacl: Tacl, rest: str) -> str:
    options, rest = take_options(rest, "EXACT")
    name, rest = take_word(rest)
    start, rest = take_number(rest, tacl.variables)
    return _found(tacl.variables.text(name), start, rest.strip(f" {END}"), "EXACT" in options)


def _charfindv(tacl: Tacl, rest: str) -> str:
    options, rest = take_options(rest, "EXACT")
    within, rest = take_string(rest, tacl.variables)
    start, rest = take_number(rest, tacl.variables)
    wanted, rest = take_string(rest, tacl.variables)
    nothing_more(rest)
    return _found(within, start, wanted, "EXACT" in options)


def _found(within: str, start: int, wanted: str, exact: bool) -> str:
    if start < 1:
        raise TaclError("A character address is at least 1")
    if not wanted:
        raise TaclError("The text to be found is missing")
    within, wanted = shown(within), shown(wanted)
    if not exact:
        within, wanted = within.upper(), wanted.upper()
    return str(within.find(wanted, start - 1) + 1)


def _charget(tacl: Tacl, rest: str) -> str:
    name, rest = take_word(rest)
    return _copied(tacl, tacl.variables.text(name), rest)


def _chargetv(tacl: Tacl, rest: str) -> str:
    source, rest = take_word(rest)
    target, rest = take_word(rest)
    copied = _copied(tacl, tacl.variables.text(source), rest)
    tacl.variables.text(target)
    tacl.variables.set(target, copied)
    return ""


def _copied(tacl: Tacl, text: str, rest: str) -> str:
    start, rest = take_number(rest, tacl.variables)
    word, rest = take_word(rest)
    if word.upper() == "TO":
        raise TaclError("TO is not simulated; use FOR")
    if word and word.upper() != "FOR":
        raise TaclError(f"{shown(word)} is not expected")
    count, rest = take_number(rest, tacl.variables) if word else (1, rest)
    nothing_more(rest)
    if start < 1:
        raise TaclError("A character address is at least 1")
    return text[start - 1 : start - 1 + max(count, 0)]


def _comparev(tacl: Tacl, rest: str) -> str:
    one, rest = take_string(rest, tacl.variables)
    other, rest = take_string(rest, tacl.variables)
    nothing_more(rest)
    return truth(one == other)


def _setv(tacl: Tacl, rest: str) -> str:
    name, rest = take_word(rest)
    tacl.variables.text(name)
    value, rest = take_string(rest, tacl.variables)
    nothing_more(rest)
    tacl.variables.set(name, value)
    return ""


def _empty(_tacl: Tacl, rest: str) -> str:
    return truth(not rest.strip(f" {BLANK}{END}"))


def _emptyv(tacl: Tacl, rest: str) -> str:
    """Whether a text is empty; with /BLANK/ also whether it has blanks only.

    Without it, a variable with one line of nothing is not empty on a host, and cannot be told from
    an empty one here: so it is not simulated for texts.
    """
    options, rest = take_options(rest, "BLANK")
    text, rest = take_string(rest, tacl.variables)
    nothing_more(rest)
    if "BLANK" not in options:
        raise TaclError("#EMPTYV without /BLANK/ is not simulated")
    return truth(not text.strip(f" {BLANK}{END}"))


def _compute(tacl: Tacl, rest: str) -> str:
    return str(compute(rest, tacl.variables))


STRINGS: Mapping[str, Word] = {
    "#CHARCOUNT": at_once(_charcount),
    "#CHARFIND": at_once(_charfind),
    "#CHARFINDV": at_once(_charfindv),
    "#CHARGET": at_once(_charget),
    "#CHARGETV": at_once(_chargetv),
    "#COMPAREV": at_once(_comparev),
    "#COMPUTE": at_once(_compute),
    "#EMPTY": at_once(_empty),
    "#EMPTYV": at_once(_emptyv),
    "#SETV": at_once(_setv),
}
