"""The shipped alerts in a real Prometheus, which scrapes a real server."""

import json
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
import yaml

from tests.harness.ports import free_ports
from tests.harness.station import Station

pytestmark = pytest.mark.programs

PROMETHEUS = Path(__file__).parents[2] / "deploy" / "prometheus"
TIMEOUT = 120  # seconds


def promtool(*words):
    done = subprocess.run(
        ["promtool", *words], cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_and_the_settings_are_well_formed():
    promtool("check", "rules", "vtspolicy.rules.yml")
    promtool("check", "config", "prometheus.yml")


def test_the_bad_night_fires_every_alert_and_the_good_night_none():
    promtool("test", "rules", "night_test.yml")


class Prometheus:
    """A Prometheus with the shipped settings that scrapes one server every second."""

    def __init__(self, root, web):
        (self.port,) = free_ports(1)
        shutil.copy(PROMETHEUS / "vtspolicy.rules.yml", root)
        settings = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text("utf-8"))
        settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        settings["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{web}"]}]
        (root / "prometheus.yml").write_text(yaml.safe_dump(settings), "utf-8")
        self.log = root / "prometheus.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={root / 'prometheus.yml'}",
                    f"--storage.tsdb.path={root / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                ],
                stdout=log,
                stderr=log,
            )

    def ask(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return json.loads(answer.read())["data"]

    def until(self, path, true):
        """Return the answer once it satisfies `true`."""
        end = time.monotonic() + TIMEOUT
        answer = None
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log.read_text()
            try:
                answer = self.ask(path)
            except urllib.error.URLError as error:
                answer = error
            else:
                if true(answer):
                    return answer
            time.sleep(0.2)
        raise AssertionError(answer)

    def stop(self):
        self.process.terminate()
        self.process.wait(TIMEOUT)


@pytest.fixture
def scraped(tmp_path):
    """A server and the Prometheus that scrapes it."""
    place = tmp_path / "server"
    place.mkdir()
    station = Station(place, site="", tables=["dsk"])
    prometheus = Prometheus(tmp_path, station.web)
    try:
        yield station.start(), prometheus
    finally:
        prometheus.stop()
        station.stop()


def rules_of(answer):
    return [rule for group in answer["groups"] for rule in group["rules"]]


QUIET = {("LedgerCopyOld", "ok", "pending")}
"""What is not inactive on a new server: names, healths and states."""


def _states(answer):
    rules = {(rule["name"], rule["health"], rule["state"]) for rule in rules_of(answer)}
    assert len(rules) > len(QUIET)
    return {rule for rule in rules if rule[1:] != ("ok", "inactive")}


def test_prometheus_evaluates_every_alert_and_fires_those_that_are_true(scraped):
    station, prometheus = scraped
    prometheus.until("/api/v1/query?query=up%3D%3D1", lambda data: data["result"])
    # A new server's ledger has never been copied: true at once, and it must hold for an hour. What
    # was pending because the server was not there at the first scrape passes.
    prometheus.until("/api/v1/rules", lambda data: _states(data) == QUIET)

    (station.root / "site.yaml").write_text("rules: [this is no rule]")
    station.server.send_signal(signal.SIGHUP)
    answer = prometheus.until(
        "/api/v1/alerts",
        lambda data: "ReloadRefused" in {each["labels"]["alertname"] for each in data["alerts"]},
    )
    states = {each["labels"]["alertname"]: each["state"] for each in answer["alerts"]}
    assert states["ReloadRefused"] == "firing"


def test_every_query_of_the_board_is_answered_without_an_error(scraped):
    _, prometheus = scraped
    prometheus.until("/api/v1/query?query=up%3D%3D1", lambda data: data["result"])
    board = json.loads((PROMETHEUS.parent / "grafana" / "vtspolicy.json").read_text("utf-8"))
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert queries
    for query in queries:
        asked = urllib.parse.quote(query.replace("$__rate_interval", "1m"))
        assert prometheus.ask(f"/api/v1/query?query={asked}")["resultType"] == "vector"
