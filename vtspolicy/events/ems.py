"""The display of a printing distributor becomes events (docs/explanation/ems.md).

One small state machine, `_line`, knows what a line does to the event that is open. Where only
candidates are wanted, `_search` shows it only the lines that can matter; all others are never
looked at one by one.
"""

from attrs import define

from vtspolicy.events.event import Item
from vtspolicy.events.format import UNPRINTED, FormatDecoder
from vtspolicy.events.header import (
    COMMAND,
    DATE,
    NEAR_PLAIN,
    PLAIN,
    STAMP,
    Header,
    blanks_after,
    count_headers,
    find_word,
    is_acted_on,
    is_command,
    may_be_another,
    may_follow_header,
    misplaced_header,
    misread_header,
    odd_before_command,
    parse_header,
    printable,
    refused_header,
    shape,
    text_event,
)
from vtspolicy.events.limits import Counted, Limits
from vtspolicy.events.lines import Lines

_NOT_AMONG_HEADERS = (
    "a command without a header among events that have one may be part of another's text; to have"
    " such commands taken, set plain: true for this listener"
)


@define
class _Open:
    """The event that the next lines may continue."""

    header: Header | None  # None if what is in its place is none
    parts: list[bytes]  # its text so far, one stripped line each; empty until the text begins
    size: int  # of the parts, joined
    blanks: int = 0  # at the end of the last part's line
    misread: bytes = b""  # what is in place of the header

    @property
    def is_own(self) -> bool:
        """Whether it is one of our notices."""
        return self.header is not None and self.header.is_own

    @property
    def is_candidate(self) -> bool:
        """Whether its text has begun, and something is to be done about it."""
        if self.header is None or self.is_own or self.lacks_text:
            return False
        return self.header.begins_candidate(b" ".join(self.parts[:3]))

    @property
    def lacks_text(self) -> bool:
        """Whether its text still has to begin."""
        if self.header is None or not self.parts:
            return not self.parts
        return len(self.parts) == 1 and self.header.lacks_text(self.parts[0])


