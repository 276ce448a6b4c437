"""The disk archive killed before and after every step that touches the disk."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).parents[1] / "harness" / "disk_killer.py"


@pytest.mark.parametrize("verb", ["archive", "restore", "delete"])
def test_killed_at_any_step_the_store_and_the_tape_are_whole_and_the_work_can_be_done_again(
    verb, tmp_path
):
    answer = subprocess.run(
        [sys.executable, str(DRIVER), verb, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout)
    # Both outcomes were seen, or the steps in between were not reached.
    assert told["kills"] >= 12
    assert told["not done"] > 0
    assert told["done"] > 0
