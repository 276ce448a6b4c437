"""The displays in fixtures/displays are read as the files beside them say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from vtspolicy.events.decoder import decoder
from vtspolicy.events.event import Event, identity
from vtspolicy.events.report import to_json

DISPLAYS = Path(__file__).parents[2] / "fixtures" / "displays"
EXPLAINED = sorted(path.stem for path in DISPLAYS.glob("*.json"))


def events_of(name, *, only_candidates):
    reading = decoder("auto", only_candidates=only_candidates)
    items = reading.feed((DISPLAYS / f"{name}.txt").read_bytes()) + reading.close()
    return [item for item in items if isinstance(item, Event)]


@pytest.mark.parametrize("name", EXPLAINED)
def test_a_display_holds_the_events_that_are_beside_it(name):
    expected = json.loads((DISPLAYS / f"{name}.json").read_text(encoding="utf-8"))

    assert [to_json(event) for event in events_of(name, only_candidates=False)] == expected


@pytest.mark.parametrize("name", [*EXPLAINED, "night"])
def test_the_fast_mode_finds_the_candidates_of_a_display(name):
    every = events_of(name, only_candidates=False)

    assert events_of(name, only_candidates=True) == [e for e in every if e.is_candidate]


def test_every_display_is_explained_in_the_readme():
    readme = (DISPLAYS / "README.md").read_text(encoding="utf-8")

    assert [p.stem for p in DISPLAYS.glob("*.txt") if f"| `{p.stem}` |" not in readme] == []


def test_the_night_comes_out_of_its_script_byte_for_byte():
    made = subprocess.run(
        [sys.executable, DISPLAYS / "make_night.py"], check=True, capture_output=True
    )

    assert made.stdout == (DISPLAYS / "night.txt").read_bytes()


def test_the_night_holds_520_events_and_eleven_commands():
    night = events_of("night", only_candidates=False)

    assert len(night) == 520
    assert [e.text.removeprefix("VTSPolicy ") for e in night if e.is_command] == [
        "DSK 'archive /VAULT01/PAYROLL/A00017 r=14,d ref=payroll-17'",
        "DSK 'archive /VAULT01/PAYROLL/A00018 retention = 14,d ref=payroll-18'",
        "DSK 'archive /VAULT01/PAYROLL/A00019 ref=payroll-19'",
        "DSK 'archive /VAULT01/PAYROLL/A00020 ref=plain'",
        "DSK 'archve /VAULT01/PAYROLL/A00017 ref=typo'",
        "Delete - A00017",
        "DSK 'archive /VAULT01/BROKEN/B00001 ref=broken'",
        "DSK 'archive /VAULT01/LEDGER ref=pool'",
        "DSK 'archive /VAULT01/PAYROLL/A00018 retention = 14,d ref=payroll-18'",
        "Erase - A00018 ref=empty",
        "Restore - A00018 ref=recall",
    ]


def test_an_event_shown_again_in_another_layout_is_the_same_event():
    first, again = (
        event for event in events_of("night", only_candidates=True) if "A00018 ret" in event.text
    )

    assert identity("NSK1", first) == identity("NSK1", again)
    assert identity("NSK2", first) != identity("NSK1", first)
