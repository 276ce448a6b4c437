"""The server keeps house: what is old is removed, counted and reported; not by a wrong clock."""

from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.logger import globalLogPublisher

from tests.harness.engine_worlds import Site, World, give, now_at_once
from vtspolicy.clock_trust import ClockTrust
from vtspolicy.clocks import bear_steps
from vtspolicy.engine.assembly import assemble, assemble_operator
from vtspolicy.engine.policy import PolicyInForce
from vtspolicy.hosts.certificates import Validity
from vtspolicy.jobs import JobState
from vtspolicy.ledger import History, NoticeRecords
from vtspolicy.notices import Notice, Word
from vtspolicy.records import moment
from vtspolicy.service import HOUSEKEEPING, RUNS_KEPT, Service
from vtspolicy.testing.runner import FakeRunner

DAY = 86400.0
ORDER = "VTSPolicy DSK 'archive /VAULT01/OLD/O00000'"


class SteeredClock:
    """The clock of a world, and how to set it wrong and right: waits keep their length."""

    def __init__(self, clock):
        self.clock = clock
        self.set_by = 0.0
        self.boot_id = "this one"
        clock.wakeUp = lambda: None
        bear_steps(clock, wall=lambda: clock.rightNow, steady=self.steady)

    def steady(self):
        return self.clock.rightNow - self.set_by

    def set(self, seconds):
        self.set_by += seconds
        self.clock.rightNow += seconds
        self.clock.seconds()


class Still:
    """A session that never is done with what its host has sent."""

    is_busy = True

    def __init__(self, sessions):
        self.close = sessions.clear

    def hold(self):
        """It reads nothing."""


@pytest.fixture(scope="module")
def site():
    site = Site()
    yield site
    site.remove()


@pytest.fixture
def world(site):
    world = World(site)
    yield world
    world.close()


@pytest.fixture
def told():
    events = []
    globalLogPublisher.addObserver(events.append)
    yield lambda action: [each for each in events if each.get("action") == action]
    globalLogPublisher.removeObserver(events.append)


@pytest.fixture
def serve(world, monkeypatch):
    """Begin a server on what the world has, without sockets; end the one before, if any."""
    services = []
    control = SimpleNamespace(close=lambda: succeed(None), is_lost=False)
    monkeypatch.setattr("vtspolicy.service.ControlSocket.open", lambda *_: control)

    def end():
        while services:
            Deferred.fromCoroutine(services.pop().stop())
            world.clock.pass_time(10.0, 0.1)

    def begin(clock=None, steady=None):
        end()
        world.kill()
        world.ledger.dead = False
        service = Service(reactor=world.clock, policy=world.site.reader, reread=None)
        service.ledger = world.ledger
        service.engine = assemble(
            clock=world.clock,
            policy=PolicyInForce(world.site.reader),
            ledger=world.ledger,
            runner=FakeRunner(world.clock, world.site.root / "spool", world.machine),
            metrics=service.metrics,
            threads=now_at_once,
            steady=steady,
            trust=clock
            and ClockTrust(wall=world.clock.seconds, boot=clock.steady, boot_id=clock.boot_id),
        )
        service.operator = assemble_operator(
            service.engine, sessions=service.sessions, reread=service.reread
        )
        services.append(service)
        started = Deferred.fromCoroutine(service.start())
        world.settle()
        assert started.called
        assert started.result is None
        return service

    yield begin
    end()
    assert world.clock.getDelayedCalls() == []


def missed(world, host="NSK1", count=1):
    for request in range(count):
        notice = Notice(
            word=Word.COMPLETED,
            host=host,
            fields={"req": 100 + request},
            created=world.clock.seconds(),
        )
        world.ledger.write(NoticeRecords.add, notice)


def trusted(service):
    return service.metrics.registry.get_sample_value("vtspolicy_clock_trusted")


