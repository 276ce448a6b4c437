"""Syslog messages in both framings become events."""

import logging
import socket
from logging.handlers import SysLogHandler

import pytest

from vtspolicy.events.decoder import decoder
from vtspolicy.events.event import Event
from vtspolicy.events.limits import Limits

PLAIN = b"<13>1 2026-11-22T02:14:09Z nsk1 ems 17 - - VTSPolicy TSM 'archive /VAULT01/P/A00017'"
SHOWN = b"26-11-22 02:14:09 \\NSK1.$ZBAT SITE.BACKUP.A01 001234"
NOISE = b"<13>1 2026-11-22T02:14:09Z nsk1 ems 17 - - nothing of interest"


def message(msg, data=b"-"):
    return b"<13>1 - nsk1 ems - - " + data + b" " + msg


def by_line(*messages):
    return b"".join(one + b"\n" for one in messages)


def by_length(*messages):
    return b"".join(b"%d %b" % (len(one), one) for one in messages)


framings = pytest.mark.parametrize("framed", [by_line, by_length])
both_modes = pytest.mark.parametrize("only_candidates", [True, False])


def read(data, **options):
    reading = decoder("syslog", **options)
    return reading.feed(data) + reading.close()


def shown(items):
    return [item.text if isinstance(item, Event) else item.kind for item in items]


@framings
@both_modes
def test_a_plain_command_is_read_from_its_message(framed, only_candidates):
    items = read(framed(NOISE, PLAIN, NOISE, PLAIN), only_candidates=only_candidates)

    assert shown(items) == ["VTSPolicy TSM 'archive /VAULT01/P/A00017'"] * 2
    assert items[0].wire == "plain"


@framings
@both_modes
def test_a_display_line_is_one_whole_event(framed, only_candidates):
    data = framed(message(SHOWN + b" VTSPolicy TSM"), message(b"  'archive'"), PLAIN)

    first, second = read(data, only_candidates=only_candidates)

    assert (first.text, first.number, first.wire) == ("VTSPolicy TSM", 1234, "syslog")
    assert second.is_plain


def test_the_lines_of_a_counted_message_are_joined():
    (event,) = read(by_length(message(SHOWN + b"\r\n  VTS\x00Policy TSM\n  'archive'\n")))

    assert event.text == "VTSPolicy TSM 'archive'"


@framings
@pytest.mark.parametrize(
    "data",
    [b"-", b'[a@1 b="c"]', rb'[a@1 b="\"] VTSPolicy \]"][c]', b'[x y="1" z=""]'],
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b" "])
def test_the_message_begins_after_structured_data_and_mark(framed, data, mark):
    items = read(framed(message(mark + "VTSPolicy 'Jürgen'".encode(), data)))

    assert shown(items) == ["VTSPolicy 'Jürgen'"]


@framings
@pytest.mark.parametrize("data", [b'[a][ [a="', b"[a[aa][[\\", b'[x y="1" z=][', b'[x y="1\\"]'])
def test_structured_data_that_ends_midway_is_refused(framed, data):
    items = read(framed(message(b"VTSPolicy TSM", data)))

    assert shown(items) == ["syslog"]


@framings
def test_a_message_of_another_standard_is_refused(framed):
    items = read(framed(b"<34>Nov 22 02:14:09 nsk1 su: VTSPolicy TSM", PLAIN))

    assert shown(items)[0] == "syslog"
    assert "RFC 5424" in items[0].reason
    assert len(items) == 2


def test_a_line_that_is_no_message_is_refused_and_the_next_is_read():
    assert shown(read(by_line(PLAIN, b"garbage", PLAIN)))[1] == "syslog"


@framings
def test_our_own_notices_are_never_candidates(framed):
    own = SHOWN.replace(b"SITE.BACKUP", b"VTS.POLICY")

    assert read(framed(message(own + b" VTSPolicy ACCEPTED"))) == []


@framings
def test_a_command_with_an_impossible_header_is_refused_and_other_text_is_noise(framed):
    bad = SHOWN.replace(b"11-22", b"11-31")
    reading = decoder("syslog")

    for noise in (b" the word VTSPolicy", b" VTSPolicy ACCEPTED req=1"):
        assert reading.feed(framed(message(bad + noise))) + reading.settle() == []
    assert reading.counted.malformed == 2
    assert reading.counted.refused == {}
    (refusal,) = reading.feed(framed(message(bad + b" VTSPolicy TSM"))) + reading.settle()
    assert refusal.kind == "header"
    assert refusal.reason.startswith("26-11-31 02:14:09 ")
    assert reading.counted.refused == {"header": 1}


