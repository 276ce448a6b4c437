"""Every act of the vault adapter, on real file systems, by three users, between all its steps."""

import errno
import fcntl
import mmap
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from attrs import evolve

from tests.harness.vault_file_systems import (
    NEEDED,
    OTHER,
    OWNER,
    TOKEN,
    Between,
    Ground,
    Host,
    acting_as,
    available,
    in_child,
    look,
    run,
)
from vtspolicy.tapes import Difference, difference
from vtspolicy.tapes.fingerprint import FINE_TICK_NS
from vtspolicy.vaults import (
    CannotExchangeError,
    ChangedError,
    InUseError,
    NoLeaseError,
    VaultBusyError,
    VaultError,
    acts,
    files,
    restores,
)

pytestmark = [pytest.mark.programs, pytest.mark.mounts]

GROUNDS, REASONS = available()

RESTORED = b"restored content " * 500


@pytest.fixture(scope="module", params=GROUNDS)
def ground(request):
    base = Path(tempfile.mkdtemp(prefix="vtspolicy-vault-suite-"))
    base.chmod(0o755)
    ground = Ground(request.param, base)
    run("mount", "-t", "tmpfs", "tmpfs", base)  # disks in memory
    try:
        ground.make()
        yield ground
    finally:
        ground.remove()
        run("umount", "-l", base)
        base.rmdir()


@pytest.fixture
def fresh(ground):
    """The ground with a vault made again, and the content of its tape."""
    ground.content = ground.fresh()
    return ground


@pytest.fixture
def patient(monkeypatch):
    """Acts that wait for nothing: the hosts of a test are there already."""
    monkeypatch.setattr(acts, "GRACE", 0)
    monkeypatch.setattr(restores, "GRACE", 0)
    monkeypatch.setattr(files, "WAITS", ())


def bring(vaults, tape, content=RESTORED, token=TOKEN):
    Path(vaults.new_target(tape, token)).write_bytes(content)
    return vaults.brought(tape, token)


def exchanged(vaults, tape, token=TOKEN):
    bring(vaults, tape, token=token)
    return vaults.exchange(tape, tape.seen, token)


def copied(vaults, tape, token=TOKEN):
    bring(vaults, tape, token=token)
    return copied_into(vaults, tape, token)


def copied_into(vaults, tape, token=TOKEN):
    vaults.begin_copying(tape, tape.seen, token)
    after = vaults.copy_into(tape, tape.seen, token)
    vaults.discard(tape, token)
    return after


ACTS = {
    "erase": lambda vaults, tape: vaults.erase(tape, tape.seen),
    "delete": lambda vaults, tape: vaults.delete(tape, tape.seen, TOKEN),
    "exchange": exchanged,
}
"""What destroys the judged content of a tape."""

acting = pytest.mark.parametrize("act", list(ACTS))


def test_the_suite_runs_on_what_can_be_mounted():
    for name, reason in REASONS.items():
        print(f"{name}: not available here: {reason}")  # noqa: T201  # pytest -rP shows it
    assert set(GROUNDS) >= NEEDED


# -- what is found by the probe


@pytest.mark.parametrize(
    ("who", "leases"), [("owner", True), ("capable", True), ("neither", False)]
)
def test_the_probe_shows_what_can_be_done(fresh, who, leases):
    def probed():
        vaults = fresh.vaults()
        return vaults.probe("VAULT01"), vaults.missing("VAULT01")

    features, missing = acting_as(who, probed)
    assert features.leases is leases
    assert missing == (() if leases else ("leases",))
    if fresh.name == "ext4-128":
        assert features.tick_ns == 1_000_000_000
    else:
        assert features.tick_ns <= 20_000_000
    assert [each.name for each in fresh.vault.glob(".vtspolicy-probe*")] == []


def test_two_processes_can_probe_at_once(fresh):
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            good = all(not fresh.vaults().missing("VAULT01") for _ in range(5))
            os._exit(0 if good else 1)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(each, 0)[1]) for each in children] == [0, 0, 0]
    assert [each.name for each in fresh.vault.glob(".vtspolicy-probe*")] == []


