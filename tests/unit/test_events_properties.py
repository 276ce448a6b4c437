"""What holds for any input: cuts change nothing, and the fast mode finds all that the slow does."""

import re

from attrs import evolve
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.harness.strategies import cut, displays, events
from vtspolicy.events.decoder import FORMATS, Decoder, decoder
from vtspolicy.events.event import Event, Item, Refusal
from vtspolicy.events.limits import Limits

SMALL = Limits(line=90, text=60, json_line=150)

HEADER = b"26-11-22 02:14:09 \\NSK1.$ZBAT TANDEM.EMS.L01 001234"
LINES = [
    HEADER,
    HEADER + b" ",
    HEADER + b" VTSPolicy TSM",
    HEADER + b" VTSPolicyX TSM",
    HEADER + b" the word VTSPolicy stands inside",
    HEADER + b" $ZSVR: 0412 MOUNT A00017",
    HEADER.replace(b"TANDEM.EMS", b"VTS.POLICY"),
    HEADER.replace(b"TANDEM.EMS", b"VTS.POLICY") + b" VTSPolicy ACCEPTED",
    HEADER.replace(b"11-22", b"13-32") + b" VTSPolicy TSM",
    HEADER.replace(b"11-22", b"13-32"),
    HEADER.replace(b" 02:", b"\t  02:") + b" * noise",
    b"26-11-22 is a date and no time",
    b"VTSPolicy TSM 'archive'",
    b"VTSPolicy",
    HEADER.replace(b"1234", b"512") + b" 3,14 $X: VTSPolicy TSM",
    HEADER.replace(b"1234", b"512") + b" 3,14 $X: noise",
    HEADER.replace(b"1234", b"512") + b" 3,14 $X:",
    HEADER.replace(b"1234", b"512"),
    b"   3,14 $X: VTSPolicy TSM",
    HEADER.replace(b"$ZBAT", b"$ZSVR").replace(b"001234", b"705") + b" MOUNT ESM A00017 NO RING",
    HEADER.replace(b"$ZBAT", b"$ZSVR") + b" MOUNT ESM A00017 NO RING",
    b"VTSPolicyX",
    b"vtspolicy TSM",
    b"\x0c" + HEADER + b" VTSPolicy TSM",
    b"  " + HEADER + b" VTSPOLICY TSM",
    b"  " + HEADER + b" noise",
    HEADER + b" VTSPOLICY\xa0TSM",
    HEADER + b" \xc2\xa0vtspolicy",
    b"\x1bVTSPolicy",
    b"VTSPolicy\xc2\xa0\xfc",
    b"VTS\x07Pol\x00icy",
    b"   VTSPolicy indented",
    b"\tVTSPolicy\t",
    b"$ZSVR: 0412 MOUNT",
    b"   $ZSVR: 0412 MOUNT",
    b"   and so on \xfc\x81",
    b"   and so on \xc3\xbc",
    b":::: ::",
    b"",
    b"   ",
    b"VTSPolicy " + b"x" * 61,
    b"VTSPolicy " + b"x" * 90,
    HEADER + b" VTSPolicy " + b"y" * 40,
    b" " * 5 + b"z" * 100,
    b'{"ack": [1, 2]}',
    b'{"ack": true}',
    b'{"id": "a", "text": "VTSPolicy"}',
    (
        rb'{"time": "26-11-22 02:14:09", "system": "\\N", "process": "1,2", "ssid": "A.1.L01",'
        rb' "number": 1, "text": "\u0056TSPolicy"}'
    ),
    b'{"text": "noise"}',
    b"<13>1 - - - - - - VTSPolicy TSM",
    b'<13>1 - - - - - [a b="\\]\\""] \xef\xbb\xbf' + HEADER + b" VTSPolicy TSM",
    b"<13>Nov 22 VTSPolicy",
    b"<13>1 - - - - - - noise",
    b"20 <13>1 - - - - - - xy",
    b"32 <13>1 - - - - - - VTSPolicy TSM!",
    b"500 <",
    b"99999999 <",
    b"<13>1 - - - - - - VTSPolicy TSM\0",
    b"32 <13>1 - - - - - - VTSPolicy TSM!\0",
    b"\0",
]
DISPLAY_LINES = [line for line in LINES if not line.startswith((b"{", b"<", b"20 ", b"32 "))]


