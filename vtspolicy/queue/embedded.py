"""The queue that lives in the process: in memory, rebuilt from the ledger at every start."""

from collections.abc import Callable, Collection, Iterable, Mapping
from heapq import heapify, heappop, heappush

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from vtspolicy.queue.locks import Claim, LockTree
from vtspolicy.queue.protocol import DEFAULT_SEATS, FIRST, Entry, Snapshot, Standing
from vtspolicy.queue.seats import Job, Seats, State
from vtspolicy.queue.snapshots import make_snapshot, standings

STARTS = 32
"""How many jobs are started in one turn of the reactor."""

LOOKS = 2000
"""How many jobs are looked at in one turn of the reactor, when many are set free at once."""


class EmbeddedQueue:
    """A queue in memory, for one machine.

    `start` is called before the method that made it possible returns, for at most STARTS jobs in
    one turn of the reactor; the rest follow in later turns. The clock is used for due times (one
    timer, for the nearest) and for those turns.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._jobs: dict[int, Job] = {}
        self._locks = LockTree()
        self._seats: dict[str, Seats] = {}
        self._numbers: Mapping[str, int] = {}
        self._hungry: dict[Seats, None] = {}  # seats that may be given away, in rotation
        self._later: list[tuple[float, int, Job]] = []  # a heap by due time
        self._later_stale = 0
        self._start: Callable[[int], None] | None = None
        self._draining = False
        self._working = False
        self._turn: IDelayedCall | None = None  # the next turn, when there is more to do
        self._timer: IDelayedCall | None = None  # the nearest due time
        self._running = 0

    # What the engine calls; the protocol says what each means.

    def open(self, start: Callable[[int], None]) -> None:
        """Begin to start jobs."""
        self._start = start
        self._work()

    def close(self) -> None:
        """Start nothing any more."""
        self._start = None
        for call in (self._turn, self._timer):
            if call is not None and call.active():
                call.cancel()
        self._turn = self._timer = None

    def put(self, entry: Entry) -> None:
        """Let a job wait."""
        job = self._enter(entry)
        job.seats.waiting += 1
        self._look(job)
        self._work()

    def adopt(self, entry: Entry, *, released: bool = False) -> None:
        """Let a job that already runs have its seat and its lock."""
        job = self._enter(entry)
        self._seat(job)
        if released:
            self._look_at(self._locks.leave(job))
        self._work()

    def give_back(self, job: int) -> None:
        """Free the seat and the lock of a job that ended."""
        known = self._jobs.get(job)
        if known is not None:
            self._remove(known)
            self._work()

    def again(self, job: int, due: float, *, anew: bool = False) -> None:
        """Let a running job wait in its old place."""
        known = self._jobs[job]
        if known.state is not State.RUNS:
            raise KeyError(job)
        self._unseat(known)
        known.state = State.BEHIND
        known.seats.waiting += 1
        known.due = due
        known.since = self._clock.seconds()
        if anew:
            known.rank(due)
        if known.lock is not None and not known.stand:
            self._locks.enter_again(known)
        self._look_at(self._locks.let_go(known))
        self._look(known)
        self._work()

    def withdraw(self, job: int) -> bool:
        """Take a waiting job out."""
        known = self._jobs.get(job)
        if known is None or known.state is State.RUNS:
            return False
        self._remove(known)
        self._work()
        return True

    def seats(self, seats: Mapping[str, int]) -> None:
        """Take new numbers."""
        self._numbers = dict(seats)
        for each in self._seats.values():
            each.number = self._numbers.get(each.name, DEFAULT_SEATS)
            self._hungry[each] = None
        self._work()

    def drain(self) -> None:
        """Start nothing new."""
        self._draining = True

    def resume(self) -> None:
        """Start again."""
        self._draining = False
        self._work()

    def holders(self, lock: str) -> tuple[int, ...]:
        """Return the jobs that hold this very lock."""
        return tuple(job.number for job in self._holders(lock))

    def release(self, lock: str, jobs: Collection[int]) -> tuple[int, ...]:
        """Take a lock from those of these jobs that hold it."""
        released = [job for job in self._holders(lock) if job.number in jobs]
        for job in released:
            self._look_at(self._locks.leave(job))
        self._work()
        return tuple(job.number for job in released)

    def _holders(self, lock: str) -> list[Job]:
        node = self._locks.find(lock)
        if node is None or not node.held:
            return []
        running = (job for seats in self._seats.values() for job in seats.jobs.values())
        return [job for job in running if job.lock is node and job.stand]

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self._jobs) - self._running

    @property
    def running(self) -> int:
        """How many jobs hold a seat."""
        return self._running

    # A job's way: entered, looked at, seated, removed.

    def _enter(self, entry: Entry) -> Job:
        if entry.job in self._jobs:
            raise ValueError(f"job {entry.job} is in the queue already")
        lock = self._locks.lock(entry.lock) if entry.lock else None
        seats = self._seats.get(entry.application)
        if seats is None:
            number = self._numbers.get(entry.application, DEFAULT_SEATS)
            seats = self._seats[entry.application] = Seats(entry.application, number)
        job = self._jobs[entry.job] = Job(entry, seats, lock, self._clock.seconds())
        self._locks.enter(job)
        return job

    def _look(self, job: Job) -> None:
        """Find out whether a waiting job is ready; if not, something will ask again."""
        if job.state is not State.BEHIND or not self._locks.may_hold(job):
            return
        if job.due > self._clock.seconds():
            job.state = State.LATER
            heappush(self._later, (job.due, job.order, job))
            return
        job.seats.add(job)
        self._hungry[job.seats] = None

    def _look_at(self, claims: Iterable[Claim]) -> None:
        for each in claims:
            if isinstance(each, Job):
                self._look(each)

    def _seat(self, job: Job) -> None:
        job.state = State.RUNS
        job.seats.jobs[job.number] = job
        self._running += 1
        self._locks.hold(job)

    def _unseat(self, job: Job) -> None:
        del job.seats.jobs[job.number]
        self._running -= 1
        self._hungry[job.seats] = None

    def _remove(self, job: Job) -> None:
        state, job.state = job.state, State.GONE
        if state is State.RUNS:
            self._unseat(job)
        else:
            job.seats.waiting -= 1
            if state is State.READY:
                job.seats.left()
            elif state is State.LATER:
                self._left_later()
        del self._jobs[job.number]
        self._look_at(self._locks.leave(job))
        seats = job.seats
        if not seats.jobs and not seats.waiting:
            del self._seats[seats.name]
            self._hungry.pop(seats, None)

    def _left_later(self) -> None:
        self._later_stale += 1
        if 2 * self._later_stale > len(self._later) + 32:
            self._later = [each for each in self._later if each[2].state is State.LATER]
            heapify(self._later)
            self._later_stale = 0

    # The work: set free, then start; a bounded part of it in one turn.

    def _is_open(self) -> bool:
        return self._start is not None

    def _work(self) -> None:
        """Look at jobs that were set free and start those whose turn it is."""
        if self._working or self._turn is not None or not self._is_open():
            return
        self._working = True
        try:
            finished = self._set_free() and (self._draining or self._start_some())
        finally:
            self._working = False
        if not self._is_open():
            return  # closed from inside `start`
        if finished:
            self._wind_the_timer()
        else:
            self._turn = self._clock.callLater(0, self._next_turn)

    def _next_turn(self) -> None:
        self._turn = None
        self._work()

    def _set_free(self) -> bool:
        """Look at jobs whose time or lock has come; False if there are more."""
        limit = LOOKS
        now = self._clock.seconds()
        while self._later and limit:
            due, _order, job = self._later[0]
            if job.state is not State.LATER:
                self._later_stale -= 1
            elif due <= now:
                job.state = State.BEHIND
                self._look(job)
            else:
                break
            heappop(self._later)
            limit -= 1
        self._look_at(self._locks.wake(LOOKS))
        return limit > 0 and not self._locks.is_waking

    def _start_some(self) -> bool:
        """Start up to STARTS jobs, the applications in rotation; False if there are more."""
        left = STARTS
        while self._hungry and not self._draining:
            if self._locks.is_waking or not left:
                return False
            seats = next(iter(self._hungry))
            del self._hungry[seats]
            job = self._whose_turn(seats)
            if job is None:
                continue
            self._hungry[seats] = None
            self._begin(job)
            left -= 1
        return not self._locks.is_waking  # the last one may have ended at once, and freed others

    def _whose_turn(self, seats: Seats) -> Job | None:
        """Take out the next job of an application that has a free seat."""
        while len(seats.jobs) < seats.number and (job := seats.next()) is not None:
            # An earlier job may have been put after this one was found ready.
            if self._locks.may_hold(job):
                return job
            job.state = State.BEHIND
        return None

    def _begin(self, job: Job) -> None:
        job.seats.waiting -= 1
        job.since = self._clock.seconds()
        self._seat(job)
        if self._start is None:
            return
        try:
            self._start(job.number)
        except Exception:  # noqa: BLE001 - one job that cannot start must not hold up the others
            self._log.failure("Job {job} cannot be started.", action="job_defect", job=job.number)

    def _wind_the_timer(self) -> None:
        """Set the timer to the nearest due time, or not at all."""
        if not self._later or self._draining:
            return
        due = self._later[0][0]
        if self._timer is not None:
            if self._timer.getTime() <= due:
                return
            self._timer.cancel()
        self._timer = self._clock.callLater(max(due - self._clock.seconds(), 0), self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._work()

    # What operators see.

    def standings(self, jobs: Collection[int]) -> dict[int, Standing]:
        """What each of these jobs waits for; those that do not wait are left out."""
        known = [self._jobs[job] for job in jobs if job in self._jobs]
        return standings(known, self._clock.seconds())

    def snapshot(self, first: int = FIRST) -> Snapshot:
        """Who holds and who waits."""
        return make_snapshot(
            self._seats.values(),
            self._jobs.values(),
            at=self._clock.seconds(),
            draining=self._draining,
            first=first,
        )
