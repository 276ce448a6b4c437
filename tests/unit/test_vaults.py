"""Vaults on disk: nothing that a host names leads out of its vault."""

import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest

from vtspolicy.grammar import Target
from vtspolicy.tapes import Tape
from vtspolicy.vaults import OneLook, System, VaultError, Vaults, look_through


@pytest.fixture
def root(tmp_path):
    pool = tmp_path / "VAULT01" / "PAY"
    pool.mkdir(parents=True)
    (pool / "A00017").write_bytes(b"data")
    (pool / "A00018").write_bytes(b"")
    (pool / ".hidden").write_bytes(b"")
    (tmp_path / "outside").write_bytes(b"secret")
    return tmp_path


@pytest.fixture
def vaults(root):
    return Vaults({"VAULT01": root / "VAULT01"})


@pytest.fixture(params=["by itself", "in one look"])
def finder(vaults, request):
    """What finds a tape: the vaults, or one look at many of them."""
    if request.param == "by itself":
        yield vaults
    else:
        with OneLook(vaults) as look:
            yield look


def target(pool="PAY", cartridge=None):
    return Target(vault="VAULT01", pool=pool, cartridge=cartridge)


def test_a_pool_is_its_tapes_in_the_order_of_their_names(finder, root):
    found = finder.find(target())
    assert [tape.cartridge for tape in found.tapes] == ["A00017", "A00018"]
    assert [tape.size for tape in found.tapes] == [4, 0]
    assert found.pool == str(root / "VAULT01" / "PAY")


def test_a_tape_that_is_not_there_has_no_size(finder):
    (tape,) = finder.find(target(cartridge="A99999")).tapes
    assert tape.size is None
    assert tape.name == "/VAULT01/PAY/A99999"


def test_a_bare_name_is_found_in_whatever_pool_it_is(finder):
    (tape,) = finder.find(Target(cartridge="A00017")).tapes
    assert tape.name == "/VAULT01/PAY/A00017"


def test_a_bare_name_that_is_there_twice_is_refused_with_both_places(finder, root):
    other = root / "VAULT01" / "LEDGER"
    other.mkdir()
    (other / "A00017").write_bytes(b"")
    with pytest.raises(VaultError, match="/VAULT01/LEDGER/A00017, /VAULT01/PAY/A00017"):
        finder.find(Target(cartridge="A00017"))


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (Target(vault="VAULT02", pool="PAY"), "no vault VAULT02"),
        (Target(vault="VAULT01", pool="NONE"), "no pool NONE"),
        (Target(cartridge="A99999"), "no vault has a tape A99999"),
        (Target(vault="VAULT01", pool="LINK"), "is not a folder"),
        (Target(vault="VAULT01", pool="PAY", cartridge="LINK"), "is not a plain file"),
        (Target(vault="VAULT01", pool="PAY", cartridge="FIFO"), "is not a plain file"),
    ],
)
def test_what_is_no_tape_of_a_vault_is_refused(finder, root, wanted, reason):
    (root / "VAULT01" / "LINK").symlink_to(root)
    (root / "VAULT01" / "PAY" / "LINK").symlink_to(root / "outside")
    os.mkfifo(root / "VAULT01" / "PAY" / "FIFO")
    with pytest.raises(VaultError, match=reason):
        finder.find(wanted)


def test_erasing_keeps_the_file_and_empties_it(vaults, root):
    (tape,) = vaults.find(target(cartridge="A00017")).tapes
    after = vaults.erase(tape, tape.seen)
    assert vaults.look(tape).seen == after
    assert after.size == 0


def test_an_empty_tape_is_erased_without_being_touched(vaults):
    (tape,) = vaults.find(target(cartridge="A00018")).tapes
    assert vaults.erase(tape, tape.seen) == tape.seen


def test_deleting_removes_the_file_once(vaults, root):
    (tape,) = vaults.find(target(cartridge="A00017")).tapes
    vaults.delete(tape, tape.seen, "j1-1")
    vaults.delete(tape, tape.seen, "j1-1")
    assert vaults.look(tape).size is None


@pytest.mark.parametrize("act", ["erase", "delete"])
def test_a_name_that_became_a_link_is_neither_erased_nor_deleted(vaults, root, act):
    (tape,) = vaults.find(target(cartridge="A00017")).tapes
    file = root / "VAULT01" / "PAY" / "A00017"
    file.unlink()
    file.symlink_to(root / "outside")
    with pytest.raises(VaultError):
        getattr(vaults, act)(tape)
    assert (root / "outside").read_bytes() == b"secret"
    assert file.is_symlink()


