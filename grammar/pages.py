"""Writes grammar/README.md and grammar/railroad.html from the grammar and the vocabulary.

    python -m vtspolicy.grammar.pages

The diagrams need `pip install pyparsing[diagrams]`.
"""

import html
import re
from collections.abc import Iterable, Iterator
from io import StringIO
from pathlib import Path

from vtspolicy.grammar.caret import diagnose
from vtspolicy.grammar.command import CommandError
from vtspolicy.grammar.drawing import draw
from vtspolicy.grammar.loading import LONGEST_LINE, shipped
from vtspolicy.grammar.parser import parse
from vtspolicy.grammar.reference import REF, REQUIRED, example, expected, form
from vtspolicy.grammar.values import CUT_AT, LONGEST_PART, LONGEST_TEXT, TYPES
from vtspolicy.grammar.vocabulary import Keyword, Vocabulary

FOLDER = Path(__file__).resolve().parent

MISTAKES = (
    "VTSPolicy tsm 'archive /VAULT01/PAYROLL'",
    "VTSPolicy TSM 'archve /VAULT01/PAYROLL'",
    "VTSPolicy TSM 'archive VAULT01/PAYROLL'",
    "VTSPolicy TSM 'archive /VAULT01/PAYROLL sorce=vts1'",
    "VTSPolicy TSM 'archive /VAULT01/PAYROLL r=14d'",
    "VTSPolicy TSM 'archive /VAULT01/PAYROLL s=vts1",
    "VTSPolicy Erase A00017",
    (
        "VTSPolicy TSM 'archive /VAULT01/PAYROLL/A00017 s=vts1.example.com "
        "o=/opt/tivoli/tsm/payroll.opt r=14,d"
    )[:CUT_AT],
)

INTRODUCTION = """\
# The VTSPolicy language

The commands that a host writes into an EMS event, and that `vtspolicy` carries out. This page and
[railroad.html](railroad.html) are made from the grammar and from [families.yaml](families.yaml):

    python -m vtspolicy.grammar.pages

Try a command with `vtspolicy parse TEXT`; look up a family with `vtspolicy grammar FAMILY`.
"""

WORDS = """\
## Words

- Everything is case-sensitive.
- The words of an application family are in one pair of quotes, single or double. The words of
  a verb are not quoted.
- Words are separated by one or more blanks. A `=` may have blanks on either side.
- An operation comes first, then the path, then the keywords in any order.
- A path is a vault, a pool and, for one tape, a cartridge. Without the cartridge the command is
  about the whole pool. `.`, `..` and empty parts are refused.
- The `-` of a verb is where a path would be: the name of a tape is unique over all vaults.
- A keyword is given by its long or its short name, and only once.
- A value holds no blank, no quote and no `=`. A comma is part of the value: `r=14,d`.
- `ref=` is taken by every family and verb: a reference of the host's own choice, which every
  notice about the command repeats, so that a batch job can wait for its own command.
- `Status` and `Cancel` take the number of a request, or `ref=` and its reference: the newest of the
  host's own requests that was given this name. Such a command has no `ref=` of its own, and its
  answers repeat none. A `Cancel` of a request that has ended otherwise is a `WARNING`: nothing was
  cancelled.
- Typographic quotes are taken as plain ones, with a warning. Nothing else is guessed.
"""

TRAPS = f"""\
## Traps

- **{CUT_AT} bytes.** What is written plainly to the collector, as FUP does, is cut at {CUT_AT}
  bytes. A quoted command then ends with its quote open, and the error says so. A verb has no
  quote that could show the cut: a verb of exactly {CUT_AT} bytes is taken with a warning. Send
  commands with the host macro, or use the short names.
- **Wrapped displays.** A displayed event is wrapped at blanks. The lines are joined with one blank
  before the text is read, and columns count in the joined text.
- **Blanks that are none.** A no-break space or a dash pasted from a document looks right and is
  not; the error shows it by its code.
- **Two kinds of pool.** `pool` in LEG and BAC is the application's media pool, not the pool
  of the path.
"""

SITE = f"""\
## Families of your own

A site adds families and keywords in a file of the form of families.yaml, named in the
configuration. A new name under `families` is a new family and needs a `title`; a family that
is there already can be given more `keywords`; `core` adds keywords to every application family.
A name that is taken already is an error.

```yaml
families:
  XYZ:
    title: our own archive
    operations: [archive]
    keywords:
      tier: {{short: t, type: name, required: always, help: which tier of storage takes the copy}}
  TSM:
    keywords:
      costcentre: {{type: number, help: who pays}}
```

A keyword has `type` and `help`, and if wanted `short`, `required` (`never`, `always` or
`cluster`) and `source`. Titles and helps are one line of at most {LONGEST_LINE} characters.
"""


def readme(vocabulary: Vocabulary) -> str:
    """Return the reference as Markdown."""
    return "\n".join(_readme(vocabulary)).rstrip() + "\n"


