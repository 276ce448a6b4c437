"""rsync over a real sshd behind the real server: copies on another system, and how they fail."""

import os
import shlex
import shutil
import signal
import subprocess

import pytest

from tests.harness.station import Station, checksum, reason, word

pytestmark = pytest.mark.programs

SITE = """
x-here: &here
  places:
    shell: {shell}
    shelf: {host}:{there}/shelf
    there: {there}/
  programs: {{rsync: {folder}/rsync}}
  retry: 1
  timeout: 10m
  timeouts: {{grace: 5s}}
applications:
  FTX: *here
  IDR: *here
rules:
  - rule: one that may not take long
    when: {{family: FTX, pool: LATE}}
    run: ["{{program.rsync}}", -a, "--rsh={{shell}}", "{{path}}", "{{shelf}}/{{handle}}/"]
    timeout: 2s
"""
PLAIN = '#!/bin/sh\nexec {} "$@"\n'
WITHOUT_PRIVILEGE = (
    '#!/bin/sh\nexec setpriv --bounding-set=-dac_override,-dac_read_search {} "$@"\n'
)


class Neighbours(Station):
    """A station, and another system that it copies to."""

    def program(self, text=PLAIN):
        """Put a script in the place of rsync: what stands before the real one."""
        fresh = self.folder / "new"
        fresh.write_text(text.format(shutil.which("rsync")))
        fresh.chmod(0o755)
        fresh.rename(self.folder / "rsync")

    def copy(self, notice, cartridge):
        return self.shelf / self.handle(notice) / cartridge


@pytest.fixture(scope="module")
def station(tmp_path_factory, sshd):
    root = tmp_path_factory.mktemp("station")
    folder, there = tmp_path_factory.mktemp("program"), tmp_path_factory.mktemp("there")
    site = SITE.format(shell=shlex.join(sshd.ssh), host=sshd.host, there=there, folder=folder)
    station = Neighbours(root, site=site, tables=["idr"])
    station.folder, station.there, station.shelf = folder, there, there / "shelf"
    station.program()
    station.start()
    yield station
    station.stop()


@pytest.fixture
def restored_program(station):
    yield
    station.program()


def test_a_tape_goes_to_the_shelf_is_emptied_and_comes_back_for_a_mount(station):
    tape = station.tape("PAY", "A00001")
    before = checksum(tape)
    done = station.command("VTSPolicy FTX 'archive /VAULT01/PAY/A00001 r=14,d'")
    assert word(done) == "COMPLETED"
    assert checksum(station.copy(done, "A00001")) == before
    assert word(station.command("VTSPolicy Erase - A00001")) == "COMPLETED"
    assert tape.stat().st_size == 0
    assert word(station.mount("A00001")) == "MOUNTREADY"
    assert checksum(tape) == before


def test_a_copy_that_was_damaged_since_is_no_copy_though_its_size_and_time_are_right(station, sshd):
    tape = station.tape("PAY", "A00002")
    done = station.command("VTSPolicy FTX 'archive /VAULT01/PAY/A00002'")
    copy = station.copy(done, "A00002")
    status = copy.stat()
    copy.write_bytes(os.urandom(status.st_size))
    os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
    # The trap: by size and time rsync finds nothing to send.
    quick = sshd.rsync("-a", "--dry-run", "--stats", tape, f"{sshd.host}:{copy}")
    assert "regular files transferred: 0" in quick.stdout
    refused = station.command("VTSPolicy Erase - A00002")
    assert word(refused) == "FAILED"
    assert "differences is 1, expected 0" in reason(refused)
    assert tape.stat().st_size == 300_000


def test_a_mirror_is_made_and_is_no_migration(station):
    tape = station.tape("PAY", "A00003")
    (station.there / "VAULT07" / "COPIES").mkdir(parents=True)
    done = station.command("VTSPolicy IDR '/VAULT01/PAY/A00003 d=127.0.0.1 tv=VAULT07 tp=COPIES'")
    assert word(done) == "COMPLETED"
    assert checksum(station.there / "VAULT07" / "COPIES" / "A00003") == checksum(tape)
    assert word(station.command("VTSPolicy Erase - A00003")) == "FAILED"
    assert tape.stat().st_size == 300_000


def test_a_mirror_without_its_pool_over_there_fails(station):
    station.tape("PAY", "A00004")
    done = station.command("VTSPolicy IDR '/VAULT01/PAY/A00004 d=127.0.0.1 tv=VAULT09 tp=NONE'")
    assert word(done) == "FAILED"


