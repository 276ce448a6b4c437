"""The crash harness in its short form; `make crash` is the long one."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

BROKEN_TASKS = """
import os
from tests.crash.crew import Task, work_off
from tests.crash.progress import Board
from tests.crash.report import Report

def fine(tell):
    return Report("fine", commands=3)

def raises(tell):
    raise ValueError("what has broken")

def dies(tell):
    tell(Report("dies", commands=4))
    os._exit(7)

board = Board()
tasks = [Task(what=each.__name__, kills=0, work=each) for each in (fine, raises, dies)]
work_off(tasks, 2, board, lambda: False)
print(board.summary(2))
"""


JOURNAL = """
import sys
from pathlib import Path
from tests.crash.tapes.journal import Journal, digest_of

journal = Journal(Path(sys.argv[1]) / "journal")
journal.make({"A": b"before"})
old, new = b"before", b"afterwards"
journal.note("A", begin=1, way="rewrite", was=journal.keep(old), states=[journal.keep(new)])
last = journal.story("A").last
seen = (old, new, b"afterw", b"aft", b"aftore", b"other", b"")
print([journal.fits(last, each) for each in seen])
journal.ended("A", 1, new)
last = journal.story("A").last
print([journal.fits(last, each) for each in (old, new, b"afterw")])
journal.note("A", begin=2, way="rewrite", was=journal.keep(b""), states=[journal.keep(old)])
print(journal.story("A").emptied == (last,), journal.story("A").wrong)
journal.note("A", begin=3, way="rewrite", was=journal.keep(b"odd"), states=[journal.keep(old)])
print(len(journal.story("A").wrong))
"""


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=1800,
    )


DEFECTS = """
from tests.crash import defects
from tests.crash.tapes import defects as of_tapes

print(len(defects.DEFECTS), len(of_tapes.DEFECTS))
"""


def test_kills_at_random_and_inside_of_writes_and_acts_lose_and_double_nothing():
    done = run("-m", "tests.crash", "--short", "--seed", "4711")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("seed 4711;")
    counts = [int(each) for each in run("-c", DEFECTS).stdout.split()]
    assert done.stdout.count(": found: ") == sum(counts) > max(counts)
    assert done.stdout.endswith("All as promised.\n")


def test_a_task_that_breaks_or_dies_is_a_fault_and_what_it_had_told_still_counts():
    done = run("-c", BROKEN_TASKS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ValueError: what has broken" in done.stdout
    assert re.search("dies ended with 7 after [0-9]+ s, and has not come to its j", done.stdout)
    assert "7 commands, 0 accepted" in done.stdout
    assert "2 faults." in done.stdout


def test_of_a_write_that_was_cut_short_what_was_before_and_after_is_right_and_nothing_else(
    tmp_path,
):
    done = run("-c", JOURNAL, str(tmp_path))
    assert done.stdout.splitlines() == [
        "[True, True, True, False, True, False, False]",
        "[False, True, False]",
        "True ()",
        "1",
    ], done.stdout + done.stderr
