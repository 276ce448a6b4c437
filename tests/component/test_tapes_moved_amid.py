"""A tape that is moved or deleted while its restore runs: its data appears nowhere else."""

from functools import partial

import pytest

from tests.harness.tape_programs import ERASED, Player

BEGUN = (*ERASED, ("send", "Restore", 0))
DELETED = (*ERASED, ("do", "Delete", 0), ("send", "Restore", 0))


@pytest.fixture
def worlds(worlds):
    return partial(worlds, place="{target}")


def last(world):
    return world.ledger.tx.requests.find(limit=1)[0]


def files(world):
    return sorted(
        str(path.relative_to(world.site.root / "VAULT01"))
        for path in (world.site.root / "VAULT01").rglob("*T00001*")
    )


@pytest.mark.parametrize("place", ["{target}", "{staging}"])
@pytest.mark.parametrize("exchange", [True, False])
def test_nothing_appears_where_an_empty_tape_was_before_it_was_moved(worlds, place, exchange):
    world = worlds((*BEGUN, ("host", "move", 0), ("work",)), place=place, exchange=exchange)
    assert last(world).state.value == "failed"
    assert "moved or deleted after its restore had begun" in last(world).reason
    assert files(world) == ["B/T00001"]
    Player(world).scan()
    Player(world).do("Restore", 0)
    assert last(world).state.value == "completed"
    assert world.tapes[0].read() == world.tapes[0].content
    assert files(world) == ["B/T00001"]


def test_a_later_attempt_of_the_same_job_knows_it_too(worlds):
    steps = (*BEGUN, ("host", "move", 0), ("finish", "lost", "end"), ("work",))
    world = worlds(steps)
    assert len(world.ledger.tx.attempts.of_job(world.ledger.tx.jobs.find()[0].id)) == 2
    assert last(world).state.value == "failed"
    assert files(world) == ["B/T00001"]


def test_a_tape_that_is_moved_just_as_its_file_takes_its_place_is_seen(worlds):
    steps = (*BEGUN, ("during", "exchange", 1, "move", 0), ("work",))
    world = worlds(steps)
    assert last(world).state.value == "failed"
    assert files(world) == ["B/T00001"]


def test_a_tape_that_was_deleted_before_its_restore_began_comes_back(worlds):
    world = worlds((*DELETED, ("work",)))
    assert last(world).state.value == "completed"
    assert files(world) == ["A/T00001"]
