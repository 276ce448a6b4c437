"""A host asks for its tape while a job empties it, or brings it back."""

import shutil

import pytest
from twisted.internet.defer import Deferred

from tests.harness.tape_faults import TapeSite, TapeWorld
from vtspolicy.events.event import Event
from vtspolicy.jobs import RequestState
from vtspolicy.notices import Word
from vtspolicy.tapes import Reason, TapeState


@pytest.fixture(scope="module")
def site():
    site = TapeSite()
    yield site
    site.remove()


@pytest.fixture
def world(site):
    world = TapeWorld(site)
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 1)
    world.work()
    yield world
    world.close()


def begin(world, text, minute):
    """A job begins, and what it has asked for is not answered yet."""
    world.send("NSK1", text, minute)
    assert world.machine.running


def end(world):
    """All that was begun comes to its end."""
    for _ in range(3):
        world.work()
        world.engine.mounts.check()
        world.settle()


def answers(world):
    return [word for word in world.words() if word in {Word.MOUNTREADY, Word.MOUNTFAILED}]


def test_a_tape_that_is_asked_for_while_its_copy_is_looked_for_is_not_emptied(world):
    begin(world, "VTSPolicy Erase - P00001", 2)
    world.mount()
    end(world)
    assert world.path.read_bytes() == b"tape"
    assert answers(world) == [Word.MOUNTREADY]
    assert world.ledger.tx.requests.get(2).state is RequestState.FAILED
    assert (world.tape().state, world.tape().locked) == (TapeState.MIGRATED, False)


def test_a_tape_that_is_asked_for_just_as_it_is_emptied_comes_back(world, monkeypatch):
    vaults = world.engine.vaults
    erase = vaults.erase

    def asked_for_first(*given):
        monkeypatch.setattr(vaults, "erase", erase)
        world.mount()
        return erase(*given)

    monkeypatch.setattr(vaults, "erase", asked_for_first)
    begin(world, "VTSPolicy Erase - P00001", 2)
    end(world)
    assert world.path.read_bytes() == b"tape"
    assert answers(world) == [Word.MOUNTREADY]


@pytest.mark.parametrize(("late", "reason"), [("mount", Reason.ASKED_FOR), ("lock", Reason.LOCKED)])
@pytest.mark.parametrize("verb", ["Erase", "Delete"])
def test_mounts_and_locks_are_looked_at_again_before_each_act(
    world, monkeypatch, verb, late, reason
):
    """All tapes of a job are judged before the first is emptied: what was judged can be old."""
    write, tx = world.ledger.write, world.ledger.tx

    def meanwhile(verb, *args, **more):
        if verb.__name__ == "prove_copy":
            now = world.clock.seconds() + 1.0
            if late == "mount":
                tx.mounts.record(
                    event=Event(text="MOUNT P00001", wire="plain"),
                    host="NSK1",
                    digest=None,
                    received=now,
                    seq="0412",
                    volume="P00001",
                    path=str(world.path),
                )
            else:
                tx.tapes.set_locked(str(world.path), True, "operator alice", now)
        return write(verb, *args, **more)

    monkeypatch.setattr(world.ledger, "write", meanwhile)
    begin(world, f"VTSPolicy {verb} - P00001", 2)
    world.work()
    assert world.path.read_bytes() == b"tape"
    request = world.ledger.tx.requests.get(2)
    assert (request.state, reason.words in request.reason) == (RequestState.FAILED, True)


@pytest.mark.parametrize("back", [0.5, 3000.0])
def test_a_tape_that_was_mounted_before_the_clock_was_set_back_is_emptied(world, back):
    world.mount()
    world.clock.rightNow -= back
    emptied(world)


def test_a_restore_that_is_cancelled_while_it_waits_ends_its_mount_at_once(world):
    emptied(world)
    world.engine.queue.drain()
    world.mount()
    (mount,) = world.ledger.tx.mounts.open()
    world.engine.mounts.start()
    world.cancel_by_operator(mount.request)
    assert answers(world) == [Word.MOUNTFAILED]  # no second has passed
    world.engine.mounts.stop()
    assert not world.tape().locked


def test_a_restore_whose_only_job_is_cancelled_ends_its_mount_at_once_too(world):
    emptied(world)
    world.engine.queue.drain()
    world.mount()
    (job,) = world.ledger.tx.jobs.live()
    world.operator.cancel(None, job.id, "operator alice")
    world.settle()
    assert answers(world) == [Word.MOUNTFAILED]


def emptied(world):
    world.send("NSK1", "VTSPolicy Erase - P00001", 2)
    world.work()
    assert world.path.read_bytes() == b""


def test_a_tape_that_is_asked_for_while_it_comes_back_is_answered_when_it_is_back(world):
    emptied(world)
    begin(world, "VTSPolicy Restore - P00001", 3)
    world.path.write_bytes(b"ta")
    world.mount()
    assert answers(world) == []
    end(world)
    assert world.path.read_bytes() == b"tape"
    assert answers(world) == [Word.MOUNTREADY]


def test_a_host_is_answered_though_the_clock_was_set_back_while_its_tape_came(world):
    emptied(world)
    world.mount()
    world.clock.rightNow -= 3000.0
    end(world)
    assert answers(world) == [Word.MOUNTREADY]
    assert not world.tape().locked


def test_a_second_drive_waits_for_the_tape_that_comes_back_for_the_first(world):
    emptied(world)
    world.mount()
    world.path.write_bytes(b"ta")
    world.mount("0413", 31)
    assert answers(world) == []
    end(world)
    assert answers(world) == [Word.MOUNTREADY, Word.MOUNTREADY]


@pytest.fixture
def elsewhere(world):
    """Another pool of the vault."""
    pool = world.path.parent.parent / "OTHER"
    pool.mkdir()
    yield pool
    shutil.rmtree(pool)


def test_a_tape_that_is_moved_before_its_host_is_answered_is_ready_and_unlocked(world, elsewhere):
    emptied(world)
    world.mount()
    run = world.machine.running[0].run
    world.runner.exit(run.key, world.act(*run.argv[1:]))
    world.settle()
    world.path.rename(elsewhere / world.path.name)
    Deferred.fromCoroutine(world.engine.catalogue.scan("operator alice"))
    world.settle()
    end(world)
    assert answers(world) == [Word.MOUNTREADY]
    assert (world.ledger.tx.tapes.locked(), len(world.mounted)) == ([], 1)
