"""Why a text is not a command: the first wrong place, what was expected there, and the remedy.

Runs only when the grammar did not match, so it may look at words twice; it stays linear in the
length of the text.
"""

import re

from attrs import frozen

from vtspolicy.grammar.command import CommandError
from vtspolicy.grammar.names import check_name, check_target
from vtspolicy.grammar.pairs import Pairs
from vtspolicy.grammar.reading import (
    LONGEST_GUESSED,
    NAMED,
    QUOTES,
    Reading,
    WrongPlaceError,
    guess,
    listed,
    show,
)
from vtspolicy.grammar.values import CUT_AT, LONGEST_TEXT, REQUEST, plain_quotes
from vtspolicy.grammar.vocabulary import Family, Vocabulary
from vtspolicy.suggest import nearest

ALMOST_CUT = 92  # bytes: blanks at the cut and where a display wraps are lost on the way
LONGEST_ANSWER = 160  # characters of message and hint together: a notice holds 240 in all
OTHER_QUOTES = "\u00b4`\u201a\u201e\u00ab\u2039"
DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\x96\x97"
STRANGE = re.compile(r"[\x00-\x1f\x7f-\xa0\u2000-\u200f\u2028-\u202f\u3000\ufeff]")
"""Control characters, and blanks that are none for the language, such as the no-break space."""

BEFORE, AFTER = r"[ \t\r\n'\"]", r"(?=[ \t\r\n'\"]|\Z)"
EQUALS = r"[ \t\r\n]*+=[ \t\r\n]*+"
REF_GIVEN = re.compile(rf"{BEFORE}ref{EQUALS}([A-Za-z0-9_.-]{{1,32}}+){AFTER}")
NUMBER_LEFT_OUT = re.compile(
    r"[ \t\r\n]*+[^ \t\r\n]++[ \t\r\n]++([A-Za-z]++)[ \t\r\n'\"-]*+[A-Za-z]++[ \t\r\n]*+="
)
SOURCE_GIVEN = re.compile(rf"{BEFORE}(?:s|source){EQUALS}([A-Za-z0-9.-]{{1,253}}+){AFTER}")


def explain(sent: str, vocabulary: Vocabulary, *, may_be_cut: bool = False) -> CommandError:
    """Return the error that says why the text that was sent does not parse."""
    text = plain_quotes(sent)
    try:
        _Forms(Reading(text), text, vocabulary, bytes_sent(sent), may_be_cut).check()
    except WrongPlaceError as wrong:
        at, message, hint = wrong.at, wrong.message, wrong.hint
        if strange := STRANGE.search(text, at, at + len(Reading(text).word(at))):
            at, hint = strange.start(), "remove it, or put a plain blank in its place"
            message = f"found {show(strange[0])}, expected a character that can be seen"
    else:  # the grammar is stricter than this module: a property test looks for such texts
        at, message, hint = 0, "found no command of the language", "see vtspolicy grammar"
    if hint is not None and len(message) + len(hint) > LONGEST_ANSWER:
        hint = hint[: max(0, LONGEST_ANSWER - len(message) - 3)] + "..."
    head = text[:LONGEST_TEXT]
    ref, source = REF_GIVEN.search(head), SOURCE_GIVEN.search(head)
    if ref is not None and _names_request(head, vocabulary):
        ref = None
    return CommandError(
        column=min(at, len(text)) + 1,
        message=message,
        hint=hint,
        ref=ref[1] if ref else None,
        source=source[1] if source else None,
    )


def _names_request(text: str, vocabulary: Vocabulary) -> bool:
    """Whether `ref=` in a command about a request names that request, and not the command.

    It does where a keyword stands in the place of the number. A mistyped verb counts as the
    nearest one.
    """
    head = NUMBER_LEFT_OUT.match(text)
    if head is None or len(head[1]) > LONGEST_GUESSED:
        return False
    verb = nearest(head[1], vocabulary.families)
    return verb is not None and vocabulary.families[verb].takes == "request"


def bytes_sent(text: str) -> int:
    """Return how many bytes `text` had on its way; a C1 control was one byte of a code page."""
    if text.isascii():
        return len(text)
    return sum(1 if c < "\u00a0" else len(c.encode("utf-8", "surrogatepass")) for c in text)


