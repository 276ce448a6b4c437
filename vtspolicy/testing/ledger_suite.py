"""What every ledger must do: a suite of tests against the ledger protocol, to be inherited.

    pytest.register_assert_rewrite("vtspolicy.testing.ledger_suite")  # before it is imported

    class TestMyLedger(LedgerSuite):
        def make(self) -> LedgerBench:
            return LedgerBench(MyLedger(...), wait)

`wait` returns what a Deferred brings, or raises it. A ledger that leaves something behind overrides
`discard`. The suite holds a ledger to what the server relies on: one group after the other, whole
or not at all, each event once, one final notice, and numbers that are never given twice.
"""

# ruff: noqa: S101 - tests assert
# ruff: noqa: D102 - a test's name is its sentence

from collections.abc import Callable, Iterable
from typing import Any, Concatenate, ParamSpec, TypeVar

from twisted.internet.defer import Deferred

from vtspolicy.changes import Written
from vtspolicy.jobs import Ending, Job, JobState, RequestState
from vtspolicy.ledger import (
    AttemptRecords,
    Cancelled,
    CopyRecords,
    History,
    JobRecords,
    Ledger,
    LedgerError,
    Meta,
    MountRecords,
    MountState,
    NoSuchRow,
    NoticeRecords,
    RequestRecords,
    Retention,
    Scope,
    TapeRecords,
    Transaction,
)
from vtspolicy.notices import Notice, Word
from vtspolicy.tapes import Copy, Tape
from vtspolicy.testing.ledger import an_intake

P = ParamSpec("P")
T = TypeVar("T")

DONE = Ending(state=JobState.COMPLETED, code=0)
FAILED = Ending(state=JobState.FAILED, code=8, reason="exit code 8")
PATH = "/vaults/1/PAY/P00001"
TAPE = Tape(vault="VAULT01", pool="PAY", cartridge="P00001", path=PATH, size=7, written=1.0)


