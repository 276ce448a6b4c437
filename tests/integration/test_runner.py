"""Runs of real programs: how they end, how they are stopped, and what a kill of anybody does."""

import json
import os
import resource
import shutil
import signal
import socket
import stat
import time

import pytest
from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater

from tests.harness.runner_cases import (
    KILLED,
    PATH,
    STUBBORN,
    RunnerCase,
    begin,
    gone,
    is_child_gone,
    leave_journal,
    processes_of,
)
from vtspolicy.runner import identity, keeper, link
from vtspolicy.runner.processes import ANSWER, ProcessRunner
from vtspolicy.runner.protocol import End, KeeperError, Run, SpoolError


class TestAnOrdinaryRun(RunnerCase):
    async def test_the_exit_code_and_both_outputs_are_known(self):
        ended = await self.runner.start(self.sh("echo one; echo two >&2; exit 3"))
        assert (ended.kind, ended.code, ended.signal) == (End.EXITED, 3, None)
        assert ended.started <= ended.finished
        assert self.runner.tail("1-1") == "one\ntwo\n"
        assert self.runner.tail("1-1", 3) == "wo\n"

    async def test_the_program_gets_an_empty_input_its_folder_and_only_its_environment(self):
        await self.runner.start(
            Run(key="1-1", argv=("sh", "-c", "cat; pwd; env -u PWD -u OLDPWD"), env=PATH)
        )
        folder = self.runner.folder("1-1")
        assert self.runner.tail("1-1").split("\n")[0] == str(folder)
        assert set(self.runner.tail("1-1").split()[1:]) >= {
            f"VTSPOLICY_RUN={folder}",
            "PATH=/usr/bin:/bin",
        }
        assert "HOME=" not in self.runner.tail("1-1")

    async def test_the_program_reads_the_lines_that_it_was_given_and_then_the_end(self):
        lines = 'run job=Archive comment="42-1" yes\nquit\n'
        ended = await self.runner.start(self.sh("cat; echo over", input=lines))
        assert (ended.kind, ended.code) == (End.EXITED, 0)
        assert self.runner.tail("1-1") == f"{lines}over\n"
        assert stat.S_IMODE(self.file("input").stat().st_mode) == 0o600

    async def test_the_program_leads_a_session_of_its_own_with_default_signals(self):
        await self.runner.start(self.sh("echo $$; cat /proc/self/stat; grep Sig /proc/self/status"))
        lines = self.runner.tail("1-1").split("\n")
        assert lines[1].split()[5] == lines[0]
        masks = dict(line.split(":\t") for line in lines if line.startswith("Sig"))
        standard = (1 << 31) - 1  # glibc ignores two of its own above these
        assert int(masks["SigIgn"], 16) & standard == 0
        assert int(masks["SigBlk"], 16) == 0

    async def test_a_hostile_argument_stays_an_argument(self):
        words = ("; touch x", "$(touch x)", "`touch x`", "a\nb", "'\"", "é\udcff", "-rf", "", "*")
        await self.runner.start(Run(key="1-1", argv=("printf", "%s|", *words), env=PATH))
        output = self.file("output").read_bytes()
        assert output == b"".join(word.encode(errors="surrogateescape") + b"|" for word in words)
        assert not self.file("x").exists()

    async def test_a_signal_that_is_not_ours_is_named(self):
        ended = await self.runner.start(self.sh("kill -SEGV $$"))
        assert (ended.kind, ended.signal, ended.code) == (End.SIGNALLED, signal.SIGSEGV, None)
        assert ended.reason == "ended by signal SIGSEGV"

    async def test_a_daemon_that_a_finished_program_leaves_is_left_alone(self):
        ended = await self.runner.start(self.sh("sleep 60 & echo $!"))
        assert ended.kind is End.EXITED
        assert keeper.process(self.runner.tail("1-1").strip()) is not None

    async def test_many_runs_at_once_each_get_their_own_end(self):
        runs = [self.sh(f"echo {n}; exit {n}", key=f"{n}-1") for n in range(60)]
        ends = await gatherResults([self.runner.start(run) for run in runs])
        assert [ended.code for ended in ends] == list(range(60))
        assert [self.runner.tail(run.key) for run in runs] == [f"{n}\n" for n in range(60)]
        assert self.runner.live == ()

    async def test_what_was_run_can_be_read_without_the_values_of_the_environment(self):
        env = {**PATH, "SECRET_FILE": "/secret"}
        await self.runner.start(Run(key="1-1", argv=("true",), env=env, job=7, attempt=2))
        about = json.loads(self.file("state").read_text().split("\n")[0])
        assert (about["job"], about["attempt"], about["argv"]) == (7, 2, ["true"])
        assert about["env"] == ["PATH", "SECRET_FILE", identity.MARK]
        assert stat.S_IMODE(self.runner.folder("1-1").stat().st_mode) == 0o700

    async def test_a_long_output_is_cut_in_the_middle_while_the_program_runs(self):
        await self.restarted(output_limit=65536)
        script = """
            (echo first; head -c 300000 /dev/zero | tr '\\0' x; echo last) > whole; cat whole
            until grep -q dropped output; do sleep 0.05; done
            echo after"""
        ended = await self.runner.start(self.sh(script))
        assert ended.code == 0
        text = self.file("output").read_text()
        assert text.startswith("first\nxxx")
        assert text.endswith("xxxlast\nafter\n")
        assert "bytes of output dropped" in text
        assert len(text) < 65536

    async def test_a_long_output_of_a_program_that_ends_at_once_is_cut_before_its_end_is_reported(
        self,
    ):
        await self.restarted(output_limit=16 << 20)
        ended = await self.runner.start(self.sh("echo first; head -c 200M /dev/zero; echo last"))
        assert ended.code == 0
        assert self.file("output").stat().st_size <= 16 << 20
        with self.file("output").open("rb") as output:
            assert output.readline() == b"first\n"
        assert self.runner.tail("1-1", 5) == "last\n"

    async def test_a_spool_with_a_path_too_long_for_a_socket_works(self):
        runner = ProcessRunner(reactor, self.spool / ("d" * 120), idle=0.1)
        await runner.open()
        ended = await runner.start(self.sh("exit 4"))
        await runner.close()
        assert ended.code == 4

    async def test_the_keeper_of_a_spool_that_was_removed_leaves_the_next_ones_socket_alone(self):
        spool = self.spool / "removed"
        first = ProcessRunner(reactor, spool, idle=0.1)
        await first.open()
        old = first.keeper
        shutil.rmtree(spool)
        second = ProcessRunner(reactor, spool, idle=5)
        await second.open()
        await first.close()
        await self.until(lambda: gone(old))
        assert (spool / keeper.SOCKET).exists()
        await second.close()


