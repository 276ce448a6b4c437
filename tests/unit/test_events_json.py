"""JSON lines become events, acknowledgements, and refusals that name what is wrong."""

import json

import pytest

from vtspolicy.events.decoder import decoder
from vtspolicy.events.event import Acknowledgement, Event, Refusal
from vtspolicy.events.limits import Limits

FIELDS = {
    "time": "2026-11-22T02:14:09",
    "system": "\\NSK1",
    "process": "$ZBAT",
    "ssid": "SITE.BACKUP.A01",
    "number": 1234,
    "text": "VTSPolicy TSM 'archive /VAULT01/PAYROLL/A00017'",
}


def line(**fields):
    return json.dumps({**FIELDS, **fields}).encode() + b"\n"


def read(data, **options):
    reading = decoder("json", **options)
    return reading.feed(data) + reading.close()


def test_the_same_event_has_the_same_fields_as_in_a_display():
    shown = b"26-11-22 02:14:09 \\NSK1.$ZBAT* SITE.BACKUP.A01 001234 " + FIELDS["text"].encode()
    (expected,) = decoder("ems", wrapped=False).feed(shown + b"\n")

    (event,) = read(line(time="26-11-22 02:14:09", critical=True))

    assert event.wire == "json"
    for field in ("time", "system", "process", "ssid", "number", "critical", "text"):
        assert getattr(event, field) == getattr(expected, field)


def test_the_optional_fields_are_read():
    (event,) = read(
        line(user="OPS.NIGHT", action_needed=True, action_id="0412", id=77, critical=None)
    )

    assert (event.user, event.action_needed, event.action_id) == ("OPS.NIGHT", True, "0412")
    assert (event.id, event.critical) == ("77", False)


def test_a_text_is_joined_as_a_display_would_be():
    (event,) = read(line(text="VTS\u0007Policy TSM \r\n\n   'archive'\u0000  "))

    assert event.text == "VTSPolicy TSM 'archive'"


def test_half_a_pair_of_surrogates_does_not_reach_the_ledger():
    (event,) = read(line(text="VTSPolicy \ud800"))

    assert event.text == "VTSPolicy \ufffd"


@pytest.mark.parametrize("only_candidates", [True, False])
def test_a_command_behind_escapes_is_a_command(only_candidates):
    data = line(text="X").replace(b'"X"', rb'"\u0056TSPolicy Erase - A00017"')

    (event,) = read(data, only_candidates=only_candidates)

    assert event.is_command


def test_noise_and_our_own_notices_are_passed_over():
    assert read(line(text="noise") + line(ssid="VTS.POLICY.A01", text="VTSPolicy ACCEPTED")) == []


@pytest.mark.parametrize(
    ("data", "ids"),
    [(b'{"ack": 17}\n', (17,)), (b'{"ack": [17, 18]}\r\n', (17, 18)), (b'{"ack": []}', ())],
)
def test_an_acknowledgement_names_its_notices(data, ids):
    assert read(data) == [Acknowledgement(ids=ids)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"VTSPolicy\n", "not JSON: Expecting value at column 1"),
        (b'{"text": VTSPolicy}\n', "at column 10"),
        (b'["VTSPolicy"]\n', "not an object in braces but a list"),
        (b"17\n", "not an object in braces but a number"),
        (b"null\n", "but null"),
        (b'{"text": "VTSPolicy"}\n', "missing field time, system, process, ssid, number"),
        (line(texte="x"), 'unknown field texte: did you mean "text"?'),
        (line(q="x"), "unknown field q: known are time, system"),
        (line(number="1234"), 'field number must be a number from -32768 to 32767; it is "1234"'),
        (line(number=True), "field number must be"),
        (line(number=32768), "it is 32768"),
        (line(critical="yes"), 'field critical must be true or false; it is "yes"'),
        (line(time="yesterday"), "field time must be ISO"),
        (line(time="2026-11-31T00:00:00"), "field time must be ISO"),
        (line(time="2026-11-22"), "field time must be ISO"),
        (line(system="NSK1"), r"field system must be a system's name with its backslash"),
        (line(process="ZBAT"), "field process must be $NAME or cpu,pin"),
        (line(ssid="TANDEM.TAPE"), "field ssid must be OWNER.SUBSYSTEM.VERSION"),
        (line(user="a\nb"), "field user must be a string of 1 to 255 printable"),
        (line(text=["VTSPolicy"]), "field text must be a string"),
        (b'{"ack": [1, 2], "ack": 3}\n', "the field ack is there twice"),
        (b'{"ack": [true]}\n', '"ack" must be the number of a notice'),
        (b'{"ack": -1}\n', '"ack" must be the number of a notice'),
        (b'{"ack": 1, "id": "x"}\n', '"ack" has to be alone'),
        (b"[" * 15000 + b"\n", "inside one another too deeply"),
        (b'{"ack": ' + b"9" * 5000 + b"}\n", "not JSON"),
    ],
)
def test_a_refusal_names_what_is_wrong(data, reason):
    (refusal,) = read(data)

    assert isinstance(refusal, Refusal)
    assert refusal.kind == "json"
    assert reason in refusal.reason
    assert len(refusal.reason) < 200


@pytest.mark.parametrize("process", ["007,045", "7,45", "00012,00345"])
def test_a_process_without_a_name_has_numbers_of_up_to_five_digits(process):
    (event,) = read(line(process=process))

    assert event.process == process


def test_a_refusal_repeats_the_id_of_its_sender():
    (refusal,) = read(line(number=None, id="a-1"))

    assert refusal.id == "a-1"


def test_after_a_refusal_the_next_line_is_read():
    items = read(b"}garbage{\n\n" + line())

    assert [type(item) for item in items] == [Refusal, Event]


@pytest.mark.parametrize("only_candidates", [True, False])
def test_a_line_too_long_is_refused_once(only_candidates):
    reading = decoder("json", only_candidates=only_candidates)
    items = [item for _ in range(5) for item in reading.feed(b'{"text": "' + b"x" * 9000)]
    items += reading.feed(b"\n" + line())

    assert [getattr(item, "kind", "event") for item in items] == ["line", "event"]


def test_a_text_too_long_is_refused_with_its_id():
    (refusal,) = read(line(text="VTSPolicy 0123456789", id=5), limits=Limits(text=19))

    assert (refusal.kind, refusal.id) == ("event", "5")


def test_every_object_is_counted_as_an_event():
    reading = decoder("json")
    reading.feed(line(text="noise") * 3 + line())
    reading.feed(b"\n" + line(text="noise") + b"garbage\n")

    assert reading.counted.events == 6
    assert reading.counted.refused == {"json": 1}


@pytest.mark.parametrize(
    "text",
    [
        "VTSPOLICY Erase - A00017",
        "vtspolicy Status - 1",
        "VTSPolicy\u00a0TSM 'x'",
        "\ufeffVTSPolicy X",
    ],
)
@pytest.mark.parametrize("only_candidates", [True, False])
def test_a_command_that_misses_by_little_is_handed_to_the_parser(text, only_candidates):
    (event,) = read(line(text=text), only_candidates=only_candidates)

    assert event.text == text
    assert event.is_command


def test_a_last_object_needs_no_line_end_for_its_brace_shows_its_end():
    assert len(read(line(text="VTSPolicy Erase - A00017").rstrip())) == 1
