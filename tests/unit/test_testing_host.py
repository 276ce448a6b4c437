"""The fake host: what it sends the server reads, what it hears can be waited for."""

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.testing import StringTransport

from vtspolicy.events.decoder import decoder
from vtspolicy.notices import Notice, Word, ems_line, json_line
from vtspolicy.testing.clock import TestClock
from vtspolicy.testing.display import display
from vtspolicy.testing.host import FakeHost, HostStyle, NoSuchNoticeError

AT = datetime.fromisoformat("2026-11-22T02:14:09")
ARCHIVE = "VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00017 optfile=/opt/tivoli/dsm.opt ref=mine'"


def host(**style):
    clock = TestClock()
    fake = FakeHost(clock, HostStyle(now=lambda: AT, **style))
    transport = StringTransport()
    fake.makeConnection(transport)
    return fake, transport, clock


def read(data, form="auto"):
    reader = decoder(form)
    return [*reader.feed(data), *reader.close()]


def shown(word, **fields):
    return ems_line(Notice(word=Word[word], host="H", fields=fields), node="vts1", at=AT)


def failure_of(deferred):
    failures = []
    deferred.addErrback(failures.append)
    return failures[0].value


@pytest.mark.parametrize("wire", ["ems", "json"])
def test_the_server_reads_its_events(wire):
    fake, transport, _clock = host(wire=wire, system=r"\NSK7", process="2,171")
    sent = fake.event(ARCHIVE, number=-5, critical=True)
    assert transport.value() == sent
    (event,) = read(sent)
    assert event.text == ARCHIVE
    assert (event.time, event.system, event.process) == (AT, r"\NSK7", "2,171")
    assert (event.number, event.critical, event.wire) == (-5, True, wire)


def test_a_json_event_bears_its_id_and_a_display_has_no_room_for_one():
    fake, _transport, _clock = host(wire="json")
    (event,) = read(fake.event(ARCHIVE, id="e-1"))
    assert event.id == "e-1"
    with pytest.raises(ValueError, match="json"):
        host()[0].event(ARCHIVE, id="e-1")


def test_a_bare_command_is_plain():
    fake, transport, _clock = host()
    fake.command(ARCHIVE)
    (event,) = read(transport.value())
    assert event.is_plain


@pytest.mark.parametrize("columns", [80, 132])
def test_a_display_is_wrapped_at_blanks(columns):
    lines = display(ARCHIVE * 3, time=AT, columns=columns).decode().splitlines()
    assert len(lines) > 2
    assert all(len(line) <= columns for line in lines)
    assert all(line.startswith("        ") for line in lines[1:])
    assert not display(ARCHIVE * 3, time=AT, columns=0)[:-1].count(b"\n")


words = st.text("abcXYZ019=/'\"-_.,", min_size=1, max_size=90)


@given(st.lists(words, max_size=40), st.sampled_from([0, 80, 132]), st.integers(1, 12))
def test_whatever_is_displayed_is_read_back(more, columns, indent):
    text = " ".join(["VTSPolicy", *more])
    shown = display(text, time=AT, columns=columns, indent=indent)
    (event,) = read(shown, "ems")
    assert event.text == text
    for line in shown.decode().splitlines()[1:]:
        assert len(line) <= columns or " " not in line.strip()


def test_a_word_that_just_fits_stays_on_its_line():
    header = len(display("", time=AT)) - 1  # without the line feed, and without the last blank
    fits = "VTSPolicy " + "x" * (80 - header - 1 - len("VTSPolicy "))
    assert len(display(fits, time=AT)) == 81
    assert display(fits + "x", time=AT).count(b"\n") == 2


def test_line_breaks_of_a_text_stay_in_its_display():
    lines = display("VTSPolicy Status\n- 17", time=AT, indent=7).splitlines()
    assert lines[1] == b"       - 17"


def test_notices_are_collected_however_they_are_cut():
    fake, _transport, _clock = host()
    data = shown("ACCEPTED", req=1) + b"what?\n" + shown("COMPLETED", req=1)
    for byte in data:
        fake.dataReceived(bytes([byte]))
    assert [notice.word for notice in fake.notices] == [Word.ACCEPTED, Word.COMPLETED]
    assert fake.others == [b"what?"]


def test_a_notice_is_waited_for_by_word_and_fields():
    fake, _transport, clock = host()
    found = []
    fake.wait_for("COMPLETED", ref="mine", req=2).addCallback(found.append)
    fake.dataReceived(shown("COMPLETED", ref="mine", req=1) + shown("FAILED", ref="mine", req=2))
    assert not found
    fake.dataReceived(shown("COMPLETED", ref="mine", req=2))
    assert found[0].fields == {"ref": "mine", "req": 2}
    assert clock.getDelayedCalls() == []


def test_a_notice_that_came_before_is_found_at_once():
    fake, _transport, _clock = host()
    fake.dataReceived(shown("ACCEPTED", req=1))
    found = []
    fake.wait_for(Word.ACCEPTED).addCallback(found.append)
    assert found == fake.notices


def test_a_notice_that_does_not_come_in_time_fails_with_what_came():
    fake, _transport, clock = host()
    waiting = fake.wait_for("COMPLETED", timeout=5, ref="mine")
    fake.dataReceived(shown("FAILED", ref="mine", rc=12))
    clock.pass_time(5)
    error = failure_of(waiting)
    assert isinstance(error, NoSuchNoticeError)
    assert "no COMPLETED ref=mine" in str(error)
    assert "rc=12" in str(error)
    fake.dataReceived(shown("COMPLETED", ref="mine"))  # too late, and nobody minds


def test_a_connection_that_ends_disappoints_whoever_waits():
    fake, transport, clock = host()
    waiting, closed = fake.wait_for("COMPLETED"), []
    fake.closed.addCallback(closed.append)
    fake.close()
    assert transport.disconnecting
    fake.connectionLost()
    assert closed == [None]
    assert "ended" in str(failure_of(waiting))
    assert "ended" in str(failure_of(fake.wait_for("COMPLETED")))
    assert clock.getDelayedCalls() == []
    with pytest.raises(ConnectionError):
        fake.command(ARCHIVE)


@pytest.mark.parametrize("acknowledge", [True, False])
def test_json_notices_are_acknowledged_unless_the_test_wants_otherwise(acknowledge):
    fake, transport, _clock = host(wire="json", acknowledge=acknowledge)
    notice = Notice(word=Word.ACCEPTED, host="H", fields={"req": 1}, id=33)
    fake.dataReceived(json_line(notice, node="vts1", at=AT))
    answers = [json.loads(line) for line in transport.value().splitlines()]
    assert answers == ([{"ack": [33]}] if acknowledge else [])


def test_time_passes_in_turns():
    clock = TestClock()
    seen = []

    def turn(left):
        seen.append(clock.seconds())
        if left:
            clock.callLater(0, turn, left - 1)

    clock.callLater(0, turn, 2)
    assert clock.turn()
    assert len(seen) == 1
    clock.settle()
    assert len(seen) == 3
    assert not clock.turn()
    clock.callLater(7, turn, 0)
    clock.pass_time(10, step=5)
    assert seen[-1] == seen[0] + 10


def test_work_without_an_end_is_found_out():
    clock = TestClock()

    def again():
        clock.callLater(0, again)

    again()
    with pytest.raises(AssertionError, match="no end"):
        clock.settle(turns=10)
