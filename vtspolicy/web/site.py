"""The site: from an HTTP request to a page or an order, everything bounded on the way."""

import re
import socket
import struct
from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred, execute
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http, server
from twisted.web.resource import Resource

from vtspolicy.client import PERSON
from vtspolicy.control import Control, Verb
from vtspolicy.ledger import Ledger
from vtspolicy.metrics import Metrics
from vtspolicy.web.answers import (
    SECURITY_HEADERS,
    Answer,
    Mistake,
    as_mistake,
    json_answer,
    mistake_answer,
)
from vtspolicy.web.names import look_at_name
from vtspolicy.web.orders import actor_of, in_words, read_order, verb_of
from vtspolicy.web.pages import PROBES, House, page_of

CONNECTIONS = 64
"""Connections of one site at once; further ones are closed."""

BODY = 65536
"""Bytes of the longest body that is taken."""

IDLE = 30.0
"""Seconds after which a silent connection is closed."""

HEAD = 60.0
"""Seconds that a whole request may take from its first byte, however often a part of it comes."""

SLOW = 2.0
"""Seconds without a whole request after which a connection makes way when there are too many."""

_ABSOLUTE = re.compile(r"(?i:https?)://(?P<name>[^/]*)(?P<path>.*)", re.DOTALL)
"""A target of a request in absolute form."""

_CREDENTIALS = struct.Struct("3i")  # struct ucred of Linux: process, user, group


def make_site(
    control: Control,
    ledger: Ledger,
    metrics: Metrics,
    *,
    writable: bool,
    names: Callable[[], Collection[str]] | None = None,
    threads: Callable[..., Deferred[Any]] = execute,
    reactor: IReactorTime | None = None,
) -> "BoundedSite":
    """Return the site to listen with; the verbs are there only when it is writable.

    `names` are the host names this server answers to; None means any, as on a UNIX socket.
    `threads` calls a function where it does not hold up the reactor, and returns its answer.
    """
    house = House(control=control, ledger=ledger, metrics=metrics, threads=threads)
    root = Root(house, writable=writable, names=names)
    return BoundedSite(root, BoundedRequest, timeout=IDLE, reactor=reactor)


