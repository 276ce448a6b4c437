"""Groups of operations that are committed together: who goes in, who is set apart, who tries again.

Nothing here knows a database. Who runs a group tells it what happened, and does what it says.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from vtspolicy.ledger.transaction import Transaction

T = TypeVar("T")

MOST = 1000
"""How many operations go into one group at most: enough that the flush costs nothing each."""

LONGEST = 0.1
"""Seconds of operations in one group, about: none waits longer for those beside it."""

FIRST_DELAY = 0.1
LAST_DELAY = 5.0
"""Seconds between two tries of a group while the disk is in trouble."""


class Waiting:
    """One operation that waits for its turn, and then its answer."""

    __slots__ = ("answer", "deferred", "failed", "run")

    def __init__(self, run: Callable[[Transaction], object]) -> None:
        self.run = run
        self.deferred: Deferred[Any] = Deferred()  # each operation has its own type of answer
        self.answer: object = None
        self.failed = False

    def work(self, tx: Transaction) -> None:
        """Run it, and keep its answer."""
        self.failed = False
        self.answer = self.run(tx)

    def fail(self, error: BaseException) -> None:
        """Keep an error as its answer."""
        self.failed = True
        self.answer = Failure(error)

    def fire(self) -> None:
        """Tell who asked."""
        if self.failed:
            self.deferred.errback(cast("Failure", self.answer))  # fail() put it there
        else:
            self.deferred.callback(self.answer)


class Groups:
    """What waits, and the group that is being written.

    The operations of a group are run in their order, again from the first after each trouble. Once
    one has raised, the group is run again with each set apart from the others. A group whose flush
    was tried takes no more in: it is tried again as it was.
    """

    def __init__(self) -> None:
        self._waiting: deque[Waiting] = deque()
        self._group: list[Waiting] = []
        self._next = 0  # the place in the group of the one that is run next
        self._worked = 0.0  # seconds that those before it took
        self._delay = FIRST_DELAY
        self.is_apart = False  # each is to be undone without the others
        self.is_flushed = False  # a flush of this group was tried

    @property
    def backlog(self) -> int:
        """How many operations wait, or are under way."""
        return len(self._waiting) + len(self._group)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in the group yet: a new one begins."""
        return not self._group

    @property
    def waits(self) -> bool:
        """Whether something waits for the next group."""
        return bool(self._waiting)

    def add(self, operation: Waiting) -> None:
        """Let an operation wait for its group."""
        self._waiting.append(operation)

    def begin(self) -> None:
        """The group is run from its first operation on."""
        self._next = 0
        self._worked = 0.0

    def next(self, spent: float = 0.0) -> Waiting | None:
        """Return the operation to run now; None when the group has all that it shall have.

        `spent` is what this turn has taken so far, in seconds, which `pause` has not counted.
        """
        if self._next == len(self._group):
            is_full = len(self._group) >= MOST or self._worked + spent >= LONGEST
            if not self._waiting or self.is_flushed or is_full:
                return None
            self._group.append(self._waiting.popleft())
        return self._group[self._next]

    def went(self) -> None:
        """The operation was run."""
        self._next += 1

    def pause(self, spent: float) -> None:
        """A turn is over that took so many seconds."""
        self._worked += spent

    def set_apart(self) -> None:
        """One of the group has raised: run it again, each on its own. Rare: paid for only now."""
        self.is_apart = True

    def done(self) -> list[Waiting]:
        """The group is written. Returns those to be told; a new group begins."""
        group, self._group = self._group, []
        self.is_apart = self.is_flushed = False
        self._delay = FIRST_DELAY
        return group

    def again(self) -> float:
        """The group could not be written; returns after how many seconds it is tried again."""
        delay, self._delay = self._delay, min(self._delay * 2, LAST_DELAY)
        return delay

    def give_up(self, error: BaseException) -> list[Waiting]:
        """Let all fail that are in the group, or wait. Returns those to be told."""
        failed = [*self._group, *self._waiting]
        self._group = []
        self._waiting.clear()
        for each in failed:
            each.fail(error)
        return failed
