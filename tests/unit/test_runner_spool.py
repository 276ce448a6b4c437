"""What the files of a run say, and how programs and processes are distinguished."""

import contextlib
import errno
import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtspolicy.runner import identity, keeper
from vtspolicy.runner.identity import Process
from vtspolicy.runner.protocol import End, Run, SpoolError, TapeFile
from vtspolicy.runner.spool import Spool, environment, explained, program, request, told

CLAIM = {"claim": 1, "keeper": {"pid": 10, "ticks": 100}, "boot": "b", "at": 1.0}
BEGUN = {"pid": 11, "ticks": 110, "at": 2.0}
STOP = {"stop": "timeout", "reason": "too long", "at": 3.0}
EXIT = {"exit": 0, "signal": None, "at": 4.0}
LOOKING = {**CLAIM, "tape": ["V", "P", "A00017"], "looks": True}
LOOK = {"at": 1.5, "file": [7, 4, 11, 12, 13], "open": False, "clock": 14}
WIDEST_LOOK = {"at": 1795346405.9547832, "file": [1 << 63] * 5, "open": False, "clock": 1 << 63}


def journal(*lines):
    return b"".join(keeper.afresh(keeper.encoded(line)) for line in lines)


def claim_as_a_keeper(spool, run):
    """Have a keeper claim a run that is prepared."""
    ours = keeper.Keeper(str(spool.root), 1, -1, None)
    asked = keeper.Request(request(run, "/bin/true", spool.path(run.key), 1 << 20))
    with contextlib.chdir(spool.root / run.key):
        for descriptor in (*ours.claim(asked), ours.null):
            os.close(descriptor)
    ours.poll.close()


