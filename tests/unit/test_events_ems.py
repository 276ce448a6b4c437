"""The display of a distributor becomes events: the cases that bite."""

from datetime import datetime

import pytest

from vtspolicy.events.decoder import decoder
from vtspolicy.events.event import Event, Refusal
from vtspolicy.events.limits import Limits

HEADER = b"26-11-22 02:14:09 \\NSK1.$ZBAT SITE.BACKUP.A01 001234"
both_modes = pytest.mark.parametrize("only_candidates", [True, False])


def texts(items):
    return [item.text if isinstance(item, Event) else item.kind for item in items]


def ems(**options):
    return decoder("ems", **options)


def test_every_field_of_a_header_is_read():
    reading = ems()
    reading.feed(b"26-11-22 02:14:10 \\NSK1.02,171* TANDEM.TAPE.L01 -00600 $ZSVR: 0412 MOUNT X\n")

    assert reading.close() == [
        Event(
            text="$ZSVR: 0412 MOUNT X",
            time=datetime.fromisoformat("2026-11-22T02:14:10"),
            system="\\NSK1",
            process="02,171",
            ssid="TANDEM.TAPE.L01",
            number=-600,
            critical=True,
            wire="ems",
        )
    ]


@both_modes
@pytest.mark.parametrize("process", ["007,045", "12,1023", "00012,00345", "65535,0", "3,114*"])
def test_a_process_without_a_name_has_numbers_of_up_to_five_digits(process, only_candidates):
    reading = ems(only_candidates=only_candidates)
    header = HEADER.replace(b"$ZBAT", process.encode())

    (event,) = reading.feed(header + b" VTSPolicy TSM\n") + reading.close()

    assert (event.process, event.system) == (process.rstrip("*"), "\\NSK1")


@pytest.mark.parametrize("process", ["000007,045", "7,000045", "7,", ",45", "7.45"])
def test_other_numbers_are_no_process(process):
    reading = ems()

    items = reading.feed(HEADER.replace(b"$ZBAT", process.encode()) + b" VTSPolicy TSM\n")
    assert texts(items + reading.close()) == ["header"]


@both_modes
def test_an_event_is_complete_when_the_next_begins(only_candidates):
    reading = ems(only_candidates=only_candidates)

    assert reading.feed(HEADER + b" VTSPolicy TSM\n   'archive'\n") == []
    assert texts(reading.feed(HEADER + b" VTSPolicy DSK\n")) == ["VTSPolicy TSM 'archive'"]


@both_modes
def test_an_event_is_complete_when_the_settle_time_passes(only_candidates):
    reading = ems(only_candidates=only_candidates)
    reading.feed(HEADER + b" VTSPolicy TSM\n")

    assert reading.pending
    assert texts(reading.settle()) == ["VTSPolicy TSM"]
    assert not reading.pending
    assert reading.close() == []


@both_modes
def test_settling_waits_for_the_end_of_a_line_that_has_begun_to_arrive(only_candidates):
    reading = ems(only_candidates=only_candidates)
    reading.feed(HEADER + b" VTSPolicy Erase - A00017\n   A000")

    assert reading.settle() == []
    assert reading.pending
    reading.feed(b"18 s=vts1\n")
    assert texts(reading.settle()) == ["VTSPolicy Erase - A00017 A00018 s=vts1"]


@both_modes
def test_settling_does_not_wait_for_the_end_of_the_next_header(only_candidates):
    reading = ems(only_candidates=only_candidates)
    reading.feed(HEADER + b" VTSPolicy Erase - A00017\n" + HEADER)

    assert texts(reading.settle()) == ["VTSPolicy Erase - A00017"]


def test_noise_is_never_waited_for():
    reading = ems()

    for line in (b" noise\n", b"\n", b" VTSPolicyX\n"):
        reading.feed(HEADER + line)
        assert not reading.pending


@both_modes
def test_the_end_of_the_connection_ends_a_line(only_candidates):
    reading = ems(only_candidates=only_candidates)

    assert reading.feed(b"VTSPolicy TSM 'archive'") == []
    assert texts(reading.close()) == ["VTSPolicy TSM 'archive'"]


