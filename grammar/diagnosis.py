"""Why a text is not a command: the first wrong place, what was expected there, and the remedy.

Runs only when the grammar did not match, so it may look at words twice; it stays linear in the
length of the text.
"""

import re
from collections.abc import Iterable

from attrs import field, frozen

from vtspolicy.grammar.command import CommandError
from vtspolicy.grammar.values import (
    CUT_AT,
    LONGEST_PART,
    LONGEST_TEXT,
    PART_CHARACTER,
    REFERENCE,
    REQUEST,
    TYPES,
    VAULT_PART,
    ValueType,
    remedy,
)
from vtspolicy.grammar.vocabulary import Family, Keyword, Vocabulary
from vtspolicy.suggest import nearest

BLANKS = " \t\r\n"
QUOTES = "'\""
DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\x96\x97"
LONGEST_SHOWN = 24  # characters of the text that a message repeats
LONGEST_GUESSED = 40  # characters of a word for which a right one is looked for

WORD = re.compile(r"[^ \t\r\n='\"]*")
SPACE = re.compile(r"[ \t\r\n]*")
WRONG_IN_PART = re.compile(rf"(?!{PART_CHARACTER}).", re.DOTALL)
KEYWORD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
REF_GIVEN = re.compile(
    r"[ \t\r\n'\"]ref[ \t\r\n]*+=[ \t\r\n]*+([A-Za-z0-9_.-]{1,32})(?=[ \t\r\n'\"]|\Z)"
)
SOURCE_GIVEN = re.compile(
    r"[ \t\r\n'\"](?:s|source)[ \t\r\n]*+=[ \t\r\n]*+([A-Za-z0-9.-]{1,253})(?=[ \t\r\n'\"]|\Z)"
)


class _Wrong(Exception):  # noqa: N818 # not an error of the program: the answer to a question
    """The first wrong place, as an offset into the text."""

    def __init__(self, at: int, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.at, self.message, self.hint = at, message, hint


def explain(text: str, vocabulary: Vocabulary) -> CommandError:
    """Return the error that tells why `text`, in which quotes are plain, does not parse."""
    ref, source = (
        REF_GIVEN.search(text, 0, LONGEST_TEXT),
        SOURCE_GIVEN.search(text, 0, LONGEST_TEXT),
    )
    try:
        _Scanner(text, vocabulary).run()
    except _Wrong as wrong:
        at, message, hint = wrong.at, wrong.message, wrong.hint
    else:
        at, message, hint = 0, "this is not a command of the language", "see vtspolicy grammar"
    return CommandError(
        column=min(at, len(text)) + 1,
        message=message,
        hint=hint,
        ref=ref[1] if ref else None,
        source=source[1] if source else None,
    )


def show(word: str) -> str:
    """Return `word` in quotes as a message repeats it: short, and with nothing unprintable."""
    short = word if len(word) <= LONGEST_SHOWN else word[: LONGEST_SHOWN - 3] + "..."
    clean = "".join(c if c.isprintable() else f"<{ord(c):02X}>" for c in short)
    return f"'{clean}'" if '"' in clean else f'"{clean}"'


def _guess(word: str, choices: Iterable[str]) -> str | None:
    """Return `did you mean ...?`; long words are not compared, for that is slow and in vain."""
    choice = nearest(word, choices) if 0 < len(word) <= LONGEST_GUESSED else None
    return f'did you mean "{choice}"?' if choice and choice != word else None


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)


