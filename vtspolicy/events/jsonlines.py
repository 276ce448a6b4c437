"""One JSON object a line becomes an event.

Required: time system process ssid number text. Optional: user critical action_needed action_id id.
`{"ack": 17}` or `{"ack": [17, 18]}` is the host's word that it has these notices.
"""

import json
import re
from collections.abc import Callable
from datetime import datetime

from vtspolicy.events.event import Acknowledgement, Event, Item
from vtspolicy.events.format import UNPRINTED, FormatDecoder
from vtspolicy.events.header import PROCESS, find_word, posix_year
from vtspolicy.events.limits import Counted, Limits
from vtspolicy.events.lines import Lines
from vtspolicy.suggest import did_you_mean

_NOT_PRINTED = dict.fromkeys(UNPRINTED)
_EMS_TIME = re.compile(r"(\d\d)-(\d\d)-(\d\d)[ \t]+(\d\d):(\d\d):(\d\d)", re.ASCII)
_ISO_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d", re.ASCII)
_SURROGATES = re.compile("[\ud800-\udfff]")
_LONGEST_WORD = 255  # of `user`, `id` and `action_id`, in characters

# A line in which none of these finds anything, in lower case, is neither a command nor a tape
# message nor an acknowledgement; a letter may hide behind a \u escape.
_SEARCHES: tuple[Callable[[bytes, int, int], int], ...] = (
    find_word,
    lambda lower, start, stop: lower.find(b'"ack"', start, stop),
    lambda lower, start, stop: lower.find(rb"\u", start, stop),
)


class _LineError(ValueError):
    """What is wrong with one line."""


def _time(value: object) -> datetime:
    if isinstance(value, str):
        value = value.strip()
        try:
            if match := _EMS_TIME.fullmatch(value):
                year, *rest = map(int, match.groups())
                return datetime(posix_year(year), *rest)  # type: ignore[arg-type]  # noqa: DTZ001 (five numbers; the host's own time)
            if _ISO_TIME.match(value):
                # A display names no zone either: what counts is the time as the host gives it.
                return datetime.fromisoformat(value).replace(tzinfo=None)
        except ValueError:
            pass
    raise _LineError("ISO, as 2026-11-22T02:14:09, or as a display shows it, 26-11-22 02:14:09")


def _shaped(pattern: str, expected: str) -> Callable[[object], str]:
    shape = re.compile(pattern, re.ASCII)

    def check(value: object) -> str:
        if isinstance(value, str) and shape.fullmatch(value):
            return value
        raise _LineError(expected)

    return check


