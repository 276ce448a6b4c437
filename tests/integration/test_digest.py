"""`vtspolicy digest`: the printed part of an output, and how the end is reported."""

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "vtspolicy", "digest"]
TIMEOUT = 60


def digest(*words, **more):
    return subprocess.run(
        [*COMMAND, *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        **more,
    )


def test_the_output_of_a_program_becomes_one_line_with_its_sha256(tmp_path):
    content = os.urandom(3_000_001)
    tape = tmp_path / "A00017"
    tape.write_bytes(content)
    done = digest("--json", "--", "cat", tape)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    sha256 = hashlib.sha256(content).hexdigest()
    assert json.loads(done.stdout) == {"digest": sha256, "bytes": len(content)}


def test_arguments_are_the_programs_own_and_no_shell_reads_them():
    done = digest("--", "printf", "%s", "--json", "$HOME", "a b")
    assert json.loads(done.stdout)["digest"] == hashlib.sha256(b"--json$HOMEa b").hexdigest()


@pytest.mark.parametrize(
    ("script", "code"), [("echo x; exit 3", 3), ("echo x; kill -KILL $$", 137), ("exit 255", 255)]
)
def test_a_program_that_fails_has_no_digest(script, code):
    done = digest("--", "sh", "-c", script)
    assert (done.returncode, done.stdout) == (code, "")


def test_what_it_writes_as_errors_goes_through():
    done = digest("--", "sh", "-c", "echo trouble >&2")
    assert done.stderr == "trouble\n"


def test_a_program_that_is_not_there_is_named(tmp_path):
    (tmp_path / "text").write_text("x")
    missing = digest("--", str(tmp_path / "none"))
    assert missing.returncode == 127
    assert "none: No such file or directory" in missing.stderr
    assert digest("--", str(tmp_path / "text")).returncode == 126
    assert digest("--").returncode == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_programs_whole_group(tmp_path, number):
    script = f"sleep 300 & echo $! > {tmp_path}/pid; wait"
    running = subprocess.Popen([*COMMAND, "--", "sh", "-c", script], stdout=subprocess.PIPE)
    pid = until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
    running.send_signal(number)
    output, _ = running.communicate(timeout=TIMEOUT)
    assert (running.returncode, output) == (128 + number, b"")
    until(lambda: ended(pid))


def test_half_of_the_data_has_no_digest_though_its_program_exits_with_0(tmp_path):
    script = f"trap 'kill $!; exit 0' TERM; echo half; touch {tmp_path}/begun; sleep 300 & wait"
    running = subprocess.Popen([*COMMAND, "--", "sh", "-c", script], stdout=subprocess.PIPE)
    until((tmp_path / "begun").exists)
    running.terminate()
    output, _ = running.communicate(timeout=TIMEOUT)
    assert (running.returncode, output) == (143, b"")


def test_memory_does_not_grow_with_what_is_read():
    def bounded():
        resource.setrlimit(resource.RLIMIT_AS, (600 << 20, 600 << 20))

    done = digest("--", "head", "-c", "2G", "/dev/zero", preexec_fn=bounded)
    assert json.loads(done.stdout)["bytes"] == 2 << 30


def ended(pid):
    """Whether a process is gone, or is left for somebody to wait for."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def until(condition):
    end = time.monotonic() + TIMEOUT
    while not (value := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return value
