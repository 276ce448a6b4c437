"""What operators ask for by hand: paths that lead out, marks that cannot be, others' tapes."""

import time
from datetime import datetime

import pytest

from tests.harness.tape_faults import TapeSite, TapeWorld
from tests.harness.tape_orders import ALICE, ARCHIVE, ERASE, mark, order, said
from vtspolicy.control import Refused, UnknownThing
from vtspolicy.tapes import Proof, Reason, TapeState
from vtspolicy.vaults import VaultError


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


def test_an_order_is_recorded_as_the_operators(world):
    told = order(world, "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'")
    assert (told["word"], told["jobs"]) == ("ACCEPTED", 1)
    request = world.ledger.tx.requests.get(told["request"])
    assert request.host == ""
    assert world.ledger.tx.history.about(f"request {request.id}")[0].actor == ALICE
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
        ("rm -rf /", "is not a command"),
        ("VTSPolicy Cancel - 1", "vtspolicy cancel"),
        ("VTSPolicy Erase - P00001 s=other.example.com", "for other.example.com"),
    ],
)
def test_an_order_that_is_none_is_refused(world, text, reason):
    answer = order(world, text)
    assert isinstance(answer, Refused)
    assert reason in str(answer)
    assert world.ledger.tx.requests.find() == []


def test_an_order_about_another_tape_than_the_operator_named_is_refused(world):
    answer = order(world, "VTSPolicy Erase - P00001", "/VAULT01/OTHER/P00001")
    assert isinstance(answer, Refused)
    assert "/VAULT01/PAY/P00001" in str(answer)
    assert order(world, "VTSPolicy Erase - P00001", "/VAULT01/PAY/P00001")["jobs"] == 1