def test_a_vault_that_has_only_tapes_of_the_server_needs_no_capability(ground):
    ground.fresh(owner=OTHER)
    assert acting_as("neither", lambda: ground.vaults().missing("VAULT01")) == ()


# -- the acts, by three users


def outcome(ground, who, act):
    """Return what an act of a user comes to: None, or the class of its error."""

    def tried():
        vaults = ground.vaults()
        try:
            act(vaults, look(vaults))
        except VaultError as error:
            return type(error)
        return None

    return acting_as(who, tried)


@pytest.mark.parametrize(
    ("who", "act", "error"),
    [
        ("owner", "erase", None),
        ("owner", "delete", None),
        ("owner", "exchange", None),
        ("capable", "erase", None),
        ("capable", "delete", None),
        ("capable", "exchange", CannotExchangeError),  # it cannot give the file its owner
        ("neither", "erase", NoLeaseError),
        ("neither", "delete", NoLeaseError),
        ("neither", "exchange", NoLeaseError),
    ],
)
def test_who_may_do_what(fresh, who, act, error):
    assert outcome(fresh, who, ACTS[act]) is error
    if error is not None:
        assert fresh.tape.read_bytes() == fresh.content
        assert fresh.tape.stat().st_uid == OWNER
        return
    expected = {"erase": b"", "delete": None, "exchange": RESTORED}[act]
    assert (fresh.tape.read_bytes() if fresh.tape.exists() else None) == expected
    assert fresh.hidden() == []


@pytest.mark.parametrize("who", ["owner", "capable", "neither"])
def test_an_empty_tape_is_restored_in_place_by_whoever_may_write_it(fresh, who):
    fresh.fresh(content=b"")
    inode = fresh.tape.stat().st_ino
    assert outcome(fresh, who, copied) is None
    assert fresh.tape.read_bytes() == RESTORED
    assert fresh.tape.stat().st_ino == inode
    assert fresh.hidden() == []


@pytest.mark.parametrize("who", ["owner", "capable", "neither"])
def test_a_missing_tape_is_restored_by_whoever_may_write_the_pool(fresh, who):
    fresh.tape.unlink()

    def act(vaults, tape):
        bring(vaults, tape)
        vaults.exchange(tape, None, TOKEN)

    assert outcome(fresh, who, act) is None
    facts = fresh.tape.stat()
    assert fresh.tape.read_bytes() == RESTORED
    assert (facts.st_gid, facts.st_mode & 0o777) == (fresh.pool.stat().st_gid, 0o664)
    assert fresh.hidden() == []


@pytest.mark.parametrize("act", ["erase", "delete", "exchange"])
def test_a_site_can_accept_that_there_are_no_leases(fresh, act):
    def tried():
        vaults = fresh.vaults(accepted={"VAULT01": frozenset({"leases"})})
        tape = look(vaults)
        fresh_error = None
        try:
            ACTS[act](vaults, tape)
        except VaultError as error:
            fresh_error = type(error)
        return fresh_error

    expected = CannotExchangeError if act == "exchange" else None  # the owner is another
    assert acting_as("neither", tried) is expected


def test_what_an_act_returns_is_what_is_seen_next(fresh):
    vaults = fresh.probed()
    tape = look(vaults)
    assert exchanged(vaults, tape) == look(vaults).seen
    tape = look(vaults)
    assert vaults.erase(tape, tape.seen) == look(vaults).seen
    tape = look(vaults)
    assert copied(vaults, tape) == look(vaults).seen
    assert vaults.digest(tape).digest is not None


# -- files in use


@contextmanager
def mapped(path):
    """The tape is mapped, and the file closed."""
    with path.open("r+b") as file:
        pages = mmap.mmap(file.fileno(), 0)
    yield
    pages.close()


HELD = {
    "read": lambda path: path.open("rb"),
    "written": lambda path: path.open("r+b"),
    "mapped": mapped,
}


