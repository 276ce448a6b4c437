"""The fake application does what its steps say, and its record can be relied on."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from vtspolicy.testing.application import STEPS, WRONG_STEP, _Actor

PROGRAM = [sys.executable, "-m", "vtspolicy.testing.application"]


def run(*steps, act=None, stdin=subprocess.DEVNULL, data=None):
    return subprocess.run(
        [*PROGRAM, *steps],
        **({"input": data} if data is not None else {"stdin": stdin}),
        capture_output=True,
        timeout=30,
        check=False,
        env=os.environ | ({} if act is None else {"VTSPOLICY_ACT": act}),
    )


def notes(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_step_is_acted_and_described():
    assert all(callable(getattr(_Actor, name)) for name in STEPS)


def test_it_says_complains_floods_and_exits():
    done = run("say=all is well", "complain=or is it", "flood=100000", "exit=12", "say=never")
    assert done.returncode == 12
    assert done.stdout.startswith(b"all is well\n")
    assert len(done.stdout) == len(b"all is well\n") + 100_000
    assert done.stderr == b"or is it\n"


def test_steps_of_the_environment_come_first():
    done = run("say=second", act="say=first; say=and a half")
    assert done.stdout == b"first\nand a half\nsecond\n"
    assert done.returncode == 0


def test_it_waits_and_makes_files(tmp_path):
    gate, sign = tmp_path / "gate", tmp_path / "sign"
    process = subprocess.Popen([*PROGRAM, f"touch={sign}", f"wait={gate}", "exit=5"])
    while not sign.exists():
        assert process.poll() is None
    assert process.poll() is None
    gate.touch()
    assert process.wait(30) == 5


def test_it_ignores_signals_and_dies_of_others(tmp_path):
    sign = tmp_path / "sign"
    process = subprocess.Popen([*PROGRAM, "ignore=TERM,INT", f"touch={sign}", "delay=60"])
    while not sign.exists():
        assert process.poll() is None
    for number in (signal.SIGTERM, signal.SIGINT):
        process.send_signal(number)
    process.send_signal(signal.SIGUSR1)
    assert process.wait(30) == -signal.SIGUSR1
    assert run("die=KILL").returncode == -signal.SIGKILL
    assert run("die=TERM").returncode == -signal.SIGTERM


def test_it_reads_standard_input_to_its_end():
    assert run("stdin").stdout == b"standard input ended after 0 bytes\n"
    assert run("stdin", data=b"x" * 70_000).stdout == b"standard input ended after 70000 bytes\n"


@pytest.mark.parametrize(("step", "same"), [("spawn", True), ("desert", False)])
def test_it_leaves_a_process_behind(step, same, tmp_path):
    record, output = tmp_path / "record", tmp_path / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*PROGRAM, f"record={record}", f"{step}=60"], stdout=file, start_new_session=True
        )
        assert process.wait(30) == 0
    start, spawned, end = notes(record)
    child = spawned["child"]
    try:
        assert output.read_text() == f"spawned {child}\n"
        assert (os.getpgid(child) == process.pid) is same
        assert start["group"] == process.pid
        assert end["what"] == "end"
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def test_the_record_shows_each_start_with_arguments_environment_and_process(tmp_path):
    record = tmp_path / "record"
    before = time.time()
    run(f"record={record}", "exit=3", "--", "archive", "/VAULT01/P/A 1", "--", act="say=x")
    start, end = notes(record)
    assert (start["what"], end["what"], end["code"]) == ("start", "end", 3)
    assert start["arguments"] == ["archive", "/VAULT01/P/A 1", "--"]
    assert start["env"]["VTSPOLICY_ACT"] == "say=x"
    assert start["pid"] == end["pid"]
    assert before <= start["at"] <= end["at"] <= time.time()
    assert start["cwd"] == str(Path.cwd())


def test_many_at_once_do_not_tear_each_others_lines(tmp_path):
    record = tmp_path / "record"
    long = "x" * 50_000
    processes = [subprocess.Popen([*PROGRAM, f"record={record}", "--", long]) for _ in range(8)]
    assert [process.wait(30) for process in processes] == [0] * 8
    found = notes(record)
    assert len(found) == 16
    assert {note["pid"] for note in found} == {process.pid for process in processes}


def test_attempts_of_one_job_can_end_differently(tmp_path):
    steps = (f"record={tmp_path / 'record'}", "exit=7,8,0", "--")
    assert [run(*steps, "A1").returncode for _ in range(4)] == [7, 8, 0, 0]
    assert run(*steps, "A2").returncode == 7


def test_several_exit_codes_need_a_record():
    done = run("exit=1,0")
    assert done.returncode == WRONG_STEP
    assert b"record=FILE" in done.stderr


def test_an_unknown_step_is_named_with_the_nearest_one():
    done = run("exot=4")
    assert done.returncode == WRONG_STEP
    assert b'"exit"' in done.stderr


def test_what_takes_time_to_load_is_loaded_only_when_a_step_needs_it():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *PROGRAM[1:], "say=hello", "exit=0"],
        capture_output=True,
        check=True,
    )
    loaded = {line.rpartition(b"|")[2].strip() for line in done.stderr.splitlines()}
    assert b"vtspolicy.testing" in loaded
    for module in (b"twisted", b"attr", b"json", b"argparse", b"vtspolicy.suggest"):
        assert module not in loaded