def expired(service, host):
    labels = {"host": host}
    return service.metrics.registry.get_sample_value("vtspolicy_notices_expired_total", labels)


def test_notices_that_nobody_took_expire_and_are_counted_and_told_by_host(world, serve, told):
    missed(world, "NSK1", 3)
    missed(world, "NSK2")
    missed(world, "ONCE", 2)
    world.clock.rightNow += 5 * DAY
    missed(world, "NSK2")
    world.clock.rightNow += 3 * DAY
    service = serve()
    world.clock.pass_time(HOUSEKEEPING + 1)
    left = [len(world.ledger.tx.notices.pending(host)) for host in ("NSK1", "NSK2", "ONCE")]
    assert left == [0, 1, 0]
    warnings = {each["host"]: each["count"] for each in told("notices_expired")}
    assert warnings == {"NSK1": 3, "NSK2": 1, "ONCE": 2}
    # A host that is in the configuration no more is no value of a label.
    assert [expired(service, host) for host in ("NSK1", "NSK2", "ONCE", "")] == [3, 1, None, 2]


def test_what_expires_later_is_found_by_a_later_round(world, serve, told):
    service = serve()
    missed(world)
    world.clock.pass_time(HOUSEKEEPING + 1)
    world.clock.pass_time(7 * DAY - HOUSEKEEPING - 100, DAY / 4)
    assert expired(service, "NSK1") == 0
    world.clock.pass_time(100 + HOUSEKEEPING, 10)
    assert expired(service, "NSK1") == 1
    assert len(told("notices_expired")) == 1


def test_a_clock_that_is_wrong_at_the_start_costs_no_notice(world, serve, told):
    missed(world)
    clock = SteeredClock(world.clock)
    clock.boot_id = "another"
    clock.set(8 * DAY)
    serve(clock)
    world.clock.pass_time(10 * HOUSEKEEPING, 10)
    clock.set(-8 * DAY)  # the time server was found at last
    world.clock.pass_time(10 * HOUSEKEEPING, 10)
    assert len(world.ledger.tx.notices.pending("NSK1")) == 1
    assert told("notices_expired") == []
    world.clock.pass_time(7 * DAY, DAY / 4)
    assert world.ledger.tx.notices.pending("NSK1") == []


def test_a_month_in_which_no_server_ran_is_believed_after_a_steady_day(world, serve, told):
    missed(world)
    clock = SteeredClock(world.clock)
    clock.boot_id = "another"
    clock.set(31 * DAY)
    serve(clock)
    assert len(told("clock_held_back")) == 1
    world.clock.pass_time(DAY - 100, 100)
    assert len(world.ledger.tx.notices.pending("NSK1")) == 1
    world.clock.pass_time(200 + HOUSEKEEPING, 10)
    assert world.ledger.tx.notices.pending("NSK1") == []


def test_a_clock_that_jumps_ahead_for_a_while_forgets_nothing(world, serve, told):
    world.send("NSK1", ORDER)
    world.runner.exit(world.machine.running[0].run.key)
    world.clock.pass_time(10.0)
    world.acknowledge("NSK1")
    missed(world)
    clock = SteeredClock(world.clock)
    service = serve(clock)
    world.clock.pass_time(10 * HOUSEKEEPING, 10)
    for step in (200 * DAY, -200 * DAY):
        clock.set(step)
        world.clock.pass_time(3 * HOUSEKEEPING, 10)
    assert [each.id for each in world.ledger.tx.requests.find()] == [1]
    assert len(world.machine.lives) == 1
    assert len(world.ledger.tx.notices.pending("NSK1")) == 1
    reasons = [each["cause"] for each in told("clock_doubted")]
    assert reasons == ["it was set forward by 200 days", "it was set back by 200 days"]
    assert trusted(service) == 0
    world.clock.pass_time(DAY, 600)
    assert trusted(service) == 1
    assert len(told("clock_trusted")) == 1


