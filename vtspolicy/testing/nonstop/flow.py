"""What steers a TACL program: routines, their arguments, choices, loops, waits, and its end.

Documented: `#IF`, `#CASE` and `#LOOP` with their labels; `#DEF` of a ROUTINE, a TEXT or a STRUCT;
`#FRAME` and `#UNFRAME`; `#ARGUMENT`, which gives the number of the alternative that fits, with
`/VALUE/` and `/TEXT/`; `#MORE`, `#REST`, `#RESULT`, `#RETURN`; `#DELAY` in hundredths of a second;
`#JULIANTIMESTAMP` in microseconds; `#MYPID`, `#PROCESS`; `#STOP` with `COMPLETIONCODE`, which ends
the process that is named, and of itself only says with which code.

Ours: `SINK` drops the result of what it is given; the alternatives are NUMBER, WORD, KEYWORD, TEXT,
COMMA, END and OTHERWISE; a STRUCT has items of BYTE, CHAR and INT; `#CASE` without a label that
fits is an error; the process number; that a session ends when its TACL does.
"""

import re
from collections.abc import Mapping

from vtspolicy.testing.nonstop.dialogue import Dialogue, Wait
from vtspolicy.testing.nonstop.expressions import compute
from vtspolicy.testing.nonstop.lexical import BLANK, END, enclosed, shown
from vtspolicy.testing.nonstop.options import nothing_more, take_number, take_options, take_word
from vtspolicy.testing.nonstop.strings import truth
from vtspolicy.testing.nonstop.tacl import Call, ReturnedError, StoppedError, Tacl, Word, at_once
from vtspolicy.testing.nonstop.variables import Level, Routine, Struct, TaclError

MYPID = "1,42"
"""The number of TACL's own process; ours."""

_EPOCH = 210_866_760_000_000_000
"""The Julian timestamp at which Unix begins to count."""

# Choices and loops


def _if(tacl: Tacl, rest: str) -> str:
    condition, bodies = _cut(rest, "THEN", "ELSE")
    if "THEN" not in bodies:
        raise TaclError("#IF needs |THEN|")
    return bodies["THEN"] if compute(shown(condition), tacl.variables) else bodies.get("ELSE", "")


def _case(_tacl: Tacl, rest: str) -> str:
    (_, text), *labelled = enclosed(rest)
    text = " ".join(shown(text).upper().split())
    for label, body in labelled:
        if text in label.split() or label == "OTHERWISE":
            return body
    raise TaclError(f"No label of #CASE fits {text[:40]}")


def _loop(tacl: Tacl, rest: str) -> Dialogue[str]:
    before, bodies = _cut(rest, "WHILE", "DO", "UNTIL")
    nothing_more(before)
    if "DO" not in bodies or bodies.keys() == {"DO"}:
        raise TaclError("#LOOP needs |DO|, and |WHILE| or |UNTIL|")
    while True:
        if "WHILE" in bodies and not (yield from _holds(tacl, bodies["WHILE"])):
            return ""
        yield from tacl.execute(bodies["DO"])
        if "UNTIL" in bodies and (yield from _holds(tacl, bodies["UNTIL"])):
            return ""


def _holds(tacl: Tacl, condition: str) -> Dialogue[bool]:
    return compute(shown((yield from tacl.expand(condition))), tacl.variables) != 0


def _cut(text: str, *known: str) -> tuple[str, dict[str, str]]:
    (_, before), *labelled = enclosed(text)
    for label, _body in labelled:
        if label not in known:
            raise TaclError(f"|{shown(label)}| is not one of {', '.join(known)}")
    return before, dict(labelled)


# Definitions


def _def(tacl: Tacl, rest: str) -> str:
    name, rest = take_word(rest)
    found = _TYPE.match(rest)
    if found is None:
        raise TaclError("#DEF needs a name and a type")
    tacl.variables.push(name, define(found[1], rest[found.end() :]))
    return ""


