"""A tape that was moved, and is asked for before a scan has seen that: its record goes along."""

import pytest

from tests.harness.tape_programs import ERASED, Player
from tests.harness.tape_sites import TapeSite
from tests.harness.tape_worlds import TapeWorld


@pytest.fixture
def world():
    site = TapeSite()
    world = TapeWorld(site)
    for each in (*ERASED, ("host", "move", 0)):
        getattr(Player(world), each[0])(*each[1:])
    world.unseen = {name: set() for name in world.unseen}  # else a command would scan first
    yield world
    world.close()
    site.remove()


def test_a_mount_brings_it_back(world):
    player, tape = Player(world), world.tapes[0]
    player.mount(0)
    player.work()
    assert world.mail["NSK1"].notices[-1].word.name == "MOUNTREADY"
    assert tape.read() == tape.content


@pytest.mark.parametrize(
    "first", [("do", "Erase", 0), ("do", "Delete", 0), ("override", "Erase", 0)]
)
def test_its_copy_is_kept_whatever_else_comes_first(world, first):
    player, tape = Player(world), world.tapes[0]
    getattr(player, first[0])(*first[1:])
    player.work()
    player.scan()
    assert player.do("Restore", 0).state.value == "completed"
    assert tape.read() == tape.content


def test_a_mark_finds_its_record(world):
    tape = world.tapes[0]
    told = world.mark(tape, "migrated", handle="OWN", size=10)
    assert told["state"] == "erased"
    assert len(world.ledger.tx.copies.of_tape(str(tape.path))) == 2


def test_its_copy_is_kept_where_a_job_keeps_its_record_from_following():
    site = TapeSite()
    world = TapeWorld(site)
    player, tape = Player(world), world.tapes[0]
    for each in (*ERASED, ("mount", 0), ("host", "move", 0), ("do", "Delete", 0)):
        getattr(player, each[0])(*each[1:])
    player.scan()
    assert player.do("Restore", 0).state.value == "completed"
    assert [path.read_bytes() for path in world.places(tape) if path.exists()] == [tape.content]
    world.close()
    site.remove()


def test_an_archive_by_its_full_name_adds_to_its_copies(world):
    player, tape = Player(world), world.tapes[0]
    world.write("rewrite", 0)
    world.pass_time(5.0)
    assert player.do("archive", 0).state.value == "completed"
    assert [each.path for each in world.ledger.tx.tapes.named(tape.name)] == [str(tape.path)]
    assert len(world.ledger.tx.copies.of_tape(str(tape.path))) == 2
