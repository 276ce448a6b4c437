"""The identity of a process, among others that had, or will have, the same number."""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import frozen

from vtspolicy.runner.keeper import boot_id, process

MARK = "VTSPOLICY_RUN"
"""Every run has its folder in this environment variable."""

TICKS = os.sysconf("SC_CLK_TCK")
Sessions = Mapping[int, set[int]]
"""The process groups with living members of every session, by the session's number."""
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


def sessions() -> Sessions:
    """Look at all processes."""
    found: dict[int, set[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - names are all it takes
        if name.isdigit():
            stat = process(name)
            if stat is not None and stat[0] not in DEAD:
                found.setdefault(stat[2], set()).add(stat[1])
    return found


def groups_of(leader: Process, seen: Callable[[], Sessions] = sessions) -> set[int]:
    """Return the process groups with living members in the session that `leader` began.

    The number of a session is not given away while it has members, so that they are found by it
    after the leader has ended; if the number now is another process's, none were left. One look
    can miss a process whose parent ends while we look: there is none only if a second finds none.
    `seen` may answer the first look with one that was made just before.
    """
    found = process(leader.pid)
    if found is not None and found[3] != leader.ticks:
        return set()
    return seen().get(leader.pid) or sessions().get(leader.pid) or set()


def find(folder: Path) -> Process | None:
    """Find the oldest process that was started as the run of `folder`, by its environment.

    Where only its children are left, it is known by the session that they are in.
    """
    mark = b"%s=%s" % (MARK.encode(), os.fsencode(folder))
    found: list[Process] = []
    left: list[Process] = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - names are all it takes
        if not name.isdigit():
            continue
        try:
            environment = Path(f"/proc/{name}/environ").read_bytes()
        except OSError:  # it went, or is somebody else's
            continue
        if mark in environment.split(b"\0"):
            stat = process(name)
            if stat is None or stat[0] in DEAD:
                continue
            # The leader of a session: children of the run carry the mark too.
            if stat[2] == int(name):
                found.append(Process(int(name), stat[3]))
            else:  # a leader whose status was not asked for is still there
                leader = process(stat[2])
                left.append(Process(stat[2], leader[3] if leader else stat[3]))
    return min(found or left, key=lambda each: each.ticks, default=None)
