"""Looks at the tape of a run: taken by the keeper, kept in the journal, reported with the end."""

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from attrs import evolve

from tests.harness import runner_cases
from tests.harness.runner_cases import PATH, RunnerCase, begin, gone, is_child_gone
from vtspolicy.runner import identity, link
from vtspolicy.runner.protocol import End, SpoolError, TapeFile

KEEPER = Path(link.PROGRAM)

SERVER = """
import sys
from pathlib import Path
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from vtspolicy.runner.processes import ProcessRunner
from vtspolicy.runner.protocol import Run, TapeFile

async def serve():
    runner = ProcessRunner(reactor, Path(sys.argv[1]), idle=0.3, interval=0.05)
    await runner.open()
    tape = TapeFile(vault="one", root=sys.argv[2], pool="P", cartridge="A00017")
    argv = ("sh", "-c", sys.argv[3])
    runner.start(Run(key="1-1", argv=argv, env={"PATH": "/usr/bin:/bin"}, tape=tape))

reactor.callWhenRunning(lambda: Deferred.fromCoroutine(serve()))
reactor.run()
"""

GO = "until [ -e go ]; do sleep 0.02; done"


class LooksCase(RunnerCase):
    """Two vaults with a tape each."""

    async def setUp(self):
        await super().setUp()
        self.vaults = Path(tempfile.mkdtemp(prefix="vaults-"))
        self.addCleanup(shutil.rmtree, self.vaults)
        self.tape, self.other = (self.vaults / name / "P" / "A00017" for name in ("one", "two"))
        for tape in (self.tape, self.other):
            tape.parent.mkdir(parents=True)
            tape.write_bytes(b"data")

    def run_about(self, tape, script, key="1-1", **settings):
        root = tape.parents[1]
        where = TapeFile(vault=root.name, root=str(root), pool="P", cartridge=tape.name)
        return self.sh(script, key, tape=where, **settings)

    def longer(self):
        """A script that writes to the tape."""
        return f"printf more >> {self.tape}"

    @property
    def lookers(self):
        """The processes that look at tapes for the keeper."""
        pid = self.runner.keeper
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        return [
            int(child)
            for child in children
            if not gone(child) and Path(f"/proc/{child}/cmdline").read_bytes() == command
        ]

    def held(self, pid):
        """The descriptors and the folder of a process."""
        there = Path(f"/proc/{pid}")
        return {entry.name for entry in (there / "fd").iterdir()}, (there / "cwd").readlink()

    async def halted(self):
        """Let the vault of the tape hang; return who looks at it."""
        await self.runner.start(self.run_about(self.tape, "true", key="0-1"))
        (looker,) = self.lookers
        os.kill(looker, signal.SIGSTOP)
        self.addCleanup(self.wake, looker)
        return looker

    def wake(self, looker):
        if not gone(looker):
            os.kill(looker, signal.SIGCONT)

    def changed_program(self, changes):
        """Make a keeper's program of which some words are replaced."""
        text = KEEPER.read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        program = self.spool / "changed-keeper.py"
        program.write_text(text)
        return program

    async def changed_keeper(self, *changes):
        """Go on with a keeper whose program is changed."""
        program = self.changed_program(changes)
        pid = self.runner.keeper
        self.patch(link, "PROGRAM", program)
        self.patch(runner_cases, "PROGRAM", program)
        await self.runner.close()
        await self.until(lambda: gone(pid))
        await self.restarted()

    def state(self, key="1-1"):
        return self.file("state", key).read_text()

    async def ended(self, key="1-1"):
        """Wait for the exit status in the journal."""
        await self.until(lambda: '"exit"' in self.state(key))


def sizes(ended):
    """What the tape's file had before and after."""
    return tuple(each and each.fingerprint.size for each in (ended.before, ended.after))