_TYPE = re.compile(rf"[ {END}]*([A-Za-z]+)[ {END}]*")


def define(kind: str, body: str) -> Level:
    """Return a level of a type, by its name. Raises TaclError."""
    kind = kind.upper()
    if kind == "STRUCT":
        return _struct(shown(body))
    (_, before), *labelled = enclosed(body)
    if labelled:
        if before or len(labelled) > 1 or labelled[0][0] != "BODY":
            raise TaclError(f"|BODY| is the one label of a {kind}")
        body = labelled[0][1]
    if kind == "ROUTINE":
        return Routine(body)
    if kind == "TEXT":
        return body
    raise TaclError(f"The type {shown(kind)} is not simulated")


_STRUCT = re.compile(r"\s*BEGIN\s(?P<items>.*)\sEND\s*;?\s*", re.IGNORECASE | re.DOTALL)
_ITEM = re.compile(
    r"(?P<type>BYTE|CHAR|INT)\s+(?P<name>[A-Z^_][A-Z0-9^_]*)"
    r"(?:\s*\(\s*(?P<first>\d{1,5})\s*:\s*(?P<last>\d{1,5})\s*\))?",
    re.IGNORECASE,
)
_SIZES = {"BYTE": 1, "CHAR": 1, "INT": 2}


def _struct(body: str) -> Struct:
    found = _STRUCT.fullmatch(body)
    if found is None:
        raise TaclError("A STRUCT begins with BEGIN and ends with END;")
    size, items = 0, {}
    for text in found["items"].split(";"):
        if not text.strip():
            continue
        item = _ITEM.fullmatch(text.strip())
        if item is None:
            raise TaclError(f"{' '.join(text.split())[:40]} is not simulated in a STRUCT")
        count = int(item["last"]) - int(item["first"]) + 1 if item["first"] else 1
        if count < 1:
            raise TaclError("An array ends where it begins, or later")
        items[item["name"].upper()] = size
        size += count * _SIZES[item["type"].upper()]
    return Struct(size, items)


def _frame(tacl: Tacl, rest: str) -> str:
    nothing_more(rest)
    tacl.variables.frames.append([])
    return ""


def _unframe(tacl: Tacl, rest: str) -> str:
    nothing_more(rest)
    depth = len(tacl.variables.frames)
    if not depth:
        raise TaclError("There is no #FRAME")
    tacl.variables.unframe(depth - 1)
    return ""


# Routines


def _running(tacl: Tacl) -> Call:
    if not tacl.calls:
        raise TaclError("This function is only for routines")
    return tacl.calls[-1]


def _return(tacl: Tacl, rest: str) -> str:
    nothing_more(rest)
    _running(tacl)
    raise ReturnedError


def _result(tacl: Tacl, rest: str) -> str:
    _running(tacl).results.append(rest.strip(" "))
    return ""


def _rest(tacl: Tacl, rest: str) -> str:
    nothing_more(rest)
    return _running(tacl).arguments.strip(" ")


def _more(tacl: Tacl, rest: str) -> str:
    nothing_more(rest)
    return truth(bool(_running(tacl).arguments.strip(f" {BLANK}")))


_ALTERNATIVE = re.compile(r"\s*(?P<word>[A-Z]+)(?:\s*/(?P<options>[^/]*)/)?", re.IGNORECASE)


def _argument(tacl: Tacl, rest: str) -> str:
    call = _running(tacl)
    options, rest = take_options(rest, "VALUE", "TEXT")
    alternatives = _alternatives(shown(rest))
    arguments = call.arguments.lstrip(f" {BLANK}")
    for number, (word, choices) in enumerate(alternatives, 1):
        if word == "OTHERWISE":
            return str(number)
        found = _taken(tacl, word, choices, arguments)
        if found is not None:
            length, value = found
            call.arguments = arguments[length:]
            for option, kept in (("VALUE", value), ("TEXT", arguments[:length].strip(" "))):
                if option in options:
                    tacl.variables.text(options[option])
                    tacl.variables.set(options[option], kept)
            return str(number)
    wanted = " or ".join(word for word, _ in alternatives)
    raise TaclError(f"Expecting {wanted}, and not {shown(arguments)[:40] or 'the end'}")


