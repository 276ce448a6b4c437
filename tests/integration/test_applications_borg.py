"""BorgBackup behind the real server: its answers, its traps, and the ways in which it can fail."""

import shutil
import subprocess

import pytest

from tests.harness.programs.borg import Borg
from tests.harness.station import TIMEOUT, Station, checksum, reason, word

pytestmark = pytest.mark.programs

SITE = """
applications:
  BRG:
    places:
      repository: {folder}/repository
      password_file: {folder}/password
      base: {folder}
    programs: {{borg: {folder}/borg}}
    retry: 1
    timeout: 10m
    timeouts: {{grace: 20s}}
rules:
  - rule: again after a failure
    when: {{family: BRG, pool: AGAIN}}
    run: ["{{program.borg}}", create, --json, "::{{handle}}", "{{path}}"]
    then: migrated
    retry: {{attempts: 2, delay: 100ms}}
  - rule: one that may take no time
    when: {{family: BRG, pool: LATE}}
    run: ["{{program.borg}}", create, --json, "::{{handle}}", "{{path}}"]
    then: migrated
    timeout: 2s
"""
PLAIN = '#!/bin/sh\nexec {} "$@"\n'
GONE_ONCE = """#!/bin/sh
if [ "$1" = create ] && [ ! -e {folder}/gone ]; then
    touch {folder}/gone
    for last; do :; done
    mv "$last" {folder}/aside
    {borg} "$@"
    code=$?
    mv {folder}/aside "$last"
    exit $code
fi
exec {borg} "$@"
"""
WITHOUT_PRIVILEGE = (
    '#!/bin/sh\nexec setpriv --bounding-set=-dac_override,-dac_read_search {} "$@"\n'
)


@pytest.fixture(scope="module")
def borg(tmp_path_factory):
    borg = Borg(tmp_path_factory.mktemp("borg"))
    borg.program = lambda text=PLAIN: program(borg, text)
    borg.program()
    return borg


@pytest.fixture(scope="module")
def station(tmp_path_factory, borg):
    root = tmp_path_factory.mktemp("station")
    station = Station(root, site=SITE.format(folder=borg.folder), tables=["brg"]).start()
    yield station
    station.stop()


def program(borg, text):
    """Put a script in the place of borg: what stands before the real one."""
    fresh = borg.folder / "borg.new"
    fresh.write_text(
        text.format(shutil.which("borg"), borg=shutil.which("borg"), folder=borg.folder)
    )
    fresh.chmod(0o755)
    fresh.rename(borg.folder / "borg")


@pytest.fixture
def restored_program(borg):
    yield
    borg.program()


def test_a_tape_goes_to_borg_is_emptied_and_comes_back_for_a_mount(station, borg):
    tape = station.tape("PAY", "A00001")
    before = checksum(tape)
    done = station.command("VTSPolicy BRG 'archive /VAULT01/PAY/A00001 c=zstd,3'")
    assert word(done) == "COMPLETED"
    assert borg.query(station.handle(done))["stats"]["nfiles"] == 1
    assert station.job(done)["attempts"][0]["readings"]["files"] == "1"
    assert word(station.command("VTSPolicy Erase - A00001")) == "COMPLETED"
    assert tape.stat().st_size == 0
    assert word(station.mount("A00001")) == "MOUNTREADY"
    assert checksum(tape) == before


def test_an_archive_that_is_there_proves_nothing_and_its_name_is_free_for_the_next_attempt(
    station, borg, restored_program
):
    tape = station.tape("PAY", "A00002")
    # The trap: a missing path leaves an empty archive, and its name is taken.
    assert borg.run("create", "::trap", tape.parent / "MISSING").returncode == 1
    assert borg.query("trap")["stats"]["nfiles"] == 0
    assert "already exists" in borg.run("create", "::trap", tape).stderr
    # The tape is away during the first attempt; the second finds the name free.
    tape = station.tape("AGAIN", "B00001")
    borg.program(GONE_ONCE)
    done = station.command("VTSPolicy BRG 'archive /VAULT01/AGAIN/B00001'")
    assert word(done) == "COMPLETED"
    first, second = station.job(done)["attempts"]
    assert (first["code"], second["code"]) == (1, 0)
    assert borg.query(station.handle(done))["stats"]["nfiles"] == 1


def test_an_empty_archive_is_no_copy(station, borg, restored_program):
    tape = station.tape("PAY", "A00003")
    # A borg that stores nothing, and exits with 0.
    borg.program(
        '#!/bin/sh\n[ "$1" = create ] && {{ {borg} create --json "$3" /nowhere; exit 0; }}\n'
        'exec {borg} "$@"\n'
    )
    done = station.command("VTSPolicy BRG 'archive /VAULT01/PAY/A00003'")
    assert word(done) == "FAILED"
    assert "files is 0, expected 1" in reason(done)
    borg.program()
    assert word(station.command("VTSPolicy Erase - A00003")) == "FAILED"
    assert tape.stat().st_size == 300_000


