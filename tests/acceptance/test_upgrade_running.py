"""A server from before engine and ledger were divided is replaced while its jobs run and wait."""

import signal
import sqlite3
import time
from contextlib import closing

import pytest

from tests.harness.released import Program
from tests.harness.site import TIMEOUT, Site, event
from vtspolicy.ledger.sql import migrations

CONFIGURATION = r"""
node: vts1.example.com
listen:
  - {{endpoint: "tcp:port={port}:interface=127.0.0.1", format: auto, plain: true}}
ledger: sqlite:///{root}/ledger.db
spool: {root}/spool
web: "tcp:port={web}:interface=127.0.0.1"
vaults: {{VAULT01: {root}/VAULT01}}
hosts:
  NSK1:
    peers: [127.0.0.1]
    systems: ['\NSK1']
    vaults: [VAULT01]
    families: [DSK, RST, IDR, HPD, Erase, Delete, Restore, Status, Cancel]
rules: [rules.yaml]
"""

APPLICATION = """#!/bin/sh
# Copies a tape, or the tapes of a pool; waits for the file "gate" to go once it has begun.
copy="{root}/copies/$3"
[ ! -d "$copy" ] || copy="$copy/$(basename "${{4:-$2}}")"
case "$1" in
query) exec test -e "$copy" ;;
read) exec sha256sum "$copy" ;;
esac
echo "$1 $(basename "$2")" >> "{root}/record"
case "$1" in
archive)
    while [ -e "{root}/gate" ]; do sleep 0.05; done
    cp -r "$2" "{root}/copies/$3" ;;
fail)
    [ -e "{root}/failed" ] || {{ : > "{root}/failed"; exit 9; }} ;;
restore)
    head -c 3000 "$copy" > "$2"
    while [ -e "{root}/gate" ]; do sleep 0.05; done
    cat "$copy" > "$2" ;;
esac
"""

RULES = """
applications:
  DSK:
    title: copies single tapes
    seats: 4
    outcome: {{0: completed, default: failed}}
    read_back: {{run: [{root}/application, read, "{{path}}", "{{handle}}"],
                 read: {{digest: '^([0-9a-f]{{64}})'}}}}
  RST: {{title: copies pools, outcome: {{0: completed, default: failed}}}}
  IDR: {{title: fails at first, outcome: {{0: completed, default: failed}}}}
  HPD: {{title: has one seat, seats: 1, outcome: {{0: completed, default: failed}}}}
rules:
  - rule: one tape
    when: {{family: DSK}}
    run: [{root}/application, archive, "{{path}}", "{{handle}}"]
    verify: [{root}/application, query, "{{path}}", "{{handle}}"]
    then: migrated
  - rule: a pool
    when: {{family: RST}}
    run: [{root}/application, archive, "{{path}}", "{{handle}}"]
    each: pool
    then: migrated
  - rule: again after a while
    when: {{family: IDR}}
    run: [{root}/application, fail, "{{path}}", "{{handle}}"]
    retry: {{attempts: 3, delay: 8s}}
  - rule: one after the other
    when: {{family: HPD}}
    run: [{root}/application, archive, "{{path}}", "{{handle}}"]
    then: migrated
  - rule: bring it back in place
    application: DSK
    when: {{family: Restore, pool: OLD}}
    run: [{root}/application, restore, "{{path}}", "{{handle}}"]
    then: restored
  - rule: bring it back
    application: DSK
    when: {{family: Restore}}
    run: [{root}/application, restore, "{{target}}", "{{handle}}"]
    then: restored
  - {{rule: empty, when: {{family: Erase}}, then: erased}}
  - {{rule: remove, when: {{family: Delete}}, then: deleted}}
"""

