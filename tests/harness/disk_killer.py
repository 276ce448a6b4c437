"""Run one verb of the disk archive again and again, each time killed at another step.

    python disk_killer.py archive|restore|delete FOLDER

A program of its own, because it forks, and a forking process should have no threads. After every
kill it looks at what the dead run left, does the work again to its end, and looks again.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from vtspolicy.runner.disk.archive import archive
from vtspolicy.runner.disk.catalogue import delete, find, verify
from vtspolicy.runner.disk.failure import NoCopyError
from vtspolicy.runner.disk.layout import CopyFiles
from vtspolicy.runner.disk.restore import restore

CONTENT = os.urandom(700_000) + bytes(1_500_000)
STEPS = (
    (os, ("write", "fsync", "unlink", "open", "fchmod", "utime", "posix_fadvise")),
    (Path, ("rename", "symlink_to", "mkdir", "unlink")),
)


def silent(_done: int, _total: int) -> None:
    """Take no notice of progress."""


def kill_at(step: int, after: bool) -> None:
    """Make this process kill itself at the given step, before it is taken or after."""
    count = 0

    def dying(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            nonlocal count
            count += 1
            mine = count == step
            if mine and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return real(*arguments, **named)
            finally:
                if mine:
                    os.kill(os.getpid(), signal.SIGKILL)

        return call

    for owner, names in STEPS:
        for name in names:
            setattr(owner, name, dying(getattr(owner, name)))


class Scene:
    """A vault, a store, and the checks that must hold whatever happened."""

    def __init__(self, folder: Path, verb: str) -> None:
        folder.mkdir()
        self.verb = verb
        self.tape = folder / "A00017"
        self.tape.write_bytes(CONTENT)
        self.store = folder / "store"
        self.place = CopyFiles(store=self.store, tape=self.tape, handle="7-1")
        if verb != "archive":
            self.archive()
        if verb == "restore":
            os.truncate(self.tape, 0)

    def archive(self) -> None:
        archive(self.place, silent, lambda: datetime.now(UTC))

    def work(self) -> None:
        """Do what the verb says."""
        if self.verb == "archive":
            self.archive()
        elif self.verb == "delete":
            delete(self.place)
        else:
            restore(find(self.store, self.tape, "7-1"), self.tape, False, silent)

    def stands(self) -> bool:
        """Tell whether there is a copy; one that is there must be whole, by handle and by path."""
        if not (self.store / "handles").is_dir():
            return False
        answers = []
        for handle in ("7-1", None):
            try:
                verify(find(self.store, self.tape, handle), silent)
            except NoCopyError:
                answers.append(False)
            else:
                answers.append(True)
        if len(set(answers)) > 1:
            raise AssertionError(f"by handle and by path: {answers}")
        return answers[0]

    def done(self) -> bool:
        """Tell whether the work is done; raise when it is neither done nor undone."""
        if self.verb == "archive":
            if self.tape.read_bytes() != CONTENT:
                raise AssertionError("the tape was changed")
            return self.stands()
        if self.verb == "delete":
            return not self.stands()
        if not self.stands():
            raise AssertionError("the copy is gone")
        found = self.tape.read_bytes()
        if found not in (b"", CONTENT):
            raise AssertionError(f"the tape holds {len(found)} bytes that it never had")
        return found == CONTENT

    def left_overs(self) -> list[str]:
        """Name what no finished run leaves."""
        folder = self.tape.parent
        names = [str(each.relative_to(folder)) for each in folder.rglob("*")]
        wanted = 0 if self.verb == "delete" else 3
        files = [name for name in names if "7-1" in name]
        hidden = [name for name in names if Path(name).name.startswith(".")]
        return hidden + (files if len(files) != wanted else [])


def main() -> int:
    """Kill at every step; print how often, and how often the work was done and not done."""
    verb, folder = sys.argv[1], Path(sys.argv[2])
    told = {"kills": 0, "done": 0, "not done": 0}
    step, alive = 0, False
    while not alive:
        step += 1
        for after in (False, True):
            scene = Scene(folder / f"{step}-{after}", verb)
            child = os.fork()
            if child == 0:
                kill_at(step, after)
                scene.work()
                os._exit(0)
            _, status = os.waitpid(child, 0)
            if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
                alive = True  # there are fewer steps than that
                break
            told["kills"] += 1
            told["done" if scene.done() else "not done"] += 1
            scene.work()
            if not scene.done():
                raise AssertionError(f"{verb} again after a kill at step {step}: not done")
            if scene.left_overs():
                raise AssertionError(f"left after a kill at step {step}: {scene.left_overs()}")
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
