"""Seats: the jobs of the embedded queue, and whose turn it is within one application."""

from enum import IntEnum
from heapq import heapify, heappop, heappush

from vtspolicy.queue.locks import Claim, Lock
from vtspolicy.queue.protocol import AGEING, Entry


class State(IntEnum):
    """Where a job is."""

    BEHIND = 0  # its lock is not free for it
    LATER = 1  # its lock is free for it, its time has not come
    READY = 2  # it wants only a seat
    RUNS = 3  # it has one
    GONE = 4


class Job(Claim):
    """One job: slots, because a hundred thousand of them may wait."""

    __slots__ = ("due", "key", "number", "priority", "seats", "since", "state")

    def __init__(self, entry: Entry, seats: "Seats", lock: Lock | None, now: float) -> None:
        super().__init__(entry.order, lock)
        self.number = entry.job
        self.seats = seats
        self.due = entry.due
        self.since = now if entry.since is None else entry.since
        self.priority = entry.priority
        self.key = 0.0
        self.rank(max(self.since, entry.due))
        self.state = State.BEHIND

    def rank(self, able: float) -> None:
        """Give it its rank for a seat: its waiting counts from when it was able to start."""
        self.key = able - AGEING * self.priority if self.priority else able


class Seats:
    """The seats of one application, and who wants one."""

    __slots__ = ("jobs", "name", "number", "ready", "stale", "waiting")

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number  # how many there are
        self.jobs: dict[int, Job] = {}  # who has one
        self.waiting = 0  # how many wait, for a seat or anything else
        self.ready: list[tuple[float, int, Job]] = []  # a heap: who wants only a seat
        self.stale = 0  # how many of them have left

    def add(self, job: Job) -> None:
        """The job wants only a seat."""
        job.state = State.READY
        heappush(self.ready, (job.key, job.order, job))

    def next(self) -> Job | None:
        """Take out the job whose turn it is."""
        while self.ready:
            job = heappop(self.ready)[2]
            if job.state is State.READY:
                return job
            self.stale -= 1
        return None

    def left(self) -> None:
        """A ready job was withdrawn."""
        self.stale += 1
        if 2 * self.stale > len(self.ready) + 32:
            self.ready = [each for each in self.ready if each[2].state is State.READY]
            heapify(self.ready)
            self.stale = 0
