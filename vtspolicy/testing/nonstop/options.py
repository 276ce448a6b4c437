"""How arguments of built-in functions are written: options between slashes, names, strings."""

import re

from vtspolicy.testing.nonstop.lexical import BLANK, shown
from vtspolicy.testing.nonstop.run_options import run_options
from vtspolicy.testing.nonstop.variables import TaclError, Variables

_STRING = re.compile(r'"([^"]*)"')


def take_options(text: str, *known: str) -> tuple[dict[str, str], str]:
    """Return the options in front of a text, by their words, and the rest. Raises TaclError."""
    options, rest = run_options(text)
    for word in options:
        if word not in known:
            raise TaclError(f"The option {shown(word)} is not simulated")
    return options, rest.lstrip()


def take_word(text: str) -> tuple[str, str]:
    """Return the first word and what follows it; the word may be empty."""
    word, _, rest = text.lstrip(f" {BLANK}").partition(" ")
    return word, rest


def take_string(text: str, variables: Variables) -> tuple[str, str]:
    """Return a string constant or the text of a variable, and the rest. Raises TaclError."""
    text = text.lstrip(" ")
    if found := _STRING.match(text):
        return found[1], text[found.end() :]
    name, rest = take_word(text)
    return variables.text(name), rest


def take_number(text: str, variables: Variables) -> tuple[int, str]:
    """Return a whole number, or that in a variable, and the rest. Raises TaclError."""
    word, rest = take_word(text)
    digits = variables.text(word).strip() if word in variables else word
    if not re.fullmatch(r"-?\d{1,18}", digits):
        raise TaclError(f"Expecting a number, and not {shown(word)}")
    return int(digits), rest


def nothing_more(text: str) -> None:
    """Raise TaclError if anything is left of the arguments."""
    if text.strip(f" {BLANK}"):
        raise TaclError(f"{shown(text.strip())[:40]} is not expected")
