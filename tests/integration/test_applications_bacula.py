"""Bacula behind the real server: jobs that it queues itself, its tapes, and its traps."""

import re
import subprocess
import time
from contextlib import contextmanager

import pytest

from tests.harness.programs.bacula import IN_FLIGHT
from tests.harness.station import Station, checksum, reason, word

pytestmark = pytest.mark.programs

SITE = """
applications:
  BAC:
    seats: 1
    programs: {{bconsole: {folder}/bconsole}}
    places:
      console: {root}/console.conf
      list: {root}/paths
    defaults: {{jobname: Archive, client: vts-client, level: Full}}
    timeout: 10m
    retry: 1
x-poll: &poll
  run: ["{{program.bconsole}}", -n, -c, "{{console}}"]
  input: ["llist jobid={{application_job}}"]
  read:
    state: 'JobStatus: ([A-Za-z])$'
    errors: 'JobErrors: ([0-9,]+)$'
    files: 'JobFiles: ([0-9,]+)$'
    bytes: 'ReadBytes: ([0-9,]+)$'
  expect: {{errors: 0, files: 1, bytes: {{at_least: "{{size}}"}}}}
  running: "[CRBFSmMsjcdtpialL]"
  completed: T
  every: 500ms
  timeout: 30s
  patience: 5m
  find:
    run: ["{{program.bconsole}}", -n, -c, "{{console}}"]
    input: ['.sql query="SELECT JobId FROM Job WHERE Comment=''{{handle}}''"']
    read: {{application_job: '^([0-9]+)\\t'}}
    expect: {{application_job: {{at_least: 1}}}}
rules:
  - rule: one that may not take long
    when: {{family: BAC, pool: LATE}}
    run: ["{{program.bconsole}}", -n, -c, "{{console}}"]
    input: ['run job=Archive client=vts-client level=Full comment="{{handle}}" yes']
    then: migrated
    timeout: 12s
    poll: {{<<: *poll}}
  - rule: one whose director may be silent for eight seconds
    when: {{family: BAC, pool: SILENT}}
    run: ["{{program.bconsole}}", -n, -c, "{{console}}"]
    input: ['run job=Archive client=vts-client level=Full comment="{{handle}}" yes']
    then: migrated
    on_interrupt: retry
    poll: {{<<: *poll, patience: 8s}}
"""


@pytest.fixture(scope="module")
def station(tmp_path_factory, bacula):
    root = tmp_path_factory.mktemp("station")
    folder = tmp_path_factory.mktemp("consoles")
    site = SITE.format(root=bacula.root, folder=folder)
    station = Station(root, site=site, tables=["bac"])
    station.folder = folder
    console(station)
    station.start()
    yield station
    station.stop()


def console(station, text='#!/bin/sh\nexec /usr/sbin/bconsole "$@"\n'):
    """Put a script in the place of bconsole: what stands before the real one."""
    fresh = station.folder / "new"
    fresh.write_text(text)
    fresh.chmod(0o755)
    fresh.rename(station.folder / "bconsole")


@pytest.fixture(autouse=True)
def tapes_enough(bacula):
    """Give Bacula its cartridges back: what earlier tests stored is not needed any more."""
    purge = [f"purge volume={tape}" for tape in bacula.tapes_in_use()]
    if purge:
        bacula.console(*purge)


def number(station, job):
    """Return the number that Bacula gave a job, as soon as the ledger has it."""
    attempts = station.until(
        lambda: [
            each
            for each in station.ask(f"jobs/{job}")["attempts"]
            if "application_job" in each["readings"]
        ]
    )
    return int(attempts[-1]["readings"]["application_job"])


def start(station, text):
    """Send a command; return the numbers of its request, our job and Bacula's job."""
    request = station.accept(text)
    [job] = station.ask(f"requests/{request}")["job_list"]
    return request, job["id"], number(station, job["id"])


def test_a_tape_goes_to_cartridges_is_emptied_and_comes_back_for_a_mount(station, bacula):
    tape = station.tape("PAY", "A00001")
    before = checksum(tape)
    done = station.command("VTSPolicy BAC 'archive /VAULT01/PAY/A00001'")
    assert word(done) == "COMPLETED"
    readings = station.job(done)["attempts"][0]["readings"]
    told = bacula.query(int(readings["application_job"]))
    assert (told["comment"], told["jobstatus"]) == (station.handle(done), "T")
    assert readings["stored"] == str(tape)
    assert word(station.command("VTSPolicy Erase - A00001")) == "COMPLETED"
    assert tape.stat().st_size == 0
    assert word(station.mount("A00001")) == "MOUNTREADY"
    assert checksum(tape) == before
    # Polls leave no folders behind.
    left = {each.name for each in (station.root / "spool").iterdir() if "poll" in each.name}
    assert left == set()


