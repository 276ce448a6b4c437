"""Who a process is: told from others that had, or will have, the same number."""

import os
import time
from pathlib import Path

from attrs import frozen

from vtspolicy.runner.keeper import boot_id, process

MARK = "VTSPOLICY_RUN"
"""Every run has its folder in this environment variable."""

TICKS = os.sysconf("SC_CLK_TCK")
DEAD = ("Z", "X")  # a zombie has ended: it only waits for its parent to ask


@frozen
class Process:
    """One process of this start of the machine."""

    pid: int
    ticks: int  # when it started, in clock ticks since boot

    @property
    def is_alive(self) -> bool:
        """Whether this very process still runs."""
        found = process(self.pid)
        return found is not None and found[3] == self.ticks and found[0] not in DEAD

    @property
    def age(self) -> float:
        """Seconds since it started; a clock that somebody sets does not change it."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) - self.ticks / TICKS


def this_boot() -> str:
    """Return the id of this start of the machine."""
    return boot_id()


def groups_of(leader: Process) -> set[int]:
    """Return the process groups with living members in the session that `leader` began.

    The number of a session is not given away while it has members, so that they are found by it
    after the leader has ended; if the number now is another process's, none were left.
    """
    found = process(leader.pid)
    if found is not None and found[3] != leader.ticks:
        return set()
    groups = set()
    for name in os.listdir("/proc"):  # noqa: PTH208 - names are all it takes
        if name.isdigit():
            found = process(name)
            if found is not None and found[2] == leader.pid and found[0] not in DEAD:
                groups.add(found[1])
    return groups


def find(folder: Path) -> Process | None:
    """Find the oldest process that was started as the run of `folder`, by its environment."""
    mark = b"%s=%s" % (MARK.encode(), os.fsencode(folder))
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - names are all it takes
        if not name.isdigit():
            continue
        try:
            environment = Path(f"/proc/{name}/environ").read_bytes()
        except OSError:  # it went, or is somebody else's
            continue
        if mark in environment.split(b"\0"):
            stat = process(name)
            # The leader of a session: children of the run carry the mark too.
            if stat is not None and stat[0] not in DEAD and stat[2] == int(name):
                found.append(Process(int(name), stat[3]))
    return min(found, key=lambda each: each.ticks, default=None)
