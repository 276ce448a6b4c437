"""Runs of real programs by the process runner."""

import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from vtspolicy.runner import identity, keeper
from vtspolicy.runner.link import PROGRAM
from vtspolicy.runner.processes import ProcessRunner
from vtspolicy.runner.protocol import Run

PATH = {"PATH": "/usr/bin:/bin"}


SERVER = """
import sys
from pathlib import Path
import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from vtspolicy.runner.processes import ANSWER, ProcessRunner
from vtspolicy.runner.protocol import Run

async def serve():
    runner = ProcessRunner(reactor, Path(sys.argv[1]), idle=0.3, interval=0.05)
    await runner.open()
    runner.start(Run(key="1-1", argv=tuple(sys.argv[2:]), env={"PATH": "/usr/bin:/bin"}))

reactor.callWhenRunning(lambda: Deferred.fromCoroutine(serve()))
reactor.run()
"""


def begin(program, *argv, env):
    """Start a program that no keeper knows of; return its process id."""
    return os.posix_spawn(program, [program, *argv], env, setsid=True)


def is_child_gone(pid):
    """Whether a program that `begin` has started has ended, and ask for its status then."""
    return os.waitpid(pid, os.WNOHANG)[0] == pid


def gone(pid):
    """Whether a process has ended; its new parent may be slow to ask for its status."""
    found = keeper.process(pid)
    return found is None or found[0] in identity.DEAD


def processes_of(spool):
    """Return the living processes of a spool: keepers (by argument) and runs (by their mark)."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            variables = (entry / "environ").read_bytes()
        except OSError:
            continue
        if gone(entry.name):
            continue
        if os.fsencode(PROGRAM) in words and os.fsencode(spool) in words:
            found[int(entry.name)] = "keeper"
        elif b"%s=%s/" % (identity.MARK.encode(), os.fsencode(spool)) in variables:
            found[int(entry.name)] = "run"
    return found


class RunnerCase(TestCase):
    """A spool of its own, and nothing left behind."""

    timeout = 300  # a limit for what hangs, on any machine

    async def setUp(self):
        self.spool = Path(tempfile.mkdtemp(prefix="runs-"))
        self.runner = self.new_runner()
        await self.runner.open()

    async def tearDown(self):
        await self.runner.close()
        await self.until(self.all_killed)
        shutil.rmtree(self.spool)

    def all_killed(self):
        left = processes_of(self.spool)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):  # it may be ending by itself
                os.kill(pid, signal.SIGKILL)
        return not left

    def new_runner(self, clock=reactor, **settings):
        return ProcessRunner(clock, self.spool, **{"idle": 0.3, "interval": 0.05, **settings})

    async def restarted(self, **settings):
        """Put a new server in the place of the old one."""
        await self.runner.close()
        self.runner = self.new_runner(**settings)
        await self.runner.open()
        return self.runner

    async def until(self, condition, seconds=120):
        deadline = reactor.seconds() + seconds
        while not (value := condition()):
            assert reactor.seconds() < deadline, f"never came true: {condition}"
            await deferLater(reactor, 0.01)
        return value

    def sh(self, script, key="1-1", **settings):
        # A child that a shell is just forking can miss a TERM: the grace is how long that costs.
        settings = {"grace": 0.5, **settings}
        return Run(key=key, argv=("sh", "-c", script), env=PATH, **settings)

    def file(self, name, key="1-1"):
        return self.runner.folder(key) / name

    async def has(self, name, key="1-1"):
        """Wait for a file that a program makes in its run folder."""
        await self.until(self.file(name, key).exists)

    async def kill_keeper(self):
        pid = self.runner.keeper
        os.kill(pid, signal.SIGKILL)
        await self.until(lambda: gone(pid))
        return pid

    async def leader(self, key="1-1"):
        """The process of a run, once its keeper has noted it: the program may be faster."""

        def noted():
            journal = self.runner._spool.journal(key)
            return journal and journal.leader

        return await self.until(noted)

    async def server_that_runs(self, *argv):
        """Start a server of its own that starts a run, kill it when that has begun."""
        pid = begin(sys.executable, "-c", SERVER, str(self.spool), *argv, env=os.environ)
        await self.has("begun")
        os.kill(pid, signal.SIGKILL)
        await self.until(lambda: is_child_gone(pid))


STUBBORN = "trap '' TERM; (trap '' TERM; exec sleep 60) & touch begun; wait"


def leave_journal(folder, *lines, boot=None):
    """Leave a journal as if an earlier keeper, dead by now, had written it."""
    folder.mkdir()
    claim = {"claim": 1, "keeper": {"pid": 1, "ticks": 1 << 60}, "at": 1.0}
    claim["boot"] = boot or identity.this_boot()
    text = "".join(json.dumps(line) + "\n" for line in (claim, *lines))
    (folder / "state").write_text(text)


KILLED = {"exit": None, "signal": 9, "at": 3.0}
