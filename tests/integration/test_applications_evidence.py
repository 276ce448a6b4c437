"""Reading copies back, and restoring beside the tape: the shipped calls, with the real programs."""

import hashlib
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import frozen

from tests.harness.programs.borg import Borg
from tests.harness.programs.restic import Restic
from tests.harness.station import Station, checksum, word
from vtspolicy.config.load import SHIPPED
from vtspolicy.grammar import shipped
from vtspolicy.rules.expand import expand, expand_environment
from vtspolicy.rules.judge import judge_query
from vtspolicy.rules.load import load_table

pytestmark = pytest.mark.programs

CONTENT = os.urandom(2_000_003)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HANDLE = "7-1"


@frozen(kw_only=True)
class Shop:
    """A tape, an application that copies it, and the shipped rules for that application."""

    tape: Path
    table: object
    application: str
    data: Path  # where the application keeps the bytes of copies

    def rule(self, then):
        [rule] = [
            each
            for each in self.table.rules
            if each.work and each.work.then == then and each.work.application == self.application
        ]
        return rule.work

    def values(self, **more):
        path = str(self.tape)
        values = {"path": path, "relpath": path[1:], "source": path, "relsource": path[1:]}
        values |= {"cartridge": self.tape.name, "handle": HANDLE, "node": "vts1"}
        return {**values, "size": str(len(CONTENT)), **more}

    def run(self, argv, values, work):
        own = str(Path(sys.executable).parent)
        env = {"PATH": os.environ["PATH"] + os.pathsep + own, "LC_ALL": "C", "HOME": "/"}
        return subprocess.run(
            expand(argv, values),
            env={**env, **expand_environment(work.env, values)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )

    def archive(self):
        work = self.rule("migrated")
        done = self.run(work.run, self.values(), work)
        assert done.returncode == 0, done.stdout

    def read_back(self, **more):
        work = self.rule("migrated")
        values = self.values(**more)
        query = work.read_back
        for each in (query.prepare, query):
            if each is not None:
                done = self.run(each.run, values, work)
                answer = judge_query(each, code=done.returncode, output=done.stdout, values=values)
                if answer.state != "completed":
                    break
        return answer

    def restore(self, **more):
        work = self.rule("restored")
        return self.run(work.run, self.values(**more), work)

    def damage(self):
        """Flip a bit in the largest file in which copies are kept."""
        files = [each for each in self.data.rglob("*") if each.is_file()]
        flip(max(files, key=lambda each: each.stat().st_size))


def flip(file):
    """Flip a bit in the middle of a file."""
    file.chmod(0o600)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def disk(folder, tape):
    site = f"applications: {{DSK: {{places: {{store: {folder}/store}}}}}}\n"
    return Shop(tape=tape, table=table(folder, site, "dsk"), application="DSK", data=folder)


def restic(folder, tape):
    Restic(folder)
    places = "repository: {0}/repository, password_file: {0}/password, cache: {0}/cache"
    site = f"applications: {{RST: {{places: {{{places.format(folder)}}}}}}}\n"
    data = folder / "repository" / "data"
    return Shop(tape=tape, table=table(folder, site, "rst"), application="RST", data=data)


def borg(folder, tape):
    Borg(folder)
    places = "repository: {0}/repository, password_file: {0}/password, base: {0}"
    site = f"applications: {{BRG: {{places: {{{places.format(folder)}}}}}}}\n"
    data = folder / "repository" / "data"
    return Shop(tape=tape, table=table(folder, site, "brg"), application="BRG", data=data)


def table(folder, site, name):
    file = folder / "site.yaml"
    file.write_text(site)
    return load_table([file, SHIPPED / f"{name}.yaml"], vocabulary=shipped())


@pytest.fixture(params=[disk, restic, borg], ids=lambda make: make.__name__)
def shop(request, tmp_path):
    tape = tmp_path / "VAULT01" / "PAY" / "A00017"
    tape.parent.mkdir(parents=True)
    tape.write_bytes(CONTENT)
    folder = tmp_path / "application"
    folder.mkdir()
    shop = request.param(folder, tape)
    shop.archive()
    return shop


def test_what_is_read_back_is_what_was_on_the_tape(shop):
    answer = shop.read_back()
    assert (answer.state, answer.readings["digest"]) == ("completed", SHA256)


def test_a_copy_is_read_back_where_its_tape_is_gone(shop):
    shop.tape.unlink()
    assert shop.read_back().readings["digest"] == SHA256


def test_a_damaged_copy_has_no_digest_and_is_a_clear_no(shop):
    shop.damage()
    answer = shop.read_back()
    assert (answer.state, answer.absent) == ("failed", True)
    assert "digest" not in answer.readings


def test_a_copy_that_is_not_there_has_no_digest(shop):
    answer = shop.read_back(handle="8-1")
    assert answer.state == "failed"
    assert "digest" not in answer.readings


def test_a_restore_writes_beside_the_tape_and_leaves_it_alone(shop, tmp_path):
    shop.tape.write_bytes(b"what its host has written since")
    staging = tmp_path / "VAULT01" / "PAY" / ".private"
    staging.mkdir(mode=0o700)
    target = staging / "A00017.new"
    done = shop.restore(staging=str(staging), target=str(target))
    assert done.returncode == 0, done.stdout
    assert shop.tape.read_bytes() == b"what its host has written since"
    [file] = [each for each in staging.rglob("*") if each.is_file()]
    assert file.read_bytes() == CONTENT
    assert file.name in {"A00017", "A00017.new"}


def test_a_copy_on_a_shelf_is_read_back_and_restored_by_rsync(sshd, tmp_path):
    tape = tmp_path / "VAULT01" / "PAY" / "A00017"
    tape.parent.mkdir(parents=True)
    tape.write_bytes(CONTENT)
    there = tmp_path / "there"
    there.mkdir()
    site = (
        f"applications: {{FTX: {{places: {{shell: '{shlex.join(sshd.ssh)}',"
        f" shelf: '{sshd.host}:{there}'}}}}}}\n"
    )
    shop = Shop(tape=tape, table=table(tmp_path, site, "idr"), application="FTX", data=there)
    shop.archive()
    target = tape.with_name(".private")
    assert shop.read_back(target=str(target)).readings["digest"] == SHA256
    target.unlink()
    assert shop.read_back().state == "failed", "a reading with nowhere to write to proves nothing"
    shop.damage()
    assert shop.read_back(target=str(target)).readings["digest"] != SHA256
    target.unlink()
    tape.write_bytes(b"")
    assert shop.restore(target=str(target)).returncode == 0
    assert tape.read_bytes() == b""
    assert target.stat().st_size == len(CONTENT)


# -- behind the real server

SITE = """
applications:
  DSK: {{places: {{store: {folder}/store}}}}
  RST:
    places:
      repository: {folder}/repository
      password_file: {folder}/password
      cache: {folder}/cache
    archive: {{proof: data}}
    retry: 1
"""


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    folder = tmp_path_factory.mktemp("application")
    Restic(folder)
    site = SITE.format(folder=folder)
    station = Station(tmp_path_factory.mktemp("station"), site=site, tables=["rst", "dsk"])
    station.kept = {"DSK": folder / "store" / "tapes", "RST": folder / "repository" / "data"}
    yield station.start()
    station.stop()


@pytest.mark.parametrize("family", ["DSK", "RST"])
def test_a_tape_is_emptied_after_its_copy_was_read_back(station, family):
    tape = station.tape("PAY", f"{family}01")
    before = checksum(tape)
    assert word(station.command(f"VTSPolicy {family} '/VAULT01/PAY/{family}01'")) == "COMPLETED"
    assert word(station.command(f"VTSPolicy Erase - {family}01")) == "COMPLETED"
    assert tape.stat().st_size == 0
    assert word(station.command(f"VTSPolicy Restore - {family}01")) == "COMPLETED"
    assert checksum(tape) == before
    # What was private is removed once the end is recorded, beside the notice.
    station.until(lambda: not [each for each in tape.parent.iterdir() if each.name[0] == "."])


@pytest.mark.parametrize("family", ["DSK", "RST"])
def test_a_tape_whose_only_copy_is_damaged_is_not_emptied(station, family):
    tape = station.tape("PAY", f"{family}02")
    before = checksum(tape)
    old = set(station.kept[family].rglob("*"))
    assert word(station.command(f"VTSPolicy {family} '/VAULT01/PAY/{family}02'")) == "COMPLETED"
    new = [each for each in station.kept[family].rglob("*") if each.is_file() and each not in old]
    flip(max(new, key=lambda each: each.stat().st_size))
    refused = station.command(f"VTSPolicy Erase - {family}02")
    assert word(refused) == "FAILED"
    assert checksum(tape) == before
