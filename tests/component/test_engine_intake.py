"""What becomes of a command before any tape is looked at."""

import pytest

from tests.harness.engine_worlds import Site
from vtspolicy.engine.commands.authorising import understand
from vtspolicy.engine.commands.steps import Unheard
from vtspolicy.events.event import Event


@pytest.fixture(scope="module")
def site():
    site = Site()
    yield site
    site.remove()


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("VTSPolicy DSK 'archive /VAULT01/PAY ref=night-7'", "night-7"),
        ("VTSPolicy DSK 'archve /VAULT01/PAY ref=night-7'", "night-7"),
        ("VTSPolicy DSK 'archive /VAULT01/PAY'", None),
    ],
)
def test_a_command_of_an_unknown_system_is_denied_with_its_reference(site, text, ref):
    event = Event(text=text, system="\\NSK7")
    hosts = tuple(site.configuration.hosts.values())
    found = understand(site.reader, event, hosts=hosts, address="10.0.0.9", received=0.0)
    assert isinstance(found, Unheard)
    assert found.ref == ref
