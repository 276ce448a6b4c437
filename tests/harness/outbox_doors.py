"""Listeners in memory, and connections that come to them."""

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock

from tests.harness.sessions_in_memory import Wire, a_host
from vtspolicy.config.model import Listen
from vtspolicy.hosts.listener import Listeners
from vtspolicy.hosts.sessions import Sessions


def doors(bench, *, limit=1000, hosts=lambda: (a_host(),)):
    refused, counted = [], []
    sessions = Sessions(
        services=bench.link,
        hosts=hosts,
        on_count=lambda session, change: counted.append((bool(session.hosts), change)),
    )
    doors = Listeners(sessions=sessions, limit=limit, on_refused=refused.append)
    return doors, refused, counted


def comer(doors, address="10.0.0.9"):
    """Somebody who connects; the session, or None at a closed door."""

    got = []
    Deferred.fromCoroutine(opened(doors)).addCallback(got.append)
    session = got[0].buildProtocol(IPv4Address("TCP", address, 4711))
    if session is not None:
        session.makeConnection(Wire())
    return session


async def opened(doors):
    reactor = MemoryReactorClock()
    await doors.open(reactor, [Listen(endpoint="tcp:7171")])
    return reactor.tcpServers[0][1]
