"""A server that dies in the middle of a write into the tape: what is there may be its host's.

A beginning of the copy that ends within a page is not known to be the restore's.
"""

import pytest

from tests.harness.tape_files import Killed
from tests.harness.tape_programs import ERASED, Player
from tests.harness.tape_sites import TapeSite
from tests.harness.tape_worlds import TapeWorld
from vtspolicy.tapes import Reason, TapeState
from vtspolicy.vaults.system import System

LEFT = 10
"""Bytes of the copy that the dying server has written."""


@pytest.fixture
def world():
    site = TapeSite(exchange=False)
    world = TapeWorld(site)
    for each in ERASED:
        getattr(Player(world), each[0])(*each[1:])
    dies_within_a_write(world)
    Player(world).do("Restore", 0)
    assert world.is_dead
    assert world.tapes[0].read() == world.tapes[0].content[:LEFT]
    world.start()
    Player(world).work()
    world.check()
    assert last(world).state.value == "failed"
    yield world
    world.close()
    site.remove()


def dies_within_a_write(world):
    """The next write into a tape is cut short by the server's end."""
    system = world.engine.vaults.system
    whole = system.write

    def write(file, data):
        if not isinstance(data, memoryview):  # a note
            return whole(file, data)
        System.write(system, file, data[:LEFT])
        raise Killed

    system.write = write


def record(world):
    return world.ledger.tx.tapes.get(str(world.tapes[0].path))


def last(world):
    return world.ledger.tx.requests.find(limit=1)[0]


def test_it_is_half_restored_and_nothing_private_is_left(world):
    tape = record(world)
    assert (tape.is_half_restored, tape.is_left_unknown) == (True, True)
    assert (tape.state, tape.has_copy) == (TapeState.ERASED, False)
    assert world.engine.vaults.leftovers("VAULT01") == []
    Player(world).scan()
    assert record(world).is_left_unknown


@pytest.mark.parametrize("verb", ["archive", "Erase", "Delete"])
def test_it_is_neither_archived_nor_emptied(world, verb):
    request = Player(world).do(verb, 0)
    assert request.state.value == "failed"
    assert Reason.HALF_RESTORED.words in request.reason
    assert world.tapes[0].read() == world.tapes[0].content[:LEFT]


def test_its_mount_fails_and_a_restore_names_the_override(world):
    (seq, _, _) = mounted(world)
    said = [each for each in world.mail["NSK1"].notices if each.fields.get("seq") == seq]
    assert [each.word.name for each in said] == ["MOUNTFAILED"]
    assert Reason.LEFT_UNKNOWN.words in said[0].fields["reason"]
    request = Player(world).do("Restore", 0)
    assert (request.state.value, Reason.LEFT_UNKNOWN.words in request.reason) == ("failed", True)


def mounted(world):
    world.mount(world.tapes[0])
    asked = world.mounts[-1]
    Player(world).work()
    world.engine.mounts.check()
    world.settle()
    return asked


def test_an_override_brings_it_back(world):
    player, tape = Player(world), world.tapes[0]
    world.order(f"VTSPolicy Restore - {tape.name}", override="it is the restore's")
    player.work()
    assert last(world).state.value == "completed"
    assert tape.read() == tape.content
    assert record(world).restoring is None
    assert [player.do(verb, 0).state.value for verb in ("archive", "Erase", "Restore")] == [
        "completed"
    ] * 3


@pytest.mark.parametrize("how", ["rewrite", "append", "same_size", "replace"])
def test_what_its_host_writes_to_it_is_a_tape_of_its_own(world, how):
    player, tape = Player(world), world.tapes[0]
    world.write(how, 0)
    world.pass_time(5.0)
    assert player.do("Restore", 0).state.value == "failed"  # it would overwrite that
    assert [player.do(verb, 0).state.value for verb in ("archive", "Erase", "Restore")] == [
        "completed"
    ] * 3
    assert tape.read() == tape.content
    assert record(world).restoring is None