@both_modes
@pytest.mark.parametrize("between", [b"\n", b"\r\n", b" \n\n   \n", b"\t\r\n"])
@pytest.mark.parametrize("indent", [b"", b"    "])
def test_a_text_may_begin_below_its_header_in_another_chunk(only_candidates, between, indent):
    reading = ems(only_candidates=only_candidates)
    reading.feed(HEADER + between)
    reading.feed(indent + b"VTSPolicy TSM\n")

    (event,) = reading.close()

    assert (event.text, event.number) == ("VTSPolicy TSM", 1234)


@both_modes
def test_a_plain_command_ends_the_open_event_and_is_one_line(only_candidates):
    reading = ems(only_candidates=only_candidates)
    items = reading.feed(HEADER + b" VTSPolicy TSM\nVTSPolicy Erase - A00017\n   A00018\n")

    assert texts(items) == ["VTSPolicy TSM", "VTSPolicy Erase - A00017"]
    assert [item.is_plain for item in items] == [False, True]
    assert [item.wire for item in items] == ["ems", "plain"]
    assert reading.close() == []


@both_modes
def test_a_header_without_text_takes_no_line_that_is_before_it(only_candidates):
    reading = ems(only_candidates=only_candidates)
    items = reading.feed(b"VTSPolicy TSM\n" + HEADER + b"\n  \n" + HEADER + b"\n")

    assert items[0].is_plain
    assert [i for i in items + reading.close() if i.is_candidate] == items[:1]


@both_modes
def test_a_command_word_after_a_header_that_is_none_is_a_plain_command(only_candidates):
    bad = HEADER.replace(b"11-22", b"11-31")
    reading = ems(only_candidates=only_candidates)

    items = reading.feed(bad + b"\nVTSPolicy Erase - A00017\n")

    assert [item.is_plain for item in items] == [True]


def test_a_header_that_is_none_is_counted_when_it_is_looked_at():
    reading = ems()
    reading.feed(HEADER.replace(b"02:14", b"25:14") + b" VTSPolicy TSM\n")

    assert reading.close() == []
    assert reading.counted.malformed == 1


@both_modes
@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize(
    "bad",
    [
        HEADER.replace(b":09", b":09.123"),
        HEADER.replace(b"A01", b"A1"),
        HEADER.replace(b"11-22", b"11-31"),
        HEADER.replace(b"001234", b"65535"),
        HEADER.replace(b":09", b":09 GMT"),
        HEADER.replace(b".$ZBAT", b".$ZBAT *").replace(b"001234", b"* 1x"),
    ],
)
def test_a_command_whose_header_is_none_is_refused_and_says_what_was_found(
    bad, wrapped, only_candidates
):
    reading = ems(wrapped=wrapped, only_candidates=only_candidates)
    (refusal,) = reading.feed(bad + b" VTSPolicy Erase - A00017\r\n   A00018\n") + reading.close()

    assert refusal.kind == "header"
    assert refusal.reason.startswith(f"{bad.decode()} is not the header of an event")
    assert reading.counted.refused == {"header": 1}
    assert reading.counted.malformed == 1


@both_modes
def test_a_command_below_a_header_that_is_none_is_refused(only_candidates):
    bad = HEADER.replace(b"11-22", b"11-31")
    reading = ems(only_candidates=only_candidates)

    items = reading.feed(bad + b"\n") + reading.feed(b"\n    VTSPolicy Erase - A00017\n   A00018\n")
    assert texts(items + reading.close()) == ["header"]
    assert items[0].reason.startswith(bad.decode())
    assert reading.counted.malformed == 1


