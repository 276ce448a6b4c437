"""The outbox: recorded notices go to a live session of their host, and again until they arrive."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from vtspolicy.config.model import Host
from vtspolicy.hosts.load import Load
from vtspolicy.hosts.session import HostSession
from vtspolicy.hosts.unsent import Unsent
from vtspolicy.ledger.errors import LedgerError
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


class Outbox:
    """Gives every notice to one live session of its host: that which asked, while it can take one.

    The newest session gets what no session here has asked for, and what is for one that is gone.

    A host is in one of four conditions. Mostly nothing of it waits, and a notice is sent as soon as
    it is recorded. When no session can take one, it is kept in memory as *unsent*, and so is what
    is recorded next, until a session can take notices again. When there is no room for that, or
    more than these may be due, the host is *behind*: all that comes stays in the ledger. Once a
    session can take notices, the host is *loaded*, from the ledger and in order, and what is
    recorded meanwhile comes last.

    The notices of a request go to one session, its *carrier*, as long as one of them is in flight:
    a connection that is gone may not be known to be gone, and what then went to another one would
    arrive before what comes again later. What a carrier cannot take is *barred* until it can, or
    until it is the carrier no more.
    """

    def __init__(self, reactor: IReactorTime, store: Store, unsent: Unsent | None = None) -> None:
        self._reactor = reactor
        self._store = store
        self._sessions: dict[str, list[HostSession]] = defaultdict(list)  # by host
        self._former: dict[HostSession, set[str]] = {}  # hosts that a session was before
        self._undecided: set[HostSession] = set()  # they may still show their format
        self._unsent = Unsent() if unsent is None else unsent
        self._behind: dict[str, int] = {}  # and the number after which something is due
        self._loading: dict[str, Load] = {}
        self._barred: dict[str, set[int]] = {}  # requests, by host
        self._in_flight: dict[int, HostSession] = {}
        self._requests: dict[int, int] = {}  # of the notices in flight that a carrier carries
        self._carriers: dict[int, tuple[HostSession, int]] = {}  # and how many, by request
        self._confirmed: dict[int, HostSession] = {}  # on their way into the ledger, and by whom
        self._askers: dict[int, HostSession] = {}  # by request, until its final notice is given
        self._log = Logger("vtspolicy.outbox")

    def sessions(self, host: str) -> int:
        """Return how many live sessions a host has."""
        return len(self._sessions.get(host, ()))

    def push(self, notices: Iterable[Notice], origin: HostSession | None = None) -> None:
        """Send notices that were just recorded; without a live session they wait in the ledger."""
        for notice in notices:
            self._note_asker(notice, origin)
            if self._sessions.get(notice.host):
                asker = self._asker(notice)
                self._give(notice, origin)
                if asker is not None and notice.word.is_final:
                    asker.close_if_done()

    def attach(self, session: HostSession) -> None:
        """Take a new session, and send it what its hosts have missed."""
        for host in session.hosts:
            self._sessions[host.name].append(session)
            self._fall_behind(host.name)
        if session.wire.format is None:
            self._undecided.add(session)
            self._reactor.callLater(UNDECIDED, self.ready, session)
        self._load(*(host.name for host in session.hosts))

    def serve(self, session: HostSession, hosts: tuple[Host, ...]) -> None:
        """Let a session be these hosts from now on; what is under way to it stays so."""
        before, after = ({host.name for host in each} for each in (session.hosts, hosts))
        for name in before - after:
            self._leave(name, session)
            self._former.setdefault(session, set()).add(name)
        for name in after - before:
            self._sessions[name].append(session)
            self._fall_behind(name)
        session.hosts = hosts
        self._load(*(after - before))

    def detach(self, session: HostSession) -> None:
        """Forget a session; what it had not confirmed goes to another one, or waits."""
        names = self._former.pop(session, set()) | {host.name for host in session.hosts}
        for name in names:
            self._leave(name, session)
        self._undecided.discard(session)
        for request in session.waiting:
            if self._askers.get(request) is session:
                del self._askers[request]
        freed = self._land(session, session.take_back())
        for name in names:
            if self._sessions[name]:
                self._fall_behind(name)
            if name in self._loading:
                self._loading[name].is_stale = True
        self._load(*names, *self._unbar(freed))

    def confirmed(self, session: HostSession, ids: list[int]) -> None:
        """Note in the ledger that the peer has got these."""
        mine = [each for each in ids if self._in_flight.get(each) is session]
        if not mine:
            return
        freed = self._land(session, mine)
        self._confirmed.update(dict.fromkeys(mine, session))
        done = self._store.delivered(mine)

        def forget(_: object) -> None:
            for each in mine:
                del self._confirmed[each]
            for load in self._loading.values():  # the page asked for may have them
                load.arrived.update(mine)

        done.addCallbacks(forget, self._failed)
        self._load(*self._unbar(freed))

    def ready(self, session: HostSession) -> None:
        """A session can take what waits: its format is known, or it has caught up."""
        self._undecided.discard(session)
        if not session.can_take:
            return
        names = [host.name for host in session.hosts]
        for name in names:
            for request in self._barred.get(name, ()):
                if request in self._carriers and self._carriers[request][0] is session:
                    self._fall_behind(name)
                    break
            self._give_unsent(name)
        self._load(*names)

    def owes(self, session: HostSession) -> bool:
        """Whether notices wait that the session may still be given."""
        return any(
            host.name in self._behind or host.name in self._loading or self._unsent.has(host.name)
            for host in session.hosts
            if session in self._sessions[host.name]
        )

    def _leave(self, name: str, session: HostSession) -> None:
        """A session is this host no more."""
        live = self._sessions[name]
        if session in live:
            live.remove(session)
        if not live:  # all that comes waits in the ledger, and the next session begins there
            self._behind.pop(name, None)
            self._unsent.drop(name)
            self._barred.pop(name, None)

    def _fall_behind(self, name: str, after: int = 0) -> None:
        """Read what is due for a host from the ledger: what has a number above `after`."""
        first = self._unsent.drop(name)
        if first is not None:
            after = min(after, first - 1)
        self._behind[name] = min(after, self._behind.get(name, after))

    def _choose(self, host: str) -> HostSession | None:
        """Return the newest session of a host that can take notices; None if there is none."""
        half_closed = None
        for session in reversed(self._sessions.get(host, ())):
            if session.can_take and session not in self._undecided:
                if session.state is SessionState.OPEN:
                    return session
                half_closed = half_closed or session
        return half_closed

    def _note_asker(self, notice: Notice, origin: HostSession | None) -> None:
        """Note which session waits for the final notice of a request."""
        request = _ordered(notice)
        if notice.word is Word.ACCEPTED and request is not None and origin is not None:
            origin.waiting.add(request)
            if origin.is_live:  # one that is gone was detached before
                self._askers[request] = origin

    def _asker(self, notice: Notice) -> HostSession | None:
        """Return the session that waits for the final notice of this one's request, if any."""
        request = _ordered(notice)
        return None if request is None else self._askers.get(request)

    def _preferred(self, notice: Notice, chosen: HostSession) -> HostSession:
        """Return who asked, if it can take this notice; `chosen` if not."""
        asker = self._asker(notice)
        if asker is None or not asker.can_take:
            return chosen
        return asker if any(host.name == notice.host for host in asker.hosts) else chosen

    def _given(self, notice: Notice) -> None:
        """Forget who waits for a final notice that a session was given."""
        request = _ordered(notice)
        if request is not None and notice.word.is_final:
            asker = self._askers.pop(request, None)
            if asker is not None:
                asker.waiting.discard(request)

    def _give(self, notice: Notice, origin: HostSession | None) -> None:
        """Send a notice that was just recorded, unless it has to wait in the ledger.

        The asker is answered at once, before what else waits: an answer comes before all other
        notices of its request, or belongs to no order.
        """
        host = notice.host
        asker = origin if origin in self._sessions[host] else None
        if asker is not None and not asker.can_take:
            asker = None
        if asker is not None and notice.word.is_answer:
            self._answer(asker, notice)
        elif host in self._loading:
            self._loading[host].hold(notice, origin)
        elif host in self._behind:
            self._fall_behind(host, _before(notice))
        else:
            chosen = None if self._unsent.has(host) else asker or self._choose(host)
            if chosen is not None:
                self._send(chosen, notice)
            elif not self._unsent.keep(host, notice, origin):
                self._fall_behind(host, _before(notice))

    def _give_unsent(self, host: str) -> None:
        """Send what is kept in memory for a host, as long as a session can take it."""
        if not self._unsent.has(host):
            return
        while self._unsent.has(host) and (chosen := self._choose(host)) is not None:
            notice, origin = self._unsent.take(host)
            asker = origin if origin in self._sessions[host] else None
            self._send(asker if asker is not None and asker.can_take else chosen, notice)
        for session in tuple(self._sessions[host]):
            session.close_if_done()

    def _answer(self, asker: HostSession, notice: Notice) -> None:
        """Answer who asked, even if a load has come across the answer and gave it to another."""
        number = notice.id or 0
        given = self._in_flight.get(number) or self._confirmed.get(number)
        if given is not None:
            if given is not asker:
                asker.tell(notice)
        else:
            self._send(asker, notice)

    def _send(self, chosen: HostSession, notice: Notice) -> None:
        """Send a notice to the carrier of its request; if there is none, to who asked.

        To `chosen` if none did, or that one cannot take it.
        """
        chosen = self._preferred(notice, chosen)
        if notice.id is not None:
            if notice.id in self._in_flight or notice.id in self._confirmed:
                return
            request = _ordered(notice)
            if request is not None:
                carrier, count = self._carriers.get(request, (chosen, 0))
                if self._is_barred(notice.host, request, carrier, chosen):
                    return
                chosen = carrier
                self._carriers[request] = (carrier, count + 1)
                self._requests[notice.id] = request
            self._in_flight[notice.id] = chosen
        chosen.tell(notice)
        self._given(notice)

    def _is_barred(
        self, host: str, request: int, carrier: HostSession, chosen: HostSession
    ) -> bool:
        """Whether a notice has to wait for the carrier of its request, or for an earlier one."""
        if request in self._barred.get(host, ()):
            return True
        if carrier is chosen or (carrier.can_take and carrier in self._sessions[host]):
            return False
        self._barred.setdefault(host, set()).add(request)
        return True

    def _land(self, session: HostSession, numbers: Iterable[int]) -> set[int]:
        """Notices are in flight no more: they arrived, or their connection is gone.

        Returns the requests that have no carrier any more.
        """
        freed = set()
        for number in numbers:
            if self._in_flight.get(number) is not session:
                continue  # a second copy, for who asked
            del self._in_flight[number]
            request = self._requests.pop(number, None)
            if request is None:
                continue
            carrier, count = self._carriers.pop(request)
            if count > 1:
                self._carriers[request] = (carrier, count - 1)
            else:
                freed.add(request)
        return freed

    def _unbar(self, freed: set[int]) -> list[str]:
        """Return the hosts that have notices of these requests waiting; they are behind now."""
        names = [name for name, barred in self._barred.items() if not barred.isdisjoint(freed)]
        for name in names:
            self._fall_behind(name)
        return names

    def _load(self, *hosts: str) -> None:
        """Give hosts that are behind what waits in the ledger, if a session can take it."""
        for host in hosts:
            if host not in self._behind or host in self._loading or self._choose(host) is None:
                continue
            after = self._behind.pop(host)
            if after == 0:
                self._barred.pop(host, None)
            self._loading[host] = Load(after)
            Deferred.fromCoroutine(self._load_host(host)).addErrback(self._failed)

    async def _load_host(self, host: str) -> None:
        """Send what waits; then what was recorded meanwhile, so that nothing falls between."""
        load = self._loading[host]
        try:
            is_whole = await self._load_pages(host, load)
        except Exception:
            self._fall_behind(host)
            self._reactor.callLater(AGAIN, self._load, host)
            raise
        finally:
            del self._loading[host]
        if is_whole:
            for notice, origin in load.held:
                if notice.id not in load.seen:
                    self._give(notice, origin)
        elif self._sessions[host]:
            self._fall_behind(host, load.resume_after())
        self._load(host)
        for session in tuple(self._sessions[host]):
            session.close_if_done()

    async def _load_pages(self, host: str, load: Load) -> bool:
        """Send page after page; answers whether that was all, or no session could take more."""
        while self._choose(host) is not None:
            if load.is_stale:
                load.is_stale, load.after = False, 0
                self._behind.pop(host, None)
                self._barred.pop(host, None)
            load.arrived.clear()
            page = await self._store.pending(host, load.after, PAGE)
            chosen = self._choose(host)
            if load.is_stale or chosen is None:
                continue
            for notice in page:
                if notice.id not in load.arrived:
                    self._send(chosen, notice)
                load.after = max(load.after, notice.id or 0)
            load.seen.update(each.id for each in page if each.id is not None)
            if len(page) < PAGE:
                return load.left is None
        return False

    def _failed(self, failure: Failure) -> None:
        if failure.type is LedgerError:  # it is closed: the server stops
            self._log.warn(
                "Notices are sent again by the next server: {why}.",
                action="outbox_closed",
                why=failure.getErrorMessage(),
            )
            return
        self._log.failure("Notices could not be handled.", failure, action="outbox_failed")


def _before(notice: Notice) -> int:
    """Return the number after which a notice is due."""
    return (notice.id or 1) - 1


def _ordered(notice: Notice) -> int | None:
    """Return the request within whose order a notice is; None if it belongs to none.

    Of the answers only ACCEPTED begins a request. A DUPLICATE belongs to the event that was shown
    again, a STATUS to its question: they may come on another connection than the rest.
    """
    if notice.word.is_answer and notice.word is not Word.ACCEPTED:
        return None
    request = notice.fields.get("req")
    return request if isinstance(request, int) else None
