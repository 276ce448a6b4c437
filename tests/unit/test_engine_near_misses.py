"""What looks like a command and is none is answered, or at least counted and logged."""

import pytest
from engines import Site, World
from twisted.logger import globalLogPublisher

from vtspolicy.events.decoder import decoder

HEADER = b"26-11-22 02:14:09 \\NSK1.$ZBAT SITE.BACKUP.A01 001234 "
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
    session._decoder = decoder("ems", plain=plain)
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
@pytest.mark.parametrize("blank", [b"\xc2\xa0", b"\xa0", b"\xe2\x80\x87", b"\x1b"])
def test_a_blank_that_is_none_is_answered_with_its_column(world, before, blank):
    ((answer, fields),) = answers(world, before + b"VTSPolicy" + blank + COMMAND)

    assert (answer, fields["column"]) == ("REJECTED", 10)
    assert "put a plain blank in its place" in fields["reason"]


def test_a_near_miss_for_another_server_is_left_to_that_one(world):
    assert answers(world, HEADER + b"VTSPOLICY Erase - A00017 s=vts9\n") == []


@pytest.mark.parametrize("before", [b" ", b"\x0c", b"\xc2\xa0"])
def test_what_stands_before_a_header_is_answered_and_logged(world, logged, before):
    ((answer, fields),) = answers(world, before + HEADER + b"VTSPolicy " + COMMAND)

    assert (answer, fields["column"]) == ("REJECTED", 1)
    assert refused(world, "header") == 1
    assert [line["reason"] for line in logged()] == [fields["reason"]]


def test_a_plain_command_right_behind_a_notice_of_ours_is_counted_and_logged(world, logged):
    own = b"26-11-30 14:34:40 \\VTS1.$VTSP VTS.POLICY.A01 1001 VTSPolicy ACCEPTED req=3\n"

    assert answers(world, own + b"VTSPolicy " + COMMAND) == []
    assert refused(world, "plain") == 1
    assert "behind a notice of ours" in logged()[0]["reason"]


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
