"""A site of version 0.1 is upgraded: its tapes, its copies, its jobs and its history."""

import os
import signal
import sqlite3
import time
from contextlib import closing

import pytest

from tests.harness.released import Program, content, settle
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
    families: [DSK, RST, IDR, Erase, Delete, Restore, Status, Cancel]
rules: [rules.yaml]
"""

APPLICATION = """#!/bin/sh
copy="{root}/copies/$3"
[ ! -d "$copy" ] || copy="$copy/$(basename "${{4:-$2}}")"
case "$1" in
query) exec test -e "$copy" ;;
read) exec sha256sum "$copy" ;;
archive)
    echo "$2" >> "{root}/record"
    while [ -e "{root}/gate" ]; do sleep 0.05; done
    cp -r "$2" "{root}/copies/$3" ;;
restore)
    cp "$copy" "$2"
    while [ -e "{root}/gate" ]; do sleep 0.05; done ;;
esac
"""

RULES = """
applications:
  DSK: {{title: a script, seats: 1, outcome: {{0: completed, default: failed}}READ}}
  RST: {{title: a script that copies pools, outcome: {{0: completed, default: failed}}READ}}
  IDR: {{title: a script that is not asked, outcome: {{0: completed, default: failed}}}}
rules:
  - rule: the site's script
    when: {{family: DSK, operation: archive}}
    run: [{root}/application, archive, "{{path}}", "{{handle}}"]
    verify: [{root}/application, query, "{{path}}", "{{handle}}"]
    then: migrated
  - rule: whole pools
    when: {{family: RST}}
    run: [{root}/application, archive, "{{path}}", "{{handle}}"]
    verify: [{root}/application, query, "{{path}}", "{{handle}}"]
    each: pool
    then: migrated
  - rule: copied and not asked for
    when: {{family: IDR}}
    run: [{root}/application, archive, "{{path}}", "{{handle}}"]
    then: migrated
  - rule: the site's script brings it back
    application: DSK
    when: {{family: Restore}}
    run: [{root}/application, restore, "PLACE", "{{handle}}", "{{source}}"]
    then: restored
  - {{rule: empty, when: {{family: Erase}}, then: erased}}
  - {{rule: remove, when: {{family: Delete}}, then: deleted}}
"""

OLD = RULES.replace("READ", "").replace("PLACE", "{{path}}")  # as the site had them under 0.1
READ = (
    ", read_back: {{run: [{root}/application, read, '{{path}}', '{{handle}}'],"
    " read: {{digest: '^([0-9a-f]{{64}})'}}}}"
)
NEW = RULES.replace("READ", READ).replace("PLACE", "{{target}}")


class Upgraded(Site):
    """The site; commands are given as its host gives them."""

    columns = "200"

    def __init__(self, root):
        super().__init__(root)
        self.write("vtspolicy.yaml", CONFIGURATION)
        self.write("rules.yaml", OLD)
        self.write("application", APPLICATION).chmod(0o755)
        self.number = 0

    def rules(self, text):
        self.write("rules.yaml", text)
        self.run("reload")

    def do(self, text):
        """Give a command; return the word of its end and the reason, or the refusal's."""
        self.number += 1
        ref = f"z{self.number}"
        text = f"{text[:-1]} ref={ref}'" if text.endswith("'") else f"{text} ref={ref}"
        link = self.link()
        link.send(event(text, number=self.number))
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            for notice in link.notices:
                if notice.fields.get("ref") == ref and notice.word.name in ENDS:
                    link.close()
                    return notice.word.name, notice.fields.get("reason", "")
            link.socket.settimeout(TIMEOUT)
            link.take(link.socket.recv(65536))
        raise AssertionError(f"{text}: {link.notices}")

    def done(self, text):
        """Give a command that has to succeed."""
        word, reason = self.do(text)
        assert word == "COMPLETED", reason

    def path(self, cartridge, pool="PAYROLL"):
        return self.root / "VAULT01" / pool / cartridge

    def tape(self, cartridge):
        (found,) = self.json("tapes", cartridge)["tapes"]
        return found

    def ask(self, query, *values):
        with closing(sqlite3.connect(self.root / "ledger.db")) as db:
            return db.execute(query, values).fetchall()


