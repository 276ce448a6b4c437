"""A half-restored tape whose next restore writes nothing: it is half-restored as before."""

import pytest
from attrs import evolve

from tests.harness.tape_programs import ERASED, Player
from tests.harness.tape_sites import TapeSite
from tests.harness.tape_worlds import TapeWorld
from vtspolicy.tapes import Reason, TapeState

HALF = (*ERASED, ("send", "Restore", 0), ("finish", "halfway", "end"))


@pytest.fixture
def make():
    made = []

    def world(*steps, place="{path}"):
        made.append(TapeWorld(TapeSite(place=place)))
        play(made[-1], *steps)
        return made[-1]

    yield world
    for each in made:
        each.close()
        each.site.remove()


def play(world, *steps):
    for each in steps:
        getattr(Player(world), each[0])(*each[1:])
        world.check()


def record(world):
    return world.ledger.tx.tapes.get(str(world.tapes[0].path))


def is_left_alone(world):
    """Whether the half of the tape is taken for no tape's data."""
    for verb in ("archive", "Erase", "Delete"):
        request = Player(world).do(verb, 0)
        if request.state.value != "failed" or Reason.HALF_RESTORED.words not in request.reason:
            return f"{verb}: {request.state.value} {request.reason}"
    return True


def test_its_next_restore_fails_before_it_writes(make):
    world = make(*HALF)
    before = record(world)
    assert before.is_half_restored
    play(world, ("send", "Restore", 0), ("finish", "fails", "end"), ("work",))
    assert is_left_alone(world) is True
    assert record(world).partial == before.partial
    play(world, ("do", "Restore", 0))
    assert world.tapes[0].read() == world.tapes[0].content


def test_an_overridden_restore_fails_before_it_writes(make):
    world = make(*ERASED, ("send", "Restore", 0))
    tape = world.tapes[0]
    tape.path.write_bytes(tape.content[:10])
    play(world, ("finish", "lost", "end"), ("work",))
    assert record(world).is_left_unknown
    world.order(f"VTSPolicy Restore - {tape.name}", override="it is the restore's")
    play(world, ("finish", "fails", "end"), ("work",))
    assert record(world).is_left_unknown
    assert is_left_alone(world) is True


def test_a_server_that_dies_before_it_starts_the_run_goes_on_with_it(make):
    world = make(*HALF, ("dies", "run", 1), ("do", "Restore", 0))
    assert world.is_dead
    world.start()
    play(world, ("work",))
    assert last(world).state.value == "completed"
    assert world.tapes[0].read() == world.tapes[0].content


@pytest.mark.parametrize("before", [ERASED, HALF])
def test_what_a_host_writes_before_the_run_is_started_is_its_own(make, before):
    world = make(*before, ("dies", "run", 1), ("do", "Restore", 0))
    assert world.is_dead
    play(world, ("host", "rewrite", 0))
    world.start()
    play(world, ("work",))
    assert last(world).state.value == "failed"
    world.pass_time(5.0)
    for verb in ("archive", "Erase", "Restore"):
        play(world, ("do", verb, 0))
        assert last(world).state.value == "completed", verb
    assert world.tapes[0].read() == world.tapes[0].content


def last(world):
    return world.ledger.tx.requests.find(limit=1)[0]


def left_unseen(make, data):
    """A restore into the tape whose end was not seen; then the table restores beside it."""
    world = make(*ERASED, ("send", "Restore", 0))
    tape = world.tapes[0]
    tape.path.write_bytes(data(tape.content))
    play(world, ("finish", "lost", "end"), ("work",))
    assert record(world).is_left_unknown
    assert Player(world).do("Restore", 0).state.value == "failed"  # it would write into the tape
    beside = TapeSite()
    world.engine.policy.use(evolve(world.site.reader, table=beside.table))
    beside.remove()
    return world


def test_a_restore_beside_it_ends_that_where_the_same_came_back(make):
    world = left_unseen(make, lambda content: content)
    play(world, ("do", "Restore", 0))
    assert (record(world).state, record(world).restoring) == (TapeState.MIGRATED, None)
    play(world, ("do", "Erase", 0))
    assert world.tapes[0].read() == b""
    play(world, ("do", "Restore", 0))
    assert world.tapes[0].read() == world.tapes[0].content


@pytest.mark.parametrize(
    "data",
    [
        lambda content: content[:-1],
        lambda content: content + b"more",
        lambda content: content[::-1],
    ],
)
def test_a_restore_beside_it_leaves_what_may_be_a_hosts(make, data):
    world = left_unseen(make, data)
    there = world.tapes[0].path.read_bytes()
    request = Player(world).do("Restore", 0)
    assert (request.state.value, Reason.LEFT_UNKNOWN.words in request.reason) == ("failed", True)
    assert world.tapes[0].path.read_bytes() == there
    assert record(world).is_left_unknown
    assert world.engine.vaults.leftovers("VAULT01") == []


def test_what_a_host_wrote_to_it_with_the_old_time_is_not_overwritten(make):
    world = make(*HALF, ("host", "same_times", 0))
    assert Player(world).do("archive", 0).state.value == "failed"
    request = Player(world).do("Restore", 0)
    assert (request.state.value, Reason.LEFT_UNKNOWN.words in request.reason) == ("failed", True)
    world.check()
    assert world.tapes[0].read() == world.tapes[0].content
    play(world, ("host", "rewrite", 0), ("pass", 5.0), ("do", "archive", 0), ("do", "Erase", 0))
    assert world.tapes[0].read() == b""