@pytest.mark.parametrize("act", ["erase", "delete"])
def test_a_file_with_two_names_is_neither_erased_nor_deleted(vaults, root, act):
    (tape,) = vaults.find(target(cartridge="A00017")).tapes
    (root / "second").hardlink_to(root / "VAULT01" / "PAY" / "A00017")
    with pytest.raises(VaultError, match="one name"):
        getattr(vaults, act)(tape)
    assert (root / "second").read_bytes() == b"data"


def test_all_tapes_of_all_vaults_are_listed(vaults):
    assert [tape.name for tape in vaults.all()] == ["/VAULT01/PAY/A00017", "/VAULT01/PAY/A00018"]


@pytest.mark.parametrize("act", ["erase", "delete"])
def test_a_tape_that_a_process_has_open_is_neither_erased_nor_deleted(vaults, root, act):
    (tape,) = vaults.find(target(cartridge="A00017")).tapes
    file = root / "VAULT01" / "PAY" / "A00017"
    with file.open("rb"), pytest.raises(VaultError, match="in use"):
        getattr(vaults, act)(tape)
    assert file.read_bytes() == b"data"
    getattr(vaults, act)(tape)
    assert not (file.exists() and file.stat().st_size)


@pytest.mark.parametrize("act", ["erase", "delete"])
def test_a_tape_that_was_written_since_it_was_looked_at_stays(vaults, root, act):
    (tape,) = vaults.find(target(cartridge="A00017")).tapes
    file = root / "VAULT01" / "PAY" / "A00017"
    file.write_bytes(b"other")
    with pytest.raises(VaultError, match="written just now"):
        getattr(vaults, act)(tape)
    assert file.read_bytes() == b"other"


@pytest.mark.parametrize("act", ["erase", "delete"])
def test_a_pool_that_became_a_link_leads_nowhere(vaults, root, act):
    (tape,) = vaults.find(target(cartridge="A00017")).tapes
    pool = root / "VAULT01" / "PAY"
    pool.rename(root / "elsewhere")
    pool.symlink_to(root / "elsewhere")
    with pytest.raises(VaultError, match="not a folder"):
        getattr(vaults, act)(tape)
    assert (root / "elsewhere" / "A00017").read_bytes() == b"data"


def test_a_bare_name_whose_file_is_gone_is_found_where_it_is_known(finder):
    known = Tape(vault="VAULT01", pool="PAY", cartridge="A00099", path="/somewhere")
    (tape,) = finder.find(Target(cartridge="A00099"), [known]).tapes
    assert (tape.name, tape.size) == ("/VAULT01/PAY/A00099", None)
    away = Tape(vault="VAULT01", pool="AWAY", cartridge="A00099", path="/somewhere")
    with pytest.raises(VaultError, match="no vault has a tape"):
        finder.find(Target(cartridge="A00099"), [away])


def test_folders_differ_after_a_tape_was_added_and_not_after_it_was_written(vaults, root):
    before = vaults.folders()
    pool = root / "VAULT01" / "PAY"
    os.utime(pool, ns=(1, 1))
    (pool / "A00017").write_bytes(b"more")
    quiet = vaults.folders()
    assert quiet != before
    (pool / "A00017").write_bytes(b"and more")
    assert vaults.folders() == quiet
    (pool / "A00020").touch()
    assert vaults.folders() != quiet


def test_a_pool_that_cannot_be_read_is_reported_and_the_others_are_read(vaults, root, monkeypatch):
    (root / "VAULT01" / "BAD").mkdir()
    real = os.scandir

    def scandir(where):
        if isinstance(where, int) and Path(f"/proc/self/fd/{where}").readlink().name == "BAD":
            raise PermissionError(13, "Permission denied")
        return real(where)

    monkeypatch.setattr(os, "scandir", scandir)
    tapes, wrong, _passed = vaults.look_through("VAULT01")
    assert [tape.cartridge for tape in tapes] == ["A00017", "A00018"]
    assert wrong == ["/VAULT01/BAD cannot be read: Permission denied"]


class Broken(System):
    """A disk that cannot tell of one tape."""

    def facts_at(self, name, folder):
        if name == "A00017":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().facts_at(name, folder)


def test_a_tape_that_cannot_be_looked_at_hides_no_other_of_its_pool(vaults, root):
    known = vaults.find(target()).tapes
    (root / "VAULT01" / "PAY" / "A00018").unlink()
    (root / "VAULT01" / "PAY" / "A00019").touch()
    vaults.system = Broken()
    seen = look_through(vaults, known)
    assert [tape.cartridge for tape in seen.tapes] == ["A00019"]
    (trouble,) = seen.troubles
    assert trouble.endswith("/PAY/A00017 cannot be looked at: Input/output error")
    assert seen.vaults == set()  # nothing of it is believed to be gone
    with pytest.raises(VaultError, match="A00017 cannot be looked at"):
        vaults.find(target())


