"""What a look at a tape shows, and what it never does."""

import fcntl
import mmap
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from vtspolicy.runner import keeper
from vtspolicy.runner.looks import look_at
from vtspolicy.runner.protocol import End, Run, TapeFile
from vtspolicy.tapes import Fingerprint, Look
from vtspolicy.testing.runner import FakeRunner


@pytest.fixture
def pool(tmp_path):
    (tmp_path / "P").mkdir()
    return tmp_path / "P"


@pytest.fixture
def tape(pool):
    tape = pool / "A00017"
    tape.write_bytes(b"data")
    return tape


def look(tape):
    return keeper.look(str(tape.parents[1]), tape.parent.name, tape.name)


def clock(folder):
    return folder / keeper.CLOCK


class TestALook:
    def test_shows_what_the_file_is(self, tape):
        facts = tape.stat()
        times = [facts.st_mtime_ns, facts.st_ctime_ns]
        seen = look(tape)
        assert seen["file"] == [facts.st_ino, 4, *times, facts.st_dev]
        assert seen["open"] is False

    def test_changes_nothing_of_the_file(self, tape):
        before = tape.stat()
        look(tape)
        assert tape.stat() == before

    def test_shows_a_writer(self, tape):
        with tape.open("r+b"):
            assert look(tape)["open"] is True
        assert look(tape)["open"] is False

    def test_shows_a_writer_that_only_has_it_mapped(self, tape):
        with tape.open("r+b") as file:
            mapped = mmap.mmap(file.fileno(), 4)
        assert look(tape)["open"] is True
        mapped.close()
        assert look(tape)["open"] is False

    def test_does_not_take_a_reader_for_a_writer(self, tape):
        with tape.open("rb"):
            assert look(tape)["open"] is False

    def test_of_a_file_that_another_has_a_write_lease_on_shows_a_writer(self, tape):
        script = (
            "import fcntl, os, signal, sys\n"
            "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])\n"
            f"fd = os.open({str(tape)!r}, os.O_RDWR)\n"
            "fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)\n"
            "print('held', flush=True); sys.stdin.read()\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as holder:
            assert holder.stdout.readline() == b"held\n"
            seen = look(tape)
            holder.stdin.close()
        assert seen["open"] is True
        assert seen["file"][1] == 4

    def test_lets_who_opens_the_file_for_writing_wait_until_it_is_over(self, tape, monkeypatch):
        status, writers = os.fstat, []

        def facts(fd):
            # The second look at the tape itself is taken while the lease is held.
            if Path(f"/proc/self/fd/{fd}").readlink() == tape:
                writers.append(None)
                if len(writers) == 2:
                    with pytest.raises(BlockingIOError):
                        os.open(tape, os.O_WRONLY | os.O_NONBLOCK)
            return status(fd)

        monkeypatch.setattr(os, "fstat", facts)
        assert look(tape)["open"] is True
        assert len(writers) == 2
        os.close(os.open(tape, os.O_WRONLY | os.O_NONBLOCK))

    def test_without_leases_does_not_say_that_there_is_no_writer(self, tape, monkeypatch):
        ask = fcntl.fcntl

        def refuse(fd, command, argument=0):
            if command == fcntl.F_SETLEASE:
                raise PermissionError(13, "Permission denied")
            return ask(fd, command, argument)

        monkeypatch.setattr(fcntl, "fcntl", refuse)
        seen = look(tape)
        assert seen["open"] is None
        assert seen["file"][1] == 4

    def test_cannot_end_by_the_signal_that_shows_a_writer(self):
        assert signal.getsignal(signal.SIGURG) is signal.SIG_DFL  # which is to ignore it

    def test_takes_nothing_but_a_plain_file_with_one_name(self, pool, tape):
        os.link(tape, pool / "A00018")
        (pool / "A00019").symlink_to("A00020")
        (pool / "A00020").mkdir()
        os.mkfifo(pool / "A00021")
        for name in ("A00017", "A00018", "A00019", "A00020", "A00021", "A00022"):
            seen = look(pool / name)
            assert (seen["file"], seen["open"]) == (None, None), name

    def test_follows_no_link_to_another_pool(self, tape):
        (tape.parents[1] / "Q").symlink_to("P")
        assert keeper.look(str(tape.parents[1]), "Q", tape.name)["file"] is None

    @pytest.mark.parametrize(
        ("folder", "name"), [("..", "A00017"), ("P/P", "A"), ("P", "."), ("P", ""), ("", "A")]
    )
    def test_goes_nowhere_else(self, tape, folder, name):
        seen = keeper.look(str(tape.parents[1]), folder, name)
        assert (seen["file"], seen["clock"]) == (None, None)

    def test_at_a_vault_that_is_not_there_says_nothing(self, tmp_path):
        seen = keeper.look(str(tmp_path / "gone"), "P", "A00017")
        assert (seen["file"], seen["open"], seen["clock"]) == (None, None, None)


def test_a_look_in_the_words_of_the_model_is_of_its_vault_and_boot(tape):
    where = TapeFile(vault="V", root=str(tape.parents[1]), pool="P", cartridge=tape.name)
    facts = tape.stat()
    known = look_at(where, "boot")
    assert known.fingerprint == Fingerprint(
        vault="V",
        size=4,
        mtime_ns=facts.st_mtime_ns,
        inode=facts.st_ino,
        ctime_ns=facts.st_ctime_ns,
        device=facts.st_dev,
        boot="boot",
    )
    assert known.writer is False
    assert known.vault_ns == clock(tape.parents[1]).stat().st_ctime_ns


class TestTheClockOfAVault:
    def test_is_a_private_file_s_in_the_root(self, tape):
        seen = look(tape)
        facts = clock(tape.parents[1]).stat()
        assert seen["clock"] == facts.st_ctime_ns
        assert seen["clock"] >= tape.stat().st_ctime_ns
        assert (facts.st_size, stat.S_IMODE(facts.st_mode)) == (0, 0o600)
        assert not clock(tape.parent).exists()

    def test_continues(self, tape):
        first = look(tape)["clock"]
        os.utime(clock(tape.parents[1]), (1, 1))
        assert look(tape)["clock"] > first

    def test_is_in_the_pool_where_the_root_takes_none(self, tape):
        clock(tape.parents[1]).mkdir()
        assert look(tape)["clock"] == clock(tape.parent).stat().st_ctime_ns

    def test_is_not_known_where_it_can_be_made_nowhere(self, tape):
        clock(tape.parents[1]).mkdir()
        clock(tape.parent).mkdir()
        assert look(tape)["clock"] is None

    @pytest.mark.parametrize("make", [os.symlink, os.link])
    def test_is_never_another_file(self, tape, make):
        other = tape.parent / "A00018"
        other.touch()
        os.utime(other, (1, 1))
        for folder in (tape.parents[1], tape.parent):
            make(other, clock(folder))
        before = other.stat()
        assert look(tape)["clock"] is None
        assert other.stat() == before

    def test_is_never_a_file_with_data(self, tape):
        for folder in (tape.parents[1], tape.parent):
            clock(folder).write_bytes(b"a tape that was renamed")
            os.utime(clock(folder), (1, 1))
        assert look(tape)["clock"] is None
        assert clock(tape.parent).stat().st_mtime == 1

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file to somebody else")
    def test_has_a_file_of_its_own_beside_that_of_another_user(self, tape):
        theirs = clock(tape.parents[1])
        theirs.touch()
        os.utime(theirs, (1, 1))
        os.chown(theirs, os.geteuid() + 1, -1)
        ours = theirs.with_name(f"{theirs.name}-{os.geteuid()}")
        assert look(tape)["clock"] == ours.stat().st_ctime_ns
        assert theirs.stat().st_mtime == 1

    def test_that_another_keeper_makes_at_the_same_moment_is_used(self, tape, monkeypatch):
        make = os.open

        def made_before(name, flags, mode=0o777, *, dir_fd=None):
            if name == keeper.CLOCK and flags & os.O_EXCL:
                clock(tape.parents[1]).touch()
            return make(name, flags, mode, dir_fd=dir_fd)

        monkeypatch.setattr(os, "open", made_before)
        assert look(tape)["clock"] == clock(tape.parents[1]).stat().st_ctime_ns


class TestOfAFakeRun:
    @pytest.fixture
    def runner(self, tmp_path):
        return FakeRunner(Clock(), tmp_path / "spool")

    def ended(self, runner, tape, change=lambda: None, end=None):
        where = TapeFile(vault="V", root=str(tape.parents[1]), pool="P", cartridge=tape.name)
        ends = []
        runner.start(Run(key="1-1", argv=("true",), tape=where)).addCallback(ends.append)
        change()
        end() if end else runner.exit("1-1")
        return ends[0]

    def test_are_taken_as_it_begins_and_ends(self, runner, tape):
        ended = self.ended(runner, tape, lambda: tape.write_bytes(b"longer data"))
        sizes = [each.fingerprint.size for each in (ended.before, ended.after)]
        assert (sizes, ended.looks) == ([4, 11], True)
        assert ended.before.fingerprint.boot == runner.boot

    def test_can_be_given_by_a_test(self, runner, tape):
        given = Look(at=1.0, fingerprint=None, writer=True)
        runner.take_look = lambda _tape: given
        assert self.ended(runner, tape).after is given

    def test_are_not_taken_by_a_keeper_of_version_0_1(self, runner, tape):
        runner.take_look = None
        ended = self.ended(runner, tape)
        assert (ended.looks, ended.before, ended.after) == (False, None, None)

    def test_are_not_known_of_the_end_of_a_lost_run(self, runner, tape):
        ended = self.ended(runner, tape, end=lambda: runner.lose("1-1"))
        assert ended.kind is End.LOST
        assert ended.before is not None
        assert ended.after is None
