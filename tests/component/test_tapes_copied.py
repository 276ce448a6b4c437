"""What came back is copied into the tape's own file: a server that dies meanwhile, and a host.

So it is wherever names cannot be exchanged or the restored file cannot get the tape's owner, as in
the recommended installation.
"""

import errno
import os

import pytest

from tests.harness.engine_worlds import Site, Wanted
from tests.harness.tape_faults import RULES, TapeWorld
from vtspolicy.jobs import RequestState
from vtspolicy.tapes import TapeState
from vtspolicy.vaults import System, acts, restores

DATA = b"restored" * 2048
"""What is on the tape: four pages."""


class Plain(System):
    """A file system without exchange; writing to a tape can end the server."""

    left = None  # writes until the server is killed; None: it is not
    host = None  # what a host does at that moment, in place of the kill
    room = None  # bytes of tapes for which the disk has room; None: it is not full

    def exchange(self, *_):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    def write(self, file, data):
        if self.left is not None:
            self.left -= 1
            if self.left < 0 and self.host is None:
                raise Wanted
            if self.left < 0:
                self.left = None
                self.host()
        if self.room is not None and not bytes(data).startswith(b"{"):  # no note
            if not self.room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            data = data[: self.room]
            self.room -= len(data)
        return super().write(file, data)


class CopyingWorld(TapeWorld):
    """A world whose restores write a private file, which is then copied."""

    def __init__(self, site):
        self.system = Plain()
        super().__init__(site)
        self.path.write_bytes(DATA)

    def prepare(self):
        super().prepare()
        self.engine.vaults.system = self.system

    def do(self, text, minute):
        self.send("NSK1", text, minute)
        self.clock.pass_time(6.0)  # what was just written is left alone for a moment
        self.work()
        return self.end()

    def end(self):
        """How the newest request ended."""
        return self.ledger.tx.requests.find(limit=1)[0].state


@pytest.fixture(scope="module")
def site():
    site = Site(
        RULES.replace('restore, "{path}"', 'restore, "{target}"').replace(
            ", tape: {state: [erased, deleted]}", ""
        ),
        families=("Delete", "Restore"),
    )
    yield site
    site.remove()


@pytest.fixture
def world(site, monkeypatch):
    monkeypatch.setattr(restores, "CHUNK", 4096)
    monkeypatch.setattr(restores, "GRACE", 0)
    monkeypatch.setattr(acts, "GRACE", 0)
    world = CopyingWorld(site)
    world.do("VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 1)
    world.do("VTSPolicy Erase - P00001", 2)
    assert world.path.read_bytes() == b""
    yield world
    world.close()


def killed_while_it_copies(world):
    """Two pages of four are on the tape, and there is no server."""
    world.system.left = 3  # the note of what is about to be done is the first
    world.send("NSK1", "VTSPolicy Restore - P00001", 3)
    world.work()
    assert world.path.read_bytes() == DATA[:8192]
    world.kill()
    world.system.left = None


def test_a_copying_that_was_cut_short_is_done_again(world):
    killed_while_it_copies(world)
    world.start()
    world.work()
    assert world.path.read_bytes() == DATA
    assert world.tape().state is TapeState.MIGRATED
    assert world.end() is RequestState.COMPLETED
    assert world.engine.vaults.leftovers("VAULT01") == []


def test_a_copying_that_had_come_to_its_end_is_done_again(world):
    world.system.left = 5
    world.send("NSK1", "VTSPolicy Restore - P00001", 3)
    world.work()
    world.kill()
    world.path.write_bytes(DATA)
    world.system.left = None
    world.start()
    world.work()
    assert world.path.read_bytes() == DATA
    assert world.tape().state is TapeState.MIGRATED


def test_what_a_host_writes_while_there_is_no_server_is_not_taken_for_half_a_restore(world):
    killed_while_it_copies(world)
    world.path.write_bytes(b"the host's own")
    world.start()
    world.work()
    assert world.end() is RequestState.FAILED
    assert world.tape().state is TapeState.WRITTEN
    assert world.do("VTSPolicy Restore - P00001", 4) is RequestState.FAILED
    world.mount()
    world.work()
    assert world.path.read_bytes() == b"the host's own"
    assert world.do("VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 5) is RequestState.COMPLETED
    assert world.do("VTSPolicy Erase - P00001", 6) is RequestState.COMPLETED


def test_what_a_host_writes_into_a_tape_that_is_copied_belongs_to_it(world):
    def write():
        with world.path.open("r+b") as file:
            file.write(b"the host's own")

    world.system.left, world.system.host = 3, write
    assert world.do("VTSPolicy Restore - P00001", 3) is RequestState.FAILED
    assert world.tape().state is TapeState.WRITTEN
    assert world.do("VTSPolicy Restore - P00001", 4) is RequestState.FAILED
    assert world.path.read_bytes().startswith(b"the host's own")


def test_another_copy_can_be_chosen_where_names_cannot_be_exchanged(world):
    first = world.tape().handle
    world.path.write_bytes(b"second")
    world.do("VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 3)
    world.operator.order(
        text="VTSPolicy Restore - P00001",
        tapes=None,
        override=None,
        copy=first,
        to=None,
        actor="operator alice",
    )
    world.settle()
    world.work()
    assert world.path.read_bytes() == DATA
    assert world.tape().handle == first


@pytest.mark.parametrize("room", [100, 4096, 5000])
def test_half_of_a_restore_for_which_the_disk_has_no_room_is_not_taken_for_a_hosts(world, room):
    world.system.room = room
    assert world.do("VTSPolicy Restore - P00001", 3) is RequestState.FAILED
    assert world.path.read_bytes() == b""
    assert world.tape().state is TapeState.ERASED
    world.system.room = None
    assert world.do("VTSPolicy Restore - P00001", 4) is RequestState.COMPLETED
    assert world.path.read_bytes() == DATA