@frozen
class _Forms:
    """The forms of a command, read from left to right until a place is wrong."""

    reading: Reading
    text: str
    vocabulary: Vocabulary
    size: int  # bytes of the text as it was sent
    may_be_cut: bool  # whether a plain write to the collector leaves just as many

    def check(self) -> None:
        """Raise WrongPlaceError for the first wrong place of the text."""
        reading, text = self.reading, self.text
        at = reading.space(0)
        start = reading.word(at)
        if start != "VTSPolicy":
            hint = guess(start, ["VTSPolicy"])
            raise WrongPlaceError(at, f"found {reading.found(at)}, expected VTSPolicy", hint)
        if len(text) > LONGEST_TEXT:
            message = f"found {len(text)} characters, at most {LONGEST_TEXT} fit into an event"
            raise WrongPlaceError(LONGEST_TEXT, message, "use several commands")
        at = reading.space(at + len(start))
        family = self._family(at)
        after = at + len(family.name)
        if family.takes == "path":
            self._application(family, after)
        else:
            self._verb(family, after)

    def _family(self, at: int) -> Family:
        families = self.vocabulary.families
        word = self.reading.word(at)
        if word in families:
            return families[word]
        hint = guess(word, families) or listed(families)
        raise WrongPlaceError(at, f"found {self.reading.found(at)}, expected a family", hint)

    # VTSPolicy FAMILY '[operation] /VAULTxx/pool[/cartridge] [keyword=value ...]'

    def _application(self, family: Family, after: int) -> None:
        reading, text = self.reading, self.text
        at = reading.space(after)
        quote = reading.quote(at)
        if not quote:
            raise self._unquoted(family, at)
        if at == after:
            message = f"found {NAMED[quote]} right after {family.name}, expected a blank"
            raise WrongPlaceError(at, message)
        close = text.find(quote, at + 1)
        if close < 0 and self.may_be_cut:
            raise WrongPlaceError(
                len(text),
                f"found the end at {CUT_AT} bytes with the quote open: FUP or a plain write to the "
                "collector cut it",
                "send it with the host macro (TACL), as a whole event",
            )
        end = close if close >= 0 else len(text)
        other = text.find(QUOTES.replace(quote, ""), at + 1, end)
        inner = end if other < 0 else other
        try:
            pairs_at = check_target(reading, family, reading.space(at + 1))
            Pairs(reading, self.vocabulary, family).check(pairs_at, inner)
        except WrongPlaceError as wrong:
            if wrong.at < inner or inner == close:
                raise
        if other >= 0:
            hint = "close with the quote that opened" if close < 0 else "values hold no quotes"
            message = f"found {NAMED[text[other]]}, expected {NAMED[quote]}"
            raise WrongPlaceError(other, message, hint)
        if close < 0:
            message = f"found the end, expected {NAMED[quote]} to close that of column {at + 1}"
            raise WrongPlaceError(len(text), message, self._unclosed(quote))
        rest = reading.space(close + 1)
        if rest < len(text):
            raise WrongPlaceError(
                rest,
                f"found {reading.found(rest)} after the closing quote, expected the end",
                f"put all words after {family.name} inside the quotes",
            )

    def _unclosed(self, quote: str) -> str:
        """Return the remedy for a text that ends with its quote open."""
        if ALMOST_CUT <= self.size < CUT_AT:
            return f"add {quote}; or was it cut at {CUT_AT} bytes, as FUP does? use the host macro"
        return f"add {quote} at the end"

    def _unquoted(self, family: Family, at: int) -> WrongPlaceError:
        """Return what is wrong where the opening quote should be."""
        word = self.reading.word(at)
        message = f"found {self.reading.found(at)}, expected a single or double quote"
        if at >= len(self.text):
            return WrongPlaceError(at, f"{message}, and a path in it")
        if word == "-":
            verbs = [verb.name for verb in self.vocabulary.verbs if verb.takes == "tapes"]
            return WrongPlaceError(at, message, f"- is for {listed(verbs, ' and ')}")
        if word[:1] and word[0] in OTHER_QUOTES:
            return WrongPlaceError(at, message, "use plain quotes")
        return WrongPlaceError(
            at, message, f"put all words after {family.name} in one pair of quotes"
        )

    # VTSPolicy VERB - tape [tape ...] [keyword=value ...]
    # VTSPolicy VERB - request|ref=REF [keyword=value ...]

    def _verb(self, family: Family, after: int) -> None:
        reading = self.reading
        at = reading.space(after)
        tapes = family.takes == "tapes"
        what = "tape names" if tapes else "the number of a request, or its ref="
        usage = f"such as: {family.name} - {'A00017 A00018' if tapes else '42'}"
        word = reading.word(at)
        if word != "-":
            raise self._no_dash(at, what, usage)
        at = reading.space(at + 1)
        name = reading.word(at)
        pairs = Pairs(reading, self.vocabulary, family)
        if name == "ref" and not tapes and reading.is_pair(at + len(name)):
            pairs.check(pairs.pair(at, len(self.text)), len(self.text))
            return
        if not name or reading.is_pair(at + len(name)):
            message = f"found {reading.found(at)}, expected {what} after -"
            raise WrongPlaceError(at, message, "no quotes here" if reading.quote(at) else usage)
        at = self._tapes(at) if tapes else self._request(at, usage)
        pairs.check(at, len(self.text))

    def _no_dash(self, at: int, what: str, usage: str) -> WrongPlaceError:
        """Return what is wrong where the `-` of a verb should be."""
        word, found = self.reading.word(at), self.reading.found(at)
        if word and word[0] in DASHES:
            return WrongPlaceError(at, f"found {found}, expected a plain -", usage)
        if word.startswith("-"):
            message = f"found {show(word[1:])}, expected a blank after -"
            return WrongPlaceError(at + 1, message, usage)
        without = " without quotes" if self.reading.quote(at) else ""
        return WrongPlaceError(at, f"found {found}, expected - and {what}{without}", usage)

    def _tapes(self, at: int) -> int:
        """Check the names of tapes, and return where the last one ends."""
        reading = self.reading
        start = at
        while word := reading.word(start):
            if reading.is_pair(start + len(word)):
                break
            check_name(start, word, "tape")
            at = start + len(word)
            if quote := reading.quote(at):
                raise WrongPlaceError(
                    at, f"found {NAMED[quote]}, expected a blank", "no quotes here"
                )
            start = reading.space(at)
        return at

    def _request(self, at: int, usage: str) -> int:
        """Check the number of a request, and return where it ends."""
        reading = self.reading
        word = reading.word(at)
        if not REQUEST.fullmatch(word):
            message = f"found {show(word)}, expected the number of a request, or its ref="
            raise WrongPlaceError(at, message, f"{usage}, the req= of its notices")
        at += len(word)
        following = reading.space(at)
        if REQUEST.fullmatch(reading.word(following)):
            message = f"found {reading.found(following)}, expected one request only"
            raise WrongPlaceError(following, message, "use one command for each")
        return at
