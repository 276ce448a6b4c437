"""What looks like a command and is none is answered, or at least counted and logged."""

import json

import pytest
from twisted.logger import globalLogPublisher

from tests.harness.engine_worlds import Site, World
from vtspolicy.engine.commands import authorising
from vtspolicy.events.decoder import decoder

HEADER = b"26-11-22 02:14:09 \\NSK1.$ZBAT SITE.BACKUP.A01 001234 "
WRITTEN = HEADER.replace(b"SITE.BACKUP", b"TANDEM.EMS").replace(b"1234", b"512")
COMMAND = b"DSK 'archive /VAULT01/ONE'\n"


@pytest.fixture(scope="module")
def site():
    site = Site()
    yield site
    site.remove()


@pytest.fixture
def world(site):
    world = World(site)
    yield world
    world.close()


@pytest.fixture
def logged():
    lines = []
    globalLogPublisher.addObserver(lines.append)
    yield lambda: [line for line in lines if line.get("action") == "refused_input"]
    globalLogPublisher.removeObserver(lines.append)


def answers(world, data, *, plain=True):
    session = world.connect("NSK1", format="ems")
    session.wire.decoder = decoder("ems", plain=plain)
    session.dataReceived(data)
    world.clock.pass_time(1)
    world.settle()
    return [(notice.word.name, dict(notice.fields)) for notice in world.mail["NSK1"].notices]


def refused(world, kind):
    labels = {"host": "NSK1", "kind": kind}
    return world.metrics.registry.get_sample_value("vtspolicy_input_refused_total", labels)


@pytest.mark.parametrize("before", [b"", HEADER])
@pytest.mark.parametrize("word", [b"VTSPOLICY ", b"vtspolicy ", b"Vtspolicy "])
def test_other_letters_are_answered_with_the_right_word(world, before, word):
    ((answer, fields),) = answers(world, before + word + COMMAND)

    assert (answer, fields["column"]) == ("REJECTED", 1)
    assert "did you mean 'VTSPolicy'?" in fields["reason"].replace('"', "'")


@pytest.mark.parametrize("before", [b"", HEADER])
@pytest.mark.parametrize("target", [b"42", b"ref=R1"])
def test_a_verb_in_capitals_that_is_a_word_of_ours_too_is_answered(world, before, target):
    ((answer, fields),) = answers(world, before + b"VTSPolicy STATUS - " + target + b"\n")

    assert (answer, fields["column"]) == ("REJECTED", 11)
    assert "did you mean 'Status'?" in fields["reason"].replace('"', "'")


@pytest.mark.parametrize("before", [b"", HEADER])
@pytest.mark.parametrize(
    "notice", [b"STATUS req=3 jobs=1", b'REJECTED column=11 reason="found -"', b"HEARTBEAT"]
)
def test_a_notice_of_ours_that_a_host_posts_again_is_no_command(world, before, notice):
    assert answers(world, before + b"VTSPolicy " + notice + b"\n") == []


@pytest.mark.parametrize("before", [b"", HEADER])
@pytest.mark.parametrize("blank", [b"\xc2\xa0", b"\xa0", b"\xe2\x80\x87", b"\x1b"])
def test_a_blank_that_is_none_is_answered_with_its_column(world, before, blank):
    ((answer, fields),) = answers(world, before + b"VTSPolicy" + blank + COMMAND)

    assert (answer, fields["column"]) == ("REJECTED", 10)
    assert "put a plain blank in its place" in fields["reason"]


def test_a_near_miss_for_another_server_is_left_to_that_one(world):
    assert answers(world, HEADER + b"VTSPOLICY Erase - A00017 s=vts9\n") == []


@pytest.mark.parametrize("before", [b" ", b"\x0c", b"\xc2\xa0"])
def test_what_is_before_a_header_is_answered_and_logged(world, logged, before):
    ((answer, fields),) = answers(world, before + HEADER + b"VTSPolicy " + COMMAND)

    assert (answer, fields["column"]) == ("REJECTED", 1)
    assert refused(world, "header") == 1
    assert [line["reason"] for line in logged()] == [fields["reason"]]


