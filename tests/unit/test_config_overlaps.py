"""Which hosts one event could be taken for, and that looking for them does not take long."""

from itertools import combinations, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtspolicy.config import overlaps as module
from vtspolicy.config.endpoints import LOCAL, network_of
from vtspolicy.config.model import Host
from vtspolicy.config.overlaps import overlaps

PEERS = (
    *("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "10.2.0.0/16", "11.0.0.1", "0.0.0.0/0"),
    *("::/0", "fe80::1", "fe80::/16", "::ffff:10.1.2.3", "CN=a", "CN=b", LOCAL),
)


def host(number, peers, systems=()):
    return Host(name=f"H{number}", peers=tuple(peers), systems=tuple(systems))


def same_peer(one, two):
    if one == two:
        return True
    if LOCAL in {one, two} or "CN=" in one + two:
        return False
    first, second = network_of(one), network_of(two)
    return first.version == second.version and first.overlaps(second)


peers = st.lists(st.sampled_from(PEERS), max_size=3)
systems = st.lists(st.sampled_from(["A", "B", "C"]), max_size=2)


@given(st.lists(st.tuples(peers, systems), max_size=6))
def test_the_overlaps_are_those_of_every_host_with_every_other(drawn):
    hosts = [host(number, *each) for number, each in enumerate(drawn)]
    expected = {}
    for one, two in combinations(hosts, 2):
        shared = frozenset(one.systems) & frozenset(two.systems)
        meet = any(same_peer(a, b) for a in one.peers for b in two.peers)
        if shared or (meet and not (one.systems and two.systems)):
            expected[one.name, two.name] = shared, meet

    found = list(overlaps(hosts))

    assert {(each.first.name, each.second.name): (each.shared, each.meet) for each in found} == (
        expected
    )
    assert len(found) == len(expected)


@pytest.mark.parametrize(
    "hosts",
    [
        [host(n, [f"10.{n >> 8}.{n & 255}.1"]) for n in range(5000)],
        [host(n, ["0.0.0.0/0"], [f"S{n}"]) for n in range(5000)],
        [host(n, [f"CN={n}"], [f"S{n}"]) for n in range(5000)],
        [host(n, ["10.0.0.1"]) for n in range(5000)],
        [host(n, ["10.0.0.1"], ["A"]) for n in range(5000)],
        [host(n, [f"10.{i}.0.0/16" for i in range(200)], [f"S{n}"]) for n in range(100)],
    ],
    ids=["apart", "one peer", "names", "all alike", "one system", "many peers"],
)
def test_many_hosts_are_not_compared_each_with_each(monkeypatch, hosts):
    looked_at = 0

    def counting(*given):
        nonlocal looked_at
        for number, others in common(*given):
            first = tuple(islice(others, 1000))
            looked_at += 1 + len(first)
            yield number, first

    common = module._common
    monkeypatch.setattr(module, "_common", counting)

    list(islice(overlaps(hosts), 10))

    assert looked_at <= 2 * sum(len(each.peers) for each in hosts)
