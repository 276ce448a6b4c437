"""What every queue must do: a suite of tests against the queue protocol, to be inherited.

    pytest.register_assert_rewrite("vtspolicy.testing.queue_suite")  # before it is imported

    class TestMyQueue(QueueSuite):
        def rig(self) -> Rig:
            clock = TestClock()
            return Rig(MyQueue(clock), clock)

A queue that works in another process overrides `Rig.settle`, and `Rig.advance` if it keeps its own
time. The suite holds a queue to a naive model of the protocol's two rules through random histories
(hypothesis), and to examples that name what users rely on.
"""

# ruff: noqa: S101 - tests assert
# ruff: noqa: D102 - a test's name is its sentence

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from vtspolicy.queue.protocol import AGEING, DEFAULT_SEATS, Entry, Queue, SnapshotJob, Why
from vtspolicy.testing.clock import TestClock

EVERYTHING = 10_000
"""More places than any test has jobs."""


class Rig:
    """A queue on its test bench: what it started is written down."""

    def __init__(self, queue: Queue, clock: TestClock) -> None:
        self.queue = queue
        self.clock = clock
        self.started: list[int] = []

    def now(self) -> float:
        """The queue's time."""
        return self.clock.seconds()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    def settle(self) -> None:
        """Let the queue do all that it can do now."""
        self.clock.settle()

    def open(self) -> "Rig":
        """Open the queue."""
        self.queue.open(self.started.append)
        return self

    def new(self) -> list[int]:
        """Return what was started since the last call, in order."""
        self.settle()
        started, self.started[:] = list(self.started), []
        return started


def entry(job: int, lock: str | None = None, application: str = "A", **more: float) -> Entry:
    """Return an entry; `more` is priority, due, since."""
    return Entry(
        job=job,
        application=application,
        lock=lock,
        order=job,
        priority=int(more.get("priority", 0)),
        due=more.get("due", 0.0),
        since=more.get("since"),
    )


def overlap(one: str | None, other: str | None) -> bool:
    """Whether two locks exclude each other, said as simply as can be."""
    if one is None or other is None:
        return False
    if one == other:
        return True
    if not (one.startswith("/") and other.startswith("/")):
        return False
    one, other = (lock.rstrip("/") + "/" for lock in (one, other))
    return one.startswith(other) or other.startswith(one)


class NaiveJob:
    """A job of the naive queue."""

    def __init__(self, entry: Entry, now: float, *, runs: bool) -> None:
        self.number = entry.job
        self.application = entry.application
        self.lock = entry.lock
        self.order = entry.order
        self.due = entry.due
        self.priority = entry.priority
        self.key = max(now, entry.due) - AGEING * entry.priority
        self.runs = runs
        self.claims = True  # until an operator releases its lock


class NaiveQueue:
    """The protocol's two rules, written down without any thought of speed."""

    def __init__(self) -> None:
        self.jobs: dict[int, NaiveJob] = {}
        self.numbers: dict[str, int] = {}
        self.draining = False

    def why(self, job: NaiveJob, now: float) -> Why:
        """Return what a waiting job waits for."""
        for other in self.jobs.values():
            if (
                other is not job
                and other.claims
                and overlap(job.lock, other.lock)
                and (other.runs or other.order < job.order)
            ):
                return Why.LOCK
        return Why.TIME if job.due > now else Why.SEAT

    def start(self, now: float) -> list[NaiveJob]:
        """Start all that may start, and return it in order."""
        started: list[NaiveJob] = []
        while not self.draining:
            ready = [
                job
                for job in self.waiting()
                if self.why(job, now) is Why.SEAT
                and len(self.running(job.application))
                < self.numbers.get(job.application, DEFAULT_SEATS)
            ]
            if not ready:
                break
            job = min(ready, key=lambda each: (each.key, each.order))
            job.runs = True
            started.append(job)
        return started

    def waiting(self) -> list[NaiveJob]:
        """Return the jobs that wait."""
        return [job for job in self.jobs.values() if not job.runs]

    def running(self, application: str | None = None) -> list[NaiveJob]:
        """Return the jobs that run."""
        return [
            job for job in self.jobs.values() if job.runs and application in {None, job.application}
        ]