TAPE = b"\\NSK1.$ZSVR TANDEM.TAPE.D20 "
SYSLOG = b"<13>1 2026-11-22T02:14:09Z nsk1 ems - - - "


@pytest.mark.parametrize(
    "text",
    [
        b"601 $ZSVR: 0412 MOUNT A00017 ON \\NSK1.$VT1 WITH RING",
        b"648 $ZSVR: 0412 VOLUME A00017 MOUNTED",
        b"705 MOUNT ESM A00017 WITH RING",
    ],
)
@pytest.mark.parametrize(
    "date", [b"22Nov2026 02:14:09 ", b"2026-11-22 02:14:09.12 ", b"26-11-22 02:14:09.12 "]
)
def test_a_tape_message_behind_another_date_is_counted_and_logged(world, logged, date, text):
    assert answers(world, date + TAPE + text + b"\n") == []
    assert refused(world, "header") == 1
    assert "is not the header of an event" in logged()[0]["reason"]


def test_the_same_where_its_text_is_in_the_next_line(world, logged):
    event = b"26-11-22 02:14:09.12 " + TAPE + b"601\n     $ZSVR: 0412 MOUNT A00017 WITH RING\n"
    assert answers(world, event) == []
    assert refused(world, "header") == 1
    assert logged()


@pytest.mark.parametrize("date", [b"22Nov2026 02:14:09 ", b"26-11-22 02:14:09.12 "])
def test_the_same_in_syslog(world, logged, date):
    session = world.connect("NSK1", format="syslog")
    session.dataReceived(SYSLOG + date + TAPE + b"601 $ZSVR: 0412 MOUNT A00017 WITH RING\n")
    world.clock.pass_time(1)
    world.settle()

    assert world.mail["NSK1"].notices == []
    assert refused(world, "header") == 1
    assert "is not the header of an event" in logged()[0]["reason"]


def test_other_events_behind_another_date_are_passed_over(world, logged):
    date = b"22Nov2026 02:14:09 \\NSK1.$ZSVR TANDEM.TAPE.D20 "
    assert answers(world, date + b"620 TAPE DRIVE $ZSVR: is up\n") == []
    assert answers(world, date.replace(b"22Nov2026", b"26-11-22 9:14") + b"620 UP\n") == []
    assert logged() == []


def test_a_plain_command_right_behind_a_notice_of_ours_is_counted_and_logged(world, logged):
    own = b"26-11-30 14:34:40 \\VTS1.$VTSP VTS.POLICY.A01 1001 VTSPolicy ACCEPTED req=3\n"

    assert answers(world, own + b"VTSPolicy " + COMMAND) == []
    assert refused(world, "plain") == 1
    assert "behind one of our notices" in logged()[0]["reason"]


def test_a_plain_command_among_headers_is_answered_with_the_setting_that_takes_it(world, logged):
    noise = HEADER.replace(b"NSK1", b"NSK9") + b"user note:\n"

    ((answer, fields),) = answers(world, noise + b"VTSPolicy " + COMMAND, plain=False)
    assert answer == "REJECTED"
    assert "plain: true" in fields["reason"]
    assert logged()


def test_a_command_without_its_line_end_is_answered_and_not_taken(world):
    session = world.connect("NSK1", format="ems")
    session.dataReceived(b"VTSPolicy Cancel - 1")
    session.readConnectionLost()
    world.settle()

    (notice,) = world.mail["NSK1"].notices
    assert notice.word.name == "REJECTED"
    assert "'VTSPolicy Cancel - 1' may be cut" in notice.fields["reason"]


# What was written plainly to the collector


