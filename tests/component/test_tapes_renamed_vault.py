"""A vault that gets another name in the configuration: its tapes are what they were."""

import pytest

from tests.harness.tape_programs import ERASED, Player
from tests.harness.tape_sites import TapeSite
from tests.harness.tape_worlds import TapeWorld

STEPS = (*ERASED, ("do", "archive", 1))


@pytest.fixture
def world():
    site = TapeSite()
    world = TapeWorld(site)
    for each in STEPS:
        getattr(Player(world), each[0])(*each[1:])
    vaults = world.engine.vaults
    vaults.roots = {"VAULT02": vaults.roots["VAULT01"]}
    yield world
    world.close()
    site.remove()


def ordered(world, text):
    world.order(text)
    Player(world).work()
    request = world.ledger.tx.requests.find(limit=1)[0]
    return request.state.value if request.state.value == "completed" else request.reason


def test_an_erased_tape_comes_back_before_and_after_a_scan(world):
    tape = world.tapes[0]
    assert ordered(world, "VTSPolicy Restore - T00001") == "completed"
    assert tape.read() == tape.content
    Player(world).scan()
    assert world.ledger.tx.tapes.get(str(tape.path)).vault == "VAULT02"
    assert ordered(world, "VTSPolicy Erase - T00001") == "completed"
    assert ordered(world, "VTSPolicy Restore - T00001") == "completed"
    assert tape.read() == tape.content


def test_a_copied_tape_is_emptied_once_it_was_scanned(world):
    Player(world).scan()
    tape = world.tapes[1]
    record = world.ledger.tx.tapes.get(str(tape.path))
    assert (record.vault, record.has_copy) == ("VAULT02", True)
    assert ordered(world, "VTSPolicy Erase - T00002") == "completed"
    assert tape.read() == b""


def test_a_tape_that_was_written_meanwhile_is_not_emptied(world):
    world.write("same_times", 1)
    Player(world).scan()
    assert "was written after its last copy" in ordered(world, "VTSPolicy Erase - T00002")
    assert world.tapes[1].read() == world.tapes[1].content
