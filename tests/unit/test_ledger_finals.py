"""Promise 3, by machine: any verbs in any order, one final notice each."""

from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from vtspolicy.events.event import Event, identity
from vtspolicy.jobs import JobState, RequestState
from vtspolicy.ledger import Ending, Intake, JobRecords, RequestRecords
from vtspolicy.rules.decision import PlannedJob
from vtspolicy.rules.work import Work
from vtspolicy.tapes import Tape
from vtspolicy.testing.ledger import MemoryLedger

WORK = Work(application="DSK", run=("true",))
FIRST = datetime(2026, 11, 22)  # noqa: DTZ001 - as displayed: no zone
ENDINGS = st.sampled_from(
    [state for state in JobState if state not in {JobState.RUNNING, JobState.STOPPING}]
)
NUMBER = st.integers(0, 30)
OWN_ENDS = {JobState.COMPLETED, JobState.WARNING, JobState.FAILED}
WORST_FIRST = ("failed", "timedout", "interrupted", "cancelled", "warning", "completed")


class Deaf(Exception):  # noqa: N818
    """The fault that is injected."""


class Ledger(RuleBasedStateMachine):
    """Random verbs, repeated calls and faults, beside a naive account of what must be there."""

    @initialize()
    def begin(self):
        self.ledger = MemoryLedger()
        self.tx = self.ledger.tx
        self.clock = 1000.0
        self.events = {}  # minute -> request
        self.jobs = {}  # request -> its jobs
        self.state = {}  # job -> "live" or "ended"
        self.attempts = []  # (job, number) that were started
        self.stopping = set()  # jobs that were running when they were cancelled

    def teardown(self):
        if hasattr(self, "ledger"):
            self.ledger.destroy()

    def do(self, verb, *args):
        self.clock += 1.0
        answers, failures = [], []
        self.ledger.write(verb, *args).addCallbacks(answers.append, failures.append)
        if failures:
            failures[0].trap(Deaf)
            return None
        return answers[0].result

    @rule(minute=st.integers(0, 5), count=st.integers(0, 3))
    def arrive(self, minute, count):
        event = Event(text="VTSPolicy DSK '/V/P'", time=FIRST + timedelta(minutes=minute))
        tape = Tape(vault="V", pool="P", cartridge="A", path="/V/P/A")
        plan = PlannedJob(work=WORK, values={}, lock=None, tape=tape)
        recorded = self.do(
            RequestRecords.record,
            Intake(
                event=event,
                host="NSK1",
                received=self.clock,
                state=RequestState.OPEN,
                digest=identity("NSK1", event),
                jobs=(plan,) * count,
            ),
        )
        if recorded is None:
            return
        assert recorded.duplicate == (minute in self.events)
        assert self.events.setdefault(minute, recorded.request) == recorded.request
        if not recorded.duplicate:
            self.jobs[recorded.request] = [job.id for job in recorded.jobs]
            self.state.update((job.id, "live") for job in recorded.jobs)

    @rule(verb=st.sampled_from(["record", "start_attempt", "finish_attempt", "cancel"]))
    def fail_next(self, verb):
        def once(name):
            if name == verb:
                self.ledger.before = None
                raise Deaf

        self.ledger.before = once

    @precondition(lambda self: self.state)
    @rule(number=NUMBER)
    def start(self, number):
        job = self.pick(number)
        started = self.do(JobRecords.start_attempt, job, self.clock)
        if started is not None:
            self.attempts.append((job, started.job.attempt))

    @precondition(lambda self: self.attempts)
    @rule(number=NUMBER, state=ENDINGS, over=st.booleans(), twice=st.booleans())
    def finish(self, number, state, over, twice):
        job, attempt = self.attempts[number % len(self.attempts)]
        self.end(job, attempt, state, over, twice)

    @precondition(lambda self: self.state)
    @rule(number=NUMBER, state=ENDINGS, over=st.booleans())
    def stop_and_finish(self, number, state, over):
        job = self.pick(number)
        self.start(number)
        self.note(self.do(JobRecords.cancel, job, "operator", self.clock))
        if self.tx.jobs.get(job).attempt:
            self.end(job, self.tx.jobs.get(job).attempt, state, over, False)

    def end(self, job, attempt, state, over, twice):
        ending = Ending(state=state, due=self.clock + 5.0, over=over, reason=f"end {self.clock}")
        finished = self.do(JobRecords.finish_attempt, job, attempt, ending, self.clock)
        if finished is None:
            return
        if finished.changed:
            assert finished.job.state is self.expected(job, state, over)
        if not finished.job.state.is_live:
            self.state[job] = "ended"
        if finished.changed and job in self.stopping:
            self.stopping.discard(job)
            told = finished.job.reason
            if finished.job.state is JobState.CANCELLED:
                assert told == "cancelled by operator"
            elif finished.job.state is JobState.INTERRUPTED:
                assert told == f"cancelled by operator; {ending.reason}"
            else:
                assert told == ending.reason
        if twice:
            again = self.tx.jobs.finish_attempt(job, attempt, ending, self.clock)
            assert not again.changed
            assert again.notices == ()

    @precondition(lambda self: self.state)
    @rule(number=NUMBER)
    def cancel_job(self, number):
        self.note(self.do(JobRecords.cancel, self.pick(number), "operator", self.clock))

    @precondition(lambda self: self.jobs)
    @rule(number=NUMBER)
    def cancel_request(self, number):
        request = sorted(self.jobs)[number % len(self.jobs)]
        self.note(self.do(RequestRecords.cancel, request, "operator", self.clock))

    @precondition(lambda self: self.state)
    @rule(number=NUMBER, state=st.sampled_from([JobState.TIMEDOUT, JobState.FAILED]))
    def end_waiting(self, number, state):
        job = self.pick(number)
        ended = self.do(JobRecords.end, job, state, "too late", self.clock)
        if ended is not None and not ended.job.state.is_live:
            self.state[job] = "ended"

    def note(self, cancelled):
        if cancelled is not None:
            self.state.update((job.id, "ended") for job in cancelled.ended)
            self.stopping.update(job.id for job in cancelled.running)

    def expected(self, job, state, over):
        """What a job under way becomes, in this test's own words."""
        if job not in self.stopping:
            return state
        if state in OWN_ENDS:
            return state  # its run got there by itself
        if state is JobState.INTERRUPTED and not over:
            return state  # nobody has seen it end
        return JobState.CANCELLED

    def pick(self, number):
        return sorted(self.state)[number % len(self.state)]

    @invariant()
    def every_request_has_one_final_notice_when_it_has_ended(self):
        if not hasattr(self, "ledger"):
            return
        for request, jobs in self.jobs.items():
            ended = all(self.state[job] == "ended" for job in jobs)
            finals = [each for each in self.tx.notices.of_request(request) if each.word.is_final]
            assert len(finals) == ended
            row = self.tx.requests.get(request)
            assert row.live == sum(self.state[job] == "live" for job in jobs)
            assert (row.finished is not None) == ended
            assert (row.state is RequestState.OPEN) == (not ended)
            assert row.ok + row.warn + row.failed == len(jobs) - row.live
            self.the_reason_is_that_of_the_worst(row, finals)
        counts = self.tx.counts().jobs
        assert sum(counts.values()) == len(self.state)
        live = sum(count for state, count in counts.items() if state.is_live)
        assert live == sum(state == "live" for state in self.state.values())

    def the_reason_is_that_of_the_worst(self, row, finals):
        """Of the first job that ended so; each end has a time of its own here.

        Of several jobs it is told with the tape. A job that is completed has a reason where there
        was nothing to do: here each has one.
        """
        ends = sorted(
            self.tx.jobs.find(request=row.id), key=lambda job: (job.finished or 0.0, job.id)
        )
        if row.finished is None or not ends:
            return
        for state in WORST_FIRST:
            worst = [job for job in ends if job.state.value == state]
            if worst:
                assert row.state.value == state
                reason = worst[0].reason
                if len(ends) > 1:
                    reason = f"{worst[0].tape}: {reason}"
                assert row.reason == reason
                assert finals[0].fields.get("reason") == reason
                return


TestOneFinalNotice = Ledger.TestCase
TestOneFinalNotice.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