class TestARunAboutATape(LooksCase):
    async def test_gets_looks_from_before_its_start_and_after_its_end(self):
        ended = await self.runner.start(self.run_about(self.tape, self.longer()))
        assert (ended.kind, ended.code, ended.looks) == (End.EXITED, 0, True)
        assert sizes(ended) == (4, 8)
        assert ended.before.at <= ended.started <= ended.finished <= ended.after.at
        facts, seen = self.tape.stat(), ended.after.fingerprint
        assert (seen.vault, seen.boot) == ("one", self.runner.boot)
        assert (seen.inode, seen.device) == (facts.st_ino, facts.st_dev)
        assert (seen.mtime_ns, seen.ctime_ns) == (facts.st_mtime_ns, facts.st_ctime_ns)
        assert ended.before.vault_ns <= seen.ctime_ns <= ended.after.vault_ns
        assert (ended.before.writer, ended.after.writer) == (False, False)

    async def test_is_told_of_who_writes_to_it_at_each_end(self):
        with self.tape.open("r+b"):
            waiting = self.runner.start(self.run_about(self.tape, f"touch begun; {GO}"))
            await self.has("begun")
        self.file("go").touch()
        ended = await waiting
        assert (ended.before.writer, ended.after.writer) == (True, False)

    async def test_that_is_not_there_has_looks_that_found_nothing(self):
        self.tape.unlink()
        ended = await self.runner.start(self.run_about(self.tape, self.longer()))
        assert ended.before.fingerprint is None
        assert ended.after.fingerprint.size == 4

    async def test_that_cannot_be_started_was_looked_at_before_only(self):
        run = self.run_about(self.tape, "")
        program = self.spool / "program"
        program.write_text("#!/no/such/sh\n")
        program.chmod(0o755)
        ended = await self.runner.start(evolve(run, argv=(str(program),)))
        assert (ended.kind, ended.after) == (End.UNSTARTABLE, None)

    async def test_a_run_about_none_has_no_looks_and_needs_no_looker(self):
        ended = await self.runner.start(self.sh("true"))
        assert (ended.looks, ended.before, ended.after) == (False, None, None)
        assert self.lookers == []

    async def test_shares_its_looker_with_all_runs_of_its_vault(self):
        for number in range(3):
            await self.runner.start(self.run_about(self.tape, "true", key=f"{number}-1"))
        assert len(self.lookers) == 1
        await self.runner.start(self.run_about(self.other, "true", key="4-1"))
        assert len(self.lookers) == 2

    async def test_has_a_looker_that_holds_nothing_of_the_keeper(self):
        await self.runner.start(self.run_about(self.tape, "true"))
        (looker,) = self.lookers
        assert self.held(looker) == ({"0", "1", "2", "3"}, Path("/"))

    async def test_has_a_looker_that_goes_with_its_keeper(self):
        await self.runner.start(self.run_about(self.tape, "true"))
        (looker,) = self.lookers
        await self.kill_keeper()
        await self.until(lambda: gone(looker))

    async def test_lets_an_idle_looker_go(self):
        await self.changed_keeper(("SPARE = 600.0", "SPARE = 1.0"))
        await self.runner.start(self.run_about(self.tape, "true"))
        (looker,) = self.lookers
        await self.until(lambda: gone(looker))
        ended = await self.runner.start(self.run_about(self.tape, self.longer(), key="3-1"))
        assert sizes(ended) == (4, 8)


class TestAVaultThatHangs(LooksCase):
    SOON = ("LOOKING = 5.0", "LOOKING = 0.5")

    async def test_holds_up_no_run_of_another(self):
        await self.changed_keeper(("LOOKING = 5.0", "LOOKING = 500.0"))
        await self.halted()
        waiting = self.runner.start(self.run_about(self.tape, "true"))
        other = await self.runner.start(self.run_about(self.other, "true", key="2-1"))
        none = await self.runner.start(self.sh("true", key="3-1"))
        assert (sizes(other), none.code, waiting.called) == ((4, 4), 0, False)

    async def test_delays_its_own_runs_and_leaves_them_without_looks(self):
        await self.changed_keeper(self.SOON)
        await self.halted()
        ended = await self.runner.start(self.run_about(self.tape, "exit 3"))
        assert (ended.kind, ended.code, ended.looks) == (End.EXITED, 3, True)
        assert (ended.before, ended.after) == (None, None)
        assert '"before":null' in self.state()
        assert '"after":null' in self.state()

    async def test_and_answers_again_is_looked_at_again(self):
        await self.changed_keeper(self.SOON)
        looker = await self.halted()
        await self.runner.start(self.run_about(self.tape, "exit 3"))
        os.kill(looker, signal.SIGCONT)
        ended = await self.runner.start(self.run_about(self.tape, self.longer(), key="2-1"))
        assert sizes(ended) == (4, 8)
        assert self.lookers == [looker]

    async def test_never_costs_the_exit_status(self):
        waiting = self.runner.start(self.run_about(self.tape, f"touch begun; {GO}; exit 3"))
        await self.has("begun")
        (looker,) = self.lookers
        os.kill(looker, signal.SIGSTOP)
        self.addCleanup(self.wake, looker)
        self.file("go").touch()
        await self.ended()
        assert '"after"' not in self.state()
        assert not waiting.called
        os.kill(looker, signal.SIGCONT)
        assert sizes(await waiting) == (4, 4)

    async def test_lets_a_cancelled_run_begin_only_to_be_ended(self):
        await self.changed_keeper(self.SOON)
        await self.halted()
        waiting = self.runner.start(self.run_about(self.tape, "sleep 60"))
        await self.until(lambda: self.file("state").exists())
        self.runner.stop("1-1", "the operator asked")
        ended = await waiting
        assert (ended.kind, ended.reason) == (End.CANCELLED, "the operator asked")

    async def test_while_the_folder_of_a_run_is_removed_starts_nothing(self):
        await self.changed_keeper(self.SOON)
        await self.halted()
        waiting = self.runner.start(self.run_about(self.tape, "true"))
        await self.until(lambda: self.file("state").exists())
        shutil.rmtree(self.runner.folder("1-1"))
        await self.assertFailure(waiting, SpoolError)
        assert (await self.runner.start(self.sh("true", key="2-1"))).code == 0


