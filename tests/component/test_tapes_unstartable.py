"""A restore into the tape itself whose program cannot be started: the tape stays what it was."""

import pytest

from tests.harness.engine_worlds import Site
from tests.harness.tape_faults import RULES, TapeWorld
from vtspolicy.tapes import TapeState

ARCHIVE = "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'"
RESTORE = 'run: ["true", restore, "{path}", "{handle}"]'
PREPARED = (
    """prepare: {run: ["true", prepare, -, -], read: {medium: "medium (.*)"}}
    input: ["mount {medium}"]
    """
    + RESTORE
)


class QuotedWorld(TapeWorld):
    """An application whose media have names that cannot be given to a console."""

    def work(self):
        while running := [each for each in self.machine.running if each.stopped is None]:
            key, argv = running[0].run.key, running[0].run.argv
            code = 0 if argv[1] == "prepare" else self.act(*argv[1:])
            self.runner.exit(key, code, output='medium a"b\n')
            self.settle()


@pytest.fixture
def world():
    rules = RULES.replace(RESTORE, PREPARED).replace(", tape: {state: [erased, deleted]}", "")
    site = Site(rules, families=("Delete", "Restore"))
    world = QuotedWorld(site)
    yield world
    world.close()
    site.remove()


def ask(world, text, number):
    world.send("NSK1", text, number)
    world.clock.pass_time(10.0)
    world.work()
    return world.ledger.tx.requests.find(limit=1)[0].state.value


def test_a_whole_tape_stays_whole(world):
    assert ask(world, ARCHIVE, 1) == "completed"
    first = world.tape().handle
    world.path.write_bytes(b"second")
    assert ask(world, ARCHIVE, 2) == "completed"
    given = {"tapes": None, "override": None, "to": None, "actor": "operator alice"}
    world.operator.order(text="VTSPolicy Restore - P00001", copy=first, **given)
    world.settle()
    world.work()
    assert "has a quote" in world.ledger.tx.requests.find(limit=1)[0].reason
    assert world.path.read_bytes() == b"second"
    assert world.tape().state is TapeState.MIGRATED
    assert ask(world, "VTSPolicy Erase - P00001", 3) == "completed"


def test_an_empty_tape_waits_for_its_data_as_before(world):
    assert ask(world, ARCHIVE, 1) == "completed"
    assert ask(world, "VTSPolicy Erase - P00001", 2) == "completed"
    assert ask(world, "VTSPolicy Restore - P00001", 3) == "failed"
    assert (world.tape().state, world.tape().restoring) == (TapeState.ERASED, None)
