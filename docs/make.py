"""Writes the pages of docs that are made: the reference from the program's tables, the index.

    make docs

A test fails when a page and its table differ.
"""  # noqa: INP001 - a program beside its pages, not a package

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import click
from prometheus_client.metrics import MetricWrapperBase

from vtspolicy import jobs, notices, sessions
from vtspolicy.cli import COMMANDS, cli
from vtspolicy.config.keys import DEFAULT_FILE, PREFIX, SECTIONS
from vtspolicy.config.keys import KEYS as CONFIGURATION_KEYS
from vtspolicy.config.reading import REQUIRED, Key
from vtspolicy.control import VERBS, Control
from vtspolicy.exit_codes import Exit
from vtspolicy.hosts import session_life
from vtspolicy.links import life as links
from vtspolicy.log_actions import ACTIONS, MORE
from vtspolicy.metrics import Metrics
from vtspolicy.rules import case_file, cleanup, conditions, facts, forms, keys, places, query_keys
from vtspolicy.runner import run_life
from vtspolicy.tapes import Reason
from vtspolicy.tapes.fingerprint import MISSING
from vtspolicy.web.pages import PAGES

FOLDER = Path(__file__).resolve().parent

MADE = "*Made from the program's own tables by `make docs`.*"


def page(title: str, *parts: str) -> str:
    """Return a page: its title, its parts with a blank line between them, where it comes from."""
    return "\n\n".join((f"# {title}", *(part.strip() for part in parts), MADE)) + "\n"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    titles = list(head)
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", r"\|").strip()


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _said(thing: Any) -> str:  # anything with a docstring
    """Return what something says of itself, as one paragraph."""
    return re.sub(r"\s+", " ", inspect.getdoc(thing) or "")


# Notices


def notices_page() -> str:
    """Return every notice and every key of one."""
    words = (
        (
            str(word.number),
            _code(word.name),
            _flags(word),
            notices.WHEN[word],
        )
        for word in notices.Word
    )
    named = ((_code(key), notices.KEY_HELP[key]) for key in notices.NODE_KEYS)
    return page(
        "What the host is told: notices",
        """
A notice is one display line, or on a JSON connection one object with the same fields:

```text
26-11-22 02:14:31 \\VTS1.$VTSP VTS.POLICY.A01 1301 VTSPolicy COMPLETED req=17 ref=payroll-17 ...
```

To wait for a command of your own, give it a `ref=` and look for a notice with that `ref=` and a
number from 1300 to 1399, or one from 1101 to 1103. `DUPLICATE` names in `req=` the request that
the final notice will have.
""",
        table(("number", "word", "", "when"), words),
        f"""
*Final*: exactly one for each request that was accepted. *All*: sent only to hosts with
`notices: all`. *Action*: somebody has to look; JSON has `action_needed` for it.

The text has at most {notices.TEXT_LIMIT} characters: a long reason is cut and ends in `...`.
Values with blanks are in double quotes. A notice is delivered at least once: it can come again
when a connection broke before it was known to have arrived, so recognise it by word and `req=`.
""",
        "## Keys\n\nIn this order; those that say nothing are left out.",
        table(("key", "what it says"), named),
    )


def _flags(word: notices.Word) -> str:
    flags = (
        (word.is_final, "final"),
        (word.is_progress, "all"),
        (word.needs_action, "action"),
    )
    return ", ".join(text for holds, text in flags if holds)


# Metrics


def metrics_page() -> str:
    """Return every metric."""
    return page(
        "What dashboards watch: metrics",
        """
They are at `/metrics` of the `web` endpoint, in the text format of Prometheus. Values of labels
come from the configuration, never from what a host sends: what it does not name, as an operator's
request, is `other`. Beside these there are the usual `process_*` of Prometheus' clients. How to use
them:
[read the metrics](../how-to/metrics.md).
""",
        table(("name", "type", "labels", "what it counts"), _metric_rows()),
    )


