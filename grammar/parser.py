"""A text of the language turned into a Command, or into the error that explains it."""

from collections.abc import Sequence
from typing import Any

from attrs import evolve
from pyparsing import ParseException

from vtspolicy.grammar.command import Command, Target
from vtspolicy.grammar.diagnosis import bytes_sent, explain
from vtspolicy.grammar.loading import shipped
from vtspolicy.grammar.syntax import application_tokens, grammar_of
from vtspolicy.grammar.values import (
    BY_REFERENCE,
    CUT_AT,
    LONGEST_TEXT,
    REFERENCE,
    TYPES,
    plain_quotes,
)
from vtspolicy.grammar.vocabulary import Family, Vocabulary

QUOTES_WARNING = "typographic quotes were taken as plain ones"
CUT_WARNING = "exactly 102 bytes long, where a plain write to the collector cuts: is it whole?"


def parse(
    text: str, vocabulary: Vocabulary | None = None, *, may_be_cut: bool | None = None
) -> Command:
    """Return the Command that `text`, the whole text of an event, stands for.

    Args:
        text: begins with `VTSPolicy`; a wrapped text is joined already.
        vocabulary: the families that may be used; the shipped ones if not given.
        may_be_cut: whether the text was sent with as many bytes as a plain write to the collector
            leaves; if not given, the text itself is counted.

    Raises:
        CommandError: the text is not a command of the language; its column counts in `text`.

    """
    vocabulary = vocabulary or shipped()
    plain = plain_quotes(text)
    if may_be_cut is None:
        may_be_cut = bytes_sent(text) == CUT_AT
    command = _match(plain, vocabulary, may_be_cut=may_be_cut)
    if command is None:
        raise explain(text, vocabulary, may_be_cut=may_be_cut)
    if plain is not text and plain != text:
        command = evolve(command, warnings=(*command.warnings, QUOTES_WARNING))
    return command


def _match(text: str, vocabulary: Vocabulary, *, may_be_cut: bool) -> Command | None:
    """Return the Command, or None for a text that is not right: why, is asked elsewhere."""
    if len(text) > LONGEST_TEXT:
        return None
    tokens = _tokens(text, vocabulary)
    if tokens is None:
        return None
    head, *rest = tokens
    family = vocabulary.families[head[0]]
    warnings: tuple[str, ...] = ()
    if family.takes == "path":
        operation, vault, pool, cartridge = rest[0]
        if operation is not None and operation not in family.operations:
            return None
        targets: tuple[Target, ...] = (Target(vault=vault, pool=pool, cartridge=cartridge),)
        pairs = rest[1:]
    else:
        operation = family.operations[0]
        named = [token[0] for token in rest if len(token) == 1]
        tapes = dict.fromkeys(named)
        if len(tapes) < len(named):
            warnings = (f"{_repeated(named)} is named more than once",)
        targets = tuple(Target(cartridge=tape) for tape in tapes)
        pairs = rest[len(named) :]
        if may_be_cut:
            warnings = (*warnings, CUT_WARNING)
    keywords: dict[str, str] = {}
    is_named = False  # the request, by a reference
    if family.takes == "request":
        _, number, named = head
        is_named = number is None
        keywords["request"] = BY_REFERENCE + named if is_named else number
    if not _take(pairs, family, keywords):
        return None
    ref = keywords.pop("ref", None)
    if is_named and ref is not None:
        return None
    return Command(
        family=family.name,
        operation=operation,
        targets=targets,
        keywords=keywords,
        ref=ref,
        warnings=warnings,
    )


def _tokens(text: str, vocabulary: Vocabulary) -> list[Any] | None:  # tuples, some with None
    """Return what the grammar makes of a text; None for one that does not match."""
    tokens = application_tokens(text, vocabulary)
    if tokens is not None:
        return tokens
    try:
        return grammar_of(vocabulary).parse_string(text).as_list()
    except ParseException:
        return None


def _take(pairs: Sequence[tuple[str, str]], family: Family, keywords: dict[str, str]) -> bool:
    """Put the pairs under their long names into `keywords`; False when one of them is wrong."""
    words = family.words
    for name, value in pairs:
        keyword = words.get(name)
        if keyword is not None:
            name, kind = keyword.long, TYPES[keyword.type]  # noqa: PLW2901 # from here on the long name
        elif name == "ref":
            kind = REFERENCE
        else:
            return False
        if name in keywords or not kind.pattern.fullmatch(value):
            return False
        keywords[name] = value
    return all(name in keywords for name in family.always_required)


def _repeated(names: Sequence[str]) -> str:
    """Return the first name that comes a second time."""
    seen: set[str] = set()
    return next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value] # add gives None


def missing_in_cluster(command: Command, vocabulary: Vocabulary | None = None) -> list[str]:
    """Return the long names of keywords that the command needs where servers share the work."""
    family = (vocabulary or shipped()).families[command.family]
    return [
        keyword.long
        for keyword in family.keywords.values()
        if keyword.required == "cluster" and keyword.long not in command.keywords
    ]
