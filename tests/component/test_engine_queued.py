"""Jobs that an application queues itself: what is reported of them is what was seen there."""

from functools import partial
from unittest.mock import patch

import pytest
from attrs import evolve

from tests.harness import engine_worlds
from tests.harness.engine_worlds import Site, World
from vtspolicy.engine.assembly import assemble
from vtspolicy.jobs import JobState
from vtspolicy.notices import Word
from vtspolicy.rules.load import load_table

RULES = """
applications:
  DSK: {seats: 1, outcome: {0: completed, default: failed}}
  RST: {seats: 1, outcome: {0: completed, default: failed}}
rules:
  - rule: queued
    when: {family: DSK, operation: archive}
    run: ["true", submit, "{path}"]
    read: {application_job: 'JobId=([0-9]+)'}
    poll:
      run: ["true", poll, "{application_job}"]
      every: 10s
      patience: 60s
      running: R
      completed: T
      read: {state: 'state ([A-Z])'}
      find:
        run: ["true", find, "{handle}"]
        read: {application_job: 'JobId=([0-9]+)'}
        absent: "nothing found"
    cancel: ["true", cancel, "{application_job}"]
    lock: "{path}"
    timeout: 12h
  - rule: queued, and not to be found again
    when: {family: DSK}
    run: ["true", submit, "{path}"]
    read: {application_job: 'JobId=([0-9]+)'}
    poll:
      run: ["true", poll, "{application_job}"]
      every: 10s
      patience: 60s
      running: R
      completed: T
      read: {state: 'state ([A-Z])'}
    cancel: ["true", cancel, "{application_job}"]
    timeout: 10m
  - rule: a program of ours
    when: {family: RST}
    run: ["true", backup, "{path}"]
    verify: ["true", snapshots, "{handle}"]
    on_interrupt: retry
"""
FINDABLE = "VTSPolicy DSK 'archive /VAULT01/PAY/P00000'"
BLIND = "VTSPolicy DSK '/VAULT01/PAY/P00001'"
OURS = "VTSPolicy RST '/VAULT01/PAY/P00002'"


class QueuedWorld(World):
    """A world with an application that queues, and what it answers."""

    def __init__(self, site):
        self.state, self.found, self.obeys, self.cancels = "R", (0, "JobId=77\n"), True, 0
        self.ahead = 0.0
        super().__init__(site)

    def start(self):
        with patch.object(engine_worlds, "assemble", partial(assemble, steady=self.steady)):
            super().start()

    def steady(self):
        """Monotonic time."""
        return self.clock.seconds() - self.ahead

    def put_clock(self, seconds):
        """Somebody sets the clock; what waits for a time that has come is woken."""
        self.ahead += seconds
        self.clock.rightNow += seconds
        self.settle()

    def pass_seconds(self, seconds):
        """The application answers what it is asked, and time passes."""
        for _ in range(seconds):
            self.answer()
            self.clock.pass_time(1.0)
        self.answer()

    def answer(self):
        while asked := [each for each in self.machine.running if self.answers(each.run)]:
            for life in asked:
                key = life.run.key
                if "poll" in key:
                    self.runner.exit(key, 0, f"state {self.state}\n")
                elif "find" in key:
                    self.runner.exit(key, *self.found)
                else:
                    self.cancels += 1
                    self.state = "A" if self.obeys else self.state
                    self.runner.exit(key)
            self.settle()

    @staticmethod
    def answers(run):
        return any(part in run.key for part in ("poll", "find", "cancel"))

    def submit(self, text=FINDABLE):
        self.send("NSK2", text, 1)
        self.runner.exit("000001-1", 0, "JobId=77\n")
        self.settle()

    @property
    def job(self):
        return self.ledger.tx.jobs.get(1)

    @property
    def final(self):
        about = [each for each in self.mail["NSK2"].notices if each.fields.get("req") == 1]
        (notice,) = (each for each in about if each.word.is_final)
        return notice


@pytest.fixture(scope="module")
def site():
    site = Site()
    path = site.root / "queued.yaml"
    path.write_text(RULES)
    table = load_table([path], vocabulary=site.vocabulary, configuration=site.configuration)
    site.reader = evolve(site.reader, table=table)
    yield site
    site.remove()


@pytest.fixture
def world(site):
    world = QueuedWorld(site)
    yield world
    world.close()
    assert not world.violations


def test_a_job_that_is_seen_to_end_by_its_cancellation_is_cancelled(world):
    world.submit()
    world.cancel_by_host("NSK2", 1, 2)
    world.pass_seconds(5)
    assert world.final.word is Word.CANCELLED
    assert world.final.fields["reason"] == "cancelled by host NSK2"


