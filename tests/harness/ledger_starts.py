"""First starts of a ledger that end at each line in turn; a whole start follows what each leaves.

It prints how many starts, and how many different leavings, there were; any other end of it is a
failure.
"""

import os
import shutil
import sys
import traceback
from pathlib import Path

from twisted.internet.defer import Deferred

from tests.harness.ledger_files import Pump
from vtspolicy.ledger import Transaction, open_ledger
from vtspolicy.ledger.sqlite import SqliteLedger
from vtspolicy.ledger.sqlite import __file__ as package

ROOMS = tuple(
    str(Path(package).with_name(f"{name}.py")) for name in ("database_file", "preflight", "ledger")
)
KILLED, LIVED, FAILED = range(3)


def start(path):
    pump = Pump()
    ledger = SqliteLedger(path, pump)
    pump.ask(Deferred.fromCoroutine(ledger.open()))
    pump.ask(ledger.write(Transaction.begin_serving, now=0.0))


def killed_at(line, path):
    left = line

    def trace(frame, event, _argument):
        nonlocal left
        if frame.f_code.co_filename not in ROOMS:
            return None
        if event == "line":
            left -= 1
            if left < 0:
                os._exit(KILLED)
        return trace

    sys.settrace(trace)
    start(path)


def whole(path):
    start(path)
    with open_ledger(path) as tx:
        tx.meta.uid()


def apart(work, *arguments):
    """Do something in a process of its own; answer how that ended."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        work(*arguments)
    except BaseException:  # noqa: BLE001 - whatever it is, this is not the parent
        traceback.print_exc()
        os._exit(FAILED)
    os._exit(LIVED)


def main():
    root, line, ended, seen = Path(sys.argv[1]), 0, KILLED, set()
    while ended == KILLED:
        folder = root / str(line)
        folder.mkdir()
        ended = apart(killed_at, line, folder / "ledger.db")
        left = tuple(sorted((each.name, each.stat().st_size) for each in folder.iterdir()))
        known = left in seen
        seen.add(left)
        if ended == FAILED or not (known or apart(whole, folder / "ledger.db") == LIVED):
            sys.exit(f"the start that was killed at line {line} left {left}")
        shutil.rmtree(folder)
        line += 1
    print(line, len(seen))  # noqa: T201 - for the test


main()
