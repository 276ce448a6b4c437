"""When a failed attempt is repeated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtspolicy.rules.retry import LONGEST, next_attempt
from vtspolicy.rules.work import Limits, Retry, Work


def due(attempt=1, end="failed", *, total=None, **retry):
    work = Work(application="DSK", run=("true",), retry=Retry(**retry), limits=Limits(total=total))
    return next_attempt(work, attempt=attempt, end=end, first_start=1000.0, now=2000.0)


def test_each_further_delay_is_so_many_times_longer():
    delays = [due(n, attempts=9, delay=60.0, backoff=2.0) for n in (1, 2, 3, 4)]
    assert delays == [2060.0, 2120.0, 2240.0, 2480.0]


@pytest.mark.parametrize("end", ["failed", "timeout", "lost"])
def test_only_the_ends_that_are_named_are_repeated(end):
    assert due(end=end, attempts=2, on=(end,)) == 2060.0
    others = tuple({"failed", "timeout", "lost"} - {end})
    assert due(end=end, attempts=2, on=others) is None


def test_there_are_no_more_attempts_than_the_rule_says():
    assert due(2, attempts=3) is not None
    assert due(3, attempts=3) is None


def test_what_would_begin_after_the_time_of_all_is_not_repeated():
    assert due(attempts=2, total=1060.1) == 2060.0
    assert due(attempts=2, total=1060.0) is None


@given(
    attempt=st.integers(1, 999),
    delay=st.floats(0, 30 * 86400.0),
    backoff=st.floats(1, 100),
)
def test_no_delay_grows_beyond_a_week_and_none_overflows(attempt, delay, backoff):
    at = due(attempt, attempts=1000, delay=delay, backoff=backoff)
    assert 2000.0 + delay <= at <= 2000.0 + max(delay, LONGEST)