class Root(Resource):
    """All paths."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(
        self,
        house: House,
        *,
        writable: bool,
        names: Callable[[], Collection[str]] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted
        self._names = names
        self._house = house
        self._writable = writable
        self._log = Logger("vtspolicy.web")

    def render(self, request: server.Request) -> int:
        """Begin to answer."""
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)
        answer = Deferred.fromCoroutine(self._answer(request))
        answer.addErrback(self._failed, request)
        answer.addCallback(self._send, request, gone)
        answer.addErrback(self._not_sent)
        return server.NOT_DONE_YET

    async def _answer(self, request: Any) -> Answer:  # BoundedRequest, whose base is untyped
        name, path = _split(request)
        if self._names is not None and path not in PROBES:
            look_at_name(name, self._names())
        page = page_of(path)
        verb = verb_of(path) if self._writable else None
        if page is None and verb is None:
            raise Mistake(HTTPStatus.NOT_FOUND, "there is no such page", "GET / lists them")
        if page is not None:
            if request.method not in {b"GET", b"HEAD"}:
                raise _not_allowed("GET, HEAD")
            return await page.get(self._house, path, request.args)
        if request.method != b"POST":
            raise _not_allowed("POST")
        assert verb is not None  # noqa: S101 - said above, for mypy
        actor = actor_of(peer_of(request), request.getHeader(PERSON))
        do = getattr(self._house.control, verb.method)
        given = read_order(verb, request.content.read())
        self._note(verb, path, actor, given)
        try:
            _need_ledger(verb, self._house.ledger)
            return json_answer(dict(await do(**given, actor=actor)))
        except Exception as error:
            refused = as_mistake(error)
            if isinstance(error, OSError):  # of a file that the operator named
                refused = Mistake(HTTPStatus.CONFLICT, str(error))
            if refused is None:
                raise
            if verb.method != "reload":  # which has a line of its own
                self._log.warn(
                    "{path} of {by} refused: {cause}",
                    action="order_refused",
                    path=path,
                    by=actor,
                    cause=refused.message,
                )
            raise refused from error

    def _note(self, verb: Verb, path: str, actor: str, given: Mapping[str, object]) -> None:
        """Log an order, if its effect has no line that says who gave it."""
        if not verb.logs:
            said = in_words(given)
            self._log.info(
                "{by} asks for {path}: {given}." if said else "{by} asks for {path}.",
                action="order",
                by=actor,
                path=path,
                given=said,
            )

    def _failed(self, failure: Failure, request: server.Request) -> Answer:
        mistake = as_mistake(failure.value) if failure.value is not None else None
        if mistake is None:
            self._log.failure("A request cannot be answered.", failure, action="web_defect")
            message = "the server has a defect here; its log says more"
            mistake = Mistake(HTTPStatus.INTERNAL_SERVER_ERROR, message)
        return mistake_answer(mistake)

    def _not_sent(self, failure: Failure) -> None:
        self._log.failure("No answer sent.", failure, action="web_defect")

    def _send(self, answer: Answer, request: server.Request, gone: list[Failure]) -> None:
        if gone:
            return
        request.setResponseCode(int(answer.status))
        headers = {
            **SECURITY_HEADERS,
            **answer.headers,
            "Content-Type": answer.kind,
            "Content-Length": str(len(answer.body)),
        }
        for name, value in headers.items():
            request.setHeader(name, value)
        request.write(answer.body)  # which sends nothing to who asked with HEAD
        request.finish()


def _split(request: Any) -> tuple[str | None, str]:  # BoundedRequest, whose base is untyped
    """Return the name that a request asks for, if it gives one, and the path.

    Of a target in absolute form (`GET http://NAME/PATH`) its own name counts, and not the header
    (RFC 9112, 3.2.2).
    """
    target = request.path.decode("ascii", "replace")
    whole = _ABSOLUTE.match(target)
    if whole is None:
        return request.getHeader("host"), target
    return whole["name"], whole["path"] or "/"


def _need_ledger(verb: Verb, ledger: Ledger) -> None:
    """Refuse an order that would wait for the ledger: it might be done hours later, unexpected."""
    if verb.records and ledger.trouble is not None:
        raise Mistake(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"the ledger cannot be written: {ledger.trouble}; nothing was done",
        )


def _not_allowed(allowed: str) -> Mistake:
    return Mistake(
        HTTPStatus.METHOD_NOT_ALLOWED,
        "this cannot be done here",
        f"{allowed} can",
        {"Allow": allowed},
    )


def peer_of(request: Any) -> int:  # BoundedRequest, whose base is untyped
    """Return the user at the other end of a UNIX socket, as the kernel knows it."""
    connection = request.channel.transport.socket
    if connection.family != socket.AF_UNIX:
        raise Mistake(HTTPStatus.FORBIDDEN, "orders are taken on the control socket only")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    uid: int = _CREDENTIALS.unpack(credentials)[1]
    return uid


class BoundedRequest(server.Request):
    """A request whose body cannot fill the memory or the disk."""

    _left = BODY

    def gotLength(self, length: int | None) -> None:
        """Keep the body in memory: it is small, or it is refused."""
        self.content = BytesIO()
        if length is not None and length > BODY:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        """Take a part of the body."""
        if self._left < 0:
            return
        self._left -= len(data)
        if self._left < 0:
            self._refuse()
        else:
            super().handleContentChunk(data)  # type: ignore[no-untyped-call]  # Twisted

    def _refuse(self) -> None:
        self._left = -1
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        head = (
            f"HTTP/1.1 {status} {status.phrase}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )
        transport: Any = self.channel.transport  # an interface, or None before it is connected
        transport.write(head.encode())
        self.channel.loseConnection()


class BoundedChannel(http.HTTPChannel):
    """A connection that counts, and that has a time for each whole request."""

    _deadline: IDelayedCall | None = None  # of the request that has begun

    def connectionMade(self) -> None:
        """Take it, or close it when there are too many and none of them is slow."""
        super().connectionMade()  # type: ignore[no-untyped-call]  # Twisted
        self.factory.connections += 1
        if self.factory.connections > CONNECTIONS and not self.factory.make_way():
            self.loseConnection()  # type: ignore[no-untyped-call]  # Twisted
            return
        self.factory.waiting[self] = self.factory.reactor.seconds()

    def dataReceived(self, data: bytes) -> None:
        """Take bytes; those of a new request begin its time."""
        if self._deadline is None and self in self.factory.waiting:
            self._deadline = self.factory.reactor.callLater(HEAD, self.give_up)
        super().dataReceived(data)  # type: ignore[no-untyped-call]  # Twisted

    def allContentReceived(self) -> None:
        """Answer a whole request: it was in time."""
        self._end_wait()
        super().allContentReceived()  # type: ignore[no-untyped-call]  # Twisted

    def requestDone(self, request: http.Request) -> None:
        """Wait for the next request."""
        self.factory.waiting[self] = self.factory.reactor.seconds()
        super().requestDone(request)  # type: ignore[no-untyped-call]  # Twisted

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Make room for another one."""
        self._end_wait()
        self.factory.connections -= 1
        super().connectionLost(reason)  # type: ignore[no-untyped-call]  # Twisted

    def give_up(self) -> None:
        """End the connection: it has waited too long for a request, or others need its place."""
        self._end_wait()
        transport: Any = self.transport  # an interface, or None before it is connected
        transport.abortConnection()

    def _end_wait(self) -> None:
        self.factory.waiting.pop(self, None)
        deadline, self._deadline = self._deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()


class BoundedSite(server.Site):
    """A site with a bounded number of connections, and no log of what was only read."""

    protocol = BoundedChannel  # type: ignore[assignment]  # HTTP/1.1 alone, without the proxy for 2
    noisy = False
    connections = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Twisted's own arguments
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]  # Twisted
        # Those without a whole request, the first to wait first -> since when.
        self.waiting: dict[BoundedChannel, float] = {}

    def make_way(self) -> bool:
        """End the connection that has waited longest for a request, if that is long."""
        slowest = next(iter(self.waiting), None)
        if slowest is None or self.reactor.seconds() - self.waiting[slowest] < SLOW:
            return False
        slowest.give_up()
        return True

    def log(self, request: http.Request) -> None:
        """Leave out what every scrape would repeat."""
