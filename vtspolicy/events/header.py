r"""The first line of an event in a distributor's display: its header, and how its bytes are read.

    YY-MM-DD HH:MM:SS \SYSTEM.PROCESS OWNER.SUBSYSTEM.VERSION NUMBER text

Fields are between blanks, in no fixed columns (docs/explanation/ems.md).
"""

import re
from datetime import datetime

from attrs import frozen

from vtspolicy.events.event import (
    OWN_SUBSYSTEM,
    SEQUENCELESS,
    TAPE_SERVER,
    Event,
    is_written_plainly,
)

STAMP = re.compile(rb"\d\d-\d\d-\d\d[ \t]+\d\d:\d\d:\d\d")
"""A line that begins so begins an event; every other line continues one."""
DATE = re.compile(rb"\d\d-\d\d-\d\d[ \t]")

# Blanks, what looks like one, and control characters: in UTF-8, and the no-break space of Latin-1.
_ODD = (
    rb"(?:[\x00-\x20\x7f\xa0]|\xc2[\x80-\xa0]|\xe2\x80[\x80-\x8f\xa8-\xaf]"
    rb"|\xe3\x80\x80|\xef\xbb\xbf)"
)
_WORD = rb"(?i:VTSPolicy)(?=" + _ODD + rb"|\Z)"
PLAIN = re.compile(rb"VTSPolicy(?=\s|\Z)")
"""A line that begins so is a plain command, if no header has to be before it."""
NEAR_PLAIN = re.compile(_WORD)
"""The same, with letters or a blank that are not right."""
COMMAND = re.compile(_ODD + rb"*+" + _WORD)
"""What a text begins with that is meant as a command; the parser says what is wrong with it."""
CANDIDATE = re.compile(COMMAND.pattern + rb"|\$ZSVR:")
"""What a text begins with when anything is to be done about it."""
_WRITER = rb"\d{1,5},\d{1,5}[ \t]++\$[A-Za-z0-9]{1,5}:"
_WRITTEN = re.compile(_WRITER + rb"(?:" + COMMAND.pattern + rb"|[ \t]*+\Z)")
_WRITER_ALONE = re.compile(rb"(?:\d{1,5},\d{1,5}(?:[ \t]++\$[A-Za-z0-9]{1,5}:)?)?[ \t]*+\Z")
_LAST_LINE = re.compile(
    rb"\s*+(?:(?:(?:\d{1,5},\d{1,5}[ \t]++)?\$[A-Za-z0-9]{1,5}:)?" + COMMAND.pattern + rb"|\$ZSVR:)"
)
_SEQUENCE = rb"\x1b\[[0-9;?]{0,16}[@-~]"  # of a terminal: a colour, the place of the cursor
_BEFORE = re.compile(rb"(?>(?:" + _SEQUENCE + rb"|" + _ODD + rb")+)(?=\d\d-\d\d-\d\d[ \t])")
_BEFORE_PLAIN = re.compile(rb"(?>(?:" + _SEQUENCE + rb"|" + _ODD + rb")+)(?=" + _WORD + rb")")

# What both words have in common, so that one search at the speed of `memchr` finds either; two
# calls of `bytes.find` take more than twice as long. Lower case: letters need not be right.
_ANY_WORD = re.compile(rb"v(?:tspolicy|r)")
_T = ord("t")

_SHOWN = 80  # the most bytes of a header that is none that a notice repeats

PROCESS = r"(?:\$[A-Za-z0-9][A-Za-z0-9.\#:]{0,34}|\d{1,5},\d{1,5})"
"""A process: its name, or the numbers of its processor and in it, zero-filled or not."""

