"""Links to the simulated system over a transport in memory."""

from types import SimpleNamespace

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from tests.harness.simulated_terminals import system
from vtspolicy.testing.nonstop.lines import LineFactory
from vtspolicy.testing.nonstop.system import VTS


class Transport(StringTransport):
    """A transport that can be cut."""

    def abortConnection(self):
        self.aborting = True
        self.loseConnection()

    aborting = False

    def take(self):
        data = self.value()
        self.clear()
        return data


def connect(made, clock=None, **settings):
    """A connection to a system; `made` is the factory's class."""
    clock = clock or Clock()
    faults = settings.pop("faults", None)
    at = settings.pop("at", None) or system(**settings)
    wire = made(at, clock, faults).buildProtocol(None)
    transport = Transport()
    wire.makeConnection(transport)
    return SimpleNamespace(
        wire=wire,
        link=wire.link,
        transport=transport,
        clock=clock,
        system=at,
        send=wire.dataReceived,
    )


def lines(**settings):
    return connect(LineFactory, **settings)


def logged_on(**settings):
    there = lines(services=(), **settings)
    there.send(b"LOGON VTS.EMS\n" + VTS.password.encode() + b"\n")
    there.transport.clear()
    return there
