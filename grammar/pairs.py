"""What is wrong with the `keyword=value` words of a command."""

import re

from attrs import field, frozen

from vtspolicy.grammar.reading import (
    LONGEST_SHOWN,
    NAMED,
    Reading,
    WrongPlaceError,
    guess,
    listed,
    show,
)
from vtspolicy.grammar.values import REFERENCE, TYPES, remedy
from vtspolicy.grammar.vocabulary import Family, Keyword, Vocabulary

WRONG_CHARACTER = re.compile(r"[^A-Za-z0-9_-]")
OTHER_SEPARATOR = re.compile(r"([A-Za-z]+)([:.])(?=.)")


@frozen
class Pairs:
    """The pairs of one command, checked from left to right."""

    reading: Reading
    vocabulary: Vocabulary
    family: Family
    given: dict[str, str] = field(factory=dict, init=False)  # long name -> as it was written

    def check(self, at: int, end: int) -> None:
        """Check the pairs that are between `at` and `end`, and that none is missing."""
        while (start := self.reading.space(at)) < end:
            if self.reading.text[start] == "=":
                raise WrongPlaceError(start, "found =, expected a keyword before it")
            if quote := self.reading.quote(start):
                raise WrongPlaceError(start, f"found {NAMED[quote]}, expected a keyword")
            at = self.pair(start, end)
        for long in self.family.always_required:
            if long not in self.given:
                message = f"found the end, expected {long}=, which {self.family.name} always needs"
                raise WrongPlaceError(end, message)

    def pair(self, start: int, end: int) -> int:
        """Check one pair, and return where it ends."""
        reading = self.reading
        name = reading.word(start)
        equals = reading.space(start + len(name))
        if equals >= end or reading.text[equals] != "=":
            raise self._no_pair(start, name)
        keyword = self._keyword(start, name)
        at = reading.space(equals + 1)
        value = reading.word(at) if at < end else ""
        after = at + len(value)
        if not value:
            raise WrongPlaceError(at, f"found {reading.found(at)}, expected the value of {name}")
        if reading.is_pair(after) and (second := reading.space(after)) < end:
            if at > equals + 1 and (value in self.family.words or value == "ref"):
                message = f"found {show(value + '=')}, expected the value of {name}"
                raise WrongPlaceError(at, message)
            if second == after:
                message = f"found = within the value of {name}, expected a blank or the end"
                raise WrongPlaceError(after, message, "a value holds no = and no blank")
        kind = TYPES[keyword.type] if keyword else REFERENCE
        if not kind.pattern.fullmatch(value):
            right = remedy(value, kind)
            short = right is not None and len(right) <= LONGEST_SHOWN
            hint = f"write {name}={right}" if short else f"such as {name}={kind.sample}"
            raise WrongPlaceError(
                at, f"found {show(value)} as {name}, expected {kind.expected}", hint
            )
        return after

    def _keyword(self, start: int, name: str) -> Keyword | None:
        """Return the keyword of that name if it is new; None for `ref`."""
        keyword = self.family.words.get(name)
        if keyword is None and name != "ref":
            raise self._unknown(start, name)
        long = keyword.long if keyword else "ref"
        before = self.given.get(long)
        if before == name:
            message = f"found {name}= a second time, expected it once"
            raise WrongPlaceError(start, message, "remove one of them")
        if before is not None:
            message = f"found {name}=, which was given before as {before}="
            raise WrongPlaceError(start, message, f"{before} and {name} are the same keyword")
        self.given[long] = name
        return keyword

    def _no_pair(self, start: int, word: str) -> WrongPlaceError:
        """Return what is wrong with a word where a pair should begin, and no `=` follows."""
        family, after = self.family, start + len(word)
        words = [*family.words, "ref"]
        message = f"found {show(word)}, expected keyword=value"
        if word in words:
            found = self.reading.found(self.reading.space(after))
            return WrongPlaceError(after, f"found {found} after {word}, expected =")
        if word.startswith("/"):
            message = f"found {show(word)}, a second path, expected keyword=value"
            return WrongPlaceError(start, message, "one command, one path")
        if word in family.operations and not family.verb:
            return WrongPlaceError(start, message, f"{word} comes before the path")
        separated = OTHER_SEPARATOR.match(word)
        if separated and separated[1] in words:
            message = f"found {separated[2]} after {separated[1]}, expected ="
            return WrongPlaceError(start + separated.start(2), message)
        if family.takes == "tapes":
            return WrongPlaceError(start, message, "tapes come before the keywords")
        hint = guess(word, words)
        if hint is None and self.given:
            hint = "a value holds no blank"
        return WrongPlaceError(start, message, hint)

    def _unknown(self, start: int, name: str) -> WrongPlaceError:
        """Return what is wrong with a keyword that the family does not have."""
        if wrong := WRONG_CHARACTER.search(name):
            message = f"found {show(wrong[0])} in a keyword, expected a letter or ="
            return WrongPlaceError(start + wrong.start(), message)
        own = [*self.family.words, "ref"]
        hint = guess(name, own)
        if name.lower() not in {word.lower() for word in own}:
            others = [f.name for f in self.vocabulary.families.values() if name in f.words]
            hint = f"{name} belongs to {listed(others[:3])}" if others else hint
        message = f"found {show(name)}, expected a keyword of {self.family.name}"
        return WrongPlaceError(
            start, message, hint or f"keywords: {listed([*self.family.keywords, 'ref'])}"
        )
