"""A cleanup whose erase waits while its tape is written and copied again."""

import pytest

from tests.harness.tape_programs import ARCHIVED, Player, _await
from tests.harness.tape_sites import TapeSite
from tests.harness.tape_worlds import TapeWorld


@pytest.fixture
def world():
    site = TapeSite(seats=1)
    world = TapeWorld(site)
    for each in ARCHIVED:
        getattr(Player(world), each[0])(*each[1:])
    world.pass_time(5.0)
    yield world
    world.close()
    site.remove()


def test_it_is_not_emptied_by_the_copy_that_was_made_since(world):
    player, tape = Player(world), world.tapes[0]
    place = world.site.root / "export"
    place.unlink(missing_ok=True)
    world.order(f"VTSPolicy Restore - {tape.name}", to=str(place))
    player.send("archive", 0)
    _await(world, world.engine.cleanup.run("2026-11-23"))
    world.write("rewrite", 0)
    world.pass_time(1.0)
    player.work()
    states = [(each.work.then, each.state.value) for each in world.ledger.tx.jobs.find()]
    assert ("erased", "failed") in states
    assert tape.read() == tape.content
    player.cleanup()
    assert tape.read() == b""
