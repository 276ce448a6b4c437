"""TACL's built-in functions and variables, and its own commands, as far as a link needs them.

Documented: `#OUTPUT` (nothing is its result; a text that begins with `/` begins with options),
`#OUTPUTV`, `#INPUT`, `#SET`, `#PUSH`, `#POP`, the values of `#INFORMAT`, `#IN` and `#OUT` (the
home terminal), `LOGOFF`, `STOP`, and the messages `Illegal value`, `Variable does not exist` and
`was not pushed`. The original sends `LOGOUT`.

Ours: `#MYTERM` is the home terminal, too; the options of `#OUTPUT` change nothing; `LOGOUT` and
`EXIT` are other names of `LOGOFF`; every other function is answered by an error that says that it
is not simulated; the forms of `TIME` and `WHO`.
"""

from collections.abc import Mapping

from vtspolicy.testing.nonstop.dialogue import Ask, Dialogue
from vtspolicy.testing.nonstop.lexical import FORMATS, Reader, shown
from vtspolicy.testing.nonstop.logon import say_time, take_logon
from vtspolicy.testing.nonstop.tacl import LoggedOffError, Tacl, Word, at_once
from vtspolicy.testing.nonstop.variables import INFORMAT, TaclError

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
    tacl.console.show(shown(tacl.variables.text(rest.strip())))
    return ""


def _input(tacl: Tacl, rest: str) -> Dialogue[str]:
    """Read a line, by the rules of #INFORMAT; its result is the line, in one piece."""
    line = yield Ask(shown(rest))
    tacl.waited()
    return _read(line, tacl.variables.informat[-1])


def _inputv(tacl: Tacl, rest: str) -> Dialogue[str]:
    """Read a line into a variable; nothing is its result (ours)."""
    name, _, prompt = rest.strip().partition(" ")
    tacl.variables.text(name)
    line = yield Ask(shown(prompt).strip('"'))
    tacl.waited()
    tacl.variables.set(name, _read(line, tacl.variables.informat[-1]))
    return ""


def _read(line: str, informat: str) -> str:
    reader = Reader()
    text = reader.take(line, informat)
    return reader.text if text is None else text


# Variables


def _set(tacl: Tacl, rest: str) -> str:
    name, _, value = rest.lstrip().partition(" ")
    if name.upper() == INFORMAT:
        if value.strip().upper() not in FORMATS:
            raise TaclError("Illegal value")
        tacl.variables.informat[-1] = value.strip().upper()
    elif name.startswith(("#", "/")):
        raise TaclError(f"{shown(name)} is not simulated")
    else:
        tacl.variables.text(name)
        tacl.variables.set(name, value)
    return ""


def _push(tacl: Tacl, rest: str) -> str:
    for name in rest.replace(",", " ").split():
        tacl.variables.push(name)
    return ""


def _pop(tacl: Tacl, rest: str) -> str:
    for name in rest.replace(",", " ").split():
        tacl.variables.pop(name)
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
    "#OUTPUT": at_once(_output),
    "#OUTPUTV": at_once(_outputv),
    "OUTVAR": at_once(_outputv),
    "#INPUT": _input,
    "#INPUTV": _inputv,
    "#SET": at_once(_set),
    "SET": at_once(_set_variable),
    "#PUSH": at_once(_push),
    "PUSH": at_once(_push),
    "#POP": at_once(_pop),
    "POP": at_once(_pop),
    "#INFORMAT": at_once(lambda tacl, _: tacl.variables.informat[-1]),
    "#MYTERM": at_once(lambda tacl, _: tacl.console.window),
    "#IN": at_once(lambda tacl, _: tacl.console.window),
    "#OUT": at_once(lambda tacl, _: tacl.console.window),
    "WHO": at_once(_who),
    "TIME": at_once(_time),
    "STOP": at_once(_stop),
    "LOGON": _log_on,
    "LOGOFF": at_once(_log_off),
    "LOGOUT": at_once(_log_off),
    "EXIT": at_once(_log_off),
    "COMMENT": at_once(_nothing),
    "RUN": _run,
    "VTSREPLY": _reply,
}
"""All of them, by name."""
