"""A tape's life with a server that dies at every write of the ledger and every step on the disk."""

import os

import pytest
from attrs import evolve

from tests.harness.engine_worlds import Fault, Wanted
from tests.harness.tape_faults import TapeSite, TapeWorld
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
    yield world
    world.close()


def life_of_a_tape(world):
    """Archived, emptied, asked for by its host, brought back."""
    yield lambda: world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 1)
    yield world.work
    yield lambda: world.send("NSK1", "VTSPolicy Erase - P00001", 2)
    yield world.work
    yield world.mount
    yield world.work


def play(world):
    for step in life_of_a_tape(world):
        step()
        if world.ledger.dead:
            world.restart()
            world.work()
            step()
    world.ledger.fault = None
    if world.ledger.refused:
        world.restart()
    for _ in range(3):
        world.work()
        world.engine.mounts.check()
        world.settle()


def came_to_its_end(world):
    assert world.path.read_bytes() == b"tape"
    tape = world.tape()
    assert (tape.state, tape.locked) == (TapeState.MIGRATED, False)
    assert world.ledger.tx.mounts.open() == []


def writes_of(site):
    world = TapeWorld(site)
    play(world)
    came_to_its_end(world)
    count = len(world.ledger.verbs)
    world.close()
    return count


@pytest.mark.parametrize("how", ["before", "after"])
def test_a_tape_is_whole_again_whatever_write_the_server_dies_at(site, how):
    for at in range(1, writes_of(site) + 1):
        world = TapeWorld(site)
        world.ledger.fault = Fault(at, how)
        play(world)
        came_to_its_end(world)
        sent = world.ledger.tx.sql.connection.execute(
            "SELECT count(*) FROM notices WHERE word = ?", (Word.MOUNTREADY.value,)
        ).fetchone()
        assert sent == (1,), f"write {at}"
        assert world.mounted == [("P00001", "0412")], f"write {at}"
        assert world.violations == []
        world.close()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("verb", "call"), [("Erase", "ftruncate"), ("Delete", "unlink")])
def test_a_crash_on_the_disk_is_finished_and_never_half(world, monkeypatch, verb, call, when):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 1)
    world.work()
    real = getattr(os, call)

    def die(*args, **given):
        monkeypatch.undo()
        if when == "after":
            real(*args, **given)
        world.ledger.dead = True
        raise Wanted(call)

    monkeypatch.setattr(os, call, die)
    world.send("NSK1", f"VTSPolicy {verb} - P00001", 2)
    world.work()
    assert world.ledger.dead
    world.restart()
    world.work()
    world.connect("NSK1")
    gone = TapeState.ERASED if verb == "Erase" else TapeState.DELETED
    assert world.tape().state is gone
    assert world.words()[-1] is Word.COMPLETED
    assert world.path.exists() is (verb == "Erase")
    assert world.tape().copied_size == 4


def test_what_was_written_to_a_tape_that_a_crash_left_aside_is_kept(world, monkeypatch):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 1)
    world.work()

    def die(*_, **__):
        monkeypatch.undo()
        world.ledger.dead = True
        raise Wanted("unlink")

    monkeypatch.setattr(os, "unlink", die)
    world.send("NSK1", "VTSPolicy Delete - P00001", 2)
    world.work()
    (aside,) = world.path.parent.glob(".*")
    assert not world.path.exists()
    aside.write_bytes(b"by a process that had it open")
    world.restart()
    world.work()
    world.connect("NSK1")
    assert world.path.read_bytes() == b"by a process that had it open"
    assert world.words()[-1] is Word.FAILED


def test_what_a_host_wrote_after_a_crash_is_not_emptied(world, monkeypatch):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 1)
    world.work()

    def die(*_):
        monkeypatch.undo()
        world.ledger.dead = True
        raise Wanted("ftruncate")

    monkeypatch.setattr(os, "ftruncate", die)
    world.send("NSK1", "VTSPolicy Erase - P00001", 2)
    world.work()
    world.path.write_bytes(b"new data of the host")
    world.restart()
    world.work()
    world.connect("NSK1")
    assert world.path.read_bytes() == b"new data of the host"
    assert world.words()[-1] is Word.FAILED


def test_a_tape_that_is_written_between_the_gate_and_the_act_is_not_emptied(world, monkeypatch):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 1)
    world.work()
    world.send("NSK1", "VTSPolicy Erase - P00001", 2)
    world.path.write_bytes(b"just now")  # while the application is asked for its copy
    world.work()
    assert world.path.read_bytes() == b"just now"
    (failed,) = [each for each in world.mail["NSK1"].notices if each.word is Word.FAILED]
    assert Reason.WRITTEN_SINCE.words in failed.fields["reason"]


def test_a_tape_that_a_host_asks_for_meanwhile_is_not_emptied(world):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 1)
    world.work()
    world.send("NSK1", "VTSPolicy Erase - P00001", 2)
    world.clock.pass_time(1.0)
    world.mount()  # while the application is asked for its copy: the tape has its data
    world.work()
    assert world.path.read_bytes() == b"tape"
    (failed,) = [each for each in world.mail["NSK1"].notices if each.word is Word.FAILED]
    assert Reason.LOCKED.words in failed.fields["reason"]


