"""A spool that is another ledger's: its runs are not taken for our own, with any numbers."""

import subprocess

import pytest

from tests.harness.station import VTSPOLICY, Station
from vtspolicy.exit_codes import Exit

SITE = """
applications:
  APP: {{seats: 1, outcome: {{0: completed, default: failed}}}}
rules:
  - rule: note it
    when: {{family: DSK, operation: archive}}
    application: APP
    run: ["/bin/sh", "-c", "echo $1 >> {root}/record", "sh", "{{cartridge}}"]
    verify: none
"""


@pytest.fixture
def stations(tmp_path):
    made = []
    for name in ("one", "other"):
        root = tmp_path / name
        root.mkdir()
        made.append(Station(root, site=SITE.format(root=root), tables=["dsk"]))
        made[-1].tape("P", "T00001")
    made[0].start()
    yield made
    for each in made:
        each.stop()


def refused(station, code):
    """Have a server start that must not; return what it says, and compare its exit code."""
    command = [VTSPOLICY, "serve", "--config", station.root / "vtspolicy.yaml"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == code, ended.stderr
    return ended.stderr


def test_no_server_starts_in_the_spool_of_another_ledger(stations):
    one, other = stations
    archive = "VTSPolicy DSK 'archive /VAULT01/P/T00001'"
    assert one.command(archive).word.name == "COMPLETED"
    spool, own = one.root / "spool", other.root / "spool"
    mark = (spool / "ledger.mark").read_text()
    config = other.root / "vtspolicy.yaml"
    config.write_text(config.read_text().replace(f"spool: {own}", f"spool: {spool}"))

    assert "another server keeps its runs there" in refused(other, Exit.NOT_STARTED)
    one.stop()
    assert f"the runs there belong to {mark.strip()}, and this one is" in refused(other, Exit.USAGE)
    assert (spool / "ledger.mark").read_text() == mark

    config.write_text(config.read_text().replace(f"spool: {spool}", f"spool: {own}"))
    other.start()
    assert other.command(archive).word.name == "COMPLETED"
    assert (other.root / "record").read_text() == "T00001\n"  # by its own program