@pytest.mark.parametrize(
    ("tape", "problem"),
    [
        ("/etc/passwd", "is not a tape"),
        ("/VAULT01/PAY/../PAY", "is not a tape"),
        ("/VAULT01/PAY/.hidden", "is not a tape"),
        ("../P00001", "is not a tape"),
        ("/VAULT01/PAY", "is not a tape"),
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
    assert (told["tape"], told["state"]) == ("/VAULT01/PAY/P00001", "migrated")
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
        ({"state": "gone"}, "not a mark"),
        ({"handle": None}, "handle"),
        ({"retention": "soon"}, "not a retention"),
        ({"size": 10}, "it has 4 bytes, and 10 were copied"),
        ({"state": "restored"}, Reason.NO_COPY_AT_ALL.words),
        ({"tape": "/VAULT01/PAY/X99999"}, Reason.NO_TAPE.words),
        ({"began": "yesterday"}, '"yesterday" is not a time'),
        ({"began": "9999-12-31T23:59:59-23:59"}, "is not a time"),
        ({"began": "2001-01-01T00:00:00"}, Reason.WRITTEN_SINCE_BEGAN.words),
        ({"began": "2400-01-01T00:00:00"}, Reason.BEGAN_LATER.words),
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


# -- what a mark proves


def began(world, lag=0.0):
    """A time between the last write of the tapes and the world's now, as an operator writes it.

    The vault's clock is `lag` seconds behind the world's.
    """
    world.clock.pass_time(max(time.time() + 60.0 - world.clock.seconds(), 60.0), 86400.0)
    world.engine.vaults.moment = lambda _: int((world.clock.seconds() - lag) * 1e9)
    return datetime.fromtimestamp(world.clock.seconds() - 1.0).astimezone().isoformat()


def erase(world, minute=9):
    """A host asks for it; returns how that ended."""
    world.send("NSK1", "VTSPolicy Erase - P00001", minute)
    world.work()
    return world.ledger.tx.requests.find(family="Erase")[0]


@pytest.mark.parametrize(
    ("more", "doubt"),
    [
        ({}, "it is not known when the copy began"),
        ({"size": 4}, "it is not known when the copy began"),
        ({"began": True}, "it is not known how many bytes were copied"),
        ({"began": True, "size": 4}, None),
    ],
)
def test_a_mark_proves_only_what_it_says(world, more, doubt):
    world.copies["H"] = b"tape"
    given = {**more, "began": began(world)} if more.get("began") else more
    told = mark(world, **given)
    assert told["doubt"] is None if doubt is None else told["doubt"].startswith(doubt)
    (copy,) = world.ledger.tx.copies.of_tape(str(world.path))
    assert (copy.proof, copy.doubt, copy.by_us) == (Proof.RECORDED, told["doubt"], False)
    ended = erase(world)
    if doubt is None:
        assert (ended.state.value, world.path.stat().st_size) == ("completed", 0)
    else:
        assert (ended.state.value, doubt in ended.reason) == ("failed", True)
        assert world.path.read_bytes() == b"tape"


def test_a_mark_is_compared_with_the_clock_of_the_vault(world):
    """The file server is two minutes behind: what was written after the copy looks older."""
    told = mark(world, began=began(world, lag=120.0), size=4)
    assert isinstance(told, Refused)
    assert Reason.WRITTEN_SINCE_BEGAN.words in str(told)
    world.copies["H"] = b"tape"
    ahead = mark(world, began=began(world, lag=-120.0), size=4)
    assert ahead["doubt"] is None
    assert erase(world).state.value == "completed"


def test_a_mark_in_a_vault_whose_clock_is_not_known_is_doubted(world):
    when = began(world)

    def moment(tape):
        raise VaultError("its clock is unknown")

    world.engine.vaults.moment = moment
    assert "the vault's clock is not known" in mark(world, began=when, size=4)["doubt"]


def test_the_handle_of_a_mark_has_to_be_found(world):
    mark(world, began=began(world), size=4)
    ended = erase(world)
    assert (ended.state.value, "does not find its copy H" in ended.reason) == ("failed", True)
    assert world.path.read_bytes() == b"tape"
    assert world.ledger.tx.copies.of_tape(str(world.path))[0].lost is not None


def test_a_mark_proves_nothing_of_what_is_written_after_it(world):
    world.copies["H"] = b"tape"
    mark(world, began=began(world), size=4)
    world.path.write_bytes(b"new!")
    assert erase(world).state.value == "failed"
    assert world.path.read_bytes() == b"new!"


def test_a_tape_that_is_back_as_it_was_copied_can_be_marked_so(world):
    order(world, ARCHIVE)
    world.work()
    assert erase(world).state.value == "completed"
    assert Reason.NOTHING_CAME.words in str(mark(world, state="restored", handle=None))
    world.path.write_bytes(b"tap")
    answer = mark(world, state="restored", handle=None)
    assert "it has 3 bytes, and its copy 4" in str(answer)
    world.path.write_bytes(b"tape")
    assert mark(world, state="restored", handle=None)["state"] == "migrated"


def test_data_that_was_written_after_its_copy_cannot_be_marked_as_restored(world):
    order(world, ARCHIVE)
    world.work()
    world.path.write_bytes(b"new!")
    answer = mark(world, state="restored", handle=None)
    assert isinstance(answer, Refused)
    assert Reason.NOT_EMPTIED.words in str(answer)
    assert erase(world).state.value == "failed"
    assert world.path.read_bytes() == b"new!"


# -- what an order overrules


def test_a_late_mark_of_an_emptied_tape_does_not_hide_the_copy_that_has_its_data(world):
    world.send("NSK1", ARCHIVE, 1)
    world.work()
    ours = world.tape().handle
    assert erase(world, 2).state.value == "completed"
    assert mark(world, handle="NIGHTLY", size=4)["state"] == "erased"
    assert world.tape().handle == ours
    assert world.ledger.tx.copies.of_tape(str(world.path))[0].handle == "NIGHTLY"
    world.send("NSK1", "VTSPolicy Restore - P00001", 3)
    world.work()
    assert world.path.read_bytes() == b"tape"


def test_an_override_of_an_empty_tape_overrules_nothing(world):
    world.path.write_bytes(b"")
    told = order(world, ERASE, override="why not")
    world.work()
    request = world.ledger.tx.requests.get(told["request"])
    assert (request.state.value, Reason.EMPTY_ALREADY.words in request.reason) == (
        "completed",
        True,
    )
    assert world.tape() is None or world.tape().override is None


def test_an_override_empties_what_no_copy_proves_and_is_used_up(world):
    told = order(world, ERASE, override="tested by hand")
    world.work()
    assert world.ledger.tx.requests.get(told["request"]).state.value == "completed"
    assert world.path.read_bytes() == b""
    assert (world.tape().state, world.tape().override) == (TapeState.SCRATCH, None)
    causes = [line.cause for line in world.ledger.tx.history.about("tape /VAULT01/PAY/P00001")]
    assert any("tested by hand" in cause for cause in causes)
    world.path.write_bytes(b"new!")
    assert erase(world).state.value == "failed"
    assert world.path.read_bytes() == b"new!"


def test_an_override_belongs_to_its_order_alone(world):
    world.engine.queue.drain()
    world.send("NSK1", ERASE, 1)
    order(world, ERASE, override="tested by hand")
    world.engine.queue.resume()
    world.settle()
    world.work()
    by_host, by_operator = sorted(
        world.ledger.tx.requests.find(family="Erase"), key=lambda each: each.id
    )
    assert (by_host.host, by_host.state.value) == ("NSK1", "failed")
    assert by_operator.state.value == "completed"


def test_a_second_order_with_an_override_takes_no_other_orders_away(world):
    world.engine.queue.drain()
    first = order(world, ERASE, override="tested by hand")
    refused = order(world, "VTSPolicy Delete - P00001", override="tested again")
    assert isinstance(refused, Refused)
    assert f"of request {first['request']} has an override of it already" in str(refused)
    assert [each.id for each in world.ledger.tx.requests.find()] == [first["request"]]
    world.engine.queue.resume()
    world.settle()
    world.work()
    assert world.ledger.tx.requests.get(first["request"]).state.value == "completed"
    assert world.path.read_bytes() == b""


def test_the_reason_of_an_order_says_nothing_of_anothers_override(world):
    world.engine.queue.drain()
    world.send("NSK1", ERASE, 1)
    order(world, ERASE, override="tested by hand")
    world.path.write_bytes(b"data")
    world.engine.queue.resume()
    world.settle()
    world.work()
    by_host, by_operator = sorted(
        world.ledger.tx.requests.find(family="Erase"), key=lambda each: each.id
    )
    assert "an operator allowed" not in by_host.reason
    assert "it was written after that" in by_operator.reason


def test_an_override_can_be_given_again_after_it_was_withdrawn(world):
    world.engine.queue.drain()
    first = order(world, ERASE, override="tested by hand")
    said(world, world.operator.withdraw("P00001", ALICE))
    second = order(world, ERASE, override="tested again")
    world.engine.queue.resume()
    world.settle()
    world.work()
    one, other = (world.ledger.tx.requests.get(each["request"]) for each in (first, second))
    assert (one.state.value, other.state.value) == ("failed", "completed")
    assert "an operator allowed" not in one.reason
    assert world.path.read_bytes() == b""


def test_an_override_that_failed_is_ended_too(world):
    told = order(world, ERASE, override="tested by hand")
    assert told["jobs"] == 1
    world.path.write_bytes(b"")
    order(world, ARCHIVE)
    world.work()
    assert world.tape() is None or world.tape().override is None


@pytest.mark.parametrize("what", ["time", "write", "withdrawal"])
def test_an_override_ends_before_its_order_comes_to_its_turn(world, what):
    world.engine.queue.drain()
    order(world, ERASE, override="tested by hand")
    if what == "time":
        world.clock.pass_time(86401.0, 3600.0)
    elif what == "write":
        world.path.write_bytes(b"data")
    else:
        assert said(world, world.operator.withdraw("P00001", ALICE)) == {
            "tape": "/VAULT01/PAY/P00001"
        }
        assert "nothing is overruled" in str(said(world, world.operator.withdraw("P00001", ALICE)))
    before = world.path.read_bytes()
    world.engine.queue.resume()
    world.settle()
    world.work()
    assert world.ledger.tx.requests.find(family="Erase")[0].state.value == "failed"
    assert world.path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "wish", "problem"),
    [
        (ARCHIVE, {"override": "x"}, "nothing to overrule but for Erase, Delete and Restore"),
        (ERASE, {"copy": "H"}, "by a Restore only"),
        (ERASE, {"to": "/tmp/x"}, "by a Restore only"),
        ("VTSPolicy Erase - P00001 P00002", {"override": "x"}, "one tape at a time"),
        ("VTSPolicy Restore - P00001", {"to": "x"}, "not the whole path"),
    ],
)
def test_a_wish_that_a_command_cannot_have_is_refused(world, text, wish, problem):
    answer = order(world, text, **wish)
    assert isinstance(answer, Refused)
    assert problem in str(answer)
    assert world.ledger.tx.requests.find() == []