def test_a_restore_never_overwrites_data_without_a_copy(world):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 1)
    world.work()
    world.send("NSK1", "VTSPolicy Erase - P00001", 2)
    world.work()
    world.engine.queue.drain()
    world.send("NSK1", "VTSPolicy Restore - P00001", 3)
    world.path.write_bytes(b"written by a host")
    world.engine.queue.resume()
    world.settle()
    world.work()
    assert world.path.read_bytes() == b"written by a host"
    failed = [each for each in world.mail["NSK1"].notices if each.word is Word.FAILED]
    assert Reason.WOULD_OVERWRITE.words in failed[-1].fields["reason"]


def test_half_a_restore_is_no_data(world):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 1)
    world.work()
    world.send("NSK1", "VTSPolicy Erase - P00001", 2)
    world.work()
    world.send("NSK1", "VTSPolicy Restore - P00001", 3)
    world.path.write_bytes(b"ta")
    world.runner.exit(world.machine.running[0].run.key, 9)
    world.settle()
    assert world.tape().state is TapeState.ERASED
    world.send("NSK1", "VTSPolicy Erase - P00001", 4)
    world.work()
    assert world.words()[-1] is Word.FAILED
    world.mount()  # it is not taken for a tape with data
    world.work()
    assert world.path.read_bytes() == b"tape"
    assert Word.MOUNTREADY in world.words()


def test_a_tape_that_came_back_is_not_brought_back_again(world):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 1)
    world.work()
    world.send("NSK1", "VTSPolicy Erase - P00001", 2)
    world.work()
    world.send("NSK1", "VTSPolicy Restore - P00001", 3)
    world.mount()
    world.work()
    restores = [life for life in world.machine.lives.values() if life.run.argv[1] == "restore"]
    assert len(restores) == 1
    assert Word.MOUNTREADY in world.words()


def test_a_mount_is_answered_after_its_least_delay(site):
    hosts = {
        name: evolve(host, mount_delay=30.0) for name, host in site.configuration.hosts.items()
    }
    reader, slow = site.reader, evolve(site.configuration, hosts=hosts)
    site.reader = evolve(site.reader, configuration=slow)
    world = TapeWorld(site)
    site.reader = reader
    try:
        for step in life_of_a_tape(world):
            step()
        world.clock.pass_time(29.0)
        assert Word.MOUNTREADY not in world.words()
        assert world.path.read_bytes() == b"tape"
        world.clock.pass_time(2.0)
        world.work()
        assert Word.MOUNTREADY in world.words()
    finally:
        world.close()


def test_a_repeated_request_of_the_same_number_is_answered_once(world):
    for step in life_of_a_tape(world):
        if step == world.work and world.tape() is not None and world.tape().locked:
            world.mount(minute=31)
        step()
    assert world.words().count(Word.MOUNTREADY) == 1


def test_an_old_event_that_is_shown_again_closes_no_newer_request(world):
    steps = list(life_of_a_tape(world))
    for step in steps[:-1]:
        step()
    header = "26-11-22 02:00:00 \\NSK1.$ZSVR TANDEM.TAPE.L01 000648"
    world.of("NSK1", "ems").dataReceived(f"{header} $ZSVR: 0412 VOLUME P00001 MOUNTED\n".encode())
    world.clock.pass_time(0.3)
    world.settle()
    steps[-1]()
    assert Word.MOUNTREADY in world.words()


def test_a_cancelled_restore_is_told_to_who_waits_for_the_tape(world):
    steps = list(life_of_a_tape(world))
    for step in steps[:-1]:
        step()
    world.cancel_by_operator(world.ledger.tx.mounts.open()[0].request)
    world.engine.mounts.check()
    world.settle()
    assert Word.MOUNTFAILED in world.words()
    assert not world.tape().locked


def test_a_cancelled_erase_empties_nothing(world):
    steps = list(life_of_a_tape(world))
    for step in steps[:3]:
        step()
    world.cancel_by_operator(2)
    assert world.path.read_bytes() == b"tape"
    assert world.words()[-1] is Word.CANCELLED


def test_an_erase_waits_while_the_spool_cannot_take_its_question(world):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 1)
    world.work()
    world.runner.trouble = "no space left on device"
    world.send("NSK1", "VTSPolicy Erase - P00001", 2)
    world.clock.pass_time(60.0, 5.0)
    assert world.path.read_bytes() == b"tape"
    world.runner.trouble = None
    world.clock.pass_time(6.0, 1.0)
    world.work()
    assert world.tape().state is TapeState.ERASED


def test_requests_of_two_hosts_share_one_restore_and_are_both_answered(world):
    for step in list(life_of_a_tape(world))[:-1]:
        step()
    world.mount("0999", minute=31, host="NSK2")
    assert len(world.ledger.tx.requests.find(family="Restore")) == 1
    assert len(world.ledger.tx.mounts.open()) == 2
    assert world.tape().locked
    world.work()
    assert Word.MOUNTREADY in world.words("NSK1")
    assert Word.MOUNTREADY in world.words("NSK2")
    assert sorted(world.mounted) == [("P00001", "0412"), ("P00001", "0999")]
    assert not world.tape().locked
