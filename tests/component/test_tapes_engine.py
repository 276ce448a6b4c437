"""Catalogue and cleanup in a whole server: scans that take others' tapes for what they are."""

import os
import shutil
from pathlib import Path

import pytest
from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from tests.harness.tape_faults import TapeSite, TapeWorld
from tests.harness.tape_scans import archived, scan, states, wait_for
from vtspolicy.engine.tapes.cleanup import PAUSE
from vtspolicy.ledger import TapeRecords
from vtspolicy.notices import Word
from vtspolicy.rules.cleanup import Policy
from vtspolicy.tapes import TapeState


@pytest.fixture(scope="module")
def site():
    site = TapeSite()
    yield site
    site.remove()


@pytest.fixture
def world(site):
    world = TapeWorld(site)
    yield world
    world.close()


def test_the_first_scan_writes_one_line_and_a_second_nothing(world):
    first = scan(world)
    assert (first.tapes, first.changed) == (9, 9)
    assert first.troubles == (
        "O00000 is there more than once: /VAULT01/OLD/O00000, /VAULT01/ONE/O00000",
    )
    assert scan(world).changed == 0
    (line,) = world.ledger.tx.history.about("catalogue")
    assert (line.after, line.actor) == ("9 tapes", "operator alice")


def test_names_that_are_not_utf8_stop_no_scan_and_are_reported(world):
    root = os.fsencode(world.site.root)
    odd = [
        root + name for name in (b"/VAULT01/PAY/T\xe4PE", b"/VAULT01/PAY/\xff", b"/VAULT01/\xfc")
    ]
    for each in odd[:2]:
        Path(os.fsdecode(each)).write_bytes(b"tape")
    Path(os.fsdecode(odd[2])).mkdir()
    said = " is passed over: its name is not UTF-8"
    told = (
        f"/VAULT01/\\xfc{said}",
        f"/VAULT01/PAY/T\\xe4PE (one of 2 there){said}",
    )
    with capturedLogs() as logged:
        for changed in (9, 0):
            found = scan(world)
            assert (found.tapes, found.changed) == (9, changed)
            assert found.troubles[:2] == told
    assert [each["trouble"] for each in logged if each.get("action") == "vault_trouble"] == [
        *told,
        found.troubles[2],  # a name that occurs twice
    ]
    world.path.unlink()  # the vault was looked through whole all the same
    assert (scan(world).changed, world.tape().state) == (1, TapeState.DELETED)
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY'", 1)
    assert [job.tape for job in world.ledger.tx.jobs.find()] == [
        "/VAULT01/PAY/P00002",
        "/VAULT01/PAY/P00000",
    ]
    for each in odd[:2]:
        Path(os.fsdecode(each)).unlink()
    Path(os.fsdecode(odd[2])).rmdir()


def test_a_vault_that_is_not_mounted_loses_no_tape(world):
    scan(world)
    before = states(world)
    root = world.site.root / "VAULT01"
    away = root.rename(world.site.root / "away")
    root.mkdir()
    found = scan(world)
    assert (found.changed, states(world)) == (0, before)
    assert found.troubles == ("vault VAULT01 is empty; is its file system mounted?",)
    root.rmdir()
    found = scan(world)
    assert (found.changed, states(world)) == (0, before)
    assert "cannot be read" in found.troubles[0]
    away.rename(root)
    assert scan(world).changed == 0


def test_a_scan_does_not_touch_the_tapes_of_running_jobs(world):
    archived(world)
    world.send("NSK1", "VTSPolicy Erase - P00001", 2)  # its query runs
    world.path.write_bytes(b"")
    done = Deferred.fromCoroutine(world.engine.catalogue.scan("operator alice"))
    world.settle()
    assert done.result.changed == 8  # all others, which were not known
    assert world.tape().size == 4


def test_a_move_that_a_running_job_kept_from_the_records_is_seen_later(world):
    archived(world)
    folders = {"changed": 1}
    world.engine.vaults.folders = lambda: tuple(folders.items())
    world.engine.catalogue.start()
    world.clock.pass_time(20.0, 5.0)
    world.send("NSK1", "VTSPolicy Erase - P00001", 2)  # its query runs
    there = world.path.parent.parent / "LEDGER" / world.path.name
    world.path.rename(there)
    folders["changed"] = 2
    world.clock.pass_time(30.0, 5.0)
    assert world.ledger.tx.tapes.get(str(there)) is None
    world.work()
    world.clock.pass_time(30.0, 5.0)
    assert world.ledger.tx.tapes.get(str(there)).handle is not None
    there.unlink()


