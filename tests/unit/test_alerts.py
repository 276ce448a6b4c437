"""The shipped alerts ask for metrics that exist, name commands that exist, and are all played."""

import re
from pathlib import Path

import pytest
import yaml

from vtspolicy.cli import COMMANDS
from vtspolicy.metrics import Metrics

PROMETHEUS = Path(__file__).parents[2] / "deploy" / "prometheus"
GROUPS = yaml.safe_load((PROMETHEUS / "vtspolicy.rules.yml").read_text("utf-8"))["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}


def exported():
    """Name of each time series, with the labels that may be asked for."""
    return {
        metric._name + suffix: set(metric._labelnames)
        for metric in vars(Metrics()).values()
        if hasattr(metric, "_labelnames")
        for suffix in SUFFIXES[metric._type]
    }


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_asks_for_metrics_and_labels_that_exist(alert):
    expression = ALERTS[alert]["expr"]
    asked = re.findall(r"\b((?:vtspolicy_\w+)|up)(?:\{([^}]*)\})?", expression)
    known = exported() | {"up": {"job"}}  # Prometheus' own
    assert asked, expression
    for name, matchers in asked:
        assert name in known
        assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)) <= known[name]


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_what_is_wrong_and_which_command_to_run_first(alert):
    annotations = ALERTS[alert]["annotations"]
    assert annotations["summary"]
    assert annotations["runbook"]
    named = re.findall(r"`vtspolicy ([a-z-]+)", annotations["runbook"])
    assert set(named) <= set(COMMANDS)


def test_a_summary_uses_only_labels_that_the_expression_keeps():
    known = exported() | {"up": {"instance"}}
    for rule in ALERTS.values():
        (name, *_) = re.findall(r"\b(?:vtspolicy_\w+|up)\b", rule["expr"])
        kept = known[name]
        assert set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))) <= kept, rule["alert"]


def test_the_bad_night_has_every_alert():
    nights = yaml.safe_load((PROMETHEUS / "night_test.yml").read_text("utf-8"))["tests"]
    samples = nights[0]["promql_expr_test"][0]["exp_samples"]
    assert {re.search(r'alertname="(\w+)"', each["labels"])[1] for each in samples} == set(ALERTS)


def test_the_scraped_job_has_the_name_that_an_alert_asks_for():
    settings = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text("utf-8"))
    assert [job["job_name"] for job in settings["scrape_configs"]] == ["vtspolicy"]
    assert 'up{job="vtspolicy"}' in ALERTS["NodeDown"]["expr"]
