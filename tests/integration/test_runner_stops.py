"""Stops that others begin or forbid: machines that stop, servers that change, other users."""

import contextlib
import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace

from twisted.internet import reactor
from twisted.logger import globalLogPublisher

from tests.harness.runner_cases import (
    KILLED,
    STUBBORN,
    RunnerCase,
    begin,
    is_child_gone,
    leave_journal,
    processes_of,
)
from vtspolicy.engine.jobs.programs import Programs
from vtspolicy.runner import identity, signals
from vtspolicy.runner.protocol import End
from vtspolicy.runner.spool import Spool
from vtspolicy.runner.watched import PARTING

BEGUN = {"pid": os.getpid(), "ticks": 1, "at": 2.0}
TRAPS = "trap 'exit 3' TERM; touch begun; while :; do sleep 0.02; done"
ANEW = "the machine was restarted while it ran"


def exited(code, **more):
    return {"exit": code, "signal": None, "at": 3.0, **more}


def keys_that_run(spool):
    pids = [pid for pid, what in processes_of(spool).items() if what == "run"]
    return {Path(f"/proc/{pid}/cwd").readlink().name for pid in pids}


class TestAMachineThatStops(RunnerCase):
    """It signals all that still runs to end: the keeper and the programs, but no server."""

    async def adopted(self, *lines, boot="another"):
        """How a run has ended whose journal an earlier server has left."""
        leave_journal(self.runner.folder("1-1"), BEGUN, *lines, boot=boot)
        return self.successResultOf(self.runner.adopt(self.sh("")))

    async def shut_down(self, script):
        """Run a script, and signal keeper and script to end, as a machine does; return the journal.

        The script hears it when its keeper has, for both were halted meanwhile.
        """
        self.runner.start(self.sh(script))
        await self.has("begun")
        leader, pid = await self.leader(), self.runner.keeper
        await self.runner.close()
        for each in (leader.pid, pid):
            os.kill(each, signal.SIGSTOP)
        for each in (leader.pid, pid):
            os.kill(each, signal.SIGTERM)
        for each in (pid, leader.pid):
            with contextlib.suppress(
                ProcessLookupError
            ):  # the keeper may have woken it and seen its end
                os.kill(each, signal.SIGCONT)
        await self.until(lambda: '"exit"' in self.file("state").read_text())
        self.runner = self.new_runner()

    async def next_start(self, boot):
        self.runner._boot = boot
        await self.runner.open()
        return await self.runner.adopt(self.sh(""))

    async def test_has_interrupted_a_program_that_ended_by_its_signal(self):
        await self.shut_down("touch begun; exec sleep 60")
        ended = await self.next_start("another")
        assert (ended.kind, ended.reason) == (End.LOST, ANEW)

    async def test_has_interrupted_a_program_that_took_its_signal_and_gave_a_code(self):
        await self.shut_down(TRAPS)
        ended = await self.next_start("another")
        assert (ended.kind, ended.reason) == (End.LOST, ANEW)

    async def told_with_the_server(self, script):
        """Have script and keeper signalled under a server for which no time passes."""
        self.now = 1000.0
        await self.restarted(steady=lambda: self.now)
        waiting = self.runner.start(self.sh(script))
        await self.has("begun")
        leader, pid = await self.leader(), self.runner.keeper
        os.kill(pid, signal.SIGSTOP)
        for each in (pid, leader.pid):
            os.kill(each, signal.SIGTERM)
        await self.until(lambda: not leader.is_alive)  # the keeper hears of both at once
        os.kill(pid, signal.SIGCONT)
        await self.until(lambda: self.runner._watched["1-1"].doubted is not None)
        self.runner._look()
        assert not waiting.called
        return waiting

    async def test_tells_the_server_too_which_then_judges_nothing(self):
        for number, script in enumerate(("touch begun; exec sleep 60", TRAPS)):
            waiting = await self.told_with_the_server(script)
            await self.runner.close()
            assert not waiting.called
            self.runner = self.new_runner()
            ended = await self.next_start("another")
            assert (ended.kind, ended.reason) == (End.LOST, ANEW)
            self.runner.folder("1-1").rename(self.spool / f"ended-{number}")

    async def test_is_none_when_the_server_continues(self):
        waiting = await self.told_with_the_server("touch begun; exec sleep 60")
        self.now += PARTING
        ended = await waiting
        assert (ended.kind, ended.signal) == (End.SIGNALLED, signal.SIGTERM)

    async def test_is_not_waited_for_where_a_program_has_done_its_work(self):
        leave_journal(self.runner.folder("1-1"), BEGUN, exited(0, leaving=True))
        assert self.successResultOf(self.runner.adopt(self.sh(""))).code == 0

    async def test_has_interrupted_a_program_whose_shell_says_that_term_has_ended_it(self):
        ended = await self.adopted(exited(143))
        assert (ended.kind, ended.reason) == (End.LOST, ANEW)

    async def test_has_nothing_to_do_with_a_shell_that_said_so_in_the_same_start(self):
        ended = await self.adopted(exited(143), boot=identity.this_boot())
        assert (ended.kind, ended.code) == (End.EXITED, 143)

    async def test_was_none_when_it_was_not_restarted(self):
        await self.shut_down(TRAPS)
        ended = await self.next_start(identity.this_boot())
        assert (ended.kind, ended.code) == (End.EXITED, 3)

    async def test_did_not_keep_a_program_from_its_success(self):
        ended = await self.adopted(exited(0, leaving=True))
        assert (ended.kind, ended.code) == (End.EXITED, 0)

    async def test_has_nothing_to_do_with_a_code_from_before_it_stopped(self):
        ended = await self.adopted(exited(3))
        assert (ended.kind, ended.code) == (End.EXITED, 3)

    async def test_leaves_a_run_that_we_had_stopped_to_be_stopped_by_us(self):
        stop = {"stop": "timeout", "reason": "it took longer than 2 s", "at": 2.5}
        ended = await self.adopted(stop, KILLED | {"leaving": True})
        assert (ended.kind, ended.signal) == (End.TIMEOUT, signal.SIGKILL)
        assert ended.reason == "it took longer than 2 s"

    async def test_leaves_a_program_that_could_not_be_started_at_that(self):
        ended = await self.adopted({"failed": "No such file", "errno": 2, "at": 3.0})
        assert ended.kind is End.UNSTARTABLE


