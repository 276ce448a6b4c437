"""TACL's built-in functions and variables, and its own commands, as far as a link needs them.

Documented: `#OUTPUT` (nothing is its result; a text that begins with `/` begins with options),
`#OUTPUTV`, `#INPUT`, `#SET`, `#PUSH`, `#POP`, the values of `#INFORMAT`, `#IN` and `#OUT` (the
home terminal), `LOGOFF`, `STOP`, and the messages `Illegal value`, `Variable does not exist` and
`was not pushed`. The original sends `LOGOUT`.

Ours: `#MYTERM` is the home terminal, too; the options of `#OUTPUT` change nothing; `LOGOUT` and
`EXIT` are other names of `LOGOFF`; every other function is answered by an error that says that it
is not simulated; the forms of `TIME` and `WHO`.
"""

from collections.abc import Callable, Mapping

from vtspolicy.testing.nonstop.dialogue import Ask, Dialogue
from vtspolicy.testing.nonstop.lexical import FORMATS, Reader, shown
from vtspolicy.testing.nonstop.logon import say_time, take_logon
from vtspolicy.testing.nonstop.tacl import LoggedOffError, Tacl, TaclError, Word

_VARIABLE = "#INFORMAT"


def _plain(act: Callable[[Tacl, str], str]) -> Word:
    """Make a word of a function that reads nothing from the terminal."""

    def word(tacl: Tacl, rest: str) -> Dialogue[str]:
        yield from ()
        return act(tacl, rest)

    return word


# Output and input


def _output(tacl: Tacl, rest: str) -> str:
    if rest.startswith("/"):
        options, slash, rest = rest[1:].partition("/")
        if not slash:
            raise TaclError(f"The options {shown(options)} lack their end")
        rest = rest.lstrip()
    tacl.console.show(shown(rest))
    return ""


def _outputv(tacl: Tacl, rest: str) -> str:
    tacl.console.show(shown(_variable(tacl, rest.strip())[-1]))
    return ""


def _input(tacl: Tacl, rest: str) -> Dialogue[str]:
    """Read a line, by the rules of #INFORMAT; its result is the line, in one piece."""
    line = yield Ask(shown(rest))
    return _read(line, tacl.informat[-1])


def _inputv(tacl: Tacl, rest: str) -> Dialogue[str]:
    """Read a line into a variable; nothing is its result (ours)."""
    name, _, prompt = rest.strip().partition(" ")
    levels = _variable(tacl, name)
    line = yield Ask(shown(prompt).strip('"'))
    levels[-1] = _read(line, tacl.informat[-1])
    return ""


def _read(line: str, informat: str) -> str:
    reader = Reader()
    text = reader.take(line, informat)
    return reader.text if text is None else text


# Variables


def _variable(tacl: Tacl, name: str) -> list[str]:
    levels = tacl.variables.get(name.upper())
    if levels is None:
        raise TaclError("Variable does not exist")
    return levels


def _set(tacl: Tacl, rest: str) -> str:
    name, _, value = rest.lstrip().partition(" ")
    if name.upper() == _VARIABLE:
        if value.strip().upper() not in FORMATS:
            raise TaclError("Illegal value")
        tacl.informat[-1] = value.strip().upper()
    elif name.startswith("#"):
        raise TaclError(f"{shown(name)} is not simulated")
    else:
        _variable(tacl, name)[-1] = value
    return ""


def _push(tacl: Tacl, rest: str) -> str:
    for name in rest.upper().split():
        if name == _VARIABLE:
            tacl.informat.append(tacl.informat[-1])
        elif name.startswith("#"):
            raise TaclError(f"{shown(name)} is not simulated")
        else:
            tacl.variables.setdefault(name, []).append("")
    return ""


def _pop(tacl: Tacl, rest: str) -> str:
    for name in rest.upper().split():
        if name == _VARIABLE:
            if len(tacl.informat) == 1:
                raise TaclError(f"{name} was not pushed")
            tacl.informat.pop()
        else:
            levels = _variable(tacl, name)
            levels.pop()
            if not levels:
                del tacl.variables[name]
    return ""


def _set_variable(tacl: Tacl, rest: str) -> str:
    word, _, rest = rest.lstrip().partition(" ")
    if word.upper() != "VARIABLE":
        raise TaclError(f"SET {shown(word)} is not simulated")
    return _set(tacl, rest)


# Commands


def _who(tacl: Tacl, _rest: str) -> str:
    account, console = tacl.console.account, tacl.console
    user = account.user if account else "nobody"
    console.show(
        f"Home terminal: {console.window}\nUserid: {user}\nSystem: {console.system.settings.name}"
    )
    return ""


def _time(tacl: Tacl, _rest: str) -> str:
    tacl.console.show(say_time(tacl.console.system))
    return ""


def _stop(tacl: Tacl, rest: str) -> str:
    name = rest.strip().upper()
    running = [each for each in tacl.console.processes if name in ("", each.name)]
    if not running:
        raise TaclError(f"Process {name} does not exist" if name else "No process to stop")
    running[-1].stop()
    return ""


def _log_off(_tacl: Tacl, _rest: str) -> str:
    raise LoggedOffError


def _log_on(tacl: Tacl, rest: str) -> Dialogue[str]:
    yield from take_logon(tacl.console, tacl.console.system.settings.login, shown(rest))
    return ""


def _run(tacl: Tacl, rest: str) -> Dialogue[str]:
    return (yield from tacl.invoke(rest))


def _nothing(_tacl: Tacl, _rest: str) -> str:
    return ""


def _reply(tacl: Tacl, rest: str) -> Dialogue[str]:
    """Post each line that is typed as an event, until an empty one: what VTSREPLY of the kit does.

    Lines are read with #INFORMAT PLAIN. The routine is ours, and stands here for every one that
    does the same. An argument is the event's number.
    """
    if rest.strip() and not rest.strip().isdecimal():
        raise TaclError("The argument of VTSREPLY is an event number")
    number = int(rest.strip() or 1)
    posted = 0
    while line := (yield Ask("VTSREPLY> ")):
        tacl.console.system.post(line, number=number, process="$VTSR", ssid="VTS.POLICY.A01")
        posted += 1
    tacl.console.show(f"{posted} posted")
    return ""


FUNCTIONS: Mapping[str, Word] = {
    "#OUTPUT": _plain(_output),
    "#OUTPUTV": _plain(_outputv),
    "OUTVAR": _plain(_outputv),
    "#INPUT": _input,
    "#INPUTV": _inputv,
    "#SET": _plain(_set),
    "SET": _plain(_set_variable),
    "#PUSH": _plain(_push),
    "PUSH": _plain(_push),
    "#POP": _plain(_pop),
    "POP": _plain(_pop),
    "#INFORMAT": _plain(lambda tacl, _: tacl.informat[-1]),
    "#MYTERM": _plain(lambda tacl, _: tacl.console.window),
    "#IN": _plain(lambda tacl, _: tacl.console.window),
    "#OUT": _plain(lambda tacl, _: tacl.console.window),
    "WHO": _plain(_who),
    "TIME": _plain(_time),
    "STOP": _plain(_stop),
    "LOGON": _log_on,
    "LOGOFF": _plain(_log_off),
    "LOGOUT": _plain(_log_off),
    "EXIT": _plain(_log_off),
    "COMMENT": _plain(_nothing),
    "RUN": _run,
    "VTSREPLY": _reply,
}
"""All of them, by name."""
