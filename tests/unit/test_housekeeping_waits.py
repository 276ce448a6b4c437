"""Housekeeping while the clock is not trusted: none of its three steps is begun."""

from types import SimpleNamespace

import pytest
from twisted.internet.defer import Deferred, succeed

from vtspolicy.service import Service
from vtspolicy.testing.clock import TestClock

FORGETTING = 2
"""Steps in which old requests are forgotten, if the clock is trusted all the while."""


class Trust:
    """A clock that is trusted for so many steps of housekeeping."""

    time = 1e9

    def __init__(self, steps):
        self.left = steps

    def check(self):
        return None if self.left > 0 else "it was set forward by 200 days"

    def step(self):
        self.left -= 1


def done(steps):
    """What housekeeping does when the clock is trusted until so many steps were made."""
    trust, made, clock = Trust(steps), [], TestClock()

    def note(what, result=None):
        made.append(what)
        trust.step()
        return succeed(result)

    forgets = iter([1] * FORGETTING + [0])
    engine = SimpleNamespace(
        clock_trust=trust,
        threads=lambda *_: note("runs"),
        runner=SimpleNamespace(sweep=None),
    )
    service = SimpleNamespace(
        engine=engine,
        reactor=clock,
        _expire_notices=lambda _: note("notices"),
        _forget_some=lambda _: note("requests", next(forgets)),
    )
    ended = Deferred.fromCoroutine(Service.housekeeping(service))
    clock.pass_time(1.0, 0.1)
    assert ended.called
    return made


ALL = ["notices", *["requests"] * (FORGETTING + 1), "runs"]


@pytest.mark.parametrize("steps", range(len(ALL) + 1))
def test_no_step_is_begun_after_the_clock_was_set(steps):
    assert done(steps) == ALL[:steps]
