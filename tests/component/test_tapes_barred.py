"""A vault whose folders the server may not write: its tapes may be read, and emptied by others."""

import errno
import os

import pytest

from tests.harness.tape_faults import TapeSite, TapeWorld
from vtspolicy.jobs import RequestState
from vtspolicy.vaults import System


class Barred(System):
    """A kernel that lets us make no file."""

    def open(self, name, flags, folder=None):
        if flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return super().open(name, flags, folder)


class BarredWorld(TapeWorld):
    def prepare(self):
        super().prepare()
        self.engine.vaults.system = Barred()


@pytest.fixture
def world():
    site = TapeSite()
    world = BarredWorld(site)
    yield world
    world.close()
    site.remove()


def ended(world):
    return world.ledger.tx.requests.find(limit=1)[0]


def test_a_tape_is_archived_and_brought_back_there_and_not_emptied(world):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 1)
    world.clock.pass_time(10.0)
    world.work()
    assert ended(world).state is RequestState.COMPLETED
    world.send("NSK1", "VTSPolicy Erase - P00001", 2)
    world.work()
    assert "vault VAULT01 cannot be probed: Permission denied" in ended(world).reason
    assert world.path.read_bytes() == b"tape"
    world.path.write_bytes(b"")  # by the application
    world.send("NSK1", "VTSPolicy Restore - P00001", 3)
    world.work()
    assert ended(world).state is RequestState.COMPLETED
    assert world.path.read_bytes() == b"tape"