@both_modes
@pytest.mark.parametrize(
    "said",
    [
        b" VTSPolicy REJECTED reason=none",  # our answer, shown back: no answer to that
        b" Volume $DATA is what VTSPolicy has said",
        b" VTSPolicyX",
        b"\n    VTSPolicy REJECTED reason=none",
        b"\n    Volume $DATA\n    VTSPolicy Erase - A00017",
    ],
)
def test_what_is_no_command_below_a_header_that_is_none_is_noise(said, only_candidates):
    reading = ems(only_candidates=only_candidates)
    bad = HEADER.replace(b"11-22", b"11-31")

    assert reading.feed(bad + said + b"\n" + bad) + reading.close() == []
    own = bad.replace(b"SITE.BACKUP", b"VTS.POLICY")
    assert reading.feed(own + said + b"\n" + own + b" VTSPolicy TSM") + reading.close() == []


def test_of_a_long_header_that_is_none_only_the_beginning_is_repeated():
    (refusal,) = ems().feed(HEADER + b"x" * 8000 + b" VTSPolicy\n")

    assert len(refusal.reason) < 200


def test_our_own_notices_are_never_candidates():
    own = HEADER.replace(b"SITE.BACKUP", b"VTS.POLICY")
    reading = ems()
    items = reading.feed(own + b" VTSPolicy REJECTED reason=\nVTSPolicy Erase\n" + own + b"\n")
    items += reading.feed(b"VTSPolicy ACCEPTED\n" + own + b" $ZSVR: 1\n") + reading.close()

    assert [item for item in items if isinstance(item, Event)] == []
    assert [(item.kind, item.answered) for item in items] == [("plain", False)]
    assert "'VTSPolicy Erase' is right behind one of our notices" in items[0].reason


@both_modes
def test_unwrapped_lines_are_events_at_once(only_candidates):
    reading = ems(wrapped=False, only_candidates=only_candidates)
    items = reading.feed(HEADER + b" VTSPolicy TSM\n  'archive'\nVTSPolicy\n" + HEADER + b"\n")

    assert texts(items)[:2] == ["VTSPolicy TSM", "VTSPolicy"]
    assert not reading.pending
    assert texts(reading.feed(b"VTSPolicy after a header\n")) == ["VTSPolicy after a header"]


@both_modes
@pytest.mark.parametrize("cut", [1, 7, 9000])
def test_a_line_too_long_is_refused_once_and_the_next_is_read(only_candidates, cut):
    reading = ems(only_candidates=only_candidates)
    data = b"x" * 8192 + b"\n" + b"x" * 8193 + b"\nVTSPolicy TSM\n"

    items = [item for at in range(0, len(data), cut) for item in reading.feed(data[at : at + cut])]

    assert texts(items) == ["line", "VTSPolicy TSM"]
    assert "8192" in items[0].reason
    assert reading.counted.refused == {"line": 1}


def test_a_megabyte_without_a_line_end_is_not_kept():
    reading = ems()
    items = []
    for _ in range(16):
        items += reading.feed(b"VTSPolicy " + b"x" * 65536)
        assert len(reading._lines.half) <= 8192
    items += reading.feed(b"\nVTSPolicy TSM\n")

    assert texts(items) == ["line", "VTSPolicy TSM"]


@both_modes
def test_a_candidate_with_a_line_too_long_is_refused_and_not_delivered(only_candidates):
    reading = ems(only_candidates=only_candidates)
    items = reading.feed(HEADER + b" VTSPolicy TSM\n" + b" " * 9000 + b"\n   'archive'\n")

    assert texts(items + reading.close()) == ["event"]


@both_modes
def test_a_line_too_long_that_begins_with_a_header_completes_the_event_before(only_candidates):
    reading = ems(only_candidates=only_candidates)
    items = reading.feed(HEADER + b" VTSPolicy TSM\n" + HEADER + b" " * 9000 + b"\n  'archive'\n")

    assert texts(items + reading.close()) == ["VTSPolicy TSM", "line"]


@both_modes
@pytest.mark.parametrize("header", [HEADER + b" ", b""])
def test_a_text_of_4024_bytes_is_an_event_and_one_of_4025_is_refused(only_candidates, header):
    reading = ems(only_candidates=only_candidates)
    longest = b"VTSPolicy " + b"x" * 4014

    items = reading.feed(header + longest + b"\n" + header + longest + b"x\n") + reading.close()

    assert texts(items) == [longest.decode(), "event"]


