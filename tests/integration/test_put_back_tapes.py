"""The tapes of a real server whose ledger was restored: no data is lost that has no copy."""

import os
import shutil

import pytest

from tests.harness.station import Station, reason, word

SITE = """
applications:
  APP:
    seats: 1
    outcome: {{0: completed, default: failed}}
    query: [test, -e, "{root}/copies/{{handle}}"]
rules:
  - rule: copy
    when: {{family: DSK, operation: archive}}
    application: APP
    run: ["{root}/app", "{{path}}", "{{handle}}"]
    then: migrated
  - rule: empty
    when: {{family: Erase}}
    then: erased
"""
APP = """#!/bin/sh
echo "$1" >> {root}/record
until [ -e {root}/go ]; do sleep 0.05; done
cp "$1" "{root}/copies/$2"
"""


@pytest.fixture
def station(tmp_path):
    (tmp_path / "copies").mkdir()
    (tmp_path / "app").write_text(APP.format(root=tmp_path))
    (tmp_path / "app").chmod(0o755)
    station = Station(tmp_path, site=SITE.format(root=tmp_path), tables=["dsk"])
    station.tape("P", "T00001")
    station.tape("P", "T00002")
    station.start()
    yield station
    station.stop()


@pytest.mark.parametrize("rewritten", [True, False])
def test_a_copy_that_waited_in_the_old_ledger_lets_no_tape_be_emptied(station, rewritten):
    tape = station.root / "VAULT01/P/T00002"
    first = station.accept("VTSPolicy DSK 'archive /VAULT01/P/T00001'")
    waiting = station.accept("VTSPolicy DSK 'archive /VAULT01/P/T00002'")
    station.until((station.root / "record").exists)
    assert station.run("backup-ledger", str(station.root / "copy.db")).returncode == 0
    (station.root / "go").touch()
    assert [word(station.final(each)) for each in (first, waiting)] == ["COMPLETED"] * 2
    if rewritten:
        tape.write_bytes(os.urandom(300_000))
    content = tape.read_bytes()

    station.stop()
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (station.root / name).unlink(missing_ok=True)
    shutil.copy(station.root / "copy.db", station.root / "ledger.db")
    seen = len(station.notices)
    station.start()
    told = station.wait(
        lambda each: each.word.is_final and int(dict(each.fields)["req"]) == waiting, seen
    )
    assert (station.root / "record").read_text().count("T00002") == 1
    assert word(told) == "WARNING"
    assert "migrate it again" in reason(told)

    refused = station.command("VTSPolicy Erase - T00002")
    assert word(refused) == "FAILED"
    assert tape.read_bytes() == content
    assert word(station.command("VTSPolicy DSK 'archive /VAULT01/P/T00002'")) == "COMPLETED"
    assert word(station.command("VTSPolicy Erase - T00002")) == "COMPLETED"
    assert tape.stat().st_size == 0