class TestWhatCannotRun(RunnerCase):
    async def end_of(self, *argv, env=None):
        ended = await self.runner.start(Run(key="1-1", argv=argv, env=env or PATH))
        assert ended.kind is End.UNSTARTABLE
        return ended.reason

    def made(self, text, mode):
        path = self.spool / "program"
        path.write_text(text)
        path.chmod(mode)
        return str(path)

    async def test_a_name_that_is_not_in_the_path(self):
        assert await self.end_of("dsmcc") == "dsmcc was not found in PATH (/usr/bin:/bin)"

    async def test_a_path_that_is_not_there(self):
        assert await self.end_of("/no/such/dsmc") == "/no/such/dsmc was not found"

    async def test_a_relative_path(self):
        assert "neither a plain name nor an absolute path" in await self.end_of("bin/dsmc")

    async def test_a_folder(self):
        assert await self.end_of("/usr") == "/usr is a folder, not a program"

    async def test_a_file_that_is_not_executable(self):
        path = self.made("#!/bin/sh\n", 0o644)
        assert await self.end_of(path) == f"{path} may not be executed by this user"

    async def test_a_script_whose_interpreter_is_missing(self):
        path = self.made("#!/no/such/sh\n", 0o755)
        assert "the interpreter that its first line names is not" in await self.end_of(path)

    async def test_a_script_without_a_first_line_is_not_given_to_a_shell(self):
        path = self.made("touch x\n", 0o755)
        assert "needs a first line that names its interpreter" in await self.end_of(path)
        assert not self.file("x").exists()

    async def test_an_argument_with_a_nul(self):
        assert "holds a NUL" in await self.end_of("true", "a\0b")

    async def test_an_argument_that_is_longer_than_the_system_allows(self):
        assert "longer than the system allows" in await self.end_of("true", "x" * 200_000)

    async def test_nothing_at_all(self):
        assert "the argument list is empty" in await self.end_of()

    async def test_it_is_still_known_after_a_restart_why(self):
        await self.end_of("/no/such/dsmc")
        await self.restarted()
        ended = await self.runner.adopt(Run(key="1-1", argv=("/no/such/dsmc",)))
        assert ended.kind is End.UNSTARTABLE

    async def test_a_key_that_would_leave_the_spool_is_refused(self):
        for key in ("../1", "", "a/b", ".", "keeper-1.sock", "-1", "é"):
            await self.assertFailure(self.runner.start(self.sh("true", key=key)), SpoolError)
            await self.assertFailure(self.runner.adopt(self.sh("true", key=key)), SpoolError)


