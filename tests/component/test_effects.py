"""What follows from a change of the ledger: all of it, always in one order, whatever fails."""

import pytest
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from tests.harness.engine_worlds import Site, World
from vtspolicy.changes import NOTHING, Answered, Change
from vtspolicy.engine.effects import Effects, EngineLedger
from vtspolicy.engine.jobs.recent import RecentJobs
from vtspolicy.events.event import Event
from vtspolicy.jobs import JobState, RequestState
from vtspolicy.ledger import History, Intake, JobRecords, NoticeRecords, RequestRecords
from vtspolicy.notices import Notice, Word
from vtspolicy.rules.decision import PlannedJob
from vtspolicy.rules.work import Work
from vtspolicy.testing.ledger import MemoryLedger


class Parts:
    """Stands for all parts that an effect reaches; remembers what was asked of it."""

    def __init__(self):
        self.did = []
        self.fails = set()
        self.on_put = None

    def _do(self, *what):
        self.did.append(what)
        if what[0] in self.fails:
            raise KeyError(what[0])

    def push(self, notices, asker=None):
        self._do("push", *[(notice.word, asker) for notice in notices])

    def put(self, entry):
        self._do("put", entry.job)
        if self.on_put is not None:
            self.on_put(entry.job)

    def withdraw(self, job):
        self._do("withdraw", job)

    def stop(self, job):
        self._do("stop", job)

    def changed(self, change):
        self._do("changed")


class Session:
    def __init__(self):
        self.failures = []

    def fail(self, failure):
        self.failures.append(failure)


def intake(jobs=1):
    planned = PlannedJob(work=Work(application="DSK", run=("true",)), values={}, lock=None)
    return Intake(
        event=Event(text="VTSPolicy DSK '/V/P'"),
        host="NSK1",
        received=1.0,
        state=RequestState.OPEN,
        jobs=(planned,) * jobs,
    )


@pytest.fixture
def parts():
    return Parts()


@pytest.fixture
def effects(parts):
    return Effects(
        clock=Clock(),
        outbox=parts,
        queue=parts,
        recent=RecentJobs(),
        runs=parts,
        watchers=[parts.changed],
    )


@pytest.fixture
def ledger(effects):
    inner = MemoryLedger()
    written = EngineLedger(inner)
    written.on_change(effects.apply)
    yield written
    inner.destroy()


def result(deferred):
    found = []
    deferred.addCallback(found.append)
    return found[0]


def started(ledger, jobs):
    """The numbers of jobs of one request; the first of them runs."""
    recorded = result(ledger.write(RequestRecords.record, intake(jobs)))
    ledger.write(JobRecords.start_attempt, recorded.jobs[0].id, 2.0)
    return [job.id for job in recorded.jobs]


def test_a_change_is_applied_in_one_order(parts, ledger):
    running, waiting = started(ledger, 2)
    parts.did.clear()

    def all_kinds(tx):
        tx.requests.cancel(1, "operator alice", 3.0)
        tx.requests.record(intake())

    ledger.write(all_kinds)
    assert parts.did == [
        ("push", (Word.ACCEPTED, None)),
        ("withdraw", waiting),
        ("put", 3),
        ("stop", running),
        ("changed",),
    ]


@pytest.mark.parametrize("broken", ["push", "put", "withdraw", "stop", "changed"])
def test_what_fails_keeps_nothing_else_from_being_done(parts, ledger, broken):
    started(ledger, 4)
    parts.did.clear()
    parts.fails.add(broken)
    seen = []
    globalLogPublisher.addObserver(seen.append)

    def all_kinds(tx):
        cancelled = tx.requests.cancel(1, "operator alice", 3.0)
        tx.requests.record(intake(2))
        return cancelled

    cancelled = result(ledger.write(all_kinds))
    globalLogPublisher.removeObserver(seen.append)
    assert [what for what, *_ in parts.did] == [
        *["push", "withdraw", "withdraw", "withdraw", "put", "put", "stop", "changed"]
    ]
    assert len(cancelled.ended) == 3  # who wrote gets the result all the same
    actions = [line.get("action") for line in seen if "log_failure" in line]
    assert set(actions) == {"effect_defect"}


def test_who_asked_gets_the_notices_about_its_own_commands_only(parts, ledger):
    session = Session()
    started(ledger, 1)
    other = result(ledger.write(RequestRecords.record, intake()))
    parts.did.clear()

    def cancel(tx):
        tx.requests.record(intake())
        tx.requests.cancel(other.request, "host NSK1", 3.0)

    ledger.write_for(session, cancel)
    pushed = [each for what, *rest in parts.did if what == "push" for each in rest]
    assert pushed == [(Word.ACCEPTED, session), (Word.CANCELLED, None)]


def test_a_session_that_could_not_be_answered_fails(parts, ledger):
    """What waits for it in the ledger comes on its next connection."""
    session = Session()
    parts.fails.add("push")
    assert result(ledger.write_for(session, RequestRecords.record, intake())).request == 1
    (failure,) = session.failures
    assert failure.check(KeyError)
    assert ("put", 1) in parts.did


def test_what_is_written_while_a_change_is_applied_is_applied_behind_it(parts, ledger):
    order = []

    def start(job):
        written = ledger.write(JobRecords.start_attempt, job, 2.0)
        written.addCallback(lambda _: order.append((job, len(parts.did))))

    parts.on_put = start
    result(ledger.write(RequestRecords.record, intake(2)))
    assert [what for what, *_ in parts.did] == ["push", "put", "put", "changed", *["changed"] * 2]
    assert order == [(1, 5), (2, 6)]  # each result behind its own effects, in order


def test_a_job_that_waits_is_kept_until_its_turn_or_its_end(effects, ledger):
    jobs = result(ledger.write(RequestRecords.record, intake(2))).jobs
    assert effects.recent.take(jobs[0].id) == jobs[0]
    assert effects.recent.take(jobs[0].id) is None
    ledger.write(JobRecords.cancel, jobs[1].id, "operator alice", 2.0)
    assert effects.recent.take(jobs[1].id) is None


def test_a_write_that_nobody_has_to_act_on_does_nothing(parts, ledger):
    assert result(ledger.write(NoticeRecords.deliver, [17], 1.0)) == 0
    assert result(ledger.write(History.add, "x", None, "y", cause="", actor="z", at=1.0)) is (None)
    assert parts.did == []


def test_a_recorded_answer_is_the_first_notice():
    notices = tuple(
        Notice(word=word, host="NSK1", fields={}, created=1.0)
        for word in (Word.ACCEPTED, Word.WARNING)
    )
    answered = Answered(notices=notices, family="DSK", rule=None, actor=None)
    assert answered.answer is notices[0]
    assert Change() == NOTHING


# In a whole server


@pytest.fixture
def world():
    site = Site()
    world = World(site)
    yield world
    world.close()
    site.remove()


def seconds(world, outcome):
    labels = {"application": "DSK", "outcome": outcome}
    return world.metrics.registry.get_sample_value("vtspolicy_job_seconds_sum", labels)


def test_a_job_that_was_cancelled_before_its_second_attempt_has_its_run_time(world):
    world.send("NSK2", "VTSPolicy DSK 'selective /VAULT01/LEDGER/L00000'", 1)
    world.clock.pass_time(5.0)
    (life,) = world.machine.running
    world.runner.exit(life.run.key, 9)
    world.settle()
    assert world.ledger.tx.jobs.get(1).state is JobState.WAITING
    world.cancel_by_operator(1)
    assert seconds(world, "cancelled") == pytest.approx(5.0, abs=0.1)
