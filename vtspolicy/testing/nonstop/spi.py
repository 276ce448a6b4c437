"""Messages of the programmatic interface: events, and the commands and answers of a distributor.

Documented: the functions, their arguments and status codes; `#EMSINIT` makes an event of a
subsystem and number with one token; `#SSPUT` adds one; `#SSINIT` begins a command;
`#EMSGET` gives status, count and value, and of a value of variable length its length first;
`#SSGETV` puts such a value into a STRUCT with its length of two bytes before it, so that
`#SETBYTES` has to take what lies behind them; `GETEVENT` with `EOFSTOP` does not wait. The
definitions come from two files of `$SYSTEM.ZSPIDEF`.

Ours: what the definitions stand for, the header's size and that of a token, the forms of a
subsystem id that `#EMSINIT` takes; the tokens are those below, and no other; a STRUCT that holds a
message cannot be read as bytes.
"""

import re
from collections.abc import Mapping

from attrs import define, field, frozen

from vtspolicy.testing.nonstop.journal import LoggedEvent
from vtspolicy.testing.nonstop.lexical import END, shown
from vtspolicy.testing.nonstop.options import nothing_more, take_number, take_options, take_word
from vtspolicy.testing.nonstop.tacl import Tacl, Word, at_once
from vtspolicy.testing.nonstop.variables import Struct, TaclError, Variables

NO_ERROR, INVALID_BUFFER, INVALID_VALUE, BUFFER_FULL = 0, -1, -2, -5
NOT_FOUND, INVALID_TOKEN, INVALID_SUBSYSTEM = -8, -9, -10

LARGEST_EVENT = 4024
"""Bytes of an event (documented)."""

HEADER, TOKEN = 100, 6
"""Bytes of a message's header, and of a token beside its value; ours."""

TRUE = "-1"

_TOKENS = ("TEXT", "EMPHASIS", "ACTION^NEEDED", "ACTION^ID", "EVENTNUMBER", "EVENT", "EOFSTOP")

DEFINITIONS: Mapping[str, Mapping[str, str]] = {
    "$SYSTEM.ZSPIDEF.ZSPITACL": {
        "ZSPI^VAL^TRUE": TRUE,
        "ZSPI^VAL^FALSE": "0",
        "ZSPI^VAL^TANDEM": "TANDEM",
        "ZSPI^SSN^ZEMS": "12",
        "ZSPI^TKN^RETCODE": "ZSPI^TKN^RETCODE",
        "ZSPI^TKN^RESET^BUFFER": "ZSPI^TKN^RESET^BUFFER",
    },
    "$SYSTEM.ZSPIDEF.ZEMSTACL": {
        "ZEMS^VAL^VERSION": "L01",
        "ZEMS^VAL^BUFLEN": "4500",
        "ZEMS^VAL^EXTERNAL^SSID": "EXTERNAL.0.A01",
        "ZEMS^CMD^GETEVENT": "3",
        **{f"ZEMS^TKN^{name}": f"ZEMS^TKN^{name}" for name in _TOKENS},
    },
}
"""The definition files that can be loaded: texts by name."""

_SSID = re.compile(r"[A-Z][A-Z0-9-]{0,7}\.(?:\d{1,5}|[A-Z][A-Z0-9]{0,7})\.[A-Z]\d\d", re.IGNORECASE)


@define
class Message:
    """What a STRUCT holds after `#EMSINIT` or `#SSINIT`, or an answer was put into it."""

    ssid: str
    number: int  # of the event or the command
    is_event: bool
    tokens: dict[str, str] = field(factory=dict)  # values by the names of their tokens
    event: "Message | None" = None  # the value of the token EVENT

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        values = [shown(value).encode("utf-8", "replace") for value in self.tokens.values()]
        event = TOKEN + self.event.size if self.event else 0
        return HEADER + sum(TOKEN + len(value) for value in values) + event


@frozen
class Prefixed:
    """A value of variable length as `#SSGETV` puts it into a STRUCT: behind its length."""

    message: Message


def event_message(event: LoggedEvent) -> Message:
    """Return the message of an event of the log."""
    tokens = {"ZEMS^TKN^TEXT": event.text, "ZEMS^TKN^EMPHASIS": TRUE if event.critical else "0"}
    return Message(event.ssid, event.number, is_event=True, tokens=tokens)


def answer(command: Message, event: LoggedEvent | None) -> Message:
    """Return a distributor's answer to GETEVENT; without an event: the log has no more."""
    return Message(
        command.ssid,
        command.number,
        is_event=False,
        tokens={"ZSPI^TKN^RETCODE": "0"},
        event=None if event is None else event_message(event),
    )


# Functions


def _emsinit(tacl: Tacl, rest: str) -> str:
    struct, rest = _struct(tacl, rest)
    ssid, rest = take_word(rest)
    number, rest = take_number(rest, tacl.variables)
    token, rest = _token(tacl.variables, rest)
    length, value = take_number(rest, tacl.variables)
    struct.content = None
    if not _SSID.fullmatch(ssid):
        return str(INVALID_SUBSYSTEM)
    if token != "ZEMS^TKN^TEXT":  # noqa: S105 - a token of an event
        return str(INVALID_TOKEN)
    if not -32768 <= number <= 32767 or length != len(shown(value)):
        return str(INVALID_VALUE)
    message = Message(ssid.upper(), number, is_event=True, tokens={token: shown(value)})
    return _kept(struct, message)


