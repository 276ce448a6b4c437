"""The life of a virtual tape through the real server: archived, emptied, mounted, brought back."""

import signal
import sqlite3
import time
from datetime import datetime
from urllib.request import urlopen

import pytest

from tests.harness.site import TIMEOUT, event

ARCHIVE = "VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00017 r=14,d ref=copy'"


def mount(seq="0412", volume="A00017", *, at="26-11-22 03:00:00", number=600, words="WITH RING"):
    """A host asks for a tape."""
    return (
        f"{at} \\NSK1.02,171 TANDEM.TAPE.L01 {number:06d} $ZSVR: {seq} MOUNT {volume}"
        f" ON $TAPE0 {words}\n"
    )


def closed(seq="0412", volume="A00017", *, at="26-11-22 03:01:00"):
    """The host has mounted it."""
    header = f"{at} \\NSK1.02,171 TANDEM.TAPE.L01 000648"
    return f"{header} $ZSVR: {seq} VOLUME {volume} MOUNTED\n"


@pytest.fixture
def tape(site):
    return site.root / "VAULT01/PAYROLL/A00017"


def archived(site, link, erase=True):
    """Archive A00017, and empty it."""
    link.send(event(ARCHIVE))
    link.wait("COMPLETED", ref="copy")
    if erase:
        link.send("VTSPolicy Erase - A00017 ref=empty\n")
        link.wait("COMPLETED", ref="empty")


