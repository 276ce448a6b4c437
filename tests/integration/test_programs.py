"""The applications themselves: a tape goes there, is found by its handle, and comes back."""

import hashlib
import os

import pytest

pytestmark = pytest.mark.programs


@pytest.fixture
def tape(tmp_path):
    path = tmp_path / "VAULT01" / "PAY" / "A00017"
    path.parent.mkdir(parents=True)
    path.write_bytes(os.urandom(2_000_000) + bytes(2_000_000))
    return path


def checksum(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_restic_keeps_a_tape_and_brings_it_back(restic, tape):
    before = checksum(tape)
    summary = restic.archive(tape, "req1-job1")
    assert summary["total_bytes_processed"] == tape.stat().st_size
    assert len(restic.query(tape, "req1-job1")) == 1
    assert restic.query(tape, "req1-job2") == []
    tape.unlink()
    restic.restore(tape, "req1-job1")
    assert checksum(tape) == before
    restic.delete("req1-job1")
    assert restic.query(tape, "req1-job1") == []


def test_borg_keeps_a_tape_and_brings_it_back(borg, tape):
    before = checksum(tape)
    borg.archive(tape, "req1-job1")
    stats = borg.query("req1-job1")["stats"]
    assert (stats["nfiles"], stats["original_size"] >= tape.stat().st_size) == (1, True)
    assert borg.query("req1-job2") is None
    tape.unlink()
    borg.restore(tape, "req1-job1")
    assert checksum(tape) == before
    borg.delete("req1-job1")
    assert borg.query("req1-job1") is None


def test_rsync_takes_a_tape_to_another_system_and_back(sshd, tape, tmp_path):
    before = checksum(tape)
    there = tmp_path / "there" / "req1-job1" / "A00017"
    there.parent.mkdir(parents=True)
    sshd.rsync("-a", "--partial", tape, f"{sshd.host}:{there}").check_returncode()
    told = sshd.run("sha256sum", there)
    assert told.stdout.split()[0] == before
    tape.unlink()
    sshd.rsync("-a", "--partial", f"{sshd.host}:{there}", tape).check_returncode()
    assert checksum(tape) == before
    sshd.run("rm", there).check_returncode()
    assert sshd.rsync("-a", f"{sshd.host}:{there}", tape).returncode == 23


def test_the_other_system_knows_only_our_key(sshd, tmp_path):
    assert sshd.run("true").returncode == 0
    stranger = [word for word in sshd.ssh if "IdentityFile" not in word]
    refused = sshd._run([*stranger, f"-oIdentityFile={tmp_path}/none", sshd.host, "true"])
    assert refused.returncode == 255
    assert "Permission denied" in refused.stderr


def test_bacula_keeps_a_tape_on_cartridges_and_brings_it_back(bacula, tape):
    before = checksum(tape)
    job = bacula.archive(tape, "req1-job1")
    told = bacula.finished(job)
    assert (told["jobstatus"], told["joberrors"], told["jobfiles"]) == ("T", "0", "1")
    assert told["comment"] == "req1-job1"
    assert len(bacula.media(job)) >= 1
    tape.unlink()
    restored = bacula.finished(bacula.restore(job))
    assert (restored["jobstatus"], restored["joberrors"]) == ("T", "0")
    assert checksum(tape) == before


def test_bacula_changes_tapes_on_its_own_when_one_is_full(bacula, tape):
    tape.write_bytes(os.urandom(30_000_000))
    before = checksum(tape)
    job = bacula.archive(tape, "req2-job1")
    assert bacula.finished(job)["jobstatus"] == "T"
    assert len(bacula.media(job)) >= 2
    tape.unlink()
    bacula.finished(bacula.restore(job))
    assert checksum(tape) == before


def test_a_bacula_job_without_its_file_daemon_can_be_cancelled_and_the_next_one_works(bacula, tape):
    bacula.client.kill()
    try:
        job = bacula.archive(tape, "req3-job1")
        bacula.console(f"cancel jobid={job} yes")
        assert bacula.finished(job)["jobstatus"] == "A"
    finally:
        bacula.client.start()
    job = bacula.archive(tape, "req3-job2")
    assert bacula.finished(job)["jobstatus"] == "T"