def _metric_rows() -> Iterator[tuple[str, ...]]:
    for each in vars(Metrics()).values():
        if isinstance(each, MetricWrapperBase):
            described = next(iter(each.describe()))
            ending = "_total" if described.type == "counter" else ""
            labels = ", ".join(_code(label) for label in each._labelnames)  # noqa: SLF001
            yield _code(described.name + ending), described.type, labels, described.documentation


# The log


def log_page() -> str:
    """Return every action of a line of the log."""
    return page(
        "What the log says: actions",
        """
The server writes its log to the standard error: a line has its time, its level, its text, and
behind it the fields that the text does not have. With `serve --log-json` each line is an object
with `time`, `level`, `system`, `text`, `action` and the fields. Under systemd (`JOURNAL_STREAM` is
set) a line begins with its priority instead of the time, so that `journalctl -p err` finds what has
failed:

```text
2026-11-22T02:14:31+0100 error    Job 23 failed: ANS1301E No space req=17 host=NSK1 ref=P17 ...
```
""",
        f"""
*Limited*: peers can cause these lines, so they are rate-limited. The first of a peer is logged at
once; the number of further ones is logged once a minute as `ACTION{MORE}`, with `peer` and `count`.
Peers beyond a hundred in a minute share such a line. Empty fields are left out.
""",
        table(
            ("action", "level", "", "what has happened", "fields"),
            (
                (
                    _code(name),
                    each.level,
                    "limited" if each.limited else "",
                    each.meaning,
                    ", ".join(map(_code, each.fields.split())),
                )
                for name, each in ACTIONS.items()
            ),
        ),
        """
`by` is who asked, if no host did: `operator alice`, `engine`, `cleanup`. `cause` is the reason in
the words of the program that failed. `code` is the exit code, `secs` how long it took.
""",
    )


# Keys


def _key_table(section: Mapping[str, Key]) -> str:
    rows = ((_code(key.name), key.type, _default(key), key.help) for key in section.values())
    return table(("key", "value", "without it", "what it says"), rows)


def _default(key: Key) -> str:
    if key.default is REQUIRED:
        return "**must be there**"
    if key.default_text:
        return _code(key.default_text)
    if key.default is None or key.default in ((), {}, ""):
        return ""
    return _code(str(key.default))


def configuration_page() -> str:
    """Return every key of the configuration."""
    parts = [
        f"""
One YAML file, `{DEFAULT_FILE}` if `--config` or `{PREFIX}CONFIG` do not say otherwise. Every key
of the first table is also an option of `vtspolicy serve` (`--notices-kept 14d`) and a variable
(`{PREFIX}NOTICES_KEPT=14d`), with its value written as in the file; an option beats a variable,
a variable beats the file. Paths are relative to the file. Try it with `vtspolicy check`.

Durations are a number and one of `s m h d`, sizes a number and one of `K M G T`. What is not
listed is denied: other hosts, other systems, other vaults, other families.
"""
    ]
    about = {
        "listen": "One listener; an endpoint alone may stand for it.",
        "vaults": "One vault, under its name; its directory alone may stand for it.",
        "hosts": "One host, under its name.",
    }
    for name, section in SECTIONS.items():
        if name:
            parts.append(f"## Below `{name}`\n\n{about.get(name, '')}")
        parts.append(_key_table(section))
    assert SECTIONS[""] is CONFIGURATION_KEYS  # noqa: S101 - the first table is that of the file
    return page("Say what the server does: configuration", *parts)


