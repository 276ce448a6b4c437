"""Tape messages that end a mount request, and those that are only counted."""

import json

import pytest
from twisted.logger import formatEvent, globalLogPublisher

from tests.harness.engine_gaps import RULES, TapeWorld
from tests.harness.engine_worlds import Site
from vtspolicy.notices import Word


@pytest.fixture(scope="module")
def site():
    site = Site(RULES, families=("Restore",))
    yield site
    site.remove()


@pytest.fixture
def world(site):
    world = TapeWorld(site)
    yield world
    world.close()


def tell(world, number, text, minute):
    line = {
        "time": f"2026-11-22T03:{minute:02d}:00",
        "system": "\\NSK1",
        "process": "$ZSVR",
        "ssid": "TANDEM.TAPE.L01",
        "number": number,
        "text": text,
    }
    world.of("NSK1").dataReceived(json.dumps(line).encode() + b"\n")
    world.settle()


def counted(world, result):
    name = "vtspolicy_mount_requests_total"
    return world.metrics.registry.get_sample_value(name, {"result": result})


def asked(world):
    world.empty("P00001", 1)
    world.mount("P00001", "0413", 5)


def mount_answers(world):
    return {Word.MOUNTREADY, Word.MOUNTFAILED} & set(world.words())


def test_a_mount_request_that_is_open_is_answered(world):
    asked(world)
    world.work()

    assert mount_answers(world) == {Word.MOUNTREADY}


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (649, "$ZSVR: 0413 REQUEST FOR VOLUME P00001 CANCELED"),
        (649, "$ZSVR: 0413 P00001 REPLACED BY P00002"),
        (651, "$ZSVR: 0413 REQUEST FOR VOLUME P00001 REJECTED BY OPERATOR"),
    ],
)
def test_a_mount_request_that_its_host_has_ended_is_not_answered(world, number, text):
    asked(world)
    tell(world, number, text, 6)
    world.work()

    assert mount_answers(world) == set()
    assert counted(world, "closed") == 1


def test_the_log_says_that_a_mount_request_was_ended(world):
    events = []
    globalLogPublisher.addObserver(events.append)
    asked(world)
    tell(world, 651, "$ZSVR: 0413 REQUEST FOR VOLUME P00001 REJECTED BY OPERATOR", 6)
    world.work()
    globalLogPublisher.removeObserver(events.append)

    [line] = [formatEvent(each) for each in events if each.get("action") == "mount_closed"]
    assert line == "Mount 0413 of NSK1 for P00001 is not answered: the host's operator rejected it."


@pytest.mark.parametrize(
    "text", ["$ZSVR: 0412 REQUEST FOR VOLUME P00001 CANCELED", "$ZSVR: 0413 VOLUME P00002 CANCELED"]
)
def test_the_end_of_another_request_ends_nothing(world, text):
    asked(world)
    tell(world, 649, text, 6)
    world.work()

    assert mount_answers(world) == {Word.MOUNTREADY}


def test_an_end_that_is_older_than_the_request_ends_nothing(world):
    asked(world)
    tell(world, 649, "$ZSVR: 0413 REQUEST FOR VOLUME P00001 CANCELED", 4)
    world.work()

    assert mount_answers(world) == {Word.MOUNTREADY}


def test_messages_without_a_number_to_answer_by_are_counted(world):
    tell(world, 705, "MOUNT ESM P00001 WITH RING ALIAS = B00022", 6)
    tell(world, 706, "MOUNT ESM P00001 NO RING", 6)
    tell(world, 659, "STATUS 1512 - P00001 TAPE DISMOUNTED FROM DRIVE $TAPE0", 7)

    assert (counted(world, "esm"), counted(world, "dismounted")) == (2, 1)
    assert world.words() == []


@pytest.mark.parametrize(
    "text",
    ["$ZSVR: 0413 MOUNT P0000001 WITH RING", "$ZSVR: 413 MOUNT P00001 WITH RING"],
)
def test_a_mount_request_that_cannot_be_read_is_counted_and_logged(world, text):
    lines = []
    globalLogPublisher.addObserver(lines.append)
    try:
        tell(world, 601, text, 6)
    finally:
        globalLogPublisher.removeObserver(lines.append)
    told = [formatEvent(line) for line in lines if line.get("action") == "refused_input"]

    assert counted(world, "unread") == 1
    assert f"'{text}' is not a mount request of a known form" in told[0]
    assert world.words() == []


def test_other_tape_messages_are_passed_over(world):
    tell(world, 620, "$ZSVR: 0413 TAPE DRIVE $TAPE0 IS DOWN", 6)

    assert counted(world, "unread") == 0
