"""Variables of TACL: their levels, and the frames that remember what was pushed.

Documented: a name stands for a stack of levels; `#FRAME` begins to remember what is pushed, and
`#UNFRAME` pops all of that. Ours: what `#LOAD` pushes is not remembered; a routine that ends
closes the frames that it left open, on which the maker's own example relies.
"""

import re
from collections.abc import Mapping

from attrs import define, field, frozen

INFORMAT = "#INFORMAT"

_VARIABLE = re.compile(r"[A-Z^_][A-Z0-9^_]{0,30}")


class TaclError(Exception):
    """TACL cannot do what was asked; the message is shown behind `*ERROR*`."""


@frozen
class Routine:
    """A level of the type ROUTINE."""

    body: str  # logical lines in internal notation


@define
class Struct:
    """A level of the type STRUCT: so many bytes, and what a function has put there."""

    size: int
    items: Mapping[str, int]  # offset in bytes, by name in upper case
    content: object = None  # a message of `spi`; None: nothing yet


Level = str | Routine | Struct


@define
class Variables:
    """The variables of one TACL."""

    informat: list[str]  # levels of #INFORMAT; the last is the top
    frames: list[list[str]] = field(factory=list)  # names that were pushed since each #FRAME
    _levels: dict[str, list[Level]] = field(factory=dict)  # by name in upper case

    def __contains__(self, name: str) -> bool:
        return name.upper() in self._levels

    def top(self, name: str) -> Level:
        """Return the top level. Raises TaclError."""
        return self._of(name)[-1]

    def text(self, name: str) -> str:
        """Return the text of the top level. Raises TaclError."""
        level = self.top(name)
        if not isinstance(level, str):
            raise TaclError(f"{name} is not a text")
        return level

    def struct(self, name: str) -> Struct:
        """Return the STRUCT of the top level. Raises TaclError."""
        level = self.top(name)
        if not isinstance(level, Struct):
            raise TaclError(f"{name} is not a STRUCT")
        return level

    def set(self, name: str, level: Level) -> None:
        """Replace the top level. Raises TaclError."""
        self._of(name)[-1] = level

    def push(self, name: str, level: Level = "", *, framed: bool = True) -> None:
        """Make a new top level. Raises TaclError."""
        key = name.upper()
        if key == INFORMAT:
            self.informat.append(self.informat[-1])
        elif key.startswith("#"):
            raise TaclError(f"{key} is not simulated")
        elif not _VARIABLE.fullmatch(key):
            raise TaclError(f"{name} is not the name of a variable")
        else:
            self._levels.setdefault(key, []).append(level)
        if framed and self.frames:
            self.frames[-1].append(key)

    def pop(self, name: str) -> None:
        """Remove the top level. Raises TaclError."""
        key = name.upper()
        if key == INFORMAT:
            if len(self.informat) == 1:
                raise TaclError(f"{key} was not pushed")
            self.informat.pop()
            return
        levels = self._of(name)
        levels.pop()
        if not levels:
            del self._levels[key]

    def keep(self, name: str, count: int) -> None:
        """Remove all levels but the newest so many. Raises TaclError."""
        levels = self._of(name)
        del levels[: max(len(levels) - count, 0)]

    def unframe(self, depth: int) -> None:
        """Close all frames but the first `depth`, and pop what was pushed in them."""
        while len(self.frames) > depth:
            for name in reversed(self.frames.pop()):
                if name == INFORMAT or name in self._levels:
                    self.pop(name)

    def _of(self, name: str) -> list[Level]:
        levels = self._levels.get(name.upper())
        if levels is None:
            raise TaclError("Variable does not exist")
        return levels
