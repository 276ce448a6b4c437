"""The shipped board for Grafana is made from the metrics' table, and asks for all of it."""

import json
import re
import runpy
from pathlib import Path

from vtspolicy.metrics import Metrics

GRAFANA = Path(__file__).parents[2] / "deploy" / "grafana"
SUFFIXES = {"counter": "_total", "histogram": "_bucket", "gauge": ""}


def panels():
    return json.loads((GRAFANA / "vtspolicy.json").read_text("utf-8"))["panels"]


def test_the_board_is_what_the_script_makes():
    made = runpy.run_path(str(GRAFANA / "make.py"))["board"]()
    assert (GRAFANA / "vtspolicy.json").read_text("utf-8") == made


def test_the_board_asks_for_every_metric_and_for_no_other():
    asked = {
        name
        for panel in panels()
        for target in panel["targets"]
        for name in re.findall(r"\bvtspolicy_\w+", target["expr"])
    }
    known = {
        metric._name + SUFFIXES[metric._type]
        for metric in vars(Metrics()).values()
        if hasattr(metric, "_labelnames") and not metric._name.endswith("_info")
    }
    assert asked == known