# Possessive repeats (`++`): a line of eight thousand blanks must not be tried twice.
_HEADER = re.compile(
    rb"""
    (\d\d)-(\d\d)-(\d\d) [ \t]++ (\d\d):(\d\d):(\d\d) [ \t]++
    (\\[A-Za-z0-9]{1,8}) \. (%b)
    (?: [ \t]*+ (\*) [ \t]*+ | [ \t]++ )
    ([A-Za-z0-9-]{1,8} \. [A-Za-z0-9_-]{1,16} \. [A-Za-z]\d\d)
    (?: [ \t]*+ (\*) [ \t]*+ | [ \t]++ )
    ([+-]?\d{1,6}) (?: [ \t\r\n]++ | \Z )
    """
    % PROCESS.encode(),
    re.VERBOSE,
)
# A header with another date or time: a distributor that was told another form.
_FOREIGN = re.compile(
    rb"""
    ((?: [^\s\\]{1,32} [ \t]++ ){1,3}
        \\[A-Za-z0-9]{1,8} \. %b (?: [ \t]*+ \* [ \t]*+ | [ \t]++ )
        [A-Za-z0-9-]{1,8} \. [A-Za-z0-9_-]{1,16} \. [A-Za-z]\d\d
        (?: [ \t]*+ \* [ \t]*+ | [ \t]++ ) [+-]?\d{1,6} )
    [ \t]++ (.*+)
    """
    % PROCESS.encode(),
    re.VERBOSE | re.DOTALL,
)
_TAPE_MESSAGE = re.compile(rb"\$ZSVR:|MOUNT[ \t]++ESM[ \t]")
# What is where a header should be: fields, no plain words; then a command or tape message, or
# nothing.
# The fields repeat in an atomic group. Before 3.11.5 `re` does not go back to the end of the last
# whole turn of a group with a possessive repeat (CPython's issue 106052); Debian 12 has 3.11.2.
_MISREAD = re.compile(
    rb"""
    (\d\d-\d\d-\d\d [ \t]++ \d\d:\d\d:\d\d \S*+
        (?> (?: \s++ (?! %b )
            (?: [A-Z]{1,4}+ (?!\S) | [A-Za-z]*+ [^A-Za-z\s] \S*+ ) ){1,8} ) )
    (?: \s++ ((?i:VTSPolicy) (?: (?=%b) .*+ )? | (?: %b ) .*+ ) | \s*+ ) \Z
    """
    % (_TAPE_MESSAGE.pattern, _ODD, _TAPE_MESSAGE.pattern),
    re.VERBOSE | re.DOTALL,
)
# A closing quote at the end, also a typographic one, as UTF-8 and in code page 1252.
_CLOSED = re.compile(rb"(?:['\"\x91-\x94]|\xe2\x80[\x98\x99\x9c\x9d])\s*+\Z")
_QUOTE = re.compile(rb"['\"\x91-\x94]|\xe2\x80[\x98\x99\x9c\x9d]")
_LONGEST_END = 64  # bytes that are looked at for it
_CAPITALS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SHAPE = bytes.maketrans(_CAPITALS + b"0123456789\t", _CAPITALS.lower() + b"0000000000 ")
_DATE_SHAPE = b"00-00-00 "


@frozen(kw_only=True)
class Header:
    """The fields before the text."""

    time: datetime  # as displayed, no zone
    system: str  # with its backslash
    process: str  # $NAME or cpu,pin
    ssid: str  # OWNER.SUBSYSTEM.VERSION
    number: int  # signed 16 bit
    critical: bool  # an asterisk was somewhere between process and number

    @property
    def is_own(self) -> bool:
        """Whether it is the header of one of our own notices."""
        return self.ssid.startswith(OWN_SUBSYSTEM)

    @property
    def is_written(self) -> bool:
        """Whether it is that of a text which was written plainly to the collector."""
        return is_written_plainly(self.ssid, self.number)

    def begins_candidate(self, text: bytes) -> bool:
        """Whether anything is to be done about an event whose text begins so.

        A command that was written plainly may have its writer before it.
        """
        if CANDIDATE.match(text) or (self.process == TAPE_SERVER and self.number in SEQUENCELESS):
            return True
        return self.is_written and (_WRITTEN.match(text) or _WRITER_ALONE.match(text)) is not None

    def lacks_text(self, text: bytes) -> bool:
        """Whether the text still has to begin, in the next line: all there is may be its writer."""
        return not text or (self.is_written and _WRITER_ALONE.match(text) is not None)

    def event(self, text: str, wire: str, lengths: range) -> Event:
        """Return the event with this header."""
        return Event(
            text=text,
            lengths=lengths,
            time=self.time,
            system=self.system,
            process=self.process,
            ssid=self.ssid,
            number=self.number,
            critical=self.critical,
            wire=wire,
        )


def parse_header(line: bytes) -> tuple[Header, bytes] | None:
    """Return the header that `line` begins with and its stripped text, or None for no header."""
    match = _HEADER.match(line)
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.group(1, 2, 3, 4, 5, 6))
    number = int(match[12])
    if not -32768 <= number <= 32767:
        return None
    try:
        time = datetime(posix_year(year), month, day, hour, minute, second)  # noqa: DTZ001 (the display names no zone)
    except ValueError:
        return None
    header = Header(
        time=time,
        system=match[7].decode(),
        process=match[8].decode(),
        ssid=match[10].decode(),
        number=number,
        critical=match[9] is not None or match[11] is not None,
    )
    return header, line[match.end() :].strip()


def misread_header(line: bytes) -> tuple[bytes, bytes] | None:
    """Return what is in place of the header and the text after it, of a line without a header.

    None unless the text is a command or tape message, or is to follow in the next line. Nothing is
    ever returned for one of our notices: an answer to it would be shown back again, and so on.
    """
    match = _MISREAD.match(line)
    if match is None or OWN_SUBSYSTEM.encode() in match[1]:
        return None
    text = match[2] or b""
    return None if text and not is_acted_on(text) else (match[1], text)


def is_command(text: bytes) -> bool:
    """Whether a text is a command, and not what one of our notices says."""
    return COMMAND.match(text) is not None and Event(text=decode_text(text)).is_command


def is_acted_on(text: bytes) -> bool:
    """Whether a text is a command, or what the tape server says of a mount."""
    return _TAPE_MESSAGE.match(text) is not None or is_command(text)


