"""restic behind the real server: its answers, its traps, and every way in which it can fail."""

import json
import shutil
import signal
import subprocess
import time

import pytest

from tests.harness.programs.restic import Restic
from tests.harness.station import TIMEOUT, Station, checksum, reason, word
from vtspolicy.runner.keeper import process

pytestmark = pytest.mark.programs

SITE = """
applications:
  RST:
    places:
      repository: {folder}/repository
      password_file: {folder}/password
      cache: {folder}/cache
    programs: {{restic: {folder}/restic}}
    retry: 1
    timeout: 10m
    timeouts: {{grace: 5s}}
    on_interrupt: retry
rules:
  - rule: one that may take no time
    when: {{family: RST, pool: LATE}}
    run: ["{{program.restic}}", backup, --json, [--tag, "{{handle}}"], --stdin, "{{path}}"]
    timeout: 5s
"""

# root reads everything; without this capability it does not read what its mode forbids
WITHOUT_PRIVILEGE = (
    '#!/bin/sh\nexec setpriv --bounding-set=-dac_override,-dac_read_search {} "$@"\n'
)


@pytest.fixture(scope="module")
def restic(tmp_path_factory):
    restic = Restic(tmp_path_factory.mktemp("restic"))
    program(restic)
    return restic


@pytest.fixture(scope="module")
def station(tmp_path_factory, restic):
    root = tmp_path_factory.mktemp("station")
    station = Station(root, site=SITE.format(folder=restic.folder), tables=["rst"]).start()
    yield station
    station.stop()


def program(restic, text='#!/bin/sh\nexec {} "$@"\n'):
    """Put a script in the place of restic: what stands before the real one."""
    script = restic.folder / "restic"
    fresh = restic.folder / "restic.new"
    fresh.write_text(text.format(shutil.which("restic")))
    fresh.chmod(0o755)
    fresh.rename(script)


@pytest.fixture
def restored_program(restic):
    yield
    program(restic)


def test_a_tape_goes_to_restic_is_emptied_and_comes_back_for_a_mount(station, restic):
    tape = station.tape("PAY", "A00001")
    before = checksum(tape)
    done = station.command("VTSPolicy RST 'archive /VAULT01/PAY/A00001 tag=NIGHT ref=R1'")
    assert (word(done), dict(done.fields)["ref"]) == ("COMPLETED", "R1")
    [snapshot] = restic.query(tape, station.handle(done))
    assert set(snapshot["tags"]) == {station.handle(done), "NIGHT"}
    assert snapshot["hostname"] == "vts1.example.com"
    assert station.job(done)["attempts"][0]["readings"]["bytes"] == "300000"

    assert word(station.command("VTSPolicy Erase - A00001")) == "COMPLETED"
    assert tape.stat().st_size == 0
    assert word(station.mount("A00001")) == "MOUNTREADY"
    assert checksum(tape) == before


def test_what_has_no_copy_is_not_emptied(station):
    tape = station.tape("PAY", "A00002")
    refused = station.command("VTSPolicy Erase - A00002")
    assert word(refused) == "FAILED"
    assert tape.stat().st_size == 300_000


def test_a_missing_source_beside_another_is_a_success_for_restic_and_none_for_us(
    station, restic, restored_program
):
    # The trap: two sources, one of them missing, and exit code 0.
    tape = station.tape("PAY", "A00003")
    both = restic.run("backup", "--json", tape, tape.parent / "MISSING")
    assert both.returncode == 0
    assert "does not exist, skipping" in both.stderr
    # We name one source a call, so the same is a failure.
    script = '[ "$1" = backup ] && for last; do :; done && rm "$last"'
    program(restic, "#!/bin/sh\n" + script + '\nexec {} "$@"\n')
    done = station.command("VTSPolicy RST 'archive /VAULT01/PAY/A00003'")
    assert (word(done), dict(done.fields)["rc"]) == ("FAILED", 1)
    assert "do not exist" in reason(done)


def test_a_copy_of_fewer_bytes_than_the_tape_has_is_no_copy(station, restic, restored_program):
    tape = station.tape("PAY", "A00004")
    # A restic that reads something else than it was told, and exits with 0.
    other = station.tape("PAY", "SMALL", size=10)
    real = shutil.which("restic")
    program(
        restic, f'#!/bin/sh\n[ "$1" = backup ] && set -- backup --json {other}\nexec {real} "$@"\n'
    )
    done = station.command("VTSPolicy RST 'archive /VAULT01/PAY/A00004'")
    assert (word(done), "bytes is 10, expected 300000" in reason(done)) == ("FAILED", True)
    assert tape.exists()


