"""What the table of the benchmarks says of the machine."""

import re
from pathlib import Path

import pytest

from tests.benchmarks.table import file_system, python_build

MOUNTS = r"""
/dev/vda / ext4 rw 0 0
/dev/vdb /vault\040one xfs rw 0 0
tmpfs /tmp tmpfs rw 0 0
/dev/vdc /tmp btrfs rw 0 0
""".lstrip()


def test_a_folder_is_in_the_file_system_that_is_mounted_nearest():
    assert file_system(Path("/var/lib"), MOUNTS) == "ext4"
    assert file_system(Path("/vault one/PAYROLL"), MOUNTS) == "xfs"


def test_a_later_mount_covers_an_earlier_one():
    assert file_system(Path("/tmp"), MOUNTS) == "btrfs"


def test_this_machines_own_mounts_are_read():
    assert file_system(Path("/proc/self")) == "proc"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("'--enable-optimizations' '--with-lto'", "--enable-optimizations --with-lto"),
        ("'--enable-shared'", "no --enable-optimizations"),
        (None, "no --enable-optimizations"),
    ],
)
def test_the_python_build_tells_the_options_that_make_it_faster(monkeypatch, options, told):
    monkeypatch.setattr("sysconfig.get_config_var", {"CONFIG_ARGS": options}.get)
    assert re.fullmatch(rf"\w+ 3\.\d+\.\S+ \(.+\), .+, {told}", python_build())
