"""A ledger that is restored as its page says, on a real server: what ran since is not run again."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from tests.harness.station import Station

SITE = """
applications:
  APP: {{seats: 1, outcome: {{0: completed, default: failed}}}}
rules:
  - rule: once
    when: {{family: DSK, operation: archive}}
    application: APP
    run: ["{root}/app", "{{cartridge}}"]
    on_interrupt: fail
    verify: none
"""
APP = """#!/bin/sh
echo "$1" >> {root}/record
until [ -e {root}/go ]; do sleep 0.05; done
"""
RUNNING, WAITING, AFTER = "T00001", "T00002", "T00003"


@pytest.fixture
def station(tmp_path):
    (tmp_path / "app").write_text(APP.format(root=tmp_path))
    (tmp_path / "app").chmod(0o755)
    station = Station(tmp_path, site=SITE.format(root=tmp_path), tables=["dsk"])
    for cartridge in (RUNNING, WAITING, AFTER):
        station.tape("P", cartridge)
    station.start()
    yield station
    station.stop()


def ran(station):
    return (station.root / "record").read_text().split()


def archive(station, cartridge):
    return station.accept(f"VTSPolicy DSK 'archive /VAULT01/P/{cartridge}'")


def put_back(station, *more):
    """Move what is at the ledger's place away, and more; start with the copy."""
    station.stop()
    away = station.root / f"away{len(list(station.root.glob('away*')))}"
    away.mkdir()
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm", *more):
        if (station.root / name).exists():
            (station.root / name).rename(away / name)
    shutil.copy(station.root / "copy.db", station.root / "ledger.db")
    seen = len(station.notices)
    station.start()
    return seen


def ended(station, request, seen):
    """Return how a request ended of which a host gets the notice again."""
    told = station.wait(
        lambda each: each.word.is_final and int(dict(each.fields)["req"]) == request, seen
    )
    return told.word.name


def test_what_ran_and_waited_in_the_copy_and_has_run_since_is_not_run_again(station):
    one, two = archive(station, RUNNING), archive(station, WAITING)
    station.until((station.root / "record").exists)
    copied = station.run("backup-ledger", str(station.root / "copy.db"))
    assert copied.returncode == 0, copied.stderr
    (station.root / "go").touch()
    for request in (one, two, archive(station, AFTER)):
        assert station.final(request).word.name == "COMPLETED"
    known = [RUNNING, WAITING, AFTER]
    assert ran(station) == known

    seen = put_back(station)
    assert [ended(station, request, seen) for request in (one, two)] == ["COMPLETED"] * 2
    assert ran(station) == known
    assert archive(station, AFTER) > 1_000_000

    seen = put_back(station, "spool")  # against what the page says
    assert ended(station, one, seen) == "INTERRUPTED"
    assert ran(station).count(RUNNING) == 1
    assert "count as interrupted: the ledger was restored" in station.log
    assert "The spool is not the one of that ledger" in station.log


def test_a_site_whose_spool_has_no_mark_yet_continues(station):
    one = archive(station, RUNNING)
    station.until((station.root / "record").exists)
    station.kill()
    mark = station.root / "spool" / "ledger.mark"
    text = mark.read_text()
    mark.unlink()
    with closing(sqlite3.connect(station.root / "ledger.db")) as ledger, ledger:
        ledger.execute("DELETE FROM meta WHERE key = 'spool_mark'")
    station.start()
    (station.root / "go").touch()
    assert station.final(one).word.name == "COMPLETED"
    assert ran(station) == [RUNNING]
    assert mark.read_text() == text
