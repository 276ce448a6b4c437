"""The fake runner passes the suite that the process runner passes."""

import shutil
import tempfile
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from vtspolicy.runner.protocol import Run
from vtspolicy.testing.runner import FakeRunner, Machine
from vtspolicy.testing.runner_suite import Bench, RunnerSuite


class FakeBench(Bench):
    """Programs end as soon as they are told to."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="fake-runs-"))
        self._clock = Clock()
        self._machine = Machine()
        self.runner = self._new()

    def _new(self):
        return FakeRunner(self._clock, self.folder / "spool", self._machine)

    def run(self, key):
        return Run(key=key, argv=("true",), job=int(key.split("-")[0]))

    async def begun(self, key):
        assert key in self._machine.lives

    async def exit(self, key, code, output):
        self.runner.exit(key, code, output)

    async def kill(self, key):
        self.runner.kill(key, 9)

    async def restart(self):
        await self.runner.close()
        self.runner = self._new()
        await self.runner.open()

    def starts(self, key):
        return self._machine.starts.count(key)

    async def pass_time(self, seconds):
        self._clock.advance(seconds)

    async def close(self):
        await self.runner.close()
        shutil.rmtree(self.folder)


class FakeRunnerTest(RunnerSuite, TestCase):
    """See the suite."""

    timeout = 20  # a limit for what hangs

    async def new_bench(self):
        return FakeBench()
