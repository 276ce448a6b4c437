"""TSM, NetBackup, NetWorker and Data Protector, acted by fakes, against the shipped tables."""

import os
import subprocess
from pathlib import Path

import pytest
from attrs import evolve

from tests.harness.station import Station, checksum, word
from vtspolicy.config.load import SHIPPED
from vtspolicy.grammar import shipped
from vtspolicy.rules.expand import expand
from vtspolicy.rules.judge import judge, judge_query
from vtspolicy.rules.load import load_table
from vtspolicy.testing import dataprotector, netbackup, networker, tsm

FAKES = {
    # table -> its fakes, its rules that archive and restore, a command
    "tsm": (tsm, "archive to TSM", "retrieve from TSM", "VTSPolicy TSM 'archive {}'"),
    "nbu": (netbackup, "archive to NetBackup", "restore from NetBackup", "VTSPolicy NBU '{}'"),
    "leg": (networker, "archive to NetWorker", "restore from NetWorker", "VTSPolicy LEG '{}'"),
    "hpd": (
        dataprotector,
        "archive to Data Protector",
        "restore from Data Protector",
        "VTSPolicy HPD '{} dl=PAYROLL'",
    ),
}
OUTCOMES = {
    # scenario -> what an archive is judged to be, with each of the tables
    "ok": {"tsm": "completed", "nbu": "completed", "leg": "completed", "hpd": "completed"},
    "partial": {"tsm": "failed", "nbu": "failed", "leg": "failed", "hpd": "failed"},
    "warn": {"tsm": "warning", "nbu": "failed", "leg": "completed", "hpd": "warning"},
    "fail": {"tsm": "failed", "nbu": "failed", "leg": "failed", "hpd": "failed"},
    "prompt": {"tsm": "failed", "nbu": "failed", "leg": "failed", "hpd": "failed"},
    "killed": {"tsm": "failed", "nbu": "failed", "leg": "failed", "hpd": "failed"},
    "noserver": {"tsm": "failed", "nbu": "failed", "leg": "failed", "hpd": "failed"},
}


