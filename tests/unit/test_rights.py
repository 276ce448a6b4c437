"""Who may do what: what is not listed is denied."""

from datetime import datetime

import pytest

from vtspolicy.config.model import Host
from vtspolicy.events.event import Event
from vtspolicy.grammar import parse
from vtspolicy.rights import host_of_event, hosts_of_peer, why_not_command, why_not_tapes
from vtspolicy.tapes import Tape

NSK1 = Host(name="NSK1", peers=("10.0.0.9",), systems=("\\NSK1",), vaults=("VAULT01",))
NSK2 = Host(name="NSK2", peers=("10.0.0.0/24",), systems=("\\NSK2",))
NSK3 = Host(name="NSK3", peers=("CN=nsk3.example.com",), systems=("\\NSK3",))
NSK4 = Host(name="NSK4", peers=("CN=nsk4", "10.0.1.0/24"), systems=("\\NSK4",))
NSK5 = Host(name="NSK5", peers=("local",), systems=("\\NSK5",))
HOSTS = (NSK1, NSK2, NSK3, NSK4, NSK5)


@pytest.mark.parametrize(
    ("address", "certificate", "found"),
    [
        ("10.0.0.9", None, ["NSK1", "NSK2"]),
        ("10.0.0.10", None, ["NSK2"]),
        ("::ffff:10.0.0.9", None, ["NSK1", "NSK2"]),
        ("192.0.2.1", None, []),
        ("192.0.2.1", "nsk3.example.com", ["NSK3"]),
        ("192.0.2.1", "other", []),
        ("10.0.1.7", None, []),
        ("10.0.1.7", "nsk4", ["NSK4"]),
        ("192.0.2.1", "nsk4", []),
        ("local", None, ["NSK5"]),
        ("", None, []),
    ],
)
def test_a_peer_is_known_by_its_address_and_its_certificate(address, certificate, found):
    hosts = hosts_of_peer(HOSTS, address=address, certificate=certificate)
    assert [host.name for host in hosts] == found


@pytest.mark.parametrize(
    ("peer", "address", "met"),
    [
        ("::ffff:10.0.0.9", "10.0.0.9", True),
        ("::ffff:10.0.0.9", "::ffff:10.0.0.9", True),
        ("::ffff:10.0.0.9", "10.0.0.8", False),
        ("::ffff:10.0.0.0/120", "10.0.0.9", True),
        ("::ffff:10.0.0.0/120", "10.0.1.9", False),
        ("fe80::/10", "fe80::1%eth0", True),
        ("fd00::10", "fd00::10", True),
    ],
)
def test_a_peer_may_be_written_in_either_family_of_addresses(peer, address, met):
    host = Host(name="N", peers=(peer,))
    assert bool(hosts_of_peer([host], address=address)) is met


def test_a_host_without_peers_is_never_met():
    assert hosts_of_peer([Host(name="X")], address="10.0.0.9") == ()


def event(system):
    return Event(text="VTSPolicy", time=datetime(2026, 11, 22), system=system)  # noqa: DTZ001


def test_the_system_in_the_header_decides_among_hosts_of_one_address():
    assert host_of_event((NSK1, NSK2), event("\\NSK2"), address="10.0.0.9") is NSK2


def test_a_system_that_is_not_listed_is_denied():
    reason = host_of_event((NSK1,), event("\\EVIL"), address="10.0.0.9")
    assert reason == "system \\EVIL is not one of this host's systems"


def test_a_plain_command_of_an_address_of_two_hosts_is_ambiguous():
    plain = Event(text="VTSPolicy")
    assert host_of_event((NSK1,), plain, address="10.0.0.9") is NSK1
    assert "ambiguous" in host_of_event((NSK1, NSK2), plain, address="10.0.0.9")


def test_a_stranger_is_told_that_nobody_knows_it():
    assert "192.0.2.1 is not a peer" in host_of_event((), event("\\NSK1"), address="192.0.2.1")


def test_families_and_vaults_are_denied_unless_listed():
    host = Host(name="N", families=("DSK", "Er*"), vaults=("VAULT0?",))
    archive = "VTSPolicy DSK 'archive /VAULT01/P/A00017'"
    assert why_not_command(host, parse(archive)) is None
    assert why_not_command(host, parse("VTSPolicy Erase - A00017")) is None
    assert "TSM" in why_not_command(host, parse(archive.replace("DSK", "TSM")))
    assert "VAULT11" in why_not_command(host, parse(archive.replace("VAULT01", "VAULT11")))
    assert why_not_command(Host(name="N"), parse(archive)) is not None


def test_a_tape_found_by_its_bare_name_must_lie_in_an_allowed_vault():
    tape = Tape(vault="VAULT02", pool="P", cartridge="A00017", path="/v/P/A00017")
    assert "VAULT02" in why_not_tapes(NSK1, [tape])
    assert why_not_tapes(Host(name="N", vaults=("VAULT02",)), [tape]) is None
