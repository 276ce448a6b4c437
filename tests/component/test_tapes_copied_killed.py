"""A server that dies at any moment of a restore that copies into the tape: no tape is stuck."""

from functools import partial

import pytest

from tests.harness.tape_programs import ARCHIVED, ERASED, Player
from vtspolicy.engine.tapes.leftovers import put_right
from vtspolicy.vaults import restores

PAGE = 4096


@pytest.fixture
def worlds(worlds):
    return partial(worlds, exchange=False)


def completed(player, verb):
    request = player.do(verb, 0)
    return request.state.value == "completed" or f"{verb}: {request.reason}"


@pytest.mark.parametrize("kind", ["thread", "system", "ledger"])
def test_the_tape_comes_back_and_can_be_copied_again(worlds, kind):
    for at in range(1, 100):
        world = worlds((*ERASED, ("dies", kind, at), ("do", "Restore", 0)))
        if not world.is_dead:
            break
        world.start()
        player = Player(world)
        player.work()
        world.check()
        tape = world.tapes[0]
        if tape.read() != tape.content:
            assert completed(player, "Restore") is True, f"{kind} {at}"
        assert tape.read() == tape.content
        assert completed(player, "archive") is True, f"{kind} {at}"
    else:
        raise AssertionError("there is no end of moments")


@pytest.mark.parametrize("at", range(1, 10))
def test_what_a_host_that_holds_it_writes_before_the_copying_is_the_hosts(worlds, at):
    steps = (("send", "Restore", 0), ("host", "hold", 0), ("during", "thread", at, "poke", 0))
    world = worlds((*ERASED, *steps, ("work",), ("host", "close", 0), ("pass", 5.0)))
    tape = world.tapes[0]
    assert tape.read() == tape.content
    assert completed(Player(world), "archive") is True
    assert completed(Player(world), "Erase") is True


def test_what_a_host_writes_after_the_end_was_recorded_is_not_taken_for_half_of_it(
    worlds, monkeypatch
):
    monkeypatch.setattr(restores, "CHUNK", PAGE)
    world = worlds(())
    tape = world.tapes[0]
    tape.path.write_bytes(b"x" * (3 * PAGE))
    world.host.wrote(tape, tape.path.read_bytes())
    world.pass_time(5.0)
    for each in (*ARCHIVED, ("do", "Erase", 0), ("dies", "discard", 1), ("do", "Restore", 0)):
        getattr(Player(world), each[0])(*each[1:])
    assert world.is_dead
    with tape.path.open("r+b") as file:
        file.truncate(PAGE)
    world.host.wrote(tape, b"x" * PAGE)
    world.start()
    put_right(world.engine.job_runner.checks)
    world.settle()
    assert world.ledger.tx.requests.find(limit=1)[0].state.value == "completed"
    world.check()
    assert tape.read() == b"x" * PAGE
    assert world.engine.vaults.leftovers("VAULT01") == []