def shows_end(text: bytes) -> bool:
    """Whether a text that may have been cut shows itself that it is whole.

    The words of an application's family end with the quote that closes them. What a verb is about
    can be cut anywhere, and then is something else: A0001 for A00017.
    """
    return _CLOSED.search(text, max(len(text) - _LONGEST_END, 0)) is not None


def may_be_another(text: bytes) -> bool:
    """Whether a text whose last line lacks its end may be right, and another than was sent.

    With a quote in it, a command is whole, or the parser refuses it for the one that is missing.
    """
    return _QUOTE.search(text) is None


def refused_header(found: bytes) -> str:
    """Return the reason why a command after such a header is not taken."""
    shown = decode_text(found[:_SHOWN]) + ("..." if len(found) > _SHOWN else "")
    shown = "".join(c if c.isprintable() else f"<{ord(c):02X}>" for c in shown)
    return (
        f"{shown} is not the header of an event; it has YY-MM-DD HH:MM:SS \\SYSTEM.PROCESS"
        f" OWNER.SUBSYSTEM.VERSION NUMBER"
    )


def may_follow_header(line: bytes) -> bool:
    """Whether a line may be the text of a header above it."""
    return _LAST_LINE.match(line) is not None


def blanks_after(line: bytes) -> int:
    """Return how many blanks are at the end of a line; they may be its display's, or sent."""
    return len(line.rstrip(b"\r\n")) - len(line.rstrip())


@frozen(kw_only=True)
class Misplaced:
    """A command or tape message whose header is none, or begins too late."""

    reason: str  # why it is not taken
    answered: bool  # whether the peer is told; not of the tape messages of a whole display


def misplaced_header(line: bytes) -> Misplaced | None:
    """Return why a command or tape message is not taken, or None for any other line."""
    before = _BEFORE.match(line)
    if before is None:
        foreign = _FOREIGN.match(line)
        if foreign is None or OWN_SUBSYSTEM.encode() in foreign[1] or not is_acted_on(foreign[2]):
            return None
        return Misplaced(reason=refused_header(foreign[1]), answered=is_command(foreign[2]))
    parsed = parse_header(line[before.end() :])
    if parsed is None:
        return None
    header, text = parsed
    if not header.event(decode_text(text), "ems", range(0)).is_candidate:
        return None
    reason = (
        f"found {printable(before[0])} before the date: an event begins in the first column;"
        " remove what is before it"
    )
    return Misplaced(reason=reason, answered=True)


def odd_before_command(line: bytes) -> bytes | None:
    """Return the blanks and characters of a terminal before a plain command, or None."""
    before = _BEFORE_PLAIN.match(line)
    if before is None or not is_command(line[before.end() :]):
        return None
    return before[0]


def printable(raw: bytes) -> str:
    """Return bytes of others as a reason shows them: short, in quotes, each as something seen."""
    text = decode_text(raw[:_SHOWN])
    clean = "".join(c if c.isprintable() else f"<{ord(c):02X}>" for c in text)
    return f"'{clean}'" + ("..." if len(raw) > _SHOWN else "")


def refused_cut(raw: bytes) -> str:
    """Return the reason why a text is not taken whose last line has no end."""
    return f"the connection ended before the line did: {printable(raw)} may be cut; end its line"


def shape(data: bytes) -> bytes:
    """Return what `find_word` and `count_headers` search, byte for byte as long as `data`.

    Letters are small, every digit is 0, and a tab is a blank: one pass over the bytes for both.
    """
    return data.translate(_SHAPE)


def find_word(lower: bytes, start: int, stop: int) -> int:
    """Return where `vtspolicy` or `$zsvr` is next in bytes in lower case, or -1."""
    while match := _ANY_WORD.search(lower, start, stop):
        at = match.start()
        if lower[at + 1] == _T:
            return at
        if lower[at - 3 : at] == b"$zs" and at - 3 >= start:
            return at - 3
        start = match.end()
    return -1


def posix_year(two_digits: int) -> int:
    """Return the year meant by its last two digits: 69 to 99 are 19xx (POSIX)."""
    return two_digits + (1900 if two_digits >= 69 else 2000)


def count_headers(shaped: bytes, start: int, stop: int) -> int:
    """Return how many whole lines begin with a date and a blank, in the `shape` of their bytes.

    A count for the metrics, made without looking at single lines.
    """
    return shaped.count(b"\n" + _DATE_SHAPE, start, stop) + shaped.startswith(
        _DATE_SHAPE, start, stop
    )


def text_event(header: Header | None, raw: bytes, blanks: int, wire: str) -> Event:
    """Return the event of a text; without a header, a plain command.

    `blanks` is how many may have been at its end. The text's bytes are read by `decode_text`.
    """
    text = decode_text(raw)
    lengths = range(len(raw), len(raw) + blanks + 1)
    if header is not None:
        return header.event(text, wire, lengths)
    return Event(text=text, wire="plain", lengths=lengths)


def decode_text(raw: bytes) -> str:
    """Return the characters of one event: UTF-8 where it is valid, else Windows-1252."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")