def _ssinit(tacl: Tacl, rest: str) -> str:
    struct, rest = _struct(tacl, rest)
    ssid, rest = take_word(rest)
    number, rest = take_number(rest, tacl.variables)
    nothing_more(rest)
    struct.content = None
    if not _SSID.fullmatch(ssid):
        return str(INVALID_SUBSYSTEM)
    return _kept(struct, Message(ssid.upper(), number, is_event=False))


def _ssput(tacl: Tacl, rest: str) -> str:
    struct, rest = _struct(tacl, rest)
    token, value = _token(tacl.variables, rest)
    message = struct.content
    if not isinstance(message, Message):
        return str(INVALID_BUFFER)
    if token == "ZSPI^TKN^RESET^BUFFER":  # noqa: S105 - as above
        size, rest = take_number(value, tacl.variables)
        nothing_more(rest)
        return str(NO_ERROR if message.size <= size <= struct.size else INVALID_VALUE)
    fits = token in _FOR_EVENTS if message.is_event else token in _FOR_COMMANDS
    if not fits:
        return str(INVALID_TOKEN)
    number, rest = take_number(value, tacl.variables)
    nothing_more(rest)
    message.tokens[token] = str(number)
    return _kept(struct, message)


_FOR_EVENTS = ("ZEMS^TKN^EMPHASIS", "ZEMS^TKN^ACTION^NEEDED", "ZEMS^TKN^ACTION^ID")
_FOR_COMMANDS = ("ZEMS^TKN^EOFSTOP",)


def _ssget(tacl: Tacl, rest: str) -> str:
    options, rest = take_options(rest, "INDEX")
    struct, rest = _struct(tacl, rest)
    token, rest = _token(tacl.variables, rest)
    nothing_more(rest)
    _first_only(options)
    message = struct.content
    if not isinstance(message, Message):
        return str(INVALID_BUFFER)
    value = message.tokens.get(token)
    return str(NOT_FOUND) if value is None else f"{NO_ERROR} 1 {value}"


def _ssgetv(tacl: Tacl, rest: str) -> str:
    options, rest = take_options(rest, "INDEX")
    struct, rest = _struct(tacl, rest)
    token, rest = _token(tacl.variables, rest)
    target, rest = _struct(tacl, rest)
    nothing_more(rest)
    _first_only(options)
    if token != "ZEMS^TKN^EVENT":  # noqa: S105 - as above
        raise TaclError(f"#SSGETV of {token} is not simulated")
    message = struct.content
    if not isinstance(message, Message):
        return str(INVALID_BUFFER)
    target.content = None
    if message.event is None:
        return str(NOT_FOUND)
    if message.event.size + 2 <= target.size:  # else it is cut, and no message (documented)
        target.content = Prefixed(message.event)
    return f"{NO_ERROR} 1"


def _setbytes(tacl: Tacl, rest: str) -> str:
    target, rest = _struct(tacl, rest)
    name, rest = take_word(rest)
    nothing_more(rest)
    name, _, item = name.partition(":")
    source = tacl.variables.struct(name)
    offset = source.items.get(item.upper()) if item else 0
    if offset is None:
        raise TaclError(f"{shown(item)} is not an item of {shown(name)}")
    target.content = None
    if offset == 2 and isinstance(source.content, Prefixed):
        if source.content.message.size <= target.size:
            target.content = source.content.message
    elif offset == 0:
        target.content = source.content
    return ""


def _emsget(tacl: Tacl, rest: str) -> str:
    struct, rest = _struct(tacl, rest)
    token, rest = _token(tacl.variables, rest)
    nothing_more(rest)
    message = struct.content
    if not isinstance(message, Message) or not message.is_event:
        return str(INVALID_BUFFER)
    if token == "ZEMS^TKN^EVENTNUMBER":  # noqa: S105 - as above
        return f"{NO_ERROR} 1 {message.number}"
    value = message.tokens.get(token)
    if value is None:
        return str(NOT_FOUND)
    length = f"{len(value)} " if token == "ZEMS^TKN^TEXT" else ""  # noqa: S105 - as above
    return f"{NO_ERROR} 1 {length}{value}"


def _struct(tacl: Tacl, rest: str) -> tuple[Struct, str]:
    name, rest = take_word(rest.replace(END, " "))
    return tacl.variables.struct(name), rest


def _token(variables: Variables, rest: str) -> tuple[str, str]:
    """Return the name of the token that is named, or whose value is given."""
    word, rest = take_word(rest)
    token = variables.text(word) if word in variables else word
    if token not in _ALL:
        raise TaclError(f"{shown(word)} is not a token, or its definitions are not loaded")
    return token, rest


_ALL = {name for names in DEFINITIONS.values() for name in names.values() if name.startswith("Z")}


def _first_only(options: Mapping[str, str]) -> None:
    if options.get("INDEX", "1") != "1":
        raise TaclError("Only INDEX 1 is simulated")


def _kept(struct: Struct, message: Message) -> str:
    """Keep a message, if there is room for it; return the status."""
    if message.size > min(struct.size, LARGEST_EVENT if message.is_event else struct.size):
        return str(BUFFER_FULL)
    struct.content = message
    return str(NO_ERROR)


SPI: Mapping[str, Word] = {
    "#EMSGET": at_once(_emsget),
    "#EMSINIT": at_once(_emsinit),
    "#SETBYTES": at_once(_setbytes),
    "#SSGET": at_once(_ssget),
    "#SSGETV": at_once(_ssgetv),
    "#SSINIT": at_once(_ssinit),
    "#SSPUT": at_once(_ssput),
}