def rules_page() -> str:
    """Return every key of a rules table, of its tests, and every place."""
    sections: tuple[tuple[str, str, Mapping[str, Key]], ...] = (
        ("A rules table", "", keys.TOP),
        ("A rule", "The first rule whose `when` holds decides.", keys.RULE),
        ("`when`", "Values, lists of them, or globs; all keys given must hold.", conditions.WHEN),
        ("`tape` in `when`", "", conditions.TAPE),
        (
            "An application",
            "What holds for all its rules, unless a rule says it.",
            keys.APPLICATION,
        ),
        ("`retry`", "A number alone stands for `attempts`.", keys.RETRY),
        ("`cleanup`", "See [look after tapes](../how-to/tapes.md).", cleanup.CLEANUP),
        ("`timeouts`", "", keys.TIMEOUTS),
        (
            "`proof`",
            "A word alone stands for `need`. See [look after tapes](../how-to/tapes.md).",
            forms.PROOF,
        ),
        ("`query`, `delete` and `verify`", "A list alone stands for `run`.", query_keys.QUERY),
        (
            "`read_back`",
            """
The keys of a query. Its reading `digest` is the SHA-256 of the data that was read, in 64
hexadecimal digits, and is compared with the tape's own. `vtspolicy digest -- PROGRAM ...` prints it
for a program that writes the data to its standard output. Without `timeout` it may take 24 hours.
""".strip(),
            {},
        ),
        ("`poll`", "The keys of a query, and these.", _without(query_keys.POLL, query_keys.QUERY)),
        ("A value of `read`, and `progress`", "A text alone is a pattern.", forms.READING),
        ("A value of `expect`", "A text alone stands for `equals`.", forms.EXPECTATION),
    )
    parts = [
        """
How to write one: [write a rule](../how-to/rules.md). `vtspolicy check` reports each mistake with
its line and column; unknown keys and keys given twice are mistakes.
"""
    ]
    for title, about, section in sections:
        shown = _without(section, keys.WORK) if section is keys.APPLICATION else section
        more = (
            f"\n\nAnd every key of a rule from `{next(iter(keys.WORK))}` on."
            if shown is not section
            else ""
        )
        parts += [f"## {title}\n\n{about}{more}", _key_table(shown)]
    rows = ((_code(f"{{{p.name}}}"), p.origin, p.help) for p in places.PLACES.values())
    parts += [
        """
## Places

`{name}` in an argument is replaced by a value; these, every keyword of a family by its long name,
every value that was read, and the `places` of the application. An argument that names something
absent is left out, and a list within `run` with it. Values are arguments, never words of a shell;
one that would begin with `-` where the rule did not write it is refused.
""",
        table(("place", "from", "what it stands for"), rows),
        "## Rule tests\n\nA file has `cases`, each with these keys.",
        _key_table(case_file.CASE),
        "A tape of a test, or of `vtspolicy explain --tape`, is a path and any of these words:",
        table(("word", "what it says"), ((_code(k), v) for k, v in facts.FACTS.items())),
    ]
    return page("Say what is run: rules tables", *parts)


def _without(section: Mapping[str, Key], other: Mapping[str, Key]) -> Mapping[str, Key]:
    return {name: key for name, key in section.items() if key is not other.get(name)}


# Commands


def commands_page() -> str:
    """Return every command with its help, and the exit codes."""
    codes = ((str(code.value), code.meaning) for code in Exit)
    parts = [
        "Every command says the same with `--help`. Those that show something take `--json`.",
        "## Exit codes",
        table(("code", "meaning"), codes),
        "## The commands",
        table(("command", "what it does"), ((f"[{n}](#{n})", t) for n, (_, t) in COMMANDS.items())),
    ]
    context = click.Context(cli, info_name="vtspolicy")
    for name in COMMANDS:
        command = cli.get_command(context, name)
        if command is not None:
            parts += _command(command, name, "##")
    return page("Tell it what to do: commands", *parts)


def _command(command: click.Command, name: str, level: str) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    words = [_word(each) for each in command.params if isinstance(each, click.Argument)]
    yield f"{level} {name}"
    yield f"`{' '.join(['vtspolicy', name, *words])}`\n\n{inspect.cleandoc(command.help or '')}"
    options = [each for each in command.params if isinstance(each, click.Option)]
    ours = [each for each in options if not (each.name or "").startswith(KEY_OPTION)]
    if ours:
        yield table(("option", "what it says"), (_option(each) for each in ours))
    if len(ours) < len(options):
        yield "And every key of the [configuration](configuration.md) is an option of it."
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            inner = command.get_command(context, below)
            if inner is not None:
                yield from _command(inner, f"{name} {below}", "###")