def until(look, seconds=TIMEOUT):
    """Wait until something is so; return what it is."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "it never came to be so"
        time.sleep(0.05)
    return found


def shown(site, name="/VAULT01/PAYROLL/A00017", *more):
    """One tape as the catalogue has it."""
    (found,) = site.json("tapes", name, *more)["tapes"]
    return found


# -- mounts


def test_a_mount_of_an_emptied_tape_brings_it_back_on_its_own(site, tape):
    content = tape.read_bytes()
    link = site.link()
    archived(site, link)
    link.send(mount())
    ready = link.wait("MOUNTREADY", seq="0412")
    assert tape.read_bytes() == content
    assert ready.fields["tape"] == "/VAULT01/PAYROLL/A00017"
    found = shown(site)
    assert (found["state"], found["locked"]) == ("migrated", False)
    # Nobody on the host had asked for a restore: it hears of its mount only.
    assert "req" not in ready.fields
    assert link.notices[-1] == ready


def test_a_mount_of_a_tape_with_data_is_only_noted(site, tape):
    link = site.link()
    link.send(mount() + event(ARCHIVE))
    link.wait("COMPLETED", ref="copy")
    assert not [notice for notice in link.notices if notice.word.name.startswith("MOUNT")]
    assert [words[0] for words in site.record] == ["archive"]


def test_the_same_mount_shown_again_brings_nothing_back_twice(site, tape):
    link = site.link()
    archived(site, link)
    link.send(mount())
    link.wait("MOUNTREADY", seq="0412")
    tape.write_bytes(b"")
    link.send(mount() + event("VTSPolicy Status - 1"))
    link.wait("STATUS")
    assert [words[0] for words in site.record] == ["archive", "restore"]


def test_a_second_request_joins_the_first_and_both_are_answered(site, tape):
    link = site.link()
    archived(site, link)
    site.hold()
    link.send(mount())
    link.send(mount("0413", at="26-11-22 03:00:01"))
    until(lambda: site.json("status")["restores"] == 2)
    site.let_go()
    link.wait("MOUNTREADY", seq="0412")
    link.wait("MOUNTREADY", seq="0413")
    assert [words[0] for words in site.record] == ["archive", "restore"]


def test_a_request_that_the_host_closes_is_let_go(site, tape):
    link = site.link()
    archived(site, link)
    site.hold()
    link.send(mount())
    until(lambda: site.json("status")["restores"] == 1)
    assert shown(site)["locked"]
    link.send(closed())
    until(lambda: site.json("status")["restores"] == 0)
    site.let_go()
    until(lambda: tape.stat().st_size)
    link.send(mount("0500", "A00018"))
    link.send("VTSPolicy Status - 1\n")
    link.wait("STATUS")
    assert not [notice for notice in link.notices if notice.word.name.startswith("MOUNT")]


def test_a_restore_that_fails_is_reported_with_its_reason(site, tape):
    link = site.link()
    archived(site, link)
    for copy in (site.root / "copies").iterdir():
        copy.unlink()
    link.send(mount())
    failed = link.wait("MOUNTFAILED", seq="0412")
    assert "cannot stat" in failed.fields["reason"]
    found = shown(site)
    assert (found["state"], found["locked"]) == ("erased", False)


def test_a_mount_without_a_rule_for_its_restore_fails_at_once(site, tape):
    link = site.link()
    archived(site, link)
    text = (site.root / "rules.yaml").read_text().replace("family: Restore", "family: TSM")
    (site.root / "rules.yaml").write_text(text)
    site.run("reload")
    link.send(mount())
    assert "no rule" in link.wait("MOUNTFAILED", seq="0412").fields["reason"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_mount_outlives_the_server(site, tape, how):
    content = tape.read_bytes()
    link = site.link()
    archived(site, link)
    site.hold()
    link.send(mount())
    until(lambda: "restore" in [words[0] for words in site.record])
    site.stop(how)
    site.let_go()
    site.start()
    late = site.link()
    late.wait("MOUNTREADY", seq="0412")
    assert tape.read_bytes() == content
    assert not shown(site)["locked"]


def test_the_site_mounts_the_tape_itself_by_its_ready_program(site, tape):
    text = (site.root / "rules.yaml").read_text()
    ready = f'    ready: ["{site.root}/mounter", "{{cartridge}}", "{{drive}}", "{{seq}}"]\n'
    text = text.replace("    then: restored\n", f"    then: restored\n{ready}")
    (site.root / "rules.yaml").write_text(text)
    site.write("mounter", '#!/bin/sh\necho "$@" >> "{root}/mounted"\n').chmod(0o755)
    site.run("reload")
    link = site.link()
    archived(site, link)
    link.send(mount())
    link.wait("MOUNTREADY", seq="0412")
    assert (site.root / "mounted").read_text() == "A00017 $TAPE0 0412\n"


def test_an_unknown_tape_and_one_of_anothers_vault_are_left_alone(site, tape):
    link = site.link()
    link.send(mount("0001", "X99999") + "VTSPolicy Status - 1\n")
    link.wait("DENIED")
    assert site.json("status")["restores"] == 0
    assert len(link.notices) == 1


# -- the deletion gate


def refusal(site, name="A00017", verb="erase"):
    done = site.run(verb, name, "--wait", check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr


@pytest.mark.parametrize("verb", ["erase", "delete"])
def test_a_tape_without_a_copy_is_not_emptied(site, tape, verb):
    rule = "  - rule: remove a tape\n    when: {family: Delete}\n    then: deleted\n"
    (site.root / "rules.yaml").write_text((site.root / "rules.yaml").read_text() + rule)
    site.run("reload")
    assert "no copy of this tape is recorded" in refusal(site, verb=verb)
    assert tape.stat().st_size


def test_a_tape_that_was_written_after_its_copy_is_not_emptied(site, tape):
    archived(site, site.link(), erase=False)
    with tape.open("ab") as file:
        file.write(b"more")
    assert "written after" in refusal(site)


def test_a_copy_that_the_application_does_not_find_any_more_is_none(site, tape):
    archived(site, site.link(), erase=False)
    for copy in (site.root / "copies").iterdir():
        copy.unlink()
    assert "does not find its copy" in refusal(site)
    assert tape.stat().st_size


def test_a_copy_that_cannot_be_asked_for_allows_no_erase_and_is_not_lost(site, tape):
    archived(site, site.link(), erase=False)
    copies = site.root / "copies"
    copies.rename(site.root / "elsewhere")
    application = site.root / "application"
    text = application.read_text()
    application.write_text(text.replace("= query ] &&", "= query ] && exit 9 ||"))
    assert "cannot be asked for its copy" in refusal(site)
    assert tape.stat().st_size
    application.write_text(text)
    (site.root / "elsewhere").rename(copies)
    site.run("erase", "A00017", "--wait")


def test_a_copy_that_nothing_can_find_is_none(site, tape):
    text = (site.root / "rules.yaml").read_text()
    lines = [line for line in text.splitlines() if "verify:" not in line]
    (site.root / "rules.yaml").write_text("\n".join(lines) + "\n")
    site.run("reload")
    archived(site, site.link(), erase=False)
    assert "DSK has no query or verify in the rules table" in refusal(site)


def test_a_tape_that_a_process_has_open_is_not_emptied(site, tape):
    archived(site, site.link(), erase=False)
    with tape.open("rb"):
        assert "in use" in refusal(site)
    site.run("erase", "A00017", "--wait")


def test_a_locked_tape_is_not_emptied_until_an_operator_unlocks_it(site, tape):
    archived(site, site.link(), erase=False)
    site.stop()
    with sqlite3.connect(site.root / "ledger.db") as ledger:
        ledger.execute("UPDATE tapes SET locked = 1")
        ledger.execute(
            "INSERT INTO events (id, host, received, time, critical, action_needed, wire, text,"
            " actor) VALUES (99, 'NSK1', 1, '', 0, 0, 'ems', '', 'x')"
        )
        ledger.execute(
            "INSERT INTO mounts (id, host, seq, volume, path, state, opened)"
            f" VALUES (99, 'NSK1', '0001', 'A00017', '{tape}', 'restoring', 1)"
        )
    ledger.close()
    site.start()
    assert "locked" in refusal(site)
    site.run("release-lock", "/VAULT01/PAYROLL/A00017")
    site.run("erase", "A00017", "--wait")


def test_links_are_never_followed(site, tape):
    archived(site, site.link(), erase=False)
    outside = site.root / "outside"
    tape.rename(outside)
    tape.symlink_to(outside)
    assert "not a plain file" in refusal(site)
    tape.unlink()
    tape.hardlink_to(outside)
    # Its attributes have changed as well: an override lets that pass, and no second name.
    done = site.run("erase", "A00017", "--override", "a trial tape", "--wait", check=False)
    assert "one name" in done.stderr
    assert outside.stat().st_size


def test_an_operator_overrules_the_gate_for_one_tape_once_and_the_reason_is_kept(site, tape):
    site.run("erase", "A00018", "--override", "a trial tape", "--wait")
    assert not (tape.parent / "A00018").stat().st_size
    found = shown(site, "A00018")
    assert (found["state"], found["override"]) == ("scratch", None)
    (tape.parent / "A00018").write_bytes(b"new data")
    assert "no copy of this tape is recorded" in refusal(site, "A00018")
    with sqlite3.connect(site.root / "ledger.db") as ledger:
        told = ledger.execute("SELECT cause, actor FROM transitions WHERE subject LIKE 'tape %'")
        lines = told.fetchall()
    ledger.close()
    assert any("a trial tape" in cause and actor.startswith("operator") for cause, actor in lines)


def test_an_override_is_for_what_was_on_the_tape_then(site, tape):
    site.run("erase", "A00018", "--override", "a trial tape", "--wait")
    path = tape.parent / "A00019"
    site.run("drain")
    site.run("erase", "A00019", "--override", "a trial tape, too")
    path.write_bytes(b"written by a host meanwhile")
    site.run("drain", "--end")
    until(lambda: site.json("jobs", "--state", "failed")["jobs"])
    assert path.read_bytes() == b"written by a host meanwhile"


# -- operators


def test_an_operator_migrates_restores_and_deletes_by_the_same_rules(site, tape):
    rule = "  - rule: remove a tape\n    when: {family: Delete}\n    then: deleted\n"
    (site.root / "rules.yaml").write_text((site.root / "rules.yaml").read_text() + rule)
    site.run("reload")
    content = tape.read_bytes()
    done = site.run("migrate", str(tape), "--application", "DSK", "r=7,d", "--wait")
    assert "completed" in done.stdout
    job = site.json("job", "1")
    assert (job["host"], job["rule"]) == ("", "the site's script")
    assert "operator" in str(job["history"]) or "operator" in site.run("why", "1").stdout
    site.run("delete", "/VAULT01/PAYROLL/A00017", "--wait")
    assert not tape.exists()
    assert shown(site)["state"] == "deleted"
    site.run("restore", "A00017", "--wait")
    assert tape.read_bytes() == content


def test_a_host_restores_a_tape_whose_file_is_gone(site, tape):
    content = tape.read_bytes()
    link = site.link()
    archived(site, link, erase=False)
    tape.unlink()
    link.send("VTSPolicy Restore - A00017 ref=back\n")
    link.wait("COMPLETED", ref="back")
    assert tape.read_bytes() == content


def test_orders_end_with_the_exit_code_of_what_became_of_them(site, tape):
    assert (
        site.run("migrate", "PAYROLL/A00017", "--application", "DSK", check=False).returncode == 4
    )
    assert (
        site.run("migrate", "/VAULT01/PAYROLL", "--application", "RST", check=False).returncode == 4
    )
    other = site.run("erase", "/VAULT01/OTHER/A00017", check=False)
    assert (other.returncode, "/VAULT01/PAYROLL/A00017" in other.stderr) == (1, True)
    site.hold()
    late = (
        "migrate",
        "/VAULT01/PAYROLL/A00017",
        "--application",
        "DSK",
        "--wait",
        "--timeout",
        "0.2",
    )
    assert site.run(*late, check=False).returncode == 5
    site.let_go()
    site.stop()
    assert site.run("erase", "A00017", check=False).returncode == 6


def test_a_name_that_is_there_twice_is_reported_and_refused(site, tape):
    site.tapes("LEDGER", "A00017")
    done = site.run("tapes", "--scan")
    assert "A00017 is there more than once" in done.stderr
    assert "more than once" in site.run("status").stdout
    assert "more than once" in refusal(site)


def test_tapes_that_others_move_add_and_remove_are_noticed(site, tape):
    archived(site, site.link(), erase=False)
    (site.root / "VAULT01/LEDGER").mkdir()
    tape.rename(site.root / "VAULT01/LEDGER/A00017")
    (tape.parent / "A00018").unlink()
    (tape.parent / "A00020").write_bytes(b"new")
    noticed = {
        "/VAULT01/LEDGER/A00017": "migrated",
        "/VAULT01/PAYROLL/A00018": "deleted",
        "/VAULT01/PAYROLL/A00019": "written",
        "/VAULT01/PAYROLL/A00020": "written",
    }
    until(lambda: _by_name(site) == noticed)  # a scan may come between two of the changes


def _by_name(site):
    return {each["tape"]: each["state"] for each in site.json("tapes")["tapes"]}


def test_a_copy_that_the_application_made_itself_is_distinguished(site, tape):
    began = datetime.now().astimezone().isoformat()
    mark = ("mark", "migrated", str(tape), "--application", "DSK", "--handle")
    whole = ("--began", began, "--size", str(tape.stat().st_size))
    site.run(*mark, "theirs-0", *whole)
    found = shown(site, "A00017", "--verdict")
    assert (found["state"], found["by_us"], found["handle"]) == ("migrated", False, "theirs-0")
    reason = "its copy was not made by us, and only the cleanup asked for this"
    assert found["verdict"] == {"erase": False, "reason": reason}
    assert "does not find its copy" in refusal(site)
    (site.root / "copies/theirs-1").write_bytes(tape.read_bytes())
    site.run(*mark, "theirs-1")
    assert "it is not known when the copy began" in refusal(site)
    site.run(*mark, "theirs-1", *whole)
    site.run("erase", "A00017", "--wait")
    link = site.link()
    link.send(mount())
    link.wait("MOUNTREADY", seq="0412")


def test_a_mount_waits_for_the_applications_own_people(site, tape):
    text = (site.root / "rules.yaml").read_text().replace("family: Restore", "family: TSM")
    (site.root / "rules.yaml").write_text(text)
    site.run("reload")
    content = tape.read_bytes()
    tape.write_bytes(b"")
    size = str(len(content))
    mark = ("mark", "migrated", "A00017", "--application", "DSK", "--handle", "H")
    assert site.run(*mark, check=False).returncode == 1
    site.run(*mark, "--size", size)
    link = site.link()
    link.send(mount())
    until(lambda: site.json("status")["restores"] == 1)
    tape.write_bytes(content)
    site.run("mark", "restored", "A00017", "--application", "DSK")
    link.wait("MOUNTREADY", seq="0412")


# -- cleanup


def cleanup(site, **keys):
    hour = time.localtime().tm_hour
    given = {"hour": hour, "retention": "0s", "rest": "0s", **keys}
    lines = "".join(f"  {key}: {value}\n" for key, value in given.items())
    rules = site.root / "rules.yaml"
    rules.write_text(rules.read_text().split("cleanup:\n")[0] + "cleanup:\n" + lines)


def test_verdicts_tell_what_a_cleanup_would_do_and_why(site, tape):
    archived(site, site.link(), erase=False)
    cleanup(site)
    found = {each["tape"][-6:]: each for each in site.json("tapes", "--verdict")["tapes"]}
    assert found["A00017"]["verdict"]["reason"].startswith("not past retention until")
    assert found["A00018"]["verdict"]["reason"] == "no copy of this tape is recorded"
    cleanup(site, minimum="1G")
    assert shown(site, "A00017", "--verdict")["verdict"]["reason"] == "smaller than 1G"
    assert "smaller than 1G" in site.run("tapes", "--verdict").stdout


def test_tapes_are_counted_by_state_in_status_and_metrics(site, tape):
    archived(site, site.link())
    until(lambda: len(_by_name(site)) == 3)
    told = site.json("status")
    assert told["tapes"] == {"erased": 1, "written": 2}
    assert (told["tapes_bytes"], told["tapes_freed"]) == (14000, 7000)
    page = urlopen(f"http://127.0.0.1:{site.web}/metrics").read().decode()
    assert 'vtspolicy_tapes{state="erased"} 1.0' in page
    assert "vtspolicy_tapes_freed_bytes 7000.0" in page
    assert "vtspolicy_restores_waiting 0.0" in page


def test_the_shipped_disk_archive_goes_the_whole_way_twice(site, tape):
    places = f"applications:\n  DSK:\n    places: {{store: {site.root}/archive}}\n"
    (site.root / "site.yaml").write_text(places)
    config = site.root / "vtspolicy.yaml"
    rules = "rules: [site.yaml, shipped/dsk.yaml]"
    config.write_text(config.read_text().replace("rules: [rules.yaml]", rules))
    site.run("reload")
    content = tape.read_bytes()
    link = site.link()
    archived(site, link)
    for number, minute in ((1, 3), (2, 4)):
        assert tape.stat().st_size == 0
        link.send(mount(f"000{number}", at=f"26-11-22 0{minute}:00:00"))
        link.wait("MOUNTREADY", seq=f"000{number}")
        assert tape.read_bytes() == content
        site.run("erase", "A00017", "--wait")
    site.run("delete", "A00017", "--wait")
    site.run("restore", "A00017", "--wait")
    assert tape.read_bytes() == content


def test_the_shipped_disk_archive_tries_again_when_a_host_writes_as_its_copy_ends(site, tape):
    program = site.root / "written-once"
    program.write_text(
        "#!/bin/sh\n"
        f'vtspolicy "$@" || exit\n[ -e {program}.done ] && exit 0\n'
        f"touch {program}.done; printf more >> {tape}\n"
    )
    program.chmod(0o755)
    table = "applications:\n  DSK:\n"
    table += f"    places: {{store: {site.root}/archive}}\n    programs: {{vtspolicy: {program}}}\n"
    (site.root / "site.yaml").write_text(f"{table}    retry: {{attempts: 2, delay: 1s}}\n")
    config = site.root / "vtspolicy.yaml"
    rules = "rules: [site.yaml, shipped/dsk.yaml]"
    config.write_text(config.read_text().replace("rules: [rules.yaml]", rules))
    site.run("reload")
    content = tape.read_bytes() + b"more"
    link = site.link()
    archived(site, link)
    first, second = sorted((site.root / "archive/handles").glob("[!.]*"))
    assert second.name == f"{first.name}.2"
    assert tape.stat().st_size == 0
    site.run("restore", "A00017", "--wait")
    assert tape.read_bytes() == content
