"""Groups of operations: who goes in, in which order, and what if one cannot be written."""

import pytest
from twisted.internet.defer import Deferred

from vtspolicy.ledger import LedgerError
from vtspolicy.ledger import groups as module
from vtspolicy.ledger.groups import FIRST_DELAY, LAST_DELAY, LONGEST, Groups, Waiting


def waiting(number):
    operation = Waiting(lambda _tx: number)
    operation.deferred.addErrback(lambda failure: failure.value)
    return operation


def run(groups, spent=0.0):
    """Run what is due, as a turn does; returns the answers."""
    answers = []
    while (operation := groups.next(spent)) is not None:
        operation.work(None)
        answers.append(operation.answer)
        groups.went()
    return answers


@pytest.fixture
def groups():
    groups = Groups()
    for number in range(3):
        groups.add(waiting(number))
    groups.begin()
    return groups


def test_what_waits_goes_into_the_group_in_its_order(groups):
    assert groups.is_empty
    assert run(groups) == [0, 1, 2]
    assert (groups.backlog, groups.waits) == (3, False)
    assert [each.answer for each in groups.done()] == [0, 1, 2]
    assert groups.backlog == 0


def test_a_group_that_is_run_again_begins_with_its_first(groups):
    assert run(groups) == [0, 1, 2]
    groups.begin()
    groups.add(waiting(3))
    assert run(groups) == [0, 1, 2, 3]


def test_a_group_whose_flush_was_tried_takes_no_more_in(groups):
    run(groups)
    groups.is_flushed = True
    groups.add(waiting(3))
    groups.begin()
    assert run(groups) == [0, 1, 2]
    groups.done()
    groups.begin()
    assert run(groups) == [3]


def test_a_group_is_bounded_by_number(groups, monkeypatch):
    monkeypatch.setattr(module, "MOST", 2)
    assert run(groups) == [0, 1]
    assert groups.waits


def test_a_group_is_bounded_by_the_time_that_it_takes(groups):
    first = groups.next()
    first.work(None)
    groups.went()
    groups.pause(LONGEST / 2)
    assert groups.next(LONGEST / 4) is not None
    groups.went()
    assert groups.next(LONGEST / 2) is None
    assert groups.backlog == 3


def test_operations_are_set_apart_until_their_group_is_done(groups):
    run(groups)
    groups.set_apart()
    groups.begin()
    assert groups.is_apart
    assert run(groups) == [0, 1, 2]
    groups.done()
    assert not groups.is_apart


def test_the_pauses_between_tries_grow_up_to_a_limit_and_begin_anew(groups):
    pauses = [groups.again() for _ in range(10)]
    assert pauses[:3] == [FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY]
    assert pauses[-1] == LAST_DELAY
    groups.done()
    assert groups.again() == FIRST_DELAY


def test_what_is_given_up_fails_whether_it_was_in_the_group_or_waited(groups):
    groups.next()
    failed = groups.give_up(LedgerError("closed in trouble"))
    assert len(failed) == 3
    for operation in failed:
        operation.fire()
        assert isinstance(operation.deferred.result, LedgerError)
    assert groups.backlog == 0


def test_an_operation_that_ran_again_after_a_failure_answers_what_came_then():
    operation = Waiting(lambda tx: tx)
    operation.fail(KeyError())
    operation.work("done")
    got = []
    operation.deferred.addCallback(got.append)
    operation.fire()
    assert got == ["done"]
    assert isinstance(operation.deferred, Deferred)
