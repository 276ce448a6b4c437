"""What tape messages say: docs/explanation/ems.md has the table of their forms."""

import pytest

from vtspolicy.events.event import Event
from vtspolicy.events.mounts import MountMessage, read_mount


def message(number, text, ssid="TANDEM.TAPE.L01"):
    return read_mount(Event(text=text, number=number, ssid=ssid))


@pytest.mark.parametrize(
    ("number", "text", "expected"),
    [
        (
            600,
            "$ZSVR: 0412 MOUNT A00017 WITH RING",
            {"sequence": "0412", "volume": "A00017", "label": "plain", "ring": True},
        ),
        (
            601,
            "$ZSVR: 0001 MOUNT T1 REEL 2 DENSITY 6250 ON $TAPE0 NO RING for the auditors",
            {
                "sequence": "0001",
                "volume": "T1",
                "label": "plain",
                "ring": False,
                "reel": "2",
                "density": "6250",
                "drive": "$TAPE0",
                "comment": "for the auditors",
            },
        ),
        (
            603,
            "$ZSVR: 0412 MOUNT IBM A00017 DENSITY 1600 WITH RING",
            {
                "sequence": "0412",
                "volume": "A00017",
                "label": "IBM",
                "ring": True,
                "density": "1600",
            },
        ),
        (
            610,
            "$ZSVR: 0412 MOUNT TMF A00017 ON $TAPE1 NO RING",
            {
                "sequence": "0412",
                "volume": "A00017",
                "label": "TMF",
                "ring": False,
                "drive": "$TAPE1",
            },
        ),
        (
            705,
            "MOUNT ESM A00017 REEL 1 WITH RING ALIAS = B00017",
            {"volume": "A00017", "label": "ESM", "ring": True, "reel": "1", "alias": "B00017"},
        ),
        (706, "MOUNT ESM A00017 NO RING", {"volume": "A00017", "label": "ESM", "ring": False}),
    ],
)
def test_a_request_names_its_tape(number, text, expected):
    found = message(number, text)

    assert found == MountMessage(kind="request", **expected)
    assert found.is_request
    assert not found.closes_request


@pytest.mark.parametrize(
    ("number", "text", "kind", "sequence"),
    [
        (648, "$ZSVR: 0412 VOLUME A00017 MOUNTED", "mounted", "0412"),
        (
            651,
            "$ZSVR: 0412 REQUEST FOR VOLUME A00017 REJECTED BY OPERATOR",
            "rejected",
            "0412",
        ),
    ],
)
def test_a_request_is_closed_by_its_sequence_number(number, text, kind, sequence):
    found = message(number, text)

    assert (found.kind, found.sequence, found.volume) == (kind, sequence, "A00017")
    assert found.closes_request


@pytest.mark.parametrize(
    "text",
    [
        "$ZSVR: 0413 REQUEST FOR VOLUME A00018 CANCELED",
        "$ZSVR: 0413 MOUNT A00018 CANCELLED, A00019 IS MOUNTED INSTEAD",
        "$ZSVR: 0413 A00018.",
        "$ZSVR: 0413 (A00018) WAS WITHDRAWN",
    ],
)
def test_a_cancelled_request_names_its_volume_wherever_it_stands(text):
    found = message(649, text)

    assert (found.kind, found.sequence, found.closes_request) == ("cancelled", "0413", True)
    assert found.names("A00018")
    assert not found.names("00018")
    assert not found.names("A0001")
    assert not found.names("A00020")


def test_a_cancelled_request_without_its_number_is_not_guessed_at():
    assert message(649, "$ZSVR: REQUEST FOR VOLUME A00018 CANCELED") is None


@pytest.mark.parametrize("number", [659, 705, 706])
def test_messages_without_a_number_to_answer_by_are_known_by_their_process(number):
    for process, is_mount in (("$ZSVR", True), ("$ZBAT", False)):
        event = Event(text="MOUNT", number=number, ssid="TANDEM.TAPE.L01", process=process)
        assert event.is_mount is is_mount


def test_a_dismount_names_tape_and_drive_and_closes_nothing():
    found = message(659, "STATUS 1512 - A00017 TAPE DISMOUNTED FROM DRIVE $TAPE0")

    assert (found.kind, found.volume, found.drive) == ("dismounted", "A00017", "$TAPE0")
    assert not found.closes_request


def test_the_comment_is_never_searched():
    found = message(
        600, "$ZSVR: 0412 MOUNT A00017 WITH RING then MOUNT A00018 ON $TAPE3 NO RING ALIAS = C"
    )

    assert (found.volume, found.ring, found.drive, found.alias) == ("A00017", True, None, None)
    assert found.comment == "then MOUNT A00018 ON $TAPE3 NO RING ALIAS = C"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (605, "$ZSVR: 0412 MOUNT IBM SCRATCH TAPE WITH RING"),
        (600, "$ZSVR: 0412 MOUNT IBM SCRATCH TAPE WITH RING"),
        (600, "$ZSVR: 0412 MOUNT SEVENTH WITH RING"),
        (600, "$ZSVR: 412 MOUNT A00017 WITH RING"),
        (600, "$ZSVR: 0412 MOUNT A00017"),
        (600, "$ZSVR: 0412 MOUNT ../../X WITH RING"),
        (648, "$ZSVR: 0412 MOUNT A00017 WITH RING"),
        (602, "$ZSVR: 0412 MOUNT A00017 WITH RING"),
        (None, "$ZSVR: 0412 MOUNT A00017 WITH RING"),
        (600, "noise"),
    ],
)
def test_what_has_another_form_is_not_guessed_at(number, text):
    assert message(number, text) is None


@pytest.mark.parametrize(
    ("ssid", "is_read"),
    [
        ("TANDEM.TAPE.G06", True),
        ("TANDEM.42.L01", True),
        ("TANDEM.DISK.L01", False),
        ("ACME.TAPE.L01", False),
        ("VTS.POLICY.A01", False),
        (None, False),
    ],
)
def test_only_the_tape_subsystem_speaks_of_tapes(ssid, is_read):
    found = message(600, "$ZSVR: 0412 MOUNT A00017 WITH RING", ssid=ssid)

    assert (found is not None) is is_read


def test_our_own_notice_is_no_tape_message_whatever_it_says():
    text = "$ZSVR: 0412 MOUNT A00017 WITH RING"

    assert Event(text=text, number=600, ssid="TANDEM.TAPE.L01").is_candidate
    assert not Event(text=text, number=600, ssid="VTS.POLICY.A01").is_candidate
