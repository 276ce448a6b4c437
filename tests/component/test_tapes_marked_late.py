"""A mark of a tape whose vault answers late: the copy began when it was told to have begun."""

from datetime import UTC, datetime

import pytest

from tests.harness.tape_applications import Stored
from tests.harness.tape_programs import Player
from tests.harness.tape_sites import TapeSite
from tests.harness.tape_worlds import TapeWorld


@pytest.fixture
def world():
    site = TapeSite()
    world = TapeWorld(site)
    yield world
    world.close()
    site.remove()


def marked(world, monkeypatch, before=0.0, behind=0.0):
    """A copy, a write 30 s after it, and the mark; time passes before or after the vault's look."""
    tape = world.tapes[0]
    vaults, data = world.engine.vaults, tape.read()
    moment = vaults.moment
    world.application.copies["OWN"] = Stored(str(tape.path), data, data)
    began = datetime.fromtimestamp(world.clock.seconds(), UTC).isoformat()
    world.pass_time(30.0)
    world.write("same_size", 0)
    world.pass_time(30.0)

    def late(tape):
        world.files.advance(before)
        world.clock.rightNow += before
        found = moment(tape)
        world.files.advance(behind)
        world.clock.rightNow += behind
        return found

    monkeypatch.setattr(vaults, "moment", late)
    return world.mark(tape, "migrated", handle="OWN", began=began, size=len(data))


@pytest.mark.parametrize("late", [{}, {"before": 60.0}, {"behind": 60.0}])
def test_a_write_after_the_copy_began_is_seen_however_late_the_vault_answers(
    world, monkeypatch, late
):
    assert "written" in str(marked(world, monkeypatch, **late))
    Player(world).do("Erase", 0)
    world.check()
    assert world.tapes[0].read() == world.tapes[0].content
