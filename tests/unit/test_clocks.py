"""A clock that somebody sets: what waits, waits for as long as it was to."""

import pytest
from twisted.internet.base import ReactorBase

from vtspolicy.clocks import bear_steps


class Bare(ReactorBase):
    """A reactor without a loop: the test turns it."""

    def installWaker(self):
        pass


class Machine:
    def __init__(self):
        self.wall, self.steady = 1_000_000.0, 50.0
        self.reactor = Bare()
        bear_steps(self.reactor, wall=lambda: self.wall, steady=lambda: self.steady)

    def pass_time(self, seconds):
        self.wall += seconds
        self.steady += seconds
        self.reactor.runUntilCurrent()


@pytest.fixture
def machine():
    return Machine()


@pytest.mark.parametrize("step", [-3600.0, -2.0, -0.5, 0.0])
def test_what_waits_is_not_held_up_by_a_clock_that_is_set_back(machine, step):
    fired = []
    for seconds in (3.0, 1.0, 2.0):
        machine.reactor.callLater(seconds, fired.append, seconds)
    machine.reactor.callLater(1.5, fired.append, None).cancel()
    machine.pass_time(0.1)
    machine.wall += step
    machine.pass_time(0.3)
    machine.reactor.callLater(0.1, fired.append, 0.1)
    assert fired == []
    for _ in range(4):
        machine.pass_time(0.99)
    assert fired == [0.1, 1.0, 2.0, 3.0]


def test_a_reactor_that_was_about_to_sleep_by_the_old_times_is_woken(machine, monkeypatch):
    woken = []
    monkeypatch.setattr(machine.reactor, "wakeUp", lambda: woken.append(True))
    machine.reactor.callLater(1.0, list)
    machine.wall -= 3600.0
    machine.reactor.timeout()
    assert woken == [True]
    assert machine.reactor.timeout() == pytest.approx(1.0)


def test_a_small_correction_is_left_to_itself(machine):
    call = machine.reactor.callLater(5.0, list)
    before = call.getTime()
    machine.wall -= 0.5
    machine.pass_time(0.1)
    assert call.getTime() == before
    call.cancel()


def test_what_is_due_at_a_time_of_the_day_is_not_late_when_the_clock_is_put_forward(machine):
    fired = []
    machine.reactor.callLater(3600.0, fired.append, "20:00")
    machine.wall += 3600.0
    machine.pass_time(0.1)
    machine.pass_time(0.1)
    assert fired == ["20:00"]


def test_the_time_told_is_the_wall_clocks(machine):
    assert machine.reactor.seconds() == 1_000_000.0
    machine.wall -= 3600.0
    assert machine.reactor.seconds() == 1_000_000.0 - 3600.0