@both_modes
def test_the_joined_lines_of_a_text_are_measured_with_their_blanks(only_candidates):
    reading = ems(only_candidates=only_candidates, limits=Limits(text=19))
    items = reading.feed(
        HEADER + b" VTSPolicy\n  123456789\n" + HEADER + b" VTSPolicy\n 0123456789\n"
    )

    assert texts(items + reading.close()) == ["VTSPolicy 123456789", "event"]


@both_modes
def test_headers_and_plain_commands_are_counted_as_events(only_candidates):
    reading = ems(only_candidates=only_candidates)
    for data in (
        HEADER + b" noise\n  more\n" + HEADER + b" x",
        b"\n\nVTSPolicy TSM\n",
        HEADER + b"\n",
    ):
        reading.feed(data.replace(b" 02:", b"\t 02:"))

    assert reading.counted.events == 4


def test_an_unfinished_wide_character_is_read_after_the_event_is_whole():
    reading = ems()
    for byte in HEADER + " VTSPolicy TSM 'Jürgen'\n".encode():
        reading.feed(bytes([byte]))

    assert texts(reading.close()) == ["VTSPolicy TSM 'Jürgen'"]


def test_a_refusal_says_what_is_allowed():
    (refusal,) = ems(limits=Limits(text=10)).feed(b"VTSPolicy 1\n")

    assert isinstance(refusal, Refusal)
    assert "10 bytes" in refusal.reason


NEAR = ["VTSPOLICY", "vtspolicy", "Vtspolicy", "vTSpolicy"]
ODD = [b"\xc2\xa0", b"\xa0", b"\x1b[m ", b"\xe2\x80\x89", b"\x01", b"\xef\xbb\xbf"]


@both_modes
@pytest.mark.parametrize("word", NEAR)
@pytest.mark.parametrize("before", [HEADER + b" ", HEADER + b"\n  ", b""])
def test_a_command_in_other_letters_is_handed_to_the_parser(before, word, only_candidates):
    reading = ems(only_candidates=only_candidates)

    items = reading.feed(before + word.encode() + b" TSM 'archive'\r\n") + reading.close()

    assert texts(items) == [f"{word} TSM 'archive'"]
    assert items[0].is_command


@both_modes
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("before", [HEADER + b" ", b""])
def test_a_command_with_an_odd_blank_is_handed_to_the_parser(before, odd, only_candidates):
    reading = ems(only_candidates=only_candidates)

    items = reading.feed(before + b"VTSPolicy" + odd + b"TSM 'archive'\n") + reading.close()

    assert len(items) == 1
    assert items[0].is_command


@both_modes
@pytest.mark.parametrize("odd", [odd for odd in ODD if b"[" not in odd])
def test_an_odd_character_before_the_text_is_handed_to_the_parser(odd, only_candidates):
    reading = ems(only_candidates=only_candidates)

    items = reading.feed(HEADER + b" " + odd + b"VTSPolicy TSM\n") + reading.close()

    assert [item.is_command for item in items] == [True]


@both_modes
@pytest.mark.parametrize("word", ["VTSPolicies", "vtspolicy.exe", "XVTSPolicy", "vtspolicy's"])
def test_a_longer_word_in_other_letters_is_noise(word, only_candidates):
    reading = ems(only_candidates=only_candidates)
    items = reading.feed(HEADER + f" {word} TSM\n{word} TSM\n".encode()) + reading.close()

    assert [item for item in items if item.is_candidate] == []


@both_modes
@pytest.mark.parametrize("shown", ["VTSPOLICY REJECTED COLUMN=1", "vtspolicy heartbeat"])
def test_our_own_notices_in_other_letters_are_never_candidates(shown, only_candidates):
    reading = ems(only_candidates=only_candidates)
    items = reading.feed(HEADER + f" {shown}\n".encode()) + reading.close()

    assert [item for item in items if item.is_candidate] == []