ENDS = {
    *("COMPLETED", "WARNING", "FAILED", "CANCELLED", "TIMEDOUT", "INTERRUPTED"),
    *("REJECTED", "DENIED", "NORULE"),
}


def until(holds):
    end = time.monotonic() + TIMEOUT
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The released program."""
    return Program(tmp_path_factory.mktemp("released"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The upgraded site: the new server runs, and has looked at all tapes."""
    site = Upgraded(tmp_path_factory.mktemp("site"))
    ledger = settle(site)
    with closing(sqlite3.connect(ledger)) as db:
        site.before = db.execute("SELECT * FROM transitions ORDER BY id").fetchall()
        site.finals = db.execute(
            "SELECT id FROM notices WHERE word BETWEEN 1300 AND 1399"
        ).fetchall()
        (site.last_job,) = db.execute("SELECT max(id) FROM jobs").fetchone()
    for touched in ("A00002", "A00005"):  # 0.1 restored the second one after its copy
        site.path(touched).chmod(0o600)
    tape = site.path("A00012")  # while no server runs
    times = tape.stat().st_mtime_ns
    tape.write_bytes(content("A00012").replace(b"A", b"X"))
    os.utime(tape, ns=(times + 10**10, times + 10**10))
    site.start()
    until(lambda: not site.ask("SELECT 1 FROM jobs WHERE finished IS NULL"))
    site.run("tapes", "--scan")
    yield site
    site.close()


@pytest.fixture
def old(site):
    """The site with its rules of 0.1, which cannot read a copy back."""
    site.rules(OLD)
    return site


@pytest.fixture
def new(site):
    """The site with rules that read copies back, and restore to another place."""
    site.rules(NEW)
    return site


def test_what_0_1_knew_of_the_tapes_is_known(site):
    states = {each["cartridge"]: each["state"] for each in site.json("tapes")["tapes"]}
    expected = {
        **dict.fromkeys(("A00001", "A00002", "A00005", "A00008", "A00009", "A00014"), "migrated"),
        **dict.fromkeys(("A00018", "B00001", "B00002"), "migrated"),
        **dict.fromkeys(("A00003", "A00007", "A00012", "A00013"), "written"),
        **dict.fromkeys(("A00004", "A00006", "A00016"), "erased"),
        **dict.fromkeys(("A00011", "A00015"), "scratch"),
        "A00010": "deleted",
    }
    assert {name: states[name] for name in expected} == expected


def test_tapes_that_need_more_than_a_query_are_listed(site):
    rows = site.json("tapes", "--unproven")["tapes"]
    listed = {each["cartridge"] for each in rows}
    assert {"A00002", "A00005", "A00008", "A00003", "A00012", "A00013"} <= listed
    assert not {"A00001", "A00004", "A00014", "A00018", "B00001", "B00002"} & listed


@pytest.mark.parametrize(
    ("cartridge", "words"),
    [
        ("A00001", "its query has to find it"),
        ("A00002", "touched after that began"),
        ("A00003", "the tape was written after it was made"),
        ("A00008", "when it began is not known"),
    ],
)
def test_a_tape_s_page_says_what_its_copy_lacks(site, cartridge, words):
    assert words in " ".join(site.run("tapes", cartridge).stdout.split())


def test_the_verdict_says_why_a_touched_tape_is_kept(site):
    rows = site.json("tapes", "--verdict")["tapes"]
    reasons = {each["cartridge"]: each["verdict"]["reason"] for each in rows}
    assert "its data has to be read back: it was made by version 0.1" in reasons["A00002"]
    assert "0.1" not in reasons["A00001"]


def test_an_untouched_tape_is_erased_once_its_copy_is_found_and_comes_back(old):
    tape = old.path("A00001")
    old.done("VTSPolicy Erase - A00001")
    assert tape.stat().st_size == 0
    old.done("VTSPolicy Restore - A00001")
    assert tape.read_bytes() == content("A00001")
    old.done("VTSPolicy Erase - A00001")
    old.done("VTSPolicy Restore - A00001")


