"""Hosts that cannot be distinguished: they share a system, or a peer where systems do not decide.

Found without comparing every host with every other: the time goes with the number of peers and of
the pairs that are taken.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from attrs import frozen

from vtspolicy.config.endpoints import LOCAL, network_of
from vtspolicy.config.model import Host

Span = tuple[int, int, int]
"""A network: version, first address, and the last one negated, so that the wider sorts first."""


@frozen(kw_only=True)
class Overlap:
    """Two hosts, in the order of the configuration."""

    first: Host
    second: Host
    shared: frozenset[str]  # systems of both
    meet: bool  # whether a connection can be from a peer of both


def overlaps(hosts: Iterable[Host]) -> Iterator[Overlap]:
    """Yield pairs of hosts with a common system, then those that only peers could distinguish."""
    all_hosts = tuple(hosts)
    spans = [_spans(host) for host in all_hosts]
    members: dict[str, list[int]] = defaultdict(list)
    for number, host in enumerate(all_hosts):
        for system in set(host.systems):
            members[system].append(number)
    seen = set()
    for numbers in members.values():
        for pair in combinations(numbers, 2):
            if pair in seen:
                continue
            seen.add(pair)
            one, two = (all_hosts[number] for number in pair)
            met = _meeting([(spans[pair[0]], True), (spans[pair[1]], True)])
            shared = frozenset(one.systems) & frozenset(two.systems)
            yield Overlap(first=one, second=two, shared=shared, meet=any(True for _ in met))
    # A host without systems takes those of all others.
    anywhere = [(each, not host.systems) for each, host in zip(spans, all_hosts, strict=True)]
    for pair in _meeting(anywhere):
        one, two = (all_hosts[number] for number in pair)
        yield Overlap(first=one, second=two, shared=frozenset(), meet=True)


def _spans(host: Host) -> frozenset[Span | str]:
    """The peers of a host: networks by their addresses, all others by their names."""
    found: set[Span | str] = set()
    for peer in host.peers:
        if peer == LOCAL or "CN=" in peer:
            found.add(peer)
        else:
            network = network_of(peer)
            first, last = int(network.network_address), int(network.broadcast_address)
            found.add((network.version, first, -last))
    return frozenset(found)


def _meeting(hosts: Sequence[tuple[frozenset[Span | str], bool]]) -> Iterator[tuple[int, int]]:
    """Yield the numbers of each two hosts with a common peer, one of which at least is marked."""
    seen: set[tuple[int, int]] = set()
    for number, earlier in _common(hosts):
        for other in earlier:
            pair = (min(number, other), max(number, other))
            if number != other and pair not in seen:
                seen.add(pair)
                yield pair


def _common(
    hosts: Sequence[tuple[frozenset[Span | str], bool]],
) -> Iterator[tuple[int, Iterable[int]]]:
    """Yield the number of a host, and those that have one of its peers, peer by peer.

    An unmarked host is yielded with marked ones alone.
    """
    names: dict[str, tuple[list[int], list[int]]] = {}  # all, and the marked ones
    networks: list[tuple[Span, int]] = []
    for number, (spans, marked) in enumerate(hosts):
        for span in spans:
            if not isinstance(span, str):
                networks.append((span, number))
                continue
            everyone, chosen = names.setdefault(span, ([], []))
            yield number, everyone if marked else chosen
            everyone.append(number)
            if marked:
                chosen.append(number)
    # Networks are within one another or apart: those around the next one are a stack.
    around: list[tuple[Span, int]] = []
    around_marked: list[tuple[Span, int]] = []
    for span, number in sorted(networks):
        for stack in (around, around_marked):
            while stack and (stack[-1][0][0] != span[0] or -stack[-1][0][2] < span[1]):
                stack.pop()
        marked = hosts[number][1]
        yield number, [other for _, other in (around if marked else around_marked)]
        around.append((span, number))
        if marked:
            around_marked.append((span, number))
