"""A simulated system that can be called without sockets, and what its callers are given."""

from datetime import UTC, datetime
from functools import partial

from attrs import evolve
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionRefusedError as NobodyThere
from twisted.internet.task import Clock
from twisted.test import iosim

from tests.harness.simulated_terminals import system
from vtspolicy.config.model import Dial
from vtspolicy.hosts.dial.connect import open_terminal
from vtspolicy.hosts.dial.conversation import Conversation
from vtspolicy.hosts.dial.dialer import Dialer
from vtspolicy.hosts.dial.resumption import Resumption
from vtspolicy.hosts.sessions import Sessions
from vtspolicy.links.distributor import OVERLAP, TEMPLATE
from vtspolicy.links.login import DIALOGUES
from vtspolicy.testing.nonstop.lines import LineFactory
from vtspolicy.testing.nonstop.ssh import SshFactory, new_host_key
from vtspolicy.testing.nonstop.system import VTS
from vtspolicy.testing.nonstop.telnet import TelnetFactory

HOST_KEY = new_host_key()
FACTORIES = {"lines": LineFactory, "telnet": TelnetFactory}


class Network:
    """What connects the callers with one system."""

    def __init__(self, at=None, *, key=HOST_KEY, clock=None, **settings):
        if clock is not None:
            settings.setdefault("now", lambda: datetime.fromtimestamp(clock.seconds(), UTC))
        self.system = at or system(**settings)
        self.clock = clock or Clock()
        self.key = key
        self.pumps = []
        self.is_down = False
        self.other = None  # a factory of another machine
        self.dialled = 0

    def endpoint_of(self, _reactor, dial):
        return _Endpoint(self, dial)

    @property
    def open(self):
        return partial(open_terminal, self.clock, endpoint_of=self.endpoint_of)

    def factory(self, dial):
        if self.other is not None:
            return self.other
        if dial.protocol == "ssh":
            made = SshFactory(self.system, self.clock, None, self.key)
            made.startFactory()
            return made
        return FACTORIES[dial.protocol](self.system, self.clock)

    def connect(self, dial, factory):
        self.dialled += 1
        if self.is_down:
            return fail(NobodyThere())
        server = self.factory(dial).buildProtocol(None)
        client = factory.buildProtocol(None)
        sides = [
            iosim.FakeTransport(server, isServer=True),
            iosim.FakeTransport(client, isServer=False),
        ]
        for side in sides:
            side.abortConnection = side.loseConnection
            side.setTcpNoDelay = lambda _: None
            side.pauseProducing = side.resumeProducing = lambda: None
        self.pumps.append(iosim.connect(server, sides[0], client, sides[1]))
        done = Deferred()
        done.callback(client)
        return done

    def settle(self):
        """Carry everything that is under way."""
        while sum(bool(pump.pump()) for pump in self.pumps):
            pass

    def run(self, seconds, step=0.5):
        """Let time pass."""
        self.settle()
        left = seconds
        while left > 0:
            self.clock.advance(min(step, left))
            left -= step
            self.settle()


class _Endpoint:
    def __init__(self, network, dial):
        self._network, self._dial = network, dial

    def connect(self, factory):
        return self._network.connect(self._dial, factory)


def a_dial(folder, *, protocol="telnet", password=VTS.password, **more):
    """The settings of a link, and its files."""
    if password is not None:
        (folder / "password").write_text(f"{password}\n")
        more.setdefault("password_file", folder / "password")
    if protocol == "ssh":
        known = more.pop("known", HOST_KEY)
        (folder / "known").write_bytes(b"nsk1 " + known.public().toString("OPENSSH") + b"\n")
        more.setdefault("known_hosts", folder / "known")
    login = DIALOGUES["ssh-tacl" if protocol == "ssh" else "tacl"]
    settings = {
        "host": "NSK1",
        "endpoint": f"{protocol}:nsk1",
        "address": ("nsk1", 22 if protocol == "ssh" else 23),
        "user": "VTS.EMS",
        "login": login,
        "distributor": TEMPLATE,
        "overlap": OVERLAP,
        "reply": "VTSREPLY",
    }
    return Dial(protocol=protocol, **{**settings, **more})


def conversation(network, dial):
    return Conversation(network.clock, network.open, dial)


def outcome(network, coroutine, seconds=0):
    """Run a coroutine; return its result, or the error that it has raised."""
    found = []
    Deferred.fromCoroutine(coroutine).addBoth(found.append)
    network.run(seconds)
    assert found, "it waits"
    return getattr(found[0], "value", found[0])


class Site:
    """A whole server without processes that calls one simulated host."""

    def __init__(self, world, folder, *, network=None, dials=None, **settings):
        self.world, self.folder = world, folder
        self.clock = world.clock
        more = {key: settings.pop(key) for key in list(settings) if key in DIALS}
        if "host_filters" in settings:
            settings["filters"] = settings.pop("host_filters")
        self.network = network or Network(clock=world.clock, **settings)
        self.system = self.network.system
        self.dials = dials or (a_dial(folder, **more),)
        self.states = []
        self.sessions = Sessions(
            services=world.link,
            hosts=lambda: tuple(self.configuration.hosts.values()),
            on_count=lambda _session, _change: None,
        )
        self.hosts = dict(world.site.configuration.hosts)
        self.call()

    def call(self):
        """A server begins to call."""
        self.dialer = Dialer(
            shared=self.world.link,
            open_terminal=self.network.open,
            resumption=Resumption(self.folder / "links"),
            register=self.sessions.add,
            on_state=lambda _host, state: self.states.append(state),
            chance=lambda: 0.5,
        )
        self.dialer.start(self.configuration)
        self.run(3)

    @property
    def configuration(self):
        return evolve(self.world.site.configuration, dial=self.dials, hosts=self.hosts)

    @property
    def link(self):
        return self.dialer.links["NSK1"]

    @property
    def state(self):
        return self.link.link.state

    def run(self, seconds=0.0, step=0.25):
        self.network.settle()
        left = seconds
        while left > 0:
            self.clock.pass_time(min(step, left))
            left -= step
            self.network.settle()
        self.clock.settle()
        self.network.settle()

    def post(self, *texts):
        """Events of the host."""
        for text in texts:
            self.system.post(text)
        self.run()

    def cut(self):
        """All connections break."""
        for link in tuple(self.system.links):
            link.die()
        self.run()

    @property
    def window(self):
        """The terminal of the display."""
        return self.system.links[0].session.console.window

    @property
    def failures(self):
        """Wrong passwords of the account in a row."""
        return self.system.accounts.failures("VTS.EMS")

    def ran(self, word):
        """How often TACL ran this."""
        return sum(each.split(" ")[0] == word for each in self.system.commands)

    @property
    def notices(self):
        """The texts of our notices that are events of the host."""
        return [each.text for each in self.system.events if each.process == "$VTSR"]

    @property
    def words(self):
        return [text.split(" ")[1] for text in self.notices]

    def finish(self):
        """All runs end well."""
        for key in self.world.runner.watched:
            self.world.runner.exit(key)
        self.run(10)

    def pending(self):
        return self.world.ledger.tx.notices.pending("NSK1")

    def requests(self):
        """All requests; the newest first."""
        return list(self.world.ledger.tx.requests.find(limit=100_000))


DIALS = ("protocol", "password", "filters", "reply", "overlap", "login", "distributor", "process")
