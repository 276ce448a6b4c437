"""Notices: what the host gets about its commands, and how that looks on the wire."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from functools import lru_cache

from attrs import field, frozen

TEXT_LIMIT = 240
"""The longest text of a notice, in characters."""

KEYS = (
    *("req", "again", "jobs", "job", "ref", "family", "operation", "tape", "ok", "warn", "failed"),
    *("rc", "attempt", "in", "secs", "pct", "notbefore", "column", "reason"),
    *("node", "id"),
)
"""The keys of a notice in the order in which they are written; absent ones are left out."""

NUMBERS = frozenset(
    {
        *("req", "again", "jobs", "job", "ok", "warn", "failed", "rc", "attempt", "in", "secs"),
        *("pct", "column"),
    }
)
"""The keys whose values are whole numbers."""

NODE_KEYS = ("seq", *KEYS)
"""Mount notices name their request first: `MOUNTREADY seq=`."""


class Word(Enum):
    """The words of the notices with their event numbers, and whether people must act."""

    ACCEPTED = 1001
    DUPLICATE = 1002
    REJECTED = 1101
    DENIED = 1102
    NORULE = 1103
    STARTED = 1201
    PROGRESS = 1202
    RETRYING = 1203
    COMPLETED = 1301
    WARNING = 1302
    FAILED = 1303
    CANCELLED = 1304
    TIMEDOUT = 1305
    INTERRUPTED = 1306
    MOUNTREADY = 1401
    MOUNTFAILED = 1402
    STATUS = 1501
    HEARTBEAT = 1901

    @property
    def number(self) -> int:
        """The event number."""
        return self.value

    @property
    def is_final(self) -> bool:
        """Whether it ends its request."""
        return 1300 <= self.value < 1400

    @property
    def is_answer(self) -> bool:
        """Whether it is the first answer to a command, for its sender."""
        return self.value < 1200 or self is Word.STATUS

    @property
    def is_progress(self) -> bool:
        """Whether only hosts with `notices: all` get it."""
        return 1200 <= self.value < 1300

    @property
    def needs_action(self) -> bool:
        """Whether somebody has to look (FAILED, TIMEDOUT, INTERRUPTED)."""
        return self in {Word.FAILED, Word.TIMEDOUT, Word.INTERRUPTED}


WHEN: Mapping[Word, str] = {
    Word.ACCEPTED: "the command is recorded; `jobs=` is how many jobs it became",
    Word.DUPLICATE: "this event was seen before; `req=` is the first one",
    Word.REJECTED: "not a command of the language; `column=` and `reason=` say what was expected",
    Word.DENIED: "a rule, the host's rights or the state of what is named forbids it",
    Word.NORULE: "no rule matches",
    Word.STARTED: "an attempt of a job begins",
    Word.PROGRESS: "how far a job is; at most one a minute and job",
    Word.RETRYING: "an attempt failed, and the next one follows in `in=` seconds",
    Word.COMPLETED: "all jobs succeeded",
    Word.WARNING: "all is done, with warnings; or there was nothing to do",
    Word.FAILED: "a job failed",
    Word.CANCELLED: "an operator or the host stopped it",
    Word.TIMEDOUT: "a time-out passed",
    Word.INTERRUPTED: "the machine stopped it, or its application may still run it: not run again",
    Word.MOUNTREADY: "a recalled tape can be mounted",
    Word.MOUNTFAILED: "a recalled tape cannot be mounted",
    Word.STATUS: "the answer to `VTSPolicy Status`",
    Word.HEARTBEAT: "the link was idle for as long as the host's `keepalive` says",
}
"""When each is sent, for people."""

KEY_HELP: Mapping[str, str] = {
    "seq": "the host's number of the mount request, in mount notices",
    "req": "the number of the request",
    "again": "the first request of work that an operator has run again; it has no ref=",
    "jobs": "how many jobs the request became",
    "job": "the number of the job, if the notice is about one",
    "ref": "the host's own reference, repeated",
    "family": "the family or verb of the command",
    "operation": "its operation",
    "tape": "the tape or pool; a list of tapes in the first notice only",
    "ok": "how many jobs succeeded",
    "warn": "how many ended with warnings",
    "failed": "how many ended in any other way",
    "rc": "the exit code of the application",
    "attempt": "the number of the attempt, from 1",
    "in": "seconds until the next attempt",
    "secs": "seconds from the first start of the job; from the command, if it became several jobs",
    "pct": "the percentage done",
    "notbefore": "when the first of its jobs may start, where hours keep all of them waiting",
    "column": "where the mistake is, from 1, in the text as sent",
    "reason": "why; of several jobs, that of the first which ended in the worst way",
    "node": "the server that answers, on a dialled host, which several may dial",
    "id": "the `id` of the JSON event, repeated",
}
"""What each key says, for people."""

FINAL_WORDS = tuple(word for word in Word if word.is_final)


@frozen(kw_only=True)
class Notice:
    """One notice, before it is put into the form of a connection."""

    word: Word  # what happened
    host: str  # the configured host that it is for
    fields: Mapping[str, str | int] = field(factory=dict)  # a subset of KEYS (and seq)
    id: int | None = None  # its number in the ledger, once it is recorded
    created: float = 0.0  # when, seconds since the epoch


_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\U000e0000-\U000e007f]+"
)
"""What ends a line, steers a terminal, turns the direction of a text, or cannot be seen."""


def _clean(value: str | int) -> str:
    """One line without quotes of its own: a value can never end its field or its notice."""
    if isinstance(value, int):
        return str(value)
    if value.isprintable() and '"' not in value:
        return value.strip()
    return _CONTROL.sub(" ", value).replace('"', "'").strip()


def _pair(key: str, value: str) -> str:
    return f'{key}="{value}"' if not value or " " in value else f"{key}={value}"


_AS_RC_SAYS = re.compile(r"^exit code -?\d+(, which the table does not list)?: (?=.)")
"""What of a reason the key `rc` says as well: it must not push out the cause behind it."""


def text(notice: Notice, *, limit: int = TEXT_LIMIT, measure: Callable[[str], int] = len) -> str:
    """Return the text of a notice: `VTSPolicy WORD key=value ...`, at most 240 characters.

    A reason that is too long loses what `rc` says as well, then it is cut and ends in `...`; should
    the rest still be too long, the other values are cut one by one, the longest first, never a
    number, `ref` or `id`.

    Where a text has less room, `limit` says how much, and `measure` how much of it a text takes: at
    least one for each character.
    """
    values = {
        key: _clean(notice.fields[key])
        for key in NODE_KEYS
        if key in notice.fields and notice.fields[key] is not None
    }
    line = _line(notice.word, values)
    if measure(line) > limit and "rc" in values and "reason" in values:
        values["reason"] = _AS_RC_SAYS.sub("", values["reason"])
        line = _line(notice.word, values)
    for key in ("reason", "tape", "operation", "family"):
        surplus = measure(line) - limit
        if surplus <= 0:
            break
        if key in values:
            # Quotes may come with the dots; two characters are kept for them.
            keep = max(len(values[key]) - surplus - 5, 0)
            values[key] = values[key][:keep].rstrip() + "..."
            line = _line(notice.word, values)
    while measure(line) > limit:
        line = line[:-1]
    return line


def _line(word: Word, values: Mapping[str, str]) -> str:
    return " ".join(["VTSPolicy", word.name, *(_pair(k, v) for k, v in values.items())])


@lru_cache(maxsize=16)
def system_name(node: str) -> str:
    r"""Return `\NODE` for a node's name: its first label, in capitals, letters and digits only."""
    label = re.sub(r"[^A-Za-z0-9]", "", node.split(".", maxsplit=1)[0]).upper()
    return "\\" + (label or "VTS")


