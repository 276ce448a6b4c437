"""The grammar of the language in pyparsing: what a text must look like, built once per vocabulary.

Every terminal is one regular expression whose neighbours can never match the same character, and
whose loops give nothing back, so that matching takes time in proportion to the text. Words are
checked against the vocabulary after the match; why a text does not match is found by
vtspolicy.grammar.diagnosis.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from pyparsing import ParserElement, Regex

from vtspolicy.grammar.values import (
    LONGEST_PART,
    PART_CHARACTER,
    REFERENCE,
    REQUEST,
    VAULT_PART,
)
from vtspolicy.grammar.vocabulary import Vocabulary

BLANK = r"[ \t\r\n]"
START = rf"{BLANK}*+VTSPolicy{BLANK}++"
EQUALS = rf"{BLANK}*+={BLANK}*+"
FINISH = rf"{BLANK}*+\Z"
END_OF_WORD = rf"(?={BLANK}|['\"]|\Z)"
PART = rf"(?!-|\.{{1,2}}(?:/|{END_OF_WORD})){PART_CHARACTER}{{1,{LONGEST_PART}}}+"
"""The name of a pool or tape; a `/` or the end of the word must follow."""
NAME = r"[A-Za-z][A-Za-z0-9_-]*+"
VALUE = r"[!#-&(-<>-~]++"
PAIR_WORDS = rf"{BLANK}++({NAME}){EQUALS}({VALUE}){END_OF_WORD}"
END = rf"{BLANK}*+['\"]{FINISH}"


def _terminal(pattern: str, name: str) -> ParserElement:
    """One regular expression whose groups become one tuple of the result."""
    return Regex(pattern, as_group_list=True).leave_whitespace().set_name(name)


def _one_of(words: Iterable[str]) -> str:
    """Return the alternatives, longest first, so that none hides another; at least one."""
    return "|".join(sorted(words, key=lambda word: (-len(word), word))) or "(?!)"


def _names(vocabulary: Vocabulary, takes: str) -> str:
    return _one_of(f.name for f in vocabulary.families.values() if f.takes == takes)


def _head(vocabulary: Vocabulary) -> str:
    """Return the pattern of what is before the path: its groups are the family and the quote.

    One pair of quotes and none between them: once this has matched, END finds the right one.
    """
    quoted = rf"(['\"])(?=[^'\"]*+\2{FINISH})"
    return rf"{START}({_names(vocabulary, 'path')}){BLANK}++{quoted}{BLANK}*+"


def _target(vocabulary: Vocabulary) -> str:
    """Return the pattern of operation and path: one group for each of its four parts."""
    operations = {word for family in vocabulary.applications for word in family.operations}
    return (
        rf"(?:({_one_of(operations)}){BLANK}++)?"
        rf"/({VAULT_PART.pattern}+)/({PART})(?:/({PART}))?{END_OF_WORD}"
    )


PAIR = _terminal(PAIR_WORDS, "keyword=value")
TAPE = _terminal(rf"{BLANK}++({PART}){END_OF_WORD}(?!{BLANK}*+=)", "tape")


@lru_cache(maxsize=16)
def grammar_of(vocabulary: Vocabulary) -> ParserElement:
    """Return the grammar for the families of `vocabulary`.

    Its result is a list of tuples. The first one begins with the family; then, for a family with
    a path, comes (operation, vault, pool, cartridge), for a verb the tapes as (tape,) each, or
    the number and the reference of a request in the first tuple, one of them None; every pair
    of a keyword and its value follows as (name, value).
    """
    head = _terminal(_head(vocabulary), "VTSPolicy FAMILY '")
    target = _terminal(_target(vocabulary), "[operation] /VAULTxx/pool[/cartridge]")
    end = Regex(END).leave_whitespace().suppress().set_name("'")
    application = head + target + PAIR[...] + end

    tapes_verb = _terminal(rf"{START}({_names(vocabulary, 'tapes')}){BLANK}++-", "VTSPolicy VERB -")
    request_verb = _terminal(
        rf"{START}({_names(vocabulary, 'request')}){BLANK}++-{BLANK}++"
        rf"(?:({REQUEST.pattern})|ref{EQUALS}({REFERENCE.pattern.pattern})){END_OF_WORD}",
        "VTSPolicy VERB - request",
    )
    finish = Regex(FINISH).leave_whitespace().suppress().set_name("end of text")
    verb = (tapes_verb + TAPE[1, ...] | request_verb) + PAIR[...] + finish

    # Tabs stay what they are: columns are counted in the text as it was sent.
    grammar: ParserElement = (application | verb).leave_whitespace()
    return grammar.parse_with_tabs()


_PAIRS = re.compile(PAIR_WORDS)


@lru_cache(maxsize=16)
def _application_of(vocabulary: Vocabulary) -> re.Pattern[str]:
    """Return one regular expression for `VTSPolicy FAMILY '...'`: the grammar's terminals in a row.

    As in the grammar, what a terminal has matched is never matched in another way: the groups
    are atomic.
    """
    pairs = rf"((?>(?:{BLANK}++{NAME}{EQUALS}{VALUE}{END_OF_WORD})*))"
    return re.compile(rf"(?>{_head(vocabulary)})(?>{_target(vocabulary)}){pairs}{END}")


def application_tokens(text: str, vocabulary: Vocabulary) -> list[tuple[str | None, ...]] | None:
    """Return what the grammar makes of a command for an application, in a fraction of its time.

    Nearly all commands are such. None for any other text, right or wrong: ask the grammar.
    """
    match = _application_of(vocabulary).match(text)
    if match is None:
        return None
    family, quote, operation, vault, pool, cartridge, _ = match.groups()
    pairs = _PAIRS.findall(text, *match.span(7))
    return [(family, quote), (operation, vault, pool, cartridge), *pairs]