def test_no_file_is_written_into_a_vault_beside_its_tapes(world):
    answer = order(world, "VTSPolicy Restore - P00001", to=str(world.path.with_name("NEW")))
    assert isinstance(answer, Refused)
    assert "is in vault VAULT01" in str(answer)


# -- which copy


def two_copies(world):
    """Copies of two contents, of which the tape has neither."""
    for content in (b"old!", b"new!"):
        world.path.write_bytes(content)
        order(world, ARCHIVE)
        world.clock.pass_time(6.0)  # what was just written is left alone for a moment
        world.work()
    assert erase(world).state.value == "completed"
    return [copy.handle for copy in world.ledger.tx.copies.of_tape(str(world.path))]


def test_the_newest_content_comes_back_unless_an_operator_chooses(world):
    newest, oldest = two_copies(world)
    told = order(world, "VTSPolicy Restore - P00001", copy="H77")
    world.work()
    assert "it has no copy H77" in world.ledger.tx.requests.get(told["request"]).reason
    told = order(world, "VTSPolicy Restore - P00001", copy=oldest)
    world.work()
    assert world.ledger.tx.requests.get(told["request"]).state.value == "completed"
    assert world.path.read_bytes() == b"old!"
    assert world.tape().handle == oldest
    assert erase(world, 10).state.value == "completed"
    world.send("NSK1", "VTSPolicy Restore - P00001", 11)
    world.work()
    assert world.path.read_bytes() == b"old!"  # what was last on it
    assert newest != oldest
