"""What every runner must do: a suite of tests against the runner protocol, to be inherited.

    pytest.register_assert_rewrite("vtspolicy.testing.runner_suite")  # before it is imported

    class TestMyRunner(RunnerSuite, twisted.trial.unittest.TestCase):
        async def new_bench(self) -> Bench:
            return MyBench(...)

The process runner and `vtspolicy.testing.runner.FakeRunner` both pass it. What only one of them can
show (a program that cannot be started, a keeper that dies) is no part of it.
"""

# ruff: noqa: S101 - tests assert
# ruff: noqa: D102 - a test's name is its sentence

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred

from vtspolicy.runner.protocol import End, Ended, Run, Runner, SpoolError, TapeFile

KEY = "000007-1"
"""Of the run that most tests are about."""


class Bench(ABC):
    """A runner, and what a test does to its programs. Each waits until it has happened."""

    runner: Runner
    folder: Path  # for files of the tests, apart from the runner's own

    @abstractmethod
    def run(self, key: str) -> Run:
        """Return a run whose program runs until it is told to end."""

    @abstractmethod
    async def begun(self, key: str) -> None:
        """Wait until the program runs."""

    @abstractmethod
    async def exit(self, key: str, code: int, output: str) -> None:
        """Let the program write `output` and exit, whether or not a server is there to see it."""

    @abstractmethod
    async def kill(self, key: str) -> None:
        """End the program by signal 9, which the runner did not send."""

    @abstractmethod
    async def restart(self) -> None:
        """Put a new server in the place of one that is closed, or close it first."""

    @abstractmethod
    def starts(self, key: str) -> int:
        """Return how often the program was started."""

    @abstractmethod
    async def pass_time(self, seconds: float) -> None:
        """Let time pass."""

    @abstractmethod
    async def close(self) -> None:
        """Leave nothing behind."""


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except SpoolError:
        return
    raise AssertionError("it was not refused")