class TestARunnerThatIsClosed(RunnerCase):
    async def test_begins_nothing_more_and_says_nothing(self):
        leave_journal(self.runner.folder("2-1"), BEGUN, exited(0))
        await self.runner.close()
        asked = [self.runner.start(self.sh("touch begun"))]
        asked.append(self.runner.adopt(self.sh("", key="2-1")))
        assert self.runner.live == ()
        assert not self.runner.folder("1-1").exists()
        for each in asked:
            self.assertNoResult(each)


class TestTheGraceOfAStop(RunnerCase):
    """It is the program's, once: by the monotonic clock, under any server."""

    now = 1000.0

    async def stopped_at(self, *, then, noted=None):
        """Stop a run, and adopt it later by another server; return when that would kill it."""
        await self.restarted(steady=lambda: self.now)
        self.runner.start(self.sh(STUBBORN, grace=60))
        await self.has("begun")
        await self.until(lambda: self.runner.has_begun("1-1"))
        self.runner.stop("1-1", "enough")
        if noted is not None:
            state = self.file("state")
            state.write_text(state.read_text().replace('"steady":1000.0', noted))
            assert noted in state.read_text()
        self.now = then
        await self.restarted(steady=lambda: self.now)
        self.waiting = self.runner.adopt(self.sh(STUBBORN, grace=60))
        return self.runner._watched["1-1"].kill_at

    async def test_continues_under_the_next_server(self):
        assert await self.stopped_at(then=1059.0) == 1060.0
        self.runner._look()
        assert (await self.leader()).is_alive
        self.now = 1060.0
        assert (await self.waiting).kind is End.CANCELLED

    async def test_is_over_when_it_ended_while_there_was_no_server(self):
        assert await self.stopped_at(then=5000.0) == 1060.0
        assert (await self.waiting).kind is End.CANCELLED

    async def test_is_never_longer_than_it_was_to_be(self):
        assert await self.stopped_at(then=10.0) == 70.0

    async def test_begins_again_where_it_was_not_noted_when_it_began(self):
        assert await self.stopped_at(then=1059.0, noted='"else":1') == 1119.0


