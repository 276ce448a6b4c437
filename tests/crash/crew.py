"""Work side by side: each task in a process of its own, forked from one that has all loaded.

Nothing here has a thread or a reactor, so that tasks, and the servers that they fork in turn, begin
as new processes do. A task tells how far it is; what it has shown comes last.
"""

import multiprocessing
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkContext, ForkProcess
from typing import Protocol

from attrs import define, field, frozen

from tests.crash.report import Report
from tests.crash.storm import Tell

FORK: ForkContext = multiprocessing.get_context("fork")


@frozen(kw_only=True, eq=False)
class Task:
    """One piece of work that needs nobody else's."""

    what: str  # for people; those of one name are told of together
    kills: int  # how many it makes, about
    work: Callable[[Tell], Report]
    then: Callable[[Report], list["Task"]] = lambda _report: []  # what it has made possible
    limit: float = 600.0  # seconds after which it is stopped: it hangs


class Watcher(Protocol):
    """Whoever wants to know how it goes."""

    def planned(self, tasks: list[Task]) -> None:
        """These will be done."""

    def news(self, task: Task, report: Report) -> None:
        """A task is so far."""

    def ended(self, task: Task, report: Report) -> None:
        """A task has ended so."""

    def look(self) -> None:
        """Time goes by."""


@define(eq=False)
class _Hand:
    task: Task
    process: ForkProcess
    began: float = field(factory=time.monotonic)
    latest: Report | None = None
    is_done: bool = False


def work_off(
    tasks: list[Task], hands: int, watcher: Watcher, is_stopped: Callable[[], bool]
) -> None:
    """Do all tasks, so many at once, unless it is stopped; leave no process behind."""
    waiting = deque(tasks)
    busy: dict[Connection, _Hand] = {}
    watcher.planned(tasks)
    try:
        while (waiting or busy) and not is_stopped():
            while waiting and len(busy) < hands:
                inlet, hand = _begin(waiting.popleft())
                busy[inlet] = hand
            for inlet in wait(list(busy), timeout=1.0):
                assert isinstance(inlet, Connection)
                hand = busy[inlet]
                if _hear(inlet, hand, watcher):
                    continue
                del busy[inlet]
                report = _end(inlet, hand)
                more = hand.task.then(report) if hand.is_done else []
                waiting.extend(more)
                watcher.planned(more)
                watcher.ended(hand.task, report)
            for hand in busy.values():
                if time.monotonic() - hand.began > hand.task.limit:
                    hand.process.terminate()
            watcher.look()
    finally:
        _stop([hand.process for hand in busy.values()])


def _stop(processes: list[ForkProcess]) -> None:
    """Stop tasks, which takes their sites down; more than once, as an exception can get lost."""
    until = time.monotonic() + 10.0
    while any(each.is_alive() for each in processes) and time.monotonic() < until:
        for each in processes:
            each.terminate()
        for each in processes:
            each.join(0.5)
    for each in processes:
        each.kill()
        each.join()


def _begin(task: Task) -> tuple[Connection, _Hand]:
    inlet, outlet = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_do, args=(task, outlet))
    process.start()
    outlet.close()  # so that the end of the process is the end of what it says
    return inlet, _Hand(task, process)


def _hear(inlet: Connection, hand: _Hand, watcher: Watcher) -> bool:
    """Take what a task says; False when it will say nothing more."""
    try:
        hand.is_done, hand.latest = inlet.recv()
    except (EOFError, OSError):
        return False
    if not hand.is_done:
        watcher.news(hand.task, hand.latest)
    return True


def _end(inlet: Connection, hand: _Hand) -> Report:
    """Return what a task has shown; whoever ended without a word is at fault."""
    inlet.close()
    hand.process.join()
    report = hand.latest or Report(hand.task.what)
    if not hand.is_done:
        seconds = time.monotonic() - hand.began
        how = f"with {hand.process.exitcode} after {seconds:.0f} s"
        report.wrong.append(f"{report.what} ended {how}, and has not come to its judgement")
    return report


def _do(task: Task, outlet: Connection) -> None:
    # From a terminal ^C reaches everybody: it is the first process that then stops the others.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    latest = Report(task.what)

    def tell(report: Report) -> None:
        nonlocal latest
        latest = report
        outlet.send((False, report))

    try:
        report = task.work(tell)
    except Exception:  # noqa: BLE001 - whatever it is, it is reported
        report = latest
        report.wrong.append(traceback.format_exc())
    outlet.send((True, report))