class TestStopping(RunnerCase):
    async def test_a_run_that_takes_too_long_is_ended_with_all_its_processes(self):
        ended = await self.runner.start(self.sh("sleep 60 & sleep 60", timeout=0.2))
        assert ended.kind is End.TIMEOUT
        assert ended.reason == "it took longer than 0.2 s"
        assert "run" not in processes_of(self.spool).values()

    async def test_processes_that_ignore_term_are_killed_after_the_grace(self):
        waiting = self.runner.start(self.sh(STUBBORN, grace=0.2))
        await self.has("begun")
        self.runner.stop("1-1", "the operator asked")
        ended = await waiting
        assert (ended.kind, ended.signal) == (End.CANCELLED, signal.SIGKILL)
        assert ended.reason == "the operator asked"
        assert "run" not in processes_of(self.spool).values()

    async def test_a_child_that_outlives_the_leader_is_gone_before_the_end_is_reported(self):
        script = "(trap '' TERM; exec sleep 60) & touch begun; wait"
        waiting = self.runner.start(self.sh(script, grace=0.3))
        await self.has("begun")
        self.runner.stop("1-1", "")
        ended = await waiting
        assert (ended.kind, ended.signal) == (End.CANCELLED, signal.SIGTERM)
        assert "run" not in processes_of(self.spool).values()

    async def test_a_halted_program_is_ended_too(self):
        waiting = self.runner.start(self.sh("touch begun; kill -STOP $$; sleep 60", grace=20))
        await self.has("begun")
        await self.until(lambda: self.runner._watched["1-1"].leader is not None)
        leader = self.runner._watched["1-1"].leader
        await self.until(lambda: keeper.process(leader.pid)[0] == "T")
        self.runner.stop("1-1", "")
        ended = await waiting
        assert (ended.kind, ended.signal) == (End.CANCELLED, signal.SIGTERM)

    async def test_our_signal_means_cancelled_whatever_the_code(self):
        script = "trap 'exit 0' TERM; touch begun; sleep 60 & wait"
        waiting = self.runner.start(self.sh(script, grace=20))
        await self.has("begun")
        self.runner.stop("1-1", "")
        ended = await waiting
        assert (ended.kind, ended.code) == (End.CANCELLED, 0)

    async def test_a_run_that_had_ended_before_it_was_stopped_keeps_its_own_end(self):
        waiting = self.runner.start(self.sh("touch begun; until [ -e go ]; do :; done; exit 5"))
        await self.has("begun")
        await self.until(lambda: self.runner._watched["1-1"].leader is not None)
        self.file("go").touch()
        # Outside of the reactor: the keeper's message waits in the socket meanwhile.
        end = time.monotonic() + 120
        while b'"exit"' not in self.file("state").read_bytes():
            assert time.monotonic() < end
        self.runner.stop("1-1", "too late")
        ended = await waiting
        assert (ended.kind, ended.code, ended.reason) == (End.EXITED, 5, "")

    async def test_a_run_that_is_stopped_at_once_never_runs_or_is_ended(self):
        waiting = self.runner.start(self.sh("sleep 60"))
        self.runner.stop("1-1", "changed my mind")
        ended = await waiting
        assert ended.kind in {End.UNSTARTED, End.CANCELLED}
        assert ended.reason == "changed my mind"
        assert "run" not in processes_of(self.spool).values()

    async def test_a_run_that_is_stopped_before_its_keeper_takes_it_up_never_ran(self):
        os.kill(self.runner.keeper, signal.SIGSTOP)
        waiting = self.runner.start(self.sh("touch begun"))
        self.runner.stop("1-1", "changed my mind")
        ended = await waiting
        assert (ended.kind, ended.reason) == (End.UNSTARTED, "changed my mind")
        os.kill(self.runner.keeper, signal.SIGCONT)
        assert (await self.runner.start(self.sh("true", key="2-1"))).code == 0
        assert not self.file("begun").exists()

    async def test_a_silent_run_is_ended_and_one_that_talks_is_not(self):
        talker = "until [ -e go ]; do echo x; sleep 0.1; done"
        talks = self.runner.start(self.sh(talker, key="1-1", silence=5))
        silent = self.runner.start(self.sh("echo x; sleep 60", key="2-1", silence=0.5))
        leader = await self.leader()
        await self.until(lambda: leader.age > 6)
        self.file("go").touch()
        assert (await talks).kind is End.EXITED
        ended = await silent
        assert (ended.kind, ended.reason) == (End.SILENT, "it wrote no output for 0.5 s")

    async def test_unknown_and_ended_runs_can_be_stopped_without_harm(self):
        await self.runner.start(self.sh("exit 0"))
        self.runner.stop("1-1", "")
        self.runner.stop("9-9", "")


HOUR = 3600.0


