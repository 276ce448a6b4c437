"""README and tutorial, word for word: what they say is what happens."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.harness.ports import free_ports
from tests.harness.site import VTSPOLICY

ROOT = Path(__file__).parents[2]


def blocks(text, heading):
    """The shell blocks of a page from a heading on, as one script."""
    part = text[text.index(heading) :]
    part = part[: end.start()] if (end := re.search(r"\n## How a host", part)) else part
    return "\n".join(re.findall(r"^```sh\n(.*?)^```$", part, re.MULTILINE | re.DOTALL))


BEGIN = """set -eum
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
trap 'exit 1' TERM
"""


def play(script, tmp_path, folder):
    """Run a script in a folder and on ports of its own; return what it printed."""
    first, second = free_ports(2)
    script = script.replace(folder, str(tmp_path / "site"))
    ports = {"7171": str(first), "7180": str(second)}
    script = re.sub("7171|7180", lambda found: ports[found[0]], script)
    script = script.replace(". .venv/bin/activate\n", "")
    said = tmp_path / "said"
    with said.open("wb") as out:
        shell = subprocess.Popen(
            ["bash", "-c", BEGIN + script],
            stdout=out,
            stderr=out,
            cwd=tmp_path,
            env=os.environ | {"PATH": f"{VTSPOLICY.parent}:{os.environ['PATH']}", "COLUMNS": "140"},
        )
        try:
            code = shell.wait(300)
        except subprocess.TimeoutExpired:
            shell.terminate()  # which ends the server, too
            code = shell.wait(60)
    if code == 0:
        return said.read_text()
    log = tmp_path / "site" / "server.log"
    raise AssertionError(said.read_text() + (log.read_text() if log.exists() else ""))


@pytest.mark.programs  # nc
def test_the_five_minutes_of_the_readme(tmp_path):
    script = blocks((ROOT / "README.md").read_text("utf-8"), "## Five minutes")
    said = play(script, tmp_path, "/tmp/try")
    assert "no problems" in said
    assert re.search(r"ACCEPTED +req=1 .*ref=first", said)
    assert re.search(r"COMPLETED +req=1 .*ref=first", said)
    assert "COMPLETED req=2 job=2 family=Erase" in said
    assert "COMPLETED req=3 job=3 family=Restore" in said
    assert "decided by rule 1, archive to disk" in said


def test_the_tutorial(tmp_path):
    script = blocks((ROOT / "docs/tutorial/first-night.md").read_text("utf-8"), "# Run a night")
    said = play(script, tmp_path, "/tmp/night")
    assert re.search(r"COMPLETED +req=1 .*ref=one", said)
    assert re.search(r"FAILED +req=2 .*ref=two .*exit code 4, which the table does not list", said)
    assert "the tape is nearly full" in said
    assert re.search(r"WARNING +req=3 .*ref=again", said)
    assert "Recovered 1 running and 0 waiting jobs." in said
    assert not (tmp_path / "site").exists()
