"""Invisible and look-alike characters where YAML expects a blank, a quote or nothing."""

import re
import unicodedata

from attrs import frozen

BLANKS = "\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
"""Blanks to the eye that YAML takes for letters, as a class of a regular expression."""

NOTHING = "\xad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
"""Characters without any width, as a class of a regular expression."""

QUOTES = "\u2018-\u201f\u00ab\u00bb\u2039\u203a"
"""Quotes of typesetting, as a class of a regular expression."""

_NAMES = {"\xa0": "no-break space", "\ufeff": "byte order mark"}

# Where a blank separates: at the beginning of a line, around a colon, after a dash or a comma.
_SEPARATING = re.compile(
    rf"(?:^[ \t]*(?:- +)*|[:,\[{{] *|^[ \t]*-)(?P<blank>[{BLANKS}])"
    rf"|(?P<before>[{BLANKS}]) *:(?=\s)|(?P<nothing>[{NOTHING}])",
    re.MULTILINE,
)
_IN_PLAIN = re.compile(rf"\A[{BLANKS}]|[{BLANKS}]\Z|[{NOTHING}]|\A[{QUOTES}]")
_IN_KEY = re.compile(rf"[{BLANKS}{NOTHING}]|\A[{QUOTES}]")


@frozen(kw_only=True)
class Invisible:
    """One such character in a text."""

    at: int  # how many characters are before it
    message: str
    remedy: str


def in_value(text: str) -> Invisible | None:
    """Return the first such character of a value without quotes that cannot be meant, or None."""
    return _found(_IN_PLAIN.search(text), text)


def in_key(text: str) -> Invisible | None:
    """Return the first such character of a key without quotes, or None."""
    return _found(_IN_KEY.search(text), text)


def before_error(text: str, end: int) -> Invisible | None:
    """Return the last such character before an error of the parser that explains it, or None.

    What is in a comment, or in quotes on its line, explains nothing.
    """
    stop = text.find("\n", end)
    last = None
    for match in _SEPARATING.finditer(text, 0, len(text) if stop < 0 else stop):
        start = match.start(match.lastgroup or 0)
        line = text[text.rfind("\n", 0, start) + 1 : start]
        hidden = re.search(r"(?:^|\s)#", line) or line.count('"') % 2 or line.count("'") % 2
        if not hidden:
            last = Invisible(at=start, message=_message(text[start]), remedy=_remedy(text[start]))
    return last


def _found(match: re.Match[str] | None, text: str) -> Invisible | None:
    if match is None:
        return None
    character = text[match.start()]
    return Invisible(at=match.start(), message=_message(character), remedy=_remedy(character))


def _message(character: str) -> str:
    name = _NAMES.get(character) or unicodedata.name(character, "character").lower()
    number = f"U+{ord(character):04X}"
    if re.match(f"[{BLANKS}]", character):
        return f"a {name} ({number}) is where a blank should be"
    if re.match(f"[{QUOTES}]", character):
        return f"a typographic quote ({number}) quotes nothing in YAML"
    return f"an invisible character ({number}, {name}) is here"


def _remedy(character: str) -> str:
    if re.match(f"[{BLANKS}]", character):
        return "type the blank again"
    if re.match(f"[{QUOTES}]", character):
        return "write \" or ', and put the value into quotes if it is meant"
    return "delete it, or put the value into quotes if it is meant"
