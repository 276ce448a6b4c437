"""Who gives orders: the group of the control socket, the person behind sudo, what needs one."""

import grp
import os
import stat
import tempfile
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock

from tests.harness.cli_servers import Server
from tests.harness.cli_servers import Site as Files
from tests.harness.engine_worlds import Site, World
from vtspolicy import client
from vtspolicy.cli.status import status
from vtspolicy.config.problems import ConfigurationError, Problem
from vtspolicy.engine.operators.needs import STUCK, needs_of
from vtspolicy.ledger.notices import Pending
from vtspolicy.status import ClockStatus, Status
from vtspolicy.web.control_socket import ControlSocket
from vtspolicy.web.orders import actor_of

ALICE = "operator alice"

FAILED_JOB = (
    "failed within a day and not run again: 1 job; "
    "`vtspolicy retry --since 1d --dry-run` shows them"
)
FAILED_ALONE = (
    "failed within a day without a job: 1 request; "
    "`vtspolicy requests --since 1d --state failed` shows them"
)


class Unix(MemoryReactorClock):
    """A reactor that makes the file of a socket."""

    def listenUNIX(self, address, factory, backlog=50, mode=0o666, wantPID=0):
        Path(address).touch(mode=mode)
        return super().listenUNIX(address, factory, backlog, mode, wantPID)


@pytest.fixture
def spool():
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_without_a_group_the_control_socket_is_its_users_own(spool):
    control = ControlSocket.open(Unix(), spool, None)
    assert (mode_of(control.path), mode_of(spool)) == (0o600, 0o700)


def test_members_of_the_control_group_can_pass_to_the_socket_and_no_further(spool):
    group = grp.getgrgid(os.getgroups()[-1] if os.getuid() else 65534)
    control = ControlSocket.open(Unix(), spool, None, group.gr_name)
    assert (mode_of(control.path), control.path.stat().st_gid) == (0o660, group.gr_gid)
    assert (mode_of(spool), spool.stat().st_gid) == (0o710, group.gr_gid)


def test_a_group_that_does_not_exist_is_named(spool):
    with pytest.raises(OSError, match="control_group: there is no group of-nobody"):
        ControlSocket.open(Unix(), spool, None, "of-nobody")


def test_the_person_behind_sudo_is_named_if_root_says_so():
    assert actor_of(0, "alice") == "operator alice (by sudo)"
    assert actor_of(0, None) == "operator root"
    assert "alice" not in actor_of(65534, "alice")


@pytest.mark.parametrize("name", ["", "a b", "x\ny", "a" * 65, "operator bob)"])
def test_what_is_not_a_name_is_not_believed(name):
    assert actor_of(0, name) == "operator root"


def test_only_root_tells_for_whom_it_acts(monkeypatch):
    monkeypatch.setenv("SUDO_USER", "alice")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert client._person() == {client.PERSON: "alice"}
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert client._person() == {}


@pytest.fixture(scope="module")
def site():
    site = Site()
    yield site
    site.remove()


@pytest.fixture
def world(site):
    world = World(site)
    world.engine.policy.use(site.reader)
    yield world
    world.close()


def told(world, deferred):
    found = []
    deferred.addBoth(found.append)
    world.settle()
    return found[0]


def needs(world):
    return told(world, world.operator.status())["needs"]


def test_a_refused_reload_is_shown_until_another_one_is_taken(world):
    def broken():
        texts = ("no such key", "and another")
        raise ConfigurationError(
            [
                Problem(file="rules.yaml", line=line, column=5, message=text)
                for line, text in enumerate(texts, 3)
            ]
        )

    world.operator.reloading.sessions.renew = lambda: None
    world.operator.reloading.reread = broken
    told(world, world.operator.reload(ALICE))
    shown = told(world, world.operator.status())
    refused = shown["refused_reload"]
    assert (refused["by"], refused["problems"]) == (ALICE, 2)
    assert "no such key" in refused["problem"]
    assert refused["at"]  # when
    assert any("reload by operator alice was refused" in each for each in shown["needs"])
    world.operator.reloading.reread = lambda: world.site.reader
    told(world, world.operator.reload(ALICE))
    shown = told(world, world.operator.status())
    assert (shown["refused_reload"], shown["needs"]) == (None, [])


def test_a_failed_job_needs_a_person_until_it_is_run_again(world):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00000'")
    assert needs(world) == []
    world.runner.exit(world.machine.running[0].run.key, 12)
    world.settle()
    assert needs(world) == [FAILED_JOB]
    world.retry(world.ledger.tx.jobs.get(1))
    assert needs(world) == []


def test_a_request_that_failed_without_a_job_and_stuck_notices_need_a_person(world):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/NOSUCH'")
    assert needs(world) == [FAILED_ALONE]
    world.clock.pass_time(STUCK + 1)
    world.acknowledge("NSK1")
    assert len(needs(world)) == 1
    world.clock.pass_time(86400.0)
    assert needs(world) == []


def test_what_needs_a_person_says_for_how_long_and_what_ends_it(world):
    at = world.clock.seconds()
    trust = ClockStatus(trusted=False, reason="it was set", remedy="vtspolicy trust-clock")
    shown = Status(
        node="vts1",
        pid=1,
        version="1",
        at=at,
        started=at,
        ready=True,
        queue=world.engine.queue.snapshot(),
        clock=trust,
        pending=(Pending(host="NSK1", count=1, oldest=at - 2 * STUCK),),
        tape_troubles=("vault VAULT01: it has no leases",),
    )
    assert told(world, Deferred.fromCoroutine(needs_of(world.engine.ledger, shown))) == (
        "not taken by NSK1 for 2 h: 1 notice",
        "vault VAULT01: it has no leases",
        "the clock: it was set; if its time is right now: `vtspolicy trust-clock`",
    )


def test_a_drain_needs_a_person(world):
    told(world, world.operator.drain(ALICE))
    assert needs(world) == ["not ready: the server is draining; `vtspolicy drain --end` ends that"]


def test_status_check_exits_with_1_when_a_person_is_needed(tmp_path):
    files = Files(tmp_path)
    server = Server(files.spool)
    try:
        server.answers += [(200, {"needs": ["not ready: it drains"]}), (200, {"needs": []})] * 2
        results = [files.run(status, "--check") for _ in range(2)]
        assert [(each.exit_code, each.stdout) for each in results] == [
            (1, "not ready: it drains\n"),
            (0, "nothing needs a person\n"),
        ]
        assert [files.run_json(status, "--check")[0] for _ in range(2)] == [1, 0]
    finally:
        server.close()
