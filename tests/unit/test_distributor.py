"""The distributor's start: its line, whether it runs, and that no cut of a link loses an event."""

import random
from datetime import datetime, timedelta

import pytest
from twisted.internet.task import Clock

from tests.harness.nonstop_links import lines
from tests.harness.simulated_terminals import logged_on, system
from vtspolicy.events.decoder import decoder
from vtspolicy.links.distributor import (
    KEPT,
    PREPARATION,
    TEMPLATE,
    Display,
    NotRunning,
    StartError,
    start_line,
)
from vtspolicy.links.login import DIALOGUES, LoggedOn, Login, Send
from vtspolicy.testing.nonstop.filters import filter_tables
from vtspolicy.testing.nonstop.system import VTS

LAST = datetime.fromisoformat("2026-11-22T02:14:09")


def test_a_first_start_begins_now():
    assert start_line(TEMPLATE, name="$VTS") == (
        "EMSDIST / NAME $VTS / TYPE PRINTING, COLLECTOR $0, TEXTOUT [#IN]"
    )


def test_a_later_start_begins_before_the_last_event():
    line = start_line(TEMPLATE, name="$VTS", last_event=LAST)
    assert line.endswith(", TIME 2026-11-22 02:13:09")
    line = start_line(TEMPLATE, name="$VTS", last_event=LAST, overlap=7200)
    assert line.endswith(", TIME 2026-11-22 00:14:09")


def test_filters_are_listed():
    assert ", FILTER A" in start_line(TEMPLATE, name="$VTS", filters=("A",))
    assert ", FILTER (A, B)" in start_line(TEMPLATE, name="$VTS", filters=("A", "B"))


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("EMSDIST {collector}{time}", "no place {collector}"),
        ("EMSDIST / NAME {name} /", "are lost"),
        ("EMSDIST / NAME {name} / TYPE P{time}", "no {filter}"),
    ],
)
def test_a_template_that_cannot_work_is_refused(template, told):
    with pytest.raises(StartError, match=told):
        start_line(template, name="$VTS", filters=("A",))


def started(typist, line, prompt="2> "):
    """Type the start as a link does, and return its display."""
    typist.type(PREPARATION)
    display = Display(prompt=prompt, sent=line)
    before = len(typist.data)
    typist.type(line)
    display.take(typist.data[before:])
    return display


@pytest.mark.parametrize("informat", ["TACL", "PLAIN", "QUOTED"])
@pytest.mark.parametrize("echo", [True, False])
def test_it_runs_on_the_simulated_host_whatever_its_sessions_begin_with(informat, echo):
    typist = logged_on(
        informat=informat, echo=echo, filters=filter_tables({"F": "USER" + " " * 35 + "1"})
    )
    display = started(typist, start_line(TEMPLATE, name="$VTS", filters=("F",)))
    assert display.quiet() is None
    before = len(typist.data)
    typist.system.post("VTSPolicy Status - 1")
    assert b"VTSPolicy Status - 1" in display.take(typist.data[before:])
    assert display.has_begun


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (start_line(TEMPLATE, name="VTS"), "not a process name"),
        (start_line(TEMPLATE, name="$VTS", filters=("NOFILE",)), "filter file NOFILE"),
        ("EMSDIST", "COLLECTOR { name"),
        ("EMSDIST / NAME $VTS / TYPE X", "Use C[ONSUMER]"),
        (
            "EMSDIST / NAME $VTS, NOWAIT / TYPE P, COLLECTOR $0, TEXTOUT $HOME",
            "nothing but a prompt",
        ),
    ],
)
def test_what_comes_instead_of_events_is_told(line, told):
    found = started(logged_on(), line).quiet()
    assert isinstance(found, NotRunning)
    assert told in found.error


def test_the_end_of_a_distributor_is_noticed():
    typist = logged_on()
    display = started(typist, start_line(TEMPLATE, name="$VTS"))
    before = len(typist.data)
    typist.system.post("VTSPolicy Status - 1")
    typist.session.press_break()
    display.take(typist.data[before:])
    assert display.quiet() == NotRunning("the distributor has ended: a prompt came")


def test_a_text_that_looks_like_a_prompt_and_goes_on_is_none():
    display = Display(prompt="1> ", sent="EMSDIST")
    shown = b"26-11-22 02:14:09 \\N.$Z A.B.A01 000001 x\r\n"
    assert display.take(shown + b"        3> ") == shown
    assert display.quiet() is None  # it is indented
    assert display.take(b"more\r\n2> ") == b"        3> more\r\n"
    assert display.quiet() is not None


def test_what_comes_instead_of_events_is_kept_within_bounds():
    display = Display(prompt="1> ", sent="EMSDIST")
    for _ in range(1000):
        display.take(b"\x1b" + b"x" * 1000 + b"\r\n")
    display.take(b"2> ")
    error = display.quiet().error
    assert len(error) < KEPT + 100
    assert "\x1b" not in error


class Reader:
    """A link as it will be: logs on, starts the distributor, and knows the last event."""

    def __init__(self, at):
        self.at = at
        self.last = None
        self.seen = []

    def dial(self):
        self.there = lines(at=self.at, clock=Clock())
        self.decoder = decoder("ems", only_candidates=False)
        login = Login(DIALOGUES["tacl"], user="VTS.EMS", password=VTS.password)
        while isinstance(answer := login.take(self.there.transport.take().decode()), Send):
            self.there.send(answer.text.encode() + b"\n")
        assert answer == LoggedOn()
        line = start_line(TEMPLATE, name="$VTS", last_event=self.last)
        self.there.send(PREPARATION.encode() + b"\n")
        assert self.there.transport.take() == b"2> "  # what comes now comes behind the line
        self.display = Display(prompt="2> ", sent=line)
        self.there.send(line.encode() + b"\n")
        self.read()

    def read(self):
        self.keep(self.decoder.feed(self.display.take(self.there.transport.take())))

    def keep(self, events):
        for event in events:
            self.seen.append(event.text)
            self.last = event.time

    def lost(self):
        """An event that is open as the link is lost comes again: it is not completed."""
        self.there.wire.connectionLost()


def test_a_link_that_is_cut_200_times_at_any_byte_loses_no_event():
    chance = random.Random(13)
    at = system()
    reader, posted = Reader(at), []
    reader.dial()
    at.post("first")  # until an event has come, there is no time to go back to
    reader.read()
    reader.keep(reader.decoder.settle())
    for cut in range(200):
        reader.there.link.die_after(chance.randrange(1, 1500))
        for number in range(chance.randrange(5, 20)):
            posted.append(
                f"VTSPolicy Erase - {' '.join(f'T{cut:03d}{number:02d}{n}' for n in range(9))}"
            )
            at.post(posted[-1])
        reader.read()
        reader.there.link.die()
        reader.lost()
        at.settings.now.now += timedelta(seconds=chance.choice([0, 30, 300]))
        reader.dial()
    at.post("last")
    reader.read()
    # None is lost, none that was cut is taken for whole, and repeats come behind the first ones.
    assert list(dict.fromkeys(reader.seen)) == ["first", *posted]