KEY_OPTION = "key_"
"""Begins the names of options that are made from the keys of the configuration."""


def _word(argument: click.Argument) -> str:
    name = argument.human_readable_name + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _option(option: click.Option) -> tuple[str, str]:
    value, text = "", option.help or ""
    if not option.is_flag:
        value = _value(option)
        if isinstance(option.default, str | int) and option.default:
            text += f" Without it: `{option.default}`."
    if option.required:
        text += " It must be given."
    return _code(" ".join(filter(None, (", ".join(option.opts), value)))), text


def _value(option: click.Option) -> str:
    kind = option.type
    if option.metavar:
        return option.metavar
    if isinstance(kind, click.Choice):
        return "|".join(map(str, kind.choices))
    if isinstance(kind, click.IntRange | click.FloatRange):
        return "NUMBER"
    return kind.name.upper()


# Tapes


def tapes_page() -> str:
    """Return every reason why a tape is left as it is, and what follows from what a vault lacks."""
    reasons = ((each.words, each.when) for each in Reason)
    vaults = ((_code(word), follows) for word, follows in MISSING.items())
    return page(
        "Find out why a tape was left alone: reasons",
        """
One function decides about every act on a tape's data. These are all its reasons; words in braces
are filled in. What a copy proves, and why, is in [the evidence](../explanation/evidence.md).

A request that has nothing to do is `COMPLETED` and gives its reason: the tape is empty already, was
deleted before, or has its data. With any other reason it is `FAILED`, and a mark is refused. The
cleanup leaves such tapes alone; `vtspolicy tapes --verdict` shows the reason beside each.
""",
        table(("reason", "when"), reasons),
        "## What a vault cannot do\n\nA probe on a private file finds that out.",
        table(("it lacks", "what follows"), vaults),
    )


# Life cycles


KNOWN = {
    run_life.RunState.SOUGHT: "nothing yet: how the run is must be found out from its files",
    run_life.RunState.ASKED: "when the keeper was asked to start it; it has not answered",
    run_life.RunState.RUNNING: "its leader, whether the keeper will report its end, its output",
    run_life.RunState.LEFT: "besides, how its leader ended; other processes of it are left",
    run_life.RunState.OVER: "nothing more: its end is reported",
}


def life_cycles_page() -> str:
    """Return the life cycles of a job, one of its runs, a connection and a dialled link."""
    return page(
        "What can happen to a job, a run and a connection: life cycles",
        "What is not in these tables cannot happen. Every step of a job is in its history.",
        "## A job",
        *_life(jobs.TRANSITIONS, jobs.JobLife),
        "## A run of a program",
        "As the server sees a run that it waits for. What a state knows is gone with the state.",
        table(
            ("state", "what the server knows"),
            KNOWN.items(),
        ),
        *_life(run_life.TRANSITIONS, run_life.RunLife),
        "## A connection of a host",
        *_life(sessions.TRANSITIONS, sessions.SessionLife),
        "Each state has its own timers, which end with it.",
        table(
            ("state", "after seconds", "what follows"),
            (
                (", ".join(map(str, states)), str(seconds).removesuffix(".0"), follows)
                for states, seconds, follows in session_life.TIMERS
            ),
        ),
        "Meanwhile its input may have to wait, for one or several of these reasons: "
        + ", ".join(_code(str(pause)) for pause in sessions.Pause)
        + ".",
        "## A link to a dialled host",
        *_life(links.TRANSITIONS, links.LinkLife),
        f"It waits {links.SHORTEST:g} to {links.LONGEST:g} s, longer after each failure; at"
        f" least {links.REFUSED_WAIT:g} s after a refused password or key. After"
        f" {links.MOST_REFUSALS} refusals of the same one it is stopped.",
    )


Transitions = Iterable[tuple[Enum, Callable[..., object], Enum]]


