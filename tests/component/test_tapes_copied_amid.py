"""A tape that is moved, removed or emptied around its copy: no copy is told that there is not."""

import pytest

from tests.harness.tape_sites import QUEUED

BEGUN = (("send", "archive", 0),)


def last(world):
    return world.ledger.tx.requests.find(limit=1)[0]


def copies(world):
    return world.ledger.tx.copies.by_path()


@pytest.mark.parametrize("how", ["move", "remove", "empty"])
@pytest.mark.parametrize("each_pool", [False, True])
@pytest.mark.parametrize("archive", ["", QUEUED])
def test_it_fails_when_the_tape_goes_before_its_copy_ends(worlds, how, each_pool, archive):
    steps = (("during", "done", 1, how, 0), ("do", "archive", 0))
    world = worlds(steps, each_pool=each_pool, archive=archive)
    assert last(world).state.value == "failed"
    assert "/VAULT01/A/T00001 was" in last(world).reason
    assert "while it was copied" in last(world).reason
    assert not copies(world)


@pytest.mark.parametrize("how", ["move", "remove", "empty"])
def test_a_copy_whose_end_was_seen_counts_whatever_becomes_of_the_tape_later(worlds, how):
    steps = (*BEGUN, ("kill",), ("finish", "well", "end"), ("host", how, 0), ("start",), ("work",))
    world = worlds(steps)
    assert last(world).state.value == "completed"
    ((copy,),) = copies(world).values()
    assert world.application.copies[copy.handle].data


def test_an_empty_tape_of_a_pool_and_a_new_one_keep_no_copy_of_the_others(worlds):
    steps = (("host", "empty", 1), ("do", "archive", 0))
    world = worlds(steps, each_pool=True, archive="")
    assert last(world).state.value == "completed"
    assert [each.cartridge for (each,) in copies(world).values()] == ["T00001"]
