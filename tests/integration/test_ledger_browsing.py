"""Who browses the ledger holds up neither the engine's questions nor the end of the server."""

import threading
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from tests.harness.ledger_files import TIMEOUT, Pump
from vtspolicy.ledger import LedgerError, QuestionTooLong, RequestRecords
from vtspolicy.ledger.sqlite import SqliteLedger
from vtspolicy.ledger.sqlite import ledger as served
from vtspolicy.testing.ledger import an_intake

ENDLESS = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"


@pytest.fixture
def pump():
    return Pump()


@pytest.fixture
def opening(pump, tmp_path):
    opened = []

    def open_one():
        ledger = SqliteLedger(tmp_path / "ledger.db", pump)
        pump.ask(Deferred.fromCoroutine(ledger.open()))
        opened.append(ledger)
        return ledger

    yield open_one
    for ledger in opened:
        pump.ask(Deferred.fromCoroutine(ledger.close()))


def endless(tx):
    return tx.sql.connection.execute(ENDLESS).fetchone()


def test_what_is_asked_by_others_does_not_hold_up_what_the_engine_asks(pump, opening):
    ledger, go_on = opening(), threading.Event()
    asked = ledger.browse(lambda _tx: go_on.wait(TIMEOUT))
    try:
        pump.ask(ledger.write(RequestRecords.record, an_intake(1)))
        assert len(pump.ask(ledger.read(RequestRecords.find))) == 1
        assert not asked.called
    finally:
        go_on.set()
    assert pump.ask(asked) is True
    assert len(pump.ask(ledger.browse(RequestRecords.find))) == 1


def test_a_question_that_takes_too_long_is_given_up_and_the_next_one_is_answered(
    pump, opening, monkeypatch
):
    monkeypatch.setattr(served, "TIMEOUT", 0.05)
    ledger = opening()
    with pytest.raises(QuestionTooLong, match=r"searched for 0\.05 s"):
        pump.ask(ledger.browse(endless))
    assert pump.ask(ledger.browse(RequestRecords.find)) == []


def test_a_question_under_way_does_not_hold_up_the_end(pump, opening, monkeypatch):
    monkeypatch.setattr(served, "TIMEOUT", 10 * TIMEOUT)
    ledger, begun = opening(), threading.Event()

    def look(tx):
        begun.set()
        return endless(tx)

    asked = [ledger.browse(look), ledger.browse(look)]
    assert begun.wait(TIMEOUT)
    pump.ask(Deferred.fromCoroutine(ledger.close()))
    for each in asked:
        with pytest.raises(LedgerError):
            pump.ask(each)


def test_nothing_is_opened_for_others_before_they_ask(pump, opening, tmp_path):
    ledger = opening()
    pump.ask(ledger.read(RequestRecords.find))

    def opened():
        there = [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.exists()]
        return there.count(str(tmp_path / "ledger.db"))

    before = opened()
    pump.ask(ledger.browse(RequestRecords.find))
    assert opened() == before + 1
