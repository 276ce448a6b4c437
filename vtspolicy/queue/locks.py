"""Locks: which claims overlap, who came first, and who has to be looked at again after a change.

A tree. A lock that is a path is a node below its parent's, any other lock a root of its own; two
locks overlap when one is the other or an ancestor of it. Each node knows the claims to itself and
all claims below it in the order of arrival, so that whether a claim may hold is answered by looking
at its node and its ancestors alone, and a change wakes only claims that it can have set free.
"""

from collections import deque
from collections.abc import Iterator
from enum import IntEnum
from heapq import heapify, heappop, heappush
from typing import Self


class Stand(IntEnum):
    """The state of a claim to its lock."""

    ABSENT = 0  # it does not count: not entered, ended, or released by an operator
    WAITS = 1  # it has its place in the order of arrival
    HOLDS = 2  # it has the lock


class Claim:
    """What a job wants of a lock. A claim is less than another one if it came before."""

    __slots__ = ("lock", "order", "stand", "stopped_by")

    def __init__(self, order: int, lock: "Lock | None") -> None:
        self.order = order
        self.lock = lock  # None: the job needs no lock
        self.stand = Stand.ABSENT
        self.stopped_by: Lock | None = None  # the ancestor whose `stopped` has it

    def __lt__(self, other: Self) -> bool:
        return self.order < other.order


class Line(list[Claim]):
    """Claims in the order of arrival: a heap from which those that left are removed later."""

    __slots__ = ("live",)

    def __init__(self, *claims: Claim) -> None:
        super().__init__(claims)  # exactly as much memory as they need: most lines are of one
        self.live = len(claims)  # how many have not left

    def enter(self, claim: Claim) -> None:
        """Add a claim."""
        heappush(self, claim)
        self.live += 1

    def leave(self) -> None:
        """One of the claims has left: its `stand` is ABSENT."""
        self.live -= 1
        if not self.live:
            self.clear()
        elif len(self) > 2 * self.live + 16:
            self.sweep()

    def sweep(self) -> None:
        """Remove the claims that have left."""
        self[:] = [each for each in self if each.stand]
        heapify(self)

    def first(self) -> Claim | None:
        """Return the earliest claim that has not left."""
        while self and not self[0].stand:
            heappop(self)
        return self[0] if self else None


class Lock:
    """One lock: a node of the tree."""

    __slots__ = ("below", "children", "held", "held_below", "here", "name", "parent", "stopped")

    def __init__(self, name: str, parent: "Lock | None") -> None:
        self.name = name  # the last part of the path
        self.parent = parent
        self.children: dict[str, Lock] | None = None
        self.here: Line | None = None  # claims to this very lock
        self.held = 0  # how many of them hold
        self.below: Line | None = None  # claims to all locks below
        self.held_below = 0
        self.stopped: Line | None = None  # first claims of locks below that wait for this one

    @property
    def text(self) -> str:
        """The lock as it is written."""
        parts = [self.name]
        node = self.parent
        while node is not None:
            parts.append(node.name)
            node = node.parent
        return "/".join(reversed(parts)) or "/"

    def first(self) -> Claim | None:
        """Return the earliest claim to this very lock, waiting or holding."""
        return self.here.first() if self.here else None

    def bars(self, claim: Claim) -> bool:
        """Whether a claim to a lock below has to wait for this one."""
        if self.held:
            return True
        first = self.first()
        return first is not None and first < claim

    def freed(self) -> Claim | None:
        """Take out the earliest claim that waits for this lock and need not any more."""
        while self.stopped and (claim := self.stopped.first()) is not None:
            if self.bars(claim):
                return None
            heappop(self.stopped)
            if claim.stopped_by is self:
                claim.stopped_by = None
                self.stopped.live -= 1
                return claim
        return None

    def is_idle(self) -> bool:
        """Whether no job needs the node."""
        return not (self.children or self.here or self.stopped)


def barrier(claim: Claim) -> Lock | None:
    """Return the lock that a waiting claim has to wait for, its own or one above; None: it is free.

    What is below its own lock counts as its own.
    """
    node = claim.lock
    if node is None:
        return None
    if node.held or node.first() is not claim:
        return node
    if node.below:
        earliest = node.below.first()
        if node.held_below or (earliest is not None and earliest < claim):
            return node
    above = node.parent
    while above is not None and not above.bars(claim):
        above = above.parent
    return above


