"""TACL, the command interpreter: prompts, history, expansion, commands, programs.

Documented: the prompt's growing number; the order of expansion (the element whose closing bracket
comes first is replaced by its result, and the line is read again from its beginning); what labels
enclose is not expanded before it is chosen; errors that begin with `*ERROR*`; the result of a
function that stands alone is shown below `NAME expanded to:`; `?` at the beginning of a line shows
an earlier line or begins a directive, `??` begins a text; BREAK gives the prompt back and leaves
programs running.

Ours, because no manual at hand says it: `!` runs an earlier line again; most texts of errors; an
error drops the rest of its line, and ends all routines; an empty line does not make the number
grow; there is no prompt for the continuation of a line; a `;` is given to the program, and for
TACL's own commands is only a separator; a result in a routine that nothing uses is an error; a
variable is found before a command of its name.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress

from attrs import define, field

from vtspolicy.testing.nonstop.console import Console
from vtspolicy.testing.nonstop.dialogue import Ask, Break, Dialogue, EndOfFile
from vtspolicy.testing.nonstop.lexical import (
    BAR,
    BLANK,
    CLOSE,
    END,
    OPEN,
    Reader,
    closing,
    commands,
    shown,
)
from vtspolicy.testing.nonstop.variables import Routine, TaclError, Variables

EXPANSIONS = 1000
"""Elements of one line that are expanded: a host is bounded by its memory."""

STATEMENTS = 20_000
"""Statements that are run between two waits: a program that never waits would stop this one."""

LABELLED = frozenset({"#IF", "#CASE", "#LOOP", "#DEF"})
"""Functions that are given labels and what they enclose, unexpanded."""

DEEPEST = 30
"""Routines and loops inside each other."""

HISTORY = 100
"""Lines that are kept to be shown or run again."""

_NAME = re.compile(rf"[ {BLANK}]*([^ {BLANK},()/;]+)[ {BLANK}]?")
_DIRECTIVES = ("TACL", "SECTION", "FORMAT", "BLANK")


class LoggedOffError(Exception):
    """The user has logged off."""


class StoppedError(Exception):
    """The process of TACL has ended itself."""


class ReturnedError(Exception):
    """The routine that runs is left."""


@define
class Call:
    """A routine that runs."""

    arguments: str
    results: list[str] = field(factory=list)


class Tacl:
    """One command interpreter."""

    def __init__(self, console: Console, words: Mapping[str, "Word"]) -> None:
        self.console = console
        self.variables = Variables([console.system.settings.informat])
        self.calls: list[Call] = []  # routines that run, the innermost last
        self.requesters: dict[str, object] = {}  # files that are open, by each of their variables
        self.failed = False  # whether the last line ended with an error
        self.completion_code: int | None = None  # with which the process has ended itself
        self._words = words  # functions, commands and programs, by name
        self._statements = 0  # since it has waited
        self._depth = 0  # of routines and loops
        self._reader = Reader()
        self._history: dict[int, str] = {}
        self._number = 1

    def run(self) -> Dialogue[None]:
        """Read and obey lines until the user logs off."""
        while True:
            try:
                yield from self._next()
            except Break:
                self._reader.drop()
                self._reset()
            except EndOfFile:
                self.console.show("EOF!")
            except (LoggedOffError, StoppedError):
                return

    def _next(self) -> Dialogue[None]:
        line = yield Ask(self.console.system.settings.prompt.format(n=self._number))
        line = self._recalled(line)
        if not line.strip():
            return
        self._history[self._number] = line
        self._history.pop(self._number - HISTORY, None)
        self._number += 1
        if line.startswith("?"):
            if not line.startswith("??"):
                self._question(line[1:].strip())
                return
            line = line[2:].lstrip()
        while (text := self._reader.take(line, self.variables.informat[-1])) is None:
            line = yield Ask()
        yield from self.obey(text)

    def _recalled(self, line: str) -> str:
        """Return the earlier line that `!` asks for, or the line."""
        if not line.startswith("!"):
            return line
        found = self._earlier(line[1:].strip())
        if found is None:
            self._complain("There is no such line")
            return ""
        self.console.show(found)
        return found

    def _question(self, text: str) -> None:
        if text.split(" ", maxsplit=1)[0].upper() in _DIRECTIVES:
            return
        found = self._earlier(text)
        if found is None:
            self._complain("There is no such line")
        else:
            self.console.show(found)

    def _earlier(self, text: str) -> str | None:
        if text.isdecimal():
            return self._history.get(int(text))
        lines = reversed(self._history.values())
        return next(
            (
                each
                for each in lines
                if each.upper().startswith(text.upper()) and each[:1] not in "?!"
            ),
            None,
        )

    def _complain(self, message: str) -> None:
        self.failed = True
        self.console.show(f"*ERROR* {message}")

    # Lines in internal notation

    def obey_command(self, line: str) -> Dialogue[None]:
        """Obey a line that did not come from the terminal, as `tacl -c` gives one."""
        text = self._reader.take(line, self.variables.informat[-1])
        if text is None:
            self._reader.drop()
            self._complain("The line is not complete")
            return
        with suppress(StoppedError):
            yield from self.obey(text)

    def obey(self, text: str) -> Dialogue[None]:
        """Obey a logical line."""
        self.failed = False
        self._statements = self._depth = 0
        try:
            yield from self.execute(text, shows=True)
        except TaclError as error:
            self._complain(str(error))
            self._reset()
        except ReturnedError:
            self._complain("#RETURN is not in a routine")

    def _reset(self) -> None:
        """Leave all routines, and pop what they pushed: what an error does."""
        self.calls.clear()
        self.variables.unframe(0)
        self._depth = 0

    def execute(self, text: str, *, shows: bool = False) -> Dialogue[None]:
        """Run statements. A result that nothing uses is shown or is an error. Raises TaclError."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise TaclError("The stack is full")
        rest = text
        expansions = 0
        while rest:
            line, rest = _first(rest)
            replaced = yield from self._step(line)
            if replaced is not None:
                expansions += 1
                if expansions > EXPANSIONS:
                    raise TaclError("The text buffer is full")
                rest = f"{replaced}{END}{rest}" if rest else replaced
                continue
            expansions = 0
            result = yield from self.invoke(line)
            if result and shows:
                name = _NAME.match(line)
                self.console.show(f"{name[1] if name else ''} expanded to:\n{shown(result)}")
            elif result.strip(f" {BLANK}{END}"):
                raise TaclError(f"Nothing uses the result {shown(result)[:40]}")
        self._depth -= 1

    def expand(self, text: str) -> Dialogue[str]:
        """Replace what is in brackets by its results. Raises TaclError."""
        for _ in range(EXPANSIONS):
            replaced = yield from self._step(text)
            if replaced is None:
                return text
            text = replaced
        raise TaclError("The text buffer is full")

    def _step(self, text: str) -> Dialogue[str | None]:
        """Return the text with its first element replaced; None: it has none."""
        opened: list[int] = []
        for at, each in enumerate(text):
            if each == OPEN:
                opened.append(at)
            elif each == CLOSE:
                if not opened:
                    raise TaclError("A bracket is closed that was not opened")
                start = opened[-1]
                result = yield from self._element(text[start + 1 : at])
                return text[:start] + result + text[at + 1 :]
            elif each == BAR and opened:
                start = opened[-1]
                end = closing(text, start)
                if end is None:
                    raise TaclError("A bracket is not closed")
                result = yield from self._enclosure(text[start + 1 : at], text[at:end])
                return text[:start] + result + text[end + 1 :]
        return None

    def _element(self, text: str) -> Dialogue[str]:
        if _word(text) == "#DEF":
            return (yield from self.invoke(text.strip(f" {END}")))
        result = ""
        for command in commands(text):
            result += yield from self.invoke(command)
        return result

    def _enclosure(self, head: str, enclosure: str) -> Dialogue[str]:
        """Run a function that takes labels: they and what they enclose are not expanded yet."""
        if _word(head) not in LABELLED:
            raise TaclError("A label stands outside of a function that takes one")
        return (yield from self.invoke(head.strip(f" {END}") + " " + enclosure, has_labels=True))

    def invoke(self, text: str, *, has_labels: bool = False) -> Dialogue[str]:
        """Run one command or function and return its result."""
        if BAR in text and not has_labels:
            raise TaclError("A label stands outside of a function that takes one")
        found = _NAME.match(text)
        if found is None:
            if text.strip(f" {BLANK}"):
                raise TaclError("Name of a command, variable or program needed")
            return ""
        self._statements += 1
        if self._statements > STATEMENTS:
            raise TaclError(f"{STATEMENTS} statements were run without a wait")
        name, rest = found[1].upper(), text[found.end() :]
        # A password that somebody typed on this line is not kept.
        self.console.system.ran(name if name == "LOGON" else shown(text.strip()))
        if name in self.variables:
            level = self.variables.top(name)
            if isinstance(level, Routine):
                return (yield from self._call(level, rest))
            return self.variables.text(name)
        word = self._words.get(name) or self.console.system.settings.routines.get(name)
        if word is not None:
            return (yield from word(self, rest))
        raise TaclError(f"There is no command, variable or program {shown(found[1])}")

    def _call(self, routine: Routine, arguments: str) -> Dialogue[str]:
        call, depth, frames = Call(arguments), self._depth, len(self.variables.frames)
        self.calls.append(call)
        try:
            yield from self.execute(routine.body)
        except ReturnedError:
            self._depth = depth
        self.variables.unframe(frames)
        self.calls.pop()
        return " ".join(call.results)

    def waited(self) -> None:
        """TACL has waited for something: a program that does so may run for ever."""
        self._statements = 0


Word = Callable[[Tacl, str], Dialogue[str]]
"""What a name stands for: it is given what follows the name, and returns its result."""


def at_once(act: Callable[[Tacl, str], str]) -> Word:
    """Make a word of a function that neither reads nor waits."""

    def word(tacl: Tacl, rest: str) -> Dialogue[str]:
        yield from ()
        return act(tacl, rest)

    return word


def _word(text: str) -> str:
    found = _NAME.match(text.lstrip(f" {END}"))
    return found[1].upper() if found else ""


def _first(text: str) -> tuple[str, str]:
    """Cut the first logical line off."""
    line = commands(text, most=1)[0]
    return line, text[len(line) + 1 :]
