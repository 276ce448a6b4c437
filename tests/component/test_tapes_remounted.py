"""A vault that is mounted again in the same boot: its files are what they were."""

import pytest

from tests.harness.tape_programs import ARCHIVED, BACK, Player


@pytest.mark.parametrize("before", [ARCHIVED, BACK])
@pytest.mark.parametrize("more", [(), (("scan",),), (("start",),)])
def test_a_copied_tape_is_emptied_and_comes_back_after_a_remount(worlds, before, more):
    world = worlds((*before, ("remount",), *more, ("do", "Erase", 0)))
    assert world.tapes[0].read() == b""
    player = Player(world)
    player.remount()
    player.do("Restore", 0)
    assert world.tapes[0].read() == world.tapes[0].content


def test_a_tape_that_was_written_before_a_remount_is_not_emptied(worlds):
    steps = (*ARCHIVED, ("host", "same_times", 0), ("remount",), ("do", "Erase", 0))
    world = worlds(steps)
    assert world.tapes[0].read() == world.tapes[0].content


def test_coarse_times_do_not_prove_a_file_that_is_on_another_device(worlds):
    world = worlds((*ARCHIVED, ("remount",), ("do", "Erase", 0)), tick=1_000_000_000)
    assert world.tapes[0].read() == world.tapes[0].content
    player = Player(world)
    player.do("archive", 0)
    player.do("Erase", 0)
    assert world.tapes[0].read() == b""
