"""What the engine owes to each command, however those beside it end."""

import pytest
from twisted.internet.defer import Deferred

from tests.harness.engine_worlds import Fault, Site, World
from vtspolicy.engine.jobs.attempt_runner import MOST_ATTEMPTS


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


def words(world, host):
    return [notice.word.name for notice in world.mail[host].notices]


def test_a_command_that_cannot_be_recorded_does_not_hold_back_those_beside_it(world):
    # The three are written together, and then, as that fails, one by one.
    world.ledger.fault = Fault(at=len(world.ledger.verbs) + 1, how="raises", writes=2)
    session = world.connect("NSK1", format="ems")
    pools = ["PAY/P00000", "PAY/P00001", "ONE"]
    session.dataReceived(
        b"".join(b"VTSPolicy DSK 'archive /VAULT01/%s'\n" % pool.encode() for pool in pools)
    )
    world.settle()
    assert words(world, "NSK1") == ["ACCEPTED", "ACCEPTED"]
    assert [job.tape[-6:] for job in world.running_jobs()] == ["P00001", "O00000"]
    assert session.transport.disconnecting  # so that the host sends again
    world.check()


def test_a_clock_that_is_set_back_meanwhile_breaks_no_connection(world):
    looks = []

    def later(function, *args):
        answer = Deferred()
        looks.append(lambda: answer.callback(function(*args)))
        return answer

    world.use_threads(later)
    session = world.connect("NSK1", format="ems")
    session.dataReceived(b"VTSPolicy DSK 'archive /VAULT01/ONE'\n")
    world.clock.rightNow -= 3600
    looks.pop()()
    assert words(world, "NSK1") == ["ACCEPTED"]
    assert session.is_live
    assert session.transport.reads
    world.check()


def test_notices_leave_in_the_order_of_their_numbers(world):
    world.send("NSK2", "VTSPolicy DSK 'selective /VAULT01/PAY'")
    for code in (9, 0, 0):
        world.runner.exit(world.machine.running[0].run.key, code)
        world.settle()
    world.clock.pass_time(61)
    world.runner.exit(world.machine.running[0].run.key)
    assert words(world, "NSK2") == [
        *("ACCEPTED", "STARTED", "STARTED"),
        *("RETRYING", "STARTED", "STARTED", "COMPLETED"),
    ]
    numbers = [notice.number for notice in world.mail["NSK2"].notices]
    assert numbers == sorted(numbers)


def test_a_job_that_is_cancelled_before_its_run_could_start_is_cancelled_after_a_crash_too(world):
    world.runner.trouble = "the disk is full"
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/ONE'")
    world.cancel_by_operator(1)
    world.restart()
    assert words(world, "NSK1") == ["ACCEPTED"]
    world.end()
    assert words(world, "NSK1") == ["ACCEPTED", "CANCELLED"]
    assert world.machine.starts == []


def test_a_server_whose_programs_cannot_be_started_says_so_until_one_has_begun(world):
    world.runner.trouble = "the disk is full"
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/ONE'")
    assert world.operator.ready() == (False, ("programs cannot be started: the disk is full",))
    world.clock.pass_time(60)
    assert not world.operator.ready()[0]
    world.runner.trouble = None
    world.clock.pass_time(5)
    assert [life.run.key for life in world.machine.running] == ["000001-1"]
    assert world.operator.ready() == (True, ())


def test_a_server_whose_programs_cannot_be_started_says_so_until_no_job_waits_for_that(world):
    world.runner.trouble = "the disk is full"
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/ONE'")
    world.cancel_by_operator(1)
    world.clock.pass_time(5)
    assert world.operator.ready() == (True, ())


def test_a_job_that_is_cancelled_while_its_copy_is_verified_is_cancelled(world):
    world.send("NSK1", "VTSPolicy RST '/VAULT01/ONE'")
    world.runner.exit("000001-1")
    assert [life.run.key for life in world.machine.running] == ["000001-1-verify"]
    world.cancel_by_operator(1)
    assert words(world, "NSK1") == ["ACCEPTED", "CANCELLED"]


def test_a_job_that_is_cancelled_before_its_copy_could_be_verified_is_cancelled(world):
    world.send("NSK1", "VTSPolicy RST '/VAULT01/ONE'")
    world.runner.trouble = "the disk is full"
    world.runner.exit("000001-1")
    world.cancel_by_operator(1)
    world.clock.pass_time(10)
    assert words(world, "NSK1") == ["ACCEPTED", "CANCELLED"]
    assert world.machine.starts == ["000001-1"]
    world.end()
    world.check_end()


def test_a_query_that_verifies_is_asked_again_by_the_next_server(world):
    world.send("NSK1", "VTSPolicy RST '/VAULT01/ONE'")
    world.runner.exit("000001-1")
    world.restart()
    assert world.machine.starts == ["000001-1", "000001-1-verify", "000001-1-verify2"]
    world.runner.exit("000001-1-verify2")
    world.end()
    assert words(world, "NSK1") == ["ACCEPTED", "COMPLETED"]


def test_a_job_that_an_operator_has_run_again_is_accepted_before_it_is_started(world):
    world.send("NSK2", "VTSPolicy DSK 'archive /VAULT01/ONE'")
    world.runner.exit("000001-1", 9)
    world.retry(world.ledger.tx.jobs.get(1))
    assert words(world, "NSK2")[-2:] == ["ACCEPTED", "STARTED"]


def test_a_run_that_is_lost_again_and_again_ends_interrupted(world):
    world.send("NSK1", "VTSPolicy DSK 'selective /VAULT01/ONE'")
    for _ in range(MOST_ATTEMPTS):
        world.runner.lose(world.machine.running[0].run.key)
        world.settle()
    assert [word for word in words(world, "NSK1") if word not in {"STARTED", "RETRYING"}] == [
        "ACCEPTED",
        "INTERRUPTED",
    ]
    assert len(world.ledger.tx.attempts.of_job(1)) == MOST_ATTEMPTS
