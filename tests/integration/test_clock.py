"""A real server whose clock jumps 200 days ahead for a while forgets nothing, runs nothing twice.

libfaketime gives it another wall clock, and leaves CLOCK_BOOTTIME and CLOCK_MONOTONIC alone.
"""

import json
from datetime import datetime
from pathlib import Path

import pytest

from tests.harness.station import Station

pytestmark = pytest.mark.programs

COMMAND = "VTSPolicy DSK 'archive /VAULT01/P/T00001'"
SITE = """
applications:
  APP: {{seats: 1, outcome: {{0: completed, default: failed}}}}
rules:
  - rule: once
    when: {{family: DSK, operation: archive}}
    application: APP
    run: [/bin/sh, -c, 'echo ran >> {root}/record']
    verify: none
"""


class Clock:
    """The wall clock of a station's server."""

    def __init__(self, station):
        self.file = station.root / "clock"
        self.set("+0s")
        (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
        station.env = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, offset):
        """Set it by so much, at once: the file is read at each reading of the clock."""
        new = self.file.with_suffix(".new")
        new.write_text(offset + "\n")
        new.rename(self.file)


@pytest.fixture
def station(tmp_path):
    station = Station(tmp_path, site=SITE.format(root=tmp_path), tables=["dsk"])
    station.tape("P", "T00001")
    yield station
    station.stop()


def answer(station, text):
    """Show the newest event again; return the first word that is said of it."""
    seen = len(station.notices)
    station.show_again(text)
    return station.wait(lambda each: each.word.number in range(1001, 1104), seen).word.name


def clock_of(station):
    """What `status` shows of the clock; orders are answered a moment after the doors are open."""
    return station.until(lambda: json.loads(station.run("status", "--json").stdout).get("clock"))


def ran(station):
    return (station.root / "record").read_text().split()


def test_a_clock_that_jumps_ahead_for_a_while_costs_nothing(station):
    clock = Clock(station)
    station.start()
    assert station.command(COMMAND).word.name == "COMPLETED"
    assert answer(station, COMMAND) == "DUPLICATE"
    assert clock_of(station)["trusted"]
    assert "vtspolicy_clock_trusted 1.0" in station.metrics()

    clock.set("+200d")
    # What waits goes by the wall clock: all that housekeeping would do is due at once.
    station.until(lambda: not clock_of(station)["trusted"])
    for _ in range(40):
        assert answer(station, COMMAND) == "DUPLICATE"
        assert [each["id"] for each in station.ask("requests")["requests"]] == [1]
    clock.set("+0s")
    assert answer(station, COMMAND) == "DUPLICATE"

    seen = clock_of(station)
    assert seen["reason"].startswith("it was set forward by 200 days, set back by 200 days")
    assert "vtspolicy_clock_trusted 0.0" in station.metrics()
    assert "removal of old requests" in station.run("status").stdout
    station.kill()
    station.start()
    again = clock_of(station)
    first, second = (datetime.fromisoformat(each["since"]).timestamp() for each in (seen, again))
    assert abs(second - first) <= 2.0  # how long the step was is measured
    assert again == {**seen, "since": again["since"], "until": again["until"]}

    told = station.run("trust-clock")
    assert (told.returncode, told.stdout[:30]) == (0, "the clock is trusted; it says ")
    told = station.run("trust-clock")
    assert (told.returncode, told.stderr) == (
        1,
        "the clock is trusted already; nothing waits for it\n",
    )
    assert answer(station, COMMAND) == "DUPLICATE"
    assert ran(station) == ["ran"]


def test_what_is_old_by_a_clock_that_an_operator_trusts_is_let_go_of(station):
    clock = Clock(station)
    station.start()
    station.command(COMMAND)
    clock.set("+200d")
    station.until(lambda: not clock_of(station)["trusted"])
    assert station.run("trust-clock").returncode == 0
    clock.set("+201d")  # which is a step again
    station.until(lambda: not clock_of(station)["trusted"])
    assert station.run("trust-clock").returncode == 0
    clock.set(f"+{201 * 86400 + 59}s")  # which is none; the next round of housekeeping is due
    station.until(lambda: station.ask("requests")["requests"] == [])
