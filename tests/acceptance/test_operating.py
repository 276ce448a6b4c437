"""What operators do with a running server: reload, cancel, retry, drain, free a lock, copy."""

import contextlib
import re
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from tests.harness.site import TIMEOUT, VTSPOLICY, Site, event

RULES = """
applications:
  DSK:
    title: a shell script of the site's own
    seats: 4
    outcome: {{0: completed, 4: warning, default: failed}}
  ONE:
    title: the same, one at a time
    seats: 1
    outcome: {{0: completed, default: failed}}
rules:
  - rule: one after the other, and not for long
    application: ONE
    when: {{family: DSK, pool: LATE}}
    run: [{root}/application, gate, "{{path}}"]
    timeouts: {{waiting: 5s}}
  - rule: one after the other
    application: ONE
    when: {{family: DSK, pool: ONE}}
    run: [{root}/application, gate, "{{path}}"]
    lock: the one drive
  - rule: the same drive
    when: {{family: DSK, pool: TWO}}
    run: [{root}/application, gate, "{{path}}"]
    lock: the one drive
  - rule: a family of processes
    when: {{family: DSK, pool: FAMILY}}
    run: [{root}/application, family, "{{path}}"]
    timeouts: {{grace: 1s}}
  - rule: an attempt of five seconds
    when: {{family: DSK, pool: SLOW}}
    run: [{root}/application, gate, "{{path}}"]
    timeout: 5s
  - rule: two seconds in all
    when: {{family: DSK, pool: TOTAL}}
    run: [{root}/application, fails, "{{path}}"]
    timeouts: {{total: 2s}}
    retry: {{attempts: 100, delay: 1s}}
  - rule: never silent
    when: {{family: DSK, pool: QUIET}}
    run: [{root}/application, gate, "{{path}}"]
    timeouts: {{silence: 5s}}
  - rule: three attempts
    when: {{family: DSK, pool: AGAIN}}
    run: [{root}/application, third, "{{path}}"]
    retry: {{attempts: 3, delay: 1s, backoff: 2}}
  - rule: all others
    when: {{family: DSK}}
    run: [{root}/application, gate, "{{path}}"]
"""

APPLICATION = """#!/bin/sh
# Writes down that it was started; then does what its first word says.
echo "$1 $2 $$" >> "{root}/record"
tape=${{2##*/}}
case "$1" in
gate) while [ -e "{root}/gate" ]; do sleep 0.05; done ;;
fails) exit 7 ;;
third) [ "$(grep -c " $2 " "{root}/record")" -ge 3 ] || exit 7 ;;
family)  # a child in the background, a grandchild, and none of them hears TERM
    trap "" TERM
    (trap "" TERM; sh -c 'trap "" TERM; echo grandchild $$ >> "$0/family"; sleep 600' "{root}" &
     echo child $$ >> "{root}/family"; wait) &
    echo leader $$ >> "{root}/family"
    wait ;;
esac
"""

OTHER_TABLE = """
applications:
  DSK: {{title: another, outcome: {{0: completed, default: failed}}}}
rules:
  - rule: nobody archives any more
    when: {{family: DSK}}
    deny: closed for the night
"""

TESTS = """
cases:
  - case: an archive is run
    command: VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00017'
    rule: all others
"""

POOLS = ("ONE", "TWO", "LATE", "FAMILY", "SLOW", "TOTAL", "QUIET", "AGAIN")


@pytest.fixture
def site(tmp_path):
    """A site with many rules and a running server."""
    site = Site(tmp_path)
    site.write("rules.yaml", RULES)
    site.write("application", APPLICATION)
    for pool in POOLS:
        site.tapes(pool, f"{pool[0]}00001", f"{pool[0]}00002")
    site.start()
    yield site
    site.close()


def archive(pool, cartridge="", ref=""):
    target = f"/VAULT01/{pool}" + (f"/{cartridge}" if cartridge else "")
    return event(f"VTSPolicy DSK 'archive {target} ref={ref or pool}'")


def state_of(site, job):
    return site.json("job", str(job))["state"]


def rows(site, query):
    """Ask the ledger's file itself."""
    with contextlib.closing(sqlite3.connect(site.root / "ledger.db")) as ledger:
        return ledger.execute(query).fetchall()