def _readme(vocabulary: Vocabulary) -> Iterator[str]:
    yield INTRODUCTION
    yield "## Forms\n"
    yield "| form | for |"
    yield "|---|---|"
    by_form: dict[str, list[str]] = {}
    for family in vocabulary.families.values():
        pattern = form(family).replace(family.name, "VERB" if family.verb else "FAMILY", 1)
        by_form.setdefault(pattern, []).append(family.name)
    yield from _rows((f"`{pattern}`", ", ".join(names)) for pattern, names in by_form.items())
    yield "\nDouble quotes do as well as single ones.\n"
    yield WORDS
    yield "## Families and verbs\n"
    yield "| word | what it is | status | source |\n|---|---|---|---|"
    yield from _rows(
        (f"`{f.name}`", f.title, f.status, f.source) for f in vocabulary.families.values()
    )
    yield "\n`documented` means by the maker's manuals; `ours` is decided by this project.\n"
    yield "## Keywords\n"
    core = [
        word for word in vocabulary.applications[0].keywords.values() if _core(word, vocabulary)
    ]
    yield "### Every application family\n"
    yield from _keywords([*core, REF])
    for family in vocabulary.applications:
        yield f"### {family.name}\n"
        own = [word for word in family.keywords.values() if word not in core]
        yield from _keywords(own)
    for family in vocabulary.verbs:
        yield f"### {family.name}\n"
        yield from _keywords([*family.keywords.values(), REF])
    yield "## Values\n"
    yield "| type | what it takes | such as |\n|---|---|---|"
    yield from _rows((f"`{t.name}`", t.expected, f"`{t.sample}`") for t in TYPES.values())
    yield "\n## Examples\n\n```text"
    yield from (example(family) for family in vocabulary.families.values())
    yield "```\n\n## Mistakes\n"
    yield "Every mistake is answered with its column, what was expected there, and a remedy.\n"
    yield "```text"
    yield "\n\n".join(mistake(text, vocabulary) for text in MISTAKES)
    yield f"```\n\n{TRAPS}\n{_limits()}\n{SITE}"


def _core(word: Keyword, vocabulary: Vocabulary) -> bool:
    return all(word in family.keywords.values() for family in vocabulary.applications)


def _limits() -> str:
    rows = (
        ("a text", f"{LONGEST_TEXT} characters"),
        ("the name of a pool, cartridge or tape", f"{LONGEST_PART} characters"),
        ("the name of a vault", "`VAULT` and 1 to 11 letters, digits, `_` or `-`"),
        ("a host name", "253 characters"),
        ("a path as a value", "255 characters"),
        ("`ref`", "32 characters"),
        ("tapes in one command", "as many as fit"),
    )
    return "## Limits\n\n| what | at most |\n|---|---|\n" + "\n".join(_rows(rows)) + "\n"


def _keywords(words: Iterable[Keyword]) -> Iterator[str]:
    yield "| long | short | type | required | meaning | source |\n|---|---|---|---|---|---|"
    yield from _rows(
        (
            f"`{word.long}`",
            f"`{word.short}`" if word.short else "",
            f"`{word.type}`" if word is not REF else expected(word),
            REQUIRED[word.required],
            word.help,
            word.source,
        )
        for word in words
    )
    yield ""


def _rows(rows: Iterable[Iterable[str]]) -> Iterator[str]:
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def mistake(text: str, vocabulary: Vocabulary) -> str:
    """Return the text with its error; raises AssertionError for a text that is right."""
    try:
        parse(text, vocabulary)
    except CommandError as error:
        return diagnose(text, error)
    raise AssertionError(f"not a mistake: {text}")


def railroad(vocabulary: Vocabulary) -> str:
    """Return the diagrams as one page, the same for the same vocabulary."""
    # Only who writes the pages needs it; it has no types.
    from railroad import DEFAULT_STYLE  # type: ignore[import-untyped] # noqa: PLC0415

    drawn = StringIO()
    draw(vocabulary).create_diagram(drawn, vertical=4, embed=True)
    body = re.sub(r"<style>.*?</style>\s*|<meta[^>]*>\s*", "", drawn.getvalue(), flags=re.DOTALL)
    numbers: dict[str, str] = {}

    def renumber(match: re.Match[str]) -> str:
        # pyparsing counts the drawings of a process: start from 1 in every page.
        return f"{match[1]}{numbers.setdefault(match[2], f'{len(numbers) + 1:04d}')}"

    body = re.sub(r"((?:id=\"|href=\"#)[a-z0-9-]+?-)([0-9]{4})(?=\")", renumber, body)
    lines = "\n".join(line.rstrip() for line in body.splitlines() if line.strip())
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<title>The VTSPolicy language</title>\n"
        f"<style>\nh1 {{font: bold 1.1em monospace}}\n{DEFAULT_STYLE.strip()}\n</style>\n"
        "</head>\n<body>\n<p>Made by <code>python -m vtspolicy.grammar.pages</code>.</p>\n"
        f"{lines}\n</body>\n</html>\n"
    )


def labels(page: str) -> list[str]:
    """Return the words of the diagrams in their order, in any layout."""
    found = (html.unescape(label) for label in re.findall(r"<text[^>]*>([^<]*)</text>", page))
    return list(dict.fromkeys(found))


def main() -> None:
    """Write both pages beside this module."""
    vocabulary = shipped()
    (FOLDER / "README.md").write_text(readme(vocabulary), encoding="utf-8")
    (FOLDER / "railroad.html").write_text(railroad(vocabulary), encoding="utf-8")


if __name__ == "__main__":
    main()
