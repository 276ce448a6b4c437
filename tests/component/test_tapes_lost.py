"""A restore whose copy the application has lost: another copy of the same data takes its place."""

import pytest

from tests.harness.tape_faults import TapeSite, TapeWorld
from vtspolicy.jobs import RequestState


@pytest.fixture(scope="module")
def site():
    site = TapeSite()
    yield site
    site.remove()


ARCHIVE = "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'"


class ForgetfulWorld(TapeWorld):
    def __init__(self, site):
        self.forgotten = set()
        self.answers = True
        super().__init__(site)

    def act(self, verb, path, handle):
        if verb == "query" and not self.answers:
            return 2
        if verb == "query" and handle in self.forgotten:
            return 1
        if verb == "restore" and handle in self.forgotten:
            return 12
        return super().act(verb, path, handle)

    def ask(self, text, number):
        self.send("NSK1", text, number)
        self.clock.pass_time(10.0)
        self.work()
        return self.ledger.tx.requests.find(limit=1)[0]


@pytest.fixture
def world():
    site = TapeSite()
    world = ForgetfulWorld(site)
    yield world
    world.close()
    site.remove()


def copied_twice_and_emptied(world):
    """Two copies of the same data; the application forgets the newer one after the erase."""
    for number, text in enumerate((ARCHIVE, ARCHIVE, "VTSPolicy Erase - P00001"), 1):
        assert world.ask(text, number).state is RequestState.COMPLETED
    newer, older = world.ledger.tx.copies.of_tape(str(world.path))
    assert world.copies[newer.handle] == world.copies[older.handle] == b"tape"
    world.forgotten.add(newer.handle)
    return newer, older


def test_the_next_restore_brings_the_other_copy_back(world):
    newer, older = copied_twice_and_emptied(world)
    assert world.ask("VTSPolicy Restore - P00001", 4).state is RequestState.FAILED
    lost, kept = world.ledger.tx.copies.of_tape(str(world.path))
    assert (lost.id, lost.lost is None) == (newer.id, False)
    assert (kept.id, kept.lost) == (older.id, None)
    assert world.ask("VTSPolicy Restore - P00001", 5).state is RequestState.COMPLETED
    assert world.path.read_bytes() == b"tape"


def test_a_failure_that_is_no_clear_no_makes_no_copy_lost(world):
    copied_twice_and_emptied(world)
    world.answers = False
    assert world.ask("VTSPolicy Restore - P00001", 4).state is RequestState.FAILED
    assert [each.lost for each in world.ledger.tx.copies.of_tape(str(world.path))] == [None, None]