def test_line_ends_after_counted_messages_are_let_pass():
    data = by_length(PLAIN) + b"\n" + by_length(PLAIN) + b"\r\n" + by_length(PLAIN)

    assert len(shown(read(data))) == 3


@pytest.mark.parametrize("cut", [1, 3, 100000])
def test_a_counted_message_too_long_is_skipped_by_its_length(cut):
    long = message(b"VTSPolicy \n" + PLAIN * 200)
    data = by_length(PLAIN, long, PLAIN)
    reading = decoder("syslog")

    items = [i for at in range(0, len(data), cut) for i in reading.feed(data[at : at + cut])]
    items += reading.settle()

    assert [kind[:9] for kind in shown(items)] == ["VTSPolicy", "frame", "VTSPolicy"]
    assert reading.counted.refused == {"frame": 1}


@pytest.mark.parametrize("lie", [b"20 ", b"x ", b"9999999999 ", b"0 ", b"-1 ", b""])
def test_after_a_length_that_lies_reading_continues_at_the_next_line_end(lie):
    data = by_length(PLAIN) + lie + PLAIN + b"\n" + by_length(PLAIN)

    items = read(data)

    assert shown(items) == [shown(items)[0], "frame", shown(items)[0]]


@pytest.mark.parametrize("cut", [1, 5, 1000])
def test_lost_framing_is_reported_once_however_long_it_lasts(cut):
    data = by_length(PLAIN) + b"garbage " * 40 + b"\n" + by_length(PLAIN)
    reading = decoder("syslog")

    items = [i for at in range(0, len(data), cut) for i in reading.feed(data[at : at + cut])]
    items += reading.settle()

    assert reading.counted.refused == {"frame": 1}
    assert len(items) == 3


def test_a_message_may_say_nothing_and_end_in_cr_lf():
    assert read(b"<13>1 - - - - - -\r\n<13>1 - - - - - - \r\n", only_candidates=False) == []


def test_a_message_cut_by_the_end_of_the_connection_is_not_taken():
    assert shown(read(by_length(PLAIN)[:-1])) == ["frame"]


@both_modes
def test_a_line_too_long_is_refused_once(only_candidates):
    items = read(by_line(NOISE + b"x" * 9000, PLAIN), only_candidates=only_candidates)

    assert shown(items)[0] == "line"
    assert len(items) == 2


@framings
def test_a_text_too_long_is_refused(framed):
    assert shown(read(framed(PLAIN), limits=Limits(text=20))) == ["event"]


def test_nothing_more_than_a_message_is_kept():
    reading = decoder("syslog")
    for _ in range(10):
        reading.feed(b"8000 <" + b"x" * 7000)
        assert len(reading._framing._held) <= 8192


@framings
@both_modes
def test_every_message_is_counted(framed, only_candidates):
    reading = decoder("syslog", only_candidates=only_candidates)
    reading.feed(framed(NOISE, PLAIN, NOISE))
    reading.settle()

    assert reading.counted.events == 3


@both_modes
@pytest.mark.parametrize("cut", [1, 7, 1000])
@pytest.mark.parametrize("trailer", [b"\0", b"\0\0\0", b"\n\0", b"\r\0", b"\0\n"])
def test_a_nul_before_a_priority_ends_a_message(only_candidates, cut, trailer):
    data = b"".join(one + trailer for one in (PLAIN, NOISE, message(SHOWN + b" VTSPolicy DSK")))
    reading = decoder("syslog", only_candidates=only_candidates)

    items = [i for at in range(0, len(data), cut) for i in reading.feed(data[at : at + cut])]

    assert [i.text for i in items + reading.settle() if i.is_candidate] == [
        "VTSPolicy TSM 'archive /VAULT01/P/A00017'",
        "VTSPolicy DSK",
    ]
    assert not reading.pending
    assert reading.close() == []
    assert reading.counted.refused == {}
    assert reading.counted.events == 3


