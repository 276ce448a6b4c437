"""Whether the clock can be believed: steps, sleep, restarts, and nothing that is lost by them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtspolicy.clock_trust import FINE, IDLE, NOT_YET, REMEMBERED, STEADY, STEP, ClockTrust, span
from vtspolicy.ledger import ClockRecords, History
from vtspolicy.testing.clock import MIDDAY
from vtspolicy.testing.ledger import MemoryLedger

HOUR = 3600.0
DAY = 86400.0
ALICE = "operator alice"


class Computer:
    """True time, a wall clock that is wrong by `error`, and what survives a server."""

    def __init__(self):
        self.true, self.error, self.started = MIDDAY, 0.0, MIDDAY - HOUR
        self.boots = 0
        self.ledger = MemoryLedger()
        self.unwritten = []  # changes that a kill would lose
        self.halts = []  # seconds that the process is halted at the next readings
        self.begin()

    def begin(self):
        self.trust = ClockTrust(wall=self.wall, boot=self.boot, boot_id=f"boot {self.boots}")
        kept = self.ledger.tx.clock.get()
        self.trust.on_change = self.unwritten.append
        self.trust.begin(kept.record, kept.newest)

    def wall(self):
        self.true += self.halts.pop() if self.halts else 0.0
        return self.true + self.error

    def boot(self):
        return self.true - self.started

    def write(self):
        """Put on the disk what was asked for."""
        for change in self.unwritten:
            self.ledger.write(ClockRecords.keep, change)
        self.unwritten.clear()

    def record(self):
        """Do what leaves a time in the ledger, behind all that was to be written before it."""
        self.write()
        at = self.wall()
        self.ledger.write(History.add, "x", None, "y", cause="", actor="engine", at=at)

    def restart(self):
        self.write()
        self.kill()

    def kill(self):
        self.unwritten.clear()
        self.begin()

    def reboot(self, off=60.0, error=None):
        self.write()
        self.true += off
        self.started, self.boots = self.true - 5.0, self.boots + 1
        self.error = self.error if error is None else error
        self.begin()


@pytest.fixture
def computer():
    computer = Computer()
    yield computer
    computer.ledger.destroy()


def test_a_clock_is_not_believed_before_it_is_looked_at():
    trust = ClockTrust(wall=lambda: MIDDAY, boot=lambda: 0.0, boot_id="x")
    assert trust.check() == NOT_YET
    assert trust.time == 0.0


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (60.0, None),
        (-60.0, None),
        (61.0, "it was set forward by 61 s"),
        (-61.0, "it was set back by 61 s"),
        (3600.0, "it was set forward by 60 minutes"),
        (-5400.0, "it was set back by 90 minutes"),
        (200 * DAY, "it was set forward by 200 days"),
    ],
)
def test_a_step_of_more_than_a_minute_is_not_believed(computer, step, reason):
    computer.true += HOUR
    computer.error = step
    assert computer.trust.check() == reason


def test_the_time_of_a_clock_that_is_not_believed_stays_where_it_was(computer):
    computer.trust.check()
    before = computer.trust.time
    computer.error = 200 * DAY
    computer.trust.check()
    assert computer.trust.time == before == MIDDAY


def test_steps_that_add_up_within_a_day_are_not_believed(computer):
    for _ in range(3):
        computer.true += 7 * HOUR
        computer.error += 20.0
        assert computer.trust.check() is None
    computer.true += HOUR
    computer.error += 1.0
    reason = "it was set several times within a day, by 61 s in all"
    assert computer.trust.check() == reason


def test_steps_that_add_up_across_a_restart_are_not_believed(computer):
    computer.error += 40.0
    assert computer.trust.check() is None
    computer.restart()
    computer.error += 40.0
    assert computer.trust.check() is not None


def test_a_drift_of_less_than_a_minute_a_day_is_believed_for_ever(computer):
    for _ in range(30 * 24):
        computer.true += HOUR
        computer.error += 43.2 / 24  # 500 ppm: as fast as NTP slews
        assert computer.trust.check() is None
    assert computer.trust.time == computer.wall()


def test_sleep_and_a_process_that_is_halted_are_no_steps(computer):
    computer.true += 3 * DAY  # CLOCK_BOOTTIME counts it
    assert computer.trust.check() is None
    computer.halts = [0.0, 300.0]
    assert computer.trust.check() is None


def test_a_step_forth_and_back_takes_a_steady_day_from_the_second_one(computer):
    computer.error = 200 * DAY
    computer.trust.check()
    computer.true += HOUR
    computer.error = 0.0
    reason = "it was set forward by 200 days, set back by 200 days since then"
    assert computer.trust.check() == reason
    assert computer.trust.since == MIDDAY  # as the clock has it now
    assert computer.trust.until == MIDDAY + HOUR + DAY
    computer.true += DAY - 1
    assert computer.trust.check() == reason
    computer.true += 1
    assert computer.trust.check() is None
    assert computer.trust.time == computer.wall()


def test_a_steady_day_continues_across_restarts_and_begins_again_with_the_machine(computer):
    computer.error = -HOUR
    computer.trust.check()
    computer.true += DAY / 2
    computer.restart()
    assert computer.trust.check() is not None
    computer.true += DAY / 4
    computer.reboot()
    computer.true += DAY - 10
    assert computer.trust.check() is not None
    computer.restart()
    computer.true += 10
    assert computer.trust.check() is None


def test_a_doubt_of_which_the_ledger_knows_nothing_yet_is_found_again(computer):
    computer.write()
    computer.error = 200 * DAY
    assert computer.trust.check() is not None
    computer.kill()
    assert computer.trust.check() == "it was set forward by 200 days"


def test_an_operator_believes_the_clock_as_it_is_and_not_its_next_step(computer):
    computer.error = HOUR
    computer.trust.check()
    computer.error = 0.0  # put right, and not looked at since
    assert computer.trust.restore(ALICE)
    assert computer.trust.check() is None
    assert [(each.trusted, each.actor) for each in computer.unwritten if each.cause] == [
        (False, "engine"),
        (False, "engine"),
        (True, ALICE),
    ]
    assert not computer.trust.restore(ALICE)
    computer.error = HOUR
    assert computer.trust.check() == "it was set forward by 60 minutes"


def test_a_clock_behind_the_ledger_at_the_start_is_not_believed(computer):
    computer.record()
    computer.reboot(error=-50.0, off=0.0)
    assert computer.trust.check() is None
    computer.reboot(error=-3 * DAY, off=0.0)
    assert computer.trust.check() == "it is 3 days behind the ledger's newest entry"


def test_entries_of_a_wrong_clock_are_no_reason_to_doubt_it_for_ever(computer):
    computer.error = 200 * DAY
    computer.trust.check()
    computer.record()
    computer.error = 0.0
    computer.trust.restore(ALICE)
    computer.reboot()
    assert computer.trust.check() is None
    computer.record()
    computer.reboot(error=-DAY)
    assert computer.trust.check() is not None


def test_a_month_without_a_server_is_believed_after_a_steady_day(computer):
    computer.record()
    computer.reboot(off=30 * DAY)
    assert computer.trust.check() is None
    assert computer.trust.time == MIDDAY
    assert computer.trust.held_back == 30 * DAY
    computer.true += HOUR
    computer.restart()
    computer.trust.check()
    assert computer.trust.time == MIDDAY + HOUR
    computer.true += DAY - HOUR
    computer.trust.check()
    assert computer.trust.time == computer.wall()
    assert computer.trust.held_back is None


def test_a_clock_that_was_held_back_leaves_no_proof_in_the_ledger(computer):
    computer.record()
    computer.reboot(error=200 * DAY)
    computer.true += HOUR
    computer.record()  # by a clock that was wrong since the machine was started
    computer.reboot()
    assert computer.trust.check() is None
    assert computer.trust.time == MIDDAY


def test_a_ledger_that_is_idle_for_less_than_a_day_holds_nothing_back(computer):
    computer.record()
    computer.reboot(off=DAY - 1)
    assert computer.trust.check() is None
    assert computer.trust.held_back is None


def test_an_operator_can_believe_such_a_month_at_once(computer):
    computer.record()
    computer.reboot(off=30 * DAY)
    assert computer.trust.restore(ALICE)
    computer.trust.check()
    assert computer.trust.time == computer.wall()


def test_a_new_ledger_holds_nothing_back(computer):
    assert computer.trust.check() is None
    assert computer.trust.time == MIDDAY


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(61.0, "61 s"), (150.0, "2.5 minutes"), (7200.0, "2 hours"), (200 * DAY, "200 days")],
)
def test_spans_are_reported_in_words(seconds, text):
    assert span(seconds) == text


def test_times_of_a_clock_that_was_doubted_are_spared(computer):
    computer.true += HOUR / 2
    computer.error = -200 * DAY
    computer.trust.check()
    first = computer.wall()
    computer.true += HOUR
    computer.restart()
    computer.error = 0.0
    computer.trust.check()
    right, over = computer.wall(), computer.wall() + DAY
    computer.true += DAY
    assert computer.trust.check() is None
    computer.restart()
    spared = computer.trust.spared(over - 1)
    for moment in (first, first + HOUR, right, right + DAY):
        assert any(begin <= moment <= end for begin, end in spared)
    for moment in (first - HOUR, first + 2 * DAY, right - HOUR):
        assert not any(begin <= moment <= end for begin, end in spared)
    assert computer.trust.spared(over) == ()


def test_so_many_doubtful_times_are_remembered_and_no_more(computer):
    for step in range(REMEMBERED + 100):
        computer.error = (-1) ** step * (step + 1) * DAY
        computer.trust.check()
    computer.trust.restore(ALICE)
    assert len(computer.trust.spared(0.0)) == REMEMBERED


PASSES = st.one_of(st.floats(0, 300), st.sampled_from([HOUR, DAY / 2, DAY - 10, DAY, 3 * DAY]))
STEPS = st.one_of(
    st.floats(-STEP, STEP), st.floats(-400 * DAY, 400 * DAY), st.sampled_from([61.0, -61.0])
)
THINGS = st.one_of(
    st.tuples(st.just("pass_"), PASSES),
    st.tuples(st.just("step"), STEPS),
    st.tuples(st.just("undo"), st.just(0.0)),
    st.tuples(st.just("drift"), st.floats(-20, 20)),
    st.tuples(st.sampled_from(["restart", "kill", "record", "trust"]), st.just(0.0)),
    st.tuples(st.just("reboot"), st.one_of(st.just(0.0), STEPS)),
)


class Witness:
    """Makes things happen to a computer, and knows what may be believed then."""

    def __init__(self, computer):
        self.computer = computer
        self.undoes = 0.0  # the step that undoes the last one
        self.begin_anew()

    def begin_anew(self):
        """What the clock says now is right: there is nothing else, or a person says so."""
        self.right = self.computer.error  # the error that is no fault of ours
        self.slack = STEP + 2 * FINE  # by which the record of a killed server may be older
        self.doubted = False
        self.booted = False  # since then
        self.watch_anew()

    def watch_anew(self):
        self.errors = [(self.computer.boot(), self.computer.error)]

    def look(self):
        """An act: it may be done, by that time, or it may not."""
        computer = self.computer
        boot, error = computer.boot(), computer.error
        reason = computer.trust.check()
        if abs(error - self.errors[-1][1]) > STEP:
            self.errors.clear()
        elif max(abs(error - each) for _, each in self.errors) > STEP:
            self.errors = self.errors[-1:]
        self.errors.append((boot, error))
        if reason is not None:
            self.doubted = True
            return
        if boot - self.errors[0][0] >= STEADY:
            self.begin_anew()
        assert not self.doubted
        assert computer.trust.time <= computer.true + self.right + self.slack
        assert computer.trust.time <= computer.wall()
        if not self.booted:
            assert abs(error - self.right) <= self.slack

    # What can happen

    def pass_(self, seconds):
        self.computer.true += seconds

    def drift(self, seconds):
        self.computer.true += HOUR
        self.computer.error += seconds
        self.undoes -= seconds

    def step(self, seconds):
        self.computer.error += seconds
        self.undoes = -seconds

    def undo(self, _):
        self.computer.error += self.undoes
        self.undoes = -self.undoes

    def trust(self, _):
        self.computer.trust.restore(ALICE)
        self.begin_anew()

    def record(self, _):
        self.look()  # a server looks every five seconds
        self.computer.record()

    def reboot(self, step):
        self.look()
        self.computer.reboot(error=self.computer.error + step)
        self.booted = True
        self.slack += IDLE
        self.watch_anew()

    def restart(self, _):
        self.computer.restart()

    def kill(self, _):
        """What the server saw last may be lost; nothing that cannot be undone is behind it."""
        self.computer.kill()
        self.doubted = self.computer.trust.reason is not None


@settings(max_examples=400)
@given(st.lists(THINGS, max_size=40))
def test_nothing_is_done_by_a_clock_that_nobody_could_have_trusted(things):
    computer = Computer()
    computer.record()
    witness = Witness(computer)
    for what, value in things:
        getattr(witness, what)(value)
        witness.look()
        if computer.trust.reason is None:
            computer.write()  # an act is behind it in the ledger
    computer.ledger.destroy()
