"""An act that renames a tape and then has to leave it: that does not count as a change of it."""

from functools import partial

import pytest

from tests.harness.tape_programs import ARCHIVED, Player

TWO_COPIES = (*ARCHIVED, ("host", "rewrite", 0), ("pass", 5.0), ("do", "archive", 0))


@pytest.fixture(params=["found", "data"])
def worlds(worlds, request):
    return partial(worlds, proof=request.param)


def ended(world):
    return world.ledger.tx.requests.find(limit=1)[0]


@pytest.mark.parametrize(
    ("act", "call", "at"),
    [(("do", "Delete", 0), "rename_free", 1), (("copy", 0, 1), "exchange", 2)],
)
def test_a_tape_that_was_opened_as_it_was_renamed_is_emptied_later(worlds, act, call, at):
    world = worlds((*TWO_COPIES, ("during", call, at, "hold", 0), act, ("host", "close", 0)))
    tape = world.tapes[0]
    assert "in use" in ended(world).reason
    assert tape.read() == tape.content
    Player(world).do("Erase", 0)
    assert ended(world).state.value == "completed"
    assert tape.read() == b""


def test_what_was_written_by_whoever_opened_it_is_not_emptied(worlds):
    opened = (("during", "rename_free", 1, "hold", 0), ("do", "Delete", 0))
    world = worlds((*TWO_COPIES, *opened, ("host", "poke", 0), ("host", "close", 0)))
    Player(world).do("Erase", 0)
    assert ended(world).state.value == "failed"
    assert world.tapes[0].read() == world.tapes[0].content
