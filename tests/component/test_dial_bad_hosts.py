"""A server that dials hosts with which a link cannot work, or should not: its state and log."""

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogPublisher

from tests.harness import engine_worlds
from tests.harness.dialled_hosts import FACTORIES, Network, Site
from tests.harness.simulated_terminals import system
from vtspolicy.links.life import Cause, LinkState
from vtspolicy.testing.nonstop.lines import LineWire
from vtspolicy.testing.nonstop.link import BAD_HOSTS
from vtspolicy.testing.nonstop.system import VTS

KINDS = pytest.mark.parametrize("protocol", ["telnet", "lines"])


class BadNetwork(Network):
    """Its host has these faults."""

    def __init__(self, faults, **settings):
        super().__init__(**settings)
        self.faults = faults

    def factory(self, dial):
        return FACTORIES[dial.protocol](self.system, self.clock, self.faults)


@pytest.fixture(scope="module")
def files():
    site = engine_worlds.Site()
    yield site
    site.remove()


@pytest.fixture
def world(files):
    made = engine_worlds.World(files)
    yield made
    made.close()
    assert not made.violations


@pytest.fixture
def told():
    """What is logged."""
    events = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


@pytest.fixture
def dialled(world, tmp_path, told):
    def dial(name, protocol):
        network = BadNetwork(BAD_HOSTS[name], clock=world.clock)
        return Site(world, tmp_path, network=network, protocol=protocol)

    return dial


def actions(told):
    return {event.get("action") for event in told}


@KINDS
@pytest.mark.parametrize(
    ("name", "shows"),
    [
        ("other-machine", "came: Backup appliance 7 / backup7 login:"),
        ("no-prompt", "came: WELCOME TO NSK1"),
        ("endless-line", "xxxx"),
    ],
)
def test_a_host_that_lets_nobody_in_is_waited_for_and_its_words_are_told(
    dialled, told, name, shows, protocol
):
    here = dialled(name, protocol)
    here.run(60, step=1)
    assert here.network.dialled > 1
    assert here.link.link.cause in {Cause.NO_PROMPT, Cause.ENDED}
    assert shows in " ".join(here.link.link.error.split())
    assert len(here.link.link.error) < 1000
    assert "link_down" in actions(told)
    assert sum(len(repr(event)) for event in told) < 200_000
    assert VTS.password not in repr(told)
    assert not here.system.accounts.failures("VTS.EMS")


@KINDS
def test_a_host_that_echoes_the_password_works_and_nobody_is_shown_it(dialled, told, protocol):
    here = dialled("echo-password", protocol)
    here.post("VTSPolicy DSK 'archive /VAULT01/PAY/P00000 ref=r0'")
    here.run(10)
    assert here.state is LinkState.READING
    assert here.words == ["ACCEPTED"]
    assert "password_shown" in actions(told)
    kept = [each.read_text() for each in (here.folder / "links").iterdir()]
    assert not any(VTS.password in each for each in [repr(told), repr(here.link), *kept])


# The hosts themselves


def shown_by(name, *typed):
    """What such a host shows at once, and for these lines."""
    wire = LineWire(system(), Clock(), BAD_HOSTS[name])
    wire.makeConnection(transport := StringTransport())
    before = transport.value()
    wire.dataReceived("".join(f"{line}\r" for line in typed).encode())
    return before, transport.value()[len(before) :]


@pytest.mark.parametrize("name", ["other-machine", "no-prompt", "endless-line"])
def test_a_host_that_lets_nobody_in_hears_nothing(name):
    before, behind = shown_by(name, "TACL", "LOGON VTS.EMS", VTS.password)
    assert before
    assert behind == b""


def test_an_endless_line_has_a_megabyte_and_no_end():
    before, _ = shown_by("endless-line")
    assert len(before) == 1_000_000
    assert not {0x0A, 0x0D} & set(before)


def test_a_host_that_echoes_the_password_lets_people_in():
    _, behind = shown_by("echo-password", "TACL", "LOGON VTS.EMS", VTS.password)
    assert VTS.password.encode() in behind
    assert behind.endswith(b"1> ")