COMMANDS = {  # by the reference of its request: what is under way when the server is replaced
    "copying": "VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00001 ref=copying'",
    "pool": "VTSPolicy RST 'archive /VAULT01/POOL1 ref=pool'",
    "retrying": "VTSPolicy IDR 'archive /VAULT01/PAYROLL/A00002 ref=retrying'",
    "seated": "VTSPolicy HPD 'archive /VAULT01/PAYROLL/A00003 ref=seated'",
    "queued": "VTSPolicy HPD 'archive /VAULT01/PAYROLL/A00004 ref=queued'",
    "cancelled": "VTSPolicy HPD 'archive /VAULT01/PAYROLL/A00005 ref=cancelled'",
    "restoring": "VTSPolicy Restore - A00010 ref=restoring",
    "in-place": "VTSPolicy Restore - B00010 ref=in-place",
}
BEGUN = 6  # programs that the earlier server has started: all but those of queued and cancelled


class Replaced(Site):
    """A site whose server is of an earlier program at first."""

    def __init__(self, root):
        super().__init__(root)
        self.write("vtspolicy.yaml", CONFIGURATION)
        self.write("rules.yaml", RULES)
        self.write("application", APPLICATION).chmod(0o755)
        self.tapes("PAYROLL", *(f"A0000{number}" for number in range(1, 6)), "A00010")
        self.tapes("POOL1", "P00001", "P00002")
        self.tapes("OLD", "B00010")

    def ask(self, query, *values):
        with closing(sqlite3.connect(self.root / "ledger.db")) as db:
            return db.execute(query, values).fetchall()

    def path(self, name):
        (found,) = self.root.glob(f"VAULT01/*/{name}")
        return found


def until(holds):
    end = time.monotonic() + TIMEOUT
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def answers(site):
    assert site.server.poll() is None, site.log
    try:
        site.link().close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The program of before."""
    return Program(tmp_path_factory.mktemp("before"), "vtspolicy-before-parts")


@pytest.fixture
def under_way(program, tmp_path):
    """A site whose earlier server has begun everything, and waits."""
    site = Replaced(tmp_path)
    program.serve(site)
    until(lambda: answers(site))
    host = site.link()
    for number, (tape, pool) in enumerate((("A00010", "PAYROLL"), ("B00010", "OLD")), 100):
        host.send(
            event(f"VTSPolicy DSK 'archive /VAULT01/{pool}/{tape} ref=c{number}'", number=number)
        )
        host.wait("COMPLETED", ref=f"c{number}")
        host.send(event(f"VTSPolicy Erase - {tape} ref=e{number}", number=number + 50))
        host.wait("COMPLETED", ref=f"e{number}")
    (site.root / "record").unlink()
    site.hold()
    for number, (ref, text) in enumerate(COMMANDS.items(), 200):
        host.send(event(text, number=number))
        host.wait("ACCEPTED", ref=ref)
    until(lambda: len(site.record) == BEGUN)
    until(lambda: "is repeated" in site.log)
    host.close()
    yield site
    site.close()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_what_an_earlier_server_has_begun_ends_once_and_well(under_way, how):
    site = under_way
    ((last,),) = site.ask("SELECT max(id) FROM requests")
    site.stop(how)
    site.start()
    host = site.link()
    host.send(event("VTSPolicy Cancel - ref=cancelled", number=300))
    host.wait("CANCELLED", ref="cancelled")
    host.wait("COMPLETED", ref="retrying")
    assert site.path("B00010").stat().st_size == 3000
    assert site.path("A00010").stat().st_size == 0
    site.let_go()
    for ref in COMMANDS.keys() - {"cancelled", "retrying"}:
        host.wait("COMPLETED", ref=ref)
    finals = site.ask("SELECT request FROM notices WHERE word BETWEEN 1300 AND 1399")
    assert len(finals) == len(set(finals))
    starts = [" ".join(words) for words in site.record]
    assert starts.count("fail A00002") == 2
    starts.remove("fail A00002")
    assert len(starts) == len(set(starts)) == len(COMMANDS) - 1  # the cancelled one never began
    for tape in ("A00010", "B00010"):
        assert site.path(tape).read_bytes() == f"{tape} ".encode() * 1000
    host.send(event("VTSPolicy Erase - A00001 ref=after", number=301))
    host.wait("COMPLETED", ref="after")
    ((number,),) = site.ask("SELECT id FROM requests WHERE ref = 'after'")
    assert number > last
    assert site.ask("PRAGMA user_version") == [(len(migrations("sqlite")),)]
    assert site.json("why", "1")["request"]