def test_a_last_nul_ends_a_message_when_nothing_follows():
    reading = decoder("auto")

    assert reading.feed(message(b"VTSPolicy Erase - A0001\0")) == []
    assert reading.pending
    assert shown(reading.settle()) == ["VTSPolicy Erase - A0001"]
    assert shown(reading.feed(PLAIN + b"\0") + reading.close()) == [
        "VTSPolicy TSM 'archive /VAULT01/P/A00017'"
    ]


def test_a_nul_within_a_message_is_dropped_however_the_bytes_are_cut():
    reading = decoder("syslog")

    items = reading.feed(message(b"VTS\0Policy Erase - A0001\0"))
    items += reading.feed(b"7\0\0 A00018\0<") + reading.feed(b"5 A00019\n")

    assert shown(items) == ["VTSPolicy Erase - A00017 A00018<5 A00019"]


def test_a_nul_may_stand_between_counted_messages():
    data = by_length(PLAIN) + b"\0" + by_length(PLAIN + b"\0") + b"\0\n" + by_length(PLAIN)

    assert shown(read(data)) == ["VTSPolicy TSM 'archive /VAULT01/P/A00017'"] * 3


def test_many_nuls_are_read_in_no_time():
    reading = decoder("syslog")

    reading.feed(b"<13>1 " + b"\0" * 500_000 + b"x" + b"\0" * 500_000)

    items = reading.feed(PLAIN + b"\0") + reading.settle()
    assert shown(items) == ["VTSPolicy TSM 'archive /VAULT01/P/A00017'"]


def test_the_handler_of_the_logging_library_is_understood():
    ours, its = socket.socketpair()

    class Handler(SysLogHandler):
        unixsocket = False

        def createSocket(self):
            self.socket = its

    ours.setblocking(False)
    with ours, its:
        handler = Handler(address=("vts1.example.com", 7171), socktype=socket.SOCK_STREAM)
        handler.socket = its
        handler.setFormatter(logging.Formatter("1 - nsk1 ems - - - %(message)s"))
        for text in ("VTSPolicy Status - 17", "nothing", "VTSPolicy Status - 18"):
            handler.emit(logging.LogRecord("a", logging.INFO, "f", 1, text, (), None))
        sent = ours.recv(10_000)
    reading = decoder("auto")

    items = reading.feed(sent) + reading.settle()

    assert shown(items) == ["VTSPolicy Status - 17", "VTSPolicy Status - 18"]


VERBS = [message(b" VTSPolicy Delete - A000%d" % n) for n in range(10, 16)]
TAPES = [f"VTSPolicy Delete - A000{n}" for n in range(10, 16)]
cuts = pytest.mark.parametrize("cut", [1, 5, 10_000])


def counted_wrong(one, by):
    return b"%d %b" % (len(one) + by, one)


def in_pieces(reading, data, cut):
    return [i for at in range(0, len(data), cut) for i in reading.feed(data[at : at + cut])]


@cuts
@pytest.mark.parametrize("by", [-30, -3, -2, -1, 1, 2, 3, 30, 905])
@pytest.mark.parametrize("trailer", [b"", b"\n", b"\0"])
def test_behind_a_wrong_length_the_next_messages_are_taken(cut, by, trailer):
    good = [by_length(one) + trailer for one in VERBS]
    data = good[0] + counted_wrong(VERBS[1], by) + trailer + b"".join(good[2:])
    reading = decoder("syslog")

    items = in_pieces(reading, data, cut) + reading.settle()

    texts = [text for text in shown(items) if text != "frame"]
    assert texts[0] == TAPES[0]
    assert texts[-1] == TAPES[5]
    assert set(texts) <= set(TAPES)  # never another tape than one that was sent
    assert set(TAPES[4:]) <= set(texts)
    if by < 0 or by > len(trailer):  # else the length counts the trailer
        assert reading.counted.refused["frame"] >= 1


