"""How it goes: a line every so often, one for all that is told of together, and all of it last."""

import sys
import time
from collections import Counter

from attrs import define, field

from tests.crash.crew import Task
from tests.crash.report import Report

PACE = 10.0
"""Seconds between two lines while nothing has ended."""

SHOWN = 25
"""Faults of one report that are shown."""


def say(text: str) -> None:
    """Tell how it goes."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@define
class Board:
    """Adds up what all tasks tell."""

    began: float = field(factory=time.monotonic)
    told: float = field(factory=time.monotonic)
    ended_: Report = field(factory=lambda: Report("ended"))
    kills_done: int = 0  # as planned: some instants are not reached
    kills_planned: int = 0
    running: dict[Task, Report] = field(factory=dict)
    open: Counter[str] = field(factory=Counter)  # tasks by their name
    together: dict[str, Report] = field(factory=dict)  # by the name of tasks

    def planned(self, tasks: list[Task]) -> None:
        """Expect these."""
        self.kills_planned += sum(task.kills for task in tasks)
        self.open.update(task.what for task in tasks)

    def news(self, task: Task, report: Report) -> None:
        """Remember how far a task is."""
        self.running[task] = report

    def ended(self, task: Task, report: Report) -> None:
        """Add what a task has shown; tell it when it was the last of its name."""
        self.running.pop(task, None)
        self.kills_done += task.kills
        self.open[task.what] -= 1
        self.ended_.add(report)
        together = self.together.setdefault(task.what, Report(report.what))
        together.add(report)
        together.what = report.what
        if not self.open[task.what]:
            say(str(together))
        for each in report.wrong[:SHOWN]:
            say(f"    {each}")

    def look(self) -> None:
        """Tell how it goes, if it is time to."""
        now = time.monotonic()
        if now - self.told >= PACE:
            self.told = now
            say(self.line(now - self.began))

    def so_far(self) -> Report:
        """Return everything so far."""
        total = Report("so far")
        for each in (self.ended_, *self.running.values()):
            total.add(each)
        return total

    def line(self, seconds: float) -> str:
        """Return how it goes after so many seconds."""
        total = self.so_far()
        going = (min(task.kills, each.kills.total()) for task, each in self.running.items())
        done = self.kills_done + sum(going)
        left = seconds * (self.kills_planned - done) / max(done, 1)
        return (
            f"... {seconds / 60:.1f} min: {total.kills.total()} kills of about"
            f" {self.kills_planned}, {total.commands} commands, {total.accepted} accepted,"
            f" {len(total.wrong)} faults found; about {left / 60:.1f} min left"
        )

    def summary(self, sites: int) -> str:
        """Return what all of it has shown."""
        total = self.so_far()
        seconds = time.monotonic() - self.began
        rate = total.kills.total() / seconds * 60
        killed = ", ".join(f"{count} x {who}" for who, count in total.kills.most_common())
        return (
            f"{total.kills.total()} kills in {seconds / 60:.1f} min, {rate:.0f} a minute, on"
            f" {sites} sites at once: {killed or 'nobody'}.\n"
            f"{total.starting} of the servers were killed while they started;"
            f" {total.installed} of {total.installed + total.forked} were started as the"
            " installed command.\n"
            f"{total.commands} commands, {total.accepted} accepted; {total.jobs} starts of"
            f" applications; {total.notices} notices; {len(total.wrong)} faults."
        )
