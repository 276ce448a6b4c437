"""What operators ask for by hand: paths that lead out, marks that cannot be, others' tapes."""

import pytest
from test_tapes_faults import TapeSite, TapeWorld

from vtspolicy.control import Refused, UnknownThing
from vtspolicy.tapes import TapeState

ALICE = "operator alice"


@pytest.fixture(scope="module")
def site():
    site = TapeSite()
    yield site
    site.remove()


@pytest.fixture
def world(site):
    world = TapeWorld(site)
    yield world
    world.close()


def said(world, deferred):
    """What a verb answers, or why not."""
    found = []
    deferred.addBoth(found.append)
    world.settle()
    (answer,) = found
    return getattr(answer, "value", answer)


def order(world, text, tapes=None):
    return said(world, world.operator.order(text, tapes, ALICE))


def mark(world, tape="P00001", state="migrated", **more):
    given = {
        "handle": "H",
        "application": "DSK",
        "retention": None,
        "media": None,
        "size": None,
        **more,
    }
    return said(world, world.operator.mark(tape=tape, state=state, actor=ALICE, **given))


def test_an_order_is_recorded_as_the_operators(world):
    told = order(world, "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'")
    assert (told["word"], told["jobs"]) == ("ACCEPTED", 1)
    request = world.ledger.book.request(told["request"])
    assert request.host == ""
    assert world.ledger.book.history(f"request {request.id}")[0].actor == ALICE
    world.work()
    assert world.tape().state is TapeState.MIGRATED


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("VTSPolicy DSK 'archive /VAULT01/PAY/P00001", "REJECTED"),
        ("VTSPolicy BRG 'archive /VAULT01/PAY/P00001'", "NORULE"),
        ("VTSPolicy Erase - X99999", "ACCEPTED"),
        ("VTSPolicy " + "A" * 4000, "REJECTED"),
    ],
)
def test_an_order_that_comes_to_nothing_says_why(world, text, word):
    told = order(world, text)
    assert (told["word"], told["jobs"]) == (word, 0)
    assert told["reason"] or word == "NORULE"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rm -rf /", "no command"),
        ("VTSPolicy Cancel - 1", "vtspolicy cancel"),
        ("VTSPolicy Erase - P00001 s=other.example.com", "for other.example.com"),
    ],
)
def test_an_order_that_is_none_is_refused(world, text, reason):
    answer = order(world, text)
    assert isinstance(answer, Refused)
    assert reason in str(answer)
    assert world.ledger.book.requests() == []


def test_an_order_about_another_tape_than_the_operator_named_is_refused(world):
    answer = order(world, "VTSPolicy Erase - P00001", "/VAULT01/OTHER/P00001")
    assert isinstance(answer, Refused)
    assert "/VAULT01/PAY/P00001" in str(answer)
    assert order(world, "VTSPolicy Erase - P00001", "/VAULT01/PAY/P00001")["jobs"] == 1


@pytest.mark.parametrize(
    ("tape", "problem"),
    [
        ("/etc/passwd", "no tape"),
        ("/VAULT01/PAY/../PAY", "no tape"),
        ("/VAULT01/PAY/.hidden", "no tape"),
        ("../P00001", "no tape"),
        ("/VAULT01/PAY", "no tape"),
        ("/VAULT02/PAY/P00001", "no vault VAULT02"),
        ("X99999", "no vault has a tape"),
    ],
)
def test_a_mark_of_what_is_no_tape_of_a_vault_is_refused(world, tape, problem):
    answer = mark(world, tape)
    assert isinstance(answer, UnknownThing)
    assert problem in str(answer)


def test_a_tape_is_marked_by_the_path_of_its_file(world):
    told = mark(world, str(world.path), media="CASSETTE-7", retention="7,d")
    assert told == {"tape": "/VAULT01/PAY/P00001", "state": "migrated"}
    tape = world.tape()
    assert (tape.by_us, tape.verified, tape.media, tape.retention) == (
        False,
        None,
        "CASSETTE-7",
        "7,d",
    )


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"state": "gone"}, "no mark"),
        ({"handle": None}, "handle"),
        ({"retention": "soon"}, "no retention"),
        ({"size": 10}, "its size is known"),
        ({"state": "restored"}, "no copy of it"),
        ({"tape": "/VAULT01/PAY/X99999"}, "no such tape"),
    ],
)
def test_a_mark_that_cannot_be_is_refused(world, more, problem):
    answer = mark(world, **more)
    assert isinstance(answer, Refused)
    assert problem in str(answer)
    assert world.tape() is None or world.tape().handle is None


def test_a_mark_for_an_unknown_application_names_the_nearest(world):
    answer = mark(world, application="DKS")
    assert isinstance(answer, UnknownThing)
    assert "DSK" in str(answer)


def test_an_override_of_an_empty_tape_overrules_nothing(world):
    world.path.write_bytes(b"")
    answer = said(world, world.operator.override("P00001", "why not", ALICE))
    assert isinstance(answer, Refused)
