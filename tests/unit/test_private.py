"""What holds secrets is its user's alone, whatever the umask, and so is each copy of it."""

import os
import stat
from pathlib import Path

import pytest
from twisted.internet.testing import MemoryReactorClock

from vtspolicy.exit_codes import Exit
from vtspolicy.ledger.sqlite.copies import copy
from vtspolicy.ledger.sqlite.database_file import connect, open_file
from vtspolicy.ledger.sqlite.preflight import ServerLock
from vtspolicy.private import make_folder
from vtspolicy.runner.link import KeeperLink
from vtspolicy.runner.protocol import SpoolError
from vtspolicy.runner.spool import Spool
from vtspolicy.starting import exit_code


@pytest.fixture(autouse=True)
def no_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder):
    return {
        str(each.relative_to(folder)): oct(stat.S_IMODE(each.stat().st_mode))
        for each in sorted(folder.rglob("*"))
    }


def test_a_ledger_is_private_with_all_that_stands_beside_it(tmp_path):
    path = tmp_path / "lib" / "ledger.db"
    lock = ServerLock(path)
    connection = open_file(path)
    connection.execute("INSERT INTO meta (key, value) VALUES ('a', 'b')")
    copy(path, tmp_path / "copy.db")
    found = modes(tmp_path)
    connection.close()
    lock.release()
    assert found == {
        "copy.db": "0o600",
        "lib": "0o700",
        "lib/ledger.db": "0o600",
        "lib/ledger.db-shm": "0o600",
        "lib/ledger.db-wal": "0o600",
        "lib/ledger.db.lock": "0o600",
    }


def test_a_copy_that_is_put_into_place_is_private_too(tmp_path):
    open_file(tmp_path / "ledger.db").close()
    copy(tmp_path / "ledger.db", tmp_path / "put.db")
    connection = connect(tmp_path / "put.db")
    connection.execute("INSERT INTO meta (key, value) VALUES ('a', 'b')")
    found = set(modes(tmp_path).values())
    connection.close()
    assert found == {"0o600"}


@pytest.mark.parametrize(("before", "after"), [(0o644, 0o640), (0o640, 0o640), (0o600, 0o600)])
def test_a_ledger_of_an_earlier_version_is_taken_from_others_at_the_start(tmp_path, before, after):
    path = tmp_path / "ledger.db"
    open_file(path).close()
    path.chmod(before)
    open_file(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == after


def test_a_spool_that_is_made_is_private(tmp_path):
    Spool(tmp_path / "spool").create()
    assert set(modes(tmp_path).values()) == {"0o700"}


def test_the_log_of_the_keeper_is_private(tmp_path, monkeypatch):
    link = KeeperLink(
        MemoryReactorClock(), tmp_path, idle=1.0, up=dict, down=dict, told=lambda _: None
    )
    monkeypatch.setattr("os.posix_spawn", lambda *_, **__: 1)
    assert link._spawn_keeper(tmp_path / "keeper.log") == 1
    assert modes(tmp_path) == {"keeper.log": "0o600"}


def test_a_folder_above_the_last_is_not_made_because_it_may_be_on_another_disk(tmp_path):
    away = tmp_path / "disk"
    with pytest.raises(SpoolError, match=f"{away} is missing: mount its disk, or make"):
        Spool(away / "vts" / "spool").create()
    with pytest.raises(OSError, match=f"{away} is missing: mount its disk, or make") as caught:
        open_file(away / "vts" / "ledger.db")
    assert exit_code(caught.value) == Exit.NOT_STARTED
    assert not away.exists()


def test_a_place_that_takes_no_folder_is_an_error_of_the_system():
    with pytest.raises(OSError, match="/proc/spool"):
        make_folder(Path("/proc/spool"))


def test_folders_that_are_there_keep_their_rights(tmp_path):
    (tmp_path / "there").mkdir(mode=0o755)
    make_folder(tmp_path / "there" / "new")
    assert modes(tmp_path) == {"there": "0o755", "there/new": "0o700"}
