"""Real applications for the tests: each is set up once a session, on first use, and stopped."""

import pytest

from tests.harness.programs.bacula import Bacula
from tests.harness.programs.borg import Borg
from tests.harness.programs.restic import Restic
from tests.harness.programs.sshd import Sshd


def pytest_configure(config):
    config.addinivalue_line("markers", "programs: runs programs of the packages in .ci/packages")


@pytest.fixture(scope="session")
def restic(tmp_path_factory):
    """A restic repository."""
    return Restic(tmp_path_factory.mktemp("restic"))


@pytest.fixture(scope="session")
def borg(tmp_path_factory):
    """A BorgBackup repository."""
    return Borg(tmp_path_factory.mktemp("borg"))


@pytest.fixture(scope="session")
def sshd(tmp_path_factory):
    """Another system, reached by ssh and rsync."""
    system = Sshd(tmp_path_factory.mktemp("sshd"))
    system.daemon.start()
    yield system
    system.daemon.stop()


@pytest.fixture(scope="session")
def bacula(tmp_path_factory):
    """A Bacula whose library holds eight labelled tapes of 20 MB."""
    system = Bacula(tmp_path_factory.mktemp("bacula"))
    try:
        system.start()
        yield system
    finally:
        system.stop()