def test_the_vaults_are_watched_and_a_quiet_one_is_not_scanned_again(world):
    catalogue = world.engine.catalogue
    catalogue.start()
    world.settle()
    reads = []
    look = world.engine.vaults.look_through
    world.engine.vaults.look_through = lambda *given: reads.append(given) or look(*given)
    world.clock.pass_time(20.0, 5.0)  # what was written at the same tick as the scan is seen
    reads.clear()
    world.engine.vaults.probe = lambda vault: reads.append(f"{vault} is probed")
    world.clock.pass_time(60.0, 5.0)
    assert "VAULT01 is probed" not in reads
    assert reads == [] or catalogue._folders is None  # the files' times are the real clock's
    (world.path.parent / "P00009").write_bytes(b"new")
    world.clock.pass_time(10.0, 5.0)
    assert states(world)["/VAULT01/PAY/P00009"] is TapeState.WRITTEN
    (world.path.parent / "P00009").unlink()
    world.clock.pass_time(10.0, 5.0)
    assert states(world)["/VAULT01/PAY/P00009"] is TapeState.DELETED
    catalogue.stop()


def clean(world, **policy):
    given = {"hour": None, "retention": 0.0, "rest": 0.0, "dry_run": False, **policy}
    table = evolve(world.engine.policy.current.table, cleanup=Policy(**given))
    world.engine.policy.current = evolve(world.engine.policy.current, table=table)
    return wait_for(world, world.engine.cleanup.run("2026-11-22"))


def test_a_cleanup_empties_what_has_its_copy_and_nothing_else(world):
    archived(world)
    world.clock.pass_time(15 * 86400.0, 86400.0)
    done = clean(world)
    assert [tape.name for tape in done.erased] == ["/VAULT01/PAY/P00001"]
    assert world.tape().state is TapeState.ERASED
    full = [path for path in world.site.root.glob("VAULT01/*/*") if path.stat().st_size]
    assert len(full) == 8
    (request,) = world.ledger.tx.requests.find(family="Erase")
    assert (request.host, request.state.value) == ("", "completed")
    assert world.ledger.tx.history.about(f"request {request.id}")[0].actor == "cleanup"


def test_a_dry_run_only_tells(world):
    archived(world)
    world.clock.pass_time(15 * 86400.0, 86400.0)
    done = clean(world, dry_run=True)
    assert [tape.name for tape in done.erased] == ["/VAULT01/PAY/P00001"]
    assert world.path.read_bytes() == b"tape"
    assert "dry run" in world.ledger.tx.history.about("cleanup")[0].after


def test_a_cleanup_asks_the_application_and_believes_it(world):
    archived(world)
    world.clock.pass_time(15 * 86400.0, 86400.0)
    world.copies.clear()
    clean(world)
    assert world.path.read_bytes() == b"tape"
    (request,) = world.ledger.tx.requests.find(family="Erase")
    assert "does not find its copy" in request.reason


def test_a_cleanup_obeys_the_rules(world, site):
    archived(world)
    world.clock.pass_time(15 * 86400.0, 86400.0)
    rules = [each for each in world.engine.policy.current.table.rules if each.name != "erase"]
    table = evolve(world.engine.policy.current.table, rules=tuple(rules))
    world.engine.policy.current = evolve(world.engine.policy.current, table=table)
    clean(world)
    assert world.path.read_bytes() == b"tape"
    assert world.ledger.tx.requests.find(family="Erase")[0].state.value == "norule"


def test_a_cleanup_runs_once_a_day_also_after_a_restart(world):
    archived(world)
    world.clock.pass_time(15 * 86400.0, 86400.0)

    def due():
        from datetime import datetime

        hour = datetime.fromtimestamp(world.clock.seconds()).astimezone().hour
        table = evolve(
            world.engine.policy.current.table, cleanup=Policy(hour=hour, rest=0.0, dry_run=False)
        )
        world.engine.policy.current = evolve(world.engine.policy.current, table=table)
        wait_for(world, world.engine.cleanup.run_if_due())

    due()
    due()
    world.restart()
    due()
    assert len(world.ledger.tx.history.about("cleanup")) == 1
    assert len(world.ledger.tx.requests.find(family="Erase")) == 1
    world.clock.pass_time(86400.0, 43200.0)
    due()
    assert len(world.ledger.tx.history.about("cleanup")) == 2


def put_clock_forward(world):
    """As if it had been set: its time passes, and that of CLOCK_BOOTTIME does not."""
    world.engine.clock_trust.boot = lambda: world.clock.seconds() - 3600.0


def test_a_cleanup_does_not_begin_by_a_clock_that_is_not_trusted(world):
    archived(world)
    world.clock.pass_time(15 * 86400.0, 86400.0)
    put_clock_forward(world)
    assert clean(world).looked_at == 0
    assert world.ledger.tx.meta.last_cleanup() is None  # it is done today if trust comes back
    assert world.path.read_bytes() == b"tape"
    assert world.engine.clock_trust.restore("operator alice")
    assert len(clean(world).erased) == 1


def test_a_cleanup_ends_when_the_clock_is_set(world):
    done = many_archived(world)
    world.clock.pass_time(60.0)
    asked = len(world.ledger.tx.requests.find(family="Erase"))
    put_clock_forward(world)
    world.engine.queue.resume()
    world.work()
    world.clock.pass_time(PAUSE)
    assert len(done.result.erased) == asked == len(world.ledger.tx.requests.find(family="Erase"))