class TestKills(RunnerCase):
    def make_older(self):
        """Let all processes have begun an hour earlier: that time cannot be waited for again."""
        age = identity.Process.age.fget
        self.patch(identity.Process, "age", property(lambda process: age(process) + HOUR))

    async def test_a_killed_server_s_run_continues_and_its_end_is_learnt_by_the_next(self):
        script = "echo x >> count; touch begun; until [ -e go ]; do sleep 0.02; done; exit 6"
        await self.server_that_runs("sh", "-c", script)
        waiting = self.runner.adopt(self.sh(script))
        self.file("go").touch()
        ended = await waiting
        assert (ended.kind, ended.code) == (End.EXITED, 6)
        assert self.file("count").read_text() == "x\n"

    async def test_a_run_that_ended_while_no_server_was_there_is_known_at_once(self):
        await self.server_that_runs("sh", "-c", "touch begun; exit 7")
        await self.until(lambda: '"exit"' in self.file("state").read_text())
        ended = self.successResultOf(self.runner.adopt(self.sh("")))
        assert (ended.kind, ended.code) == (End.EXITED, 7)
        assert ended.started <= ended.finished

    async def test_a_run_that_was_begun_is_not_begun_again_by_a_start(self):
        script = "echo x >> count; touch begun; until [ -e go ]; do sleep 0.02; done; exit 6"
        await self.server_that_runs("sh", "-c", script)
        waiting = self.runner.start(self.sh(script))
        self.file("go").touch()
        assert (await waiting).code == 6
        assert (await self.runner.start(self.sh(script))).code == 6
        assert self.file("count").read_text() == "x\n"

    async def test_the_time_out_counts_from_the_first_start(self):
        await self.server_that_runs("sh", "-c", "touch begun; exec sleep 60")
        await self.leader()
        self.make_older()
        ended = await self.runner.adopt(self.sh("", timeout=HOUR))
        assert ended.kind is End.TIMEOUT

    async def test_silence_counts_from_the_last_output(self):
        await self.server_that_runs("sh", "-c", "echo x; touch begun; exec sleep 60")
        await self.leader()
        # It began an hour ago, and wrote last half an hour ago.
        self.make_older()
        state = self.file("state")
        lines = [json.loads(line) for line in state.read_text().splitlines() if line]
        lines = [{**line, "at": line["at"] - HOUR} for line in lines]
        state.write_text("".join(json.dumps(line) + "\n" for line in lines))
        os.utime(self.file("output"), (time.time() - HOUR / 2,) * 2)
        ended = await self.runner.adopt(self.sh("", silence=HOUR / 2))
        assert ended.kind is End.SILENT

    async def test_an_exit_status_that_the_keeper_is_about_to_write_is_waited_for(self):
        waiting = self.runner.start(
            self.sh("touch begun; until [ -e go ]; do sleep 0.02; done; exit 8")
        )
        await self.has("begun")
        await self.until(lambda: self.runner._watched["1-1"].leader is not None)
        os.kill(self.runner.keeper, signal.SIGSTOP)
        self.runner._down()  # as if it could not be heard
        self.file("go").touch()
        leader = self.runner._watched["1-1"].leader
        await self.until(lambda: not leader.is_alive)
        for _ in range(3):
            self.runner._look()
        assert not waiting.called
        os.kill(self.runner.keeper, signal.SIGCONT)
        assert (await waiting).code == 8

    async def test_a_stop_that_a_killed_server_had_begun_is_finished_and_remembered(self):
        await self.server_that_runs("sh", "-c", STUBBORN)
        self.runner._spool.note_stop("1-1", End.TIMEOUT, "it took longer than 9 s", steady=0)
        ended = await self.runner.adopt(self.sh("", grace=0.1))
        assert (ended.kind, ended.reason) == (End.TIMEOUT, "it took longer than 9 s")
        assert "run" not in processes_of(self.spool).values()

    async def test_a_killed_keeper_s_run_continues_and_further_runs_get_a_new_keeper(self):
        waiting = self.runner.start(
            self.sh("touch begun; until [ -e go ]; do sleep 0.02; done; touch done")
        )
        await self.has("begun")
        await self.kill_keeper()
        assert (await self.runner.start(self.sh("exit 2", key="2-1"))).code == 2
        assert not waiting.called
        self.file("go").touch()
        ended = await waiting
        assert (ended.kind, ended.code) == (End.LOST, None)
        assert ended.reason == "the keeper died while it ran: its exit status is not known"
        assert self.file("done").exists()

    async def test_a_keeper_that_is_killed_while_it_starts_is_started_once_more(self):
        await self.runner.close()
        await self.until(self.all_killed)
        spawn, killed = link.KeeperLink._spawn_keeper, []

        def spawn_and_kill(self, log):
            pid = spawn(self, log)
            if len(killed) < deaths:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
            return pid

        self.patch(link.KeeperLink, "_spawn_keeper", spawn_and_kill)
        deaths = 1
        self.runner = self.new_runner()
        await self.runner.open()
        assert (await self.runner.start(self.sh("exit 2", key="2-1"))).code == 2
        await self.runner.close()
        await self.until(self.all_killed)
        killed.clear()
        deaths = 2
        self.runner = self.new_runner()
        with pytest.raises(KeeperError, match=r"cannot start \(-9\)"):
            await self.runner.open()

    async def test_an_orphan_can_still_be_stopped_and_timed_out(self):
        waiting = self.runner.start(self.sh("touch begun; exec sleep 60", timeout=5))
        await self.has("begun")
        await self.kill_keeper()
        assert (await waiting).kind is End.TIMEOUT

    async def test_a_request_that_a_killed_keeper_never_read_is_made_again(self):
        pid = self.runner.keeper
        os.kill(pid, signal.SIGSTOP)
        waiting = self.runner.start(self.sh("exit 3"))
        await deferLater(reactor, 0)
        os.kill(pid, signal.SIGKILL)
        assert (await waiting).code == 3

    async def test_why_no_keeper_can_be_reached_is_reported_while_a_run_waits_for_one(self):
        pid, away = self.runner.keeper, self.spool.with_name(f"{self.spool.name}-away")
        os.kill(pid, signal.SIGSTOP)
        waiting = self.runner.start(self.sh("exit 3"))
        self.spool.rename(away)
        os.kill(pid, signal.SIGKILL)
        await self.until(lambda: self.runner.unreachable)
        assert "No such file or directory" in self.runner.unreachable
        assert not self.runner.has_begun("1-1")
        away.rename(self.spool)
        assert (await waiting).code == 3
        assert self.runner.unreachable is None

    async def test_a_keeper_that_is_halted_is_told_of_and_does_its_work_when_it_continues(self):
        now = 0.0
        await self.restarted(steady=lambda: now)
        os.kill(self.runner.keeper, signal.SIGSTOP)
        waiting = self.runner.start(self.sh("exit 3"))
        now = ANSWER - 1
        assert self.runner.unreachable is None
        now = ANSWER
        assert self.runner.unreachable == (
            f"the keeper (process {self.runner.keeper}) has not answered for 30 s"
        )
        os.kill(self.runner.keeper, signal.SIGCONT)
        assert (await waiting).code == 3
        assert self.runner.unreachable is None

    async def test_killed_keeper_and_server(self):
        await self.server_that_runs("sh", "-c", "touch begun; exec sleep 60")
        await self.kill_keeper()
        waiting = self.runner.adopt(self.sh(""))
        self.runner.stop("1-1", "enough")
        assert (await waiting).kind is End.CANCELLED
        assert "run" not in processes_of(self.spool).values()

    async def test_killed_application_and_server(self):
        await self.server_that_runs("sh", "-c", "touch begun; exec sleep 60")
        os.kill((await self.leader()).pid, signal.SIGKILL)
        ended = await self.runner.adopt(self.sh(""))
        assert (ended.kind, ended.signal) == (End.SIGNALLED, signal.SIGKILL)

    async def test_killed_application_and_keeper(self):
        waiting = self.runner.start(self.sh("touch begun; exec sleep 60"))
        await self.has("begun")
        await self.until(lambda: self.runner._watched["1-1"].leader is not None)
        leader = self.runner._watched["1-1"].leader
        pid = self.runner.keeper
        os.kill(pid, signal.SIGKILL)
        while not gone(pid):  # it could still be on a processor, and write
            pass
        os.kill(leader.pid, signal.SIGKILL)
        assert (await waiting).kind is End.LOST

    async def test_a_keeper_that_is_told_to_go_hands_over_and_still_notes_the_exit_status(self):
        waiting = self.runner.start(
            self.sh("touch begun; until [ -e go ]; do sleep 0.02; done; exit 8")
        )
        await self.has("begun")
        old = self.runner.keeper
        os.kill(old, signal.SIGTERM)
        await self.until(lambda: self.runner.keeper not in (None, old))
        assert (await self.runner.start(self.sh("exit 1", key="2-1"))).code == 1
        self.file("go").touch()
        assert (await waiting).code == 8
        await self.until(lambda: gone(old))

    async def test_the_terminal_s_signals_do_not_end_the_keeper(self):
        pid = self.runner.keeper
        for each in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            os.kill(pid, each)
        assert (await self.runner.start(self.sh("exit 1"))).code == 1
        assert self.runner.keeper == pid

    async def test_a_server_that_closes_while_it_connects_to_its_keeper_has_no_complaint(self):
        lines = self.runner._link._lines
        self.runner._link._lost()
        await self.runner.close()
        lines.hang_up()
        await lines.gone
        assert self.flushLoggedErrors() == []

    async def test_a_server_that_closes_before_it_is_greeted_leaves_no_connection(self):
        pid, lines, made = self.runner.keeper, self.runner._link._lines, []
        self.patch(link.KeeperLines, "connectionMade", lambda _lines: made.append(True))
        os.kill(pid, signal.SIGSTOP)
        self.runner._link._lost()
        await self.until(lambda: made)
        await self.runner.close()
        lines.hang_up()
        os.kill(pid, signal.SIGCONT)
        await self.until(lambda: gone(pid))  # with a connection it would stay
        assert self.flushLoggedErrors() == []

    async def test_a_keeper_without_work_leaves(self):
        pid = self.runner.keeper
        await self.runner.close()
        await self.until(lambda: gone(pid))
        assert not (self.spool / keeper.SOCKET).exists()

    async def test_a_keeper_without_a_server_stays_with_its_run(self):
        self.runner.start(self.sh("touch begun; until [ -e go ]; do sleep 0.02; done; exit 8"))
        await self.has("begun")
        pid = self.runner.keeper
        await self.runner.close()
        leader = await self.leader()
        await self.until(lambda: leader.age > 1)
        assert not gone(pid)
        self.file("go").touch()
        await self.until(lambda: gone(pid))
        assert '"exit":8' in self.file("state").read_text()


