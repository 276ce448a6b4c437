"""The console's site: from an HTTP request to a page, with who asks it found out on the way."""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import quote

from attrs import field, frozen
from jinja2 import Environment
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.resource import Resource

from vtspolicy.log_limit import Line, LogLimit
from vtspolicy.web.access import IDLE, LONGEST, Access, SignInRefused, is_form, sight_of
from vtspolicy.web.answers import SECURITY_HEADERS, Answer, Mistake, as_mistake, json_answer
from vtspolicy.web.console.asking import Ask, Page, Server, need
from vtspolicy.web.console.render import STATIC, as_csv, environment, static_file
from vtspolicy.web.console.routes import FORMS, NAVIGATION, VIEWS, Route
from vtspolicy.web.names import look_at_name
from vtspolicy.web.site import IDLE as SILENT
from vtspolicy.web.site import BoundedRequest, BoundedSite

COOKIE = "vtspolicy"
"""The name of the cookie; with TLS it is `__Host-vtspolicy`, which no other host name can set."""

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""What pages may load: our own files, no script and no style within a page."""

SIGN_IN_REFUSED = Line(
    action="sign_in_refused",
    format="A sign-in as {name} from {peer} was refused: {cause}.",
    more="{count} more sign-ins from {peer} were refused within a minute.",
)

LONGEST_FILTER = 256
"""Characters of the longest filter or field of a form."""

_TEXT = "text/plain; charset=utf-8"
_HTML = "text/html; charset=utf-8"


@frozen(kw_only=True)
class _Found:
    """A page for the path, and the parts of the path that vary."""

    route: Route
    parts: Mapping[str, str] = field(factory=dict)


def make_console(
    about: Server,
    access: Access,
    *,
    names: Callable[[], Collection[str]],
    secure: bool,
    reactor: IReactorTime,
) -> BoundedSite:
    """Return the site to listen with.

    `names` are the host names that the server answers to; `secure` says that it is reached by TLS.
    """
    root = ConsoleRoot(about, access, names=names, secure=secure, clock=reactor)
    return BoundedSite(root, BoundedRequest, timeout=SILENT, reactor=reactor)


class ConsoleRoot(Resource):
    """All paths of the console."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(
        self,
        about: Server,
        access: Access,
        *,
        names: Callable[[], Collection[str]],
        secure: bool,
        clock: IReactorTime,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted
        self._about = about
        self._access = access
        self._names = names
        self._secure = secure
        self._cookie = f"__Host-{COOKIE}" if secure else COOKIE
        self._templates: Environment = environment()
        self._log = Logger("vtspolicy.console")
        self._limit = LogLimit(clock)

    def render(self, request: server.Request) -> int:
        """Begin to answer."""
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)
        answer = Deferred.fromCoroutine(self._answer(request))
        answer.addErrback(self._failed)
        answer.addCallback(self._send, request, gone)
        answer.addErrback(
            lambda failure: self._log.failure("No page sent.", failure, action="web_defect")
        )
        return server.NOT_DONE_YET

    async def _answer(self, request: Any) -> Answer:  # BoundedRequest, whose base is untyped
        look_at_name(request.getHeader("host"), self._names())
        path = request.path.decode("ascii", "replace")
        if path.startswith("/static/"):
            return _static(path.removeprefix("/static/"))
        is_post = request.method == b"POST"
        if request.method not in {b"GET", b"HEAD", b"POST"}:
            raise Mistake(HTTPStatus.METHOD_NOT_ALLOWED, "this cannot be done here")
        query = _read(request.args)
        token = _cookie_of(request.getHeader("cookie"), self._cookie)
        known = self._access.session(token)
        if path == "/sign-in":
            return await self._sign_in(request, query) if is_post else self._sign_in_page(query)
        if known is None or token is None:
            return _moved(f"/sign-in?to={quote(path, safe='')}" if path != "/" else "/sign-in")
        session, person = known
        if is_post and not is_form(session, query.pop("form", "")):
            raise Mistake(
                HTTPStatus.FORBIDDEN,
                "this form is not of your session",
                "go back, load the page again and send it once more",
            )
        if path == "/sign-out":
            if is_post:
                self._access.sign_out(token)
            return _moved("/sign-in", forget=self._set_cookie("", 0)) if is_post else _moved("/")
        found = _route_of(path, FORMS if is_post else VIEWS)
        if found is None:
            raise Mistake(HTTPStatus.NOT_FOUND, "there is no such page")
        ask = Ask(
            person=person,
            sight=sight_of(person),
            session=session,
            path=path,
            query=query,
            found=found.parts,
            now=self._about.clock(),
        )
        return await self._page(found.route, ask)

    async def _page(self, route: Route, ask: Ask) -> Answer:
        try:
            if route.right is not None:
                need(ask, route.right)
            page = await _made(route.view(self._about, ask))
        except Exception as error:
            mistake = as_mistake(error)
            if mistake is None:
                raise
            page = Page(
                template="mistake.html",
                title=HTTPStatus(mistake.status).phrase,
                about={"message": mistake.message, "hint": mistake.hint},
                status=HTTPStatus(mistake.status),
            )
        if isinstance(page, str):  # where a form leads to
            return _moved(page)
        form = ask.query.get("as")
        if page.rows is not None and form == "json":
            return json_answer({page.name: list(page.rows)})
        if page.rows is not None and form == "csv":
            return Answer(
                as_csv(page.rows),
                kind="text/csv; charset=utf-8",
                headers={"Content-Disposition": f'attachment; filename="{page.name}.csv"'},
            )
        return self._rendered(page, ask)

    def _rendered(self, page: Page, ask: Ask | None) -> Answer:
        configuration = self._about.policy().configuration
        text = self._templates.get_template(page.template).render(
            page.about,
            title=page.title,
            node=configuration.node,
            ask=ask,
            now=self._about.clock(),
            navigation=NAVIGATION,
        )
        body = text.encode("utf-8", "replace")
        return Answer(body, page.status, kind=_HTML, headers={"Content-Security-Policy": POLICY})

    def _sign_in_page(self, query: Mapping[str, str], wrong: str = "", wait: float = 0.0) -> Answer:
        status = HTTPStatus.OK
        if wrong:
            status = HTTPStatus.TOO_MANY_REQUESTS if wait else HTTPStatus.FORBIDDEN
        about = {"wrong": wrong, "to": query.get("to", ""), "name": query.get("name", "")}
        page = Page(template="sign_in.html", title="Sign in", about=about, status=status)
        return self._rendered(page, None)

    async def _sign_in(self, request: Any, query: Mapping[str, str]) -> Answer:  # as above
        if not _is_ours(request.getHeader("origin"), request.getHeader("host")):
            raise Mistake(HTTPStatus.FORBIDDEN, "this form was sent by another site")
        name, address = query.get("name", ""), str(request.getClientAddress().host)
        try:
            token = await self._access.sign_in(name, query.get("password", ""), address)
        except SignInRefused as refused:
            self._limit.write(
                self._log.warn, SIGN_IN_REFUSED, address, name=name[:64], cause=str(refused)
            )
            return self._sign_in_page(query, str(refused), refused.wait)
        self._log.info("{by} has signed in from {peer}.", action="sign_in", by=name, peer=address)
        to = query.get("to", "")
        inside = to if re.fullmatch(r"/[a-z][A-Za-z0-9/._-]*", to) else "/"
        return _moved(inside, forget=self._set_cookie(token, round(LONGEST)))

    def _set_cookie(self, value: str, seconds: int) -> str:
        secure = "; Secure" if self._secure else ""
        return (
            f"{self._cookie}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}"
        )

    def _failed(self, failure: Failure) -> Answer:
        mistake = as_mistake(failure.value) if failure.value is not None else None
        if mistake is None:
            self._log.failure("A page cannot be made.", failure, action="web_defect")
            message = "the server has a defect here; its log says more"
            mistake = Mistake(HTTPStatus.INTERNAL_SERVER_ERROR, message)
        text = ": ".join(filter(None, (mistake.message, mistake.hint)))
        return Answer(f"{text}\n".encode(), mistake.status, kind=_TEXT, headers=mistake.headers)

    def _send(self, answer: Answer, request: server.Request, gone: list[Failure]) -> None:
        if gone:
            return
        request.setResponseCode(int(answer.status))
        headers = {
            **SECURITY_HEADERS,
            "Referrer-Policy": "same-origin",  # without a referrer forms have no Origin either
            **answer.headers,
            "Content-Type": answer.kind,
            "Content-Length": str(len(answer.body)),
        }
        if self._secure:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        for name, value in headers.items():
            request.setHeader(name, value)
        request.write(answer.body)  # which sends nothing to who asked with HEAD
        request.finish()