def test_a_copy_that_spans_cartridges_comes_back_whole(station, bacula):
    tape = station.tape("PAY", "A00002", size=30_000_000)
    before = checksum(tape)
    done = station.command("VTSPolicy BAC 'archive /VAULT01/PAY/A00002'")
    assert word(done) == "COMPLETED"
    readings = station.job(done)["attempts"][0]["readings"]
    assert len(bacula.media(int(readings["application_job"]))) >= 2
    assert word(station.command("VTSPolicy Erase - A00002")) == "COMPLETED"
    assert word(station.command("VTSPolicy Restore - A00002")) == "COMPLETED"
    assert checksum(tape) == before


def test_bacula_calls_a_missing_tape_a_success_and_we_do_not(station, bacula):
    # The trap: T, with no file, an error, and bconsole's exit code 0.
    missing = station.root / "VAULT01" / "PAY" / "MISSING"
    trap = bacula.finished(bacula.archive(missing, "trap"))
    assert (trap["jobstatus"], trap["jobfiles"], trap["joberrors"]) == ("T", "0", "1")
    tape = station.tape("PAY", "A00003")
    away = station.root / "away"
    # The tape is away as soon as its path is written down.
    console(
        station,
        f'#!/bin/sh\n[ -e {tape} ] && mv {tape} {away}\nexec /usr/sbin/bconsole "$@"\n',
    )
    try:
        done = station.command("VTSPolicy BAC 'archive /VAULT01/PAY/A00003'")
    finally:
        console(station)
        away.rename(tape)
    assert word(done) == "FAILED"
    assert "errors is 1, expected 0: Could not stat" in reason(done)
    assert word(station.command("VTSPolicy Erase - A00003")) == "FAILED"
    assert tape.stat().st_size == 300_000


def test_restoring_what_bacula_does_not_have_starts_no_job_and_fails(station, bacula):
    tape = station.tape("PAY", "A00004")
    done = station.command("VTSPolicy BAC 'archive /VAULT01/PAY/A00004'")
    job = int(station.job(done)["attempts"][0]["readings"]["application_job"])
    assert word(station.command("VTSPolicy Erase - A00004")) == "COMPLETED"
    bacula.console(f"delete jobid={job}")
    # The trap: bconsole exits with 0 and no job was queued.
    said = bacula.console(f"restore client=vts-client jobid={job} all done yes")
    assert "Job queued" not in said
    lost = station.command("VTSPolicy Restore - A00004")
    assert word(lost) == "FAILED"
    assert "could not be prepared" in reason(lost)
    assert tape.stat().st_size == 0


@contextmanager
def no_media(bacula):
    """Jobs that are started meanwhile wait for a tape that can be written."""
    bacula.console(*[f"update volume={name} volstatus=Read-Only" for name in bacula.all_tapes()])
    try:
        yield
    finally:
        bacula.console(*[f"update volume={name} volstatus=Append" for name in bacula.all_tapes()])


def give_media(bacula, drive):
    """Tell the drive that waits to look for a tape again."""
    bacula.console(f"mount storage=Library slot={drive + 1} drive={drive}")


def test_a_job_waits_for_media_and_continues_when_there_are_some(station, bacula):
    station.tape("PAY", "A00006", size=3_000_000)
    with no_media(bacula):
        request, _, bacula_job = start(station, "VTSPolicy BAC 'archive /VAULT01/PAY/A00006'")
        drive = waiting(station, bacula)
        assert bacula.query(bacula_job)["jobstatus"] in IN_FLIGHT
    give_media(bacula, drive)
    assert word(station.final(request)) == "COMPLETED"
    assert bacula.query(bacula_job)["jobstatus"] == "T"


def waiting(station, bacula):
    """Return the drive at which a job waits for a tape, once it does."""
    (drive,) = station.until(
        lambda: [each for each in [bacula.waiting_drive()] if each is not None]
    )
    return drive


def test_a_cancelled_job_is_cancelled_in_bacula_though_its_client_has_long_ended(station, bacula):
    with no_media(bacula):
        station.tape("PAY", "A00005")
        request, _, bacula_job = start(station, "VTSPolicy BAC 'archive /VAULT01/PAY/A00005'")
        assert bacula.query(bacula_job)["jobstatus"] in IN_FLIGHT
        station.say(f"VTSPolicy Cancel - {request}")
        assert word(station.final(request)) == "CANCELLED"
        assert bacula.finished(bacula_job)["jobstatus"] == "A"