def test_what_came_by_a_clock_that_was_behind_is_kept_as_if_it_came_when_that_ended(world, serve):
    world.send("NSK1", ORDER)
    clock = SteeredClock(world.clock)
    service = serve(clock)
    world.clock.pass_time(HOUSEKEEPING, 10)
    clock.set(-200 * DAY)
    world.clock.pass_time(10.0)
    service.engine.runner.exit(world.machine.running[0].run.key)
    world.clock.pass_time(HOUSEKEEPING, 10)
    clock.set(200 * DAY)
    (request,) = world.ledger.tx.requests.find()
    assert request.finished < world.clock.seconds() - 199 * DAY
    pending = len(world.ledger.tx.notices.pending("NSK1"))
    assert pending > 0
    service.operator.trust_clock("operator alice")
    world.clock.pass_time(6 * DAY, DAY / 4)
    assert len(world.ledger.tx.notices.pending("NSK1")) == pending
    world.clock.pass_time(2 * DAY, DAY / 4)
    assert world.ledger.tx.notices.pending("NSK1") == []
    world.clock.pass_time(81 * DAY, DAY)
    assert len(world.ledger.tx.requests.find()) == 1
    world.clock.pass_time(2 * DAY, DAY)
    assert world.ledger.tx.requests.find() == []


def test_an_operator_who_trusts_the_clock_lets_go_what_it_makes_old(world, serve):
    missed(world)
    clock = SteeredClock(world.clock)
    service = serve(clock)
    clock.set(8 * DAY)
    world.clock.pass_time(10 * HOUSEKEEPING, 10)
    assert len(world.ledger.tx.notices.pending("NSK1")) == 1
    order = service.operator.trust_clock("operator alice", "set by NTP")
    assert order.result == {"at": moment(world.clock.seconds())}
    world.clock.pass_time(2 * HOUSEKEEPING, 10)
    assert world.ledger.tx.notices.pending("NSK1") == []
    lines = [(each.after, each.actor) for each in world.ledger.tx.history.about("clock")]
    assert world.ledger.tx.history.about("clock")[-1].cause == "operator alice said so: set by NTP"
    assert lines == [("not trusted", "engine"), ("trusted", "operator alice")]
    again = service.operator.trust_clock("operator alice")
    again.addErrback(lambda failure: failure.value)
    assert str(again.result) == "the clock is trusted already; nothing waits for it"


def test_a_lost_trust_is_known_to_the_next_server(world, serve):
    clock = SteeredClock(world.clock)
    serve(clock)
    clock.set(200 * DAY)
    world.clock.pass_time(10.0)
    clock.set(-200 * DAY)
    service = serve(clock)
    assert trusted(service) == 0
    assert service.engine.clock_trust.check().startswith("it was set forward by 200 days")


def test_a_clock_that_was_set_while_no_server_ran_is_not_trusted(world, serve):
    clock = SteeredClock(world.clock)
    service = serve(clock)
    service.engine.unwatch()
    clock.set(2 * 3600.0)
    service = serve(clock)
    assert service.engine.clock_trust.check() == "it was set forward by 2 hours"


def test_a_clock_that_is_behind_the_ledger_is_not_trusted_until_a_steady_day(world, serve):
    clock = SteeredClock(world.clock)
    clock.boot_id = "another"
    missed(world)
    clock.set(-3 * DAY)
    service = serve(clock)
    expected = "it is 3 days behind the ledger's newest entry"
    assert service.engine.clock_trust.check() == expected
    world.clock.pass_time(DAY / 2, 600)
    service = serve(clock)
    assert service.engine.clock_trust.check() == expected
    world.clock.pass_time(DAY / 2 + 1, 600)
    assert service.engine.clock_trust.check() is None
    service = serve(clock)  # entries that were ahead when it was trusted say nothing any more
    assert service.engine.clock_trust.check() is None


