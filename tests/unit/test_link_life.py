"""The life of a link to a host: what may follow, how long it waits, and when it stops."""

import pytest
from automat import NoTransition
from hypothesis import given
from hypothesis import strategies as st

from vtspolicy.links.life import (
    LONGEST,
    MOST_REFUSALS,
    REFUSED_WAIT,
    SHORTEST,
    STEADY,
    TRANSITIONS,
    Cause,
    Link,
    LinkState,
    back_off,
    life,
)

HAPPENINGS = ("dial", "connect", "log_on", "start", "lose", "wait", "stop")


@pytest.mark.parametrize("state", LinkState)
@pytest.mark.parametrize("happening", HAPPENINGS)
def test_only_what_the_table_has_can_happen(state, happening):
    after = [row[2] for row in TRANSITIONS if row[0] is state and row[1].__name__ == happening]
    assert len(after) <= 1
    if after:
        assert getattr(life(state), happening)() is after[0]
    else:
        with pytest.raises(NoTransition):
            getattr(life(state), happening)()


def reading(now=0.0, **more):
    return Link(since=now, **more).dialled(now).connected(now).logged_on(now).started(now)


def test_a_link_goes_from_idle_to_reading():
    link = Link(since=1.0)
    states = [link.state]
    for step in ("dialled", "connected", "logged_on", "started"):
        link = getattr(link, step)(2.0)
        states.append(link.state)
    assert states == [
        *(LinkState.IDLE, LinkState.CONNECTING, LinkState.LOGGING_ON),
        *(LinkState.STARTING, LinkState.READING),
    ]
    assert link.since == 2.0


def test_the_wait_doubles_from_a_second_to_five_minutes():
    assert [back_off(n, Cause.UNREACHABLE, 0.0) for n in range(1, 11)] == [
        *(1, 2, 4, 8, 16, 32, 64, 128, 150, 150),
    ]
    assert [back_off(n, Cause.UNREACHABLE, 1.0) for n in range(1, 11)] == [
        *(2, 4, 8, 16, 32, 64, 128, 256, 300, 300),
    ]


@given(st.integers(0, 10**9), st.sampled_from(Cause), st.floats(0, 1))
def test_every_wait_is_within_its_bounds(failures, cause, chance):
    wait = back_off(failures, cause, chance)
    assert wait >= SHORTEST
    if cause is Cause.REFUSED:
        assert wait >= REFUSED_WAIT
    else:
        assert wait <= LONGEST


def test_a_lost_link_waits_and_is_dialled_again():
    link = reading().lost(10.0, Cause.ENDED, "closed by the host").put_off(10.0, 1.0)
    assert (link.state, link.due, link.failures) == (LinkState.WAITING, 12.0, 1)
    assert (link.cause, link.error) == (Cause.ENDED, "closed by the host")
    again = link.dialled(12.0)
    assert (again.state, again.due, again.failures) == (LinkState.CONNECTING, None, 1)


def test_failures_count_until_the_link_has_been_steady():
    link, now = Link(since=0.0), 0.0
    waits = []
    for _ in range(4):  # a host that lets us in and throws us out at once
        link = link.dialled(now).connected(now).logged_on(now).started(now)
        link = link.lost(now + STEADY - 1, Cause.ENDED)
        link = link.put_off(now, 1.0)
        waits.append(link.due - now)
        now = link.due
    assert waits == [2, 4, 8, 16]
    link = link.dialled(now).connected(now).logged_on(now).started(now)
    link = link.lost(now + STEADY, Cause.ENDED).put_off(now, 1.0)
    assert link.due - now == 2


def refused(link, now):
    return link.dialled(now).connected(now).lost(now, Cause.REFUSED, "no").put_off(now, 0.0)


def test_a_refused_link_waits_five_minutes_and_stops_before_an_account_is_frozen():
    link = refused(Link(since=0.0), 0.0)
    assert (link.state, link.due) == (LinkState.WAITING, 300.0)
    link = refused(link, 300.0)
    assert (link.state, link.due) == (LinkState.STOPPED, None)
    assert link.refusals == MOST_REFUSALS == 2


@given(st.lists(st.sampled_from([*Cause]), max_size=40))
def test_no_order_of_failures_gives_one_password_to_a_host_three_times(causes):
    link, now, wrong = Link(since=0.0), 0.0, 0
    for cause in causes:
        if link.state is LinkState.STOPPED:
            break
        link = link.dialled(now).connected(now)
        wrong += cause is Cause.REFUSED
        link = link.lost(now, cause).put_off(now, 0.5)
        now += 1000.0
    assert wrong <= 2


def test_a_new_password_is_tried_and_an_accepted_one_clears_the_count():
    link = refused(Link(since=0.0), 0.0)
    assert refused(link.given_secret(), 300.0).state is LinkState.WAITING
    assert link.dialled(1.0).connected(1.0).logged_on(1.0).refusals == 0


def test_a_restart_dials_at_once_and_is_no_failure():
    link = reading().lost(1.0, Cause.RESTARTED)
    assert link.failures == 0
    assert link.dialled(1.0).state is LinkState.CONNECTING
    assert reading().stopped(5.0).dialled(6.0).state is LinkState.CONNECTING


def test_the_last_event_outlives_the_link():
    link = reading().shown(7.0).lost(8.0, Cause.SILENT).put_off(8.0, 0.0)
    assert link.last_event == 7.0