@pytest.mark.parametrize(
    "shown",
    [
        b"3,114 $XQ1B: VTSPolicy " + COMMAND,
        b"003,00114 $X:  VTSPolicy DSK\n     'archive /VAULT01/ONE'\n",
        b"3,114 $XQ1B:\n   VTSPolicy " + COMMAND,
        b"3,114 $XQ1B:\nVTSPolicy " + COMMAND,
        b"\n   3,114 $XQ1B: VTSPolicy " + COMMAND,
        b"3,114\n   $XQ1B: VTSPolicy " + COMMAND,
    ],
)
@pytest.mark.parametrize("subsystem", [b"TANDEM.EMS", b"TANDEM.12"])
def test_the_writer_before_a_command_is_passed_over(world, shown, subsystem):
    ((answer, fields), *_) = answers(world, WRITTEN.replace(b"TANDEM.EMS", subsystem) + shown)

    assert (answer, fields["req"]) == ("ACCEPTED", 1)


@pytest.mark.parametrize(
    "shown",
    [
        HEADER + b"3,114 $XQ1B: VTSPolicy " + COMMAND,
        WRITTEN + b"$XQ1B: VTSPolicy " + COMMAND,
        WRITTEN + b"3,114 $XQ1B: VTSPolicy ACCEPTED req=1\n",
        WRITTEN + b"3,114 $XQ1B:\n" + WRITTEN + b"3,114 $XQ1B: other\n   VTSPolicy " + COMMAND,
    ],
)
def test_other_words_before_a_command_make_noise_of_it(world, shown):
    assert answers(world, shown) == []


def test_the_column_of_a_mistake_counts_in_the_whole_text(world):
    ((answer, fields),) = answers(world, WRITTEN + b"3,114 $XQ1B: VTSPolicy DSX 'x'\n")

    assert (answer, fields["column"]) == ("REJECTED", 24)


def of_length(size, end=b""):
    """An Erase of so many bytes."""
    tapes = b" ".join(b"A%05d" % number for number in range(30))
    text = (b"VTSPolicy Erase - " + tapes)[: size - len(end)] + end
    assert len(text) == size
    return text


WRITER = b"3,114 $XQ1B: "


@pytest.mark.parametrize(
    ("said", "warns"),
    [
        (of_length(102), True),
        (of_length(102, b" "), True),
        (of_length(102, b"   "), True),
        (of_length(101), False),
        (of_length(110), False),
        (WRITER + of_length(102), True),
        (WRITER + of_length(102, b" "), True),
        (WRITER + of_length(102 - len(WRITER)), True),
        (WRITER + of_length(102 - len(WRITER), b" "), True),
        (WRITER + of_length(101), False),
    ],
)
@pytest.mark.parametrize("wire", ["ems", "json", "syslog"])
def test_a_list_of_tapes_that_was_cut_at_102_bytes_is_taken_with_a_warning(
    world, said, warns, wire
):
    data = WRITTEN + said + b"\n"
    if wire == "syslog":
        data = b"<13>1 - nsk1 ems - - - " + data
    elif wire == "json":
        fields = {"time": "26-11-22 02:14:09", "system": "\\NSK1", "process": "$ZBAT"}
        fields |= {"ssid": "TANDEM.EMS.L01", "number": 512, "text": said.decode()}
        data = json.dumps(fields).encode() + b"\n"
    reading = decoder(wire)
    (event,) = reading.feed(data) + reading.close()

    command = authorising._parse(event, world.site.reader.vocabulary)

    assert any("102 bytes" in warning for warning in command.warnings) == warns


def test_an_open_quote_at_102_bytes_behind_the_writer_is_told_to_be_the_cut(world):
    text = WRITER + (b"VTSPolicy DSK 'archive /VAULT01/ONE ref=" + b"x" * 80)[:102]

    ((answer, fields),) = answers(world, WRITTEN + text + b"\n")

    assert answer == "REJECTED"
    assert "102 bytes with the quote open" in fields["reason"]