@frozen
class _Scanner:
    """Reads the text from left to right and stops with _Wrong at the first wrong place."""

    text: str
    vocabulary: Vocabulary
    given: dict[str, str] = field(factory=dict, init=False)  # long name -> as it was written

    def run(self) -> None:
        text = self.text
        at = self._space(0)
        start = self._word(at)
        if start != "VTSPolicy":
            found = show(start or text[at : at + 1]) if at < len(text) else "nothing"
            hint = _guess(start, ["VTSPolicy"])
            raise _Wrong(at, f"found {found}, expected VTSPolicy", hint)
        if len(text) > LONGEST_TEXT:
            raise _Wrong(
                LONGEST_TEXT,
                f"the text has {len(text)} characters, at most {LONGEST_TEXT} fit into an event",
                "use several commands",
            )
        at = self._space(at + len(start))
        family = self._family(at)
        after = at + len(family.name)
        at = self._space(after)
        if family.takes == "path":
            self._application(family, after, at)
        else:
            self._verb(family, after, at)

    # Where things are

    def _space(self, at: int) -> int:
        """Return where the blanks that begin at `at` end."""
        match = SPACE.match(self.text, at)
        return match.end() if match else at

    def _word(self, at: int) -> str:
        """Return the word that begins at `at`; empty before a quote, `=`, blank or the end."""
        match = WORD.match(self.text, at)
        return match[0] if match else ""

    def _found(self, at: int) -> str:
        """Return what stands at `at`, as a message names it."""
        if at >= len(self.text):
            return "the end"
        return show(self._word(at) or self.text[at])

    def _is_equals(self, at: int) -> bool:
        return self.text.startswith("=", self._space(at))

    # The parts of a command, in the order of the text

    def _family(self, at: int) -> Family:
        families = self.vocabulary.families
        word = self._word(at)
        if word in families:
            return families[word]
        known = _listed(families)
        if not word:
            raise _Wrong(at, f"found {self._found(at)}, expected a family: {known}")
        raise _Wrong(at, f"found {show(word)}, expected a family", _guess(word, families) or known)

    def _application(self, family: Family, after: int, at: int) -> None:
        quote = self.text[at : at + 1]
        if quote not in QUOTES or not quote:
            raise self._unquoted(family, at)
        if at == after:
            raise _Wrong(at, f"found {quote} right after {family.name}, expected a blank before it")
        close = self.text.find(quote, at + 1)
        if close < 0 and _bytes_sent(self.text) == CUT_AT:
            raise _Wrong(
                len(self.text),
                "cut at 102 bytes with the quote open: FUP or a plain write to the collector did it",
                "send it with the host macro (TACL), which makes a whole event",
            )
        other = self._other_quote(quote, at, close)
        end = close if close >= 0 else len(self.text)
        try:
            self._body(family, at + 1, min(end, other if other >= 0 else end))
        except _Wrong as wrong:
            if wrong.at < end or close >= 0:
                raise
        if other >= 0 and (close < 0 or other < close):
            hint = "close with the same quote that opened" if close < 0 else "values take no quotes"
            raise _Wrong(other, f"found {self.text[other]}, expected {quote}", hint)
        if close < 0:
            message = f"the quote opened at column {at + 1} is not closed, expected {quote}"
            raise _Wrong(len(self.text), message, f"add {quote} at the end")
        rest = self._space(close + 1)
        if rest < len(self.text):
            raise _Wrong(
                rest,
                f"found {self._found(rest)} after the closing quote, expected the end",
                f"put all words after {family.name} inside the quotes",
            )

    def _other_quote(self, quote: str, at: int, close: int) -> int:
        """Return where the quote of the other kind stands within the string, or -1."""
        other = QUOTES.replace(quote, "")
        return self.text.find(other, at + 1, close if close >= 0 else len(self.text))

    def _unquoted(self, family: Family, at: int) -> _Wrong:
        found = self._found(at)
        if at >= len(self.text):
            return _Wrong(at, f"found the end, expected a quoted path after {family.name}")
        if self.text[at] == "-" and self._word(at) == "-":
            verbs = _listed(v.name for v in self.vocabulary.verbs if v.takes == "tapes")
            message = f"found -, expected ' or \" and a path after {family.name}"
            return _Wrong(at, message, f"- is for {verbs}")
        if self.text[at] in "\u00b4`\u201a\u201e\u00ab\u2039":
            return _Wrong(at, f"found {found}, expected ' or \"", "use plain quotes")
        return _Wrong(
            at, f"found {found}, expected ' or \"", f"quote all words after {family.name}"
        )

    def _body(self, family: Family, start: int, end: int) -> None:
        """Read the words within the quotes, which stand from `start` to before `end`."""
        at = self._path_start(family, self._space(start))
        at = self._path(at)
        self._pairs(family, at, end)
        self._complete(family, end)

    def _path_start(self, family: Family, at: int) -> int:
        """Return where the path begins, behind the operation if there is one."""
        word = self._word(at)
        expected = _listed((*family.operations, "or /VAULTxx/pool"))
        if not word or word.startswith("/"):
            if not word:
                raise _Wrong(at, f"found {self._found(at)}, expected {expected}")
            return at
        if word in family.operations:
            following = self._space(at + len(word))
            if self.text.startswith("/", following) and following > at + len(word):
                return following
            path = self._word(following)
            hint = f'write "/{path}"' if VAULT_PART.match(path) else None
            message = f"found {self._found(following)}, expected /VAULTxx/pool after {word}"
            raise _Wrong(following, message, hint)
        if self._is_equals(at + len(word)):
            message = f"found {show(word)} before the path, expected {expected}"
            raise _Wrong(at, message, "the path comes first, then keyword=value")
        if VAULT_PART.match(word):
            message = f"found {show(word)}, but a path is absolute: expected /"
            raise _Wrong(at, message, f'write "/{word[:LONGEST_SHOWN]}"')
        if "/" in word:
            operation, slash = word.split("/", 1)[0], word.index("/")
            if operation in family.operations:
                message = f"found / right after {operation}, expected a blank before it"
                raise _Wrong(at + slash, message)
            message = f"found {show(word)}, but a path is absolute: expected /"
            raise _Wrong(at, message, "write /VAULTxx/pool or /VAULTxx/pool/cartridge")
        hint = _guess(word, family.operations)
        raise _Wrong(at, f"found {show(word)}, expected {expected}", hint)

    def _path(self, start: int) -> int:
        """Read the path, and return where it ends."""
        word = self._word(start)
        at = start + 1
        parts = word[1:].split("/")
        for part, what in zip(parts, ("vault", "pool", "tape", "more"), strict=False):
            if what == "more":
                message = f"found {show('/' + part)}, but a path ends with the cartridge"
                raise _Wrong(at - 1, message, "write /VAULTxx/pool/cartridge")
            self._part(at, part, what)
            at += len(part) + 1
        if len(parts) == 1:
            message = f"found no pool after /{word[1 : LONGEST_SHOWN + 1]}, expected /VAULTxx/pool"
            raise _Wrong(start + len(word), message)
        if self._is_equals(start + len(word)):
            at = self._space(start + len(word))
            raise _Wrong(at, "found = after the path, expected a keyword before it")
        return start + len(word)

    def _part(self, at: int, part: str, what: str) -> None:
        """Check one name of a path, or a tape's name."""
        if not part:
            expected = "VAULTxx" if what == "vault" else f"the name of a {what}"
            hint = None if what == "vault" else "remove the / that is too much"
            raise _Wrong(at, f"found an empty part of the path, expected {expected}", hint)
        if part in {".", ".."}:
            hint = "paths are written in full"
            raise _Wrong(at, f'found "{part}", expected the name of a {what}', hint)
        if what == "vault" and not VAULT_PART.fullmatch(part):
            upper = part.upper()
            hint = f'did you mean "{upper}"?' if VAULT_PART.fullmatch(upper) else None
            raise _Wrong(at, f"found {show(part)}, expected a vault such as VAULT01", hint)
        if wrong := WRONG_IN_PART.search(part):
            hints = {",": "separate tapes by blanks", "/": "give the tape's name alone"}
            hint = hints.get(wrong[0]) if what == "tape" else None
            message = f"found {show(wrong[0])}, which cannot stand in the name of a {what}"
            raise _Wrong(at + wrong.start(), message, hint or "letters, digits and _.@#$+- can")
        if part.startswith("-"):
            raise _Wrong(at, f"found {show(part)}, but the name of a {what} cannot begin with -")
        if len(part) > LONGEST_PART:
            message = f"found a name of {len(part)} characters, at most {LONGEST_PART} are allowed"
            raise _Wrong(at + LONGEST_PART, message)

    def _pairs(self, family: Family, at: int, end: int) -> None:
        """Read `keyword=value` up to `end`."""
        while (start := self._space(at)) < end:
            if self.text[start] == "=":
                raise _Wrong(start, "found =, expected a keyword before it")
            if self.text[start] in QUOTES:
                raise _Wrong(start, f"found {self.text[start]}, expected a keyword or the end")
            at = self._pair(family, start, end)

    def _pair(self, family: Family, start: int, end: int) -> int:
        name = self._word(start)
        keyword = self._keyword(family, start, name, end)
        equals = self._space(start + len(name))
        at = self._space(equals + 1)
        value = self._word(at) if at < end else ""
        after = at + len(value)
        if not value:
            raise _Wrong(at, f"found {self._found(at)}, expected the value of {name}")
        if self._is_equals(after) and self._space(after) < end:
            if at > equals + 1 and (value in family.words or value == "ref"):
                raise _Wrong(at, f"found {show(value + '=')}, expected the value of {name}")
            if self._space(after) == after:
                message = f"found = within the value of {name}, expected a blank or the end"
                raise _Wrong(after, message, "a value holds no = and no blank")
        self._value(at, value, keyword, name)
        return after

    def _keyword(self, family: Family, start: int, name: str, end: int) -> Keyword | None:
        """Check the word before `=`, and that it is new; None for `ref`."""
        keyword = family.words.get(name)
        equals = self._space(start + len(name))
        if equals >= end or self.text[equals] != "=":
            raise self._no_pair(family, start, name, known=keyword is not None or name == "ref")
        if keyword is None and name != "ref":
            raise self._unknown(family, start, name)
        long = keyword.long if keyword else "ref"
        if long in self.given:
            before = self.given[long]
            also = "" if before == name else f", as {before}"
            hint = "give it once" if before == name else f"{before} and {name} are the same keyword"
            raise _Wrong(start, f"found {name}=, but {long} was given before{also}", hint)
        self.given[long] = name
        return keyword

    def _no_pair(self, family: Family, start: int, word: str, *, known: bool) -> _Wrong:
        """Return what is wrong with a word where a pair should begin, and no `=` follows."""
        after = start + len(word)
        if known:
            return _Wrong(
                after, f"found {self._found(self._space(after))} after {word}, expected ="
            )
        message = f"found {show(word)}, expected keyword=value"
        if word.startswith("/"):
            return _Wrong(start, f"found a second path, {show(word)}", "one command, one path")
        if word in family.operations and not family.verb:
            return _Wrong(start, message, f"{word} comes before the path")
        if match := re.match(r"([A-Za-z]+)[:.](?=.)", word):
            if match[1] in family.words or match[1] == "ref":
                return _Wrong(start + match.end(1), f"found {match[0][-1]}, expected =")
        if family.takes == "tapes" and self.given:
            return _Wrong(start, message, "tapes come before the keywords")
        if self.given:
            return _Wrong(start, message, "a value holds no blank")
        return _Wrong(start, message, _guess(word, family.words))

    def _unknown(self, family: Family, start: int, name: str) -> _Wrong:
        own = [*family.words, "ref"]
        message = f"found {show(name)}, which is no keyword of {family.name}"
        if wrong := re.search(r"[^A-Za-z0-9_-]", name):
            what = f"found {show(wrong[0])} in a keyword, expected letters or ="
            return _Wrong(start + wrong.start(), what)
        hint = _guess(name, own)
        if hint is None or name.lower() not in {word.lower() for word in own}:
            others = [f.name for f in self.vocabulary.families.values() if name in f.words]
            if others:
                hint = f"it is one of {_listed(others[:3])}"
        return _Wrong(start, message, hint or f"keywords: {_listed([*family.keywords, 'ref'])}")

    def _value(self, at: int, value: str, keyword: Keyword | None, name: str) -> None:
        kind: ValueType = TYPES[keyword.type] if keyword else REFERENCE
        if kind.pattern.fullmatch(value):
            return
        right = remedy(value, kind)
        hint = f"write {name}={right}" if right and len(right) <= LONGEST_SHOWN else None
        message = f"found {show(value)} as {name}, expected {kind.expected}"
        raise _Wrong(at, message, hint or f"such as {name}={kind.sample}")

    def _complete(self, family: Family, end: int) -> None:
        for long in family.always_required:
            if long not in self.given:
                message = f"found the end, expected {long}=, which {family.name} always needs"
                raise _Wrong(end, message)

    def _verb(self, family: Family, after: int, at: int) -> None:
        what = "tape names" if family.takes == "tapes" else "the number of a request"
        example = "A00017 A00018" if family.takes == "tapes" else "42"
        usage = f"write {family.name} - {example}"
        word = self._word(at)
        if word != "-":
            self._no_dash(family, at, word, what, usage)
        if at == after:
            raise _Wrong(at, f"found - right after {family.name}, expected a blank before it")
        at = self._space(at + 1)
        if at >= len(self.text):
            raise _Wrong(at, f"found the end, expected {what} after -", usage)
        if self.text[at] in QUOTES:
            raise _Wrong(at, f"found {self.text[at]}, expected {what}", "no quotes here")
        if self._is_equals(at + len(self._word(at))):
            raise _Wrong(at, f"found {self._found(at)}, expected {what} after -", usage)
        at = self._tapes(at) if family.takes == "tapes" else self._request(at, family)
        self._pairs(family, at, len(self.text))
        self._complete(family, len(self.text))

    def _no_dash(self, family: Family, at: int, word: str, what: str, usage: str) -> None:
        found = self._found(at)
        if word[:1] in DASHES and word:
            raise _Wrong(at, f"found {found}, expected a plain -", usage)
        if word.startswith("-"):
            raise _Wrong(at + 1, f"found {show(word[1:])}, expected a blank after -", usage)
        if self.text[at : at + 1] in QUOTES and at < len(self.text):
            raise _Wrong(at, f"found {found}, expected - and {what} without quotes", usage)
        raise _Wrong(at, f"found {found}, expected - and {what} after {family.name}", usage)

    def _tapes(self, at: int) -> int:
        """Read tape names, and return where the last one ends."""
        last = at
        while (start := self._space(at)) < len(self.text):
            if self.text[start] in QUOTES:
                raise _Wrong(start, f"found {self.text[start]}, expected a tape", "no quotes here")
            word = self._word(start)
            if not word or self._is_equals(start + len(word)):
                break
            self._part(start, word, "tape")
            at = last = start + len(word)
        return last

    def _request(self, at: int, family: Family) -> int:
        word = self._word(at)
        if not REQUEST.fullmatch(word):
            message = f"found {show(word)}, expected the number of a request"
            raise _Wrong(at, message, f"write {family.name} - 42, the req= of the notice")
        after = at + len(word)
        following = self._space(after)
        if following < len(self.text) and REQUEST.fullmatch(self._word(following)):
            message = f"found {self._found(following)}, expected one request only"
            raise _Wrong(following, message, "use one command for each")
        return after


def _bytes_sent(text: str) -> int:
    """Return how many bytes `text` had on its way, a code page 1252 quote being one."""
    return sum(1 if c < "\u00a0" else len(c.encode("utf-8", "surrogatepass")) for c in text)