def test_a_copy_that_is_not_found_allows_no_erase(old):
    (old.root / "copies" / old.tape("A00018")["handle"]).unlink()
    word, reason = old.do("VTSPolicy Erase - A00018")
    assert (word, old.path("A00018").read_bytes()) == ("FAILED", content("A00018"))
    assert "A00018" in reason


def test_a_copy_of_an_application_that_cannot_be_asked_allows_no_erase(old):
    assert old.do("VTSPolicy Erase - A00014")[0] == "FAILED"
    assert old.path("A00014").read_bytes() == content("A00014")


@pytest.mark.parametrize("cartridge", ["A00002", "A00005", "A00008"])
def test_a_touched_restored_or_marked_tape_is_erased_after_its_data_was_read_back(site, cartridge):
    tape, copy = site.path(cartridge), site.root / "copies" / site.tape(cartridge)["handle"]
    site.rules(OLD)
    word, reason = site.do(f"VTSPolicy Erase - {cartridge}")
    assert (word, tape.stat().st_size) == ("FAILED", 7000)
    assert "version 0.1" in reason
    site.rules(NEW)
    good = copy.read_bytes()
    copy.write_bytes(b"not what is on the tape")
    assert site.do(f"VTSPolicy Erase - {cartridge}")[0] == "FAILED"
    assert tape.stat().st_size == 7000
    copy.write_bytes(good)
    site.done(f"VTSPolicy Erase - {cartridge}")
    site.done(f"VTSPolicy Restore - {cartridge}")
    assert tape.read_bytes() == content(cartridge)


@pytest.mark.parametrize("cartridge", ["A00003", "A00012"])
def test_a_tape_written_after_its_copy_is_neither_erased_nor_overwritten(new, cartridge):
    was = new.path(cartridge).read_bytes()
    assert "written" in new.do(f"VTSPolicy Erase - {cartridge}")[1]
    assert "overwrite" in new.do(f"VTSPolicy Restore - {cartridge}")[1]
    assert new.path(cartridge).read_bytes() == was
    new.done(f"VTSPolicy DSK 'archive /VAULT01/PAYROLL/{cartridge}'")
    new.done(f"VTSPolicy Erase - {cartridge}")
    new.done(f"VTSPolicy Restore - {cartridge}")
    assert new.path(cartridge).read_bytes() == was


@pytest.mark.parametrize("rules", [OLD, NEW], ids=["in-place", "exchanged"])
def test_erased_tapes_come_back(site, rules):
    site.rules(rules)
    cartridge = "A00004" if rules == OLD else "A00016"
    site.done(f"VTSPolicy Restore - {cartridge}")
    assert site.path(cartridge).read_bytes() == content(cartridge)


def test_half_a_tape_is_neither_archived_nor_erased_and_comes_back_whole(old):
    tape = old.path("A00006")
    assert "half-restored" in old.do("VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00006'")[1]
    assert "half-restored" in old.do("VTSPolicy Erase - A00006")[1]
    assert tape.stat().st_size == 3000
    old.done("VTSPolicy Restore - A00006")
    assert tape.read_bytes() == content("A00006")


def test_an_override_that_was_given_within_a_day_counts_once(old):
    tape = old.path("A00007")
    old.done("VTSPolicy Erase - A00007")
    tape.write_bytes(b"new data")
    assert old.do("VTSPolicy Erase - A00007")[0] == "FAILED"
    assert tape.read_bytes() == b"new data"


def test_a_moved_tape_is_erased_only_if_a_restore_can_bring_it_to_its_new_place(site):
    tape = site.path("A00009", "ARCHIVE")
    site.rules(OLD)
    assert "moved" in site.do("VTSPolicy Erase - A00009")[1]
    site.rules(NEW)
    site.done("VTSPolicy Erase - A00009")
    site.done("VTSPolicy Restore - A00009")
    assert tape.read_bytes() == content("A00009")
    assert not site.path("A00009").exists()