def _life(transitions: Transitions, happenings: type[Protocol]) -> Iterator[str]:  # type: ignore[valid-type]  # any Protocol class
    rows = list(transitions)
    yield table(
        ("state", "what happens", "state after"),
        ((str(before), _code(what.__name__), str(after)) for before, what, after in rows),
    )
    named = (
        (name, member) for name, member in vars(happenings).items() if inspect.isfunction(member)
    )
    known = {what.__name__ for _, what, _ in rows}
    yield table(
        ("what happens", "when"),
        ((_code(name), _said(member)) for name, member in named if name in known),
    )


# The interface for programs


def interface_page() -> str:
    """Return the pages to read and the verbs."""
    pages = (
        (
            _code(each.path),
            _said(each.answer),
            ", ".join(_code(name) for name in each.query),
        )
        for each in PAGES
    )
    verbs = (
        (
            _code(f"POST /api/v1/{name}"),
            _arguments(verb.arguments, verb.one_of),
            _said(getattr(Control, verb.method)),
        )
        for name, verb in VERBS.items()
    )
    return page(
        "Let a program ask and order: the interface",
        """
What can be read is at the `web` endpoint and on the control socket; what changes something is on
the control socket only. That is the file `control.sock` in the `spool` folder, which only the
server's own user, root and the members of `control_group` may open. Every answer but the metrics is
a JSON object; a mistake has `error` with what is wrong and, where there is one, a `hint`.

```sh
curl http://127.0.0.1:7180/api/v1/jobs?state=running
curl --unix-socket /var/lib/vtspolicy/spool/control.sock -X POST http://vtspolicy/api/v1/drain
```
""",
        "## To read",
        table(("path", "what it answers", "parameters"), pages),
        """
Lists are the newest first; to continue, repeat the question with `before=` from the answer. A
question that takes longer than five seconds is given up (422). Quick however large the ledger is:
`request`, `ref`, and a `state` of jobs that few are in. `vtspolicy jobs` reads the ledger itself
and takes its time.
""",
        "## To order\n\nArguments are members of a JSON object in the body.",
        table(("verb", "arguments", "what it does"), verbs),
    )


def _arguments(arguments: Mapping[str, Any], one_of: tuple[str, ...]) -> str:  # of Verb
    named = (f"`{name}`: {'number' if a.kind is int else 'text'}" for name, a in arguments.items())
    return ", ".join(named) + (" (one of both)" if one_of else "")


# The index

PARTS = (
    ("tutorial", "Learn", "From nothing to a first result, step by step."),
    ("how-to", "Do", "One task each, for who knows what they want."),
    ("reference", "Look up", "Tables, made from those that the program itself reads."),
    ("explanation", "Understand", "Why it is as it is."),
)

INDEX = """\
# Find the page for your task

First steps are in the [README](../README.md), the language of the commands in
[grammar/README.md](../grammar/README.md), the meaning of words in the [glossary](glossary.md), and
how to work on the program in [contributing](contributing.md).
"""


def index_page() -> str:
    """Return the index: every page by the task with which it begins."""
    parts = [INDEX.strip()]
    for folder, title, about in PARTS:
        pages = sorted((FOLDER / folder).rglob("*.md"))
        lines = (f"- [{_task(each)}]({each.relative_to(FOLDER)})" for each in pages)
        parts.append(f"## {title}\n\n{about}\n\n" + "\n".join(lines))
    return "\n\n".join((*parts, "*This list is made by `make docs`.*")) + "\n"


def _task(path: Path) -> str:
    """Return the first heading of a page."""
    return path.read_text("utf-8").splitlines()[0].removeprefix("# ")


MADE_PAGES: Mapping[str, Callable[[], str]] = {
    "reference/notices.md": notices_page,
    "reference/metrics.md": metrics_page,
    "reference/log.md": log_page,
    "reference/configuration.md": configuration_page,
    "reference/rules.md": rules_page,
    "reference/commands.md": commands_page,
    "reference/tapes.md": tapes_page,
    "reference/life-cycles.md": life_cycles_page,
    "reference/interface.md": interface_page,
    "README.md": index_page,  # the last one: it looks at all others
}
"""Every page that is made, by its file below docs."""


def main() -> None:
    """Write all of them."""
    for name, make in MADE_PAGES.items():
        path = FOLDER / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