class TestKills(LooksCase):
    async def server_with_a_run(self, script):
        """Start a server with a run about the tape, and kill it when that has begun."""
        words = (str(self.spool), str(self.tape.parents[1]), script)
        pid = begin(sys.executable, "-c", SERVER, *words, env=os.environ)
        await self.has("begun")
        os.kill(pid, signal.SIGKILL)
        await self.until(lambda: is_child_gone(pid))

    async def test_the_next_server_is_told_both_looks(self):
        await self.server_with_a_run(f"touch begun; {GO}; {self.longer()}")
        waiting = self.runner.adopt(self.run_about(self.tape, ""))
        self.file("go").touch()
        ended = await waiting
        assert (ended.kind, sizes(ended), ended.looks) == (End.EXITED, (4, 8), True)

    async def test_the_next_server_reads_both_looks_of_a_run_that_has_ended(self):
        await self.server_with_a_run(f"{self.longer()}; touch begun")
        await self.until(lambda: '"after"' in self.state())
        self.tape.write_bytes(b"what its host writes later")
        ended = self.successResultOf(self.runner.adopt(self.run_about(self.tape, "")))
        assert (ended.kind, sizes(ended), ended.looks) == (End.EXITED, (4, 8), True)
        assert ended.after.fingerprint.vault == "one"

    async def test_the_next_server_waits_for_a_look_that_its_keeper_is_taking(self):
        self.runner.start(self.run_about(self.tape, f"touch begun; {GO}"))
        await self.has("begun")
        (looker,) = self.lookers
        os.kill(looker, signal.SIGSTOP)
        self.addCleanup(self.wake, looker)
        self.file("go").touch()
        await self.ended()
        await self.restarted()
        waiting = self.runner.adopt(self.run_about(self.tape, ""))
        for _ in range(3):
            self.runner._look()
        assert not waiting.called
        os.kill(looker, signal.SIGCONT)
        assert sizes(await waiting) == (4, 4)

    async def test_a_keeper_that_dies_between_look_and_start_leaves_the_look(self):
        await self.changed_keeper(
            (
                "            pid = os.posix_spawn(\n",
                "            os.kill(os.getpid(), 9)\n            pid = os.posix_spawn(\n",
            )
        )
        ended = await self.runner.start(self.run_about(self.tape, "touch begun"))
        assert (ended.kind, ended.looks) == (End.LOST, True)
        assert "whether it ran is not known" in ended.reason
        assert sizes(ended) == (4, None)
        assert not self.file("begun").exists()

    async def test_a_keeper_that_dies_before_its_first_look_leaves_none(self):
        await self.halted()
        waiting = self.runner.start(self.run_about(self.tape, "touch begun"))
        await self.until(lambda: self.file("state").exists())
        await self.kill_keeper()
        ended = await waiting
        assert (ended.kind, ended.looks, ended.before) == (End.LOST, True, None)
        assert not self.file("begun").exists()

    async def test_a_keeper_that_dies_between_exit_and_look_leaves_the_exit(self):
        waiting = self.runner.start(self.run_about(self.tape, f"touch begun; {GO}; exit 3"))
        await self.has("begun")
        (looker,) = self.lookers
        os.kill(looker, signal.SIGSTOP)
        self.file("go").touch()
        await self.ended()
        await self.kill_keeper()
        os.kill(looker, signal.SIGKILL)
        ended = await waiting
        assert (ended.kind, ended.code, ended.looks) == (End.EXITED, 3, True)
        assert sizes(ended) == (4, None)

    async def test_a_keeper_that_dies_while_it_runs_leaves_the_look_before(self):
        waiting = self.runner.start(self.run_about(self.tape, f"touch begun; {GO}"))
        await self.has("begun")
        await self.leader()
        await self.kill_keeper()
        self.file("go").touch()
        ended = await waiting
        assert (ended.kind, sizes(ended)) == (End.LOST, (4, None))

    async def test_a_looker_that_is_killed_is_replaced(self):
        await self.runner.start(self.run_about(self.tape, "true"))
        (looker,) = self.lookers
        os.kill(looker, signal.SIGKILL)
        ended = await self.runner.start(self.run_about(self.tape, self.longer(), key="2-1"))
        assert sizes(ended) == (4, 8)

    async def test_a_looker_that_is_killed_while_it_looks_is_replaced(self):
        looker = await self.halted()
        waiting = self.runner.start(self.run_about(self.tape, self.longer()))
        await self.until(lambda: self.file("state").exists())
        os.kill(looker, signal.SIGKILL)
        assert sizes(await waiting) == (4, 8)

    async def test_lookers_that_always_die_cost_the_looks_and_nothing_else(self):
        await self.changed_keeper(('            os.chdir("/")\n', "            os._exit(1)\n"))
        ended = await self.runner.start(self.run_about(self.tape, "exit 3"))
        assert (ended.kind, ended.code, sizes(ended)) == (End.EXITED, 3, (None, None))


