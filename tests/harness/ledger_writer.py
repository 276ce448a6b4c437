"""A server that only writes its ledger: it prints what is confirmed, until it is killed.

With `--limit N`, no file may grow beyond N bytes until a line comes on standard input.
"""

import resource
import sys

from twisted.internet.defer import Deferred

from tests.harness.ledger_files import Pump
from vtspolicy.ledger import RequestRecords
from vtspolicy.ledger.sqlite import SqliteLedger
from vtspolicy.testing.ledger import an_intake


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def main():
    path, first = sys.argv[1], int(sys.argv[2])
    pump = Pump()
    ledger = SqliteLedger(path, pump)
    pump.ask(Deferred.fromCoroutine(ledger.open()))
    limit = int(sys.argv[4]) if len(sys.argv) > 3 else None
    waiting = set()
    troubles = []
    ledger.on_trouble(troubles.append)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    number = first
    say("ready")
    while limit is None or number < first + 2000:
        while len(waiting) < 40 and (limit is None or number < first + 2000):
            add(ledger, number, waiting)
            number += 1
        some = len(waiting)
        pump.until(lambda some=some: len(waiting) < some or troubles)
        if troubles:
            say("trouble", troubles.pop(), ledger.backlog)
            sys.stdin.readline()
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
            pump.until(lambda: troubles)
            say("over", troubles.pop())
            pump.until(lambda: not waiting)
    pump.until(lambda: not waiting)
    pump.ask(Deferred.fromCoroutine(ledger.close()))
    say("end")


def add(ledger, number, waiting):
    def confirmed(written):
        waiting.discard(number)
        say("confirmed", number, written.result.request)

    waiting.add(number)
    ledger.write(RequestRecords.record, an_intake(number)).addCallback(confirmed)


main()