def until(true, seconds=TIMEOUT):
    """Wait for what no notice reports."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
    return found


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


# Stop


def test_a_server_that_is_stopped_while_it_starts_goes_without_complaint(site):
    site.stop()
    lock = site.root / "ledger.db.lock"
    for delay in (0.0, 0.01, 0.02):
        server = subprocess.Popen(
            [VTSPOLICY, "serve", "--config", site.root / "vtspolicy.yaml"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        until(lambda pid=server.pid: lock.read_text().split()[0] == str(pid))
        time.sleep(delay)  # wherever it is just then
        server.terminate()
        said = server.communicate(timeout=TIMEOUT)[0].decode()
        assert "Traceback" not in said
        assert "the ledger is closed" not in said
        assert server.returncode in {0, -signal.SIGTERM}
    site.start()


# Reload


def hang_up(site):
    before = len(re.findall("Reload", site.log))
    site.server.send_signal(signal.SIGHUP)
    until(lambda: len(re.findall("Reload", site.log)) > before)


def by_command(site):
    return site.run("reload", check=False)


@pytest.mark.parametrize("reload", [hang_up, by_command])
def test_a_good_table_is_taken_and_what_was_decided_before_keeps_its_decision(site, reload):
    site.hold()
    link = site.link()
    link.send(archive("ONE", "O00001", "runs") + archive("ONE", "O00002", "waits"))
    link.wait("STARTED", ref="runs")
    link.wait("ACCEPTED", ref="waits")
    table = site.json("status")["table"]
    site.write("rules.yaml", OTHER_TABLE)
    reload(site)
    link.send(archive("PAYROLL", "A00017", "late"))
    link.wait("DENIED", ref="late", reason="closed for the night")
    site.let_go()
    link.wait("COMPLETED", ref="runs")
    link.wait("COMPLETED", ref="waits")
    after = site.json("status")["table"]
    assert after != table
    decided_by = rows(site, 'SELECT "table" FROM requests ORDER BY id')
    assert decided_by == [(table,), (table,), (after,)]


@pytest.mark.parametrize("reload", [hang_up, by_command])
def test_a_broken_table_is_refused_with_its_place_and_the_old_one_is_kept(site, reload):
    broken = site.write("rules.yaml", OTHER_TABLE.replace("deny", "dney"))
    done = reload(site)
    told = done.stderr if done is not None else site.log
    assert f"{broken}:7:5:" in told
    assert "deny" in told
    if done is not None:
        assert done.returncode == 2
    link = site.link()
    link.send(archive("PAYROLL", "A00017"))
    link.wait("COMPLETED")
    assert "vtspolicy_config_last_reload_successful 0.0" in metrics(site)


def test_rights_that_a_reload_takes_away_are_gone_at_once_and_so_is_a_host(site):
    link = site.link()
    link.send(archive("PAYROLL", "A00017", "before"))
    link.wait("COMPLETED", ref="before")
    path = site.root / "vtspolicy.yaml"
    config = path.read_text()
    path.write_text(config.replace("families: [DSK,", "families: ["))
    site.run("reload")
    link.send(archive("PAYROLL", "A00018", "after"))
    link.wait("DENIED", ref="after", reason="host NSK1 may not use DSK")
    path.write_text(config.replace("peers: [127.0.0.1]", "peers: [127.0.0.2]"))
    site.run("reload")
    link.drain()  # the server ends the connection


def test_what_is_doubtful_in_a_configuration_is_reported_by_check_reload_and_start(site):
    path = site.root / "vtspolicy.yaml"
    relay = "hosts:\n  RELAY: {peers: [127.0.0.2], systems: ['\\NSK1']}\n"
    path.write_text(path.read_text().replace("hosts:\n", relay))
    done = site.run("check", check=False)
    assert done.returncode == 3
    assert "runs twice; make them one host with the peers of both" in done.stdout + done.stderr
    site.run("reload")
    assert site.log.count("runs twice; make them one host") == 1
    site.stop()
    site.start()
    assert site.log.count("runs twice; make them one host") == 2


def test_a_table_whose_rule_tests_fail_is_refused(site):
    site.stop()
    config = (site.root / "vtspolicy.yaml").read_text() + "tests: [tests.yaml]\n"
    (site.root / "vtspolicy.yaml").write_text(config)
    site.write("tests.yaml", TESTS)
    site.start()
    site.write("rules.yaml", OTHER_TABLE)
    done = site.run("reload", check=False)
    assert done.returncode == 2
    assert "an archive is run" in done.stderr
    link = site.link()
    link.send(archive("PAYROLL", "A00017"))
    link.wait("COMPLETED")


def metrics(site):
    from urllib.request import urlopen

    return urlopen(f"http://127.0.0.1:{site.web}/metrics").read().decode()


# Cancel


def cancel_by_command(site, link, request):
    site.run("cancel", str(request))


def cancel_by_event(site, link, request):
    link.send(event(f"VTSPolicy Cancel - {request}", number=request))


CANCELS = pytest.mark.parametrize("cancel", [cancel_by_command, cancel_by_event])


@CANCELS
def test_a_waiting_job_is_cancelled_and_never_started(site, cancel):
    site.hold()
    link = site.link()
    link.send(archive("ONE", "O00001", "runs") + archive("ONE", "O00002", "waits"))
    link.wait("STARTED", ref="runs")
    link.wait("ACCEPTED", ref="waits")
    cancel(site, link, 2)
    link.wait("CANCELLED", ref="waits")
    site.let_go()
    link.wait("COMPLETED", ref="runs")
    assert [words[1] for words in site.record] == [str(site.root / "VAULT01/ONE/O00001")]


@CANCELS
def test_a_cancelled_job_is_gone_with_its_children_and_grandchildren(site, cancel):
    link = site.link()
    link.send(archive("FAMILY", "F00001"))
    link.wait("STARTED")
    family = site.root / "family"
    until(lambda: family.exists() and len(family.read_text().splitlines()) == 3)
    members = {line.split()[0]: int(line.split()[1]) for line in family.read_text().splitlines()}
    assert set(members) == {"leader", "child", "grandchild"}
    assert all(is_alive(pid) for pid in members.values())
    cancel(site, link, 1)
    link.wait("CANCELLED", ref="FAMILY")
    assert not any(is_alive(pid) for pid in members.values())


def test_what_has_ended_cannot_be_cancelled(site):
    link = site.link()
    link.send(archive("PAYROLL", "A00017"))
    link.wait("COMPLETED")
    done = site.run("cancel", "1", check=False)
    assert done.returncode == 1
    assert "had ended already" in done.stderr


# Retry, drain, locks


def test_a_job_is_run_again_as_a_request_of_its_own(site):
    link = site.link()
    link.send(archive("AGAIN", "A00001"))
    link.wait("COMPLETED")
    site.run("retry", "1")
    again = link.wait("COMPLETED", req=2)
    assert again.fields["again"] == 1
    assert "ref" not in again.fields  # the host has its answer about that
    assert "run again as job 2" in str(site.json("job", "1")["history"])


def test_attempts_are_repeated_with_growing_delays_and_told(site):
    link = site.link()
    link.send(archive("AGAIN", "A00001"))
    first = link.wait("RETRYING", attempt=1)
    assert (first.fields["rc"], first.fields["in"]) == (7, 1)
    assert link.wait("RETRYING", attempt=2).fields["in"] == 2
    assert link.wait("COMPLETED").fields["attempt"] == 3
    assert len(site.record) == 3


def test_a_drained_server_finishes_what_runs_and_the_next_takes_up_the_rest(site):
    site.hold()
    link = site.link()
    link.send(archive("ONE", "O00001", "runs") + archive("ONE", "O00002", "waits"))
    link.wait("STARTED", ref="runs")
    link.wait("ACCEPTED", ref="waits")
    assert site.run("drain", "--wait", "--timeout", "0", check=False).returncode == 5
    waiting = subprocess.Popen(
        [VTSPOLICY, "drain", "--config", site.root / "vtspolicy.yaml", "--wait"]
    )
    link.send(archive("PAYROLL", "A00017", "late"))
    assert waiting.poll() is None
    site.let_go()
    assert waiting.wait(TIMEOUT) == 0
    link.wait("COMPLETED", ref="runs")
    assert state_of(site, 2) == "waiting"
    assert site.json("status")["ready"] is False
    site.stop()
    site.start()
    again = site.link()
    again.wait("COMPLETED", ref="waits")
    again.wait("COMPLETED", ref="late")
    assert len(site.record) == 3


def test_a_drain_is_ended_and_what_the_host_sent_meanwhile_is_taken(site):
    site.run("drain")
    link = site.link()
    link.send(archive("PAYROLL", "A00017") + event("VTSPolicy Status - 1"))
    link.wait("DENIED", reason="host NSK1 has no request 1")
    assert site.json("jobs")["jobs"] == []
    site.run("drain", "--end")
    link.wait("COMPLETED", ref="PAYROLL")


def test_a_lock_is_shown_released_and_the_ledger_keeps_who_did_so(site):
    site.hold()
    link = site.link()
    link.send(archive("ONE", "O00001", "holds") + archive("TWO", "T00001", "waits"))
    link.wait("STARTED", ref="holds")
    link.wait("ACCEPTED", ref="waits")
    (lock,) = site.json("status")["queue"]["locks"]
    assert lock["lock"] == "the one drive"
    assert [place["job"] for place in lock["holders"]] == [1]
    assert [place["job"] for place in lock["waiters"]] == [2]
    assert lock["waiters"][0]["since"]
    site.run("release-lock", "the one drive")
    link.wait("STARTED", ref="waits")
    history = "SELECT after, actor FROM transitions WHERE subject = 'lock the one drive'"
    ((after, actor),) = rows(site, history)
    assert after == "released"
    assert actor.startswith("operator ")
    assert site.run("release-lock", "no such lock", check=False).returncode == 1
    site.let_go()
    link.wait("COMPLETED", ref="holds")
    link.wait("COMPLETED", ref="waits")


# The four time-outs


def test_a_job_that_waits_too_long_ends_as_timed_out_and_is_never_started(site):
    site.hold()
    link = site.link()
    link.send(archive("ONE", "O00001", "runs") + archive("LATE", "L00001", "waits"))
    link.wait("STARTED", ref="runs")
    final = link.wait("TIMEDOUT", ref="waits")
    assert "waited longer than 5 s" in str(final.fields["reason"])
    assert "attempt" not in final.fields
    site.let_go()
    link.wait("COMPLETED", ref="runs")
    assert [words[1] for words in site.record] == [str(site.root / "VAULT01/ONE/O00001")]


def test_the_time_that_a_job_waits_continues_while_no_server_runs(site):
    site.hold()
    link = site.link()
    link.send(archive("ONE", "O00001", "runs"))
    link.wait("STARTED", ref="runs")
    link.send(archive("LATE", "L00001", "waits"))
    link.wait("ACCEPTED", ref="waits")
    accepted = time.time()
    site.stop(signal.SIGKILL)
    until(lambda: time.time() > accepted + 5)
    site.start()
    again = site.link()
    again.wait("TIMEDOUT", ref="waits")
    site.let_go()
    again.wait("COMPLETED", ref="runs")
    assert len(site.record) == 1


@pytest.mark.parametrize(
    ("pool", "reason"),
    [("SLOW", "longer than 5 s"), ("QUIET", "no output"), ("TOTAL", None)],
)
def test_an_attempt_all_attempts_and_silence_have_their_time(site, pool, reason):
    site.hold()
    link = site.link()
    link.send(archive(pool, f"{pool[0]}00001"))
    if pool == "TOTAL":  # it fails again and again; when the time is over, the last failure counts
        final = link.wait("FAILED")
        assert final.fields["attempt"] < 100
        assert final.fields["secs"] < 60
    else:
        assert reason in str(link.wait("TIMEDOUT").fields["reason"])
        pid = int(site.record[0][2])
        assert not is_alive(pid)


# Copies of the ledger, and a second server


@pytest.mark.parametrize("running", [True, False])
def test_a_copy_of_the_ledger_is_whole_and_usable(site, running, tmp_path, monkeypatch):
    link = site.link()
    link.send(archive("PAYROLL", "A00017"))
    link.wait("COMPLETED")
    if not running:
        site.stop()
    monkeypatch.chdir(tmp_path)  # a name without a folder means the caller's, not the server's
    site.run("backup-ledger", "copy.db")
    assert not list(tmp_path.glob(".copy*"))
    if running:
        site.stop()
    for file in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        Path(site.root / file).unlink(missing_ok=True)
    Path("copy.db").replace(site.root / "ledger.db")
    site.start()
    assert site.json("jobs")["jobs"][0]["state"] == "completed"
    again = site.link()
    again.send(archive("PAYROLL", "A00017"))
    again.wait("DUPLICATE", req=1)


def test_a_copy_never_takes_the_place_of_the_ledger_itself(site):
    for name in ("ledger.db", "ledger.db-wal", "nowhere/copy.db"):
        done = site.run("backup-ledger", str(site.root / name), check=False)
        assert done.returncode != 0
        assert str(site.root / name.split("/")[0]) in done.stderr
    link = site.link()
    link.send(archive("PAYROLL", "A00017"))
    link.wait("COMPLETED")


def test_a_second_server_on_the_same_ledger_is_refused(site):
    port, web = site.port, site.web
    config = (site.root / "vtspolicy.yaml").read_text()
    second = site.root / "second.yaml"
    second.write_text(config.replace(str(port), "0").replace(str(web), "0"))
    done = subprocess.run(
        [VTSPOLICY, "serve", "--config", second],
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 7
    assert f"in use by process {site.server.pid}" in done.stderr
    assert "Traceback" not in done.stderr
    link = site.link()
    link.send(archive("PAYROLL", "A00017"))
    link.wait("COMPLETED")