@pytest.fixture
def shut(root):
    """A folder that cannot be read, as `lost+found` of a file system; also not by root."""
    return root / "VAULT01" / "lost+found"


class Barred(System):
    """A kernel that lets nobody into one folder."""

    def open(self, name, flags, folder=None):
        if name == "lost+found":
            raise PermissionError(errno.EACCES, "Permission denied")
        return super().open(name, flags, folder)


def test_a_folder_that_cannot_be_read_keeps_no_tape_from_its_commands(vaults, shut):
    shut.mkdir()
    vaults.system = Barred()
    assert vaults.find(Target(cartridge="A00017")).tapes[0].size == 4
    seen = look_through(vaults, [*vaults.find(target()).tapes])
    assert (len(seen.tapes), seen.vaults) == (2, {"VAULT01"})
    assert seen.troubles == ("/VAULT01/lost+found cannot be opened: Permission denied",)


def test_a_folder_that_cannot_be_read_is_missed_where_it_had_the_tape(vaults, shut):
    shut.mkdir()
    (shut / "A00017").write_bytes(b"other")
    there = vaults.find(target("lost+found", "A00017")).tapes
    vaults.system = Barred()
    with pytest.raises(VaultError, match="cannot be opened"):
        vaults.find(Target(cartridge="A00017"), there)
    assert look_through(vaults, there).vaults == set()


def test_what_is_no_tape_in_another_pool_keeps_no_tape_from_its_commands(vaults, root):
    (root / "VAULT01" / "OTHER" / "A00017").mkdir(parents=True)
    (root / "VAULT01" / "OTHER" / "B00001").mkdir()
    assert vaults.find(Target(cartridge="A00017")).tapes[0].size == 4
    with pytest.raises(VaultError, match="B00001 is not a plain file"):
        vaults.find(Target(cartridge="B00001"))


def test_how_full_a_vault_is_counts_what_is_not_free(vaults):
    total, taken = vaults.fullness("VAULT01")
    assert 0 < taken < total


def test_a_vault_that_a_reload_removes_while_it_is_looked_at_is_said_to_be_gone(vaults, root):
    (root / "VAULT01" / "OTHER").mkdir()
    for look in (vaults.pools(), vaults.all()):
        vaults.roots = {"VAULT01": root / "VAULT01", "VAULT02": root / "VAULT01"}
        next(look)
        vaults.roots = {}
        with pytest.raises(VaultError, match="no vault VAULT0"):
            list(look)


def open_below(root):
    """Which of our descriptors lead there; others come and go as the rest of the process likes."""
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # it was that of this look
            if each.readlink().is_relative_to(root):
                yield each.name


def test_one_look_opens_a_pool_once_and_keeps_nothing_open(root):
    (root / "VAULT01" / "ONE").mkdir()
    (root / "VAULT01" / "ONE" / "B00001").write_bytes(b"")
    before = len([*open_below(root)])
    with OneLook(Vaults({"VAULT01": root / "VAULT01"})) as look:
        for cartridge in ("A00017", "A00018"):
            assert look.find(target(cartridge=cartridge)).tapes[0].size is not None
            assert len([*open_below(root)]) == before + 1
        with pytest.raises(VaultError, match="there is no pool NONE"):
            look.find(target("NONE", "A00017"))
        assert look.find(target("ONE", "B00001")).tapes[0].size == 0
        assert look.find(target(cartridge="A00017")).tapes[0].size == 4
        assert look.find(Target(cartridge="B00001")).tapes[0].pool == "ONE"
        assert len([*open_below(root)]) == before + 1
    assert len([*open_below(root)]) == before


@pytest.mark.parametrize("other", [False, True])
def test_a_vault_that_is_not_mounted_hides_no_tape_that_it_had(root, other):
    """Nor is another tape of the name meant, which no command may mean while both are there."""
    both = Vaults({name: root / name for name in ("VAULT01", "VAULT02")})
    (root / "VAULT02" / "PAY").mkdir(parents=True)
    known = both.find(target(cartridge="A00017")).tapes
    if other:
        (root / "VAULT02" / "PAY" / "A00017").write_bytes(b"other")
    (root / "VAULT01").rename(root / "away")
    (root / "VAULT01").mkdir()
    with pytest.raises(VaultError, match="VAULT01 is empty; is its file system mounted"):
        both.find(Target(cartridge="A00017"), known)