def _alternatives(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(text.rstrip()):
        each = _ALTERNATIVE.match(text, at)
        if each is None or each["word"].upper() not in _KNOWN:
            raise TaclError(f"The alternative {text[at:].strip()[:20]} is not simulated")
        found.append((each["word"].upper(), each["options"] or ""))
        at = each.end()
    if not found:
        raise TaclError("#ARGUMENT needs an alternative")
    return found


_KNOWN = ("NUMBER", "WORD", "KEYWORD", "TEXT", "COMMA", "END", "OTHERWISE")


def _taken(tacl: Tacl, word: str, choices: str, arguments: str) -> tuple[int, str] | None:
    """Return how many characters an alternative takes, and its value; None: it does not fit."""
    if word == "END":
        return None if arguments.strip(f" {BLANK}{END}") else (len(arguments), "")
    if word == "COMMA":
        return (1, ",") if arguments.startswith(",") else None
    if word == "TEXT":
        text = arguments.strip(f" {BLANK}")
        return (len(arguments), text) if text else None
    found = re.match(rf"[^ {BLANK}{END},/;()]+", arguments)
    if found is None:
        return None
    if word == "KEYWORD":
        fits = found[0].upper() in choices.upper().split()[1:]
        return (found.end(), found[0].upper()) if fits else None
    if word == "WORD":
        return found.end(), found[0]
    try:
        value, _ = take_number(found[0], tacl.variables)
    except TaclError:
        return None
    for option in choices.upper().split(","):
        bound, _, limit = option.strip().partition(" ")
        if (bound == "MINIMUM" and value < int(limit)) or (
            bound == "MAXIMUM" and value > int(limit)
        ):
            return None
    return found.end(), str(value)


# Processes and time


def _delay(tacl: Tacl, rest: str) -> Dialogue[str]:
    hundredths = compute(shown(rest), tacl.variables)
    if hundredths < 0:
        raise TaclError("A time is not negative")
    yield Wait(seconds=hundredths / 100)
    tacl.waited()
    return ""


def _julian(tacl: Tacl, rest: str) -> str:
    nothing_more(rest)
    return str(round(tacl.console.system.settings.now().timestamp() * 1_000_000) + _EPOCH)


def _stop(tacl: Tacl, rest: str) -> str:
    options, rest = take_options(rest, "COMPLETIONCODE")
    process, _text = take_word(rest)
    if process != MYPID:
        raise TaclError("#STOP is simulated for [#MYPID] alone")
    code, _ = take_number(options.get("COMPLETIONCODE", "0"), tacl.variables)
    tacl.completion_code = code
    tacl.failed = code not in (0, 1)
    tacl.console.system.tell("stopped", terminal=tacl.console.window, code=code)
    raise StoppedError


FLOW: Mapping[str, Word] = {
    "#ARGUMENT": at_once(_argument),
    "#CASE": at_once(_case),
    "#DEF": at_once(_def),
    "#DELAY": _delay,
    "#FRAME": at_once(_frame),
    "#IF": at_once(_if),
    "#JULIANTIMESTAMP": at_once(_julian),
    "#LOOP": _loop,
    "#MORE": at_once(_more),
    "#MYPID": at_once(lambda _tacl, _rest: MYPID),
    "#PROCESS": at_once(lambda tacl, _rest: tacl.console.newest),
    "#REST": at_once(_rest),
    "#RESULT": at_once(_result),
    "#RETURN": at_once(_return),
    "#STOP": at_once(_stop),
    "#UNFRAME": at_once(_unframe),
    "SINK": at_once(lambda _tacl, _rest: ""),
}
