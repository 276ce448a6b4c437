"""What a watched run knows in each state of its life, and what cannot happen to it."""

import pytest
from automat import NoTransition
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from vtspolicy.runner.identity import Process
from vtspolicy.runner.protocol import End, Ended, Run
from vtspolicy.runner.run_life import TRANSITIONS, RunCore, RunData, RunLife, RunState, life
from vtspolicy.runner.watched import Watched

LEADER = Process(4711, 99)
ENDED = Ended(key="1-1", kind=End.SIGNALLED, signal=9)


def watched():
    return Watched(Run(key="1-1", argv=("true",)), Deferred())


def known(run):
    return run.asked_at, run.leader, run.over


def test_a_run_that_is_sought_knows_nothing():
    assert known(watched()) == (None, None, None)


def test_a_run_that_was_asked_for_knows_since_when():
    run = watched()
    run.ask(5.0)
    run.ask(7.0)  # another keeper
    assert known(run) == (7.0, None, None)


def test_a_run_that_was_claimed_before_is_sought():
    run = watched()
    run.ask(5.0)
    run.claim()
    assert known(run) == (None, None, None)


def test_a_run_that_has_begun_knows_its_leader_and_no_longer_when_it_was_asked_for():
    run = watched()
    run.ask(5.0)
    run.know(LEADER, 1.0, None)
    assert known(run) == (None, LEADER, None)


def test_a_claim_that_comes_late_leaves_the_leader_known():
    run = watched()
    run.know(LEADER, 1.0, None)
    run.claim()
    assert run.leader == LEADER


def test_a_run_whose_leader_has_ended_knows_both():
    run = watched()
    run.know(LEADER, 1.0, None)
    run.hold(True)
    run.leave(ENDED)
    assert known(run) == (None, LEADER, ENDED)
    assert run.held


def test_a_second_end_of_the_leader_takes_the_place_of_the_first():
    run = watched()
    run.know(LEADER, 1.0, None)
    run.leave(ENDED)
    lost = Ended(key="1-1", kind=End.LOST)
    run.leave(lost)
    assert run.over == lost


def test_a_run_without_a_known_leader_has_none_that_ends():
    with pytest.raises(ValueError, match="no process of 1-1"):
        watched().leave(ENDED)


def test_only_a_run_whose_leader_is_known_is_held():
    run = watched()
    run.hold(True)
    assert not run.held


def test_a_run_that_is_over_knows_nothing_more():
    run = watched()
    run.know(LEADER, 1.0, None)
    run.finish()
    assert known(run) == (None, None, None)


@pytest.mark.parametrize("happening", ["ask", "begin", "claim", "leave", "finish"])
def test_nothing_happens_to_a_run_that_is_over(happening):
    run = life(RunCore())
    run.finish(RunData())
    with pytest.raises(NoTransition):
        getattr(run, happening)(RunData())


@given(st.lists(st.sampled_from([RunLife.ask, RunLife.claim, RunLife.begin, RunLife.leave])))
def test_a_run_follows_the_table_and_has_the_data_that_it_was_given(happenings):
    core, table = RunCore(), {(before, what): after for before, what, after in TRANSITIONS}
    run, state = life(core), RunState.SOUGHT
    for what in happenings:
        data, after = RunData(), table.get((state, what))
        if after is None:
            with pytest.raises(NoTransition):
                getattr(run, what.__name__)(data)
            continue
        getattr(run, what.__name__)(data)
        state = after
        assert (core.state, core.data) == (state, data)