class TestAJournal:
    def test_shows_who_claimed_what_runs_and_how_it_ended(self):
        known = told(journal(CLAIM, BEGUN, EXIT))
        assert (known.claimed, known.boot, known.keeper) == (True, "b", Process(10, 100))
        assert (known.leader, known.started, known.ending) == (Process(11, 110), 2.0, EXIT)

    def test_of_a_keeper_that_died_at_once_shows_that_it_was_claimed_only(self):
        known = told(journal(CLAIM))
        assert known.claimed
        assert known.leader is None
        assert known.ending is None

    def test_counts_a_stop_only_when_it_came_before_the_exit(self):
        assert told(journal(CLAIM, BEGUN, STOP, EXIT)).stop is End.TIMEOUT
        assert told(journal(CLAIM, BEGUN, EXIT, STOP)).stop is None

    def test_shows_the_looks_at_the_tape(self):
        known = told(
            journal(LOOKING, {"before": LOOK}, BEGUN, EXIT, {"after": {**LOOK, "at": 5.0}})
        )
        assert (known.before.at, known.after.at) == (1.5, 5.0)
        seen = known.before.fingerprint
        assert (seen.vault, seen.boot, seen.inode, seen.size) == ("V", "b", 7, 4)
        assert (seen.mtime_ns, seen.ctime_ns, seen.device) == (11, 12, 13)
        assert (known.before.writer, known.before.vault_ns) == (False, 14)

    def test_awaits_the_look_after_the_exit_until_it_is_noted_or_given_up(self):
        assert told(journal(LOOKING, BEGUN, EXIT)).awaits_look
        for look in (LOOK, None):
            assert not told(journal(LOOKING, BEGUN, EXIT, {"after": look})).awaits_look
        assert not told(journal(LOOKING, BEGUN)).awaits_look
        assert not told(journal(CLAIM, BEGUN, EXIT)).awaits_look
        assert not told(journal(LOOKING, {"failed": "x", "errno": 2, "at": 1.0})).awaits_look

    def test_with_a_look_that_cannot_be_read_shows_all_else(self):
        known = told(journal(LOOKING, {"before": 5}, BEGUN, EXIT, {"after": {"at": 1}}))
        assert (known.before, known.after, known.ending) == (None, None, EXIT)

    def test_ignores_what_is_no_line_of_it(self):
        known = told(journal(CLAIM) + b'\0\0\nnull\n5\n["claim"]\n{"stop": "x"}\n' + journal(EXIT))
        assert known.ending == EXIT

    @given(st.integers(min_value=0))
    def test_cut_anywhere_shows_what_its_whole_lines_tell(self, at):
        whole = journal(CLAIM, BEGUN, STOP, EXIT)
        at %= len(whole) + 1
        assert told(whole[:at]) == told(whole[: whole[:at].rfind(b"\n") + 1])

    @given(st.data())
    def test_a_line_that_its_dying_writer_cut_spoils_no_other(self, data):
        cut = data.draw(st.sampled_from(["begun", "stop"]))
        state = keeper.encoded(CLAIM)
        lines = {"begun": BEGUN, "stop": STOP, "exit": EXIT}
        for name, line in lines.items():
            whole = keeper.afresh(keeper.encoded(line))
            state += whole[: data.draw(st.integers(0, len(whole) - 2))] if name == cut else whole
        known = told(state)
        assert known.ending == EXIT
        assert (known.leader is None) == (cut == "begun")
        assert (known.stop is None) == (cut == "stop")

    def test_fits_into_the_block_that_its_first_line_has_taken(self, tmp_path):
        long = {"stop": "cancelled", "reason": "\N{SNOWMAN}" * 240, "at": 1795346405.9547832}
        long |= {"steady": 99_999_999.999, "left": True}
        wide = {"exit": None, "signal": 64, "at": 1795346405.9547832, "maxrss": 1 << 60}
        wide |= {"user": 99_999_999.999, "sys": 99_999_999.999, "leaving": True}
        looks = [{look: WIDEST_LOOK} for look in ("before", "after")]
        env = dict.fromkeys(map(str, range(999)), "")
        tape = TapeFile(vault="V" * 64, root="/" * 4000, pool="P" * 16, cartridge="C" * 16)
        snowmen = ("\N{SNOWMAN}",) * 999
        spool, run = Spool(tmp_path), Run(key="1-1", argv=snowmen, env=env, tape=tape)
        assert spool.prepare(run)
        claim_as_a_keeper(spool, run)
        claim = (tmp_path / "1-1" / "state").read_bytes()
        assert len(claim + journal(looks[0], BEGUN, long, wide, looks[1])) < 4096
        assert json.loads(claim)["argv"][-2:] == ["\N{SNOWMAN}", "..."]
        assert json.loads(claim)["env"][-1] == "..."


class TestAKeeperOnAFullDisk:
    def test_owes_the_line_until_there_is_room(self, tmp_path):
        full = os.open("/dev/full", os.O_WRONLY)
        child = keeper.Child("1-1", "output", 1, full)
        child.record(keeper.encoded(EXIT))
        assert not child.write()
        path = tmp_path / "state"
        child.state = os.open(path, os.O_WRONLY | os.O_CREAT)
        assert child.write()
        assert json.loads(path.read_text()) == EXIT
        os.close(full)
        os.close(child.state)

    def test_a_claim_is_all_or_nothing(self):
        with (
            Path("/dev/full").open("wb", buffering=0) as full,
            pytest.raises(OSError, match="left"),
        ):
            keeper.write_whole(full.fileno(), b"x")


