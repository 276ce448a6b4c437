"""Runs that are about a whole pool: what is known of each of its tapes afterwards."""

import hashlib

import pytest

from tests.harness.tape_applications import ModelApplication
from tests.harness.tape_programs import Player
from tests.harness.tape_sites import TapeSite
from tests.harness.tape_worlds import TapeWorld
from vtspolicy.tapes import TapeState

OF_THE_POOL = """restore of a pool
    when: {family: DSK, operation: selective}
    each: pool
    run: ["true", restore_pool, "{path}", "{handle}"]
    then: restored
  - rule: restore"""


class PoolSite(TapeSite):
    """A pool is copied, and brought back, by one run."""

    def __init__(self):
        archive = "read: {digest: 'sha256=([0-9a-f]+)', bytes: 'bytes=([0-9]+)'}"
        super().__init__(archive=archive, each_pool=True, of_the_pool=OF_THE_POOL)


class SummingApplication(ModelApplication):
    """It tells how much it has stored, and the SHA-256 of all that."""

    def archive_pool(self, run, how):
        super().archive_pool(run, how)
        return 0, f"bytes=99\nsha256={hashlib.sha256(b'all of them').hexdigest()}\n"


@pytest.fixture
def world():
    site = PoolSite()
    world = TapeWorld(site)
    world.application = SummingApplication()
    Player(world).do("archive", 0)
    yield world
    world.close()
    site.remove()


def last(world):
    request = world.ledger.tx.requests.find(limit=1)[0]
    return request.state.value if request.state.value == "completed" else request.reason


def records(world):
    return [world.ledger.tx.tapes.get(str(tape.path)) for tape in world.tapes]


def test_the_sum_and_size_of_a_pools_copy_are_those_of_none_of_its_tapes(world):
    assert last(world) == "completed"
    Player(world).do("Erase", 0)
    assert last(world) == "completed"
    Player(world).do("Restore", 0)
    assert last(world) == "completed"
    assert world.tapes[0].read() == world.tapes[0].content
    (copy,) = world.ledger.tx.copies.of_tape(str(world.tapes[0].path))
    assert (copy.size, copy.digest, copy.lost) == (None, None, None)


def begin_restore(world):
    world.command("VTSPolicy DSK 'selective /VAULT01/A'")
    (run,) = [each.run for each in world.machine.running]
    assert run.argv[1] == "restore_pool"
    return run


def test_a_tape_that_a_host_makes_while_its_pool_comes_back_is_no_restored_one(world):
    first, second = world.tapes
    Player(world).do("Erase", 0)
    Player(world).do("Delete", 1)
    run = begin_restore(world)
    first.path.write_bytes(first.content)
    second.path.write_bytes(bytes(len(second.content)))  # its host makes it anew
    world._exit(run.key, 0, "restored\n")
    assert last(world) == "completed"
    Player(world).scan()
    assert [each.state for each in records(world)] == [TapeState.MIGRATED, TapeState.WRITTEN]


def test_what_comes_back_beside_a_tape_that_was_removed_is_of_its_own_copy(world):
    first, second = world.tapes
    Player(world).do("Erase", 0)
    Player(world).do("Erase", 1)
    run = begin_restore(world)
    first.path.unlink()
    second.path.write_bytes(second.content)
    world._exit(run.key, 0, "restored\n")
    assert last(world) == "completed"
    (copy,) = world.ledger.tx.copies.of_tape(str(second.path))
    assert (records(world)[1].held, len(copy.restored)) == (copy.id, 1)


def test_a_pool_that_was_emptied_before_its_turn_is_not_copied(world):
    for _ in range(2):  # the second one waits for the first
        Player(world).send("archive", 0)
    for tape in world.tapes:
        tape.path.unlink()
    Player(world).work()
    assert last(world) == "there is no tape in the pool"
    assert world.ledger.tx.requests.find(limit=1)[0].state.value == "failed"
