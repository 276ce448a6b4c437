"""The vocabulary as a reference for people: one description for the terminal, JSON and pages."""

from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from vtspolicy.grammar.values import REFERENCE, TYPES
from vtspolicy.grammar.vocabulary import Family, Keyword, Vocabulary

REF = Keyword(
    long="ref",
    type="ref",
    help="a reference that the host chooses, and every notice about the command repeats",
)
"""How `ref=`, which every family takes and no file declares, is described."""

TERMINAL = 96
"""Columns of what is written for a terminal."""

REQUIRED = {"never": "no", "always": "yes", "cluster": "in a cluster"}


def form(family: Family) -> str:
    """Return the form of the family's commands on one line."""
    if family.takes == "tapes":
        return f"VTSPolicy {family.name} - tape [tape ...] [keyword=value ...]"
    if family.takes == "request":
        return f"VTSPolicy {family.name} - request|ref=REF [keyword=value ...]"
    operations = f"[{'|'.join(family.operations)}] " if family.operations else ""
    return f"VTSPolicy {family.name} '{operations}/VAULTxx/pool[/cartridge] [keyword=value ...]'"


def example(family: Family) -> str:
    """Return a command of the family that is right."""
    needed = [word for word in family.keywords.values() if word.required != "never"]
    own = [word for word in family.keywords.values() if word.long not in {"source", "destination"}]
    shown = dict.fromkeys([*needed, *own[-1:]]) if not family.verb else {}
    pairs = [f"{word.short or word.long}={sample(word)}" for word in shown] + ["ref=NB0042"]
    if family.takes == "tapes":
        return f"VTSPolicy {family.name} - A00017 A00018 {pairs[-1]}"
    if family.takes == "request":
        return f"VTSPolicy {family.name} - 42"
    words = [*family.operations[:1], "/VAULT01/PAYROLL/A00017", *pairs]
    return f"VTSPolicy {family.name} '{' '.join(words)}'"


def sample(keyword: Keyword) -> str:
    """Return a value that the keyword takes."""
    return (REFERENCE if keyword is REF else TYPES[keyword.type]).sample


def expected(keyword: Keyword) -> str:
    """Return what kind of value the keyword takes, in words."""
    return (REFERENCE if keyword is REF else TYPES[keyword.type]).expected


def keywords(family: Family) -> tuple[Keyword, ...]:
    """Return all that the family takes, `ref` last."""
    return (*family.keywords.values(), REF)


def describe_family(family: Family) -> dict[str, Any]:  # what json.dumps takes
    """Return the family as `vtspolicy grammar FAMILY --json` prints it."""
    return {
        "family": family.name,
        "title": family.title,
        "status": family.status,
        "source": family.source,
        "takes": family.takes,
        "operations": list(family.operations),
        "form": form(family),
        "example": example(family),
        "keywords": [
            {
                "long": word.long,
                "short": word.short,
                "type": word.type,
                "expected": expected(word),
                "required": word.required,
                "help": word.help,
                "source": word.source,
            }
            for word in keywords(family)
        ],
    }


def describe(vocabulary: Vocabulary) -> dict[str, Any]:  # what json.dumps takes
    """Return the whole vocabulary as `vtspolicy grammar --json` prints it."""
    return {"families": [describe_family(family) for family in vocabulary.families.values()]}


def overview(vocabulary: Vocabulary) -> str:
    """Return the forms and all families, for a terminal."""
    lines = ["Forms", ""]
    lines += [
        "  VTSPolicy FAMILY '[operation] /VAULTxx/pool[/cartridge] [keyword=value ...]'",
        "  VTSPolicy VERB - tape [tape ...] [keyword=value ...]",
        "  VTSPolicy VERB - request|ref=REF [keyword=value ...]",
    ]
    for title, families in (("Families", vocabulary.applications), ("Verbs", vocabulary.verbs)):
        width = max((len(family.name) for family in families), default=0)
        lines += ["", title, ""]
        lines += [f"  {family.name:{width}}  {family.title}" for family in families]
    lines += ["", "vtspolicy grammar FAMILY shows the keywords of one of them."]
    return "\n".join(lines)


def one_family(family: Family, *, width: int = TERMINAL) -> str:
    """Return all about one family, for a terminal of `width` columns."""
    return "\n".join(_family_lines(family, min(width, TERMINAL)))


def _family_lines(family: Family, width: int) -> Iterator[str]:
    yield f"{family.name}: {family.title}"
    yield f"{family.status} ({family.source})" if family.source != family.status else family.status
    yield f"\n  {form(family)}\n\nKeywords\n"
    rows = [
        (f"{word.long} ({word.short})" if word.short else word.long, word)
        for word in keywords(family)
    ]
    first = max(len(name) for name, _ in rows)
    second = max(len(word.type) for _, word in rows)
    for name, word in rows:
        needed = "" if word.required == "never" else f" (required: {REQUIRED[word.required]})"
        yield from wrap(
            f"{word.help}{needed}",
            width=max(width, first + second + 30),
            initial_indent=f"  {name:{first}}  {word.type:{second}}  ",
            subsequent_indent=" " * (first + second + 6),
        )
    yield "\nValues\n"
    for kind, words in {word.type: expected(word) for _, word in rows}.items():
        yield f"  {kind:{second}}  {words}"
    yield f"\nExample\n\n  {example(family)}"
