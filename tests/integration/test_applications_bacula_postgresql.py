"""Bacula with its catalogue in PostgreSQL, which folds the names of columns to lower case."""

import os

import pytest

from tests.harness.programs.bacula import Bacula
from tests.harness.programs.postgresql import MissingError, PostgreSql
from tests.harness.station import Station, checksum, word

pytestmark = pytest.mark.programs

SITE = """
applications:
  BAC:
    places: {{console: {root}/console.conf, list: {root}/paths}}
    defaults: {{jobname: Archive, client: vts-client, level: Full}}
    timeout: 10m
    retry: 1
"""


@pytest.fixture(scope="module")
def database():
    try:
        database = PostgreSql()
    except MissingError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    database.start()
    yield database
    database.stop()


@pytest.fixture(scope="module")
def bacula(tmp_path_factory, database):
    system = Bacula(tmp_path_factory.mktemp("bacula"), database=database)
    system.start()
    yield system
    system.stop()


@pytest.fixture(scope="module")
def station(tmp_path_factory, bacula):
    root = tmp_path_factory.mktemp("station")
    station = Station(root, site=SITE.format(root=bacula.root), tables=["bac"])
    station.start()
    yield station
    station.stop()


def test_a_tape_is_archived_emptied_and_comes_back(station, bacula):
    tape = station.tape("PAY", "A00001")
    before = checksum(tape)
    done = station.command("VTSPolicy BAC 'archive /VAULT01/PAY/A00001'")
    assert word(done) == "COMPLETED", done
    readings = station.job(done)["attempts"][0]["readings"]
    assert (readings["state"], readings["files"], readings["comment"]) == (
        *("T", "1"),
        station.handle(done),
    )
    told = bacula.console(f"llist jobid={readings['application_job']}")
    assert "jobstatus: T" in told  # the trap: SQLite has JobStatus
    assert word(station.command("VTSPolicy Erase - A00001")) == "COMPLETED"
    assert tape.stat().st_size == 0
    assert word(station.command("VTSPolicy Restore - A00001")) == "COMPLETED"
    assert checksum(tape) == before
