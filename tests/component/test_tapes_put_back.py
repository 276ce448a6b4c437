"""Tapes after a ledger was restored: what the old runs copied is not what is on them now."""

import os
import shutil
from pathlib import Path

import pytest

from tests.harness.engine_worlds import Fault, Site, World
from vtspolicy.jobs import JobState
from vtspolicy.notices import Word
from vtspolicy.tapes import Reason, TapeState

RULES = """
applications:
  DSK:
    seats: 1
    query: ["true", query, "{path}", "{handle}"]
rules:
  - rule: archive
    when: {family: DSK, operation: archive}
    run: ["true", archive, "{path}", "{handle}"]
    then: migrated
    on_interrupt: retry
    retry: {attempts: 3, delay: 1m}
  - rule: restore
    application: DSK
    when: {family: Restore}
    run: ["true", restore, "{path}", "{handle}"]
    then: restored
    on_interrupt: retry
  - rule: erase
    when: {family: Erase}
    then: erased
"""
TAPE, OTHER = "P00001", "P00002"
NEW = b"new!"  # as long as what was there before


class TapeWorld(World):
    """A world with an application that keeps copies, and a ledger that is restored."""

    def __init__(self, site):
        self.copies = {}
        super().__init__(site)
        self.path = site.root / "VAULT01/PAY" / TAPE

    def work(self):
        """The application does all that it was started for."""
        while running := [each for each in self.machine.running if each.stopped is None]:
            self.finish(running[0].run)

    def finish(self, run):
        _, verb, path, handle = run.argv
        if verb == "archive":
            self.copies[handle] = Path(path).read_bytes()
        elif verb == "restore":
            Path(path).write_bytes(self.copies[handle])
        self.runner.exit(run.key, 0 if handle in self.copies else 1)
        self.settle()

    def archive(self, tape, minute):
        self.send("NSK1", f"VTSPolicy DSK 'archive /VAULT01/PAY/{tape}'", minute)

    def erase(self, minute):
        """Ask for it; return how it ended."""
        self.send("NSK1", f"VTSPolicy Erase - {TAPE}", minute)
        self.work()
        return self.ledger.tx.requests.find(family="Erase")[0]

    def rewrite(self):
        """The host uses the tape again."""
        self.path.write_bytes(NEW)
        os.utime(self.path, (1.5e9, 1.5e9))  # a time in the future would make any copy doubtful

    def backup(self):
        return self.ledger.tx.sql.connection.serialize()

    def put_back(self, image, fault=None):
        self.kill()
        connection = self.ledger.tx.sql.connection
        connection.deserialize(image)
        connection.execute("INSERT INTO meta (key, value) VALUES ('put_back', '1')")
        self.ledger.tx.forget()
        self.ledger.verbs.clear()
        self.ledger.fault = fault
        self.start()

    def job(self, number):
        return self.ledger.tx.jobs.get(number)

    def tape(self):
        return self.ledger.tx.tapes.get(str(self.path))

    @property
    def runs(self):
        """What was run, without the questions."""
        return [key for key in self.machine.starts if key.count("-") == 1]


@pytest.fixture(scope="module")
def site():
    site = Site(RULES, families=("Restore",))
    yield site
    site.remove()


@pytest.fixture
def world(site):
    world = TapeWorld(site)
    yield world
    world.close()


@pytest.fixture(autouse=True)
def clean_vaults(site):
    yield
    shutil.rmtree(site.root / "VAULT01")


def waiting_copy(world):
    """The archive of the tape waits behind another one when the ledger is copied, then it runs."""
    world.archive(OTHER, 1)
    world.archive(TAPE, 2)
    assert world.job(2).state is JobState.WAITING
    image = world.backup()
    world.work()
    assert world.tape().state is TapeState.MIGRATED
    return image


def test_a_tape_that_was_rewritten_after_its_copy_is_not_emptied_when_the_ledger_is_old(world):
    image = waiting_copy(world)
    world.rewrite()
    runs = world.runs
    world.put_back(image)
    world.work()
    assert world.runs == runs
    job = world.job(2)
    assert job.state is JobState.WARNING
    assert "no copy is recorded" in job.reason
    assert "migrate it again" in job.reason
    assert world.tape() is None or world.tape().state is TapeState.WRITTEN
    assert world.erase(3).state.value == "failed"
    assert world.path.read_bytes() == NEW


def test_a_tape_as_it_was_is_emptied_only_after_another_copy_when_the_ledger_is_old(world):
    image = waiting_copy(world)
    runs = world.runs
    world.put_back(image)
    world.work()
    assert world.runs == runs
    assert world.erase(3).state.value == "failed"
    assert world.path.read_bytes() == b"tape"
    world.archive(TAPE, 4)
    world.work()
    assert world.erase(5).state.value == "completed"
    assert world.tape().state is TapeState.ERASED


@pytest.mark.parametrize("how", ["before", "after"])
def test_that_a_run_was_there_before_is_known_after_a_crash_too(world, how):
    image = waiting_copy(world)
    world.rewrite()
    died, at = True, 0
    while died:
        at += 1
        world.put_back(image, Fault(at, how))
        world.work()
        died = world.ledger.dead
        world.ledger.fault = None
        if died:
            world.restart()
            world.work()
        assert world.job(2).state is JobState.WARNING, f"write {at}"
        assert world.tape() is None or world.tape().state is TapeState.WRITTEN
    assert "finish_attempt" in world.ledger.verbs