def ems_line(notice: Notice, *, node: str, at: datetime) -> bytes:
    """Return the notice as one display line with its line feed; `at` is local time."""
    return _encoded(
        f"{_header(node, at.replace(microsecond=0))} {notice.word.number} {text(notice)}\n"
    )


@lru_cache(maxsize=16)
def _header(node: str, at: datetime) -> str:
    """Return how the notices of one second begin."""
    return f"{at:%y-%m-%d %H:%M:%S} {system_name(node)}.$VTSP VTS.POLICY.A01"


def json_line(notice: Notice, *, node: str, at: datetime) -> bytes:
    """Return the notice as one JSON object with its line feed.

    The fields of a JSON event, with the notice's keys beside them; `notice` is the number by which
    a session acknowledges it.
    """
    record: dict[str, object] = {
        "time": at.isoformat(timespec="seconds"),
        "system": system_name(node),
        "process": "$VTSP",
        "ssid": "VTS.POLICY.A01",
        "number": notice.word.number,
        "text": text(notice),
        "word": notice.word.name,
        "action_needed": notice.word.needs_action,
    }
    if notice.id is not None:
        record["notice"] = notice.id
    fields = {key: notice.fields[key] for key in NODE_KEYS if key in notice.fields}
    record.update(
        {
            key: _CONTROL.sub(" ", each) if isinstance(each, str) else each
            for key, each in fields.items()
        }
    )
    return _encoded(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")


def _encoded(line: str) -> bytes:
    """Return the bytes of a line; what is not a character in a name on the disk is `?`."""
    return line.encode("utf-8", "replace")


@frozen(kw_only=True)
class ReceivedNotice:
    """One notice as the other side of a connection has it: the same facts, read from the wire."""

    word: Word  # what happened
    fields: Mapping[str, str | int]  # those of NODE_KEYS that it has, NUMBERS as numbers
    time: datetime  # when it was written, local time of the node
    system: str  # the node, with its backslash
    text: str  # `VTSPolicy WORD ...`
    number: int | None = None  # by which a JSON session acknowledges it


_DISPLAY = re.compile(
    r"(?P<time>\d\d-\d\d-\d\d \d\d:\d\d:\d\d) (?P<system>\\[^ .]+)\.\$VTSP"
    r" VTS\.POLICY\.[A-Z]\d\d \d+ (?P<text>VTSPolicy (?P<word>[A-Z]+)(?: .*)?)"
)
_FIELD = re.compile(r' ([a-z]+)=(?:"([^"]*)"?|([^ ]*))')


def read_line(line: bytes) -> ReceivedNotice | None:
    """Return the notice of a line that `ems_line` or `json_line` wrote; None for any other line.

    A value that was cut with its text, at 240 characters, is what is left of it.
    """
    shown = line.decode("utf-8", "replace").rstrip("\r\n")
    return _read_json(shown) if shown.startswith("{") else _read_display(shown)


def _read_display(line: str) -> ReceivedNotice | None:
    found = _DISPLAY.fullmatch(line)
    if found is None or found["word"] not in Word.__members__:
        return None
    try:
        # A display names no zone: it is the node's own time.
        written = datetime.strptime(found["time"], "%y-%m-%d %H:%M:%S")  # noqa: DTZ007
    except ValueError:
        return None
    pairs = ((key, quoted or bare) for key, quoted, bare in _FIELD.findall(found["text"]))
    return ReceivedNotice(
        word=Word[found["word"]],
        fields={key: _value(key, value) for key, value in pairs if key in NODE_KEYS},
        time=written,
        system=found["system"],
        text=found["text"],
    )


def _read_json(line: str) -> ReceivedNotice | None:
    try:
        record = json.loads(line)
        word = Word[record["word"]]
        number = record.get("notice")
        return ReceivedNotice(
            word=word,
            fields={
                key: _value(key, record[key])
                for key in NODE_KEYS
                if isinstance(record.get(key), str | int)
            },
            time=datetime.fromisoformat(record["time"]),
            system=str(record["system"]),
            text=str(record["text"]),
            number=number if isinstance(number, int) else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _value(key: str, value: str | int) -> str | int:
    if key in NUMBERS and isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value):
        return int(value)
    return value


def present(**fields: str | int | None) -> dict[str, str | int]:
    """Return the fields of a notice that have a value."""
    return {key: value for key, value in fields.items() if value is not None}
