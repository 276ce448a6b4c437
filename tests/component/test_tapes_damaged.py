"""A copy that brings back other data of the same size than was copied: its SHA-256 shows it."""

import hashlib
from pathlib import Path

import pytest

from tests.harness.engine_worlds import Site
from tests.harness.tape_faults import RULES, TapeWorld
from vtspolicy.jobs import RequestState

ARCHIVE = "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'"
ERASE = "VTSPolicy Erase - P00001"
RESTORE = "VTSPolicy Restore - P00001"
DIGEST = "then: migrated\n    read: {digest: 'digest=([0-9a-f]+)'}"


class DamagedWorld(TapeWorld):
    """An application that reports what it has copied, and loses a byte of some copies later."""

    def __init__(self, site):
        self.tells = True
        super().__init__(site)

    def work(self):
        for _ in range(50):
            running = [each for each in self.machine.running if each.stopped is None]
            if not running:
                return
            key, argv = running[0].run.key, running[0].run.argv
            code = self.act(*argv[1:])
            told = hashlib.sha256(self.path.read_bytes()).hexdigest() if self.tells else ""
            self.runner.exit(key, code, output=f"digest={told}\n" if argv[1] == "archive" else "")
            self.settle()

    def ask(self, text, number):
        self.send("NSK1", text, number)
        self.clock.pass_time(10.0)
        self.work()
        return self.last

    @property
    def last(self):
        return self.ledger.tx.requests.find(limit=1)[0]

    @property
    def all_copies(self):
        return self.ledger.tx.copies.of_tape(str(self.path))

    def damage(self, copy):
        self.copies[copy.handle] = b"tqpe"


@pytest.fixture(scope="module", params=["target", "path"])
def site(request):
    rules = RULES.replace("then: migrated", DIGEST)
    rules = rules.replace('restore, "{path}"', 'restore, "{' + request.param + '}"')
    rules = rules.replace(", tape: {state: [erased, deleted]}", "")
    site = Site(rules, families=("Delete", "Restore"))
    site.place = request.param
    yield site
    site.remove()


@pytest.fixture
def world(site):
    site.fresh()
    world = DamagedWorld(site)
    yield world
    world.close()


def emptied(world, *texts):
    for number, text in enumerate((*texts, ERASE), 1):
        assert world.ask(text, number).state is RequestState.COMPLETED
    assert world.path.read_bytes() == b""


def test_other_data_is_not_called_the_tape_and_its_copy_is_lost(world):
    emptied(world, ARCHIVE)
    (copy,) = world.all_copies
    world.damage(copy)
    request = world.ask(RESTORE, 9)
    assert request.state is RequestState.FAILED
    assert "is not what was copied: its SHA-256 is" in request.reason
    assert world.all_copies[0].lost is not None
    assert world.path.read_bytes() == (b"" if world.site.place == "target" else b"tqpe")


def test_the_next_restore_takes_the_good_copy(world):
    emptied(world, ARCHIVE, ARCHIVE)
    newer, older = world.all_copies
    world.damage(newer)
    assert world.ask(RESTORE, 8).state is RequestState.FAILED
    assert world.ask(RESTORE, 9).state is RequestState.COMPLETED
    assert world.path.read_bytes() == b"tape"
    assert [each.lost is None for each in world.all_copies] == [False, True]
    assert world.all_copies[1].id == older.id


def test_good_data_comes_back_as_before(world):
    emptied(world, ARCHIVE)
    assert world.ask(RESTORE, 9).state is RequestState.COMPLETED
    assert world.path.read_bytes() == b"tape"
    assert world.all_copies[0].lost is None


def test_a_copy_of_unknown_digest_is_not_doubted(world):
    world.tells = False
    emptied(world, ARCHIVE)
    (copy,) = world.all_copies
    assert copy.digest is None
    assert world.ask(RESTORE, 9).state is RequestState.COMPLETED


def test_damaged_data_can_be_written_to_a_file_and_is_reported(world, tmp_path):
    emptied(world, ARCHIVE)
    (copy,) = world.all_copies
    world.damage(copy)
    to = Path(tmp_path / "salvage")
    given = {"tapes": None, "override": None, "copy": None, "actor": "operator alice"}
    world.operator.order(text=RESTORE, to=str(to), **given)
    world.settle()
    world.work()
    if world.site.place == "path":
        assert world.last.state is RequestState.FAILED
        assert "the rule restores into the tape itself" in world.last.reason
        return
    assert world.last.state is RequestState.WARNING
    assert "is not what was copied" in world.last.reason
    assert copy.handle in world.last.reason
    assert to.read_bytes() == b"tqpe"
    assert world.path.read_bytes() == b""


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_copy_that_is_not_lost_is_written_to_a_file_before_one_that_is(world, tmp_path, lost):
    emptied(world, ARCHIVE, ARCHIVE)
    newest, older = world.all_copies
    for copy in (newest, older)[:lost]:
        world.ledger.tx.copies.lose(copy, world.clock.seconds(), "it is gone")
    chosen = older if lost == 1 else newest
    given = {"tapes": None, "override": None, "copy": None, "actor": "operator alice"}
    world.operator.order(text=RESTORE, to=str(tmp_path / "seen"), **given)
    world.settle()
    world.work()
    if world.site.place == "target":
        assert world.last.reason.startswith(f"copy {chosen.handle} is written to ")
        assert (tmp_path / "seen").read_bytes() == b"tape"
    else:
        assert "the rule restores into the tape itself" in world.last.reason
