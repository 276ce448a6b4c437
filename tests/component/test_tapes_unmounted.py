"""A vault whose file system is not mounted, while its mount point has folders of pools."""

import shutil

import pytest
from twisted.logger import capturedLogs

from tests.harness.tape_faults import TapeSite, TapeWorld
from tests.harness.tape_scans import archived, scan, states
from vtspolicy.notices import Word
from vtspolicy.tapes import TapeState
from vtspolicy.vaults import System

UNMOUNTED = "the file system of its tapes is not mounted at"


class Mounted(System):
    """A kernel with file systems at some folders."""

    def __init__(self, *places):
        self.places = [str(each) for each in places]

    def mount_point(self, folder):
        above = [each for each in self.places if f"{folder}/".startswith(f"{each}/")]
        return max(above, key=len, default="/")


@pytest.fixture
def site():
    site = TapeSite()
    yield site
    site.remove()


@pytest.fixture
def world(site):
    world = TapeWorld(site)
    mount(world, site.root / "VAULT01")
    archived(world)
    yield world
    world.close()


def mount(world, *places):
    world.engine.vaults.system = Mounted(*places)


def unmount(world, folder, *left):
    """Take a folder's file system away; its mount point has these pools."""
    away = folder.rename(world.site.root / "away")
    for pool in left:
        (folder / pool).mkdir(parents=True)
    world.engine.vaults.system = Mounted()
    return away


def last(world):
    return world.mail["NSK1"].notices[-1]


def refusal(world, text, minute):
    world.send("NSK1", text, minute)
    world.work()
    notice = last(world)
    assert notice.word is Word.FAILED
    return notice.fields["reason"]


COMMANDS = (
    "Restore - P00001",
    "Erase - P00001",
    "Delete - P00001",
    "DSK 'archive /VAULT01/PAY'",
    "DSK 'archive /VAULT01/PAY/P00001'",
)


@pytest.mark.parametrize("killed", [False, True])
def test_nothing_is_done_in_the_mount_point_of_a_vault(world, killed):
    scan(world)
    before, root = states(world), world.site.root / "VAULT01"
    away = unmount(world, root, "PAY")
    for minute, command in enumerate(COMMANDS, 10):
        assert f"vault VAULT01: {UNMOUNTED} {root}" in refusal(
            world, f"VTSPolicy {command}", minute
        )
    if killed:
        world.kill()
        world.start()
        world.engine.vaults.system = Mounted()
        assert UNMOUNTED in refusal(world, "VTSPolicy Restore - P00001", 20)
    found = scan(world)
    assert (found.changed, states(world)) == (0, before)
    assert found.troubles == (f"vault VAULT01: {UNMOUNTED} {root}",)
    shutil.rmtree(root)
    away.rename(root)
    mount(world, root)
    assert scan(world).changed == 0
    world.send("NSK1", "VTSPolicy Erase - P00001", 30)
    world.work()
    assert last(world).word is Word.COMPLETED


def test_a_mount_of_a_tape_there_is_left_alone_and_logged(world):
    scan(world)
    world.send("NSK1", "VTSPolicy Erase - P00001", 5)
    world.work()
    unmount(world, world.site.root / "VAULT01", "PAY")
    with capturedLogs() as logged:
        world.mount()
        world.work()
    (left,) = [each for each in logged if each.get("action") == "mount_left"]
    assert UNMOUNTED in str(left["error"])
    assert not list((world.site.root / "VAULT01/PAY").iterdir())


def test_tapes_that_their_owner_moved_to_another_file_system_are_there(world):
    scan(world)
    root = world.site.root / "VAULT01"
    away = unmount(world, root, "PAY")
    shutil.copytree(away, root, dirs_exist_ok=True)  # with the times of the files
    assert scan(world).troubles[:1] != (f"vault VAULT01: {UNMOUNTED} {root}",)
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 10)
    assert last(world).fields["jobs"] == 1


def test_another_file_of_the_same_name_does_not_make_it_the_vault(world):
    scan(world)
    root = world.site.root / "VAULT01"
    unmount(world, root, "PAY")
    (root / "PAY/P00001").write_bytes(b"written by a host meanwhile")
    assert scan(world).troubles == (f"vault VAULT01: {UNMOUNTED} {root}",)
    assert UNMOUNTED in refusal(world, "VTSPolicy DSK 'archive /VAULT01/PAY'", 10)


def test_a_pool_can_be_a_file_system_of_its_own(world):
    pool = world.site.root / "VAULT01/PAY"
    mount(world, world.site.root / "VAULT01", pool)
    scan(world)
    before = states(world)
    unmount(world, pool)
    pool.mkdir()
    mount(world, world.site.root / "VAULT01")
    found = scan(world)
    assert (found.changed, states(world)) == (0, before)
    assert f"pool PAY of vault VAULT01: {UNMOUNTED} {pool}" in found.troubles
    assert UNMOUNTED in refusal(world, "VTSPolicy Restore - P00001", 10)
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/OLD'", 11)
    world.work()
    assert last(world).word is Word.COMPLETED


def test_a_vault_of_which_no_tape_is_known_needs_no_mount(world):
    scan(world)
    root = world.site.root / "VAULT01"
    for tape in list(root.glob("*/*")):
        tape.unlink()
    scan(world)
    assert set(states(world).values()) == {TapeState.DELETED}
    unmount(world, root, "PAY")
    (root / "PAY/N00001").write_bytes(b"a new tape")
    assert scan(world).troubles == ()
    assert states(world)["/VAULT01/PAY/N00001"] is TapeState.WRITTEN
