"""A host on the other end of a TCP connection: it sends events and collects notices.

host = await connect_host(reactor, "tcp:host=127.0.0.1:port=7171")
host.event("VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00017 ref=mine'")
final = await host.wait_for(Word.COMPLETED, ref="mine")
host.close()
"""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Literal

from attrs import field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, connectProtocol
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from vtspolicy.notices import ReceivedNotice, Word, read_line
from vtspolicy.testing.display import display

TIMEOUT = 10.0
"""Seconds that a notice may take."""


class NoSuchNoticeError(AssertionError):
    """A notice that was waited for did not come; says what came instead."""


@frozen(kw_only=True)
class HostStyle:
    """How a host presents its events."""

    wire: Literal["ems", "json"] = "ems"  # display lines, or JSON objects
    system: str = r"\NSK1"  # its name, with the backslash
    process: str = "$ZBAT"  # which of its processes generates the events
    ssid: str = "USER.BATCH.A01"  # for what subsystem
    columns: int = 80  # at which display lines are wrapped; 0: never
    indent: int = 8  # blanks before a continuation line
    acknowledge: bool = True  # whether JSON notices are acknowledged as they come
    now: Callable[[], datetime] = field(default=lambda: datetime.now())  # noqa: DTZ005, PLW0108 - local time; looked up at the call


@frozen
class _Wish:
    """Somebody waits for a notice."""

    word: Word
    fields: dict[str, str | int]
    found: Deferred[ReceivedNotice]

    def is_met_by(self, notice: ReceivedNotice) -> bool:
        return notice.word is self.word and self.fields.items() <= dict(notice.fields).items()

    def __str__(self) -> str:
        return " ".join([self.word.name, *(f"{k}={v}" for k, v in self.fields.items())])


class FakeHost(Protocol):
    """A host. Connect it with `connect_host`, or give it any transport."""

    def __init__(self, clock: IReactorTime, style: HostStyle | None = None) -> None:
        self.style = style or HostStyle()
        self.notices: list[ReceivedNotice] = []  # all that came, in order
        self.others: list[bytes] = []  # lines that are not notices
        self.closed: Deferred[None] = Deferred()  # fires when the connection has ended
        self._clock = clock
        self._wishes: list[_Wish] = []
        self._rest = b""
        self._is_connected = False

    # What the host says.

    def event(
        self,
        text: str,
        *,
        number: int = 1234,
        time: datetime | None = None,
        critical: bool = False,
        id: str | None = None,  # noqa: A002 - the field's own name
    ) -> bytes:
        """Send an event; return its bytes, so that it can be sent again with `send`.

        `time` is the generation time, now if not given; `id` goes with JSON only.
        """
        at = self.style.now() if time is None else time
        if self.style.wire == "json":
            data = self._as_json(text, number=number, at=at, critical=critical, id=id)
        else:
            if id is not None:
                raise ValueError("a display has no room for an id: use wire='json'")
            data = display(
                text,
                time=at,
                system=self.style.system,
                process=self.style.process,
                ssid=self.style.ssid,
                number=number,
                critical=critical,
                columns=self.style.columns,
                indent=self.style.indent,
            )
        self.send(data)
        return data

    def _as_json(
        self,
        text: str,
        *,
        number: int,
        at: datetime,
        critical: bool,
        id: str | None,  # noqa: A002 - the field's own name
    ) -> bytes:
        event: dict[str, object] = {
            "time": at.isoformat(),
            "system": self.style.system,
            "process": self.style.process,
            "ssid": self.style.ssid,
            "number": number,
            "text": text,
        }
        if critical:
            event["critical"] = True
        if id is not None:
            event["id"] = id
        return json.dumps(event).encode() + b"\n"

    def command(self, text: str) -> None:
        """Send a bare command: one line, no header."""
        self.send(text.encode() + b"\n")

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        if self.transport is None or not self._is_connected:
            raise ConnectionError("the fake host is not connected")
        self.transport.write(data)

    def acknowledge(self, *numbers: int) -> None:
        """Acknowledge these notices in a JSON session."""
        self.send(json.dumps({"ack": list(numbers)}).encode() + b"\n")

    def close(self) -> Deferred[None]:
        """End the connection; `closed` fires when that is done."""
        if self.transport is not None and self._is_connected:
            self.transport.loseConnection()
        return self.closed

    # What the host hears.

    def wait_for(
        self, word: Word | str, *, timeout: float = TIMEOUT, **fields: str | int
    ) -> Deferred[ReceivedNotice]:
        """Return the first notice, from the beginning, with this word and these fields.

        Fails with NoSuchNoticeError after `timeout` seconds or when the connection ends before.
        """
        wish = _Wish(Word[word] if isinstance(word, str) else word, fields, Deferred())
        for notice in self.notices:
            if wish.is_met_by(notice):
                wish.found.callback(notice)
                return wish.found
        if not self._is_connected:
            wish.found.errback(self._disappointed(wish, "the connection ended"))
            return wish.found
        self._wishes.append(wish)

        def too_late(result: object, seconds: float) -> object:
            del result
            self._wishes.remove(wish)
            raise self._disappointed(wish, f"it did not come within {seconds:g} s")

        wish.found.addTimeout(timeout, self._clock, onTimeoutCancel=too_late)
        return wish.found

    def _disappointed(self, wish: _Wish, why: str) -> NoSuchNoticeError:
        came = "; ".join(notice.text for notice in self.notices[-10:]) or "nothing"
        return NoSuchNoticeError(f"no {wish}: {why}; what came: {came}")

    def connectionMade(self) -> None:
        """A host is silent until it has an event."""
        self._is_connected = True

    def dataReceived(self, data: bytes) -> None:
        """Cut into lines and read the notices."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            notice = read_line(line)
            if notice is None:
                self.others.append(line)
            else:
                self._heard(notice)

    def _heard(self, notice: ReceivedNotice) -> None:
        self.notices.append(notice)
        if notice.number is not None and self.style.acknowledge and self._is_connected:
            self.acknowledge(notice.number)
        met = [wish for wish in self._wishes if wish.is_met_by(notice)]
        self._wishes = [wish for wish in self._wishes if wish not in met]
        for wish in met:
            wish.found.callback(notice)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Nothing more will come."""
        del reason
        self._is_connected = False
        wishes, self._wishes = self._wishes, []
        for wish in wishes:
            wish.found.errback(self._disappointed(wish, "the connection ended"))
        self.closed.callback(None)


def connect_host(
    reactor: IReactorTime, endpoint: str, style: HostStyle | None = None
) -> Deferred[FakeHost]:
    """Connect a fake host to a Twisted client endpoint, as `tcp:host=127.0.0.1:port=7171`."""
    host = FakeHost(reactor, style)
    connected: Deferred[FakeHost] = connectProtocol(clientFromString(reactor, endpoint), host)
    return connected
