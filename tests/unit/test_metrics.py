"""The metrics that dashboards and alerts rely on: their names and labels do not change."""

import pytest

from vtspolicy.metrics import Metrics

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
