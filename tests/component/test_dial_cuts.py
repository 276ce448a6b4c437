"""Links that are cut at any byte while commands arrive: none is lost, and none is done twice.

HYPOTHESIS_PROFILE=long cuts 200 times while 5,000 commands arrive, as it is promised.
"""

import os
import random
from collections import Counter

import pytest

from tests.harness import engine_worlds
from tests.harness.dialled_hosts import Site
from vtspolicy.links.life import LinkState

CUTS, COMMANDS = (
    (200, 5000) if os.environ.get("HYPOTHESIS_PROFILE") == "long" else (20, 240)
)  # in all


@pytest.fixture(scope="module")
def files():
    site = engine_worlds.Site()
    yield site
    site.remove()


@pytest.fixture
def world(files):
    made = engine_worlds.World(files)
    yield made
    made.close()
    assert not made.violations


def command(number):
    return f"VTSPolicy DSK 'archive /VAULT01/PAY/P0000{number % 3} ref=r{number}'"


@pytest.mark.parametrize("protocol", ["telnet", "ssh"])
@pytest.mark.parametrize("columns", [80, 132])
def test_no_command_is_lost_or_done_twice_however_often_the_link_is_cut(
    world, tmp_path, protocol, columns
):
    chance = random.Random(f"{protocol} {columns}")
    here = Site(world, tmp_path, protocol=protocol, columns=columns)
    assert here.state is LinkState.READING
    given = 0
    for _cut in range(CUTS):
        for link in tuple(here.system.links):
            link.die_after(chance.randrange(1, 4000))
        for _ in range(COMMANDS // CUTS):
            here.system.post(command(given))
            given += 1
            if chance.random() < 0.2:
                here.run(chance.choice([0, 0.1, 1]))
        here.run(chance.choice([0, 0.3, 3]))
        if chance.random() < 0.3:
            here.cut()
        here.run(chance.choice([1, 5, 20]), step=0.5)
        if chance.random() < 0.1:  # the server is restarted
            here.dialer.close()
            here.run(chance.choice([0, 30]), step=1)
            here.call()
    here.run(700, step=1)
    assert here.state is LinkState.READING
    done = Counter(each.ref for each in here.requests())
    assert done == Counter(f"r{number}" for number in range(given))
    answered = Counter(
        text.partition(" ref=")[2].split()[0] for text in here.notices if " ACCEPTED " in text
    )
    assert answered.keys() == done.keys()  # at least once each
    assert not any(" DUPLICATE " in text for text in here.notices)
    assert not here.pending()