def test_a_stranger_is_not_let_in(station, sshd):
    station.tape("PAY", "A00005")
    key = sshd.folder / "client_key"
    key.rename(sshd.folder / "away")
    try:
        done = station.command("VTSPolicy FTX '/VAULT01/PAY/A00005'")
    finally:
        (sshd.folder / "away").rename(key)
    # 255 is ssh's own; where rsync sees the connection end before ssh has, it says 12.
    assert (word(done), dict(done.fields)["rc"] in {12, 255}) == ("FAILED", True)


def test_a_system_that_does_not_answer_fails(station, sshd):
    station.tape("PAY", "A00006")
    sshd.daemon.stop()
    try:
        done = station.command("VTSPolicy FTX '/VAULT01/PAY/A00006'")
    finally:
        sshd.daemon.start()
    assert word(done) == "FAILED"
    assert dict(done.fields)["rc"] in {12, 255}  # by who notices first, rsync or its ssh


def test_an_unreadable_tape_is_partial_for_rsync_and_a_failure_here(station, restored_program):
    station.tape("PAY", "A00007").chmod(0)
    station.program(WITHOUT_PRIVILEGE)
    done = station.command("VTSPolicy FTX '/VAULT01/PAY/A00007'")
    assert (word(done), dict(done.fields)["rc"]) == ("FAILED", 23)


def test_a_tape_that_went_away_while_it_was_sent_fails(station, restored_program):
    station.tape("PAY", "A00008")
    station.program(
        '#!/bin/sh\nrm -f {vault}/PAY/A00008\nexec {{}} "$@"\n'.format(
            vault=station.root / "VAULT01"
        )
    )
    done = station.command("VTSPolicy FTX '/VAULT01/PAY/A00008'")
    assert (word(done), dict(done.fields)["rc"]) == ("FAILED", 23)


def test_a_transfer_that_hangs_is_stopped(station, sshd):
    station.tape("LATE", "L00001")
    sshd.daemon.process.send_signal(signal.SIGSTOP)
    try:
        done = station.command("VTSPolicy FTX '/VAULT01/LATE/L00001'")
    finally:
        sshd.daemon.process.send_signal(signal.SIGCONT)
    assert word(done) == "TIMEDOUT"


def test_a_transfer_that_is_killed_fails(station, restored_program):
    station.tape("PAY", "A00009")
    station.program("#!/bin/sh\nkill -KILL $$\n")
    done = station.command("VTSPolicy FTX '/VAULT01/PAY/A00009'")
    assert (word(done), "SIGKILL" in reason(done)) == ("FAILED", True)


def test_restoring_what_is_not_on_the_shelf_fails(station):
    tape = station.tape("PAY", "A00010")
    done = station.command("VTSPolicy FTX '/VAULT01/PAY/A00010'")
    assert word(station.command("VTSPolicy Erase - A00010")) == "COMPLETED"
    station.copy(done, "A00010").unlink()
    lost = station.command("VTSPolicy Restore - A00010")
    assert (word(lost), dict(lost.fields)["rc"]) == ("FAILED", 23)
    assert tape.stat().st_size == 0


def test_a_copy_is_deleted_by_its_handle_and_no_other(station, sshd, tmp_path):
    from vtspolicy.config.load import SHIPPED
    from vtspolicy.grammar import shipped
    from vtspolicy.rules.expand import expand
    from vtspolicy.rules.load import load_table

    for handle in ("11-1", "11-10"):
        (station.shelf / handle).mkdir(parents=True)
        (station.shelf / handle / "A00011").write_bytes(b"x")
    delete = load_table([SHIPPED / "idr.yaml"], vocabulary=shipped()).applications["FTX"].delete
    (tmp_path / "run").mkdir()
    argv = expand(delete.run, {"handle": "11-1", "rundir": str(tmp_path / "run")})
    ours = [
        each.replace("archive.example.com:/archive", f"{sshd.host}:{station.shelf}").replace(
            "ssh -o BatchMode=yes", shlex.join(sshd.ssh)
        )
        for each in argv
    ]
    assert subprocess.run(ours, check=False).returncode == 0
    assert not (station.shelf / "11-1").exists()
    assert (station.shelf / "11-10" / "A00011").exists()