class SetClock:
    """The reactor, with a clock that somebody sets."""

    def __init__(self):
        self.ahead = 0.0

    def seconds(self):
        return reactor.seconds() + self.ahead

    def __getattr__(self, name):
        return getattr(reactor, name)


class TestAClockThatIsSet(RunnerCase):
    async def grace_when_set_by(self, seconds):
        clock = SetClock()
        await self.restarted(clock=clock)
        waiting = self.runner.start(self.sh(STUBBORN, grace=1.0))
        await self.has("begun")
        await self.until(lambda: self.runner._watched["1-1"].leader is not None)
        before = time.monotonic()
        self.runner.stop("1-1", "")
        clock.ahead = seconds
        assert (await waiting).kind is End.CANCELLED
        return time.monotonic() - before

    async def test_an_hour_forward_takes_nobody_s_grace(self):
        assert await self.grace_when_set_by(3600) >= 1.0

    async def test_an_hour_back_makes_no_grace_longer(self):
        assert 1.0 <= await self.grace_when_set_by(-3600) < 3600

    async def test_an_hour_forward_does_not_lose_a_run_that_must_yet_show(self):
        clock, passed = SetClock(), 0.0
        await self.restarted(clock=clock, steady=lambda: passed)
        leave_journal(self.runner.folder("1-1"))
        waiting = self.runner.adopt(self.sh(""))
        clock.ahead = 3600
        for _ in range(3):
            self.runner._look()
        assert not waiting.called
        passed, clock.ahead = 1.1, -3600
        assert (await waiting).kind is End.LOST


