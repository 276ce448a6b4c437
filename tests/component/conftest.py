"""What several modules of unit tests use."""

import pytest

from tests.harness.tape_programs import Player
from tests.harness.tape_sites import TapeSite
from tests.harness.tape_worlds import TapeWorld


@pytest.fixture
def worlds():
    """Make worlds of tapes in which these steps were played, and held."""
    made = []

    def make(steps, **site):
        world = TapeWorld(TapeSite(**site))
        made.append(world)
        player = Player(world)
        for name, *values in steps:
            getattr(player, name)(*values)
            world.check()
        return world

    yield make
    for each in made:
        each.close()
        each.site.remove()