def test_an_order_to_erase_does_not_wait_for_the_clock(world):
    archived(world)
    put_clock_forward(world)
    world.send("NSK1", "VTSPolicy Erase - P00001", 2)
    world.work()
    assert world.tape().state is TapeState.ERASED


def many_archived(world, **policy):
    """Nine tapes whose copies are enough, and a cleanup that has begun with room for two."""
    for number, pool in enumerate(("PAY", "LEDGER", "OLD", "ONE", "SECRET")):
        world.send("NSK1", f"VTSPolicy DSK 'archive /VAULT01/{pool} r=14,d'", number)
    world.work()
    world.clock.pass_time(15 * 86400.0, 86400.0)
    given = {"hour": None, "retention": 0.0, "rest": 0.0, "dry_run": False, **policy}
    reader = world.engine.policy.current
    table = evolve(reader.table, cleanup=Policy(**given))
    configuration = evolve(reader.configuration, waiting=5)
    world.engine.policy.current = evolve(reader, table=table, configuration=configuration)
    world.engine.queue.drain()
    done = Deferred.fromCoroutine(world.engine.cleanup.run("2026-11-22"))
    world.settle()
    return done


def test_a_cleanup_leaves_half_of_the_places_to_the_hosts(world):
    done = many_archived(world)
    world.clock.pass_time(60.0)
    assert (world.engine.queue.waiting, done.called) == (3, False)
    assert world.operator.ready()[1] == ()
    world.engine.queue.resume()
    seen = []
    while not done.called:
        world.settle()
        world.work()
        seen.append(world.engine.queue.waiting)
        world.clock.pass_time(PAUSE)
    world.work()
    assert max(seen) <= 3
    assert len(done.result.erased) == 9
    assert set(states(world).values()) == {TapeState.ERASED}


def test_what_changed_while_a_cleanup_waited_is_left_to_the_next_one(world):
    done = many_archived(world)
    first = {job.path for job in world.ledger.tx.jobs.find(family="Erase")}
    mounted, *others = (each for each in world.ledger.tx.tapes.find() if each.path not in first)
    world.ledger.write(TapeRecords.set_mounted, mounted, world.clock.seconds())
    world.engine.queue.resume()
    while not done.called:
        world.work()
        world.clock.pass_time(PAUSE)
    assert {tape.path for tape in done.result.erased} == first | {tape.path for tape in others}
    assert done.result.size == 8 * len(b"tape")


@pytest.mark.parametrize("end", ["stop", "reload"])
def test_a_cleanup_that_waits_ends_with_the_server_and_with_its_rules(world, end):
    done = many_archived(world)
    if end == "stop":
        world.engine.unwatch()
    else:
        table = evolve(world.engine.policy.current.table, cleanup=Policy(dry_run=True))
        world.engine.policy.current = evolve(world.engine.policy.current, table=table)
        world.engine.queue.resume()
        world.work()
    world.clock.pass_time(PAUSE)
    assert len(done.result.erased) == 3
    world.engine.queue.resume()
    world.work()
    assert len(world.ledger.tx.requests.find(family="Erase")) == 3


def test_hostile_names_in_mounts_lead_nowhere(world):
    for number, name in enumerate(("../etc", "..", ".", "A/B", "%s%s%s", "A" * 7, "-rf")):
        header = f"26-11-22 03:{number:02d}:00 \\NSK1.$ZSVR TANDEM.TAPE.L01 000600"
        line = f"{header} $ZSVR: 0412 MOUNT {name} WITH RING\n"
        world.of("NSK1", "ems").dataReceived(line.encode())
        world.clock.pass_time(0.3)
    world.settle()
    assert world.violations == []
    assert world.ledger.tx.requests.find() == []
    assert world.words() == []


def test_a_host_without_the_vault_recalls_nothing(world):
    archived(world)
    world.send("NSK1", "VTSPolicy Erase - P00001", 2)
    world.work()
    configuration = world.engine.policy.current.configuration
    stranger = evolve(configuration.hosts["NSK1"], vaults=())
    session = world.of("NSK1")
    session.hosts = (stranger,)
    world.mount()
    assert world.ledger.tx.mounts.open() == []
    assert world.path.stat().st_size == 0
    assert Word.MOUNTREADY not in world.words()


def test_a_deleted_tape_is_known_for_a_restore_by_its_name(world):
    archived(world)
    world.send("NSK1", "VTSPolicy Delete - P00001", 2)
    world.work()
    assert not world.path.exists()
    scan(world)
    world.send("NSK1", "VTSPolicy Restore - P00001", 3)
    world.work()
    assert world.path.read_bytes() == b"tape"
    assert world.tape().state is TapeState.MIGRATED


@pytest.fixture(autouse=True)
def clean_vaults(site):
    yield
    shutil.rmtree(site.root / "VAULT01")