def test_a_deleted_tape_is_deleted_and_comes_back(old):
    word, reason = old.do("VTSPolicy Delete - A00010")
    assert (word, "deleted before" in reason) == ("COMPLETED", True)
    old.done("VTSPolicy Restore - A00010")
    assert old.path("A00010").read_bytes() == content("A00010")


def test_a_tape_that_an_override_emptied_does_not_come_back(old):
    word, reason = old.do("VTSPolicy Restore - A00015")
    assert (word, "no copy of it is recorded" in reason) == ("FAILED", True)
    old.done("VTSPolicy Erase - A00011")


@pytest.mark.parametrize("rules", [OLD, NEW], ids=["old", "new"])
def test_each_tape_of_a_pool_that_was_copied_whole_can_be_erased_and_comes_back(site, rules):
    cartridge = "B00001" if rules == OLD else "B00002"
    site.rules(rules.replace("application: DSK", "application: RST"))
    site.done(f"VTSPolicy Erase - {cartridge}")
    site.done(f"VTSPolicy Restore - {cartridge}")
    assert site.path(cartridge, "POOL1").read_bytes() == content(cartridge)


def test_jobs_that_waited_are_run_and_each_request_ends_once(site):
    ends = dict(
        site.ask(
            "SELECT ref, state FROM requests WHERE ref IN ('last20', 'last21', 'last22')",
        )
    )
    # The spool of the first one is gone with its machine, and its application cannot be sure.
    assert ends == {"last20": "interrupted", "last21": "completed", "last22": "completed"}
    assert [line.rpartition("/")[2] for line in (site.root / "record").read_text().split()][:2] == [
        "A00021",
        "A00022",
    ]
    finals = "SELECT id FROM notices WHERE word BETWEEN 1300 AND 1399 ORDER BY id LIMIT ?"
    assert site.ask(finals, len(site.finals)) == site.finals


def test_numbers_and_handles_continue_and_the_history_stays(new):
    new.done("VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00013'")
    (number,) = new.ask("SELECT max(id) FROM jobs")[0]
    assert number > new.last_job
    handles = [handle for (handle,) in new.ask("SELECT handle FROM copies WHERE pool <> 'POOL1'")]
    assert len(handles) == len(set(handles))
    history = new.ask("SELECT * FROM transitions ORDER BY id LIMIT ?", len(new.before))
    assert history == new.before


def test_a_job_that_0_1_ran_again_is_known_to_be_the_same_work(site):
    ((first, again),) = site.ask("SELECT again, id FROM requests WHERE again IS NOT NULL")
    assert again == first + 1