async def _made(page: Awaitable[Page | str]) -> Page | str:
    return await page


def _static(name: str) -> Answer:
    kind = STATIC.get(name)
    if kind is None:
        raise Mistake(HTTPStatus.NOT_FOUND, "there is no such file")
    return Answer(static_file(name), kind=kind, headers={"Cache-Control": f"max-age={IDLE:.0f}"})


def _moved(to: str, forget: str | None = None) -> Answer:
    headers = {"Location": to}
    if forget is not None:
        headers["Set-Cookie"] = forget
    return Answer(b"", HTTPStatus.SEE_OTHER, kind=_TEXT, headers=headers)


def _route_of(path: str, routes: Collection[Route]) -> _Found | None:
    for route in routes:
        found = route.form.fullmatch(path)
        if found is not None:
            return _Found(route=route, parts=found.groupdict())
    return None


def _read(arguments: Mapping[bytes, list[bytes]]) -> dict[str, str]:
    """Return the query, or the form. Of a name that comes several times all values are joined."""
    read: dict[str, str] = {}
    for raw, values in arguments.items():
        name = raw.decode("utf-8", "replace")
        text = ",".join(value.decode("utf-8", "replace") for value in values).strip()
        longest = 1025 if name == "password" else LONGEST_FILTER * 16
        if len(text) > longest:
            raise Mistake(HTTPStatus.BAD_REQUEST, f"{name[:64]} is too long")
        read[name] = text
    return read


def _cookie_of(header: str | None, name: str) -> str | None:
    try:
        found = SimpleCookie(header or "").get(name)
    except CookieError:
        return None
    return None if found is None else found.value


def _is_ours(origin: str | None, host: str | None) -> bool:
    """Whether a form was sent by a page of this site; browsers say so in `Origin`."""
    return origin is None or origin.partition("://")[2] == host