class TestTheSpool:
    def test_a_run_that_nobody_claimed_can_be_taken_back_and_asked_for_again(self, tmp_path):
        spool = Spool(tmp_path)
        run = Run(key="1-1", argv=("true",))
        assert spool.prepare(run)
        assert spool.take_back("1-1")
        with pytest.raises(FileNotFoundError):
            claim_as_a_keeper(spool, run)
        assert spool.take_back("1-1")
        assert spool.prepare(run)
        claim_as_a_keeper(spool, run)

    def test_a_run_that_was_claimed_can_not(self, tmp_path):
        spool = Spool(tmp_path)
        run = Run(key="1-1", argv=("true",))
        spool.prepare(run)
        claim_as_a_keeper(spool, run)
        with pytest.raises(FileExistsError):
            claim_as_a_keeper(spool, run)
        assert not spool.take_back("1-1")
        assert not spool.prepare(run)
        assert json.loads((tmp_path / "1-1" / "state").read_text())["argv"] == ["true"]

    def test_a_keeper_that_is_in_the_folder_already_cannot_claim_what_was_taken_back(
        self, tmp_path, monkeypatch
    ):
        spool = Spool(tmp_path)
        run = Run(key="1-1", argv=("true",), input="x")
        spool.prepare(run)
        make = os.open

        def made_late(path, flags, mode=0o777):
            if path == "state" and flags & os.O_CREAT:
                assert spool.take_back("1-1")
                assert spool.prepare(run)
            return make(path, flags, mode)

        monkeypatch.setattr(os, "open", made_late)
        with pytest.raises(FileNotFoundError):
            claim_as_a_keeper(spool, run)
        assert [path.name for path in (tmp_path / "1-1").iterdir()] == ["input"]

    def test_a_run_that_a_keeper_claims_while_it_is_taken_back_stays_claimed(
        self, tmp_path, monkeypatch
    ):
        spool = Spool(tmp_path)
        run = Run(key="1-1", argv=("true",), input="x")
        spool.prepare(run)
        remove = Path.rmdir

        def removed_late(path):
            claim_as_a_keeper(spool, run)
            remove(path)

        monkeypatch.setattr(Path, "rmdir", removed_late)
        assert not spool.take_back("1-1")
        assert spool.journal("1-1").claimed

    def test_a_folder_with_a_stranger_s_file_is_not_said_to_be_taken_back(self, tmp_path):
        spool = Spool(tmp_path)
        run = Run(key="1-1", argv=("true",))
        spool.prepare(run)
        (tmp_path / "1-1" / "stranger").touch()
        with pytest.raises(OSError, match="not empty"):
            spool.take_back("1-1")
        with pytest.raises(SpoolError, match="1-1: Directory not empty"):
            spool.prepare(run)

    def test_a_spool_that_cannot_be_made_is_named(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(SpoolError, match="file/spool"):
            Spool(tmp_path / "file" / "spool").create()

    def test_the_end_of_an_output_may_begin_within_a_character(self, tmp_path):
        spool = Spool(tmp_path)
        (tmp_path / "1-1").mkdir()
        (tmp_path / "1-1" / "output").write_bytes("aé€".encode() + b"\xff")
        assert spool.tail("1-1", 5) == "\N{REPLACEMENT CHARACTER}€\N{REPLACEMENT CHARACTER}"
        assert spool.tail("2-1", 5) == ""

    def test_the_mark_of_a_run_cannot_be_given_by_its_rule(self, tmp_path):
        run = Run(key="1-1", argv=("true",), env={"A": "1", identity.MARK: "/elsewhere"})
        assert environment(run, str(tmp_path)) == {"A": "1", identity.MARK: str(tmp_path)}


class TestTheBoundOfAnOutput:
    @given(size=st.integers(0, 300), limit=st.integers(64, 200))
    def test_keeps_beginning_and_end(self, size, limit, tmp_path_factory):
        path = tmp_path_factory.getbasetemp() / "output"
        before = bytes(33 + n % 90 for n in range(size))
        path.write_bytes(before)
        lost = keeper.bound(str(path), limit)
        after = path.read_bytes()
        if size <= limit:
            assert (after, lost) == (before, 0)
        else:
            head, tail = limit // 2, limit // 4
            assert after.startswith(before[:head] + b"\n[... %d bytes" % lost)
            assert after.endswith(b"dropped ...]\n" + before[-tail:])
            assert lost == size - head - tail


class TestAProgram:
    def test_is_looked_up_in_the_path_of_the_run(self, tmp_path):
        (tmp_path / "dsmc").touch(mode=0o755)
        run = Run(key="1", argv=("dsmc",), env={"PATH": f"/nowhere:{tmp_path}"})
        assert program(run) == (f"{tmp_path}/dsmc", "")

    def test_is_never_looked_for_in_a_relative_folder(self, tmp_path, monkeypatch):
        (tmp_path / "dsmc").touch(mode=0o755)
        monkeypatch.chdir(tmp_path)
        path, fault = program(Run(key="1", argv=("dsmc",), env={"PATH": "."}))
        assert path == ""
        assert "relative" in fault

    @pytest.mark.parametrize("number", [errno.EIO, errno.ELOOP])
    def test_that_fails_in_a_rare_way_is_reported_in_the_system_s_words(self, number):
        text = os.strerror(number)
        assert explained("/bin/x", number, text) == f"/bin/x could not be started: {text}"


class TestAProcess:
    def test_is_read_rightly_whatever_its_name_is(self):
        comm = Path("/proc/self/comm")
        name, known = comm.read_text(), keeper.process(os.getpid())
        try:
            comm.write_text(") Z 1 (2 (")
            assert keeper.process(os.getpid()) == known
        finally:
            comm.write_text(name)
        assert known[1:3] == (os.getpgrp(), os.getsid(0))

    def test_is_another_one_when_it_started_at_another_time(self):
        ticks = keeper.process(os.getpid())[3]
        assert Process(os.getpid(), ticks).is_alive
        assert not Process(os.getpid(), ticks - 1).is_alive

    def test_that_has_ended_but_was_not_asked_for_is_not_alive(self):
        pid = os.posix_spawn("/bin/true", ["true"], {})
        ticks = keeper.process(pid)[3]
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert keeper.process(pid)[0] == "Z"
        assert not Process(pid, ticks).is_alive
        os.waitpid(pid, 0)
        assert keeper.process(pid) is None

    def test_has_an_age(self):
        ticks = keeper.process(os.getpid())[3]
        assert 0 < Process(os.getpid(), ticks).age < Process(1, 0).age


def test_the_keeper_imports_nothing_of_ours_nor_of_others():
    code = f"""
import sys, runpy
sys.path.append({str(Path(keeper.__file__).parent)!r})
import keeper
known = sys.stdlib_module_names
print(*sorted(name for name in sys.modules if name.partition(".")[0] not in known))
"""
    read, write = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, write, 1)]
    words = [sys.executable, "-I", "-S", "-c", code]
    pid = os.posix_spawn(sys.executable, words, {}, file_actions=actions)
    os.close(write)
    with os.fdopen(read) as output:
        assert output.read().split() == ["__main__", "keeper"]
    assert os.waitpid(pid, 0)[1] == 0


