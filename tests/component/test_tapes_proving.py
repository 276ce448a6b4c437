"""Proofs of copies that are repeated: asked for when they are due, and loud when a copy is lost."""

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from tests.harness.engine_worlds import Site
from tests.harness.tape_faults import RULES, TapeWorld
from vtspolicy.jobs import JobState
from vtspolicy.tapes import Proof

DAY = 86400.0
AGAIN = RULES.replace("    then: migrated\n", "    then: migrated\n    proof: {every: 30d}\n")


@pytest.fixture(scope="module")
def site():
    site = Site(AGAIN, families=("Delete", "Restore"))
    yield site
    site.remove()


@pytest.fixture
def world(site):
    world = TapeWorld(site)
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 1)
    world.work()
    yield world
    world.close()


def look(world):
    done = Deferred.fromCoroutine(world.engine.job_runner.proving.ask_for_due())
    world.settle()
    assert done.called
    done.addErrback(lambda failure: failure.raiseException())


def proofs(world):
    return [job for job in world.ledger.tx.jobs.find() if job.work.then == "proven"]


def copy_of(world):
    (copy,) = world.ledger.tx.copies.of_tape(str(world.path))
    return copy


def test_a_copy_is_asked_for_again_when_its_proof_is_old(world):
    look(world)
    assert proofs(world) == []
    before = copy_of(world).proved

    world.clock.advance(31 * DAY)
    look(world)
    world.work()

    (job,) = proofs(world)
    assert job.state is JobState.COMPLETED
    assert copy_of(world).proof is Proof.FOUND
    assert copy_of(world).proved > before + 30 * DAY
    look(world)
    assert len(proofs(world)) == 1


def test_a_copy_that_is_lost_fails_its_proof_is_reported_and_counted(world):
    world.copies.clear()
    world.clock.advance(31 * DAY)
    with capturedLogs() as logged:
        look(world)
        world.work()

    (job,) = proofs(world)
    assert job.state is JobState.FAILED
    assert job.reason.startswith("the copy is lost")
    assert copy_of(world).lost is not None
    assert any(event.get("action") == "copy_lost" for event in logged)
    assert world.ledger.tx.copies.unproven_tapes() == 1
    world.clock.advance(31 * DAY)
    look(world)
    assert len(proofs(world)) == 1  # what is lost is not asked for again


def test_a_proof_says_nothing_of_the_tape_and_touches_it_not(world):
    content, facts = world.path.read_bytes(), world.path.stat()
    state = world.tape().state
    world.clock.advance(31 * DAY)
    look(world)
    world.work()

    assert world.path.read_bytes() == content
    assert world.path.stat().st_ctime_ns == facts.st_ctime_ns
    assert world.tape().state is state


def test_no_proof_is_asked_for_while_the_clock_is_doubted(world):
    world.engine.job_runner.proving.doubt = lambda: "it was set"
    world.clock.advance(31 * DAY)
    look(world)
    assert proofs(world) == []


def test_a_rule_without_every_has_no_proof_repeated(site):
    plain = Site(RULES, families=("Delete", "Restore"))
    world = TapeWorld(plain)
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 1)
    world.work()
    world.clock.advance(400 * DAY)
    look(world)
    assert proofs(world) == []
    world.close()
    plain.remove()
