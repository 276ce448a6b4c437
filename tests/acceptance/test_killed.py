"""What is killed by others is not run again, nor reported as ended, while something of it lives."""

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.harness.site import TIMEOUT, event
from vtspolicy.runner import identity, keeper
from vtspolicy.runner.link import PROGRAM

RULES = """
applications:
  DSK: {{title: a script whose child does the work, outcome: {{0: completed, default: failed}}}}
rules:
  - rule: a wrapper
    when: {{family: DSK}}
    run: [{root}/wrapper, "{{attempt}}"]
    retry: {{attempts: 2, delay: 0s}}
    on_interrupt: retry
    timeouts: {{grace: 1s}}
"""

WRAPPER = """#!/bin/sh
sleep 600 &
echo "$1 $!" >> {root}/record
wait
"""

LEFT = "has left are waited for"  # what the log says


def until(true):
    end = time.monotonic() + TIMEOUT
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def lives(pid):
    found = keeper.process(pid)
    return found is not None and found[0] not in identity.DEAD


def kill_keeper(site):
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if os.fsencode(PROGRAM) in words and os.fsencode(site.root / "spool") in words:
                os.kill(int(entry.name), signal.SIGKILL)
                until(lambda pid=entry.name: not lives(pid))


def leader(site, attempt):
    state = (site.root / f"spool/000001-{attempt}/state").read_text()
    lines = [json.loads(line) for line in state.splitlines() if line]
    return next((line["pid"] for line in lines if "pid" in line), None)


def kill_wrapper(site, attempt):
    until(lambda: leader(site, attempt) is not None)
    os.kill(leader(site, attempt), signal.SIGKILL)


@pytest.mark.parametrize("restarted", [False, True], ids=["", "and-the-server"])
@pytest.mark.parametrize("orphaned", [False, True], ids=["", "and-the-keeper"])
def test_a_wrapper_s_child_is_waited_for_before_the_next_attempt_and_ended_by_a_cancel(
    site, orphaned, restarted
):
    site.write("rules.yaml", RULES)
    site.write("wrapper", WRAPPER).chmod(0o755)
    site.run("reload")
    link = site.link()
    link.send(event("VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00017 ref=w'"))
    children = []
    for attempt in (1, 2):
        until(lambda number=attempt: len(site.record) == number)
        assert site.record[-1][0] == str(attempt)
        children.append(int(site.record[-1][1]))
        if orphaned:
            kill_keeper(site)
        told = len(site.log)
        kill_wrapper(site, attempt)
        if restarted:
            site.stop(signal.SIGKILL)
            told = len(site.log)
            site.start()
        until(lambda told=told: LEFT in site.log[told:])
        assert len(site.record) == attempt
        assert lives(children[-1])
        if attempt == 1:
            os.kill(children[-1], signal.SIGKILL)
    site.run("cancel", "--job", "1")
    until(lambda: site.json("job", "1")["state"] == "cancelled")
    assert not any(lives(child) for child in children)
    assert len(site.record) == 2