@pytest.mark.parametrize("by", [-30, -2, -1, 1, 2, 30, 905, 8_000, 90_000])
def test_with_pauses_each_message_behind_a_wrong_length_is_taken(by):
    reading = decoder("auto")
    taken = []
    for number, one in enumerate(VERBS):
        sent = counted_wrong(one, by) if number == 1 else by_length(one)
        taken.append(shown(reading.feed(sent) + reading.settle()))

    assert taken[0] == [TAPES[0]]
    assert taken[1] in ([], ["frame"])
    assert all(tape in each for tape, each in zip(TAPES[2:], taken[2:], strict=True))
    assert {text for each in taken for text in each} <= {*TAPES, "frame"}
    assert reading.counted.refused["frame"] >= 1


@cuts
def test_a_text_that_looks_like_a_message_is_none_while_the_stream_is_in_step(cut):
    inner = by_length(message(b"VTSPolicy Delete - A00017"))
    data = by_length(message(b"said: " + inner), message(inner + b" said"), PLAIN)
    reading = decoder("syslog")

    items = in_pieces(reading, data, cut) + reading.settle()

    assert shown(items) == ["VTSPolicy TSM 'archive /VAULT01/P/A00017'"]


def test_a_message_too_long_does_not_swallow_what_comes_after_a_pause():
    reading = decoder("syslog")

    items = reading.feed(b"99999 " + PLAIN * 200) + reading.settle()
    items += reading.feed(by_length(PLAIN)) + reading.settle()

    assert shown(items) == ["frame", "VTSPolicy TSM 'archive /VAULT01/P/A00017'"]


def test_looking_for_the_next_message_takes_no_long_time():
    reading = decoder("syslog")
    reading.feed(b"20 " + PLAIN)
    for chunk in (b"1" * 60_000, b"12 <1>1" * 9_000, b"1 <13>1 " * 8_000, b"8000 <13>1 " * 6_000):
        reading.feed(PLAIN + chunk)
        reading.settle()
        assert len(reading._framing._held) <= 2 * 8192


def test_a_short_last_message_waits_for_the_pause_that_shows_its_end():
    reading = decoder("syslog")

    assert reading.feed(by_length(PLAIN)) == []
    assert reading.pending
    assert len(reading.settle()) == 1
    assert not reading.pending


@framings
@both_modes
@pytest.mark.parametrize("word", [b"VTSPOLICY TSM", b"vtspolicy TSM", b"VTSPolicy\xc2\xa0TSM"])
def test_a_command_that_misses_by_little_is_handed_to_the_parser(framed, word, only_candidates):
    data = framed(message(word), message(SHOWN + b" " + word), NOISE)

    items = read(data, only_candidates=only_candidates)

    assert [item.text for item in items if item.is_command] == [word.decode()] * 2


@framings
@both_modes
def test_what_is_before_a_header_is_named(framed, only_candidates):
    data = framed(message(b"\x1b[0m" + SHOWN), message(b"\x1b " + SHOWN + b" VTSPolicy TSM"))

    (refusal,) = read(data, only_candidates=only_candidates)

    assert (refusal.kind, refusal.column) == ("header", 1)
    assert "found '<1B> ' before the date" in refusal.reason


@framings
@both_modes
@cuts
@pytest.mark.parametrize("form", ["auto", "syslog"])
def test_a_mark_before_the_priority_is_let_pass(framed, only_candidates, cut, form):
    data = framed(*(b"\xef\xbb\xbf" + one for one in (NOISE, PLAIN, NOISE, PLAIN)))
    reading = decoder(form, only_candidates=only_candidates)

    items = in_pieces(reading, data, cut) + reading.settle()

    assert shown(items) == ["VTSPolicy TSM 'archive /VAULT01/P/A00017'"] * 2
    assert reading.wire == "syslog"
    assert reading.counted.refused == {}


def test_a_mark_before_the_first_length_is_let_pass():
    assert len(read(b"\xef\xbb\xbf" + by_length(PLAIN))) == 1


@both_modes
def test_a_message_without_its_end_is_refused_at_the_end_of_the_connection(only_candidates):
    data = by_line(PLAIN) + message(SHOWN + b" VTSPolicy Cancel - 1")
    items = read(data, only_candidates=only_candidates)

    assert shown(items) == ["VTSPolicy TSM 'archive /VAULT01/P/A00017'", "cut"]
    assert len(read(by_line(PLAIN) + PLAIN, only_candidates=only_candidates)) == 2
    assert shown(read(data + b"\0", only_candidates=only_candidates))[1] == "VTSPolicy Cancel - 1"
