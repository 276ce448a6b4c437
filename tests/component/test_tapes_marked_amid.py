"""A copy that an operator marks while a tape is emptied: the proven one is brought back."""

import pytest

from tests.harness.tape_applications import Stored
from tests.harness.tape_programs import ARCHIVED, Player
from tests.harness.tape_sites import TapeSite
from tests.harness.tape_worlds import ALICE, TapeWorld


@pytest.fixture
def world():
    site = TapeSite()
    world = TapeWorld(site)
    for each in ARCHIVED:
        getattr(Player(world), each[0])(*each[1:])
    yield world
    world.close()
    site.remove()


@pytest.mark.parametrize("verb", ["Erase", "Delete"])
def test_the_copy_that_was_proven_stays_the_one_of_the_last_content(world, monkeypatch, verb):
    tape = world.tapes[0]
    data = b"another content"
    world.application.copies["OTHER"] = Stored(str(tape.path), data, data)
    given = {"application": "DSK", "handle": "OTHER", "actor": ALICE}
    given |= dict.fromkeys(("retention", "media", "size", "began"))
    vaults, marked = world.engine.vaults, []

    def act_after_a_mark(*args):
        world.operator.mark(tape=tape.name, state="migrated", **given).addBoth(marked.append)
        return real(*args)

    real = getattr(vaults, verb.lower())
    monkeypatch.setattr(vaults, verb.lower(), act_after_a_mark)
    player = Player(world)
    assert player.do(verb, 0).state.value == "completed"
    assert marked[0]["state"] == "migrated"
    assert not tape.read()
    assert player.do("Restore", 0).state.value == "completed"
    assert tape.read() == tape.content
    world.check()