def test_a_job_without_its_file_daemon_can_be_cancelled_too(station, bacula):
    bacula.client.kill()
    try:
        station.tape("PAY", "A00010")
        request, _, bacula_job = start(station, "VTSPolicy BAC 'archive /VAULT01/PAY/A00010'")
        station.say(f"VTSPolicy Cancel - {request}")
        assert word(station.final(request)) == "CANCELLED"
        assert bacula.finished(bacula_job)["jobstatus"] == "A"
    finally:
        bacula.client.start()


def test_a_job_out_of_time_is_cancelled_in_bacula(station, bacula):
    with no_media(bacula):
        station.tape("LATE", "L00001")
        request, _, bacula_job = start(station, "VTSPolicy BAC 'archive /VAULT01/LATE/L00001'")
        done = station.final(request)
        assert (word(done), "longer than 12 s" in reason(done)) == ("TIMEDOUT", True)
        assert bacula.finished(bacula_job)["jobstatus"] == "A"


def test_a_server_that_is_killed_continues_polling_by_the_number_that_it_kept(station, bacula):
    station.tape("PAY", "A00007")
    with no_media(bacula):
        request, job, bacula_job = start(station, "VTSPolicy BAC 'archive /VAULT01/PAY/A00007'")
        drive = waiting(station, bacula)
        station.kill()
        station.start()
    give_media(bacula, drive)
    done = station.final(request)
    assert word(done) == "COMPLETED"
    [attempt] = station.ask(f"jobs/{job}")["attempts"]
    assert int(attempt["readings"]["application_job"]) == bacula_job
    assert jobs_of(bacula, station.handle(done)) == [bacula_job]


def test_a_submission_that_nobody_heard_the_end_of_is_found_by_its_handle(station, bacula):
    # The trap: to submit it again would make a second copy.
    station.tape("LATE", "L00002")
    # The console takes the job, and then hangs without a word.
    console(
        station,
        "#!/bin/sh\ninput=$(cat)\n"
        'case "$input" in\n'
        'run*) echo "$input" | /usr/sbin/bconsole "$@" >/dev/null; exec sleep 600 ;;\n'
        '*) echo "$input" | exec /usr/sbin/bconsole "$@" ;;\nesac\n',
    )
    try:
        done = station.command("VTSPolicy BAC 'archive /VAULT01/LATE/L00002'")
    finally:
        console(station)
    assert word(done) in {"COMPLETED", "TIMEDOUT"}
    readings = station.job(done)["attempts"][0]["readings"]
    assert jobs_of(bacula, station.handle(done)) == [int(readings["application_job"])]


def test_a_console_with_a_wrong_password_does_not_hold_a_job_for_long(station, bacula):
    station.tape("LATE", "L00003")
    conf = bacula.root / "console.conf"
    right = conf.read_text()
    conf.write_text(right.replace(bacula.values["PASSWORD"], "wrong"))
    begun = time.monotonic()  # and polls may be patient for five minutes
    try:
        done = station.command("VTSPolicy BAC 'archive /VAULT01/LATE/L00003'")
    finally:
        conf.write_text(right)
    assert word(done) in {"FAILED", "INTERRUPTED"}
    assert time.monotonic() - begun < 150


def test_a_director_that_stays_away_ends_as_interrupted_because_its_job_may_continue(
    station, bacula
):
    station.tape("SILENT", "S00001")
    with no_media(bacula):
        request, _, bacula_job = start(station, "VTSPolicy BAC 'archive /VAULT01/SILENT/S00001'")
        console(station, "#!/bin/sh\nexit 1\n")
        try:
            done = station.final(request)
            assert word(done) == "INTERRUPTED"
            assert f"job {bacula_job}" in reason(done)
            assert bacula.query(bacula_job)["jobstatus"] in IN_FLIGHT
        finally:
            console(station)
            bacula.console(f"cancel jobid={bacula_job} yes")
            bacula.finished(bacula_job)


def test_wait_with_a_timeout_waits_for_ever_so_we_poll(bacula, station):
    # The trap: the console's own wait has no end; our polls have one each.
    with no_media(bacula):
        job = bacula.archive(station.tape("PAY", "A00009"), "wait")
        try:
            with pytest.raises(subprocess.TimeoutExpired):
                bacula.console(f"wait jobid={job} timeout=1", timeout=4)
        finally:
            bacula.console(f"cancel jobid={job} yes")
            bacula.finished(job)


def jobs_of(bacula, handle):
    said = bacula.console(f".sql query=\"SELECT JobId FROM Job WHERE Comment='{handle}'\"")
    return [int(found) for found in re.findall(r"^(\d+)\t", said, re.MULTILINE)]
