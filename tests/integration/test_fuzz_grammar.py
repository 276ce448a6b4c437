"""The language's fuzz target, for a bounded number of inputs."""

import subprocess
import sys
from pathlib import Path

RUNS = 10_000
TARGET = Path(__file__).parents[1] / "fuzz" / "fuzz_grammar.py"


def test_a_bounded_run_of_the_fuzzer_finds_no_broken_promise(tmp_path):
    corpus = tmp_path / "corpus"
    run = subprocess.run(
        [
            sys.executable,
            str(TARGET),
            str(corpus),
            f"-runs={RUNS}",
            "-seed=1",
            "-max_total_time=120",
            f"-artifact_prefix={tmp_path}/",
        ],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=900,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert "Done" in run.stderr
    assert any(corpus.iterdir())
