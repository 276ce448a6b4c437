"""The crash harness in its short form; `make crash` is the long one."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_kills_at_random_and_inside_of_writes_lose_and_double_nothing():
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash", "--short", "--seed", "4711"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "killed" in done.stdout
