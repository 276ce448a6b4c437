"""All sessions of a server, whichever side opened their links."""

from collections.abc import Callable, Iterator, Sequence

from attrs import define, field
from twisted.internet.task import deferLater

from vtspolicy.config.model import Host
from vtspolicy.hosts.link_log import LinkLog
from vtspolicy.hosts.session import HostSession, SessionServices

RECORDING = 5.0
"""Seconds that a stop waits for what has come in and is being recorded."""

LOOK = 0.05
"""Seconds between looks at whether it is."""


@define(kw_only=True)
class Sessions:
    """The sessions that are there: what a reload, a stop and the counters concern."""

    services: SessionServices
    hosts: Callable[[], Sequence[Host]]  # as they are configured now
    on_count: Callable[[HostSession, int], None]  # a session came (+1) or went (-1)
    all: set[HostSession] = field(factory=set)
    incoming: set[HostSession] = field(factory=set)  # of all, those that take a listener's place
    log: LinkLog = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.log = LinkLog(self.services.reactor)

    def __iter__(self) -> Iterator[HostSession]:
        return iter(tuple(self.all))

    def add(self, session: HostSession, where: str) -> None:
        """A session begins: its end is noted too. `where`: the listener, or what was dialled."""
        self.all.add(session)
        if not session.peer.is_dialled:
            self.incoming.add(session)
        session.on_closed = self._remove
        self.on_count(session, +1)
        self.log.opened(session, where)

    def _remove(self, session: HostSession) -> None:
        self.all.discard(session)
        self.incoming.discard(session)
        self.log.closed(session)
        self.on_count(session, -1)

    def renew(self) -> None:
        """Take the hosts as they are configured now; a link whose host is gone is ended."""
        known = self.hosts()
        for session in self:
            hosts = session.peer.hosts_among(known)
            was_known = bool(session.hosts)
            self.on_count(session, -1)
            session.serve(hosts)
            self.on_count(session, +1)
            if was_known and not hosts:
                session.close()

    async def close(self) -> None:
        """End all, when what they had received complete is recorded."""
        await self._no_more_is_busy(2 * self.services.settle)  # they read on, but not for long
        for session in self:
            session.hold()
        await self._no_more_is_busy(RECORDING)
        for session in self:
            session.close()

    async def _no_more_is_busy(self, seconds: float) -> None:
        """Wait until all that came in is recorded, but no longer than so many seconds."""
        for _ in range(round(seconds / LOOK)):
            if not any(session.is_busy for session in self.all):
                return
            await deferLater(self.services.reactor, LOOK)
