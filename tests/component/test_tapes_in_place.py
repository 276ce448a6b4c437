"""A restore that its application writes into the tape itself: no process may have that open."""

import pytest

from tests.harness.engine_worlds import Site
from tests.harness.tape_faults import RULES, TapeWorld
from vtspolicy.tapes import Reason


@pytest.fixture(scope="module")
def site():
    site = Site(
        RULES.replace(", tape: {state: [erased, deleted]}", ""), families=("Delete", "Restore")
    )
    yield site
    site.remove()


@pytest.fixture
def world(site):
    world = TapeWorld(site)
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 1)
    world.work()
    world.first = world.tape().handle
    world.path.write_bytes(b"second")
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 2)
    world.clock.pass_time(5.0)  # it is left alone until its times are old enough
    world.work()
    assert world.tape().handle != world.first
    yield world
    world.close()


def bring_the_first_back(world):
    """An operator wants the older copy on the tape; returns how that ended."""
    given = {"tapes": None, "override": None, "to": None, "actor": "operator alice"}
    world.operator.order(text="VTSPolicy Restore - P00001", copy=world.first, **given)
    world.settle()
    return world.ledger.tx.requests.find(limit=1)[0].id


def test_another_copy_is_written_onto_a_tape_that_nobody_has_open(world):
    number = bring_the_first_back(world)
    world.work()
    assert world.ledger.tx.requests.get(number).state.value == "completed"
    assert world.path.read_bytes() == b"tape"


def test_a_tape_that_a_process_has_open_is_not_written_onto(world):
    with world.path.open("r+b") as file:
        number = bring_the_first_back(world)
        world.work()
        assert Reason.IN_USE.words in world.ledger.tx.requests.get(number).reason
        file.seek(0, 2)
        file.write(b" and more")
    assert world.path.read_bytes() == b"second and more"


def test_a_tape_that_was_opened_while_its_copy_was_looked_for_is_not_written_onto(world):
    number = bring_the_first_back(world)
    assert world.machine.running  # the application is asked for the copy that is on the tape
    with world.path.open("r+b"):
        world.work()
    assert Reason.IN_USE.words in world.ledger.tx.requests.get(number).reason


def test_a_tape_that_was_written_while_its_copy_was_looked_for_is_not_written_onto(world):
    number = bring_the_first_back(world)
    world.path.write_bytes(b"third")
    world.work()
    assert world.ledger.tx.requests.get(number).state.value == "failed"
    assert world.path.read_bytes() == b"third"
