"""The parser keeps its distance from the naive grammar and from Lark, measured in one run."""

import importlib.util
import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

BENCH = Path(__file__).parents[1] / "benchmarks" / "bench_grammar.py"


@pytest.fixture
def bench():
    spec = importlib.util.spec_from_file_location("bench_grammar", BENCH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_matching_is_twice_as_fast_as_naive_and_not_slower_than_lark(bench, capsys, monkeypatch):
    # What others on the machine do meanwhile is nobody's speed.
    monkeypatch.setattr(bench, "time", SimpleNamespace(perf_counter=time.thread_time))
    figures = bench.main(["--json", "--rounds", "7", "--texts", "20"])
    assert figures["matching_ratio"]["of naive"] >= bench.GOALS["of naive"]
    assert figures["matching_ratio"]["of Lark"] >= bench.GOALS["of Lark"]
    assert max(figures["ms_for_4024_characters"].values()) < bench.LONGEST_MS
    assert json.loads(capsys.readouterr().out) == {"grammar": figures}


def test_all_readers_of_the_benchmark_take_its_texts_and_refuse_a_wrong_one(bench):
    right = bench.tsm_commands(3)
    for read in bench.readers().values():
        for text in right:
            read(text)
        with pytest.raises(Exception, match=r"."):
            read(right[0].replace("VAULT", "vault"))