class RunnerSuite(ABC):
    """The tests. Mix it into a test case that can run coroutines."""

    bench: Bench

    @abstractmethod
    async def new_bench(self) -> Bench:
        """Return a bench whose runner is open, and has no runs."""

    def setUp(self) -> "Deferred[None]":
        """Begin with a runner without runs."""
        return Deferred.fromCoroutine(self._set_up())

    def tearDown(self) -> "Deferred[None]":
        """End all that runs."""
        return Deferred.fromCoroutine(self.bench.close())

    async def _set_up(self) -> None:
        self.bench = await self.new_bench()

    async def _begin(self, key: str = KEY, **settings: Any) -> "Deferred[Ended]":
        """Start a run, with fields of Run in `settings`, and wait until its program runs."""
        ended = self.bench.runner.start(evolve(self.bench.run(key), **settings))
        await self.bench.begun(key)
        return ended

    # How runs end

    async def test_a_program_that_exits_ends_its_run_with_code_and_output(self) -> None:
        ended = await self._begin()
        await self.bench.exit(KEY, 3, "tape not ready")
        end = await ended
        assert (end.key, end.kind, end.code, end.signal) == (KEY, End.EXITED, 3, None)
        assert self.bench.runner.tail(KEY) == "tape not ready"

    async def test_an_end_says_when_the_run_began_and_ended(self) -> None:
        ended = await self._begin()
        await self.bench.exit(KEY, 0, "")
        end = await ended
        assert end.started is not None
        assert end.finished is not None
        assert end.started <= end.finished

    async def test_a_signal_that_is_not_the_runner_s_is_named(self) -> None:
        ended = await self._begin()
        await self.bench.kill(KEY)
        end = await ended
        assert (end.kind, end.code, end.signal) == (End.SIGNALLED, None, 9)

    async def test_each_run_ends_by_itself(self) -> None:
        first, second = await self._begin("000001-1"), await self._begin("000002-1")
        await self.bench.exit("000002-1", 2, "")
        assert (await second).code == 2
        assert not first.called
        await self.bench.exit("000001-1", 1, "")
        assert (await first).code == 1

    async def test_a_tail_is_the_end_of_the_output(self) -> None:
        ended = await self._begin()
        await self.bench.exit(KEY, 0, "0123456789")
        await ended
        assert self.bench.runner.tail(KEY, 4) == "6789"

    # What stops them

    async def test_a_run_that_is_stopped_is_cancelled_for_the_reason_given(self) -> None:
        ended = await self._begin()
        self.bench.runner.stop(KEY, "the operator's wish")
        end = await ended
        assert (end.kind, end.reason) == (End.CANCELLED, "the operator's wish")

    async def test_a_second_stop_does_not_change_the_reason(self) -> None:
        ended = await self._begin()
        self.bench.runner.stop(KEY, "the first")
        self.bench.runner.stop(KEY, "the second")
        assert (await ended).reason == "the first"

    async def test_a_run_that_takes_too_long_is_stopped(self) -> None:
        ended = await self._begin(timeout=0.5)
        await self.bench.pass_time(0.5)
        end = await ended
        assert (end.kind, end.reason) == (End.TIMEOUT, "it took longer than 0.5 s")

    async def test_a_stop_after_the_end_is_ignored(self) -> None:
        ended = await self._begin()
        await self.bench.exit(KEY, 0, "")
        first = await ended
        self.bench.runner.stop(KEY, "too late")
        again = await self.bench.runner.adopt(self.bench.run(KEY))
        assert (first.kind, again.kind) == (End.EXITED, End.EXITED)

    async def test_a_stop_of_an_unknown_run_is_ignored(self) -> None:
        self.bench.runner.stop("000099-1", "nothing there")
        end = await self.bench.runner.adopt(self.bench.run("000099-1"))
        assert end.kind is End.UNSTARTED

    # That none is started twice

    async def test_a_key_that_was_run_is_not_run_again(self) -> None:
        ended = await self._begin()
        await self.bench.exit(KEY, 5, "")
        await ended
        again = await self.bench.runner.start(self.bench.run(KEY))
        assert (again.kind, again.code) == (End.EXITED, 5)
        assert self.bench.starts(KEY) == 1

    async def test_a_run_that_is_waited_for_can_be_neither_started_nor_adopted(self) -> None:
        ended = await self._begin()
        with _refused():
            await self.bench.runner.start(self.bench.run(KEY))
        with _refused():
            await self.bench.runner.adopt(self.bench.run(KEY))
        await self.bench.exit(KEY, 0, "")
        assert (await ended).kind is End.EXITED
        assert self.bench.starts(KEY) == 1

    async def test_what_never_ran_is_not_started_by_an_adoption(self) -> None:
        end = await self.bench.runner.adopt(self.bench.run(KEY))
        assert end.kind is End.UNSTARTED
        assert self.bench.starts(KEY) == 0

    async def test_what_was_adopted_and_never_ran_can_be_started(self) -> None:
        await self.bench.runner.adopt(self.bench.run(KEY))
        ended = await self._begin()
        await self.bench.exit(KEY, 0, "")
        assert (await ended).kind is End.EXITED

    # That they outlive the server

    async def test_a_run_outlives_its_server(self) -> None:
        await self._begin()
        await self.bench.restart()
        ended = self.bench.runner.adopt(self.bench.run(KEY))
        assert not ended.called
        await self.bench.exit(KEY, 4, "")
        end = await ended
        assert (end.kind, end.code) == (End.EXITED, 4)
        assert self.bench.starts(KEY) == 1

    async def test_a_start_under_another_server_finds_the_run_of_the_first(self) -> None:
        await self._begin()
        await self.bench.restart()
        ended = self.bench.runner.start(self.bench.run(KEY))
        await self.bench.exit(KEY, 4, "")
        assert (await ended).code == 4
        assert self.bench.starts(KEY) == 1

    async def test_how_a_run_ended_without_a_server_is_found_later(self) -> None:
        await self._begin()
        await self.bench.runner.close()
        await self.bench.exit(KEY, 6, "while no server ran")
        await self.bench.restart()
        end = await self.bench.runner.adopt(self.bench.run(KEY))
        assert (end.kind, end.code) == (End.EXITED, 6)
        assert self.bench.runner.tail(KEY) == "while no server ran"

    async def test_an_adopted_run_can_be_stopped(self) -> None:
        await self._begin()
        await self.bench.restart()
        ended = self.bench.runner.adopt(self.bench.run(KEY))
        await self.bench.begun(KEY)
        self.bench.runner.stop(KEY, "enough")
        assert (await ended).kind is End.CANCELLED

    async def test_a_time_out_counts_from_the_first_start(self) -> None:
        await self._begin(timeout=0.5)
        await self.bench.restart()
        await self.bench.pass_time(0.5)
        ended = self.bench.runner.adopt(evolve(self.bench.run(KEY), timeout=0.5))
        await self.bench.pass_time(0.1)
        assert (await ended).kind is End.TIMEOUT

    async def test_a_closed_runner_reports_no_end(self) -> None:
        ended = await self._begin()
        await self.bench.runner.close()
        await self.bench.exit(KEY, 0, "")
        assert not ended.called

    async def test_a_closed_runner_starts_nothing(self) -> None:
        await self.bench.runner.close()
        assert not self.bench.runner.start(self.bench.run(KEY)).called
        assert not self.bench.runner.adopt(self.bench.run("000008-1")).called
        await self.bench.pass_time(0.1)
        assert self.bench.starts(KEY) == 0

    async def test_which_ledger_the_runs_belong_to_outlives_the_server(self) -> None:
        assert self.bench.runner.ledger is None
        self.bench.runner.belong("5f3a")
        await self.bench.restart()
        assert self.bench.runner.ledger == "5f3a"

    async def test_the_boot_is_the_same_for_the_next_server(self) -> None:
        first = self.bench.runner.boot
        await self.bench.restart()
        assert first == self.bench.runner.boot != ""

    # What is known of them

    async def test_only_a_run_that_is_waited_for_has_begun(self) -> None:
        assert not self.bench.runner.has_begun(KEY)
        ended = await self._begin()
        assert self.bench.runner.has_begun(KEY)
        await self.bench.exit(KEY, 0, "")
        await ended
        assert not self.bench.runner.has_begun(KEY)

    async def test_nothing_is_unreachable_or_unstoppable_while_runs_end_as_they_should(
        self,
    ) -> None:
        ended = await self._begin()
        self.bench.runner.stop(KEY, "enough")
        await ended
        assert (self.bench.runner.unreachable, self.bench.runner.unstoppable) == (None, ())

    async def test_a_run_has_a_folder(self) -> None:
        ended = await self._begin()
        assert self.bench.runner.folder(KEY).is_dir()
        await self.bench.exit(KEY, 0, "")
        await ended
        assert self.bench.runner.folder(KEY).is_dir()

    async def test_there_is_no_output_of_what_never_ran(self) -> None:
        assert self.bench.runner.tail("000099-1") == ""

    async def test_the_tape_of_a_run_is_looked_at_before_and_after(self) -> None:
        (self.bench.folder / "POOL").mkdir()
        file = self.bench.folder / "POOL" / "A00001"
        file.write_bytes(b"full")
        tape = TapeFile(vault="v", root=str(self.bench.folder), pool="POOL", cartridge="A00001")
        ended = await self._begin(tape=tape)
        file.write_bytes(b"")
        await self.bench.exit(KEY, 0, "")
        end = await ended
        assert end.looks
        assert end.before is not None
        assert end.after is not None
        assert end.before.fingerprint is not None
        assert end.after.fingerprint is not None
        assert (end.before.fingerprint.size, end.after.fingerprint.size) == (4, 0)

    async def test_a_run_without_a_tape_has_no_looks(self) -> None:
        ended = await self._begin()
        await self.bench.exit(KEY, 0, "")
        end = await ended
        assert (end.looks, end.before, end.after) == (False, None, None)

    # What is left of them

    async def test_the_newest_run_is_of_the_highest_job(self) -> None:
        assert self.bench.runner.newest() == 0
        for key in ("000012-1", "000003-2"):
            ended = await self._begin(key)
            await self.bench.exit(key, 0, "")
            await ended
        assert self.bench.runner.newest() == 12

    async def test_a_run_that_has_not_ended_cannot_be_removed(self) -> None:
        ended = await self._begin()
        with _refused():
            self.bench.runner.remove(KEY)
        await self.bench.exit(KEY, 0, "")
        await ended
        self.bench.runner.remove(KEY)
        assert self.bench.runner.newest() == 0

    async def test_a_sweep_removes_what_has_ended_and_is_old(self) -> None:
        old = await self._begin("000001-1")
        await self._begin("000002-1")
        await self.bench.exit("000001-1", 0, "")
        await old
        assert self.bench.runner.sweep(-math.inf) == 0
        self.bench.runner.sweep(math.inf)  # where the first has ended
        assert self.bench.runner.newest() == 2
        assert (await self.bench.runner.adopt(self.bench.run("000001-1"))).kind is End.UNSTARTED