class EmsDecoder(FormatDecoder):
    """Reads one connection's display lines. See `Decoder` for the methods' meaning."""

    wire: str | None = "ems"

    def __init__(
        self,
        *,
        wrapped: bool = True,
        plain: bool = True,
        only_candidates: bool = True,
        limits: Limits | None = None,
        counted: Counted | None = None,
    ) -> None:
        super().__init__(only_candidates=only_candidates, limits=limits, counted=counted)
        self._wrapped = wrapped
        self._plain = plain
        self._shows_headers = False  # a plain command may be a part of an event's text
        self._open: _Open | None = None
        self._lines = Lines(
            limit=self.limits.line,
            run=self._search if only_candidates else self._every,
            too_long=self._too_long,
        )

    @property
    def pending(self) -> bool:
        """Whether an event is open that the next line may continue."""
        return self._open is not None and (bool(self._open.parts) or not self._only_candidates)

    def feed(self, data: bytes) -> list[Item]:
        """Take the next bytes."""
        if b"\0" in data or b"\a" in data:
            data = data.translate(None, UNPRINTED)
        self._lines.feed(data)
        return self._take()

    def settle(self) -> list[Item]:
        """Complete the open event.

        Not while a part of its next line is here already: an event cut in the middle would be
        another command than the one that was sent. That line's end, or the connection's, is
        certain to come.
        """
        half = self._lines.half
        if not half or STAMP.match(half):
            self._complete()
        return self._take()

    def close(self) -> list[Item]:
        """Complete the open event, and refuse one whose last line lacks its end.

        What shows itself that it is whole is taken all the same.
        """
        half = self._lines.half
        if STAMP.match(half) or NEAR_PLAIN.match(half):
            self._complete()  # it is not this event that was cut
        self._is_cut = bool(half)
        self._lines.close()
        self._complete()
        return self._take()

    # Whole lines

    def _every(self, data: bytes, start: int, stop: int) -> None:
        for line in data[start : stop - 1].split(b"\n"):
            self._line(line)
            is_header = DATE.match(line) is not None
            self.counted.events += is_header
            self._shows_headers |= is_header

    def _search(self, data: bytes, start: int, stop: int) -> None:
        """Show `_line` every line that can begin or continue a candidate, and no other."""
        searched = shape(data)
        headers = count_headers(searched, start, stop)
        self.counted.events += headers
        looked = position = start  # lines before it are done with
        while position < stop:
            if self._open is not None:
                end = data.find(b"\n", position, stop)
                self._line(data[position:end])
                position = end + 1
                continue
            hit = find_word(searched, position, stop)
            if hit < 0:
                break
            begin = data.rfind(b"\n", position, hit) + 1 or position
            end = data.find(b"\n", hit, stop)
            line = data[begin:end]
            if headers and not self._shows_headers:
                self._shows_headers = count_headers(searched, looked, begin) > 0
                looked = begin
            if not STAMP.match(line) and may_follow_header(line):
                self._line_without_text_before(data, position, begin)
            self._line(line)
            position = end + 1
        self._shows_headers |= headers > 0
        if self._open is None and position < stop:
            # The text of the last header here may begin in the next bytes.
            self._line_without_text_before(data, position, stop)

    def _line_without_text_before(self, data: bytes, start: int, stop: int) -> None:
        """Show `_line` the last line before `stop` if it is a header whose text is to follow."""
        if not self._wrapped or start == stop:
            return
        begin = data.rfind(b"\n", start, stop - 1) + 1 or start
        line = data[begin:stop].rstrip()
        if not line:  # blank lines are not text
            before = data[start:begin].rstrip()
            line = before[before.rfind(b"\n") + 1 :]
        if STAMP.match(line):
            if (parsed := parse_header(line)) is not None:
                is_bare = parsed[0].lacks_text(parsed[1])
            else:
                misread = misread_header(line)
                is_bare = misread is not None and not misread[1]
            if is_bare:
                self._line(line)

    # One line

    def _line(self, line: bytes) -> None:
        if STAMP.match(line):
            self._complete()
            self._begin(line)
            self._shows_headers = True
        elif NEAR_PLAIN.match(line):
            self._plain_line(line)
        else:
            if not (self._open and self._open.is_candidate):
                self._misplaced(line)
            if self._open is not None:
                self._continue(self._open, line.strip(), blanks_after(line))

    def _plain_line(self, line: bytes) -> None:
        """Take a plain command, unless it is the text of an event or may be a part of one."""
        event, is_exact = self._open, PLAIN.match(line) is not None
        if self._takes_any_line:
            is_text = True
            if is_exact and event is not None and event.is_own and event.parts:
                reason = f"{printable(line)} is right behind one of our notices, shown back"
                self._refuse("plain", reason, answered=False)
        elif not self._shows_headers:
            is_text = False
        elif self._plain:
            is_text = not is_exact
        else:
            is_text = True
            if is_exact and not (event is not None and event.is_candidate):
                self._refuse("plain", _NOT_AMONG_HEADERS)
        if not is_text:
            self._complete()
            self.counted.events += 1
            self._deliver(None, line.strip(), blanks_after(line))
        elif self._open is not None:
            self._continue(self._open, line.strip(), blanks_after(line))

    def _misplaced(self, line: bytes) -> None:
        """Refuse a line that would be a command if nothing were before it."""
        if found := misplaced_header(line):
            self._refuse("header", found.reason, column=1, answered=found.answered)
        elif (
            self._open is None
            and not self._shows_headers
            and (before := odd_before_command(line)) is not None
        ):
            self._refuse(
                "plain",
                f"found {printable(before)} before VTSPolicy: a command begins in the first column;"
                " remove what is before it",
                column=1,
            )

    @property
    def _takes_any_line(self) -> bool:
        """Whether even a line that looks like a plain command continues the open event.

        It is the text itself after a header without one. What one of our notices quotes must not
        come back as a command when the display is wrapped just there.
        """
        event = self._open
        if event is None or event.header is None:
            return False
        return event.lacks_text or (event.is_own and COMMAND.match(event.parts[0]) is not None)

    def _begin(self, line: bytes) -> None:
        parsed = parse_header(line)
        if parsed is None:
            self._begin_without(line)
            return
        header, text = parsed
        if not self._wrapped:
            if not self._only_candidates or header.begins_candidate(text):
                self._deliver(header, text, blanks_after(line))
            return
        self._open = _Open(header, [], 0)
        self._continue(self._open, text, blanks_after(line))

    def _begin_without(self, line: bytes) -> None:
        """Refuse a command whose header is none, also if it begins in the next line only."""
        misread = misread_header(line)
        if misread is not None and not misread[1] and self._wrapped:
            self._open = _Open(None, [], 0, misread=misread[0])
            self.counted.malformed += not self._only_candidates  # else when its text is seen
            return
        self.counted.malformed += 1
        if misread is not None and misread[1]:
            told = refused_header(misread[0])
            self._refuse("header", told, answered=is_command(misread[1]))

    def _continue_without(self, event: _Open, text: bytes) -> None:
        self._open = None
        if is_acted_on(text):
            self.counted.malformed += self._only_candidates
            self._refuse("header", refused_header(event.misread), answered=is_command(text))

    def _continue(self, event: _Open, text: bytes, blanks: int) -> None:
        if not text:
            return
        if event.header is None:
            self._continue_without(event, text)
            return
        if self._only_candidates and event.lacks_text:
            begun = b" ".join([*event.parts, text])  # after its writer, if that is all so far
            if not event.header.begins_candidate(begun):
                self._open = None
                return
        event.blanks = blanks
        event.size += len(text) + bool(event.parts)
        event.parts.append(text)
        if event.size > self.limits.text:
            self._open = None
            self._refuse_long_text()

    def _complete(self) -> None:
        event, self._open = self._open, None
        if event is None or event.header is None:
            return
        if event.parts or not self._only_candidates:
            self._deliver(event.header, b" ".join(event.parts), event.blanks)

    def _deliver(self, header: Header | None, raw: bytes, blanks: int) -> None:
        if len(raw) > self.limits.text:
            self._refuse_long_text()
            return
        if header is not None and header.is_own and self._only_candidates:
            return
        event = text_event(header, raw, blanks, "ems")
        if self._only_candidates and not event.is_candidate:
            return
        if self._is_cut and event.is_candidate and may_be_another(raw):
            self._refuse_cut(raw, event.text)
        else:
            self._out.append(event)

    # What is too long

    def _too_long(self, prefix: bytes) -> None:
        is_header = STAMP.match(prefix) is not None
        is_plain = PLAIN.match(prefix) is not None
        if is_header or (is_plain and not self._takes_any_line):
            self._complete()
            self.counted.events += 1
        event, self._open = self._open, None
        if event is not None and event.is_candidate:
            self._refuse(
                "event",
                f"a line of this event is longer than {self.limits.line} bytes: it was not taken",
            )
        else:
            self._refuse_long_line(self.limits.line)