def test_an_unreadable_tape_fails(station, restic, restored_program):
    tape = station.tape("PAY", "A00005")
    tape.chmod(0)
    program(restic, WITHOUT_PRIVILEGE)
    said = subprocess.run(
        [restic.folder / "restic", "backup", tape],
        env=restic.env,
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert said.returncode == 3
    done = station.command("VTSPolicy RST 'archive /VAULT01/PAY/A00005'")
    assert (word(done), dict(done.fields)["rc"]) == ("FAILED", 3)


def test_a_wrong_password_fails_and_says_so(station, restic):
    station.tape("PAY", "A00006")
    right = restic.password_file.read_text()
    restic.password_file.write_text("wrong")
    try:
        done = station.command("VTSPolicy RST 'archive /VAULT01/PAY/A00006'")
    finally:
        restic.password_file.write_text(right)
    assert (word(done), dict(done.fields)["rc"]) == ("FAILED", 1)
    assert "wrong password" in reason(done)


def test_a_missing_repository_fails_and_nothing_is_emptied(station, restic):
    tape = station.tape("PAY", "A00007")
    assert word(station.command("VTSPolicy RST 'archive /VAULT01/PAY/A00007'")) == "COMPLETED"
    repository, away = restic.folder / "repository", restic.folder / "away"
    repository.rename(away)
    try:
        done = station.command("VTSPolicy RST 'archive /VAULT01/PAY/A00007'")
        assert (word(done), dict(done.fields)["rc"]) == ("FAILED", 1)
        gate = station.command("VTSPolicy Erase - A00007")
        assert word(gate) == "FAILED"
        assert tape.stat().st_size == 300_000
    finally:
        away.rename(repository)


def halted_with_a_lock(station, restic):
    """Start a check of the repository and halt it while it holds its lock."""
    locks = restic.folder / "repository" / "locks"

    def halted():
        holder = subprocess.Popen(["restic", "check"], env=restic.env, stdout=subprocess.DEVNULL)
        station.until(lambda: list(locks.iterdir()) or holder.poll() is not None)
        holder.send_signal(signal.SIGSTOP)
        station.until(lambda: holder.poll() is not None or process(holder.pid)[0] == "T")
        # What has another name is a lock that is just being written.
        if holder.poll() is None and any(len(each.name) == 64 for each in locks.iterdir()):
            return holder
        holder.send_signal(signal.SIGCONT)
        holder.wait(TIMEOUT)
        return None  # it was too fast for us

    return station.until(halted)


def test_a_locked_repository_fails(station, restic):
    station.tape("PAY", "A00008")
    holder = halted_with_a_lock(station, restic)
    try:
        done = station.command("VTSPolicy RST 'archive /VAULT01/PAY/A00008'")
    finally:
        holder.send_signal(signal.SIGCONT)
        holder.wait(TIMEOUT)
    assert (word(done), dict(done.fields)["rc"]) == ("FAILED", 1)
    assert "already locked" in station.job(done)["attempts"][0]["output"]


def test_a_restic_that_does_not_hear_is_stopped_with_all_its_processes(station, restic):
    # The trap: not every signal stops every program. After the grace nobody is asked any more.
    station.tape("LATE", "L00001")
    program(restic, "#!/bin/sh\ntrap '' TERM HUP INT\nsleep 600 &\nsleep 600\n")
    try:
        begun = time.monotonic()
        done = station.command("VTSPolicy RST 'archive /VAULT01/LATE/L00001'")
    finally:
        program(restic)
    assert word(done) == "TIMEDOUT"
    assert time.monotonic() - begun > 10  # its five seconds, and five of grace


def test_a_restic_that_is_killed_fails_and_the_next_run_makes_one_copy(station, restic):
    tape = station.tape("PAY", "A00009")
    program(restic, "#!/bin/sh\nkill -KILL $$\n")
    try:
        done = station.command("VTSPolicy RST 'archive /VAULT01/PAY/A00009'")
    finally:
        program(restic)
    assert (word(done), "SIGKILL" in reason(done)) == ("FAILED", True)
    done = station.command("VTSPolicy RST 'archive /VAULT01/PAY/A00009'")
    assert word(done) == "COMPLETED"
    assert len(restic.query(tape, station.handle(done))) == 1


def test_restoring_what_restic_does_not_have_can_exit_0_and_fails_here(station, restic):
    tape = station.tape("PAY", "A00010")
    before = checksum(tape)
    done = station.command("VTSPolicy RST 'archive /VAULT01/PAY/A00010'")
    handle = station.handle(done)
    # The trap: an include that nothing matches is a success.
    nothing = restic.run(
        "restore", "latest", "--tag", handle, "--target", "/", "--include", "/not/there"
    )
    assert nothing.returncode == 0
    assert word(station.command("VTSPolicy Erase - A00010")) == "COMPLETED"
    program(restic, '#!/bin/sh\n[ "$1" = restore ] && exit 0\nexec {} "$@"\n')
    try:
        lost = station.command("VTSPolicy Restore - A00010")
    finally:
        program(restic)
    assert word(lost) == "FAILED"
    assert word(station.command("VTSPolicy Restore - A00010")) == "COMPLETED"
    assert checksum(tape) == before


def test_the_copy_of_a_run_that_died_with_its_keeper_is_not_made_twice(station, restic):
    # The trap: a second backup makes a second snapshot, so the handle is asked for first.
    tape = station.tape("PAY", "A00011")
    gate = restic.folder / "gate"
    gate.touch()
    program(
        restic,
        '#!/bin/sh\n{} "$@" || exit\n'
        f'[ "$1" = backup ] && while [ -e {gate} ]; do sleep 0.05; done\nexit 0\n',
    )
    try:
        request = station.accept("VTSPolicy RST 'archive /VAULT01/PAY/A00011'")
        [job] = station.ask(f"requests/{request}")["job_list"]
        station.until(lambda: restic.query(tape, job["handle"]))
        station.kill()
        die_with_the_machine(station, f"{job['id']:06d}-1")
        station.start()
        done = station.final(request)
    finally:
        gate.unlink()
        program(restic)
    assert (word(done), "its copy was found" in str(station.job(done))) == ("COMPLETED", True)
    assert len(restic.query(tape, job["handle"])) == 1
    assert len(station.job(done)["attempts"]) == 1


def test_a_run_that_died_before_its_copy_is_made_again_once(station, restic):
    tape = station.tape("PAY", "A00013")
    program(restic, '#!/bin/sh\n[ "$1" = backup ] && exec sleep 600\nexec {} "$@"\n')
    try:
        request = station.accept("VTSPolicy RST 'archive /VAULT01/PAY/A00013'")
        [job] = station.ask(f"requests/{request}")["job_list"]
        state = station.root / "spool" / f"{job['id']:06d}-1" / "state"
        station.until(lambda: state.exists() and '"pid"' in state.read_text().split("keeper")[-1])
        station.kill()
        die_with_the_machine(station, f"{job['id']:06d}-1")
    finally:
        program(restic)
    station.start()
    done = station.final(request)
    assert word(done) == "COMPLETED"
    assert [each["kind"] for each in station.job(done)["attempts"]] == ["lost", "exited"]
    assert len(restic.query(tape, job["handle"])) == 1


def test_a_run_that_died_while_nobody_can_be_asked_for_its_copy_is_not_made_again(station, restic):
    station.tape("PAY", "A00014")
    program(restic, '#!/bin/sh\n[ "$1" = backup ] && exec sleep 600\nexit 1\n')
    try:
        request = station.accept("VTSPolicy RST 'archive /VAULT01/PAY/A00014'")
        [job] = station.ask(f"requests/{request}")["job_list"]
        state = station.root / "spool" / f"{job['id']:06d}-1" / "state"
        station.until(lambda: state.exists() and '"pid"' in state.read_text().split("keeper")[-1])
        station.kill()
        die_with_the_machine(station, f"{job['id']:06d}-1")
        station.start()
        done = station.final(request)
    finally:
        program(restic)
    assert word(done) == "INTERRUPTED"
    assert len(station.job(done)["attempts"]) == 1


def die_with_the_machine(station, key):
    """Kill a run and the keeper that would write down its end, and make its boot another one."""
    state = station.root / "spool" / key / "state"
    lines = [json.loads(line) for line in state.read_text().splitlines() if line]
    keeper = next(line["keeper"]["pid"] for line in lines if "keeper" in line)
    leader = next(line["pid"] for line in lines if "pid" in line)
    subprocess.run(["kill", "-KILL", str(keeper)], check=True)
    subprocess.run(["kill", "-KILL", "--", f"-{leader}"], check=True)


def test_a_copy_is_deleted_by_its_number_because_a_tag_alone_keeps_it(restic, tmp_path):
    from vtspolicy.config.load import SHIPPED
    from vtspolicy.grammar import shipped
    from vtspolicy.rules.expand import expand
    from vtspolicy.rules.judge import judge_query
    from vtspolicy.rules.load import load_table

    tape = tmp_path / "A00012"
    tape.write_bytes(b"x" * 1000)
    restic.archive(tape, "12-1")
    assert restic.run("forget", "--tag", "12-1").returncode == 0
    assert len(restic.query(tape, "12-1")) == 1
    delete = load_table([SHIPPED / "rst.yaml"], vocabulary=shipped()).applications["RST"].delete
    values = {"handle": "12-1", "source": str(tape)}
    found = restic.run(*expand(delete.prepare.run, values)[1:])
    judged = judge_query(delete.prepare, code=0, output=found.stdout, values=values)
    assert judged.state == "completed"
    gone = restic.run(*expand(delete.run, {**values, **judged.readings})[1:])
    assert gone.returncode == 0
    assert restic.query(tape, "12-1") == []
    again = restic.run(*expand(delete.prepare.run, values)[1:])
    assert judge_query(delete.prepare, code=0, output=again.stdout, values=values).absent