def test_a_job_that_continues_in_its_application_is_never_reported_as_cancelled(world):
    world.submit()
    world.obeys = False
    world.cancel_by_host("NSK2", 1, 2)
    world.pass_seconds(58)
    assert world.job.state is JobState.STOPPING
    world.pass_seconds(5)
    assert world.final.word is Word.INTERRUPTED
    reason = world.final.fields["reason"]
    assert reason.startswith("cancelled by host NSK2; the application's job 77 was to be cancelled")
    assert reason.endswith("is still in state R")
    assert world.ledger.tx.requests.get(1).reason == reason


def test_a_job_of_which_nothing_is_heard_is_never_reported_as_cancelled(world):
    world.submit()
    world.answer()
    world.cancel_by_operator(1)
    for _ in range(200):  # no query is answered: each is ended by its own time-out
        world.clock.pass_time(5.0)
    assert world.final.word is Word.INTERRUPTED
    assert world.final.fields["reason"].startswith("cancelled by operator alice; the state of")


@pytest.mark.parametrize(
    ("text", "why"), [(FINDABLE, "exit code 2"), (BLIND, "no query finds a job by its handle")]
)
def test_a_submission_that_was_cancelled_and_may_have_been_taken_is_not_reported_as_cancelled(
    world, text, why
):
    world.found = (2, "the console does not answer\n")
    world.send("NSK2", text, 1)
    world.cancel_by_host("NSK2", 1, 2)
    world.pass_seconds(5)
    assert world.final.word is Word.INTERRUPTED
    assert "cancelled by host NSK2; whether the application has" in world.final.fields["reason"]
    assert why in world.final.fields["reason"]


def test_a_submission_that_was_cancelled_and_was_not_taken_is_cancelled(world):
    world.found = (0, "nothing found\n")
    world.send("NSK2", FINDABLE, 1)
    world.cancel_by_host("NSK2", 1, 2)
    world.pass_seconds(5)
    assert world.final.word is Word.CANCELLED


def test_a_submission_that_was_cancelled_and_was_taken_is_cancelled_there(world):
    world.send("NSK2", FINDABLE, 1)
    world.cancel_by_host("NSK2", 1, 2)
    world.pass_seconds(5)
    assert (world.final.word, world.cancels) == (Word.CANCELLED, 1)


def test_a_submission_that_was_never_begun_needs_not_be_looked_for(world):
    world.runner.trouble = "the disk is full"
    world.send("NSK2", BLIND, 1)
    world.cancel_by_host("NSK2", 1, 2)
    world.pass_seconds(10)
    assert world.final.word is Word.CANCELLED


def test_a_job_out_of_time_that_does_not_end_there_is_not_reported_as_ended(world):
    world.submit(BLIND)
    world.obeys = False
    for _ in range(61):
        world.answer()
        world.clock.pass_time(10.0)
    world.pass_seconds(70)
    assert world.final.word is Word.INTERRUPTED
    assert "it took longer than 600 s: the application's job 77" in world.final.fields["reason"]


def test_a_submission_of_which_a_power_failure_left_nothing_may_have_been_taken(world):
    world.send("NSK2", BLIND, 1)
    world.runner.obedient = False
    world.cancel_by_host("NSK2", 1, 2)
    world.kill()
    world.runner.forget("000001-1")
    world.machine.boot = "the second start"
    world.start()
    world.connect("NSK2")
    assert world.final.word is Word.INTERRUPTED


@pytest.mark.parametrize("left", [True, False])
def test_a_program_of_ours_that_died_with_the_machine_while_it_was_stopped_is_cancelled(
    world, left
):
    world.runner.obedient = False
    world.send("NSK2", OURS, 1)
    world.cancel_by_host("NSK2", 1, 2)
    assert world.job.state is JobState.STOPPING
    world.kill()
    world.runner.lose("000001-1")
    if not left:
        world.runner.forget("000001-1")
    world.machine.boot = "the second start"
    world.start()
    world.connect("NSK2")
    assert world.final.word is Word.CANCELLED
    assert world.final.fields["reason"] == "cancelled by host NSK2"
    assert world.machine.starts == ["000001-1"]


def test_a_clock_that_is_put_forward_takes_no_time_from_a_queued_job(world):
    world.submit()
    world.pass_seconds(60)
    world.put_clock(86400.0)
    world.pass_seconds(60)
    assert (world.job.state, world.cancels) == (JobState.RUNNING, 0)


@pytest.mark.parametrize("seconds", [0.0, -86400.0])
def test_after_a_restart_a_queued_job_has_the_time_that_was_left_and_never_more_than_all(
    world, seconds
):
    world.submit()
    for _ in range(60):
        world.answer()
        world.clock.pass_time(600.0)  # ten hours of its twelve
    world.kill()
    world.put_clock(seconds)
    world.start()
    left = 2 if not seconds else 12
    for _ in range(left * 6 - 1):
        world.answer()
        world.clock.pass_time(600.0)
    assert world.cancels == 0
    for _ in range(3):
        world.answer()
        world.clock.pass_time(600.0)
    assert world.cancels == 1
    assert world.job.state is JobState.TIMEDOUT