class TestTheLedgerOfASpool:
    def test_is_kept_and_only_the_last_one(self, tmp_path):
        spool = Spool(tmp_path)
        assert spool.ledger() is None
        for ledger in ("0a1b2c3d", "99999999"):
            spool.belong(ledger)
            assert Spool(tmp_path).ledger() == ledger
        assert len(list(tmp_path.iterdir())) == 1

    def test_is_no_run(self, tmp_path):
        spool = Spool(tmp_path)
        spool.belong("0a1b2c3d")
        assert (list(spool.keys()), spool.newest()) == ([], 0)

    @pytest.mark.parametrize("text", ["", "ledger 0a1b", "0a1b2c3d\n", "\0" * 16])
    def test_is_not_known_from_what_is_not_whole(self, tmp_path, text):
        spool = Spool(tmp_path)
        (tmp_path / "ledger.mark").write_text(text)
        assert spool.ledger() is None
        spool.belong("0a1b2c3d")
        assert spool.ledger() == "0a1b2c3d"

    def test_is_read_where_nothing_can_be_written(self, tmp_path, monkeypatch):
        Spool(tmp_path).belong("0a1b2c3d")
        monkeypatch.setattr(os, "open", None)
        Spool(tmp_path).belong("0a1b2c3d")
        assert Spool(tmp_path).ledger() == "0a1b2c3d"