RELEASED = Path(__file__).parents[2] / "fixtures" / "released" / "vtspolicy-0.1.tar.xz"


class TestAnUpgrade(LooksCase):
    """The keeper of version 0.1 continues what it runs; the new server has another beside it."""

    def of_version_0_1(self, script):
        """Have a keeper of version 0.1 start a run, as its server asked for it; return its id."""
        with tarfile.open(RELEASED) as archive:
            archive.extract("vtspolicy/runner/keeper.py", self.vaults, filter="data")
        program = self.vaults / "vtspolicy" / "runner" / "keeper.py"
        words = ["-I", "-S", "-X", "utf8", str(program), str(self.spool), "0.3"]
        subprocess.run([sys.executable, *words], check=True)  # it leaves a child in the background
        folder = self.runner.folder("1-1")
        folder.mkdir()
        asked = {"start": "1-1", "program": "/bin/sh", "argv": ["sh", "-c", script]}
        asked |= {"env": {**PATH, identity.MARK: str(folder)}, "limit": 1 << 20, "input": False}
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(str(self.spool / "keeper-2.sock"))
            server.sendall(json.dumps({**asked, "about": {"job": 1}}).encode() + b"\n")
            with server.makefile("rb") as lines:
                keeper = json.loads(lines.readline())["pid"]
                assert json.loads(lines.readline())["started"] == "1-1"
        return keeper

    async def test_a_run_of_the_old_keeper_ends_without_looks(self):
        old = self.of_version_0_1(f"touch begun; {GO}; exit 3")
        waiting = self.runner.adopt(self.run_about(self.tape, ""))
        await self.has("begun")
        assert not waiting.called
        self.file("go").touch()
        ended = await waiting
        assert (ended.kind, ended.code) == (End.EXITED, 3)
        assert (ended.looks, ended.before, ended.after) == (False, None, None)
        await self.until(lambda: gone(old))

    async def test_a_run_of_the_old_keeper_can_be_stopped(self):
        self.of_version_0_1("touch begun; sleep 60")
        await self.has("begun")
        waiting = self.runner.adopt(self.run_about(self.tape, ""))
        self.runner.stop("1-1", "the operator asked")
        assert (await waiting).kind is End.CANCELLED

    async def test_new_runs_have_looks_while_the_old_keeper_lives(self):
        old = self.of_version_0_1(f"touch begun; {GO}")
        self.runner.adopt(self.run_about(self.tape, ""))
        ended = await self.runner.start(self.run_about(self.tape, self.longer(), key="2-1"))
        assert (sizes(ended), gone(old)) == ((4, 8), False)


class TestAFullDisk(LooksCase):
    async def test_does_not_keep_exit_and_look_from_being_told_nor_from_being_noted_later(self):
        waiting = self.runner.start(self.run_about(self.tape, f"touch begun; {GO}; exit 3"))
        await self.has("begun")
        await self.leader()
        limits = resource.prlimit(self.runner.keeper, resource.RLIMIT_FSIZE, (16, -1))
        self.file("go").touch()
        ended = await waiting
        assert (ended.code, sizes(ended)) == (3, (4, 4))
        assert '"exit"' not in self.state()
        resource.prlimit(self.runner.keeper, resource.RLIMIT_FSIZE, limits)
        await self.until(lambda: '"after"' in self.state())
        assert '"exit":3' in self.state()
        await self.restarted()
        again = self.successResultOf(self.runner.adopt(self.run_about(self.tape, "")))
        assert (again.code, again.before, again.after) == (3, ended.before, ended.after)