class LedgerBench:
    """A ledger under test: what is asked of it is waited for."""

    def __init__(self, ledger: Ledger, wait: Callable[[Deferred[Any]], Any]) -> None:
        self.ledger = ledger
        self.wait = wait

    def written(
        self, operation: Callable[Concatenate[Scope, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Written[T]:
        """Return what a write brings, with what it has changed."""
        written: Written[T] = self.wait(self.ledger.write(operation, *args, **kwargs))
        return written

    def write(
        self, operation: Callable[Concatenate[Scope, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Return what a write brings."""
        return self.written(operation, *args, **kwargs).result

    def read(
        self, operation: Callable[Concatenate[Scope, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Return what a question brings."""
        answer: T = self.wait(self.ledger.read(operation, *args, **kwargs))
        return answer

    def error(self, asked: Deferred[Any]) -> BaseException:
        """Return what a question, or a write, fails with."""
        try:
            answer = self.wait(asked)
        except Exception as error:  # noqa: BLE001 - each test says which it must be
            return error
        raise AssertionError(f"it did not fail, but answered {answer!r}")

    def open(self) -> None:
        """Open the ledger."""
        self.wait(Deferred.fromCoroutine(self.ledger.open()))

    def close(self) -> None:
        """Close the ledger."""
        self.wait(Deferred.fromCoroutine(self.ledger.close()))

    def job(self, number: int = 1, **more: Any) -> Job:
        """Record the command of this number; return its job."""
        (job,) = self.write(RequestRecords.record, an_intake(number, **more)).jobs
        return job

    def end(self, job: Job, ending: Ending, at: float = 3.0) -> None:
        """Run a job to its end."""
        self.write(JobRecords.start_attempt, job.id, 2.0)
        self.write(JobRecords.finish_attempt, job.id, job.attempt + 1, ending, at)


def half(tx: Transaction, number: int) -> None:
    """Record a command, and fail."""
    tx.requests.record(an_intake(number))
    raise KeyError("after writing")


def numbers(notices: Iterable[Notice]) -> list[int]:
    """Return the numbers of notices; each that was recorded has one."""
    return [notice.id or 0 for notice in notices]


class LedgerSuite:
    """Tests that any ledger must pass; a subclass makes it."""

    def make(self) -> LedgerBench:
        """Return a new ledger, not opened yet."""
        raise NotImplementedError

    def discard(self) -> None:
        """Remove what a test's ledger has left."""

    def setup_method(self) -> None:
        self.at = self.make()
        self.at.open()

    def teardown_method(self) -> None:
        self.at.close()
        self.discard()

    # -- what is written is there, whole, and in order

    def test_what_was_written_is_read(self) -> None:
        job = self.at.job()
        assert self.at.read(JobRecords.get, job.id) == job
        assert self.at.read(JobRecords.live) == [job]

    def test_a_function_of_the_transaction_is_asked_like_an_operation_of_a_part(self) -> None:
        job = self.at.job()

        def look(tx: Transaction, number: int) -> tuple[Job | None, int]:
            return tx.jobs.get(number), tx.counts().jobs[JobState.WAITING]

        assert self.at.read(look, job.id) == (job, 1)
        assert self.at.wait(self.at.ledger.browse(look, number=job.id)) == (job, 1)

    def test_answers_come_in_the_order_of_the_questions(self) -> None:
        answered: list[int] = []
        asked = [
            self.at.ledger.write(RequestRecords.record, an_intake(number)) for number in range(50)
        ]
        for each in asked:
            each.addCallback(lambda written: answered.append(written.result.request))
        for each in asked:
            self.at.wait(each)
        assert len(answered) == 50
        assert answered == sorted(set(answered))

    def test_an_operation_that_raises_takes_back_its_own_part_and_no_other(self) -> None:
        before = self.at.ledger.write(RequestRecords.record, an_intake(1))
        failing = self.at.ledger.write(half, 2)
        after = self.at.ledger.write(RequestRecords.record, an_intake(3))
        first = self.at.wait(before).result
        assert isinstance(self.at.error(failing), KeyError)
        third = self.at.wait(after).result
        requests = self.at.read(RequestRecords.find)
        assert [request.id for request in requests] == [third.request, first.request]
        assert not self.at.write(RequestRecords.record, an_intake(2)).duplicate

    def test_a_work_first_seen_by_an_operation_that_failed_is_stored_by_the_next(self) -> None:
        assert isinstance(self.at.error(self.at.ledger.write(half, 1)), KeyError)
        job = self.at.job(2)
        assert self.at.read(JobRecords.get, job.id) == job

    def test_the_failure_of_a_question_is_its_own(self) -> None:
        asked = self.at.ledger.read(RequestRecords.why, 99)
        assert isinstance(self.at.error(asked), NoSuchRow)
        assert self.at.read(RequestRecords.find) == []

    def test_what_was_written_is_there_after_a_restart(self) -> None:
        job = self.at.job()
        uid = self.at.read(Meta.uid)
        self.at.close()
        self.at.open()
        assert self.at.read(JobRecords.live) == [job]
        assert self.at.read(Meta.uid) == uid

    def test_a_closed_ledger_says_so(self) -> None:
        self.at.close()
        for asked in (
            self.at.ledger.write(Meta.uid),
            self.at.ledger.read(Meta.uid),
            self.at.ledger.browse(Meta.uid),
        ):
            error = self.at.error(asked)
            assert isinstance(error, LedgerError)
            assert "closed" in str(error) or "not open" in str(error)
        self.at.open()

    def test_there_is_no_trouble_and_no_backlog_when_nothing_is_asked(self) -> None:
        self.at.job()
        assert self.at.ledger.trouble is None
        self.at.read(Meta.uid)
        assert self.at.ledger.backlog == 0

    # -- what a write has changed

    def test_a_write_answers_what_it_has_changed(self) -> None:
        def two(tx: Transaction) -> Cancelled:
            tx.requests.record(an_intake(1))
            second = tx.requests.record(an_intake(2)).request
            return tx.requests.cancel(second, "operator alice", 2.0)

        written = self.at.written(two)
        change = written.change
        assert [each.answer.word for each in change.answered] == [Word.ACCEPTED, Word.ACCEPTED]
        assert [each.word for each in change.notices] == [*[Word.ACCEPTED] * 2, Word.CANCELLED]
        assert list(change.notices) == self.at.read(NoticeRecords.pending, "NSK1")
        live = [job.id for job in self.at.read(JobRecords.live)]
        assert [job.id for job in change.waiting] == [*live, written.result.ended[0].id]
        assert change.ended == written.result.ended
        assert change.requests == (change.ended[0].request,)

    def test_an_operation_that_raised_leaves_nothing_in_the_change_of_another(self) -> None:
        failing = self.at.ledger.write(half, 1)
        after = self.at.ledger.write(RequestRecords.record, an_intake(2))
        assert isinstance(self.at.error(failing), KeyError)
        written = self.at.wait(after)
        assert written.change.notices == written.result.notices
        assert written.change.waiting == written.result.jobs

    # -- numbers

    def test_no_number_is_given_twice_whoever_asks_and_however_often_it_is_opened(self) -> None:
        jobs: list[int] = []
        requests: list[int] = []
        notices: list[int] = []
        for turn in range(3):
            batch = [an_intake(10 * turn + number) for number in range(4)]
            for recorded in self.at.write(RequestRecords.record_all, batch):
                requests.append(recorded.request)
                jobs += [job.id for job in recorded.jobs]
                notices += numbers(recorded.notices)
            assert isinstance(self.at.error(self.at.ledger.write(half, 10 * turn + 5)), KeyError)
            self.at.close()
            self.at.open()
            self.at.write(Transaction.begin_serving, now=0.0)
        for given in (jobs, requests, notices):
            assert len(given) == 12
            assert given == sorted(set(given))

    def test_a_server_gives_numbers_behind_those_that_its_spool_knows(self) -> None:
        self.at.write(Transaction.begin_serving, 500, now=0.0)
        assert self.at.job().id > 500

    def test_handles_are_told_apart_by_ledger_request_and_job(self) -> None:
        handles = {self.at.job(number).handle for number in range(3)}
        self.at.write(Transaction.begin_serving, now=0.0)
        handles |= {self.at.job(number).handle for number in range(3, 6)}
        assert len(handles) == 6

    # -- commands

    def test_an_event_is_recorded_once_alone_and_among_others(self) -> None:
        first = self.at.write(RequestRecords.record, an_intake(1))
        several = self.at.write(
            RequestRecords.record_all, [an_intake(2), an_intake(1), an_intake(2), an_intake(3)]
        )
        assert [each.duplicate for each in several] == [False, True, True, False]
        assert several[1].request == first.request
        assert several[2].request == several[0].request
        assert [each.word for each in several[1].notices] == [Word.DUPLICATE]
        assert len(self.at.read(JobRecords.live)) == 3

    def test_a_command_without_jobs_is_final_at_once(self) -> None:
        recorded = self.at.write(RequestRecords.record, an_intake(1, jobs=()))
        assert [each.word for each in recorded.notices] == [Word.ACCEPTED, Word.WARNING]
        request = self.at.read(RequestRecords.get, recorded.request)
        assert request is not None
        assert request.state is RequestState.WARNING

    def test_a_command_runs_from_its_arrival_to_its_final_notice(self) -> None:
        job = self.at.job()
        started = self.at.write(JobRecords.start_attempt, job.id, 1.0)
        assert started is not None
        assert self.at.write(JobRecords.start_attempt, job.id, 1.0) is None
        finished = self.at.write(JobRecords.finish_attempt, job.id, 1, DONE, 2.0)
        assert finished.request_state is RequestState.COMPLETED
        again = self.at.write(JobRecords.finish_attempt, job.id, 1, FAILED, 2.5)
        assert not again.changed
        (attempt,) = self.at.read(AttemptRecords.of_job, job.id)
        assert (attempt.state, attempt.code) == (JobState.COMPLETED, 0)
        pending = self.at.read(NoticeRecords.pending, "NSK1")
        assert pending[-1] == finished.notices[0]
        assert self.at.write(NoticeRecords.deliver, numbers(pending), 3.0) == 2
        assert self.at.write(NoticeRecords.deliver, numbers(pending), 3.0) == 0
        assert self.at.read(NoticeRecords.pending, "NSK1") == []

    def test_the_last_of_several_jobs_brings_the_only_final_notice(self) -> None:
        jobs = an_intake(1).jobs * 3
        one, two, three = self.at.write(RequestRecords.record, an_intake(1, jobs=jobs)).jobs
        self.at.end(one, FAILED)
        self.at.end(two, DONE)
        assert len(self.at.read(NoticeRecords.of_request, one.request)) == 1
        self.at.end(three, DONE)
        final = self.at.read(NoticeRecords.of_request, one.request)[-1]
        assert (final.word, final.fields["ok"], final.fields["failed"]) == (Word.FAILED, 2, 1)

    def test_a_job_that_has_ended_is_run_again_once_at_a_time(self) -> None:
        job = self.at.job()
        self.at.end(job, FAILED)
        again = self.at.write(RequestRecords.renew, job.id, "operator alice", 4.0).jobs[0]
        assert (again.repeats, again.work) == (job.id, job.work)
        assert again.handle != job.handle
        asked = self.at.ledger.write(RequestRecords.renew, job.id, "operator alice", 5.0)
        assert isinstance(self.at.error(asked), LedgerError)

    def test_the_history_of_a_job_has_its_states_in_their_order(self) -> None:
        job = self.at.job()
        self.at.end(job, DONE)
        lines = self.at.read(History.about, f"job {job.id}")
        assert [line.after for line in lines] == ["waiting", "running", "completed"]

    # -- lists and limits

    def test_lists_are_filtered_and_the_newest_come_first(self) -> None:
        jobs = [self.at.job(number, host=f"NSK{number % 2}") for number in range(6)]
        self.at.end(jobs[1], FAILED)
        found = self.at.read(JobRecords.find, host="NSK1", limit=2)
        assert [job.id for job in found] == [jobs[5].id, jobs[3].id]
        found = self.at.read(JobRecords.find, state=JobState.FAILED)
        assert [job.id for job in found] == [jobs[1].id]
        found = self.at.read(JobRecords.find, ref="R2", tape="/V/P", hosts=("NSK0",))
        assert [job.id for job in found] == [jobs[2].id]
        requests = self.at.read(RequestRecords.find, state=RequestState.OPEN, text="ref=r4")
        assert [request.id for request in requests] == [jobs[4].request]

    def test_a_number_of_any_length_is_that_of_no_row(self) -> None:
        for number in (2**63, 10**30):
            assert self.at.read(JobRecords.get, number) is None
            assert self.at.read(RequestRecords.get, number) is None

    def test_a_text_that_no_encoding_has_is_recorded_all_the_same(self) -> None:
        recorded = self.at.write(RequestRecords.record, an_intake(1, reason="half \ud83d of it"))
        request = self.at.read(RequestRecords.get, recorded.request)
        assert request is not None
        assert request.reason == "half ? of it"

    def test_what_is_old_is_removed_and_what_waits_stays(self) -> None:
        ended, live = self.at.job(1), self.at.job(2)
        self.at.end(ended, DONE)
        assert self.at.write(Retention.prune, 1e9) == 0  # its host has not got its notices
        notices = self.at.read(NoticeRecords.of_request, ended.request)
        self.at.write(NoticeRecords.deliver, numbers(notices), 4.0)
        assert self.at.write(Retention.prune, 1e9) == 1
        assert self.at.read(RequestRecords.get, ended.request) is None
        assert self.at.read(JobRecords.live) == [live]
        assert self.at.read(Transaction.counts).jobs[JobState.COMPLETED] == 0
        assert not self.at.write(RequestRecords.record, an_intake(1)).duplicate

    # -- tapes and mounts

    def test_a_tape_and_its_copies_are_read_as_they_were_written(self) -> None:
        copy = Copy(
            vault=TAPE.vault,
            pool=TAPE.pool,
            cartridge=TAPE.cartridge,
            path=PATH,
            source=PATH,
            application="DSK",
            handle="vts-1",
            values={"media": "A00001"},
        )
        self.at.write(TapeRecords.save, TAPE)
        added = self.at.write(CopyRecords.add, copy)
        assert self.at.read(TapeRecords.get, PATH) == TAPE
        assert self.at.read(TapeRecords.named, "P00001") == [TAPE]
        assert self.at.read(TapeRecords.find, vault="VAULT01", pool="OTHER") == []
        assert self.at.read(CopyRecords.of_tape, PATH) == [added]
        assert self.at.read(CopyRecords.by_path) == {PATH: [added]}

    def test_a_mount_is_owed_one_answer(self) -> None:
        event = an_intake(1).event
        given: dict[str, Any] = {"event": event, "host": "NSK1", "digest": b"d", "received": 1.0}
        given |= {"seq": "0412", "volume": "P00001", "state": MountState.RESTORING}
        mount = self.at.write(MountRecords.record, **given)
        assert mount is not None
        assert self.at.write(MountRecords.record, **given) is None
        assert self.at.read(MountRecords.open) == [mount]
        (told,) = self.at.write(MountRecords.answer, mount.id, MountState.READY, 2.0, tape="P00001")
        assert told.word is Word.MOUNTREADY
        assert not self.at.write(
            MountRecords.answer, mount.id, MountState.READY, 3.0, tape="P00001"
        )
        assert self.at.read(MountRecords.open) == []
