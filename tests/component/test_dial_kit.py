"""The whole way: a job of a host asks with the kit; a server dials the host and answers there."""

import pytest

from tests.harness import engine_worlds
from tests.harness.dialled_hosts import Site
from tests.harness.host_kits import FILES, LOAD
from tests.harness.simulated_terminals import logged_on

COMMAND = "VTSPolicy DSK 'archive /VAULT01/PAY/P00000 ref=r0'"


@pytest.fixture(scope="module")
def files():
    site = engine_worlds.Site()
    yield site
    site.remove()


@pytest.fixture
def world(files):
    made = engine_worlds.World(files)
    yield made
    made.close()
    assert not made.violations


@pytest.fixture
def here(world, tmp_path):
    return Site(world, tmp_path, files=FILES, taclcstm=(LOAD,))


def asks(here, command, seconds=600):
    """A terminal at which a job of the host asks."""
    job = logged_on(here.system, clock=here.clock)
    job.type(f"#OUTPUT code=[VTSASK {seconds} {command}]")
    here.run(10)
    return job


def test_a_job_gets_the_answer_of_the_server_through_vtsreply_of_the_kit(here):
    job = asks(here, COMMAND)
    assert "VTSPolicy ACCEPTED req=" in job.text()
    assert "code=" not in job.text()
    assert "VTS^SEND 1001 0" in here.system.commands  # the server's answer went through the kit
    here.finish()
    here.run(10)
    assert "VTSPolicy COMPLETED req=" in job.text()
    assert "code=0" in job.text()
    assert not here.pending()


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("VTSPolicy DSK 'archive /VAULT01/PAY/P00000 ref=r0 nonsense=1'", "REJECTED"),
        ("VTSPolicy DSK 'archive /VAULT99/PAY/P00000 ref=r0'", "DENIED"),
    ],
)
def test_a_refusal_of_the_server_ends_the_waiting(here, command, word):
    job = asks(here, command)
    assert f"VTSPolicy {word}" in job.text()
    assert "code=2" in job.text()


def test_two_jobs_wait_each_for_its_own(here):
    first = asks(here, COMMAND)
    second = asks(here, "VTSPolicy Erase - P99999 ref=r1")
    assert "code=2" in second.text()
    assert "ref=r1" not in first.text()
    here.finish()
    here.run(10)
    assert "code=0" in first.text()
