"""Expiry of notices that their host has not fetched for too long, counted by host."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from twisted.internet.defer import Deferred

from vtspolicy.clock_trust import Between
from vtspolicy.ledger import Transaction

P = ParamSpec("P")
T = TypeVar("T")


class Store(Protocol):
    """What expiry needs of a ledger."""

    def read(
        self, verb: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """Run a verb that only reads."""
        ...

    def write(
        self, verb: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """Run a verb that writes."""
        ...


async def expire(
    ledger: Store, before: float, at: float, spared: Sequence[Between] = ()
) -> dict[str, int]:
    """Take notices out of the outbox that were recorded before `before`, both in epoch seconds.

    Those with a time between two that are `spared` stay.
    Returns how many, by host; the ledger is not written when there are none. One call takes some
    thousands at most, the next call continues.
    """
    waiting = (await ledger.read(Transaction.counts)).pending
    if not any(each.oldest < before for each in waiting):
        return {}
    return await ledger.write(_expire, before, at, spared)


def _expire(tx: Transaction, before: float, at: float, spared: Sequence[Between]) -> dict[str, int]:
    """Expire notices in one transaction: what the counts differ by afterwards has expired."""
    waited = _waiting(tx)
    tx.notices.expire(before, at, spared)
    return dict(waited - _waiting(tx))


def _waiting(tx: Transaction) -> Counter[str]:
    return Counter({each.host: each.count for each in tx.counts().pending})
