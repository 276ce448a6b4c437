"""Snapshots: what an operator sees of the embedded queue, without looking at all that waits."""

from collections.abc import Callable, Collection
from heapq import heappop, heappush
from itertools import islice
from operator import attrgetter
from typing import TypeVar

from vtspolicy.queue.locks import Claim, Line, Lock, barrier
from vtspolicy.queue.protocol import ApplicationUse, LockUse, Snapshot, SnapshotJob, Standing, Why
from vtspolicy.queue.seats import Job, Seats, State

NEAR = 1000
"""How far into a line a job's place is counted."""

LOOKS = 2000
"""How many waiting jobs are looked at to find the locks that they want."""

T = TypeVar("T")


def make_snapshot(
    seats: Collection[Seats], jobs: Collection[Job], *, at: float, draining: bool, first: int
) -> Snapshot:
    """Return who holds and who waits, with the `first` places of each list.

    It takes a few milliseconds, however many wait.
    """
    running = sorted(job for each in seats for job in each.jobs.values())
    return Snapshot(
        at=at,
        draining=draining,
        running=len(running),
        waiting=len(jobs) - len(running),
        applications=tuple(
            _application(each, at, first) for each in sorted(seats, key=attrgetter("name"))
        ),
        locks=tuple(_lock(each, running, at, first) for each in _first_locks(running, jobs, first)),
    )


def standings(jobs: Collection[Job], at: float) -> dict[int, Standing]:
    """Return what each waiting job waits for. It takes milliseconds, however many wait."""
    seats = {job.seats.name: job.seats for job in jobs if job.state is State.READY}
    places = {
        item[2].number: place
        for each in seats.values()
        for place, item in enumerate(
            _front(each.ready, NEAR, lambda item: item[2].state is State.READY), 1
        )
    }
    lines: dict[Lock, list[Claim]] = {}
    found = {}
    for job in jobs:
        why = _why(job, at)
        if why is None or job.state is State.GONE:
            continue
        place, waiting, behind = None, 0, None
        barred = barrier(job)
        if barred is not None and job.lock is not None:
            line = job.lock.here if job.lock.here is not None else Line()
            if job.lock not in lines:
                front = _front(line, NEAR, _stands)
                lines[job.lock] = [each for each in front if not _runs(each)]
            place = next((n for n, each in enumerate(lines[job.lock], 1) if each is job), None)
            waiting = line.live - job.lock.held
            behind = _before(barred, job)
        elif why is Why.SEAT:
            place, waiting = places.get(job.number), len(job.seats.ready) - job.seats.stale
        found[job.number] = Standing(
            why=why, place=place, waiting=waiting, behind=behind, due=job.due
        )
    return found


def _runs(claim: Claim) -> bool:
    return isinstance(claim, Job) and claim.state is State.RUNS


def _before(lock: Lock, job: Job) -> int | None:
    """Return the job that keeps another one from a lock: who holds it, or the earliest."""
    below = lock.below.first() if lock.below else None
    earlier = [each for each in (lock.first(), below) if isinstance(each, Job) and each is not job]
    holders = [each for each in earlier if each.state is State.RUNS]
    first = min(holders or earlier, default=None)
    return None if first is None else first.number


def _application(seats: Seats, at: float, first: int) -> ApplicationUse:
    ready = _front(seats.ready, first, lambda item: item[2].state is State.READY)
    return ApplicationUse(
        application=seats.name,
        seats=seats.number,
        running=len(seats.jobs),
        waiting=seats.waiting,
        holders=tuple(_place(job, at) for job in islice(seats.jobs.values(), first)),
        waiters=tuple(_place(job, at) for _key, _order, job in ready),
    )


def _first_locks(running: list[Job], jobs: Collection[Job], first: int) -> list[Lock]:
    """Held locks in the order of arrival, then those that the first waiting jobs want."""
    looked_at = [*running, *islice(jobs, LOOKS)]
    locks = dict.fromkeys(job.lock for job in looked_at if job.lock is not None and job.stand)
    return list(islice(locks, first))


def _lock(lock: Lock, running: list[Job], at: float, first: int) -> LockUse:
    line = lock.here if lock.here is not None else Line()
    front = _front(line, first + lock.held, _stands)
    waiters = [each for each in front if isinstance(each, Job) and each.state is not State.RUNS]
    holders = [job for job in running if job.lock is lock and job.stand]
    return LockUse(
        lock=lock.text,
        holders=tuple(_place(job, at) for job in holders[:first]),
        waiting=line.live - lock.held,
        waiters=tuple(_place(job, at) for job in waiters[:first]),
    )


def _stands(claim: Claim) -> bool:
    return bool(claim.stand)


def _place(job: Job, at: float) -> SnapshotJob:
    return SnapshotJob(
        job=job.number,
        application=job.seats.name,
        lock=job.lock.text if job.lock is not None else None,
        since=job.since,
        due=job.due,
        why=_why(job, at),
    )


def _why(job: Job, at: float) -> Why | None:
    if job.state is State.RUNS:
        return None
    if barrier(job) is not None:  # an earlier job may have been put since the job was looked at
        return Why.LOCK
    return Why.TIME if job.due > at else Why.SEAT


def _front(heap: list[T], first: int, counts: Callable[[T], bool]) -> list[T]:
    """Return the `first` smallest items of a heap that count, without looking at all of it."""
    front: list[T] = []
    edge = [(heap[0], 0)] if heap else []
    while edge and len(front) < first:
        item, at = heappop(edge)
        if counts(item):
            front.append(item)
        for child in (2 * at + 1, 2 * at + 2):
            if child < len(heap):
                heappush(edge, (heap[child], child))
    return front
