"""`python -m tests.crash`: storms, sweeps, and the proof that both would find a defect.

--kills N    how many kills the storms make (CRASH_KILLS; 3000)
--seed S     what everything is drawn from (CRASH_SEED; drawn and printed when not given)
--sites N    how many sites are under fire at once (CRASH_SITES; three for each processor)
--tapes      only what concerns the data of tapes
--short      a minute's worth of all that
"""

import argparse
import gc
import os
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from tests.crash.campaign import long, short, tapes
from tests.crash.crew import work_off
from tests.crash.progress import Board, say

SITES = 3
"""Sites for each processor: of its time a site waits more than the half."""


def main() -> int:
    """Run what the arguments say; 0 when nothing was wrong."""
    processors = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=int(os.environ.get("CRASH_KILLS", "3000")))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("CRASH_SEED", "0")))
    parser.add_argument("--sites", type=int, default=int(os.environ.get("CRASH_SITES", "0")))
    parser.add_argument("--tapes", action="store_true")
    parser.add_argument("--short", action="store_true")
    arguments = parser.parse_args()
    seed = arguments.seed or random.SystemRandom().randrange(1, 10**6)
    sites = arguments.sites or SITES * processors
    say(f"seed {seed}; the same again with --seed {seed} or CRASH_SEED={seed}")
    stops: list[int] = []
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda number, _frame: stops.append(number))
    _load()
    root = Path(tempfile.mkdtemp(prefix="vtspolicy-crash-"))
    if arguments.short:
        tasks = short(root, seed)
    else:
        tasks = (tapes if arguments.tapes else long)(root, seed, arguments.kills)
    board = Board()
    work_off(tasks, sites, board, lambda: bool(stops))
    say(board.summary(sites))
    if stops:
        say(f"Stopped before its end, with seed {seed}.")
        shutil.rmtree(root, ignore_errors=True)
        return 128 + stops[0]
    wrong = board.so_far().wrong
    if wrong:
        say(f"NOT as promised, with seed {seed}. What is left of it: {root}")
        return 1
    say("All as promised.")
    shutil.rmtree(root, ignore_errors=True)
    return 0


def _load() -> None:
    """Load what servers need, once: they are forks of this process, and so begin at once.

    The reactor is not among it: each server makes its own.
    """
    import twisted.internet.epollreactor
    import twisted.internet.udp
    import twisted.internet.unix  # noqa: F401

    import vtspolicy.cli.serve
    import vtspolicy.rules.case_file
    import vtspolicy.service  # noqa: F401

    assert "twisted.internet.reactor" not in sys.modules
    gc.freeze()  # what is shared stays shared: no collection touches it


if __name__ == "__main__":
    raise SystemExit(main())