APPLICATIONS = st.sampled_from("AB")
LOCKS = st.sampled_from(
    [None, "L", "M", "/", "/V", "/V/P", "/V/P/1", "/V/P/2", "/V/PX", "/V/Q", "/W"],
)
DELAYS = st.sampled_from([0.0, 0.0, 0.0, 10.0, AGEING, 3 * AGEING])


class QueueMachine(RuleBasedStateMachine):
    """Random histories, in which a queue must do what the naive one does."""

    def __init__(self, rig: Rig) -> None:
        super().__init__()
        self.rig = rig.open()
        self.queue = rig.queue
        self.model = NaiveQueue()
        self.last = 0
        self.skipped: list[int] = []

    def number(self, data: st.DataObject) -> int:
        """Return the number of a new job, now and then one that comes out of turn."""
        if self.skipped and data.draw(st.integers(0, 3)) == 0:
            return self.skipped.pop()
        self.last += 2
        self.skipped.append(self.last - 1)
        return self.last

    def one_of(self, data: st.DataObject, jobs: list[NaiveJob]) -> NaiveJob:
        """Choose one."""
        return data.draw(st.sampled_from(sorted(jobs, key=lambda job: job.order)))

    @rule(
        data=st.data(),
        application=APPLICATIONS,
        lock=LOCKS,
        priority=st.integers(-1, 2),
        delay=DELAYS,
        runs=st.sampled_from([False] * 9 + [True]),
    )
    def arrive(
        self,
        data: st.DataObject,
        application: str,
        lock: str | None,
        priority: int,
        delay: float,
        *,
        runs: bool,
    ) -> None:
        """A job arrives; now and then one that runs already."""
        now = self.rig.now()
        new = Entry(
            job=(number := self.number(data)),
            application=application,
            lock=lock,
            priority=priority,
            due=now + delay if delay else 0.0,
            order=number,
        )
        self.model.jobs[number] = NaiveJob(new, now, runs=runs)
        if runs:
            released = data.draw(st.booleans())
            self.model.jobs[number].claims = not released
            self.queue.adopt(new, released=released)
        else:
            self.queue.put(new)

    @precondition(lambda self: self.model.running())
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        """A job ends."""
        job = self.one_of(data, self.model.running())
        del self.model.jobs[job.number]
        self.queue.give_back(job.number)

    @precondition(lambda self: self.model.running())
    @rule(data=st.data(), delay=DELAYS)
    def fail(self, data: st.DataObject, delay: float) -> None:
        """A job waits for its next attempt."""
        job = self.one_of(data, self.model.running())
        job.runs, job.claims, job.due = False, True, self.rig.now() + delay
        self.queue.again(job.number, job.due)

    @precondition(lambda self: self.model.running())
    @rule(data=st.data(), delay=DELAYS)
    def send_back(self, data: st.DataObject, delay: float) -> None:
        """A job that got its seat outside its hours waits for them."""
        job = self.one_of(data, self.model.running())
        job.runs, job.claims, job.due = False, True, self.rig.now() + delay
        job.key = job.due - AGEING * job.priority
        self.queue.again(job.number, job.due, anew=True)

    @precondition(lambda self: self.model.waiting())
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """A waiting job is cancelled."""
        job = self.one_of(data, self.model.waiting())
        del self.model.jobs[job.number]
        assert self.queue.withdraw(job.number)

    @precondition(lambda self: self.model.running())
    @rule(data=st.data())
    def cancel_a_running_one(self, data: st.DataObject) -> None:
        """A running job cannot be withdrawn."""
        assert not self.queue.withdraw(self.one_of(data, self.model.running()).number)

    @rule(data=st.data(), lock=LOCKS)
    def reset(self, data: st.DataObject, lock: str | None) -> None:
        """An operator takes a lock from some jobs, also from those that do not hold it."""
        if lock is None:
            return
        held = [job for job in self.model.running() if job.claims and job.lock == lock]
        assert sorted(self.queue.holders(lock)) == sorted(job.number for job in held)
        known = sorted(self.model.jobs)
        named = data.draw(st.sets(st.sampled_from(known))) if known else set()
        named |= {job.number for job in held} if data.draw(st.booleans()) else set()
        taken = [job for job in held if job.number in named]
        for job in taken:
            job.claims = False
        assert sorted(self.queue.release(lock, named)) == sorted(job.number for job in taken)
        # Who waited for it may hold it already.
        assert not {*self.queue.holders(lock)} & {job.number for job in taken}

    @rule(a=st.integers(0, 3), b=st.none() | st.integers(1, 2))
    def reload(self, a: int, b: int | None) -> None:
        """The numbers of seats change."""
        numbers = {"A": a} if b is None else {"A": a, "B": b}
        self.model.numbers = numbers
        self.queue.seats(numbers)

    @rule(draining=st.booleans())
    def drain(self, *, draining: bool) -> None:
        """A drain begins or ends."""
        self.model.draining = draining
        if draining:
            self.queue.drain()
        else:
            self.queue.resume()

    @rule(seconds=st.sampled_from([1.0, 10.0, AGEING, 5 * AGEING]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.rig.advance(seconds)

    @invariant()
    def agree(self) -> None:
        """The same jobs were started, in the same order within each application."""
        started = self.rig.new()
        expected = self.model.start(self.rig.now())
        for application in "AB":
            of_it = [job.number for job in expected if job.application == application]
            assert [
                number for number in started if self.model.jobs[number].application == application
            ] == of_it
        assert self.queue.waiting == len(self.model.waiting())
        assert self.queue.running == len(self.model.running())
        self.agree_in_the_snapshot()

    def agree_in_the_snapshot(self) -> None:
        """The snapshot shows the same as the naive queue."""
        snapshot = self.queue.snapshot(EVERYTHING)
        assert snapshot.draining is self.model.draining
        for use in snapshot.applications:
            running = self.model.running(use.application)
            assert {place.job for place in use.holders} == {job.number for job in running}
            assert use.running == len(running)
            assert use.seats == self.model.numbers.get(use.application, DEFAULT_SEATS)
        assert sum(use.waiting for use in snapshot.applications) == snapshot.waiting
        now = self.rig.now()
        for lock in snapshot.locks:
            same = [j for j in self.model.jobs.values() if j.lock == lock.lock and j.claims]
            assert {place.job for place in lock.holders} == {j.number for j in same if j.runs}
            waiting = sorted((job for job in same if not job.runs), key=lambda job: job.order)
            assert [place.job for place in lock.waiters] == [job.number for job in waiting]
            assert lock.waiting == len(waiting)
            for place in lock.waiters:
                assert place.why is self.model.why(self.model.jobs[place.job], now)


class QueueSuite:
    """Inherit it, and say how a queue is made."""

    examples = 150  # histories
    steps = 40  # of each

    def rig(self) -> Rig:
        """Return a new queue, not yet opened, on its bench."""
        raise NotImplementedError

    def test_every_history_agrees_with_the_naive_queue(self) -> None:
        rig = self.rig

        class Histories(QueueMachine):
            def __init__(self) -> None:
                super().__init__(rig())

        run_state_machine_as_test(
            Histories,
            settings=settings(
                max_examples=self.examples,
                stateful_step_count=self.steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )

    # Locks

    def test_jobs_with_one_lock_run_one_after_the_other_in_the_order_of_arrival(self) -> None:
        rig = self.rig().open()
        rig.queue.seats({"A": 9})
        for job in (1, 2, 3):
            rig.queue.put(entry(job, "/V/P/1"))
        assert rig.new() == [1]
        rig.queue.give_back(1)
        assert rig.new() == [2]
        rig.queue.give_back(2)
        assert rig.new() == [3]

    def test_a_more_urgent_job_does_not_overtake_within_a_lock(self) -> None:
        rig = self.rig()
        rig.queue.seats({"A": 9})
        rig.queue.put(entry(1, "L"))
        rig.queue.put(entry(2, "L", priority=100))
        rig.open()
        assert rig.new() == [1]

    def test_a_job_that_waits_for_its_hours_keeps_later_ones_of_its_lock_waiting(self) -> None:
        rig = self.rig().open()
        rig.queue.seats({"A": 9})
        rig.queue.put(entry(1, "/V/P", due=rig.now() + 3600))
        rig.queue.put(entry(2, "/V/P/1"))
        rig.queue.put(entry(3, "/V/Q/1"))
        assert rig.new() == [3]
        rig.advance(3600)
        assert rig.new() == [1]
        rig.queue.give_back(1)
        assert rig.new() == [2]

    def test_a_job_that_waits_for_its_next_attempt_keeps_its_place_and_frees_its_seat(self) -> None:
        rig = self.rig().open()
        for job, lock in ((1, "/V/P/1"), (2, "/V/P/1"), (3, "/V/P/2")):
            rig.queue.put(entry(job, lock))
        assert rig.new() == [1]
        rig.queue.again(1, rig.now() + 300)
        assert rig.new() == [3]
        rig.queue.give_back(3)
        assert rig.new() == []
        rig.advance(300)
        assert rig.new() == [1]

    def test_a_pool_excludes_its_cartridges_and_they_exclude_it(self) -> None:
        rig = self.rig().open()
        rig.queue.seats({"A": 9})
        for job, lock in ((1, "/V/P/1"), (2, "/V/P/2"), (3, "/V/P"), (4, "/V/P/1"), (5, "/V/P/3")):
            rig.queue.put(entry(job, lock))
        assert rig.new() == [1, 2]
        rig.queue.give_back(1)
        assert rig.new() == []
        rig.queue.give_back(2)
        assert rig.new() == [3]
        rig.queue.give_back(3)
        assert rig.new() == [4, 5]

    def test_names_that_only_begin_alike_do_not_overlap(self) -> None:
        rig = self.rig().open()
        rig.queue.seats({"A": 9})
        for job, lock in ((1, "/V/PAY"), (2, "/V/PAYROLL"), (3, "PAY"), (4, "PAY/1")):
            rig.queue.put(entry(job, lock))
        assert rig.new() == [1, 2, 3, 4]

    def test_doubled_and_trailing_slashes_do_not_make_another_lock(self) -> None:
        rig = self.rig().open()
        rig.queue.seats({"A": 9})
        for job, lock in ((1, "/V/P/1"), (2, "/V//P/1/"), (3, "/V/P/")):
            rig.queue.put(entry(job, lock))
        assert rig.new() == [1]

    def test_an_earlier_job_that_comes_late_still_goes_first(self) -> None:
        rig = self.rig().open()
        rig.queue.seats({"A": 1})
        rig.queue.put(entry(1))
        rig.queue.put(entry(7, "/V/P/1", priority=5))
        rig.queue.put(entry(5, "/V/P"))
        rig.queue.give_back(1)
        assert rig.new() == [1, 5]

    def test_an_operator_can_take_a_lock_away_from_a_job_that_keeps_its_seat(self) -> None:
        rig = self.rig().open()
        rig.queue.seats({"A": 2})
        for job, lock in ((1, "/V/P"), (2, "/V/P/1"), (3, "/V/P/2")):
            rig.queue.put(entry(job, lock))
        assert rig.new() == [1]
        assert rig.queue.release("/V/P/1", [2]) == ()  # job 2 waits for it: no job holds it
        assert rig.queue.release("/V", [1]) == ()
        assert rig.queue.release("/V/P", [1]) == (1,)
        assert rig.new() == [2]
        assert rig.queue.release("/V/P", [1]) == ()
        rig.queue.give_back(1)
        assert rig.new() == [3]

    def test_a_lock_is_taken_from_nobody_but_the_jobs_that_are_named(self) -> None:
        rig = self.rig().open()
        rig.queue.seats({"A": 9})
        for job in (1, 2, 3):
            rig.queue.put(entry(job, "L"))
        assert rig.queue.release("L", [2, 77]) == ()
        assert rig.new() == [1]
        rig.queue.give_back(1)
        assert rig.new() == [2]
        assert rig.queue.release("L", [1]) == ()  # it was meant for the one that has ended
        assert rig.new() == []
        assert rig.queue.holders("L") == (2,)

    def test_a_job_whose_lock_was_released_takes_its_old_place_when_it_waits_again(self) -> None:
        rig = self.rig().open()
        rig.queue.seats({"A": 2})
        for job in (1, 2, 3):
            rig.queue.put(entry(job, "/V/P/1"))
        rig.queue.release("/V/P/1", [1])
        assert rig.new() == [1, 2]
        rig.queue.again(1, 0.0)
        (lock,) = rig.queue.snapshot().locks
        assert [place.job for place in lock.holders] == [2]
        assert [place.job for place in lock.waiters] == [1, 3]
        rig.queue.give_back(2)
        assert rig.new() == [1]

    # Seats

    def test_an_application_without_a_number_has_one_seat(self) -> None:
        rig = self.rig().open()
        for job in (1, 2):
            rig.queue.put(entry(job))
            rig.queue.put(entry(job + 10, application="B"))
        assert sorted(rig.new()) == [1, 11]

    def test_no_seats_let_nothing_start(self) -> None:
        rig = self.rig().open()
        rig.queue.seats({"A": 0})
        rig.queue.put(entry(1))
        assert rig.new() == []
        rig.queue.seats({"A": 1})
        assert rig.new() == [1]

    def test_lowering_the_number_stops_nothing_and_holds_back_what_comes(self) -> None:
        rig = self.rig().open()
        rig.queue.seats({"A": 3})
        for job in range(1, 6):
            rig.queue.put(entry(job))
        assert rig.new() == [1, 2, 3]
        rig.queue.seats({"A": 1})
        rig.queue.give_back(1)
        rig.queue.give_back(2)
        assert rig.new() == []
        rig.queue.give_back(3)
        assert rig.new() == [4]

    def test_urgent_jobs_go_first_and_equal_ones_in_the_order_of_arrival(self) -> None:
        rig = self.rig()
        for job, priority in ((1, 0), (2, 5), (3, 0), (4, 5)):
            rig.queue.put(entry(job, priority=priority))
        rig.open()
        for job in (2, 4, 1, 3):
            assert rig.new() == [job]
            rig.queue.give_back(job)

    def test_a_stream_of_urgent_jobs_starves_nobody(self) -> None:
        rig = self.rig().open()
        rig.queue.put(entry(1, priority=5))
        rig.queue.put(entry(2))  # the one that must not starve
        assert rig.new() == [1]
        running, job, waited = 1, 3, 0.0
        while True:
            rig.queue.put(entry(job, priority=5))
            rig.advance(60)
            waited += 60
            rig.queue.give_back(running)
            (running,) = rig.new()
            job += 1
            if running == 2:
                break
            assert waited < 5 * AGEING + 600
        assert waited >= 5 * AGEING

    def test_what_a_job_waited_before_a_restart_counts(self) -> None:
        rig = self.rig()
        rig.queue.put(entry(1, priority=1))
        rig.queue.put(entry(2, since=rig.now() - 2 * AGEING))
        rig.open()
        assert rig.new() == [2]

    def test_waiting_for_its_own_hours_makes_no_job_more_urgent(self) -> None:
        rig = self.rig()
        rig.queue.put(entry(1, due=rig.now() + 10 * AGEING))
        rig.queue.adopt(entry(9))
        rig.open()
        rig.advance(10 * AGEING)
        rig.queue.put(entry(2, priority=1))
        rig.queue.give_back(9)
        assert rig.new() == [2]

    def test_hours_that_are_found_out_when_the_seat_is_there_make_no_job_more_urgent(self) -> None:
        rig = self.rig().open()
        rig.queue.put(entry(1))
        assert rig.new() == [1]
        rig.queue.adopt(entry(9))
        rig.queue.again(1, rig.now() + 10 * AGEING, anew=True)
        rig.advance(9 * AGEING)
        rig.queue.put(entry(2, priority=2))
        rig.advance(AGEING)
        rig.queue.give_back(9)
        assert rig.new() == [2]

    # Life

    def test_nothing_starts_before_the_queue_is_open_and_nothing_after_it_is_closed(self) -> None:
        rig = self.rig()
        rig.queue.put(entry(1))
        assert rig.new() == []
        rig.open()
        assert rig.new() == [1]
        rig.queue.put(entry(2, due=rig.now() + 60))
        rig.queue.close()
        rig.queue.give_back(1)
        rig.advance(60)
        assert rig.new() == []

    def test_a_drain_starts_nothing_and_resume_takes_the_rest_up(self) -> None:
        rig = self.rig().open()
        rig.queue.put(entry(1))
        rig.queue.drain()
        rig.queue.put(entry(2))
        rig.queue.put(entry(3, application="B", due=rig.now() + 60))
        rig.queue.give_back(1)
        rig.advance(60)
        assert rig.new() == [1]
        assert rig.queue.snapshot().draining
        rig.queue.resume()
        assert sorted(rig.new()) == [2, 3]

    def test_adopted_jobs_hold_their_lock_and_their_seat_above_the_number(self) -> None:
        rig = self.rig()
        rig.queue.put(entry(3))
        rig.queue.put(entry(4, "/V/P", application="B"))
        rig.queue.adopt(entry(1, "/V/P/1"))
        rig.queue.adopt(entry(2))
        rig.open()
        assert rig.new() == []
        assert rig.queue.running == 2
        rig.queue.give_back(1)
        assert rig.new() == [4]
        rig.queue.give_back(2)
        assert rig.new() == [3]

    def test_an_adopted_job_whose_lock_was_released_holds_its_seat_only(self) -> None:
        rig = self.rig()
        rig.queue.seats({"A": 2})
        rig.queue.adopt(entry(1, "/V/P"), released=True)
        for job in (2, 3):
            rig.queue.put(entry(job, "/V/P/1"))
        rig.open()
        assert rig.new() == [2]
        assert rig.queue.holders("/V/P") == ()
        rig.queue.again(1, 0.0)  # its next attempt needs the lock again, in its old place
        rig.queue.give_back(2)
        assert rig.new() == [1]

    def test_a_job_may_end_while_it_is_being_started(self) -> None:
        rig = self.rig()
        started: list[int] = []

        def start(job: int) -> None:
            started.append(job)
            rig.queue.give_back(job)
            if job < 3000:
                rig.queue.put(entry(job + 3000, "L"))

        for job in range(1, 3001):
            rig.queue.put(entry(job, "L"))
        rig.queue.open(start)
        rig.settle()
        assert started == [*range(1, 6000)]
        assert rig.queue.waiting == rig.queue.running == 0

    def test_what_a_job_that_ends_while_it_is_started_held_up_is_started(self) -> None:
        rig = self.rig()
        started: list[int] = []

        def start(job: int) -> None:
            started.append(job)
            if job == 2:
                rig.queue.give_back(job)

        rig.queue.open(start)
        rig.queue.put(entry(1, "/V/P/2"))
        rig.queue.put(entry(2, "/V/P", "B"))
        rig.queue.put(entry(3, "/V/P/1"))
        rig.queue.give_back(1)
        rig.settle()
        assert started == [1, 2, 3]

    def test_a_start_that_fails_does_not_hold_up_the_others(self) -> None:
        rig = self.rig()
        rig.queue.seats({"A": 2})
        rig.queue.put(entry(1))
        rig.queue.put(entry(2))
        started: list[int] = []

        def start(job: int) -> None:
            started.append(job)
            if job == 1:
                raise OSError("no such folder")

        rig.queue.open(start)
        rig.settle()
        assert started == [1, 2]
        assert rig.queue.running == 2

    def test_what_is_withdrawn_lets_the_next_one_go(self) -> None:
        rig = self.rig().open()
        rig.queue.put(entry(1, "/V/P", due=rig.now() + 60))
        rig.queue.put(entry(2, "/V/P/1"))
        assert rig.queue.withdraw(1)
        assert rig.new() == [2]
        assert not rig.queue.withdraw(2)
        assert not rig.queue.withdraw(77)

    def test_a_job_cannot_be_there_twice(self) -> None:
        rig = self.rig().open()
        rig.queue.put(entry(1))
        for again in (rig.queue.put, rig.queue.adopt):
            try:
                again(entry(1))
            except ValueError as error:
                assert "1" in str(error)  # noqa: PT017 - the suite does not import pytest
            else:
                raise AssertionError("job 1 was taken twice")

    def test_only_a_running_job_can_wait_again(self) -> None:
        rig = self.rig()
        rig.queue.put(entry(1))
        for job in (1, 77):
            try:
                rig.queue.again(job, 0.0)
            except KeyError:
                continue
            raise AssertionError(f"job {job} does not run")

    def test_giving_back_what_is_not_known_is_ignored(self) -> None:
        rig = self.rig().open()
        rig.queue.put(entry(1))
        rig.queue.give_back(77)
        rig.queue.give_back(1)
        rig.queue.give_back(1)
        assert rig.queue.waiting == rig.queue.running == 0

    def test_the_snapshot_says_who_holds_who_waits_why_and_since_when(self) -> None:
        rig = self.rig().open()
        begin = rig.now()
        rig.queue.put(entry(1, "/V/P"))
        rig.advance(5)
        rig.queue.put(entry(2, "/V/P"))
        rig.queue.put(entry(3, "/V/Q", due=begin + 60))
        rig.queue.put(entry(4, "/V/R"))
        rig.settle()
        snapshot = rig.queue.snapshot()
        assert (snapshot.at, snapshot.running, snapshot.waiting) == (begin + 5, 1, 3)
        (use,) = snapshot.applications
        holder = SnapshotJob(job=1, application="A", lock="/V/P", since=begin, due=0.0, why=None)
        assert use.holders == (holder,)
        assert [(place.job, place.why) for place in use.waiters] == [(4, Why.SEAT)]
        shown = {
            lock.lock: [(place.job, place.why, place.since) for place in lock.waiters]
            for lock in snapshot.locks
        }
        assert shown == {
            "/V/P": [(2, Why.LOCK, begin + 5)],
            "/V/Q": [(3, Why.TIME, begin + 5)],
            "/V/R": [(4, Why.SEAT, begin + 5)],
        }
        assert snapshot.locks[0].holders == (holder,)

    def test_the_snapshot_stays_small_however_many_wait(self) -> None:
        rig = self.rig().open()
        for job in range(1, 101):
            rig.queue.put(entry(job, "L"))
            rig.queue.put(entry(job + 1000, f"/V/P/{job}"))
        snapshot = rig.queue.snapshot(first=3)
        assert len(snapshot.locks) == 3
        assert len(snapshot.applications[0].waiters) == 3
        assert len(snapshot.locks[0].waiters) == 3
        assert snapshot.locks[0].waiting == 99
        assert snapshot.waiting == 199

    def test_a_waiting_job_knows_what_it_waits_for_and_its_place(self) -> None:
        rig = self.rig().open()
        rig.queue.seats({"A": 1, "B": 1})
        for job in (1, 2, 3, 4):
            rig.queue.put(entry(job))
        rig.queue.put(entry(5, priority=9))
        rig.queue.put(entry(6, "/V/P", application="B"))
        rig.queue.put(entry(7, "/V/P/1", application="B"))
        rig.queue.put(entry(8, "/V/P/1", application="B"))
        rig.queue.put(entry(9, due=1e12))
        assert rig.new() == [1, 6]
        found = rig.queue.standings(range(1, 20))
        assert {job: (each.why, each.place) for job, each in found.items()} == {
            2: (Why.SEAT, 2),
            3: (Why.SEAT, 3),
            4: (Why.SEAT, 4),
            5: (Why.SEAT, 1),
            7: (Why.LOCK, 1),
            8: (Why.LOCK, 2),
            9: (Why.TIME, None),
        }
        assert (found[5].waiting, found[7].waiting) == (4, 2)
        assert (found[7].behind, found[8].behind) == (6, 7)

    def test_the_place_of_a_job_far_behind_is_not_counted(self) -> None:
        rig = self.rig().open()
        for job in range(1, 5001):
            rig.queue.put(entry(job))
        found = rig.queue.standings([2, 5000])
        assert (found[2].place, found[5000].place) == (1, None)
        assert found[5000].waiting == 4999