def test_requests_and_the_folders_of_their_runs_go_when_their_time_has_passed(world, serve):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/ONE/O00000 ref=x'")
    world.runner.exit(world.machine.running[0].run.key)
    world.clock.pass_time(10.0)
    assert world.ledger.tx.notices.pending("NSK1") == []
    serve()
    world.clock.pass_time(HOUSEKEEPING + RUNS_KEPT / 2, 1000.0)
    assert len(world.machine.lives) == 1
    world.clock.pass_time(RUNS_KEPT, DAY / 4)
    assert world.machine.lives == {}
    assert len(world.ledger.tx.requests.find()) == 1
    world.clock.pass_time(90 * DAY, DAY)
    world.clock.pass_time(10.0)
    assert world.ledger.tx.requests.find() == []


def test_a_stop_starts_nothing_and_judges_no_end_from_its_first_moment(world, serve):
    world.send("NSK1", ORDER)
    service = serve()
    runner, doors, starts = service.engine.runner, service.sessions, list(world.machine.starts)
    assert runner.watched == ("000001-1",)
    doors.all.add(Still(doors.all))
    stopped = Deferred.fromCoroutine(service.stop())
    give(service.operator, ORDER.replace("O00000", "O00001"))
    world.clock.pass_time(1.0, 0.1)
    assert not stopped.called  # it still waits for what a host has sent
    runner.kill("000001-1", 15)  # as all that runs is told to end when its session is
    world.clock.pass_time(10.0, 0.1)
    assert stopped.called
    states = [world.ledger.tx.jobs.get(number).state for number in (1, 2)]
    assert states == [JobState.RUNNING, JobState.WAITING]
    assert world.machine.starts == starts


def test_a_start_tells_the_history_that_a_drain_has_ended(world, serve):
    told = ("server", "working", "draining")
    world.ledger.write(History.add, *told, cause="", actor="operator alice", at=1.0)
    serve()
    world.clock.pass_time(1.0)
    line = world.ledger.tx.history.about("server")[-1]
    assert (line.before, line.after, line.actor) == ("draining", "working", "engine")


def test_housekeeping_that_fails_is_told_of_and_tried_again(world, serve, told, monkeypatch):
    missed(world)
    world.clock.rightNow += 8 * DAY
    with monkeypatch.context() as broken:
        broken.setattr("vtspolicy.service.expire", lambda *_: 1 / 0)
        serve()
        world.clock.pass_time(HOUSEKEEPING + 1)
    assert len(told("housekeeping_failed")) == 1
    world.clock.pass_time(HOUSEKEEPING)
    assert world.ledger.tx.notices.pending("NSK1") == []


def test_a_certificate_is_warned_about_once_a_day_from_thirty_days_before_its_end(
    world, serve, told
):
    service = serve()
    end = world.clock.seconds() + 32.5 * DAY
    service._certificates = (
        Validity(key="cert", file=Path("/etc/vts.pem"), name="vts1", begin=0.0, end=end),
    )
    days = []
    for _ in range(5):
        world.clock.pass_time(DAY, 600)
        days.append(len(told("certificate_expires")))
    assert days == [0, 0, 1, 2, 3]
    assert "expires in 29 days" in told("certificate_expires")[0]["words"]
    world.clock.pass_time(29 * DAY, 3600)
    assert "has expired on" in told("certificate_expires")[-1]["words"]
    assert len(told("certificate_expires")) == 32


def test_how_long_the_server_is_up_does_not_change_with_the_clock(world, serve):
    clock = SteeredClock(world.clock)
    service = serve(clock, steady=clock.steady)
    world.clock.pass_time(90.0, 10)
    clock.set(200 * DAY)
    seen = []
    service.operator.status().addCallback(seen.append)
    world.settle()
    at, started = (datetime.fromisoformat(seen[0][each]) for each in ("at", "started"))
    assert (at - started).total_seconds() == pytest.approx(90.0, abs=5.0)