@acting
@pytest.mark.parametrize("how", ["read", "written", "mapped"])
def test_a_tape_in_use_is_left_alone(fresh, patient, act, how):
    vaults = fresh.probed()
    tape = look(vaults)
    with HELD[how](fresh.tape):
        assert vaults.writer(tape) is (how != "read")
        assert vaults.take_look(tape).writer is (how != "read")
        with pytest.raises(InUseError, match="in use"):
            ACTS[act](vaults, tape)
        assert fresh.tape.read_bytes() == fresh.content
    assert vaults.writer(tape) is False
    assert vaults.take_look(tape).fingerprint == tape.seen


@pytest.mark.parametrize(("who", "answer"), [("owner", True), ("capable", True), ("neither", None)])
def test_who_can_tell_that_a_tape_is_written(fresh, who, answer):
    with fresh.tape.open("r+b"):
        vaults = fresh.vaults()
        assert acting_as(who, lambda: vaults.writer(look(vaults))) is answer


def test_nothing_of_a_lease_is_left_behind(fresh):
    vaults = fresh.probed()
    tape = look(vaults)
    assert signal.getsignal(signal.SIGURG) in {signal.SIG_DFL, signal.SIG_IGN}
    vaults.writer(tape)
    vaults.take_look(tape)
    before = set(signal.sigpending())
    with fresh.tape.open("r+b"):
        assert set(signal.sigpending()) == before
    vaults.erase(tape, tape.seen)
    os.close(os.open(fresh.tape, os.O_RDWR | os.O_NONBLOCK))  # EWOULDBLOCK if it were held


def test_a_tape_that_is_held_open_can_be_restored_in_place(fresh, patient):
    fresh.fresh(content=b"")
    vaults = fresh.probed()
    tape = look(vaults)
    with fresh.tape.open("rb"):
        bring(vaults, tape)
        with pytest.raises(InUseError):
            vaults.exchange(tape, tape.seen, TOKEN)
        copied_into(vaults, tape)
    assert fresh.tape.read_bytes() == RESTORED


# -- another file, or another content


@acting
def test_a_rewrite_with_the_old_size_and_time_is_seen_once_the_tape_has_settled(fresh, act):
    vaults = fresh.probed()
    tape = look(vaults)
    wait = vaults.settle_time(tape)
    assert wait <= 2.0
    if fresh.name == "ext4-128":
        assert wait > 0  # a write within the same second would not be seen
    time.sleep(wait)
    Host(fresh).rewrite()
    assert fresh.tape.stat().st_mtime_ns == tape.seen.mtime_ns
    with pytest.raises(ChangedError):
        ACTS[act](vaults, tape)
    assert fresh.tape.read_bytes().startswith(b"HOST DATA")
    assert vaults.settle_time(look(vaults)) >= 0
    assert difference(tape.seen, look(vaults).seen) is not Difference.NONE


@acting
def test_a_file_that_was_renamed_over_the_tape_is_left_alone(fresh, act):
    vaults = fresh.probed()
    tape = look(vaults)
    Host(fresh).renew()
    with pytest.raises(ChangedError):
        ACTS[act](vaults, tape)
    assert fresh.tape.read_bytes().startswith(b"HOST DATA")


def hard_link(ground):
    (ground.vault / "second").unlink(missing_ok=True)
    (ground.vault / "second").hardlink_to(ground.tape)


def symbolic_link(ground):
    ground.tape.rename(ground.pool / "OTHER")
    ground.tape.symlink_to("OTHER")


def linked_pool(ground):
    shutil.rmtree(ground.vault / "ELSEWHERE", ignore_errors=True)
    shutil.copytree(ground.pool, ground.vault / "ELSEWHERE")
    shutil.rmtree(ground.pool)
    ground.pool.symlink_to("ELSEWHERE")


def pipe(ground):
    ground.tape.unlink()
    os.mkfifo(ground.tape)


def folder(ground):
    ground.tape.unlink()
    ground.tape.mkdir()


@acting
@pytest.mark.parametrize("odd", [hard_link, symbolic_link, linked_pool, pipe, folder])
def test_what_is_not_a_plain_file_of_the_pool_is_left_alone(fresh, act, odd):
    vaults = fresh.probed()
    tape = look(vaults)
    odd(fresh)
    with pytest.raises(VaultError):
        ACTS[act](vaults, tape)
    if odd in {hard_link, symbolic_link, linked_pool}:
        assert fresh.tape.read_bytes() == fresh.content
    assert fresh.tape.exists()
    if odd is linked_pool:
        fresh.pool.unlink()


