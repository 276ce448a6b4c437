"""What a new user tries first: their own vault, a shell script as application, nc, garbage."""

import signal
import socket
import subprocess
import time

import pytest

from tests.harness.site import TIMEOUT, VTSPOLICY, event

ARCHIVE = "VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00017 ref=one'"


def test_a_plain_command_is_run_and_answered_to_its_end(site):
    link = site.link()
    link.send(ARCHIVE + "\n")
    accepted = link.wait("ACCEPTED", ref="one")
    assert accepted.fields["jobs"] == 1
    final = link.wait("COMPLETED", ref="one")
    assert final.fields["tape"] == "/VAULT01/PAYROLL/A00017"
    assert [words[0] for words in site.record] == ["archive"]


@pytest.mark.programs
def test_printf_into_nc_prints_the_notices_up_to_the_final_one(site):
    done = subprocess.run(
        ["nc", "-N", "127.0.0.1", str(site.port)],
        input=(ARCHIVE + "\n").encode(),
        capture_output=True,
        timeout=TIMEOUT,
        check=True,
    )
    lines = done.stdout.decode().splitlines()
    assert "VTSPolicy ACCEPTED req=1 jobs=1 ref=one" in lines[0]
    assert "VTSPolicy COMPLETED req=1 job=1 ref=one" in lines[-1]


def test_a_wrapped_event_is_one_command(site):
    link = site.link()
    link.send(
        "26-11-22 02:14:09 \\NSK1.$ZBAT  TANDEM.EMS.L01          001234 VTSPolicy DSK\n"
        "        'archive /VAULT01/PAYROLL/A00017\n"
        "        r=14,d ref=wrapped'\n"
    )
    assert link.wait("COMPLETED", ref="wrapped").fields["family"] == "DSK"


def test_the_same_event_again_is_a_duplicate_and_runs_nothing(site):
    link = site.link()
    link.send(event(ARCHIVE))
    link.wait("COMPLETED", ref="one")
    link.send(event(ARCHIVE))
    assert link.wait("DUPLICATE", ref="one").fields["req"] == 1
    other = site.link()
    other.send(event(ARCHIVE))
    other.wait("DUPLICATE", ref="one")
    assert len(site.record) == 1


def test_garbage_and_a_megabyte_without_a_line_end_leave_the_connection_in_step(site):
    link = site.link()
    link.send(bytes(range(256)) * 40 + b"\n" + b"x" * 1_000_000)
    assert "line" in str(link.wait("REJECTED").fields["reason"])
    link.send("\n" + event(ARCHIVE))
    link.wait("COMPLETED", ref="one")


def test_a_mistake_is_answered_with_its_column_and_the_right_word(site):
    link = site.link()
    link.send(event("VTSPolicy DSK 'archve /VAULT01/PAYROLL/A00017 ref=typo'"))
    rejected = link.wait("REJECTED")
    assert rejected.fields["column"] == 16
    assert "archive" in str(rejected.fields["reason"])


def test_half_a_command_before_the_connection_closes_is_named_in_the_log_and_not_run(site):
    first = site.link()
    first.send("VTSPolicy DSK 'archive /VAULT01/PAYR")
    first.close()
    end = time.monotonic() + TIMEOUT
    while "rejected: found the end, expected a single quote" not in site.log:
        assert time.monotonic() < end, site.log
        time.sleep(0.05)
    assert site.json("jobs")["jobs"] == []
    assert site.record == []


def test_the_final_notice_reaches_the_host_on_the_connection_that_is_alive_then(site):
    site.hold()
    first = site.link()
    first.send(event(ARCHIVE))
    first.wait("STARTED", ref="one")
    first.close()
    second = site.link()
    site.let_go()
    second.wait("COMPLETED", ref="one")


