"""The listeners of the simulated system."""

import pytest
from twisted.internet.task import Clock

from tests.harness.simulated_terminals import system
from vtspolicy.testing.nonstop.serving import Keys, ListenerError, factory, read_listener


def test_a_door_is_on_this_machine_alone_unless_it_says_otherwise():
    assert read_listener("telnet:23") == ("telnet", "tcp:port=23:interface=127.0.0.1")
    assert read_listener("ssh:port=22:interface=::1") == ("ssh", "tcp:port=22:interface=::1")


@pytest.mark.parametrize("text", ["rlogin:23", "telnet", "telnet:", ""])
def test_what_is_not_a_door_is_named_with_those_that_are(text):
    with pytest.raises(ListenerError, match="telnet, telnets, ssh, lines"):
        read_listener(text)


def test_telnet_over_tls_needs_a_certificate():
    with pytest.raises(ListenerError, match="certificate"):
        factory("telnets", system(), Clock(), None, Keys())