def test_an_unreadable_tape_fails(station, borg, restored_program):
    station.tape("PAY", "A00004").chmod(0)
    borg.program(WITHOUT_PRIVILEGE)
    done = station.command("VTSPolicy BRG 'archive /VAULT01/PAY/A00004'")
    assert (word(done), dict(done.fields)["rc"]) == ("FAILED", 1)


def test_a_wrong_password_fails_and_says_so(station, borg):
    station.tape("PAY", "A00005")
    right = borg.password_file.read_text()
    borg.password_file.write_text("wrong")
    try:
        done = station.command("VTSPolicy BRG 'archive /VAULT01/PAY/A00005'")
    finally:
        borg.password_file.write_text(right)
    assert word(done) == "FAILED"
    assert "incorrect" in reason(done) or "prepared" in reason(done)


def test_a_missing_repository_fails(station, borg):
    station.tape("PAY", "A00006")
    repository = borg.folder / "repository"
    repository.rename(borg.folder / "away")
    try:
        done = station.command("VTSPolicy BRG 'archive /VAULT01/PAY/A00006'")
    finally:
        (borg.folder / "away").rename(repository)
    assert word(done) == "FAILED"


def test_a_locked_repository_fails_after_borgs_own_wait(station, borg):
    station.tape("PAY", "A00007")
    gate = borg.folder / "gate"
    gate.touch()
    waiting = f"while [ -e {gate} ]; do sleep 0.05; done"
    holder = subprocess.Popen(
        ["borg", "with-lock", borg.folder / "repository", "sh", "-c", waiting], env=borg.env
    )
    try:
        station.until((borg.folder / "repository" / "lock.exclusive").exists)
        done = station.command("VTSPolicy BRG 'archive /VAULT01/PAY/A00007'")
    finally:
        gate.unlink()
        holder.wait(TIMEOUT)
    assert word(done) == "FAILED"


def test_a_borg_that_takes_too_long_is_stopped(station, borg, restored_program):
    station.tape("LATE", "L00001")
    borg.program('#!/bin/sh\n[ "$1" = create ] && sleep 600\nexec {} "$@"\n')
    done = station.command("VTSPolicy BRG 'archive /VAULT01/LATE/L00001'")
    assert word(done) == "TIMEDOUT"


def test_a_borg_that_is_stopped_by_somebody_else_fails(station, borg, restored_program):
    station.tape("PAY", "A00008")
    borg.program('#!/bin/sh\n[ "$1" = create ] && kill -KILL $$\nexec {} "$@"\n')
    done = station.command("VTSPolicy BRG 'archive /VAULT01/PAY/A00008'")
    assert (word(done), "SIGKILL" in reason(done)) == ("FAILED", True)


def test_a_cancelled_borg_has_its_time_to_stop_and_leaves_no_copy(station, borg):
    # The trap: TERM is heard late. The grace of the shipped table is longer than that.
    tape = station.tape("PAY", "A00009", size=120_000_000)
    request = station.accept("VTSPolicy BRG 'archive /VAULT01/PAY/A00009'")
    [job] = station.ask(f"requests/{request}")["job_list"]
    station.until((station.root / "spool" / f"{job['id']:06d}-1" / "state").exists)
    station.say(f"VTSPolicy Cancel - {request}")
    done = station.final(request)
    assert word(done) in {"CANCELLED", "COMPLETED"}
    if word(done) == "CANCELLED":
        assert borg.query(job["handle"]) is None
    assert tape.exists()
    # Nothing of it holds the repository any more.
    assert borg.run("list", "--lock-wait", "1").returncode == 0


def test_restoring_what_borg_does_not_have_fails(station, borg):
    tape = station.tape("PAY", "A00010")
    done = station.command("VTSPolicy BRG 'archive /VAULT01/PAY/A00010'")
    assert word(station.command("VTSPolicy Erase - A00010")) == "COMPLETED"
    borg.delete(station.handle(done))
    lost = station.command("VTSPolicy Restore - A00010")
    assert (word(lost), dict(lost.fields)["rc"]) == ("FAILED", 2)
    assert tape.stat().st_size == 0


def test_a_copy_is_deleted_by_its_handle(borg, tmp_path):
    from vtspolicy.config.load import SHIPPED
    from vtspolicy.grammar import shipped
    from vtspolicy.rules.expand import expand
    from vtspolicy.rules.load import load_table

    tape = tmp_path / "A00011"
    tape.write_bytes(b"x" * 1000)
    borg.archive(tape, "11-1")
    borg.archive(tape, "11-10")
    delete = load_table([SHIPPED / "brg.yaml"], vocabulary=shipped()).applications["BRG"].delete
    assert borg.run(*expand(delete.run, {"handle": "11-1"})[1:]).returncode == 0
    assert borg.query("11-1") is None
    assert borg.query("11-10") is not None