class Played:
    """One application of a shipped table whose programs are fakes."""

    def __init__(self, folder, name):
        module, self.archive_rule, self.restore_rule, _ = FAKES[name]
        self.folder = folder
        self.programs = {each.name: each for each in module.install_in(folder).values()}
        self.table = load_table([SHIPPED / f"{name}.yaml"], vocabulary=shipped())
        self.tape = folder / "A00017"
        self.tape.write_bytes(os.urandom(1000))
        (folder / "datalists").mkdir()
        (folder / "datalists" / "VTS").write_text(str(self.tape))
        application = self.work(self.archive_rule).application
        self.application = self.table.applications[application]
        self.values = {
            **self.application.defaults,
            "path": str(self.tape),
            "source": str(self.tape),
            "target": str(folder / "private" / "target"),
            "staging": str(folder / "private"),
            "handle": "42-1",
            "size": "1000",
            "rundir": str(folder),
        }

    def work(self, rule):
        return next(each.work for each in self.table.rules if each.name == rule)

    def call(self, argv, scenario, values):
        name, *rest = expand(argv, values)
        return subprocess.run(
            [self.programs[Path(name).name], *rest],
            env={"PATH": "/usr/bin:/bin", "VTSPOLICY_SCENARIO": scenario},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def run(self, rule, scenario="ok"):
        work = self.work(rule)
        if work.then == "restored":
            (self.folder / "private").mkdir(exist_ok=True)
        done = self.call(work.run, scenario, self.values)
        for brought in (self.folder / "private").rglob("*"):
            if brought.is_file() and done.returncode == 0:
                brought.replace(self.tape)
        kind = "exited" if done.returncode >= 0 else "signalled"
        judged = judge(
            work,
            code=done.returncode,
            output=done.stdout + done.stderr,
            values=self.values,
            kind=kind,
        )
        if work.handle:
            self.values["handle"] = judged.readings.get(work.handle, "none")
        return judged

    def ask(self, query, scenario="ok"):
        values = dict(self.values)
        if query.prepare is not None:
            before = self.ask(query.prepare, scenario)
            if before.state == "failed":
                return before
            values |= before.readings
        done = self.call(query.run, scenario, values)
        return judge_query(
            query, code=done.returncode, output=done.stdout + done.stderr, values=values
        )

    def verified(self, scenario="ok"):
        return self.ask(self.work(self.archive_rule).verify, scenario)


@pytest.fixture(params=sorted(FAKES))
def played(request, tmp_path):
    played = Played(tmp_path, request.param)
    played.name = request.param
    return played


@pytest.mark.parametrize("scenario", sorted(OUTCOMES))
def test_an_archive_is_judged_by_what_the_application_says(played, scenario):
    judged = played.run(played.archive_rule, scenario)
    assert judged.state == OUTCOMES[scenario][played.name], judged.reason
    stored = judged.state == "completed" or scenario == "warn"
    if judged.state == "completed":
        assert played.verified().state == "completed"
    elif not stored:
        assert played.verified().state != "completed"


def test_a_question_gets_the_end_of_standard_input_and_no_run_waits_for_ever(played):
    judged = played.run(played.archive_rule, "prompt")
    assert (judged.state, list(played.folder.glob("copies/*"))) == ("failed", [])


def test_a_copy_comes_back(played):
    before = checksum(played.tape)
    assert played.run(played.archive_rule).state == "completed"
    played.tape.write_bytes(b"")
    assert played.run(played.restore_rule).state == "completed"
    assert checksum(played.tape) == before


@pytest.mark.parametrize("scenario", ["partial", "fail", "prompt", "killed", "noserver"])
def test_a_restore_that_does_not_bring_the_tape_back_is_none(played, scenario):
    assert played.run(played.archive_rule).state == "completed"
    assert played.run(played.restore_rule, scenario).state == "failed"


def test_no_server_is_never_a_clear_no(played):
    assert played.run(played.archive_rule).state == "completed"
    asked = played.verified("noserver")
    assert (asked.state, asked.absent) == ("failed", False)


def test_a_copy_that_is_deleted_is_found_no_more(played):
    played.run(played.archive_rule)
    if played.application.delete is None:
        assert played.name == "hpd"  # nothing is published that deletes a session
        return
    assert played.ask(played.application.delete).state == "completed"
    assert played.verified().state == "failed"


@pytest.mark.parametrize("name", ["tsm", "nbu"])
def test_a_copy_that_was_never_made_is_a_clear_no(tmp_path, name):
    assert Played(tmp_path, name).verified().absent


def test_deleting_what_is_gone_is_distinguished_from_a_failure(tmp_path):
    played = Played(tmp_path, "tsm")
    assert played.ask(played.application.delete).absent
    assert not played.ask(played.application.delete, "noserver").absent


def test_what_was_archived_is_never_restored_and_what_was_backed_up_never_retrieved(tmp_path):
    played = Played(tmp_path, "tsm")
    assert played.run("archive to TSM").state == "completed"
    played.tape.write_bytes(b"")
    assert played.run("restore from TSM").state == "failed"
    assert played.run("retrieve from TSM").state == "completed"

    backed_up = evolve(played.work("selective backup to TSM"))
    assert (backed_up.application, backed_up.verify.run[1:3]) == ("TSM-backup", ("query", "backup"))
    (tmp_path / "other").mkdir()
    other = Played(tmp_path / "other", "tsm")
    assert other.run("selective backup to TSM").state == "completed"
    other.tape.write_bytes(b"")
    assert other.run("retrieve from TSM").state == "failed"
    assert other.run("restore from TSM").state == "completed"


SITE = """
applications:
  TSM: {{programs: {{dsmc: {folder}/dsmc}}, retry: 1, timeouts: {{grace: 1s}}}}
  TSM-backup: {{programs: {{dsmc: {folder}/dsmc}}, retry: 1}}
  NBU:
    programs:
      bpbackup: {folder}/bpbackup
      bprestore: {folder}/bprestore
      bpimagelist: {folder}/bpimagelist
    retry: 1
  LEG:
    programs: {{save: {folder}/save, recover: {folder}/recover, mminfo: {folder}/mminfo}}
    retry: 1
  HPD:
    programs: {{omnib: {folder}/omnib, omnir: {folder}/omnir, omnidb: {folder}/omnidb}}
    retry: 1
rules:
  - rule: one that may not take long
    when: {{family: TSM, pool: LATE}}
    run: ["{{program.dsmc}}", archive, "{{path}}"]
    timeout: 2s
"""


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fakes")
    for module, *_ in FAKES.values():
        module.install_in(folder)
    (folder / "datalists").mkdir()
    root = tmp_path_factory.mktemp("station")
    station = Station(root, site=SITE.format(folder=folder), tables=sorted(FAKES)).start()
    station.fakes = folder
    yield station
    station.stop()


@pytest.mark.parametrize("name", sorted(FAKES))
def test_a_tape_goes_away_is_emptied_and_comes_back_by_events(station, name):
    cartridge = name.upper()
    tape = station.tape("PAY", cartridge)
    before = checksum(tape)
    (station.fakes / "datalists" / "PAYROLL").write_text(str(tape))
    if name == "hpd":  # the query is about the site's usual specification
        (station.fakes / "datalists" / "VTS").write_text(str(tape))
    command = FAKES[name][3].format(f"/VAULT01/PAY/{cartridge}").replace(" dl=PAYROLL", "")
    assert word(station.command(command)) == "COMPLETED"
    assert word(station.command(f"VTSPolicy Erase - {cartridge}")) == "COMPLETED"
    assert tape.stat().st_size == 0
    assert word(station.command(f"VTSPolicy Restore - {cartridge}")) == "COMPLETED"
    assert checksum(tape) == before


def test_a_client_that_hangs_is_stopped(station):
    station.tape("LATE", "HANGS")
    (station.fakes / "scenario").write_text("hang")
    try:
        done = station.command("VTSPolicy TSM 'archive /VAULT01/LATE/HANGS'")
    finally:
        (station.fakes / "scenario").unlink()
    assert word(done) == "TIMEDOUT"


def test_a_selective_backup_and_an_archive_of_one_tape_are_kept_apart(station):
    tape = station.tape("PAY", "BOTH")
    before = checksum(tape)
    assert word(station.command("VTSPolicy TSM 'selective /VAULT01/PAY/BOTH'")) == "COMPLETED"
    assert word(station.command("VTSPolicy Erase - BOTH")) == "COMPLETED"
    back = station.command("VTSPolicy Restore - BOTH")
    assert (word(back), station.job(back)["rule"]) == ("COMPLETED", "restore from TSM")
    assert checksum(tape) == before