LEAVES = "sleep 60 & echo $! > left; touch begun; wait"
LEAVES_STUBBORN = "(trap '' TERM; touch begun; exec sleep 60) & echo $! > left; wait"


class TestWhatALeaderLeaves(RunnerCase):
    """A program that was killed, or whose keeper was, has ended when nothing of it is left."""

    async def begun(self, script=LEAVES, **settings):
        """Start a run; return its end to come."""
        waiting = self.runner.start(self.sh(script, **settings))
        await self.has("begun")
        await self.has("left")
        await self.until(lambda: self.file("left").read_text().endswith("\n"))
        await self.until(lambda: self.runner._watched["1-1"].leader is not None)
        return waiting

    @property
    def left(self):
        return int(self.file("left").read_text())

    def kill_leader(self):
        os.kill(self.runner._spool.journal("1-1").leader.pid, signal.SIGKILL)

    async def is_waited_for(self, waiting):
        """The leader's end is known, and the run's is not reported: a child is there."""
        await self.until(lambda: self.runner._watched["1-1"].over is not None)
        for _ in range(3):
            self.runner._look()
        assert not waiting.called
        assert not gone(self.left)

    async def test_is_waited_for_when_the_leader_is_killed(self):
        waiting = await self.begun()
        self.kill_leader()
        await self.is_waited_for(waiting)
        os.kill(self.left, signal.SIGKILL)
        ended = await waiting
        assert (ended.kind, ended.signal) == (End.SIGNALLED, signal.SIGKILL)
        assert ended.reason == "ended by signal SIGKILL"

    async def test_is_waited_for_when_the_keeper_is_killed_too(self):
        waiting = await self.begun()
        await self.kill_keeper()
        self.kill_leader()
        await self.is_waited_for(waiting)
        os.kill(self.left, signal.SIGKILL)
        ended = await waiting
        assert ended.kind is End.LOST
        assert ended.reason == "the keeper died while it ran: its exit status is not known"

    async def test_is_waited_for_by_the_next_server_when_the_leader_is_killed(self):
        await self.begun()
        self.kill_leader()
        await self.until(lambda: '"exit"' in self.file("state").read_text())
        await self.restarted()
        waiting = self.runner.adopt(self.sh(LEAVES))
        await self.is_waited_for(waiting)
        os.kill(self.left, signal.SIGKILL)
        assert (await waiting).kind is End.SIGNALLED

    async def test_is_waited_for_by_the_next_server_when_the_keeper_is_killed_too(self):
        await self.begun()
        await self.kill_keeper()
        self.kill_leader()
        await self.restarted()
        waiting = self.runner.adopt(self.sh(LEAVES))
        await self.is_waited_for(waiting)
        os.kill(self.left, signal.SIGKILL)
        assert (await waiting).kind is End.LOST

    async def test_is_found_when_the_keeper_had_not_noted_the_leader(self):
        folder = self.runner.folder("1-1")
        leave_journal(folder)
        env = {**PATH, identity.MARK: str(folder)}
        leader = begin("/bin/sh", "-c", f"cd {folder}; {LEAVES}", env=env)
        await self.has("begun")
        os.kill(leader, signal.SIGKILL)
        await self.until(lambda: is_child_gone(leader))
        waiting = self.runner.adopt(self.sh(LEAVES))
        await self.is_waited_for(waiting)
        self.runner.stop("1-1", "")
        assert (await waiting).kind is End.CANCELLED
        assert gone(self.left)

    async def test_is_ended_by_a_cancel_which_is_told_when_it_is_gone(self):
        waiting = await self.begun(LEAVES_STUBBORN, grace=0.3)
        self.kill_leader()
        await self.is_waited_for(waiting)
        self.runner.stop("1-1", "the operator asked")
        assert not waiting.called
        ended = await waiting
        assert (ended.kind, ended.reason) == (End.CANCELLED, "the operator asked")
        assert gone(self.left)

    async def test_is_ended_by_a_cancel_that_an_earlier_server_had_begun(self):
        waiting = await self.begun(LEAVES_STUBBORN, grace=60)
        self.kill_leader()
        await self.is_waited_for(waiting)
        self.runner.stop("1-1", "the operator asked")
        await self.restarted()
        ended = await self.runner.adopt(self.sh("", grace=0.3))
        assert (ended.kind, ended.reason) == (End.CANCELLED, "the operator asked")
        assert gone(self.left)

    async def test_is_ended_when_a_stop_had_killed_the_leader_only_and_the_server_died(self):
        await self.begun(LEAVES_STUBBORN, grace=60)
        self.runner.stop("1-1", "the operator asked")
        await self.until(lambda: '"exit"' in self.file("state").read_text())
        await self.restarted()
        ended = await self.runner.adopt(self.sh("", grace=0.3))
        assert (ended.kind, ended.reason) == (End.CANCELLED, "the operator asked")
        assert gone(self.left)

    async def test_is_ended_by_the_time_out(self):
        waiting = await self.begun(timeout=5)
        self.kill_leader()
        ended = await waiting
        assert (ended.kind, ended.reason) == (End.TIMEOUT, "it took longer than 5 s")
        assert gone(self.left)

    async def test_is_ended_by_silence(self):
        waiting = await self.begun(silence=5)
        self.kill_leader()
        assert (await waiting).kind is End.SILENT
        assert gone(self.left)

    async def test_writes_no_more_output_than_the_program_itself_could(self):
        await self.restarted(output_limit=65536)
        waiting = await self.begun(
            "(until [ -e go ]; do sleep 0.02; done; head -c 300000 /dev/zero; exec sleep 60) &"
            " echo $! > left; touch begun; wait"
        )
        self.kill_leader()
        await self.is_waited_for(waiting)
        self.file("go").touch()
        await self.until(lambda: b"output dropped" in self.file("output").read_bytes())
        assert self.file("output").stat().st_size < 65536


