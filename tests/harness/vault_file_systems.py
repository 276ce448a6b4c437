"""Vaults on file systems of their own, users to act as, and a kernel that a test acts between."""

import ctypes
import os
import pickle
import shutil
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

from vtspolicy.grammar import Target
from vtspolicy.vaults import System, Vaults

GROUP = 61000
OWNER = 61001
OTHER = 61002
TOKEN = "j12-1"

CAP_LEASE = 28

PLACES = {
    "ext4-128": ("ext4", 16, ["mkfs.ext4", "-q", "-I", "128"]),
    "ext4-256": ("ext4", 16, ["mkfs.ext4", "-q", "-I", "256"]),
    "xfs": ("xfs", 300, ["mkfs.xfs", "-q"]),
    "btrfs": ("btrfs", 120, ["mkfs.btrfs", "-q"]),
    "tmpfs": ("tmpfs", 16, None),
    "overlay": ("overlay", 16, None),
}
"""File systems: their type, MiB, and the command that makes one in a file."""

NETWORKED = ("nfs3", "nfs4")
NFS = "this kernel has no NFS client: not in /proc/filesystems"

NEEDED = {"ext4-128", "ext4-256", "tmpfs"}
"""Those without which the suite says nothing."""


class Ground:
    """One file system with a vault, its pool and one tape."""

    def __init__(self, name, base):
        self.name = name
        self.base = base / name
        self.type, self.size, self.maker = PLACES[name]
        self.vault = self.base / "VAULT01"
        self.pool = self.vault / "PAY"
        self.tape = self.pool / "A00017"
        self.options = []
        self.device = None
        self.features = None
        self.prepared = []

    def make(self):
        """Make and mount the file system. Raises OSError or CalledProcessError."""
        self.vault.mkdir(parents=True)
        if self.maker is not None:
            image = self.base / "image"
            with image.open("wb") as file:
                file.truncate(self.size << 20)
            run(*self.maker, image)
            self.device = image
            self.options = ["-o", "loop"]
        elif self.type == "tmpfs":
            self.device, self.options = "tmpfs", ["-o", f"size={self.size}m"]
        else:
            layers = self.base / "layers"
            layers.mkdir()
            run("mount", "-t", "tmpfs", "tmpfs", layers)  # its own root is no upper layer
            for layer in ("lower", "upper", "work"):
                (layers / layer).mkdir()
            self.device = "overlay"
            (layers / "lower" / "PAY").mkdir()
            self.options = [
                "-o",
                f"lowerdir={layers}/lower,upperdir={layers}/upper,workdir={layers}/work",
            ]
        self.mount()
        self.vault.chmod(0o755)

    def mount(self, *more):
        options = list(self.options)
        if more:
            options = ["-o", ",".join([*options[1:], *more])]
        run("mount", "-t", self.type, self.device, self.vault, *options)

    def unmount(self):
        run("umount", self.vault)

    @property
    def survives_unmount(self):
        return self.type != "tmpfs"

    def remove(self):
        subprocess.run(["umount", "-l", self.vault], check=False, capture_output=True)
        subprocess.run(["umount", "-l", self.base / "layers"], check=False, capture_output=True)

    def fresh(self, *, owner=OWNER, content=b"judged content " * 400):
        """Make the vault again, with one tape of an owner; return its content."""
        left = [*self.vault.glob(".prepared-*"), self.pool, self.vault / ".vtspolicy-clock"]
        subprocess.run(["rm", "-rf", *left], check=True)
        self.prepared = []
        self.pool.mkdir()
        os.chown(self.pool, owner, GROUP)
        self.pool.chmod(0o2775)
        os.chown(self.vault, 0, GROUP)
        self.vault.chmod(0o775)
        self.tape.write_bytes(content)
        os.chown(self.tape, owner, GROUP)
        self.tape.chmod(0o664)
        return content

    def vaults(self, **given):
        return Vaults({"VAULT01": self.vault}, **given)

    def probed(self, **given):
        """Vaults that were probed already, by root."""
        if self.features is None:
            self.features = self.vaults().probe("VAULT01")
        vaults = self.vaults(**given)
        vaults.features["VAULT01"] = self.features
        vaults._probed["VAULT01"] = (self.vault, self.vault.stat().st_dev)
        return vaults

    def prepare(self, count, content):
        """Make pools with a tape each, whose times will be old enough once `swap` is called."""
        self.prepared = []
        for number in range(count):
            pool = self.vault / f".prepared-{number}"
            pool.mkdir()
            tape = pool / self.tape.name
            tape.write_bytes(content)
            os.chown(tape, OWNER, -1)
            self.prepared.append(pool)
        if self.name == "ext4-128":
            time.sleep(2.1)

    def swap(self):
        """Put a prepared pool in the place of the one that there is; a tape's times stay."""
        shutil.rmtree(self.pool)
        self.prepared.pop().rename(self.pool)

    def hidden(self):
        """The private names that are left in the pool, but the clock's."""
        return sorted(
            each.name for each in self.pool.glob(".*") if not each.name.startswith(CLOCKS)
        )


