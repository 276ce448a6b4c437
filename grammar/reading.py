"""Finding one's way in a text that did not match: words, blanks, and how to name what is there."""

import re
from collections.abc import Collection, Iterable

from attrs import frozen

from vtspolicy.suggest import nearest

QUOTES = "'\""
NAMED = {"'": "a single quote", '"': "a double quote"}  # a notice cannot hold a double quote
LONGEST_SHOWN = 24  # characters of the text that a message repeats
LONGEST_GUESSED = 40  # characters of a word for which a right one is looked for
MOST_LISTED = 96  # characters of a list of the words that are right

WORD = re.compile(r"[^ \t\r\n='\"]*")
SPACE = re.compile(r"[ \t\r\n]*")


class WrongPlaceError(Exception):
    """The first wrong place, as an offset into the text, and what to say about it."""

    def __init__(self, at: int, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.at, self.message, self.hint = at, message, hint


@frozen
class Reading:
    """The text, with the questions that are asked about a place in it."""

    text: str  # with plain quotes

    def space(self, at: int) -> int:
        """Return where the blanks that begin at `at` end."""
        match = SPACE.match(self.text, at)
        return match.end() if match else at

    def word(self, at: int) -> str:
        """Return the word that begins at `at`; empty before a quote, `=`, blank or the end."""
        match = WORD.match(self.text, at)
        return match[0] if match else ""

    def quote(self, at: int) -> str:
        """Return the quote at `at`, or an empty string."""
        character = self.text[at : at + 1]
        return character if character and character in QUOTES else ""

    def found(self, at: int) -> str:
        """Return what is at `at`, as a message names it."""
        if at >= len(self.text):
            return "the end"
        word = self.word(at)
        return show(word) if word else NAMED.get(self.text[at], self.text[at])

    def is_pair(self, after: int) -> bool:
        """Whether an `=` follows the word that ends before `after`."""
        return self.text.startswith("=", self.space(after))


def show(word: str) -> str:
    """Return `word` in quotes as a message repeats it: short, and with nothing unprintable."""
    clean = "".join(c if c.isprintable() else f"<{ord(c):02X}>" for c in word[: LONGEST_SHOWN + 1])
    short = clean if len(clean) <= LONGEST_SHOWN else clean[: LONGEST_SHOWN - 3] + "..."
    return f'"{short}"'


def guess(word: str, choices: Collection[str]) -> str | None:
    """Return `did you mean ...?`; long words are not compared, for that is slow and in vain."""
    choice = nearest(word, choices) if 0 < len(word) <= LONGEST_GUESSED else None
    return f'did you mean "{choice}"?' if choice and choice != word else None


def listed(words: Iterable[str], last: str = ", ") -> str:
    """Return the words in a row, `last` before the last of them, as many as fit."""
    row = list(words)
    while len(row) > 1 and sum(len(word) + 2 for word in row) > MOST_LISTED:
        row, last = [*row[:-2], "..."], ", "
    return last.join([", ".join(row[:-1]), row[-1]]) if len(row) > 1 else "".join(row)
