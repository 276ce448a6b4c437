"""Why an operator gave an order: from `--reason` over the control socket into the history."""

import pytest

from tests.harness.cli_servers import Server
from tests.harness.cli_servers import Site as Files
from tests.harness.tape_faults import TapeSite, TapeWorld
from tests.harness.tape_orders import ALICE, ARCHIVE, ERASE, mark, order, said
from vtspolicy.cli.control import trust_clock
from vtspolicy.cli.tape_orders import delete, erase, migrate, restore, withdraw_override
from vtspolicy.cli.tape_orders import mark as mark_tape
from vtspolicy.control import VERBS

TAPE = "tape /VAULT01/PAY/P00001"
WHY = "ticket 4711"

WITHOUT_REASON = {
    "scan": "it changes nothing but what is known",
    "backup": "it changes nothing",
}
"""Verbs that take no reason, and why not."""


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


def causes(world, subject):
    return [line.cause for line in world.ledger.tx.history.about(subject)]


def test_every_order_takes_a_reason():
    without = {name for name, verb in VERBS.items() if "reason" not in verb.arguments}
    assert without == WITHOUT_REASON.keys()


@pytest.mark.parametrize(
    ("command", "given", "answer"),
    [
        (migrate, ["--application", "DSK", "A00017"], {"request": 1, "word": "ACCEPTED"}),
        (restore, ["A00017"], {"request": 1, "word": "ACCEPTED"}),
        (erase, ["A00017"], {"request": 1, "word": "ACCEPTED"}),
        (erase, ["A00017", "--override", "tested"], {"request": 1, "word": "ACCEPTED"}),
        (delete, ["A00017"], {"request": 1, "word": "ACCEPTED"}),
        (
            mark_tape,
            ["--application", "DSK", "restored", "A00017"],
            {"tape": "A00017", "state": "written"},
        ),
        (withdraw_override, ["A00017"], {"tape": "A00017"}),
        (trust_clock, [], {"at": "2026-11-22T02:14:31.000+00:00"}),
    ],
)
def test_an_order_at_the_command_line_sends_its_reason(tmp_path, command, given, answer):
    files = Files(tmp_path)
    server = Server(files.spool)
    try:
        server.answers += [(200, {"jobs": 1, **answer})] * 2
        code, told = files.run_json(command, *given, "--reason", WHY)
        assert (code, told.items() >= answer.items()) == (0, True)
        assert files.run(command, *given).exit_code == 0
        (_, with_reason), (_, without) = server.asked
    finally:
        server.close()
    assert with_reason == {**without, "reason": WHY}


@pytest.mark.parametrize(
    ("text", "state"),
    [(ARCHIVE, "open"), (ERASE, "open"), ("VTSPolicy BRG 'archive /VAULT01/PAY/P00001'", "norule")],
)
def test_an_order_keeps_its_reason_in_the_history_of_its_request(world, text, state):
    told = order(world, text, reason=WHY)
    (line,) = [
        line
        for line in world.ledger.tx.history.about(f"request {told['request']}")
        if line.cause == f"an operator asked for it: {WHY}"
    ]
    assert (line.actor, line.after) == (ALICE, state)


def test_a_rejected_order_keeps_its_reason_too(world):
    told = order(world, "VTSPolicy DSK 'archive /VAULT01/PAY/P00001", reason=WHY)
    assert told["word"] == "REJECTED"
    assert f"an operator asked for it: {WHY}" in causes(world, f"request {told['request']}")


def test_an_override_keeps_its_own_reason_beside_that_of_the_order(world):
    told = order(world, ERASE, override="tested by hand", reason=WHY)
    assert any("tested by hand" in cause for cause in causes(world, TAPE))
    assert f"an operator asked for it: {WHY}" in causes(world, f"request {told['request']}")


def test_an_order_without_a_reason_adds_no_line(world):
    told = order(world, ARCHIVE)
    assert not any("asked for it" in cause for cause in causes(world, f"request {told['request']}"))


def test_a_withdrawn_override_keeps_its_reason(world):
    world.engine.queue.drain()
    order(world, ERASE, override="tested by hand")
    said(world, world.operator.withdraw("P00001", ALICE, WHY))
    last = world.ledger.tx.history.about(TAPE)[-1]
    assert (last.actor, last.cause) == (ALICE, f"an operator asked for it: {WHY}")


def test_marks_keep_their_reasons(world):
    mark(world, reason=WHY)
    assert causes(world, TAPE)[-1] == f"migrated by DSK itself, handle H: {WHY}"
    order(world, ARCHIVE)
    world.work()
    order(world, ERASE)
    world.work()
    world.path.write_bytes(b"tape")
    mark(world, state="restored", handle=None, reason=WHY)
    assert causes(world, TAPE)[-1] == f"restored by DSK itself: {WHY}"
