"""The outbox: recorded notices go to a live session of their host, and again until they arrive."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from vtspolicy.config.model import Host
from vtspolicy.hosts.session import HostSession
from vtspolicy.notices import Notice, Word
from vtspolicy.sessions import SessionState

PAGE = 200
"""Notices read from the ledger at a time."""

UNDECIDED = 0.5
"""Seconds that a new session may take to show its format before missed notices are sent."""

AGAIN = 5.0
"""Seconds until notices that could not be read from the ledger are asked for again."""


class Store(Protocol):
    """Where the notices are kept until they are delivered."""

    def pending(self, host: str, after: int, limit: int) -> Deferred[list[Notice]]:
        """Return undelivered notices of a host with numbers above `after`, in order."""
        ...

    def delivered(self, ids: Sequence[int]) -> Deferred[int]:
        """Note that these have arrived."""
        ...


@define
class _Load:
    """A session that is being given what its hosts have missed."""

    held: list[tuple[Notice, bool]] = field(factory=list)  # recorded meanwhile; whether it asked
    sent: set[int] = field(factory=set)  # the notices' numbers that it was given by this load


class Outbox:
    """Gives every notice to one live session of its host; the newest one if its own is gone."""

    def __init__(self, reactor: IReactorTime, store: Store) -> None:
        self._reactor = reactor
        self._store = store
        self._sessions: dict[str, list[HostSession]] = defaultdict(list)
        self._loading: dict[HostSession, _Load] = {}
        self._behind: set[HostSession] = set()  # full, or not yet loaded: the ledger has more
        self._in_flight: dict[int, HostSession] = {}
        self._requests: dict[int, int] = {}  # that the notices in flight belong to
        # The session to which all notices of a request go as long as one of them is in flight, and
        # how many are. A connection that is gone may not be known to be gone: what then went to
        # another one would arrive before what comes again later.
        self._carriers: dict[int, tuple[HostSession, int]] = {}  # by request
        self._confirmed: set[int] = set()  # on their way into the ledger
        self._log = Logger("vtspolicy.outbox")

    def sessions(self, host: str) -> int:
        """Return how many live sessions a host has."""
        return len(self._sessions.get(host, ()))

    def push(self, notices: Iterable[Notice], origin: HostSession | None = None) -> None:
        """Send notices that were just recorded; without a live session they wait in the ledger."""
        answered: set[HostSession] = set()
        for notice in notices:
            session = self._carrier(notice) or self._choose(notice.host, origin)
            if session is None:
                continue
            answered.update(self._follow(notice, origin))
            asked = session is origin and notice.word.is_answer
            if session in self._loading:
                self._loading[session].held.append((notice, asked))
            elif session in self._behind or not session.can_take:
                self._behind.add(session)
            else:
                self._send(session, notice, asked=asked)
        for session in answered:
            session.close_if_done()

    def attach(self, session: HostSession) -> None:
        """Take a new session, and send it what its hosts have missed."""
        for host in session.hosts:
            self._sessions[host.name].append(session)
        self._behind.add(session)
        if session.wire is None:
            self._reactor.callLater(UNDECIDED, self._load, session)
        else:
            self._load(session)

    def serve(self, session: HostSession, hosts: tuple[Host, ...]) -> None:
        """Let a session be these hosts from now on; what is under way to it stays so."""
        before, after = ({host.name for host in each} for each in (session.hosts, hosts))
        for name in before - after:
            if session in self._sessions[name]:
                self._sessions[name].remove(session)
        for name in after - before:
            self._sessions[name].append(session)
        session.hosts = hosts
        if after - before:
            self._behind.add(session)
            self._load(session)

    def detach(self, session: HostSession) -> None:
        """Forget a session; what it had not confirmed goes to another one, or waits."""
        names = [host.name for host in session.hosts if session in self._sessions[host.name]]
        for name in names:
            self._sessions[name].remove(session)
        self._behind.discard(session)
        for each in session.take_back():
            self._landed(each)
        for name in names:
            other = self._choose(name, None)
            if other is not None:
                self._behind.add(other)
                self._load(other)

    def confirmed(self, session: HostSession, ids: list[int]) -> None:
        """Note in the ledger that the peer has got these."""
        mine = [each for each in ids if self._in_flight.get(each) is session]
        if not mine:
            return
        for each in mine:
            self._landed(each)
        self._confirmed.update(mine)
        done = self._store.delivered(mine)

        def forget(_: object) -> None:
            self._confirmed.difference_update(mine)

        done.addCallbacks(forget, self._failed)

    def ready(self, session: HostSession) -> None:
        """A session can take what it is behind with: its format is known, or it has caught up."""
        self._load(session)

    def owes(self, session: HostSession) -> bool:
        """Whether notices wait that the session has not been given."""
        return session in self._behind or session in self._loading

    def _choose(self, host: str, origin: HostSession | None) -> HostSession | None:
        live = self._sessions.get(host)
        if not live:
            return None
        if origin in live:
            return origin
        open_ones = (each for each in reversed(live) if each.state is SessionState.OPEN)
        return next(open_ones, live[-1])

    def _follow(self, notice: Notice, origin: HostSession | None) -> list[HostSession]:
        """Note which sessions wait for a final notice; return those that wait for it no more."""
        request = notice.fields.get("req")
        if not isinstance(request, int):
            return []
        if notice.word is Word.ACCEPTED and origin is not None:
            origin.waiting.add(request)
        if not notice.word.is_final:
            return []
        waited = [s for s in self._sessions.get(notice.host, ()) if request in s.waiting]
        for session in waited:
            session.waiting.discard(request)
        return waited

    def _send(self, session: HostSession, notice: Notice, *, asked: bool = False) -> None:
        """Give a notice to a session, unless another has it already.

        Whoever asked is answered all the same: a new session that loads what its host has missed
        may have come across the answer before it was pushed.
        """
        if notice.id is not None:
            if notice.id in self._in_flight or notice.id in self._confirmed:
                if asked and self._in_flight.get(notice.id) is not session:
                    session.tell(notice)
                return
            carrier = self._carrier(notice)
            if carrier is not None and carrier is not session:
                self._behind.add(carrier)
                return
            self._in_flight[notice.id] = session
            request = notice.fields.get("req")
            if isinstance(request, int):
                carrier, count = self._carriers.get(request, (session, 0))
                self._carriers[request] = (carrier, count + 1)
                self._requests[notice.id] = request
        session.tell(notice)

    def _carrier(self, notice: Notice) -> HostSession | None:
        """Return the session that has earlier notices of the same request in flight, if any.

        An answer goes to whoever asked: a DUPLICATE to whoever showed the event again.
        """
        if notice.word.is_answer:
            return None
        request = notice.fields.get("req")
        carrier = self._carriers.get(request) if isinstance(request, int) else None
        return None if carrier is None else carrier[0]

    def _landed(self, number: int) -> None:
        """A notice is in flight no more: it arrived, or its connection is gone."""
        if self._in_flight.pop(number, None) is None:
            return
        request = self._requests.pop(number, None)
        if request is not None:
            session, count = self._carriers.pop(request)
            if count > 1:
                self._carriers[request] = (session, count - 1)

    def _load(self, session: HostSession) -> None:
        if session in self._behind and session not in self._loading and session.can_take:
            self._loading[session] = _Load()
            Deferred.fromCoroutine(self._load_all(session)).addErrback(self._failed)

    async def _load_all(self, session: HostSession) -> None:
        """Send page after page; then what was recorded meanwhile, so that nothing falls between."""
        self._behind.discard(session)
        try:
            for host in session.hosts:
                await self._load_host(session, host.name)
        except Exception:
            self._behind.add(session)
            self._reactor.callLater(AGAIN, self._load, session)
            raise
        finally:
            load = self._loading.pop(session)
            if not self._is_live(session):
                self._behind.discard(session)
        if not self._is_live(session):
            return
        if session.can_take:
            for notice, asked in load.held:
                if notice.id not in load.sent:
                    self._send(session, notice, asked=asked)
        else:
            self._behind.add(session)
        self._load(session)
        session.close_if_done()

    async def _load_host(self, session: HostSession, host: str) -> None:
        after = 0
        while session.can_take and session in self._sessions[host]:
            page = await self._store.pending(host, after, PAGE)
            if session not in self._sessions[host]:
                return  # it went meanwhile: nothing may be taken for being on its way
            for notice in page:
                self._send(session, notice)
                after = max(after, notice.id or 0)
            self._loading[session].sent.update(each.id for each in page if each.id is not None)
            if len(page) < PAGE:
                break

    def _is_live(self, session: HostSession) -> bool:
        return any(session in self._sessions[host.name] for host in session.hosts)

    def _failed(self, failure: Failure) -> None:
        self._log.failure("Notices could not be handled.", failure, action="outbox_failed")