class TestAdoption(RunnerCase):
    def journal(self, *lines, boot=None):
        leave_journal(self.runner.folder("1-1"), *lines, boot=boot)

    def process(self):
        """Start a process that leads a session; return it as a journal has it."""
        pid = begin("/bin/sleep", "60", env={})
        self.addCleanup(os.waitpid, pid, 0)
        self.addCleanup(os.kill, pid, signal.SIGKILL)
        return {"pid": pid, "ticks": keeper.process(pid)[3], "at": 2.0}

    async def test_a_process_of_an_earlier_start_of_the_machine_is_not_waited_for(self):
        self.journal(self.process(), KILLED, boot="another")
        assert self.successResultOf(self.runner.adopt(self.sh(""))).kind is End.LOST

    async def test_another_process_with_the_number_of_an_ended_one_is_not_waited_for(self):
        self.journal({**self.process(), "ticks": 1}, KILLED)
        assert self.successResultOf(self.runner.adopt(self.sh(""))).kind is End.SIGNALLED

    async def test_a_process_that_ended_and_was_not_asked_for_is_not_waited_for(self):
        process = self.process()
        os.kill(process["pid"], signal.SIGKILL)
        await self.until(lambda: keeper.process(process["pid"])[0] == "Z")
        self.journal(process, KILLED)
        assert self.successResultOf(self.runner.adopt(self.sh(""))).kind is End.SIGNALLED

    async def test_what_was_never_claimed_is_unstarted(self):
        ended = await self.runner.adopt(self.sh("exit 0"))
        assert (ended.kind, ended.started) == (End.UNSTARTED, None)

    async def test_a_late_request_cannot_start_what_was_said_to_be_unstarted(self):
        run = self.sh("touch began")
        self.runner._spool.prepare(run)
        assert (await self.runner.adopt(run)).kind is End.UNSTARTED
        self.runner._ask(self.runner._watch(run))
        await self.until(lambda: not self.runner.live)
        assert not self.file("began").exists()

    async def test_a_late_request_cannot_run_again_what_has_ended(self):
        run = self.sh("echo x >> count; exit 3")
        await self.runner.start(run)
        again = self.runner._watch(run)
        self.runner._ask(again)
        assert (await again.ended).code == 3
        assert self.file("count").read_text() == "x\n"

    async def test_what_is_unstarted_can_be_started(self):
        run = self.sh("exit 9")
        self.runner._spool.prepare(run)
        assert (await self.runner.adopt(run)).kind is End.UNSTARTED
        assert (await self.runner.start(run)).code == 9

    async def test_a_run_of_an_earlier_start_of_the_machine_is_lost(self):
        self.journal({"pid": os.getpid(), "ticks": 1, "at": 2.0}, boot="another")
        ended = await self.runner.adopt(self.sh(""))
        assert (ended.kind, ended.started) == (End.LOST, 2.0)
        assert ended.reason == "the machine was restarted while it ran"

    async def test_an_exit_status_of_an_earlier_start_of_the_machine_counts(self):
        self.journal(
            {"pid": os.getpid(), "ticks": 1, "at": 2.0},
            {"exit": 4, "signal": None, "at": 3.0},
            boot="another",
        )
        ended = await self.runner.adopt(self.sh(""))
        assert (ended.kind, ended.code, ended.finished) == (End.EXITED, 4, 3.0)

    async def test_a_run_that_an_earlier_server_stopped_and_that_ended_by_it_was_stopped(self):
        process = {"pid": os.getpid(), "ticks": 1, "at": 2.0}
        stop = {"stop": "timeout", "reason": "it took longer than 2 s", "at": 3.0}
        self.journal(process, stop, {"exit": 143, "signal": None, "at": 4.0})
        ended = await self.runner.adopt(self.sh(""))
        assert (ended.kind, ended.code) == (End.TIMEOUT, 143)
        assert ended.reason == "it took longer than 2 s"

    async def test_a_run_that_ended_before_an_earlier_server_stopped_it_keeps_its_end(self):
        process = {"pid": os.getpid(), "ticks": 1, "at": 2.0}
        stop = {"stop": "cancelled", "reason": "cancelled", "at": 4.0}
        self.journal(process, {"exit": 0, "signal": None, "at": 3.0}, stop)
        ended = await self.runner.adopt(self.sh(""))
        assert (ended.kind, ended.code) == (End.EXITED, 0)

    async def test_another_process_with_the_same_number_is_not_taken_for_the_run(self):
        other = begin("/bin/sleep", "60", env={})
        self.addCleanup(os.waitpid, other, 0)
        self.addCleanup(os.kill, other, signal.SIGKILL)
        self.journal({"pid": other, "ticks": 1, "at": 2.0})
        waiting = self.runner.adopt(self.sh("", timeout=0.1, grace=0))
        self.runner.stop("1-1", "")
        assert (await waiting).kind is End.CANCELLED
        assert not is_child_gone(other)

    async def test_a_run_whose_keeper_died_before_noting_its_process_is_found(self):
        self.journal()
        folder = self.runner.folder("1-1")
        env = {identity.MARK: str(folder)}
        pid = begin("/bin/sleep", "60", env=env)
        waiting = self.runner.adopt(self.sh(""))
        await self.until(lambda: self.runner._watched["1-1"].leader is not None)
        assert self.runner._spool.journal("1-1").leader.pid == pid
        self.runner.stop("1-1", "")
        await self.until(lambda: is_child_gone(pid))
        assert (await waiting).kind is End.CANCELLED

    async def test_a_run_whose_keeper_died_and_that_is_not_found_is_lost(self):
        self.journal()
        ended = await self.runner.adopt(self.sh(""))
        assert ended.kind is End.LOST
        assert "whether it ran is not known" in ended.reason


