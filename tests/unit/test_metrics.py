"""The metrics that dashboards and alerts rely on: their names and labels do not change."""

from types import SimpleNamespace

import pytest
from attrs import evolve

from vtspolicy.ledger import Book
from vtspolicy.metrics import Metrics
from vtspolicy.notices import Notice, Word
from vtspolicy.rules.load import load_table

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


def shown(world, name):
    """A gauge as dashboards get it: its value by label."""
    world.operator.collect()
    world.settle()
    return {
        next(iter(sample.labels.values())): sample.value
        for metric in world.metrics.registry.collect()
        for sample in metric.samples
        if sample.name == f"vtspolicy_{name}"
    }


SMALLER = """
applications:
  RST: {seats: 1}
rules:
  - rule: all that is left
    when: {family: RST}
    run: ["true", "{path}"]
"""


def test_what_a_reload_removes_is_shown_no_more(world):
    site = world.site
    world.operator.doors = SimpleNamespace(sessions=(), renew=lambda: None)
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00000'", 1)
    of_hosts = ("notices_pending", "notices_oldest_seconds", "host_connected")
    last_event = "host_last_event_timestamp_seconds"
    began = world.clock.seconds()
    assert shown(world, "seats_in_use") == {"DSK": 1, "RST": 0, "BRG": 0, "Erase": 0}
    assert shown(world, last_event) == {"NSK1": began}
    for name in of_hosts:
        assert set(shown(world, name)) == {"NSK1", "NSK2"}
    rules = site.root / "smaller.yaml"
    rules.write_text(SMALLER)
    hosts = {"NSK2": site.configuration.hosts["NSK2"]}
    configuration = evolve(site.configuration, hosts=hosts)
    table = load_table([rules], vocabulary=site.vocabulary, configuration=configuration)
    world.operator.reread = lambda: evolve(site.reader, table=table, configuration=configuration)
    world.operator.reload("operator alice")
    world.settle()
    assert shown(world, "seats_in_use") == {"DSK": 1, "RST": 0}  # its job still runs
    world.runner.exit("000001-1")
    world.settle()
    assert shown(world, "seats_in_use") == {"RST": 0}
    for name in of_hosts:
        assert set(shown(world, name)) == {"NSK2"}
    assert shown(world, last_event) == {}