@both_modes
@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("before", [b" ", b"\t", b"\x0c", b"\x1b", b"\xc2\xa0", b"\r", b"\x01  "])
@pytest.mark.parametrize("text", [b"VTSPolicy TSM 'x'", b"vtspolicy TSM", b"$ZSVR: 0412 MOUNT X"])
def test_what_is_before_a_header_is_named(before, text, wrapped, only_candidates):
    reading = ems(only_candidates=only_candidates, wrapped=wrapped)

    items = reading.feed(HEADER + b" noise\n" + before + HEADER + b" " + text + b"\n")
    (refusal,) = [item for item in items + reading.close() if isinstance(item, Refusal)]

    assert (refusal.kind, refusal.column, refusal.answered) == ("header", 1, True)
    assert "an event begins in the first column" in refusal.reason
    assert refusal.reason.isprintable()


@both_modes
@pytest.mark.parametrize("said", [b" VTSPolicy REJECTED column=1", b" Volume $DATA", b""])
def test_other_lines_that_quote_a_header_are_noise(said, only_candidates):
    reading = ems(only_candidates=only_candidates)
    own = HEADER.replace(b"SITE.BACKUP", b"VTS.POLICY")

    items = reading.feed(
        HEADER + b" VTSPolicyX\n  " + HEADER + said + b"\n  " + own + b" VTSPolicy X\n"
    )

    assert [i for i in items + reading.close() if isinstance(i, Refusal) or i.is_candidate] == []


@both_modes
def test_a_header_quoted_within_a_command_is_its_text(only_candidates):
    reading = ems(only_candidates=only_candidates)
    (event,) = (
        reading.feed(HEADER + b" VTSPolicy X\n  " + HEADER + b" VTSPolicy Y\n") + reading.close()
    )

    assert event.text.endswith("001234 VTSPolicy Y")


def test_a_control_character_before_a_plain_command_is_named():
    (refusal,) = ems().feed(b"\x1b VTSPolicy Erase - A00017\n")

    assert (refusal.kind, refusal.column) == ("plain", 1)
    assert "found '<1B> ' before VTSPolicy" in refusal.reason


FIELDS = rb"\NSK1.$ZBAT TANDEM.EMS.L01 001234"


@both_modes
@pytest.mark.parametrize(
    "before",
    [b"2026-11-22 02:14:09", b"22NOV26 02:14:09.55", b"11/22/26 02:14", b"02:14"],
)
def test_a_command_behind_a_date_of_another_form_is_refused_by_its_header(only_candidates, before):
    reading = ems(only_candidates=only_candidates)
    (refusal,) = reading.feed(before + b" " + FIELDS + b" VTSPolicy Erase - A00017\n")

    assert refusal.kind == "header"
    assert refusal.reason.startswith(f"{before.decode()} {FIELDS.decode()} is not the header")


@both_modes
def test_what_is_no_command_behind_a_date_of_another_form_is_passed_over(only_candidates):
    reading = ems(only_candidates=only_candidates)
    for text in (b"the VTSPolicy server is up", b"VTSPolicy COMPLETED req=6 jobs=1"):
        assert reading.feed(b"2026-11-22 02:14:09 " + FIELDS + b" " + text + b"\n") == []


@both_modes
@pytest.mark.parametrize("line", [HEADER + b" VTSPolicy Erase - A17", b"VTSPolicy Erase - A17"])
def test_a_colour_of_a_terminal_before_a_command_is_named(only_candidates, line):
    (refusal,) = ems(only_candidates=only_candidates).feed(b"\x1b[1;31m" + line + b"\n")

    assert "found '<1B>[1;31m' before" in refusal.reason


# Lines without an end


