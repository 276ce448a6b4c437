"""The metrics that dashboards and alerts rely on: their names and labels do not change."""

from types import SimpleNamespace

import pytest

from vtspolicy.ledger import Book
from vtspolicy.metrics import Metrics
from vtspolicy.notices import Notice, Word

pytest.register_assert_rewrite("engines")

from engines import Site, World  # noqa: E402 - after the above

PROMISED = {
    "events_received_total": ("host",),
    "commands_total": ("family", "result"),
    "event_commit_seconds": (),
    "rule_matches_total": ("rule",),
    "jobs": ("state",),
    "job_seconds": ("application", "outcome"),
    "job_retries_total": ("application",),
    "seats_in_use": ("application",),
    "lock_wait_seconds": (),
    "notices_pending": ("host",),
    "notices_oldest_seconds": ("host",),
    "notices_expired_total": ("host",),
    "host_connected": ("host",),
    "host_last_event_timestamp_seconds": ("host",),
    "tapes": ("state",),
    "config_last_reload_successful": (),
    "config_hash_info": ("hash",),
    "paused_seconds_total": (),
}


@pytest.mark.parametrize(("name", "labels"), PROMISED.items())
def test_a_metric_keeps_its_name_and_its_labels(name, labels):
    known = {
        metric._name + ("_total" if metric._type == "counter" else ""): tuple(metric._labelnames)
        for metric in vars(Metrics()).values()
        if hasattr(metric, "_labelnames")
    }
    assert known[f"vtspolicy_{name}"] == labels


@pytest.fixture
def world():
    site = Site()
    world = World(site)
    world.operator.doors = SimpleNamespace(sessions=())
    yield world
    world.close()
    site.remove()


def waiting(world, host):
    """What dashboards are told of a host's notices: how many wait, and since when."""
    world.operator.collect()
    world.settle()
    return tuple(
        world.metrics.registry.get_sample_value(f"vtspolicy_{name}", {"host": host})
        for name in ("notices_pending", "notices_oldest_seconds")
    )


def test_notices_that_wait_are_counted_by_host_with_the_age_of_the_oldest(world):
    assert waiting(world, "NSK1") == (0, 0)
    for seconds in (90.0, 30.0):
        notice = Notice(word=Word.COMPLETED, host="NSK1", created=world.clock.seconds())
        world.ledger.write(Book.add_notice, notice)
        world.clock.pass_time(seconds)
    assert waiting(world, "NSK1") == (2, 120.0)
    assert waiting(world, "NSK2") == (0, 0)
    world.connect("NSK1", format="ems")
    world.clock.pass_time(1.0)
    assert waiting(world, "NSK1") == (0, 0)
