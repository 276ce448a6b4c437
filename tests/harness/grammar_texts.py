"""Hypothesis strategies for commands and texts of the language, shared by its tests."""

import string

from hypothesis import strategies as st

from vtspolicy.grammar import Command, CommandError, Family, Keyword, Target, parse, shipped

LETTERS = string.ascii_letters + string.digits
PART = LETTERS + "_.@#$+-"


def _name(longest):
    wrong = {".", ".."}
    names = st.text(PART, min_size=1, max_size=longest)
    return names.filter(lambda name: name not in wrong and not name.startswith("-"))


LABEL = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,8}[A-Za-z0-9])?", fullmatch=True)
HOST = st.lists(LABEL, min_size=1, max_size=4).map(".".join)
PATH = st.lists(_name(12), min_size=1, max_size=5).map(lambda parts: "/" + "/".join(parts))
NUMBER = st.integers(0, 999_999_999).map(str)
SPELLED = {"yes", "no"}

VALUES = {
    "host": HOST,
    "path": PATH,
    "file": PATH | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.@#$+-]{0,20}", fullmatch=True),
    "retention": st.builds("{},{}".format, st.integers(1, 99999), st.sampled_from("hdwmy")),
    "number": NUMBER,
    "yes-no": st.sampled_from("yn"),
    "yes-or-host": HOST.filter(lambda host: host.lower() not in SPELLED and host not in {"Y", "N"}),
    "name": st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.@#$+-]{0,20}", fullmatch=True),
    "text": st.from_regex(r"[!#-&(-,.-<>-~][!#-&(-<>-~]{0,20}", fullmatch=True),
}
REF = st.text(LETTERS + "_.-", min_size=1, max_size=32)


@st.composite
def commands(draw):
    family: Family = draw(st.sampled_from(list(shipped().families.values())))
    chosen: list[Keyword] = draw(
        st.lists(st.sampled_from(list(family.keywords.values())), unique=True)
    )
    keywords = {keyword.long: draw(VALUES[keyword.type]) for keyword in chosen}
    operation = family.operations[0]
    targets: tuple[Target, ...] = ()
    if family.takes == "path":
        operation = draw(st.none() | st.sampled_from(family.operations))
        vault = "VAULT" + draw(st.text(LETTERS + "_-", min_size=1, max_size=11))
        cartridge = draw(st.none() | _name(6))
        targets = (Target(vault=vault, pool=draw(_name(64)), cartridge=cartridge),)
    elif family.takes == "tapes":
        tapes = draw(st.lists(_name(6), min_size=1, max_size=8, unique=True))
        targets = tuple(Target(cartridge=tape) for tape in tapes)
    else:
        keywords["request"] = draw(NUMBER | REF.map("ref={}".format))
    is_named = keywords.get("request", "").startswith("ref=")
    return Command(
        family=family.name,
        operation=operation,
        targets=targets,
        keywords=keywords,
        ref=None if is_named else draw(st.none() | REF),
    )


PIECES = st.sampled_from(
    ["", "'", '"', "=", "-", " ", "  ", "\t", "\n", "/", "..", ".", ",", "s=", "ref=", "archive "]
) | st.sampled_from(
    ["TSM", "/VAULT01/P", "VTSPolicy", "\u2018", "\u201d", "\x93", "\0", "\xa0", "\u2013", "\xe9"]
)
"""What people put into a command by mistake."""


@st.composite
def edits(draw, text):
    """Put one piece in the place of a few characters of the text."""
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 6)))
    return text[:start] + draw(PIECES | st.text(max_size=3)) + text[end:]


def outcome(text):
    """Return the Command or the CommandError that the text leads to."""
    try:
        return parse(text)
    except CommandError as error:
        return error
