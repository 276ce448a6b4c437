"""The first bytes of a connection show its format."""

import pytest

from vtspolicy.events.decoder import decoder
from vtspolicy.events.event import Acknowledgement, Event


@pytest.mark.parametrize(
    ("beginning", "wire"),
    [
        (b'{"ack"', "json"),
        (b" \r\n\t {", "json"),
        (b"\xef\xbb\xbf{", "json"),
        (b"<13>1 ", "syslog"),
        (b"137 <13>1 ", "syslog"),
        (b"26-11-22 02:14:09", "ems"),
        (b"2612", None),
        (b"26 ", None),
        (b"26 <1", None),
        (b"26 x", "ems"),
        (b"<1", None),
        (b"<1x", "ems"),
        (b"<>", "ems"),
        (b"V", "ems"),
        (b"", None),
        (b"   ", None),
        (b"   V", "ems"),
        (b"\xef\xbb", None),
        (b"\xff", "ems"),
        (b"[", "ems"),
    ],
)
@pytest.mark.parametrize("cut", [1, 100])
def test_the_first_bytes_show_the_format(beginning, wire, cut):
    reading = decoder("auto")
    for at in range(0, len(beginning), cut):
        reading.feed(beginning[at : at + cut])

    assert reading.wire == wire
    assert reading.pending is False


@pytest.mark.parametrize("form", ["ems", "json", "syslog"])
def test_a_format_that_is_named_is_known_at_once(form):
    assert decoder(form).wire == form


def test_a_format_that_does_not_exist_names_those_that_do():
    with pytest.raises(ValueError, match=r"no such format: 'xml'; it is one of auto, ems, json"):
        decoder("xml")


def test_blanks_without_end_are_a_line_too_long_and_not_kept():
    reading = decoder("auto")
    items = [item for _ in range(10) for item in reading.feed(b" " * 1000)]

    assert [item.kind for item in items] == ["line"]
    assert reading.wire == "ems"


def test_an_indented_command_at_the_beginning_is_not_taken_and_not_lost_in_silence():
    reading = decoder("auto")
    refusal, event = reading.feed(b"  VTSPolicy TSM\nVTSPolicy DSK\n")

    assert (refusal.kind, refusal.column) == ("plain", 1)
    assert "found '  ' before VTSPolicy" in refusal.reason
    assert event == Event(text="VTSPolicy DSK", wire="plain")


def test_what_is_too_short_to_tell_ends_with_its_connection():
    reading = decoder("auto")

    assert reading.feed(b"12") + reading.settle() + reading.close() == []


def test_an_acknowledgement_can_be_the_first_word():
    assert decoder("auto").feed(b'{"ack": 1}\n') == [Acknowledgement(ids=(1,))]


def test_the_counts_continue_from_the_first_byte():
    reading = decoder("auto")
    counted = reading.counted
    for byte in b"VTSPolicy TSM\n":
        reading.feed(bytes([byte]))

    assert counted.events == 1


@pytest.mark.parametrize("cut", [1, 100])
def test_the_byte_order_mark_of_an_edited_file_is_no_part_of_its_first_line(cut):
    reading = decoder("auto")
    data = b"\xef\xbb\xbfVTSPolicy TSM\n"

    items = [item for at in range(0, len(data), cut) for item in reading.feed(data[at : at + cut])]

    assert [item.text for item in items] == ["VTSPolicy TSM"]
