"""Files that a TACL program opens: the collector, and a consumer distributor.

Documented: `#REQUESTER READ` opens a file with three variables, gives 0 or the error of the file
system, and reads nothing yet; each line that is appended to the third is sent with a WRITEREAD, and
the answer is appended to the second; an error is put into the first, and then nothing more is sent;
the buffer has 239 bytes, or as many as `WAIT` says, 132 to 5000, and what is longer is cut without
a word; text that is sent to the collector is a console text. `CLOSE` needs one of the variables.

Ours: only requesters that wait are simulated; error 2 for a message that was cut or is no message;
that an answer of the collector is an empty line; that a variable which is read before there is an
answer is an error.
"""

from collections.abc import Mapping

from attrs import define

from vtspolicy.testing.nonstop.consumer import Consumer
from vtspolicy.testing.nonstop.dialogue import Dialogue, Wait
from vtspolicy.testing.nonstop.lexical import END, shown
from vtspolicy.testing.nonstop.options import (
    nothing_more,
    take_options,
    take_string,
    take_word,
)
from vtspolicy.testing.nonstop.spi import TRUE, Message, answer
from vtspolicy.testing.nonstop.tacl import Tacl, Word, at_once
from vtspolicy.testing.nonstop.variables import Struct, TaclError

NO_SUCH_DEVICE = 14
INVALID_OPERATION = 2

USUAL_SIZE = 239
SMALLEST, LARGEST = 132, 5000


@define
class Requester:
    """A file that is open."""

    consumer: Consumer | None  # None: the collector
    size: int
    error: str  # names of variables
    read: str
    prompt: str
    answers: list[object]  # texts and messages that were not extracted yet


def _requester(tacl: Tacl, rest: str) -> str:
    options, rest = take_options(rest, "WAIT")
    if "WAIT" not in options:
        raise TaclError("#REQUESTER without WAIT is not simulated")
    verb, rest = take_word(rest)
    if verb.upper() == "CLOSE":
        return _close(tacl, rest)
    if verb.upper() != "READ":
        raise TaclError(f"#REQUESTER {shown(verb)} is not simulated")
    size = options["WAIT"] or str(USUAL_SIZE)
    if not size.isdecimal() or not SMALLEST <= int(size) <= LARGEST:
        raise TaclError(f"The size of a buffer is {SMALLEST} to {LARGEST}")
    file, *names = rest.upper().split()
    if len(names) != 3:
        raise TaclError("#REQUESTER READ needs a file and three variables")
    for name in names:
        tacl.variables.text(name)
        tacl.variables.set(name, "")
        if tacl.requesters.get(name) is not None:
            raise TaclError(f"{name} belongs to another requester")
    consumer = None
    if file.removeprefix(f"{tacl.console.system.settings.name.upper()}.") != "$0":
        consumer = _consumer(tacl, file)
        if consumer is None:
            return str(NO_SUCH_DEVICE)
    error, read, prompt = names
    opened = Requester(consumer, int(size), error, read, prompt, [])
    tacl.requesters.update(dict.fromkeys(names, opened))
    return "0"


def _consumer(tacl: Tacl, file: str) -> Consumer | None:
    name, _, qualifier = file.partition(".")
    for process in tacl.console.processes:
        if isinstance(process, Consumer) and process.name == name and qualifier == "#ZSPI":
            return process
    return None


def _close(tacl: Tacl, rest: str) -> str:
    name, rest = take_word(rest)
    nothing_more(rest)
    requester = _of(tacl, name)
    for each in (requester.error, requester.read, requester.prompt):
        tacl.requesters.pop(each, None)
    return "0"


def _of(tacl: Tacl, name: str) -> Requester:
    found = tacl.requesters.get(name.upper())
    if not isinstance(found, Requester):
        raise TaclError(f"{shown(name)} belongs to no requester")
    return found


def _appendv(tacl: Tacl, rest: str) -> Dialogue[str]:
    name, rest = take_word(rest)
    requester = _of(tacl, name)
    if name.upper() != requester.prompt:
        raise TaclError(f"{shown(name)} is not what a requester sends")
    source, _ = take_word(rest)
    sent: object
    if source in tacl.variables and isinstance(tacl.variables.top(source), Struct):
        sent = tacl.variables.struct(source).content
    else:
        sent, more = take_string(rest, tacl.variables)
        nothing_more(more)
    if tacl.variables.text(requester.error):
        return ""  # nothing is sent until the error is cleared
    error = yield from _write_read(tacl, requester, sent)
    if error:
        tacl.variables.set(requester.error, str(error))
    return ""


def _write_read(tacl: Tacl, requester: Requester, sent: object) -> Dialogue[int]:
    """Send; keep the answer; return the error of the file system."""
    consumer = requester.consumer
    if consumer is None and isinstance(sent, str):
        tacl.console.system.write_plainly(shown(sent)[: requester.size])
        requester.answers.append("")
        return 0
    if not isinstance(sent, Message) or sent.size > requester.size:
        return INVALID_OPERATION
    if consumer is None:
        if not sent.is_event:
            return INVALID_OPERATION
        tacl.console.system.post(
            sent.tokens["ZEMS^TKN^TEXT"],
            number=sent.number,
            process=PROCESS,
            ssid=sent.ssid,
            critical=sent.tokens.get("ZEMS^TKN^EMPHASIS") == TRUE,
        )
        requester.answers.append("")
        return 0
    if sent.is_event or sent.number != GETEVENT:
        return INVALID_OPERATION
    if sent.tokens.get("ZEMS^TKN^EOFSTOP") != TRUE:
        yield Wait(lambda: bool(consumer.waiting) or not consumer.is_running)
        tacl.waited()
    if not consumer.is_running:
        return NO_SUCH_DEVICE
    event = consumer.waiting.popleft() if consumer.waiting else None
    requester.answers.append(answer(sent, event))
    return 0


GETEVENT = 3
PROCESS = "01,042"
"""How a display shows who has posted an event."""


def _extractv(tacl: Tacl, rest: str) -> str:
    name, rest = take_word(rest)
    target, rest = take_word(rest)
    nothing_more(rest.replace(END, " "))
    requester = _of(tacl, name)
    if name.upper() != requester.read:
        raise TaclError(f"{shown(name)} is not what a requester reads")
    if not requester.answers:
        if tacl.variables.text(requester.error):
            return ""
        raise TaclError("Nothing was sent that could be answered")
    extracted = requester.answers.pop(0)
    level = tacl.variables.top(target)
    if isinstance(level, Struct):
        fits = isinstance(extracted, Message) and extracted.size <= level.size
        level.content = extracted if fits else None
    elif isinstance(extracted, str):
        tacl.variables.set(target, extracted)
    else:
        raise TaclError(f"{shown(target)} is not a STRUCT")
    return ""


REQUESTERS: Mapping[str, Word] = {
    "#APPENDV": _appendv,
    "#EXTRACTV": at_once(_extractv),
    "#REQUESTER": at_once(_requester),
}