@both_modes
@pytest.mark.parametrize(
    "half",
    [
        b"VTSPolicy Delete - A0001",
        b"VTSPolicy Cancel - 1",
        HEADER + b" VTSPolicy Erase - A0001",
        HEADER + b"\n   VTSPolicy Erase - A0001",
        HEADER + b" VTSPolicy Erase - A00017\n   A0001",
        HEADER + b" VTSPolicy Erase - A00017\n   ",
        HEADER + b" $ZSVR: 0412 MOUNT A0001",
    ],
)
def test_a_line_without_its_end_is_refused_at_the_end_of_the_connection(half, only_candidates):
    reading = ems(only_candidates=only_candidates)

    items = reading.feed(HEADER + b" VTSPolicy DSK\n" + half) + reading.close()

    assert texts([i for i in items if isinstance(i, Refusal) or i.is_candidate]) == [
        "VTSPolicy DSK",
        "cut",
    ]
    assert "may be cut" in items[-1].reason


@both_modes
@pytest.mark.parametrize(
    "half",
    [
        b"VTSPolicy TSM 'archive /VAULT01/PAY/A00017'",
        b'VTSPolicy TSM "archive /VAULT01/PAY/A00017"  ',
        "VTSPolicy TSM \u201carchive /VAULT01/PAY/A00017\u201d".encode(),
        HEADER + b" VTSPolicy TSM\n   'archive /VAULT01/PAY/A00017'",
        b"VTSPolicy TSM 'archive /VAULT01/PAY/A0001",  # which the parser refuses
        HEADER + b" VTSPolicy TSM 'archive /VAULT01/PAY/A00017'\n26-1",
    ],
)
def test_a_command_with_a_quote_is_whole_or_refused_by_the_parser(half, only_candidates):
    reading = ems(only_candidates=only_candidates)

    (event,) = reading.feed(half) + reading.close()

    assert event.text.startswith("VTSPolicy TSM ")


@both_modes
def test_noise_without_its_end_is_nothing_to_tell_of(only_candidates):
    reading = ems(only_candidates=only_candidates)
    items = reading.feed(HEADER + b" VTSPolicyX on $DATA") + reading.close()

    assert [i for i in items if isinstance(i, Refusal)] == []


# Plain commands among headers


@both_modes
@pytest.mark.parametrize("wrapped", [True, False])
def test_among_headers_a_plain_command_is_refused_unless_it_is_wanted(wrapped, only_candidates):
    shown = HEADER.replace(b"NSK1", b"NSK9") + b" user note:\n"
    data = b"VTSPolicy Status - 1\n" + shown + b"VTSPolicy Erase - A00017\nvtspolicy X\n"
    found = []
    for plain in (True, False):
        reading = ems(wrapped=wrapped, only_candidates=only_candidates, plain=plain)
        items = reading.feed(data) + reading.feed(b"VTSPolicy TSM\n") + reading.close()
        found.append(texts([i for i in items if isinstance(i, Refusal) or i.is_candidate]))

    assert found == [
        ["VTSPolicy Status - 1", "VTSPolicy Erase - A00017", "VTSPolicy TSM"],
        ["VTSPolicy Status - 1", "plain", "plain"],
    ]


@both_modes
def test_where_plain_commands_are_not_wanted_such_a_line_continues_a_command(only_candidates):
    reading = ems(only_candidates=only_candidates, plain=False)
    items = reading.feed(HEADER + b" VTSPolicy Erase - A00017\nVTSPolicy Erase - A00018\n")

    assert texts(items + reading.close()) == ["VTSPolicy Erase - A00017 VTSPolicy Erase - A00018"]


@pytest.mark.parametrize("chunks", [1, 3])
def test_a_text_behind_its_writer_that_is_not_a_command_is_not_collected(chunks):
    written = b"26-11-22 02:14:09 \\NSK1.$ZBAT TANDEM.EMS.L01 00512 3,14 $X:\n"
    lines = [written, b"26-11-22 is a date and no time\n", b"26-11-22 is a date and no time\n"]
    reading = ems(limits=Limits(text=60))
    fed = lines if chunks == 3 else [b"".join(lines)]
    assert [item for each in fed for item in reading.feed(each)] + reading.close() == []
    assert reading.counted.refused == {}
