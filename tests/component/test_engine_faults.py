"""The server dies at every write of a short night, before it or after it: nothing is lost."""

import pytest

from tests.harness.engine_worlds import Fault, Site, World

HOWS = ("before", "after", "raises")


@pytest.fixture(scope="module")
def site():
    site = Site()
    yield site
    site.remove()


def night(world):
    """A bit of all: pools, one tape, retries, a repeated event, refusals, cancels, an erasure."""
    steps = [
        lambda: world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY'", 1),
        lambda: world.send("NSK2", "VTSPolicy DSK 'selective /VAULT01/LEDGER/L00000'", 2),
        lambda: world.send("NSK1", "VTSPolicy RST 'archive /VAULT01/OLD/O00000'", 3),
        lambda: world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY'", 1),
        lambda: world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/SECRET'", 4),
        lambda: world.send("NSK1", "VTSPolicy DSK 'archve /VAULT01/PAY'", 5),
        lambda: world.send("NSK2", "VTSPolicy NBU '/VAULT01/PAY'", 6),
        lambda: end_one(world, code=0),
        lambda: end_one(world, code=9),
        lambda: world.send("NSK2", "VTSPolicy Status - 2", 7),
        lambda: world.send("NSK2", "VTSPolicy BRG '/VAULT01/LEDGER'", 8),
        lambda: end_one(world, code=0),
        lambda: world.clock.pass_time(61.0),
        lambda: world.cancel_by_host("NSK2", 2, 9),
        lambda: end_one(world, code=0),
        lambda: world.send("NSK1", "VTSPolicy Erase - O00000", 10),
        lambda: world.acknowledge("NSK2"),
    ]
    yield from steps


def end_one(world, code):
    if world.machine.running:
        world.runner.exit(world.machine.running[0].run.key, code)
        world.settle()


def play(world):
    """Play the night; a host that is not answered shows its event again, as distributors do."""
    for step in night(world):
        step()
        if world.ledger.dead:
            world.restart()
            step()
        world.check()


def writes_of(site):
    world = World(site)
    play(world)
    count = len(world.ledger.verbs)
    world.close()
    return count


def test_the_night_without_faults_has_all_kinds_of_writes(site):
    world = World(site)
    play(world)
    assert {"record", "answer", "start_attempt", "finish_attempt", "deliver"} <= set(
        world.ledger.verbs
    )
    world.end()
    world.check_end()
    world.close()


@pytest.mark.parametrize("how", HOWS)
def test_whatever_write_the_server_dies_at_every_request_ends_once(site, how):
    for at in range(1, writes_of(site) + 1):
        world = World(site)
        world.ledger.fault = Fault(at, how)
        play(world)
        assert len(world.ledger.verbs) >= at
        world.end()
        world.check_end()
        world.close()