class TestTheSpool(RunnerCase):
    async def test_a_run_that_cannot_be_written_down_is_refused(self):
        self.runner.folder("1-1").write_text("in the way")
        failure = await self.assertFailure(self.runner.start(self.sh("true")), SpoolError)
        assert str(self.runner.folder("1-1")) in str(failure)
        assert self.runner.live == ()

    async def test_a_keeper_that_cannot_claim_refuses_and_the_run_can_be_tried_again(self):
        limits = resource.prlimit(self.runner.keeper, resource.RLIMIT_FSIZE, (16, -1))
        failure = await self.assertFailure(self.runner.start(self.sh("exit 2")), SpoolError)
        assert "1-1" in str(failure)
        resource.prlimit(self.runner.keeper, resource.RLIMIT_FSIZE, limits)
        assert (await self.runner.start(self.sh("exit 2"))).code == 2

    async def test_an_exit_status_that_finds_no_room_is_written_when_there_is_some(self):
        waiting = self.runner.start(self.sh("touch begun; until [ -e go ]; do sleep 0.02; done"))
        await self.has("begun")
        limits = resource.prlimit(self.runner.keeper, resource.RLIMIT_FSIZE, (16, -1))
        self.file("go").touch()
        assert (await waiting).code == 0
        assert '"exit"' not in self.file("state").read_text()
        resource.prlimit(self.runner.keeper, resource.RLIMIT_FSIZE, limits)
        await self.until(lambda: '"exit":0' in self.file("state").read_text())

    async def test_a_folder_is_removed_only_when_its_run_has_ended(self):
        waiting = self.runner.start(self.sh("touch begun; until [ -e go ]; do sleep 0.02; done"))
        await self.has("begun")
        with pytest.raises(SpoolError, match="has not ended"):
            self.runner.remove("1-1")
        assert self.runner.sweep(time.time()) == 0
        self.file("go").touch()
        await waiting
        self.runner.remove("1-1")
        assert not self.runner.folder("1-1").exists()

    async def test_a_sweep_takes_old_ended_runs_in_steps(self):
        for number in range(4):
            await self.runner.start(self.sh("true", key=f"{number}-1"))
        assert self.runner.sweep(time.time() - 3600) == 0
        for number in range(4):
            os.utime(self.runner.folder(f"{number}-1"), (1, 1))
        for number in range(3):
            os.utime(self.file("state", f"{number}-1"), (1, 1))
        swept = [self.runner.sweep(time.time() - 3600, limit=2) for _ in range(2)]
        assert max(swept) <= 2
        assert sum(swept) == 3
        assert self.runner.folder("3-1").exists()

    async def test_a_sweep_leaves_an_old_run_that_may_live(self):
        self.runner.start(self.sh("touch begun; sleep 60"))
        await self.has("begun")
        await self.restarted()
        for path in (self.file("state"), self.runner.folder("1-1")):
            os.utime(path, (1, 1))
        assert self.runner.sweep(time.time() - 3600) == 0

    async def test_garbage_on_the_socket_is_cut_off_and_hurts_nobody(self):
        self.runner.folder("1-1").mkdir()
        for garbage in (
            b"{\n",
            b"[]\n",
            b'{"start": 5}\n',
            b'{"start": "1-1"}\n',
            b'{"start": "1-1", "limit": 1, "program": "x", "argv": [], "env": {}, "input": 0}\n',
            b"5\n",
            b"\xff\n",
        ):
            with socket.socket(socket.AF_UNIX) as other:
                other.settimeout(20)
                other.connect(str(self.spool / keeper.SOCKET))
                other.sendall(garbage)
                while other.recv(4096):
                    pass
        assert (await self.runner.start(self.sh("exit 1"))).code == 1

    async def test_two_servers_at_once_never_double_a_run(self):
        other = self.new_runner()
        await other.open()
        script = "echo x >> count; exit 1"
        ends = await gatherResults(
            [self.runner.start(self.sh(script)), other.start(self.sh(script))]
        )
        await other.close()
        assert [ended.code for ended in ends] == [1, 1]
        assert self.file("count").read_text() == "x\n"