def test_a_run_under_way_in_the_copy_is_judged_by_what_its_keeper_saw(world):
    """What was written after its end is no fault of the copy, and the copy no proof of that."""
    world.archive(TAPE, 1)
    image = world.backup()
    world.work()
    world.put_back(image)
    world.work()
    assert world.job(1).state is JobState.COMPLETED
    assert world.tape().state is TapeState.MIGRATED
    world.rewrite()
    world.put_back(image)
    world.work()
    assert world.job(1).state is JobState.COMPLETED
    (copy,) = world.ledger.tx.copies.of_tape(str(world.path))
    assert (copy.after.size, copy.doubt) == (4, None)
    assert copy.after.written != 1.5e9
    assert world.tape().state is TapeState.WRITTEN
    ended = world.erase(2)
    assert (ended.state.value, Reason.WRITTEN_SINCE.words in ended.reason) == ("failed", True)
    assert world.path.read_bytes() == NEW


def test_a_run_under_way_whose_keeper_saw_nothing_is_judged_by_the_tape_now(world):
    """As with a keeper of version 0.1: what was written since may have been written meanwhile."""
    world.runner.take_look = None
    world.archive(TAPE, 1)
    image = world.backup()
    world.work()
    assert world.job(1).state is JobState.COMPLETED
    (copy,) = world.ledger.tx.copies.of_tape(str(world.path))
    assert copy.doubt == "its keeper did not see the tape as it was copied"
    world.rewrite()
    world.put_back(image)
    world.work()
    assert world.job(1).state is JobState.WAITING
    assert "was written while it was copied" in world.job(1).reason


def restoring(world):
    """The tape is being brought back when the ledger is copied."""
    world.archive(TAPE, 1)
    world.work()
    assert world.erase(2).state.value == "completed"
    world.send("NSK1", f"VTSPolicy Restore - {TAPE}", 3)
    return world.backup()


def test_what_was_written_after_a_restore_is_not_taken_for_the_copy(world):
    image = restoring(world)
    world.work()
    world.rewrite()
    world.put_back(image)
    world.work()
    assert world.ledger.tx.requests.find(family="Restore")[0].state.value == "warning"
    assert world.tape().state is TapeState.WRITTEN
    assert world.erase(4).state.value == "failed"
    world.send("NSK1", f"VTSPolicy Restore - {TAPE}", 5)
    world.work()
    assert world.path.read_bytes() == NEW


def test_what_was_written_after_a_restore_whose_folder_is_gone_is_not_overwritten(world):
    image = restoring(world)
    key = world.machine.running[0].run.key
    world.work()
    world.rewrite()
    world.kill()
    world.runner.forget(key)
    world.put_back(image)
    world.work()
    assert world.ledger.tx.requests.find(family="Restore")[0].state.value == "failed"
    for minute in (5, 6, 7):
        world.send("NSK1", f"VTSPolicy Restore - {TAPE}", minute)
        world.work()
        assert world.path.read_bytes() == NEW


def test_what_was_written_after_a_restore_failed_is_never_taken_for_what_that_left(world):
    restoring(world)
    world.runner.exit(world.machine.running[0].run.key, 1)
    world.settle()
    world.rewrite()
    for minute in (5, 6, 7):
        world.send("NSK1", f"VTSPolicy Restore - {TAPE}", minute)
        world.work()
        assert world.path.read_bytes() == NEW
        assert world.mail["NSK1"].notices[-1].word is Word.FAILED
    world.archive(TAPE, 8)
    world.work()
    assert world.tape().state is TapeState.MIGRATED
    assert world.erase(9).state.value == "completed"


def test_what_half_a_restore_left_that_nobody_saw_is_overwritten_by_an_operators_word(world):
    """A host may have written it: only an operator can know."""
    restoring(world)
    world.path.write_bytes(b"ta")
    key = world.machine.running[0].run.key
    world.kill()
    world.machine.boot = "the second start"
    world.runner.forget(key)
    world.start()
    world.work()
    (request,) = world.ledger.tx.requests.find(family="Restore")
    assert (request.state.value, Reason.LEFT_UNKNOWN.words in request.reason) == ("failed", True)
    assert world.path.read_bytes() == b"ta"
    assert world.tape().state is TapeState.ERASED
    assert world.erase(4).state.value == "failed"
    world.archive(TAPE, 5)
    world.work()
    assert world.ledger.tx.requests.find(limit=1)[0].state.value == "failed"
    world.order(f"VTSPolicy Restore - {TAPE}", override="nobody used it since")
    world.work()
    assert world.ledger.tx.requests.find(family="Restore")[0].state.value == "completed"
    assert world.path.read_bytes() == b"tape"
    assert (world.tape().state, world.tape().override) == (TapeState.MIGRATED, None)


def test_what_a_host_writes_on_half_a_restore_that_nobody_saw_is_the_hosts(world):
    restoring(world)
    world.path.write_bytes(b"ta")
    key = world.machine.running[0].run.key
    world.kill()
    world.machine.boot = "the second start"
    world.runner.forget(key)
    world.start()
    world.work()
    assert world.tape().is_left_unknown
    world.rewrite()
    world.archive(TAPE, 4)
    world.clock.pass_time(10.0)  # until its times are old enough
    world.work()
    assert world.tape().state is TapeState.MIGRATED
    assert world.erase(5).state.value == "completed"
    world.send("NSK1", f"VTSPolicy Restore - {TAPE}", 6)
    world.work()
    assert world.path.read_bytes() == NEW


def test_what_half_a_restore_left_as_its_keeper_saw_it_is_overwritten(world):
    restoring(world)
    world.path.write_bytes(b"ta")
    world.runner.exit(world.machine.running[0].run.key, 1)
    world.settle()
    assert world.tape().state is TapeState.ERASED
    assert world.erase(4).state.value == "failed"
    world.send("NSK1", f"VTSPolicy Restore - {TAPE}", 5)
    world.work()
    assert world.ledger.tx.requests.find(family="Restore")[0].state.value == "completed"
    assert world.path.read_bytes() == b"tape"
