"""What a vault can do: found out again for another file system, and not spoilt by one odd tape."""

import errno
import os
from collections import deque
from pathlib import Path

import pytest

from vtspolicy.grammar import Target
from vtspolicy.tapes import VaultFeatures
from vtspolicy.vaults import System, Vaults, vaults

FINE = VaultFeatures(tick_ns=1_000_000)
COARSE = VaultFeatures(tick_ns=1_000_000_000)


class Facts:
    """What the kernel says of a file, on another device."""

    def __init__(self, real, device):
        self.real, self.st_dev = real, device

    def __getattr__(self, name):
        return getattr(self.real, name)


class Mounted(System):
    """A kernel by which some folders are file systems of their own."""

    def __init__(self):
        self.devices = {}  # by inode

    def facts(self, file):
        real = super().facts(file)
        return Facts(real, self.devices.get(real.st_ino, real.st_dev))


@pytest.fixture
def root(tmp_path):
    for pool in ("PAY", "OTHER"):
        (tmp_path / pool).mkdir()
        (tmp_path / pool / f"{pool[0]}00001").write_bytes(b"data")
    return tmp_path


@pytest.fixture
def found(monkeypatch):
    """What the next probes find."""
    found = deque()
    monkeypatch.setattr(vaults, "probe", lambda *_: found.popleft())
    return found


def tape_of(where, pool="PAY"):
    return where.find(Target(vault="VAULT01", pool=pool, cartridge=f"{pool[0]}00001")).tapes[0]


def test_a_vault_that_was_mounted_after_the_start_is_probed_again(root, found):
    there = Vaults({"VAULT01": root}, system=Mounted())
    found += [FINE, COARSE]
    assert there.features_of("VAULT01") is FINE
    assert there.features_of("VAULT01") is FINE
    there.system.devices[root.stat().st_ino] = 77
    assert there.features_of("VAULT01") is COARSE


def test_a_pool_that_is_a_file_system_of_its_own_is_probed_by_itself(root, found):
    there = Vaults({"VAULT01": root}, system=Mounted())
    there.system.devices[(root / "PAY").stat().st_ino] = 78
    found += [FINE, COARSE]
    assert there.features_for(tape_of(there, "OTHER")) is FINE
    assert there.features_for(tape_of(there)) is COARSE
    assert there.features_for(tape_of(there)) is COARSE
    assert 1.5 < there.settle_time(tape_of(there)) <= 2.0
    assert there.settle_time(tape_of(there, "OTHER")) < 0.1


def test_the_clock_of_a_pool_that_is_mounted_by_itself_is_its_own(root, found):
    there = Vaults({"VAULT01": root}, system=Mounted())
    there.system.devices[(root / "PAY").stat().st_ino] = 78
    there.moment(tape_of(there))
    assert (root / "PAY" / ".vtspolicy-clock").exists()
    assert not (root / ".vtspolicy-clock").exists()


class Foreign(System):
    """A kernel that gives leases on private files, and on the tapes of one pool."""

    def __init__(self, ours):
        self.ours = ours

    def facts_at(self, name, folder):
        real = super().facts_at(name, folder)
        return real if name.startswith(".") else Owned(real)

    def lease(self, file, kind):
        path = Path(f"/proc/self/fd/{file}").readlink()
        if not path.name.startswith(".") and path.parent.name not in self.ours:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        super().lease(file, kind)


class Owned(Facts):
    """What is known of a tape of somebody else."""

    def __init__(self, real):
        super().__init__(real, real.st_dev)
        self.st_uid = real.st_uid + 1


@pytest.mark.parametrize(
    ("ours", "leases"), [(("PAY", "OTHER"), True), (("PAY",), True), ((), False)]
)
def test_one_tape_of_somebody_else_takes_no_leases_from_the_others(root, ours, leases):
    there = Vaults({"VAULT01": root}, system=Foreign(ours))
    assert there.probe("VAULT01").leases is leases


def test_a_tape_of_ours_has_leases_though_the_first_ones_were_those_of_others(root):
    there = Vaults({"VAULT01": root}, system=Foreign(()))
    assert there.probe("VAULT01").leases is False
    there.system.ours = ("PAY",)
    assert there.features_for(tape_of(there)).leases is True
    assert there.features_for(tape_of(there, "OTHER")).leases is False
