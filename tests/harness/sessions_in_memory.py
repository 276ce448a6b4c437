"""A host's side of connections without sockets: what was written, what was confirmed, by whom."""

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from vtspolicy.config.model import Host
from vtspolicy.engine.assembly import LedgerStore
from vtspolicy.engine.effects import EngineLedger
from vtspolicy.events.decoder import decoder
from vtspolicy.hosts import wires
from vtspolicy.hosts.outbox import Outbox
from vtspolicy.hosts.peers import ConnectingPeer
from vtspolicy.hosts.session import HostSession, SessionServices
from vtspolicy.hosts.unsent import Unsent
from vtspolicy.ledger import NoticeRecords
from vtspolicy.notices import Notice, Word, read_line
from vtspolicy.testing.clock import TestClock
from vtspolicy.testing.ledger import MemoryLedger

GONE = Failure(ConnectionDone())


def a_host(name="NSK1", **more):
    return Host(name=name, peers=("10.0.0.9",), systems=(f"\\{name}",), **more)


def a_session(link, *hosts, address="10.0.0.9", format="ems"):  # noqa: A002 (the configuration's)
    """A session of hosts that has come in through a listener, and is not connected yet."""
    peer = ConnectingPeer(address=address)
    return HostSession(link, peer=peer, hosts=hosts, wire=wires.Wire(decoder=decoder(format)))


class Wire(StringTransport):
    """A transport whose peer can be slow, and can be gone; it counts what was asked of it."""

    def __init__(self):
        super().__init__(lenient=True)
        self.turns = []  # on and off, in order, as the session had the reading
        self.aborted = False

    def pauseProducing(self):
        super().pauseProducing()
        self.turns.append("off")

    def resumeProducing(self):
        super().resumeProducing()
        self.turns.append("on")

    def abortConnection(self):
        super().abortConnection()
        self.aborted = True

    @property
    def reads(self):
        return self.producerState == "producing"

    @property
    def notices(self):
        return [read_line(line) for line in self.value().splitlines()]

    def told(self):
        """What was written since this was last asked: (word, request) of each notice."""
        fresh = [(notice.word.name, notice.fields.get("req")) for notice in self.notices]
        self.clear()
        return fresh


@define
class Batches:
    """An engine that records a batch when the test says so."""

    got: list = field(factory=list)
    open: list = field(factory=list)
    at_once: bool = False

    def receive(self, session, items):
        self.got.append([getattr(item, "text", item) for item in items])
        done = Deferred()
        if self.at_once:
            done.callback(None)
        else:
            self.open.append(done)
        return done

    def record(self):
        self.open.pop(0).callback(None)


class SlowStore:
    """The outbox's view of a ledger that answers when the test says so."""

    def __init__(self, store):
        self.store = store
        self.waiting = []
        self.slow = False
        self.asked = []  # after which numbers

    def pending(self, host, after, limit):
        self.asked.append(after)
        if not self.slow:
            return self.store.pending(host, after, limit)
        answer, found = Deferred(), []
        self.store.pending(host, after, limit).addCallback(found.extend)  # as it is now
        self.waiting.append((answer, found))
        return answer

    def delivered(self, ids):
        return self.store.delivered(ids)

    def answer(self):
        answer, found = self.waiting.pop(0)
        answer.callback(found)


class Bench:
    """An outbox on a ledger in memory, and sessions on it.

    Of notices that no session can take now, it keeps `unsent` in memory.
    """

    def __init__(self, unsent=4000):
        self.clock = TestClock()
        self.ledger = MemoryLedger()
        self.store = SlowStore(LedgerStore(EngineLedger(self.ledger), self.clock))
        self.outbox = Outbox(self.clock, self.store, Unsent(unsent))
        self.engine = Batches()
        self.link = SessionServices(
            reactor=self.clock,
            engine=self.engine,
            outbox=self.outbox,
            node="vts1.example.com",
            settle=0.2,
        )

    def connect(self, *hosts, format="ems"):  # noqa: A002 (the word of the configuration)
        """A session of a host, its format known, its backlog loaded."""
        session = a_session(self.link, *(hosts or (a_host(),)), format=format)
        session.makeConnection(Wire())
        self.clock.settle()
        return session

    def hang_up(self, session):
        """The connection is gone."""
        session.connectionLost(GONE)

    def record(self, word=Word.ACCEPTED, request=1, host="NSK1", **fields):
        """Put a notice into the ledger, as every notice is before it is sent."""
        notice = Notice(
            word=word, host=host, fields={"req": request, **fields}, created=self.clock.seconds()
        )
        added = []
        self.ledger.write(NoticeRecords.add, notice).addCallback(added.append)
        return added[0].result

    def push(self, *args, origin=None, **kwargs):
        """Record a notice and hand it to the outbox."""
        self.outbox.push([self.record(*args, **kwargs)], origin)

    def pending(self, host="NSK1"):
        """What the ledger keeps for a host: (word, request)."""
        found = self.ledger.tx.notices.pending(host)
        return [(notice.word.name, notice.fields["req"]) for notice in found]