def test_times_ahead_of_the_vaults_clock_are_reported(fresh):
    vaults = fresh.probed()
    tape = look(vaults)
    assert abs(vaults.moment(tape) - time.time_ns()) < 3_000_000_000
    later = time.time_ns() + 3_600_000_000_000
    os.utime(fresh.tape, ns=(later, later))
    assert vaults.settle_time(tape) <= 2.0


# -- what a restored file takes over


def test_a_restored_file_takes_over_owner_mode_access_list_and_attributes(fresh):
    run("setfacl", "-m", "u:12345:rw,g:23456:r", fresh.tape)
    run("setfattr", "-n", "user.volume", "-v", "A00017", fresh.tape)

    def alike():
        listed = ["getfacl", "-cpn", fresh.tape]
        return (
            fresh.tape.stat().st_uid,
            fresh.tape.stat().st_gid,
            fresh.tape.stat().st_mode,
            subprocess.run(listed, check=True, capture_output=True).stdout,
            os.getxattr(fresh.tape, "user.volume"),
            sorted(os.listxattr(fresh.tape)),
        )

    before = alike()
    vaults = fresh.probed()
    tape = look(vaults)
    bring(vaults, tape)
    private = fresh.pool / f".vtspolicy-{TOKEN}-restore-A00017"
    run("setfattr", "-n", "user.other", "-v", "gone", private)
    vaults.exchange(tape, tape.seen, TOKEN)
    assert alike() == before
    assert fresh.tape.read_bytes() == RESTORED


def test_what_came_to_the_private_folder_is_found_and_links_are_not_followed(fresh):
    vaults = fresh.probed()
    tape = look(vaults)
    staging = Path(vaults.new_staging(tape, TOKEN))
    assert staging.stat().st_mode & 0o777 == 0o700
    with pytest.raises(VaultError, match="nothing came back"):
        vaults.brought(tape, TOKEN)
    (staging / "a" / "b").mkdir(parents=True)
    (staging / "a" / "link").symlink_to(fresh.vault)
    (staging / "a" / "b" / "A00017").symlink_to(fresh.tape)
    with pytest.raises(VaultError, match="not a regular file"):
        vaults.brought(tape, TOKEN)
    (staging / "a" / "b" / "A00017").unlink()
    (staging / "a" / "one").write_bytes(RESTORED)
    (staging / "a" / "two").write_bytes(RESTORED)
    with pytest.raises(VaultError, match="not known which of them"):
        vaults.brought(tape, TOKEN)
    (staging / "a" / "b" / "A00017").write_bytes(RESTORED)
    assert vaults.brought(tape, TOKEN).size == len(RESTORED)
    vaults.exchange(tape, tape.seen, TOKEN)
    vaults.discard(tape, TOKEN)
    assert fresh.tape.read_bytes() == RESTORED
    assert fresh.hidden() == []


# -- mounted anew, or for reading only


def test_a_remount_changes_no_fingerprint(fresh):
    if not fresh.survives_unmount:
        return  # its files end with it
    vaults = fresh.vaults()
    features = vaults.features_of("VAULT01")
    before = look(vaults).seen
    fresh.unmount()
    fresh.mount()
    after = look(vaults).seen
    if features.tick_ns > FINE_TICK_NS:  # then the number of its device counts
        before = evolve(before, device=after.device)
    assert difference(before, after, features) is Difference.NONE
    tape = evolve(look(vaults), seen=before)
    vaults.erase(tape, before)
    assert fresh.tape.stat().st_size == 0


