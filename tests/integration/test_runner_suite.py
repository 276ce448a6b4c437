"""The process runner, with real programs, passes the suite that every runner must pass."""

import contextlib
import os
import shutil
import signal
import tempfile
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from vtspolicy.runner import identity, keeper
from vtspolicy.runner.processes import ProcessRunner
from vtspolicy.runner.protocol import Run
from vtspolicy.testing.runner_suite import Bench, RunnerSuite

PROGRAM = """
echo $$ >> "$1.begun"
until [ -e "$1.exit" ]; do sleep 0.02; done
cat "$1.output"
exit $(cat "$1.exit")
"""
"""Runs until it is told to end, by files; `$1` is how their names begin."""


class ProcessBench(Bench):
    """Programs are shells that look at files."""

    def __init__(self):
        self._root = Path(tempfile.mkdtemp(prefix="suite-runs-"))
        self.folder = self._root / "files"
        self.folder.mkdir()
        self._keepers = set()
        self.runner = self._new()

    def _new(self):
        return ProcessRunner(reactor, self._root / "spool", idle=0.3, interval=0.05)

    async def open(self):
        await self.runner.open()
        self._keepers.add(self.runner.keeper)
        return self

    def _file(self, key, kind):
        return self._root / f"{key}.{kind}"

    def _pids(self, key):
        file = self._file(key, "begun")
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def run(self, key):
        argv = ("sh", "-c", PROGRAM, "sh", str(self._root / key))
        env = {"PATH": "/usr/bin:/bin"}
        return Run(key=key, argv=argv, env=env, job=int(key.split("-")[0]), grace=0.5)

    async def begun(self, key):
        await until(lambda: self._pids(key) and self.runner.has_begun(key))

    async def exit(self, key, code, output):
        self._file(key, "output").write_text(output)
        self._file(key, "exit.new").write_text(str(code))
        self._file(key, "exit.new").rename(self._file(key, "exit"))
        await until(lambda: self._is_over(key))

    def _is_over(self, key):
        """Whether its program is gone, and its keeper has noted how it ended."""
        return is_gone(self._pids(key)[-1]) and keeper_has_noted(self.runner.folder(key))

    async def kill(self, key):
        os.kill(self._pids(key)[-1], signal.SIGKILL)

    async def restart(self):
        await self.runner.close()
        self.runner = self._new()
        await self.open()

    def starts(self, key):
        return len(self._pids(key))

    async def pass_time(self, seconds):
        await deferLater(reactor, seconds)

    async def close(self):
        await self.runner.close()
        for file in self._root.glob("*.begun"):
            for pid in self._pids(file.name.removesuffix(".begun")):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
        await until(lambda: all(is_gone(pid) for pid in self._keepers))
        shutil.rmtree(self._root)


def is_gone(pid):
    """Whether a process has ended; its parent may be slow to ask for its status."""
    found = keeper.process(pid)
    return found is None or found[0] in identity.DEAD


def keeper_has_noted(folder):
    """Whether the end of a run is written down."""
    return '"exit":' in (folder / keeper.STATE).read_text()


async def until(condition):
    """Wait until it holds; the suite's time-out ends what never comes."""
    while not condition():
        await deferLater(reactor, 0.01)


class ProcessRunnerTest(RunnerSuite, TestCase):
    """See the suite."""

    timeout = 300  # a limit for what hangs, on any machine

    async def new_bench(self):
        return await ProcessBench().open()