def test_a_host_that_comes_back_gets_what_it_missed(site):
    site.hold()
    first = site.link()
    first.send(event(ARCHIVE))
    first.wait("STARTED", ref="one")
    first.close()
    site.let_go()
    site.run("jobs")
    late = site.link()
    late.wait("COMPLETED", ref="one")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_running_job_outlives_the_server_and_is_reported_once(site, how):
    site.hold()
    link = site.link()
    link.send(event(ARCHIVE))
    link.wait("STARTED", ref="one")
    code = site.stop(how)
    assert code == (-9 if how == signal.SIGKILL else 0)
    site.start()
    again = site.link()
    again.send(event(ARCHIVE))
    again.wait("DUPLICATE", ref="one")
    site.let_go()
    again.wait("COMPLETED", ref="one")
    assert len(site.record) == 1
    assert site.json("jobs")["jobs"][0]["state"] == "completed"


def test_a_job_that_ended_while_the_server_was_down_is_reported_by_the_next(site):
    site.hold()
    link = site.link()
    link.send(event(ARCHIVE))
    link.wait("STARTED", ref="one")
    site.stop(signal.SIGKILL)
    site.let_go()
    site.start()
    assert site.link().wait("COMPLETED", ref="one").fields["rc"] == 0
    assert len(site.record) == 1


def test_an_application_that_fails_is_reported_with_its_exit_code(site):
    (site.root / "VAULT01/PAYROLL/A00017.fails").touch()
    link = site.link()
    link.send(event(ARCHIVE))
    assert link.wait("FAILED", ref="one").fields["rc"] == 7
    job = site.json("job", "1")
    assert "working on" in str(job)


def test_a_pool_becomes_one_job_a_tape_and_one_final_notice(site):
    link = site.link()
    link.send(event("VTSPolicy DSK 'archive /VAULT01/PAYROLL ref=pool'"))
    assert link.wait("ACCEPTED").fields["jobs"] == 3
    final = link.wait("COMPLETED", ref="pool")
    assert (final.fields["ok"], final.fields["warn"], final.fields["failed"]) == (3, 0, 0)
    assert sum(1 for notice in link.notices if notice.word.is_final) == 1
    assert len(site.record) == 3


def test_what_is_not_allowed_is_denied_by_default(site):
    link = site.link()
    link.send(event("VTSPolicy TSM 'archive /VAULT01/PAYROLL/A00017'"))
    assert "TSM" in str(link.wait("DENIED").fields["reason"])
    link.send(event("VTSPolicy DSK 'archive /VAULT02/PAYROLL/A00017'"))
    assert "VAULT02" in str(link.wait("DENIED", req=2).fields["reason"])
    link.send(event(ARCHIVE, system=r"\OTHER"))
    link.wait("DENIED", ref="one", reason=r"system \OTHER is not one of this host's systems")
    link.send(event("VTSPolicy RST 'archive /VAULT01/PAYROLL/A00017'"))
    link.wait("NORULE")
    assert site.record == []


def test_a_command_for_another_server_is_not_answered(site):
    link = site.link()
    link.send(event("VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00017 s=vts2 ref=other'"))
    link.send(event("VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00017 s=VTS1 ref=mine'"))
    link.wait("COMPLETED", ref="mine")
    assert all(notice.fields.get("ref") == "mine" for notice in link.notices)


def test_a_tape_goes_its_whole_way_archive_erase_restore(site):
    tape = site.root / "VAULT01/PAYROLL/A00017"
    content = tape.read_bytes()
    link = site.link()
    link.send("VTSPolicy Erase - A00017 ref=early\n")
    assert "copy" in str(link.wait("FAILED", ref="early").fields["reason"])
    link.send(event(ARCHIVE))
    link.wait("COMPLETED", ref="one")
    link.send("VTSPolicy Erase - A00017 ref=empty\n")
    link.wait("COMPLETED", ref="empty")
    assert tape.stat().st_size == 0
    link.send("VTSPolicy Restore - A00017 ref=back\n")
    link.wait("COMPLETED", ref="back")
    assert tape.read_bytes() == content


