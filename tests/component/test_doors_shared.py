"""Connections are shared between hosts: who has most makes way for who has few."""

import pytest

from tests.harness.outbox_doors import comer, doors
from tests.harness.sessions_in_memory import Bench, a_host
from vtspolicy.config.model import Host

OTHER = Host(name="NSK2", peers=("10.0.0.8",), systems=("\\NSK2",))


@pytest.fixture
def bench():
    bench = Bench()
    yield bench
    bench.ledger.destroy()


@pytest.fixture
def shared(bench):
    """Doors with room for three, and what they refused."""
    door, refused, _ = doors(bench, limit=3, hosts=lambda: (a_host(), OTHER))
    return door, refused


def aborted(sessions):
    return [session.transport.aborted for session in sessions]


def test_a_host_with_all_connections_makes_way_for_another(bench, shared):
    door, refused = shared
    held = [comer(door) for _ in range(3)]
    bench.clock.pass_time(1)
    for session in (held[0], held[2]):
        session.dataReceived(b"26-11-22 02:14:09 \\NSK1.$X A.B.C01 1 noise\n")

    other = comer(door, "10.0.0.8")

    assert other is not None
    assert aborted(held) == [False, True, False]
    assert refused == ["made_way"]


def test_the_host_that_has_most_gets_no_more(bench, shared):
    door, refused = shared
    held = [comer(door) for _ in range(3)]

    assert comer(door) is None
    assert refused == ["full"]
    assert not any(aborted(held))


def test_hosts_with_nearly_the_same_do_not_take_from_one_another(bench, shared):
    door, refused = shared
    held = [comer(door), comer(door), comer(door, "10.0.0.8")]

    assert comer(door, "10.0.0.8") is None
    assert refused == ["full"]
    assert not any(aborted(held))


def test_a_stranger_is_made_no_way_for(bench, shared):
    door = shared[0]
    held = [comer(door) for _ in range(3)]

    assert comer(door, "10.9.9.9") is None
    assert not any(aborted(held))


def test_who_is_being_recorded_is_not_ended(bench, shared):
    door = shared[0]
    held = [comer(door) for _ in range(3)]
    for session in held[:2]:
        session.dataReceived(b"VTSPolicy Status - 1\n")
    held[2].waiting.add(17)

    assert comer(door, "10.0.0.8") is not None
    assert aborted(held) == [False, False, True]
    bench.hang_up(held[2])
    assert comer(door, "10.0.0.8") is None
