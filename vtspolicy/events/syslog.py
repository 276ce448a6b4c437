"""Syslog messages become events (RFC 5424, over TCP as in RFC 6587, both framings).

A message is one whole event: a display line, or a plain command. The first byte of a connection
shows its framing: a digit begins a length, anything else a message that ends with a line end or
with NUL.
"""

import re

from vtspolicy.events.event import Item
from vtspolicy.events.format import UNPRINTED, FormatDecoder
from vtspolicy.events.frames import Frames
from vtspolicy.events.header import (
    CANDIDATE,
    COMMAND,
    STAMP,
    Header,
    blanks_after,
    find_word,
    is_command,
    may_be_another,
    misplaced_header,
    misread_header,
    parse_header,
    refused_header,
    shows_end,
    text_event,
)
from vtspolicy.events.limits import Counted, Limits
from vtspolicy.events.lines import Lines
from vtspolicy.events.trailers import Trailers

_MARK = b"\xef\xbb\xbf"  # some senders begin each message with it

_MESSAGE = re.compile(
    rb"""
    <\d{1,3}> [1-9]\d{0,2}                      # priority and version
    (?: [ ][!-~]{1,255} ){5}                    # time, host, application, process, message id
    [ ] (?: - | (?> (?: \[ [^ =\]"]++
        (?> (?: [ ]++ [^ =\]"]++ = "(?> [^"\\]*+ (?: \\. [^"\\]*+ )* )" )* )
        [ ]*+ \] )+ ) )                         # atomic groups, as in vtspolicy.events.header
    (?: [ ] (?:\xef\xbb\xbf)? (.*) )? \Z
    """,
    re.VERBOSE | re.DOTALL,
)


class SyslogDecoder(FormatDecoder):
    """Reads one connection's syslog messages. See `Decoder` for the methods' meaning."""

    wire: str | None = "syslog"

    def __init__(
        self,
        *,
        only_candidates: bool = True,
        limits: Limits | None = None,
        counted: Counted | None = None,
    ) -> None:
        super().__init__(only_candidates=only_candidates, limits=limits, counted=counted)
        self._framing: Lines | Frames | None = None
        self._begin = b""  # what may become a mark
        self._trailers = Trailers()

    @property
    def pending(self) -> bool:
        """Whether a message waits for what follows: it shows where the message ends."""
        if isinstance(self._framing, Frames):
            return self._framing.pending
        return self._trailers.pending

    def feed(self, data: bytes) -> list[Item]:
        """Take the next bytes."""
        if self._framing is None:
            data = (self._begin + data).lstrip(b" \t\r\n\0\a")
            if _MARK.startswith(data):
                self._begin = data
                return []
            data = data.removeprefix(_MARK)
            self._framing = self._shown_by(data)
        if isinstance(self._framing, Lines):
            data = self._trailers.feed(data)
            if b"\a" in data:
                data = data.translate(None, b"\a")
        self._framing.feed(data)
        return self._take()

    def settle(self) -> list[Item]:
        """Complete a message that ends with NUL, or has its length: nothing has followed."""
        if isinstance(self._framing, Lines):
            self._framing.feed(self._trailers.settle())
        elif self._framing is not None:
            self._framing.settle()
        return self._take()

    def close(self) -> list[Item]:
        """Take a last message without its end only if it shows itself that it is whole."""
        if isinstance(self._framing, Lines):
            self._framing.feed(self._trailers.close())
            self._is_cut = bool(self._framing.half)
        if self._framing is not None:
            self._framing.close()
        return self._take()

    def _shown_by(self, data: bytes) -> Lines | Frames:
        limit = self.limits.line
        if data[:1].isdigit():
            return Frames(
                limit=limit,
                run=self._frames,
                refuse=lambda reason: self._refuse("frame", reason),
                shows_end=lambda message: shows_end(message.translate(None, UNPRINTED)),
            )
        return Lines(limit=limit, run=self._run, too_long=self._too_long)

    # The two framings

    def _run(self, data: bytes, start: int, stop: int) -> None:
        if start or stop != len(data):
            data = data[start:stop]
        lines = data.count(b"\n")
        if not self._only_candidates or data.count(b"\n<") + data.startswith(b"<") != lines:
            for line in data[:-1].split(b"\n"):
                if line and not line.isspace():
                    self.counted.events += 1
                    self._message(line)
            return
        self.counted.events += lines
        position, stop, lower = 0, len(data), data.lower()
        while (hit := find_word(lower, position, stop)) >= 0:
            begin = data.rfind(b"\n", position, hit) + 1 or position
            position = data.find(b"\n", hit) + 1
            self._message(data[begin : position - 1])

    def _frames(self, data: bytes, messages: list[tuple[int, int]]) -> None:
        self.counted.events += len(messages)
        hidden = b"\0" in data or b"\a" in data  # perhaps in the middle of a word
        if self._only_candidates and not hidden and find_word(data.lower(), 0, len(data)) < 0:
            return
        for begin, end in messages:
            self._message(data[begin:end])

    # One message

    def _message(self, message: bytes) -> None:
        message = message.removeprefix(_MARK)
        plain = message.translate(None, UNPRINTED).lower()
        if self._only_candidates and find_word(plain, 0, len(plain)) < 0:
            if not message.startswith(b"<"):
                self._refuse_message()
            return
        match = _MESSAGE.match(message.rstrip(b"\r"))
        if match is None:
            self._refuse_message()
            return
        said = (match[1] or b"").translate(None, UNPRINTED).rstrip(b"\r\n")
        raw = b" ".join(filter(None, (line.strip() for line in said.split(b"\n"))))
        blanks = blanks_after(said)
        if STAMP.match(raw):
            parsed = parse_header(raw)
            if parsed is None:
                self.counted.malformed += 1
                misread = misread_header(raw)
                if misread is not None and misread[1]:
                    told = refused_header(misread[0])
                    self._refuse("header", told, answered=is_command(misread[1]))
                return
            self._deliver(*parsed, blanks)
        elif COMMAND.match(raw):
            self._deliver(None, raw, blanks)
        elif found := misplaced_header(raw):
            self._refuse("header", found.reason, column=1, answered=found.answered)

    def _deliver(self, header: Header | None, raw: bytes, blanks: int) -> None:
        own = header is not None and header.is_own
        begins = header.begins_candidate(raw) if header else CANDIDATE.match(raw) is not None
        if self._only_candidates and (own or not begins):
            return
        if len(raw) > self.limits.text:
            self._refuse_long_text()
            return
        event = text_event(header, raw, blanks, "syslog")
        if self._only_candidates and not event.is_candidate:
            return
        if self._is_cut and may_be_another(raw):
            self._refuse_cut(raw, event.text)
        else:
            self._out.append(event)

    def _refuse_message(self) -> None:
        self._refuse(
            "syslog",
            "not a syslog message of RFC 5424: <PRI>1 TIME HOST APP PROCID MSGID [DATA] MSG",
        )

    def _too_long(self, prefix: bytes) -> None:
        del prefix
        self.counted.events += 1
        self._refuse_long_line(self.limits.line)