def test_in_a_vault_that_is_mounted_for_reading_only_tapes_can_be_looked_at(fresh):
    if fresh.survives_unmount:
        fresh.unmount()
        fresh.mount("ro")
    else:
        run("mount", "-o", "remount,ro", fresh.vault)
    try:
        vaults = fresh.vaults()
        tape = look(vaults)
        assert vaults.take_look(tape).fingerprint == tape.seen
        assert vaults.settle_time(tape) <= 5.0
        for refused in (
            lambda: vaults.probe("VAULT01"),
            lambda: vaults.moment(tape),
            lambda: vaults.erase(tape, tape.seen),
            lambda: vaults.delete(tape, tape.seen, TOKEN),
        ):
            with pytest.raises(VaultError):
                refused()
        assert fresh.tape.read_bytes() == fresh.content
    finally:
        if fresh.survives_unmount:
            fresh.unmount()
            fresh.mount()
        else:
            run("mount", "-o", "remount,rw", fresh.vault)


# -- between any two steps of an act


def restore_missing(vaults, tape):
    bring(vaults, tape)
    vaults.exchange(tape, None, TOKEN)


STARTS = {
    "erase": (ACTS["erase"], b"judged content " * 400),
    "delete": (ACTS["delete"], b"judged content " * 400),
    "exchange": (ACTS["exchange"], b"judged content " * 400),
    "restore a missing one": (restore_missing, None),
    "copy into an empty one": (copied, b""),
}
"""Acts, and the tape that each begins with."""


class Trial:
    """One act on a tape made anew, through a kernel that does something at one step."""

    def __init__(self, ground, name):
        self.ground = ground
        self.act, self.content = STARTS[name]
        self.error = None

    def begin(self, at_step):
        """Do the act; `at_step` is called before each system call. Return how many there were."""
        if self.ground.prepared:
            self.ground.swap()
        else:
            for each in self.ground.pool.iterdir():
                each.unlink()
            if self.content is not None:
                self.ground.tape.write_bytes(self.content)
                os.chown(self.ground.tape, OWNER, -1)
        system = Between(lambda *_: None)
        vaults = self.ground.probed(system=system)
        tape = look(vaults)
        system.count = 0
        system.act = at_step
        self.error = None
        try:
            self.act(vaults, tape)
        except VaultError as error:
            self.error = error
        system.act = lambda *_: None
        self.vaults, self.tape = vaults, tape
        return system.count

    @property
    def found(self):
        """All that is in the pool, by name."""
        return {
            each.name: each.read_bytes() for each in self.ground.pool.iterdir() if each.is_file()
        }


@pytest.fixture
def stepping(ground, patient):
    ground.fresh()
    return ground


def begin_at(step, host, what, number, _call):
    """Let a host begin what it does at one step of an act."""
    if number == step:
        host.start(what)


FULL = {"tmpfs", "ext4-256"}
"""Where a host acts at every step; elsewhere at every fourth."""


@pytest.mark.parametrize("name", list(STARTS))
def test_nothing_that_a_host_writes_during_an_act_is_lost(stepping, name):
    trial = Trial(stepping, name)
    steps = trial.begin(lambda *_: None)
    assert trial.error is None
    assert steps > 10
    cases = [
        (step, what)
        for step in range(1, steps + 1, 1 if stepping.name in FULL else 4)
        for what in ("rewrite", "append", "renew", "scratch")
    ]
    if trial.content:
        stepping.prepare(len(cases), trial.content)
    for step, what in cases:
        host = Host(stepping)
        trial.begin(partial(begin_at, step, host, what))
        host.end()
        where = f"{what} before step {step} of {steps}: {trial.error}"
        found = trial.found
        if host.failure is None:
            holding = [path for path, data in found.items() if host.data in data]
            assert holding, where
            assert holding == ["A00017"] or holding[0] in str(trial.error), where
        if trial.error is not None and trial.content and not host.failure:
            assert "A00017" in found, where


@pytest.mark.parametrize("name", list(STARTS))
def test_a_crash_at_any_step_is_completed_or_undone(stepping, name):
    trial = Trial(stepping, name)
    steps = trial.begin(lambda *_: None)
    every = 1 if stepping.name in FULL else 3
    for step in range(1, steps + 1, every):
        in_child(lambda at=step: trial.begin(lambda number, _: number == at and os._exit(9)))
        vaults = stepping.probed()
        tape = look(vaults)
        vaults.recover(tape, TOKEN)
        where = f"killed before step {step} of {steps}"
        assert stepping.hidden() == [], where
        now = stepping.tape.read_bytes() if stepping.tape.exists() else None
        whole = {"erase": b"", "delete": None}.get(name, RESTORED)
        assert now in (trial.content, whole), where