def test_the_ledger_can_be_copied(new, tmp_path):
    new.run("backup-ledger", tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA user_version").fetchone() == (len(migrations("sqlite")),)


def test_the_released_program_refuses_the_ledger_and_leaves_it_alone(program, tmp_path):
    site = Upgraded(tmp_path)
    settle(site)
    site.start()
    site.stop()
    site.write("vtspolicy.yaml", CONFIGURATION.replace(", plain: true", ""))
    was = (tmp_path / "ledger.db").read_bytes()
    refused = program.run(site, "serve")
    assert refused.returncode == 2
    assert "newer version" in refused.stderr
    assert "newer version" in program.run(site, "jobs").stderr
    assert (tmp_path / "ledger.db").read_bytes() == was


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_copy_that_the_released_program_has_begun_ends_under_the_new_one(program, tmp_path, how):
    site = Upgraded(tmp_path)
    site.write("vtspolicy.yaml", CONFIGURATION.replace(", plain: true", ""))
    site.tapes("PAYROLL", "A00020", "A00021")
    site.hold()
    program.serve(site)
    until(lambda: _answers(site))
    host = site.link()
    for number in (20, 21):
        text = f"VTSPolicy DSK 'archive /VAULT01/PAYROLL/A000{number} ref=r{number}'"
        host.send(event(text, number=number))
    host.wait("ACCEPTED", ref="r21")
    until((site.root / "record").exists)
    site.stop(how)
    host.close()
    site.write("vtspolicy.yaml", CONFIGURATION)
    site.start()
    host = site.link()
    assert "1 running and 1 waiting" in site.log
    host.send("VTSPolicy Status - 1\n")
    host.wait("STATUS")
    assert not [notice for notice in host.notices if notice.word.name in ENDS]
    site.let_go()
    for ref in ("r20", "r21"):
        assert host.wait("COMPLETED", ref=ref)
    assert len(site.record) == 2
    word, reason = site.do("VTSPolicy Erase - A00020")
    assert (word, "its keeper did not see" in reason) == ("FAILED", True)
    assert site.path("A00020").stat().st_size
    (copy,) = site.tape("A00020")["copies"]
    assert copy["proof"] == "recorded"
    site.done("VTSPolicy Erase - A00021")
    site.rules(NEW)
    site.done("VTSPolicy Erase - A00020")
    finals = site.ask("SELECT request FROM notices WHERE word BETWEEN 1300 AND 1399")
    assert len(finals) == len(set(finals))
    site.close()


def test_a_tape_that_the_released_program_is_bringing_back_is_proven_by_its_data_only(
    program, tmp_path
):
    site = Upgraded(tmp_path)
    site.write("vtspolicy.yaml", CONFIGURATION.replace(", plain: true", ""))
    site.tapes("PAYROLL", "A00020")
    was = site.path("A00020").read_bytes()
    program.serve(site)
    until(lambda: _answers(site))
    site.done("VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00020'")
    site.done("VTSPolicy Erase - A00020")
    site.hold()
    host = site.link()
    host.send(event("VTSPolicy Restore - A00020 ref=back", number=99))
    until(lambda: site.path("A00020").stat().st_size)
    site.stop()
    site.write("vtspolicy.yaml", CONFIGURATION)
    site.start()
    assert site.tape("A00020")["restoring"] is not None
    host = site.link()
    host.send("VTSPolicy Status - 1\n")
    host.wait("STATUS")
    site.let_go()
    host.wait("COMPLETED", ref="back")
    assert site.path("A00020").read_bytes() == was
    refused = site.do("VTSPolicy Erase - A00020")[1]
    assert "the tape was not looked at when its restore ended" in refused
    site.rules(NEW)
    site.done("VTSPolicy Erase - A00020")
    site.done("VTSPolicy Restore - A00020")
    assert site.path("A00020").read_bytes() == was
    site.close()


def _answers(site):
    try:
        site.link().close()
    except OSError:
        return False
    return True


def test_the_way_back_is_the_ledger_as_it_was_copied_before(program, tmp_path):
    site = Upgraded(tmp_path)
    old = CONFIGURATION.replace(", plain: true", "")
    site.write("vtspolicy.yaml", old)
    site.tapes("PAYROLL", "A00020", "A00021", "A00022")
    program.serve(site)
    until(lambda: _answers(site))
    site.done("VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00020'")
    copied = program.run(site, "backup-ledger", str(tmp_path / "copy.db"))
    assert copied.returncode == 0, copied.stderr
    site.stop()

    site.write("vtspolicy.yaml", CONFIGURATION)
    site.start()
    site.done("VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00021'")
    site.stop()

    for part in tmp_path.glob("ledger.db*"):
        if part.suffix != ".lock":
            part.rename(tmp_path / f"away.{part.name}")
    (tmp_path / "copy.db").rename(tmp_path / "ledger.db")
    site.write("vtspolicy.yaml", old)
    program.serve(site)
    until(lambda: _answers(site))
    site.done("VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00022'")
    rows = site.ask("SELECT path FROM tapes WHERE handle IS NOT NULL ORDER BY path")
    assert [path[-6:] for (path,) in rows] == ["A00020", "A00022"]
    assert len(site.record) == len(list((tmp_path / "copies").iterdir())) == 3  # no handle again
    site.stop()
    site.close()
