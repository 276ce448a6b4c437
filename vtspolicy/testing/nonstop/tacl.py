"""TACL, the command interpreter: prompts, history, expansion, commands, programs.

Documented: the prompt's growing number; the order of expansion (the element whose closing bracket
comes first is replaced by its result, and the line is read again from its beginning); errors that
begin with `*ERROR*`; the result of a function that stands alone is shown below `NAME expanded to:`;
`?` at the beginning of a line shows an earlier line or begins a directive, `??` begins a text;
BREAK gives the prompt back and leaves programs running.

Ours, because no manual at hand says it: `!` runs an earlier line again; most texts of errors; an
error drops the rest of its line; an empty line does not make the number grow; there is no prompt
for the continuation of a line; a `;` is given to the program, and for TACL's own commands is only a
separator.
"""

import re
from collections.abc import Callable, Mapping

from vtspolicy.testing.nonstop.console import Console
from vtspolicy.testing.nonstop.dialogue import Ask, Break, Dialogue, EndOfFile
from vtspolicy.testing.nonstop.lexical import BAR, BLANK, CLOSE, OPEN, Reader, commands, shown

EXPANSIONS = 1000
"""Elements of one line that are expanded: a host is bounded by its memory."""

HISTORY = 100
"""Lines that are kept to be shown or run again."""

_NAME = re.compile(rf"[ {BLANK}]*([^ {BLANK},()/;]+)[ {BLANK}]?")
_DIRECTIVES = ("TACL", "SECTION", "FORMAT", "BLANK")


class TaclError(Exception):
    """TACL cannot do what was asked; the message is shown behind `*ERROR*`."""


class LoggedOffError(Exception):
    """The user has logged off."""


class Tacl:
    """One command interpreter."""

    def __init__(self, console: Console, words: Mapping[str, "Word"]) -> None:
        self.console = console
        self.informat = [console.system.settings.informat]  # the top is what holds
        self.variables: dict[str, list[str]] = {}  # by name in upper case; the last is the top
        self.failed = False  # whether the last line ended with an error
        self._words = words  # functions, commands and programs, by name
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
            except EndOfFile:
                self.console.show("EOF!")
            except LoggedOffError:
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
        while (text := self._reader.take(line, self.informat[-1])) is None:
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
        text = self._reader.take(line, self.informat[-1])
        if text is None:
            self._reader.drop()
            self._complain("The line is not complete")
            return
        yield from self.obey(text)

    def obey(self, text: str) -> Dialogue[None]:
        """Obey a logical line."""
        self.failed = False
        try:
            for line in commands(text):
                yield from self._obey_line(line)
        except TaclError as error:
            self._complain(str(error))

    def _obey_line(self, line: str) -> Dialogue[None]:
        expanded = yield from self.expand(line)
        for command in commands(expanded):
            result = yield from self.invoke(command)
            if result:
                name = _NAME.match(command)
                self.console.show(f"{name[1] if name else ''} expanded to:\n{shown(result)}")

    def expand(self, text: str) -> Dialogue[str]:
        """Replace what is in brackets by its results. Raises TaclError."""
        for _ in range(EXPANSIONS):
            end = text.find(CLOSE)
            if end < 0:
                break
            start = text.rfind(OPEN, 0, end)
            if start < 0:
                raise TaclError("A bracket is closed that was not opened")
            result = ""
            for command in commands(text[start + 1 : end]):
                result += yield from self.invoke(command)
            text = text[:start] + result + text[end + 1 :]
        else:
            raise TaclError("The text buffer is full")
        return text

    def invoke(self, text: str) -> Dialogue[str]:
        """Run one command or function and return its result."""
        if BAR in text:
            raise TaclError("A label stands outside of a function that takes one")
        found = _NAME.match(text)
        if found is None:
            if text.strip(f" {BLANK}"):
                raise TaclError("Name of a command, variable or program needed")
            return ""
        name, rest = found[1].upper(), text[found.end() :]
        # A password that somebody typed on this line is not kept.
        self.console.system.ran(name if name == "LOGON" else shown(text.strip()))
        word = self._words.get(name) or self.console.system.settings.routines.get(name)
        if word is not None:
            return (yield from word(self, rest))
        if name in self.variables:
            return self.variables[name][-1]
        raise TaclError(f"There is no command, variable or program {shown(found[1])}")


Word = Callable[[Tacl, str], Dialogue[str]]
"""What a name stands for: it is given what follows the name, and returns its result."""
