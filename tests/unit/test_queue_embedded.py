"""The queue in the process: the suite of all queues, and its bounds per turn, memory and work."""

import tracemalloc

import pytest

from vtspolicy.queue.embedded import STARTS, EmbeddedQueue
from vtspolicy.queue.locks import LockTree
from vtspolicy.queue.protocol import Entry
from vtspolicy.testing.clock import TestClock
from vtspolicy.testing.queue_suite import QueueSuite, Rig, entry


def rig():
    clock = TestClock()
    return Rig(EmbeddedQueue(clock), clock)


class TestEmbeddedQueue(QueueSuite):
    def rig(self):
        return rig()


def test_a_job_starts_before_put_returns():
    bench = rig().open()
    bench.queue.put(entry(1))
    assert bench.started == [1]


def test_many_starts_are_spread_over_turns_of_the_reactor():
    bench = rig().open()
    for job in range(1, 10 * STARTS + 1):
        bench.queue.put(entry(job))
    bench.queue.seats({"A": 1000})
    assert len(bench.started) == 1 + STARTS
    bench.clock.turn()
    assert len(bench.started) == 1 + 2 * STARTS
    assert len(bench.new()) == 10 * STARTS


def test_nothing_starts_while_jobs_that_a_lock_set_free_are_still_being_looked_at():
    bench = rig().open()
    bench.queue.put(entry(1, "/V"))
    for job in range(2, 5002):
        bench.queue.put(entry(job, f"/V/P/{job}", priority=1 if job == 5001 else 0))
    assert bench.new() == [1]
    bench.queue.give_back(1)
    assert bench.new() == [5001]


def test_one_timer_stands_at_the_nearest_due_time_and_none_is_left_behind():
    bench = rig().open()
    for job, seconds in ((1, 300), (2, 100), (3, 200)):
        bench.queue.put(entry(job, due=bench.now() + seconds))
    (timer,) = bench.clock.getDelayedCalls()
    assert timer.getTime() == bench.now() + 100
    bench.queue.close()
    assert bench.clock.getDelayedCalls() == []


def test_closing_from_inside_a_start_leaves_nothing_behind():
    bench = rig()
    for job in (1, 2):
        bench.queue.put(entry(job, application=str(job)))
    started = []

    def start(job):
        started.append(job)
        bench.queue.close()

    bench.queue.open(start)
    assert started == [1]
    assert bench.clock.getDelayedCalls() == []


SHAPES = {
    "no lock": lambda _i: None,
    "one lock": lambda _i: "/VAULT01/PAYROLL/A00001",
    "a lock each": lambda i: f"/VAULT01/PAYROLL/A{i:05d}",
    "pool and cartridges in turn": lambda i: "/V/P" if i % 2 else f"/V/P/A{i:05d}",
    "cartridges, then the pool": lambda i: "/V/P" if i > 2000 else f"/V/P/A{i:05d}",
    "the pool, then cartridges": lambda i: "/V/P" if i <= 2000 else f"/V/P/A{i:05d}",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_work_per_job_does_not_grow_with_what_waits(shape, monkeypatch):
    looks = 0
    may_hold = LockTree.may_hold

    def count(self, claim):
        nonlocal looks
        looks += 1
        return may_hold(self, claim)

    monkeypatch.setattr(LockTree, "may_hold", count)
    bench = rig().open()
    bench.queue.seats({"A": 3})
    for job in range(1, 4001):
        bench.queue.put(entry(job, SHAPES[shape](job)))
    ended = 0
    while started := bench.new():
        for job in started:
            bench.queue.give_back(job)
        ended += len(started)
    assert ended == 4000
    assert looks <= 8 * 4000


def test_everything_is_forgotten_when_the_last_job_has_ended():
    bench = rig().open()
    for job in range(1, 200):
        bench.queue.put(entry(job, SHAPES["pool and cartridges in turn"](job), due=job % 3 * 1e10))
    bench.queue.put(entry(200, "L"))
    bench.queue.release("L", bench.queue.holders("L"))
    for job in range(1, 201):
        bench.queue.withdraw(job)
        bench.queue.give_back(job)
    bench.settle()
    queue = bench.queue
    assert not queue._jobs
    assert not queue._seats
    assert not queue._later or len(queue._later) <= 32
    assert not queue._locks._names
    assert not queue._locks._path_root.children
    assert not queue._locks._path_root.below


@pytest.mark.parametrize("shape", SHAPES)
def test_a_hundred_thousand_waiting_jobs_fit_into_sixty_megabytes(shape):
    bench = rig().open()
    bench.queue.seats({"A": 0})
    tracemalloc.start()
    try:
        for job in range(100_001, 110_001):
            number = job + 0
            bench.queue.put(
                Entry(job=number, application="A", lock=SHAPES[shape](number), order=number)
            )
        size, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size / 10_000 < 600
