"""How a program of the simulated system talks to its terminal.

A program is a generator. It yields an `Ask` and is sent the line that was typed, or yields a `Wait`
and is sent an empty text when the wait is over. The BREAK key raises `Break` in it, and the end of
the link closes it, as `finally` sees.
"""

from collections.abc import Callable, Generator
from typing import TypeVar

from attrs import frozen

T = TypeVar("T")


@frozen
class Ask:
    """Read a line."""

    prompt: str = ""
    hidden: bool = False  # whether what is typed is not echoed


@frozen
class Wait:
    """Read nothing until something has happened; what is typed meanwhile is lost (ours)."""

    is_over: Callable[[], bool] = lambda: False  # looked at whenever something has happened
    seconds: float | None = None  # over after so long, whatever happens
    is_deaf: bool = False  # whether BREAK is not heard either


Dialogue = Generator[Ask | Wait, str, T]
"""A program, or a part of one, with its result."""


class Break(Exception):  # noqa: N818 - the key's name
    """The BREAK key was pressed."""


class EndOfFile(Exception):  # noqa: N818 - the key's name
    """Control-Y was pressed at the beginning of a line."""