class LockTree:
    """All locks that somebody claims."""

    def __init__(self) -> None:
        self._path_root = Lock("", None)
        self._names: dict[str, Lock] = {}
        self._freed: deque[Lock] = deque()  # locks that may bar less than before

    def find(self, text: str) -> Lock | None:
        """Return the lock of this name, if anybody claims it or one below it."""
        if not text.startswith("/"):
            return self._names.get(text)
        node: Lock | None = self._path_root
        for part in text.split("/"):
            if part and node is not None:
                node = (node.children or {}).get(part)
        return node

    def lock(self, text: str) -> Lock:
        """Return the lock of this name, made if it must be. Doubled slashes count as one."""
        if not text.startswith("/"):
            node = self._names.get(text)
            if node is None:
                node = self._names[text] = Lock(text, None)
            return node
        node = self._path_root
        for part in text.split("/"):
            if not part:
                continue
            if node.children is None:
                node.children = {}
            child = node.children.get(part)
            if child is None:
                child = node.children[part] = Lock(part, node)
            node = child
        return node

    def enter(self, claim: Claim) -> None:
        """The claim takes its place in the order of arrival."""
        node = claim.lock
        if node is None:
            return
        claim.stand = Stand.WAITS
        if node.here is None:
            node.here = Line(claim)
        else:
            node.here.enter(claim)
        above = node.parent
        while above is not None:
            if above.below is None:
                above.below = Line()
            above.below.enter(claim)
            above = above.parent

    def enter_again(self, claim: Claim) -> None:
        """A claim whose lock an operator had released takes its old place in the order."""
        if claim.lock is None:
            return
        # The node may have been forgotten since; and where it was not, the claim that left may
        # still lie in the lines, and must not come to life there a second time.
        claim.lock = self.lock(claim.lock.text)
        node: Lock | None = claim.lock
        while node is not None:
            for line in (node.here, node.below, node.stopped):
                if line is not None:
                    line.sweep()
            node = node.parent
        self.enter(claim)

    def may_hold(self, claim: Claim) -> bool:
        """Whether the lock is free for the claim; if not, `leave` or `wake` name it again later."""
        stopped_by = barrier(claim)
        if stopped_by is None:
            return True
        if stopped_by is not claim.lock and claim.stopped_by is None:
            claim.stopped_by = stopped_by
            if stopped_by.stopped is None:
                stopped_by.stopped = Line()
            stopped_by.stopped.enter(claim)
        return False

    def hold(self, claim: Claim) -> None:
        """The claim gets its lock."""
        node = claim.lock
        if node is None:
            return
        claim.stand = Stand.HOLDS
        node.held += 1
        above = node.parent
        while above is not None:
            above.held_below += 1
            above = above.parent

    def let_go(self, claim: Claim) -> list[Claim]:
        """The claim waits again, in its old place; return whom to ask `may_hold` for."""
        if claim.stand is Stand.HOLDS:
            claim.stand = Stand.WAITS
            self._count_held(claim)
        return self._changed(claim)

    def leave(self, claim: Claim) -> list[Claim]:
        """The claim ends; return whom to ask `may_hold` for. Others follow from `wake`."""
        node = claim.lock
        if node is None or not claim.stand:
            return []
        if claim.stand is Stand.HOLDS:
            self._count_held(claim)
        claim.stand = Stand.ABSENT
        if claim.stopped_by is not None:
            barrier, claim.stopped_by = claim.stopped_by, None
            if barrier.stopped is not None:
                barrier.stopped.leave()
                self._prune(barrier)
        if node.here is not None:
            node.here.leave()
        above = node.parent
        while above is not None:
            if above.below is not None:
                above.below.leave()
            above = above.parent
        heads = self._changed(claim)
        self._prune(node)
        return heads

    def wake(self, limit: int) -> Iterator[Claim]:
        """Give out, and forget, up to `limit` claims that a lock above them has set free."""
        while self._freed and limit:
            node = self._freed[0]
            claim = node.freed()
            if claim is None:
                self._freed.popleft()
                self._prune(node)
            else:
                limit -= 1
                yield claim

    @property
    def is_waking(self) -> bool:
        """Whether `wake` has more to give out."""
        return bool(self._freed)

    def _count_held(self, claim: Claim) -> None:
        """The claim holds no longer."""
        node = claim.lock
        if node is None:
            return
        node.held -= 1
        above = node.parent
        while above is not None:
            above.held_below -= 1
            above = above.parent

    def _changed(self, claim: Claim) -> list[Claim]:
        """Return the first waiting claim of the lock and of each lock above it."""
        node = claim.lock
        if node is not None and node.stopped:
            self._freed.append(node)
        heads = []
        while node is not None:
            head = node.first()
            if head is not None and head.stand is Stand.WAITS:
                heads.append(head)
            node = node.parent
        return heads

    def _prune(self, node: Lock) -> None:
        """Forget locks that no job needs any more, from here upwards."""
        while node is not self._path_root and node.is_idle():
            parent = node.parent
            if parent is None:
                if self._names.get(node.name) is node:
                    del self._names[node.name]
                return
            if parent.children is None or parent.children.get(node.name) is not node:
                return
            del parent.children[node.name]
            node = parent
