"""A spool that is removed while the server runs, and made again."""

import shutil
import time

from tests.harness.site import TIMEOUT


def in_time(true):
    until = time.monotonic() + TIMEOUT
    while not true():
        assert time.monotonic() < until
        time.sleep(0.2)


def test_orders_come_in_again_when_a_removed_spool_is_made_again(site):
    site.run("status")
    spool = site.root / "spool"
    shutil.rmtree(spool)
    in_time(lambda: "control socket is gone" in site.log)
    assert site.run("drain", check=False).returncode == 6

    spool.mkdir(mode=0o700)
    in_time(lambda: site.run("drain", check=False).returncode == 0)
    assert "is opened again" in site.log
    assert site.stop() == 0, site.log