def _soup(lines):
    line = st.builds(
        bytes.__add__, lines, st.sampled_from([b"\n", b"\n", b"\n", b"\n", b"\r\n", b""])
    )
    return st.lists(line, min_size=1, max_size=15).map(b"".join)


soups = _soup(st.one_of(st.sampled_from(LINES), st.sampled_from(LINES), st.binary(max_size=20)))
display_soups = _soup(st.sampled_from(DISPLAY_LINES))
either = st.one_of(
    st.tuples(st.sampled_from(FORMATS), soups),
    st.tuples(st.sampled_from(["auto", "ems"]), display_soups),
)


def run(reading: Decoder, chunks: list[bytes]) -> list[Item]:
    return [item for chunk in chunks for item in reading.feed(chunk)] + reading.close()


def is_told(item: Item) -> bool:
    return isinstance(item, Refusal) and item.kind in {"header", "plain", "cut"}


@settings(max_examples=400)
@given(st.data(), either, st.booleans(), st.booleans())
def test_any_cutting_into_chunks_gives_the_same_items(data, form_and_soup, wrapped, only):
    form, soup = form_and_soup
    whole = decoder(form, wrapped=wrapped, only_candidates=only, limits=SMALL)
    pieces = decoder(form, wrapped=wrapped, only_candidates=only, limits=SMALL)

    assert run(pieces, data.draw(cut(soup))) == run(whole, [soup])
    assert pieces.counted == whole.counted


near_dates = st.text("\n\t 0-9xV\xbb", max_size=14).map(lambda text: text.encode("latin-1"))
date_lines = st.sampled_from(
    [b"26-11-22 x", b"26-11-22\tx", b"26-11-22x", b" 26-11-22 x", b"6-11-22 "]
)


@given(st.data(), st.lists(st.one_of(date_lines, near_dates), min_size=1))
def test_each_line_that_begins_with_a_date_is_counted_once(data, lines):
    display = b"\n".join(lines) + b"\n"
    reading = decoder("ems", limits=Limits(line=400))

    assert run(reading, data.draw(cut(display))) == []
    dates = [line for line in display.split(b"\n") if re.match(rb"\d\d-\d\d-\d\d[ \t]", line)]
    assert reading.counted.events == len(dates)


WRITER_ALONE = b"   26-11-22 02:14:09 \\NSK1.$ZBAT TANDEM.EMS.L01 00512 3,14 $X:\n"
"""Behind blanks, and without a text: no command is lost."""


@settings(max_examples=400)
@example(form_and_soup=("ems", WRITER_ALONE), wrapped=False, plain=False)
@given(either, st.booleans(), st.booleans())
def test_the_fast_mode_yields_exactly_the_candidates_of_all_events(form_and_soup, wrapped, plain):
    form, soup = form_and_soup
    fast, every = (
        run(decoder(form, wrapped=wrapped, plain=plain, limits=SMALL, only_candidates=only), [soup])
        for only in (True, False)
    )

    assert [i for i in fast if isinstance(i, Event) or is_told(i)] == [
        i for i in every if is_told(i) or (isinstance(i, Event) and i.is_candidate)
    ]


@settings(max_examples=400)
@given(st.data(), display_soups, st.booleans())
def test_settling_at_any_byte_is_the_same_in_both_modes(data, soup, wrapped):
    before, *after = data.draw(cut(soup))
    found = []
    for only in (True, False):
        reading = decoder("ems", wrapped=wrapped, limits=SMALL, only_candidates=only)
        items = reading.feed(before) + reading.settle() + run(reading, after)
        found.append([i for i in items if isinstance(i, Event) and i.is_candidate])

    assert found[0] == found[1]


@given(st.data(), st.lists(events(), max_size=8))
def test_an_event_is_read_back_from_any_way_of_displaying_it(data, shown):
    display = "".join(data.draw(displays(event)) for event in shown).encode()

    items = run(decoder("ems", only_candidates=False), data.draw(cut(display)))

    assert items == [evolve(event, text=" ".join(event.text.split())) for event in shown]


@given(st.binary(max_size=400), st.sampled_from(FORMATS), st.booleans())
def test_no_bytes_at_all_raise_an_error(garbage, form, only):
    run(decoder(form, limits=SMALL, only_candidates=only), [garbage])
