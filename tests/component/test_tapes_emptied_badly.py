"""An overridden act that fails after the tape was emptied: no older copy counts as its content."""

import errno
import os

import pytest

from tests.harness.tape_programs import ARCHIVED, Player
from tests.harness.tape_sites import TapeSite
from tests.harness.tape_worlds import TapeWorld
from vtspolicy.tapes import TapeState


@pytest.fixture(params=["rewrite", "same_times"])
def world(request):
    site = TapeSite()
    world = TapeWorld(site)
    for each in (*ARCHIVED, ("host", request.param, 0), ("pass", 5.0)):
        getattr(Player(world), each[0])(*each[1:])
    yield world
    world.close()
    site.remove()


def breaks(world, monkeypatch, after):
    """The disk fails as soon as a tape was emptied or removed."""
    system = world.engine.vaults.system
    real, done = getattr(system, after), []

    def act(*args):
        real(*args)
        done.append(after)

    def sync(_file):
        if done:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(system, after, act)
    monkeypatch.setattr(system, "sync", sync)


@pytest.mark.parametrize(
    ("verb", "call", "left"), [("Erase", "truncate", b""), ("Delete", "unlink", None)]
)
def test_its_older_copy_is_not_brought_back_unasked(world, monkeypatch, verb, call, left):
    player, tape = Player(world), world.tapes[0]
    with monkeypatch.context() as patch:
        breaks(world, patch, call)
        player.override(verb, 0)
        player.work()
    assert last(world).state.value == "failed"
    assert tape.read() == left
    request = player.do("Restore", 0)
    assert (request.state.value, "older content" in request.reason) == ("failed", True)
    before = last(world).id
    player.mount(0)
    player.work()
    assert (last(world).id, tape.read()) == (before, left)
    player.scan()
    assert world.ledger.tx.tapes.get(str(tape.path)).state is not TapeState.ERASED


def last(world):
    return world.ledger.tx.requests.find(limit=1)[0]