@pytest.mark.parametrize("name", list(STARTS))
def test_what_a_host_writes_after_a_crash_is_not_lost_by_the_recovery(stepping, name):
    trial = Trial(stepping, name)
    steps = trial.begin(lambda *_: None)
    for step in range(1, steps + 1, 2 if stepping.name in FULL else 6):
        in_child(lambda at=step: trial.begin(lambda number, _: number == at and os._exit(9)))
        host = Host(stepping)
        host.scratch()
        vaults = stepping.probed()
        error = None
        try:
            vaults.recover(look(vaults), TOKEN)
        except VaultError as raised:
            error = raised
        assert stepping.tape.read_bytes() == host.data, f"step {step} of {steps}: {error}"


@pytest.mark.parametrize("name", list(STARTS))
@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE])
def test_an_error_of_the_system_at_any_step_loses_nothing(stepping, name, number):
    trial = Trial(stepping, name)
    steps = trial.begin(lambda *_: None)
    harmless = {"close", "facts", "facts_at", "leased"}
    for step in range(1, steps + 1, 1 if stepping.name == "tmpfs" else 5):
        called = []

        def fail(count, call, at=step, called=called):
            if count == at and call != "close":
                called.append(call)
                raise OSError(number, os.strerror(number))

        trial.begin(fail)
        where = f"{called} failed, step {step} of {steps}: {trial.error}"
        if number == errno.EMFILE and called == ["open"]:
            assert isinstance(trial.error, VaultBusyError), where
        with suppress(VaultError):
            stepping.probed().recover(trial.tape, TOKEN)
        now = stepping.tape.read_bytes() if stepping.tape.exists() else None
        whole = {"erase": b"", "delete": None}.get(name, RESTORED)
        assert now in (trial.content, whole), where
        if trial.error is None and called and called[0] not in harmless:
            assert now == whole, where


@pytest.mark.parametrize("at", ["the beginning", "the end"])
def test_a_process_that_holds_the_tape_open_loses_nothing_to_a_restore(stepping, monkeypatch, at):
    monkeypatch.setattr(restores, "CHUNK", 3000)
    trial = Trial(stepping, "copy into an empty one")
    steps = trial.begin(lambda *_: None)
    data = Host(stepping).data
    for step in range(5, steps + 1):
        held, calls = [], []

        def write(number, call, step=step, held=held, calls=calls):
            if call == "open" and not held:
                held.append(stepping.tape.open("r+b", buffering=0))  # before the act takes a lease
            if number == step:
                file = held[0]
                file.seek(0, os.SEEK_END if at == "the end" else os.SEEK_SET)
                file.write(data)
            if number < step:
                calls.append(call)

        done = trial.begin(write)
        held[0].close()
        if done < step:
            break  # without a lease there is less to do
        now = stepping.tape.read_bytes()
        assert data in now, f"step {step} of {steps}: {trial.error}"
        if trial.error is None:
            assert calls.count("sync") >= 6, "only after the data was compared"
        else:
            assert isinstance(trial.error, ChangedError)


def test_a_lease_that_was_broken_while_a_tape_was_emptied_is_reported(stepping, monkeypatch):
    monkeypatch.setattr(files, "lease_break_time", lambda: 1e-6)
    trial = Trial(stepping, "erase")
    host = Host(stepping)
    trial.begin(lambda _, call: call == "truncate" and host.start("append"))
    host.end()
    assert "may have opened it" in str(trial.error)
    assert stepping.tape.read_bytes() == host.data


def test_the_kernel_tells_the_holder_of_a_lease_that_somebody_waits(stepping):
    file = os.open(stepping.tape, os.O_RDONLY)
    fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    with pytest.raises(BlockingIOError):
        os.open(stepping.tape, os.O_RDONLY | os.O_NONBLOCK)
    assert fcntl.fcntl(file, fcntl.F_GETLEASE) != fcntl.F_WRLCK
    os.close(file)