def test_a_host_asks_how_its_request_goes_and_cancels_it(site):
    site.hold()
    link = site.link()
    link.send(event(ARCHIVE))
    link.wait("STARTED", ref="one")
    link.send("VTSPolicy Status - 1\n")
    assert "open" in str(link.wait("STATUS").fields["reason"])
    link.send("VTSPolicy Cancel - 1\n")
    link.wait("CANCELLED", ref="one")


def test_json_events_are_answered_in_json_with_their_id(site):
    link = site.link()
    link.send(
        '{"time": "2026-11-22T02:14:09", "system": "\\\\NSK1", "process": "$ZBAT", '
        '"ssid": "TANDEM.EMS.L01", "number": 1234, "id": "e-77", '
        '"text": "VTSPolicy DSK \'archive /VAULT01/PAYROLL/A00017\'"}\n'
    )
    assert link.wait("COMPLETED", id="e-77").fields["req"] == 1


def test_a_wrong_configuration_shows_all_its_errors_with_their_places(site, tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("nod: vts1\nlisten:\n  - {endpoint: 17, format: emss}\nvaults: {V: nowhere}\n")
    done = subprocess.run(
        [VTSPOLICY, "serve", "--config", wrong], check=False, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert f"{wrong}:1:1:" in done.stderr
    assert '"node"' in done.stderr
    assert f"{wrong}:3:" in done.stderr
    assert f"{wrong}:4:" in done.stderr


@pytest.mark.parametrize(
    ("options", "told", "code"),
    [
        (["--ledger", "sqlite:///dev/null/x.db"], "/dev/null/x.db", 2),
        (["--ledger", "sqlite:///proc/not/mounted/x.db"], "/proc/not/mounted", 7),
        (["--spool", "/dev/null/spool"], "/dev/null/spool", 2),
        ([], "already in use", 7),
    ],
)
def test_a_server_that_cannot_start_says_why_in_one_line(site, tmp_path, options, told, code):
    own = ["--ledger", f"sqlite://{tmp_path}/own.db", "--spool", str(tmp_path / "own"), *options]
    done = subprocess.run(
        [VTSPOLICY, "serve", "--config", site.root / "vtspolicy.yaml", *own],
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == code
    [why] = [line for line in done.stderr.splitlines() if line.startswith("vtspolicy: ")]
    assert told in why
    assert "Traceback" not in done.stderr


def test_a_unix_socket_is_a_door_for_those_who_may_open_it(site):
    site.stop()
    path = site.root / "door"
    config = site.root / "vtspolicy.yaml"
    config.write_text(
        config.read_text()
        .replace("listen:\n", f"listen:\n  - {{endpoint: 'unix:{path}:mode=600'}}\n")
        .replace("peers: [127.0.0.1]", "peers: [127.0.0.1, local]")
    )
    site.start()
    with socket.socket(socket.AF_UNIX) as host, host.makefile("rb") as notices:
        host.settimeout(TIMEOUT)
        host.connect(str(path))
        host.sendall(event(ARCHIVE).encode())
        host.shutdown(socket.SHUT_WR)
        words = [line.split()[6] for line in notices]
    assert path.stat().st_mode & 0o777 == 0o600
    assert words == [b"ACCEPTED", b"STARTED", b"COMPLETED"]


def test_metrics_health_and_readiness_are_served(site):
    from urllib.request import urlopen

    link = site.link()
    link.send(event(ARCHIVE))
    link.wait("COMPLETED", ref="one")
    base = f"http://127.0.0.1:{site.web}"
    metrics = urlopen(f"{base}/metrics").read().decode()
    assert 'vtspolicy_commands_total{family="DSK",result="accepted"} 1.0' in metrics
    assert 'vtspolicy_jobs{state="completed"} 1.0' in metrics
    assert 'vtspolicy_seats_in_use{application="DSK"} 0.0' in metrics
    assert "vtspolicy_config_last_reload_successful 1.0" in metrics
    assert urlopen(f"{base}/healthz").status == 200
    assert urlopen(f"{base}/readyz").status == 200
    status = site.json("status")
    assert status["node"] == "vts1.example.com"
