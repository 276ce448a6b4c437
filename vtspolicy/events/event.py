"""An EMS event as a host shows it, and what could not be read as one."""

import hashlib
import re
from datetime import datetime

from attrs import field, frozen
from attrs.validators import in_

from vtspolicy.notices import Word

OWN_SUBSYSTEM = "VTS.POLICY."
"""The subsystem id of our own notices begins so: one that a host shows back is never a command."""
_ODD = r"[\x00-\x20\x7f-\xa0\u2000-\u200f\u2028-\u202f\u3000\ufeff]"
"""Blanks, what looks like one, as the no-break space does, and control characters."""
COMMAND_TEXT = re.compile(rf"{_ODD}*+VTSPolicy(?={_ODD}|\Z)", re.ASCII | re.IGNORECASE)
"""A text that begins so is meant as a command; a longer word, such as VTSPolicyX, is not.

Case and blanks need not be right: the parser answers such near misses.
"""
_NOTICE_TEXT = re.compile(
    rf"{_ODD}*+VTSPolicy{_ODD}++(?:{'|'.join(Word.__members__)})(?={_ODD}++[a-z]++=|{_ODD}*+\Z)",
    re.ASCII | re.IGNORECASE,
)
"""One of our notices, shown back in other letters or blanks."""
TAPE_SERVER = "$ZSVR"
SEQUENCELESS = frozenset({659, 705, 706})
"""Tape messages whose text does not begin with `$ZSVR:`: ESM mounts, and dismounts."""
_WRITER = re.compile(
    rf"\d{{1,5}},\d{{1,5}}[ \t]++\$[A-Za-z0-9]{{1,5}}:[ \t]*+(?={_ODD}*+VTSPolicy)",
    re.ASCII | re.IGNORECASE,
)


def is_written_plainly(ssid: str, number: int) -> bool:
    """Whether an event holds what was written plainly to the collector: TANDEM.EMS, 512.

    A display can show the subsystem by its number; any number passes (our decision).
    """
    if number != 512:
        return False
    owner, subsystem, *_ = ssid.split(".")
    return owner == "TANDEM" and (subsystem == "EMS" or subsystem.isdigit())


@frozen(kw_only=True)
class Event:
    """One event. A plain command (no header) has a text only: all fields of the header are None."""

    text: str  # the whole text, continuation lines joined by one blank, without BEL and NUL
    time: datetime | None = None  # generation time as displayed: local time of the host, or GMT
    system: str | None = None  # with its backslash: \NSK1
    process: str | None = None  # $NAME or cpu,pin
    ssid: str | None = None  # OWNER.SUBSYSTEM.VERSION
    number: int | None = None  # signed 16 bit
    critical: bool = False  # an asterisk in the display
    user: str | None = None  # who generated it, where the format can name it (JSON)
    action_needed: bool = False  # JSON only
    action_id: str | None = None  # JSON only
    id: str | None = None  # JSON only: the sender's own id, repeated in every notice about it
    wire: str = "ems"  # the format it came in: ems, json, syslog, or plain for a bare command
    replayed: bool = field(default=False, eq=False, repr=False)
    # shown by a distributor that was started from an earlier time: a repeat of it needs no answer
    lengths: range = field(default=range(0), eq=False, repr=False)
    # how many bytes the text may have been sent with, as blanks at its end may be the display's;
    # empty if that is not known

    @property
    def is_plain(self) -> bool:
        """Whether it came without a header, and so has no identity to de-duplicate by."""
        return self.time is None

    @property
    def writer(self) -> str:
        """The `cpu,pin $NAME: ` before a command that was written plainly to the collector."""
        if self.ssid is None or not is_written_plainly(self.ssid, self.number or 0):
            return ""
        match = _WRITER.match(self.text)
        return match[0] if match else ""

    @property
    def command(self) -> str:
        """The text as its writer sent it."""
        return self.text[len(self.writer) :]

    @property
    def is_own_notice(self) -> bool:
        """Whether it is one of our notices, shown back to us by a distributor.

        A host may post it again under a subsystem id of its own: the word shows it then. STATUS
        with `-` behind it is the verb in capitals, which the parser answers: STATUS - 42.
        """
        if self.ssid is not None and self.ssid.startswith(OWN_SUBSYSTEM):
            return True
        text = self.command
        if text.startswith("VTSPolicy "):
            word, _, rest = text[len("VTSPolicy ") :].partition(" ")
            in_capitals = word == Word.STATUS.name and rest.lstrip().startswith("-")
            return word in Word.__members__ and not in_capitals
        return _NOTICE_TEXT.match(text) is not None

    @property
    def is_command(self) -> bool:
        """Whether its text is meant as a command (which the text alone decides)."""
        return COMMAND_TEXT.match(self.command) is not None and not self.is_own_notice

    @property
    def is_mount(self) -> bool:
        """Whether it is a tape message: its text says so ($ZSVR:), or its process and number."""
        by_number = self.process == TAPE_SERVER and self.number in SEQUENCELESS
        return (by_number or self.text.startswith("$ZSVR:")) and not self.is_own_notice

    @property
    def is_candidate(self) -> bool:
        """Whether anything is done about it: a command or a tape message, and not our own."""
        return self.is_command or self.is_mount


REFUSED = ("line", "event", "header", "plain", "cut", "json", "syslog", "frame")
"""What refused input was, in one word for the metric."""


@frozen(kw_only=True)
class Refusal:
    """Input that could not become an event: it is counted and answered, and the connection kept."""

    kind: str = field(validator=in_(REFUSED))
    reason: str  # what was wrong and what is allowed, for the notice
    column: int | None = None  # where in the line, from 1
    text: str | None = None  # of an event whose last line lacks its end: all that has come
    answered: bool = True  # false where the answer could be shown back and refused again
    id: str | None = None  # the sender's id, where it could still be read


@frozen(kw_only=True)
class Acknowledgement:
    """The host's word that notices arrived (JSON connections only): they need not be sent again."""

    ids: tuple[int, ...]  # the notices' own numbers, in the order given


Item = Event | Refusal | Acknowledgement
"""What a decoder hands out."""


def identity(host: str, event: Event) -> bytes | None:
    """Return the 32 bytes by which a repeated event is known, or None for a plain command.

    Made of host, generation time, process, subsystem id, number and the whole text (our
    own decision); the system's name is part of the process's.
    """
    if event.time is None:
        return None
    parts = (
        host,
        event.time.isoformat(),
        f"{event.system}.{event.process}",
        event.ssid or "",
        str(event.number),
        event.text,
    )
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