CLOCKS = ".vtspolicy-clock"


def run(*command):
    subprocess.run([str(each) for each in command], check=True, capture_output=True)


def available():
    """The names of the file systems that can be mounted here, and why the others cannot."""
    if os.geteuid() != 0:
        return [], dict.fromkeys([*PLACES, *NETWORKED], "only root can mount")
    known = {line.split()[-1] for line in Path("/proc/filesystems").read_text().splitlines()}
    reasons = {name: NFS for name in NETWORKED if "nfs" not in known}
    for name, (kind, _, maker) in PLACES.items():
        if kind not in known:
            reasons[name] = "not in /proc/filesystems"
        elif maker is not None and shutil.which(maker[0]) is None:
            reasons[name] = f"{maker[0]} is not installed"
    return [name for name in PLACES if name not in reasons], reasons


def look(vaults):
    target = Target(vault="VAULT01", pool="PAY", cartridge="A00017")
    return vaults.find(target).tapes[0]


def acting_as(who, function, *args):
    """Return what a function returns in a process of another user, or raise what it raises.

    `owner` owns the tapes; `capable` is of their group and has CAP_LEASE, as the unit gives it;
    `neither` is only of their group.
    """
    user = OWNER if who == "owner" else OTHER
    return in_child(lambda: (become(user, capable=who == "capable"), function(*args))[1])


def become(user, *, capable):
    """Be another user from now on, with CAP_LEASE alone or with no capability."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
    os.setgroups([])
    os.setresgid(GROUP, GROUP, GROUP)
    os.setresuid(user, user, user)
    bits = 1 << CAP_LEASE if capable else 0
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)(bits, bits, 0, 0, 0, 0)
    if libc.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    os.umask(0o002)


def in_child(function):
    """Return what a function returns in a forked process, or raise what it raises there."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            answer = (True, function())
        except BaseException as error:  # noqa: BLE001  # it is raised again in the parent
            answer = (False, error)
        with suppress(OSError), os.fdopen(writing, "wb") as pipe:
            pickle.dump(answer, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if not text:
        return os.waitstatus_to_exitcode(status)
    good, answer = pickle.loads(text)
    if not good:
        raise answer
    return answer


STEPS = tuple(name for name in vars(System) if not name.startswith("_"))


class Between(System):
    """A kernel that calls `act(number, name)` before each system call, numbered from 1."""

    def __init__(self, act):
        self.act = act
        self.count = 0

    def step(self, name):
        self.count += 1
        self.act(self.count, name)


def _stepping(name):
    real = getattr(System, name)

    def call(self, *args, **given):
        self.step(name)
        return real(self, *args, **given)

    return call


for _name in STEPS:
    setattr(Between, _name, _stepping(_name))


class Host:
    """A host's process that does something to the tape, once, and may have to wait for it."""

    def __init__(self, ground):
        self.ground = ground
        self.thread = None
        self.failure = None
        self.data = b"HOST DATA " * 600

    def start(self, what):
        """Begin; return when it is done or waits."""
        self.thread = threading.Thread(target=self._run, args=(getattr(self, what),))
        self.thread.start()
        self.thread.join(0.004)

    def _run(self, what):
        try:
            what()
        except OSError as error:
            self.failure = error

    def end(self):
        self.thread.join(5)
        assert not self.thread.is_alive(), "the host still waits for the tape"

    # What a host does; each leaves its data somewhere, or fails.

    def rewrite(self):
        """Write over the tape, same size, and set the old time of write."""
        facts = self.ground.tape.stat()
        with self.ground.tape.open("r+b") as file:
            file.write((self.data * (facts.st_size // len(self.data) + 1))[: len(self.data)])
        os.utime(self.ground.tape, ns=(facts.st_atime_ns, facts.st_mtime_ns))

    def append(self):
        with self.ground.tape.open("ab") as file:
            file.write(self.data)

    def renew(self):
        """Make the tape anew under another name and rename it over the tape."""
        new = self.ground.pool / "NEW"
        new.write_bytes(self.data)
        new.rename(self.ground.tape)

    def scratch(self):
        """Truncate the tape and write it."""
        self.ground.tape.write_bytes(self.data)
