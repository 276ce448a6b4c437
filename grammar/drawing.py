"""The same language said the readable way, word by word: for the railroad diagrams and for tests.

It is slower than vtspolicy.grammar.syntax and knows nothing of double keywords; a test holds the
two together.
"""

from pyparsing import (
    And,
    Combine,
    Keyword,
    Literal,
    MatchFirst,
    Opt,
    ParserElement,
    ParseResults,
    Regex,
    StringEnd,
    Word,
    alphanums,
    nums,
)

from vtspolicy.grammar import vocabulary as words
from vtspolicy.grammar.values import LONGEST_PART, REFERENCE, TYPES, ValueType

PART = Word(alphanums + "_.@#$+", alphanums + "_.@#$+-", max=LONGEST_PART)


def draw(vocabulary: words.Vocabulary) -> ParserElement:
    """Return a grammar whose diagrams show every family with its keywords, by their names."""
    return _Drawing(vocabulary).command()


class _Drawing:
    """The elements of one drawing; what every family shares is drawn once."""

    def __init__(self, vocabulary: words.Vocabulary) -> None:
        self.families = tuple(vocabulary.families.values())
        applications = [set(family.keywords.values()) for family in vocabulary.applications]
        self.core = set.intersection(*applications) if applications else set()
        first = vocabulary.applications[0].keywords.values() if applications else ()
        shared = [_pair(keyword) for keyword in first if keyword in self.core]
        self.shared = MatchFirst([*shared, _reference()]).set_name("core keyword")
        self.path = _path()
        self.tape = (PART + ~Literal("=")).set_name("tape")
        number = Word(nums, max=18).set_name("request")
        self.request = MatchFirst([_reference(), number])

    def command(self) -> ParserElement:
        forms = MatchFirst([self._form(family) for family in self.families])
        command: ParserElement = And([Keyword("VTSPolicy"), forms, StringEnd()])
        return command.set_name("command")

    def _form(self, family: words.Family) -> ParserElement:
        name, pairs = Keyword(family.name), self._pairs(family)[...]
        if family.takes == "tapes":
            form = name + Keyword("-") + self.tape[1, ...] + pairs
        elif family.takes == "request":
            form = name + Keyword("-") + self.request + pairs
        else:
            body = self.path + pairs
            if family.operations:
                body = Opt(MatchFirst([Keyword(word) for word in family.operations])) + body
            body.set_name(f"{family.name} words")
            form = name + ("'" + body + "'" | '"' + body + '"')
        named: ParserElement = form.set_name(f"{family.name} command")
        return named

    def _pairs(self, family: words.Family) -> ParserElement:
        if family.verb:
            pairs = [_pair(keyword) for keyword in family.keywords.values()]
            return MatchFirst([*pairs, _reference()])
        own = [_pair(k) for k in family.keywords.values() if k not in self.core]
        return MatchFirst([self.shared, *own]).set_name(f"{family.name} keyword")


def _path() -> ParserElement:
    vault = Regex(r"VAULT[A-Za-z0-9_-]{1,11}").set_name("VAULTxx")
    pool, cartridge = PART.copy().set_name("pool"), PART.copy().set_name("cartridge")
    return Combine("/" + vault + "/" + pool + Opt("/" + cartridge)).set_name("path")


def _pair(keyword: words.Keyword) -> ParserElement:
    letters = alphanums + "_-"
    names = [Keyword(name, letters) for name in (keyword.long, keyword.short) if name]
    return MatchFirst(names) + "=" + _value(TYPES[keyword.type])


def _reference() -> ParserElement:
    return Keyword("ref", alphanums + "_-") + "=" + _value(REFERENCE)


def _value(kind: ValueType) -> ParserElement:
    def right(tokens: ParseResults) -> bool:
        return kind.pattern.fullmatch(tokens[0]) is not None

    return Regex(r"[!#-&(-<>-~]+").add_condition(right).set_name(kind.name)