def _number(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and -32768 <= value <= 32767:
        return value
    raise _LineError("a number from -32768 to 32767")


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise _LineError("true or false")


def _text(value: object) -> str:
    """Return the text as a display would give it, so that the same event has one identity."""
    if not isinstance(value, str):
        raise _LineError("a string")
    plain = _SURROGATES.sub("\ufffd", value.translate(_NOT_PRINTED))
    return " ".join(filter(None, (line.strip(" \t\r\v\f") for line in plain.split("\n"))))


def _word(value: object) -> str:
    """Return a name or number that somebody else chose, as a string of one line."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and 0 < len(value) <= _LONGEST_WORD and value.isprintable():
        return value
    raise _LineError(f"a string of 1 to {_LONGEST_WORD} printable characters, or a number")


def _system(value: object) -> str | None:
    """Return the system; null is from a sender without a system, such as `vtspolicy send`."""
    return None if value is None else _SYSTEM(value)


_SYSTEM = _shaped(r"\\[A-Za-z0-9]{1,8}", r"a system's name with its backslash, as \NSK1, or null")
_REQUIRED: dict[str, Callable[[object], object]] = {
    "time": _time,
    "system": _system,
    "process": _shaped(PROCESS, "$NAME or cpu,pin, as $ZBAT or 2,171"),
    "ssid": _shaped(
        r"[A-Za-z0-9-]{1,8}\.[A-Za-z0-9_-]{1,16}\.[A-Za-z]\d\d",
        "OWNER.SUBSYSTEM.VERSION, as TANDEM.TAPE.L01",
    ),
    "number": _number,
    "text": _text,
}
_OPTIONAL: dict[str, Callable[[object], object]] = {
    "user": _word,
    "critical": _flag,
    "action_needed": _flag,
    "action_id": _word,
    "id": _word,
}
_FIELDS = _REQUIRED | _OPTIONAL


class JsonDecoder(FormatDecoder):
    """Reads one connection's JSON lines. See `Decoder` for the methods' meaning."""

    wire: str | None = "json"
    pending = False  # a line is complete in itself

    def __init__(
        self,
        *,
        only_candidates: bool = True,
        limits: Limits | None = None,
        counted: Counted | None = None,
    ) -> None:
        super().__init__(only_candidates=only_candidates, limits=limits, counted=counted)
        self._lines = Lines(
            limit=self.limits.json_line,
            run=self._search if only_candidates else self._every,
            too_long=self._too_long,
        )

    def feed(self, data: bytes) -> list[Item]:
        """Take the next bytes."""
        if b"\0" in data or b"\a" in data:
            data = data.translate(None, UNPRINTED)
        self._lines.feed(data)
        return self._take()

    def settle(self) -> list[Item]:
        """Return nothing: there is nothing to wait for."""
        return []

    def close(self) -> list[Item]:
        """Take a last line without its end."""
        self._lines.close()
        return self._take()

    def _every(self, data: bytes, start: int, stop: int) -> None:
        for line in data[start : stop - 1].split(b"\n"):
            self._line(line)

    def _search(self, data: bytes, start: int, stop: int) -> None:
        """Read the lines with a word that matters; if all look like objects, only those."""
        if start or stop != len(data):
            data = data[start:stop]
        lines = data.count(b"\n")
        begun = data.count(b"\n{") + data.startswith(b"{")
        ended = data.count(b"}\n") + (data.count(b"}\r\n") if b"\r" in data else 0)
        if not lines == begun == ended:
            for line in map(bytes.strip, data.split(b"\n")):
                looks_whole = line.startswith(b"{") and line.endswith(b"}")
                lower = line.lower()
                if looks_whole and all(search(lower, 0, len(line)) < 0 for search in _SEARCHES):
                    self.counted.events += 1
                else:
                    self._line(line)
            return
        self.counted.events += lines
        position, stop, lower = 0, len(data), data.lower()
        following = [-1] * len(_SEARCHES)  # where each finds something next
        while position < stop:
            for index, search in enumerate(_SEARCHES):
                if following[index] < position:
                    found = search(lower, position, stop)
                    following[index] = stop if found < 0 else found
            hit = min(following)
            if hit == stop:
                return
            begin = data.rfind(b"\n", position, hit) + 1 or position
            position = data.find(b"\n", hit) + 1
            self.counted.events -= 1  # `_line` counts it
            self._line(data[begin : position - 1])

    def _line(self, line: bytes) -> None:
        line = line.strip().removeprefix(b"\xef\xbb\xbf")
        if not line:
            return
        self.counted.events += 1
        try:
            fields = _object(line)
        except _LineError as wrong:
            self._refuse("json", str(wrong))
            return
        sender = _id(fields)
        try:
            item = _acknowledgement(fields) if "ack" in fields else _event(fields)
        except _LineError as wrong:
            self._refuse("json", str(wrong), id=sender)
            return
        if isinstance(item, Event):
            if len(item.text.encode()) > self.limits.text:
                if item.is_candidate or not self._only_candidates:
                    self._refuse_long_text(sender)
                return
            if self._only_candidates and not item.is_candidate:
                return
        self._out.append(item)

    def _too_long(self, prefix: bytes) -> None:
        del prefix
        self.counted.events += 1
        self._refuse_long_line(self.limits.json_line)


def _object(line: bytes) -> dict[str, object]:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        text = line.decode("cp1252", errors="replace")
    try:
        value = json.loads(text, object_pairs_hook=_no_field_twice)
    except json.JSONDecodeError as error:
        raise _LineError(f"not JSON: {error.msg} at column {error.pos + 1}") from None
    except RecursionError:
        raise _LineError("not an event: lists or objects inside one another too deeply") from None
    except _LineError:
        raise
    except ValueError as error:  # a number of thousands of digits
        raise _LineError(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        found = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
        raise _LineError(f"not an object in braces but {found.get(type(value), 'a number')}")
    return value


def _no_field_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _LineError(f"the field {_shown(twice)} is there twice")
    return fields


def _id(fields: dict[str, object]) -> str | None:
    try:
        return _word(fields.get("id"))
    except _LineError:
        return None


def _acknowledgement(fields: dict[str, object]) -> Acknowledgement:
    ack = fields["ack"]
    ids = ack if isinstance(ack, list) else [ack]
    if len(fields) > 1:
        raise _LineError('"ack" has to be alone in its object')
    numbers = [n for n in ids if isinstance(n, int) and not isinstance(n, bool) and n >= 0]
    if len(numbers) < len(ids):
        raise _LineError('"ack" must be the number of a notice or a list of them')
    return Acknowledgement(ids=tuple(numbers))


def _event(fields: dict[str, object]) -> Event:
    for name in fields:
        if name not in _FIELDS:
            hint = did_you_mean(name, _FIELDS) or f"known are {', '.join(_FIELDS)}"
            raise _LineError(f"unknown field {_shown(name)}: {hint}")
    missing = [name for name in _REQUIRED if name not in fields]
    if missing:
        raise _LineError(f"missing field {', '.join(missing)}")
    values: dict[str, object] = {}
    for name, value in fields.items():
        if value is None and name in _OPTIONAL:
            continue
        try:
            values[name] = _FIELDS[name](value)
        except _LineError as expected:
            found = json.dumps(value, ensure_ascii=False)
            raise _LineError(f"field {name} must be {expected}; it is {_shown(found)}") from None
    sent = str(fields["text"]).rstrip("\r\n")
    values["lengths"] = range(_bytes(str(values["text"])), _bytes(sent) + 1)
    return Event(**values, wire="json")  # type: ignore[arg-type]  # each was checked by its own function


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _shown(found: str) -> str:
    short = found if len(found) <= 40 else found[:37] + "..."
    return "".join(c if c.isprintable() else "?" for c in short)
