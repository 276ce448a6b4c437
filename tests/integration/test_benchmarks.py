"""`make bench` in its quick form: the table is whole; no speed is asserted."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.programs  # zstd, beside which the disk archive is measured

ROOT = Path(__file__).parents[2]
ROWS = [
    "stream",
    "accept",
    "rules",
    "run",
    "latency",
    "start",
    "memory",
    "crowd",
    "grammar",
    "disk",
    "growth",
]


def bench(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", *words],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    done = bench("--quick", "--no-peers", "--json", "--folder", folder)
    assert done.returncode == 0, done.stderr
    assert list(folder.iterdir()) == []
    return json.loads(done.stdout)


def test_the_quick_table_has_every_row_in_its_order(table):
    assert list(dict.fromkeys(line["row"] for line in table["lines"])) == ROWS


def test_every_figure_is_a_sane_number_with_a_unit(table):
    for line in table["lines"]:
        figures = [line["ours"]] + [each["value"] for each in line["floors"]]
        assert all(0 < figure < 1e9 for figure in figures) or line["what"].startswith("growth")
        assert line["unit"] in {"MB/s", "MiB/s", "commands/s", "notices/s", "ms", "s", "MB", "KB"}


def test_a_figure_is_compared_with_each_thing_that_was_measured(table):
    for line in table["lines"]:
        beside = [*line["floors"], *([line["peer"]] if line["peer"] else [])]
        measured = {each["what"]: line["ours"] / each["value"] for each in beside if each["value"]}
        assert line["ratios"] == pytest.approx(measured)


def test_a_goal_is_judged_unless_its_peer_was_left_out(table):
    for line in table["lines"]:
        left_out = line["peer"] is not None and line["peer"]["value"] is None
        assert (line["reached"] is None) == (not line["goal"] or left_out), line["what"]
        if left_out:
            assert line["peer"]["note"] == "left out"


def test_the_table_says_on_what_machine_it_was_made(table):
    assert table["machine"]["cores"] >= 1
    # A disk in memory has flushed before that can be measured.
    assert 0 <= table["machine"]["fsync_ms_median"] <= table["machine"]["fsync_ms_p99"]


def test_the_table_names_the_python_the_kernel_and_the_file_system(table):
    assert "Python 3." in table["machine"]["python"]
    assert table["machine"]["kernel"].startswith("Linux ")
    assert table["machine"]["file_system"]


def test_a_log_server_is_measured_or_the_table_says_that_it_is_not_installed(tmp_path):
    done = bench("--quick", "--json", "stream", XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    lines = json.loads(done.stdout)["lines"]
    assert [line["peer"]["what"].split()[0] for line in lines] == [
        "rsyslog",
        "rsyslog",
        "syslog-ng",
    ]
    for line in lines:
        assert line["peer"]["value"] or line["peer"]["note"].startswith("peer not installed: ")
    assert [each["what"] for each in lines[0]["floors"]] == [
        "grep -F VTSPolicy, from a socket",
        "Twisted LineOnlyReceiver",
    ]


def test_a_name_that_is_no_benchmark_is_refused_with_the_known_ones():
    done = bench("speed")
    assert done.returncode == 2
    assert "no such benchmark: speed" in done.stderr


def test_people_read_the_same_figures_as_a_table():
    done = bench("--quick", "--no-peers", "grammar")
    assert done.returncode == 0, done.stderr
    assert "-- grammar" in done.stdout
    assert "goal 1.0 x Lark LALR: reached" in done.stdout.replace("NOT REACHED", "reached")