class TestAProcessOfAnotherUser(RunnerCase):
    """What a program starts by way of sudo may not be signalled by us."""

    async def setUp(self):
        await super().setUp()
        self.events = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    async def of_another(self, **settings):
        """Begin a run whose group we may not signal until `self.ours` has it."""
        waiting = self.runner.start(self.sh("touch begun; exec sleep 60", **settings))
        await self.has("begun")
        await self.until(lambda: self.runner.has_begun("1-1"))
        group, killpg, self.ours, self.refused = (await self.leader()).pid, os.killpg, set(), []

        def refuse(pgid, number):
            if pgid == group and group not in self.ours:
                self.refused.append(number)
                raise PermissionError(1, "Operation not permitted")
            killpg(pgid, number)

        self.patch(os, "killpg", refuse)
        return waiting

    def told(self):
        return [each for each in self.events if each.get("action") == "run_unstoppable"]

    async def test_is_reported_once_shown_and_tried_until_it_may_be_signalled(self):
        waiting = await self.of_another(grace=0)
        assert self.runner.unstoppable == ()
        self.runner.stop("1-1", "enough")
        assert self.runner.unstoppable == ("1-1",)
        await self.until(lambda: self.refused.count(signal.SIGKILL) >= 3)
        assert len(self.told()) == 1
        assert self.told()[0]["key"] == "1-1"
        assert not waiting.called
        self.ours.add((await self.leader()).pid)
        assert (await waiting).kind is End.CANCELLED
        assert self.runner.unstoppable == ()
        assert self.flushLoggedErrors() == []

    async def test_keeps_no_other_run_from_its_time_out(self):
        waiting = await self.of_another(grace=0, timeout=0.1)
        other = self.runner.start(self.sh("sleep 60", key="2-1", timeout=0.1, grace=0))
        assert (await other).kind is End.TIMEOUT
        await self.until(lambda: signal.SIGKILL in self.refused)
        assert self.runner.unstoppable == ("1-1",)
        self.ours.add((await self.leader()).pid)
        assert (await waiting).kind is End.TIMEOUT
        assert self.flushLoggedErrors() == []

    async def test_keeps_no_other_group_of_the_run_from_being_signalled(self):
        await self.of_another()
        theirs = (await self.leader()).pid
        ours, ended = begin("/bin/sleep", "60", env={}), 1 << 30
        assert signals.send([ended, theirs, ours], signal.SIGKILL) == {theirs}
        await self.until(lambda: is_child_gone(ours))


class TestWhatAKilledServerHadAsked(RunnerCase):
    """Queries run as programs do; the next server ends those of its job and attempt."""

    async def test_is_gone_when_the_next_server_continues(self):
        job, theirs = SimpleNamespace(id=1, attempt=1), []
        keys = ("000001-1-prepare", "000001-1-verify", "000001-1-verify2", "000001-1-verify-find")
        for key in keys[1:]:
            self.runner.start(self.sh("touch begun; exec sleep 60", key=key))
        for key in ("000001-1", "000001-2-verify", "000002-1-verify"):
            theirs.append(self.sh("touch begun; exec sleep 60", key=key))
            self.runner.start(theirs[-1])
        for key in (*keys[1:], *(run.key for run in theirs)):
            await self.has("begun", key)
        await self.runner.start(self.sh("exit 0", key=keys[0]))
        await self.restarted()
        await Programs(clock=reactor, runner=self.runner, node="n").end_orphans(job)
        assert keys_that_run(self.spool) == {run.key for run in theirs}
        assert self.runner.live == ()


def test_a_stop_is_noted_by_the_clock_that_nobody_sets(tmp_path):
    leave_journal(tmp_path / "1-1")
    spool = Spool(tmp_path)
    spool.note_stop("1-1", End.CANCELLED, "enough", steady=12.5)
    assert json.loads((tmp_path / "1-1/state").read_text().splitlines()[-1])["steady"] == 12.5
    assert spool.journal("1-1").asked == 12.5
