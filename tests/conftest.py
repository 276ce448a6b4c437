"""What all tests share: how long hypothesis searches, and whether installed programs are there."""

import os
import re
import signal

import pytest
from hypothesis import settings

# Their assertions tell what they compared, as those of the tests do; said before any imports them.
SUITES = ("vtspolicy.testing.queue_suite", "vtspolicy.testing.runner_suite")
pytest.register_assert_rewrite("tests.harness", *SUITES)

# A slow or busy machine must not turn a right answer into a failure. HYPOTHESIS_PROFILE=long
# searches for many minutes what the others search for seconds. With CI set the same is tried each
# time: a change must not be refused for what was there before it; a developer's runs search anew.
settings.register_profile("any machine", deadline=None)
settings.register_profile("ci", settings.get_profile("any machine"), derandomize=True)
settings.register_profile("long", settings.get_profile("any machine"), max_examples=2000)
usual = "ci" if os.environ.get("CI") else "any machine"
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", usual))

# What runs in the background of a shell without job control is started deaf to it, and so would be
# every server that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption(
        "--without-programs",
        action="store_true",
        help="leave out the tests that run programs of .ci/packages",
    )
    parser.addoption(
        "--without-mounts",
        action="store_true",
        help="leave out the tests that mount file systems, which only root can",
    )


def pytest_collection_modifyitems(config, items):
    for marker in ("programs", "mounts"):
        if config.getoption(f"--without-{marker}"):
            left_out = [item for item in items if item.get_closest_marker(marker)]
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if not item.get_closest_marker(marker)]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give each process whole files of tests; the vault suite is one for each file system."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file, _, test = nodeid.partition("::")
            system = re.search(r"\[(ext4-\d+|xfs|btrfs|tmpfs|overlay)", test)
            return f"{file}[{system[1]}]" if system and "test_vault_suite" in file else file

    return Scheduling(config, log)
