"""What falls between two steps: a crash, a late answer, a ledger that cannot be read."""

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from attrs import evolve
from twisted.internet.defer import Deferred, fail
from twisted.logger import globalLogPublisher

from tests.harness.engine_gaps import RULES, TapeWorld
from tests.harness.engine_worlds import Fault, Site
from vtspolicy.engine.commands import deciding
from vtspolicy.engine.commands.queue_capacity import FULL_PAUSE
from vtspolicy.engine.jobs import recent
from vtspolicy.jobs import JobState, RequestState
from vtspolicy.notices import Word
from vtspolicy.tapes import Reason, TapeState


@pytest.fixture(scope="module")
def site():
    site = Site(RULES, families=("Restore",))
    yield site
    site.remove()


@pytest.fixture
def world(site):
    world = TapeWorld(site)
    yield world
    world.close()


def test_a_restore_that_a_crash_kept_from_starting_is_judged_again_by_the_next_server(world):
    world.empty("P00001", 1)
    world.ledger.verbs.clear()
    world.ledger.fault = Fault(2, "after")  # the command, then the start of its attempt
    world.send("NSK1", "VTSPolicy Restore - P00001", 5)
    assert world.ledger.verbs[-1] == "start_attempt"
    world.path("P00001").write_bytes(b"written by a host")
    world.restart()
    world.work()
    world.connect("NSK1")
    assert world.path("P00001").read_bytes() == b"written by a host"
    assert world.words()[-1] is Word.FAILED


def test_a_restore_after_such_a_crash_is_known_to_be_under_way(world):
    world.empty("P00001", 1)
    world.ledger.verbs.clear()
    world.ledger.fault = Fault(2, "after")
    world.send("NSK1", "VTSPolicy Restore - P00001", 5)
    world.restart()
    (tape,) = world.ledger.tx.tapes.named("P00001")
    assert tape.restoring is not None
    world.work()
    assert world.path("P00001").read_bytes() == b"tape"
    (tape,) = world.ledger.tx.tapes.named("P00001")
    assert tape.state is TapeState.MIGRATED


def test_a_tape_that_is_emptied_while_its_copy_waits_is_not_copied(world):
    """Its copy would be the newest, and the one that has the data be out of sight."""
    for minute, tape in enumerate(["P00001", "P00002", "P00001"], 1):
        world.send("NSK1", f"VTSPolicy DSK 'archive /VAULT01/PAY/{tape}'", minute)
    copied = world.machine.running[0].run.argv[-1]
    world.copies[copied] = b"tape"
    for _copy_and_query in range(2):
        (running,) = (each for each in world.machine.running if each.stopped is None)
        world.runner.exit(running.run.key, 0)
        world.settle()
    world.path("P00001").write_bytes(b"")
    world.work()
    assert world.words()[-3:] == [Word.COMPLETED, Word.COMPLETED, Word.FAILED]
    (tape,) = world.ledger.tx.tapes.named("P00001")
    assert tape.handle == copied
    assert world.ledger.tx.jobs.get(3).reason == Reason.EMPTY.words


def test_a_mount_that_comes_while_others_are_looked_at_is_not_forgotten(world, monkeypatch):
    world.empty("P00000", 1)
    world.empty("P00001", 3)
    world.mount("P00000", "0412", 30)
    world.work()
    assert world.words()[-1] is Word.MOUNTREADY
    late, read = [], world.ledger.read

    def answer_late(verb, *args):
        if verb.__name__ != "look":
            return read(verb, *args)
        answer = Deferred()
        read(verb, *args).addCallback(lambda found: late.append((answer, found)))
        return answer

    monkeypatch.setattr(world.ledger, "read", answer_late)
    world.clock.pass_time(10.0)
    world.engine.mounts.check()
    monkeypatch.undo()
    world.mount("P00001", "0413", 31)
    for answer, found in late:
        answer.callback(found)
    world.settle()
    world.work()
    world.clock.pass_time(30.0)
    world.settle()
    assert world.words().count(Word.MOUNTREADY) == 2
    assert world.ledger.tx.mounts.open() == []


@pytest.mark.parametrize("verb", ["JobRecords.get", "known", "AttemptRecords.tapes_before"])
def test_a_ledger_that_cannot_be_read_for_a_while_costs_no_seat_and_no_end(
    world, monkeypatch, verb
):
    """The application has one seat: a job that kept it would be the last one."""
    read = world.ledger.read

    def fails(asked, *args):
        if asked.__qualname__ == verb:
            return fail(sqlite3.OperationalError("disk I/O error"))
        return read(asked, *args)

    with monkeypatch.context() as few:
        few.setattr(recent, "MOST", 1)  # so that the others have to be read
        world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY'", 1)
    monkeypatch.setattr(world.ledger, "read", fails)
    world.work()
    monkeypatch.undo()
    for _ in range(10):
        world.clock.pass_time(60.0)
        world.settle()
        world.work()
    assert world.words()[-1] is Word.COMPLETED
    assert len(world.machine.starts) == len(set(world.machine.starts))
    assert {each.number for each in world.ledger.tx.attempts.of_job(1)} == {1}
    assert world.violations
    world.violations.clear()


def several(world, *texts):
    """Commands that come in one piece, and so in one batch."""
    lines = [
        {
            "time": "2026-11-22T04:00:00",
            "system": "\\NSK1",
            "process": "$ZBAT",
            "ssid": "TANDEM.EMS.L01",
            "number": number,
            "text": text,
        }
        for number, text in enumerate(texts)
    ]
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    world.of("NSK1").dataReceived(data)
    world.settle()


def test_a_command_that_cannot_be_decided_does_not_hold_back_those_beside_it(world, monkeypatch):
    real = deciding.settle

    def settle(policy, located, now):
        if located.understood.command.family == "Erase":
            raise ZeroDivisionError("a defect")
        return real(policy, located, now)

    monkeypatch.setattr(deciding, "settle", settle)
    several(
        world,
        "VTSPolicy DSK 'archive /VAULT01/PAY/P00000'",
        "VTSPolicy Erase - P00001",
        "VTSPolicy DSK 'archive /VAULT01/PAY/P00002'",
    )
    assert [job.tape for job in world.ledger.tx.jobs.find()] == [
        "/VAULT01/PAY/P00002",
        "/VAULT01/PAY/P00000",
    ]
    assert world.engine.queue.running + world.engine.queue.waiting == 2
    assert world.violations
    world.violations.clear()


def test_a_name_on_the_disk_that_is_no_text_breaks_no_connection(world):
    """A tape in two pools is reported with both; what no text can name does not come so far."""
    pools = [os.fsencode(world.site.root / "VAULT01") + each for each in (b"/\xff1", b"/\xff2")]
    for pool in pools:
        folder = Path(os.fsdecode(pool))
        folder.mkdir()
        (folder / "TWICE").write_bytes(b"tape")
    several(world, "VTSPolicy Erase - TWICE", "VTSPolicy DSK 'archive /VAULT01/PAY/P00002'")
    for pool in pools:
        shutil.rmtree(os.fsdecode(pool))
    (failed,) = [each for each in world.mail["NSK1"].notices if each.word is Word.FAILED]
    assert failed.fields["reason"] == "no vault has a tape TWICE"  # none that can be named
    assert world.engine.queue.running == 1


def test_of_a_list_of_which_no_vault_has_a_tape_all_are_named(world):
    world.send("NSK1", "VTSPolicy Erase - X00001 X00002 X00003")
    (failed,) = [each for each in world.mail["NSK1"].notices if each.word is Word.FAILED]
    assert failed.fields["reason"] == "no vault has one of these tapes: X00001, X00002, X00003"


def test_an_answer_that_cannot_be_written_keeps_no_job_from_its_turn(world, monkeypatch):
    session = world.of("NSK1")

    def fails(_):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(session.transport, "write", fails)
    several(
        world,
        "VTSPolicy DSK 'archive /VAULT01/PAY/P00000'",
        "VTSPolicy DSK 'archive /VAULT01/PAY/P00002'",
    )
    assert world.engine.queue.running + world.engine.queue.waiting == 2
    world.violations.clear()


def test_a_reload_names_what_it_does_not_change(world):
    before = world.site.configuration
    after = evolve(before, settle=9.0, connections=9, output=9, waiting=9)
    world.use_sessions(renew=lambda: None)
    world.operator.reloading.reread = lambda: evolve(world.site.reader, configuration=after)
    told = []
    world.operator.reload("operator alice").addCallback(told.append)
    named = {each.split()[0] for each in told[0]["warnings"] if "at the next start" in each}
    assert named == {"settle", "connections", "output"}


def test_a_server_keeps_its_name_until_the_next_start_whatever_a_reload_reads(world):
    configuration = evolve(world.site.configuration, node="newname.example.com")
    world.use_sessions(renew=lambda: None)
    world.operator.reloading.reread = lambda: evolve(world.site.reader, configuration=configuration)
    for _ in range(2):  # and it says so each time
        told = []
        world.operator.reload("operator alice").addCallback(told.append)
        assert told[0]["warnings"] == ["node has changed; it is taken at the next start"]
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00000 s=newname'", 1)
    assert world.words() == []  # this one is for another server
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00000 s=vts1'", 2)
    assert world.words() == [Word.ACCEPTED]


def test_a_job_that_is_cancelled_while_it_waits_is_never_started_from_memory(world):
    """Its place in memory is given up; and were it not, the ledger would refuse its start."""
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY'", 1)
    conductor = world.engine.job_runner
    waiting = [job.id for job in world.ledger.tx.jobs.find() if job.state is JobState.WAITING]
    assert waiting
    assert set(waiting) <= set(conductor.recent._jobs)
    kept = dict(conductor.recent._jobs)
    world.cancel_by_operator(1)
    assert not set(waiting) & set(conductor.recent._jobs)
    conductor.recent._jobs.update(kept)
    before = len(world.machine.starts)
    for job in waiting:
        conductor.begin(job)
    world.settle()
    assert len(world.machine.starts) == before


def test_memory_of_waiting_jobs_is_bounded(world, monkeypatch):
    monkeypatch.setattr(recent, "MOST", 2)
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY'", 1)
    assert len(world.engine.job_runner.recent._jobs) == 2
    world.work()
    assert world.words()[-1] is Word.COMPLETED
    assert not world.engine.job_runner.recent._jobs


# A reload while tapes are looked at


@pytest.fixture
def slow(world):
    """A disk that answers when the test says so."""
    held = []

    def look(*call):
        held.append((answer := Deferred(), call))
        return answer

    def answer():
        while held:
            asked, call = held.pop(0)
            threads(*call).chainDeferred(asked)
            world.settle()

    threads = world.use_threads(look)
    return answer


def take_away(world, **rights):
    """NSK1 has less rights from now on; with none named it is a host no more."""
    hosts = dict(world.site.configuration.hosts)
    own = hosts.pop("NSK1")
    if rights:
        hosts["NSK1"] = evolve(own, **rights)
    configuration = evolve(world.site.configuration, hosts=hosts)
    world.use_sessions(renew=lambda: None, all=())
    world.operator.reloading.reread = lambda: evolve(world.site.reader, configuration=configuration)
    world.operator.reload("operator alice")
    for session in world.sessions:
        session.serve(tuple(host for host in hosts.values() if host.name == "NSK1"))
    world.settle()


@pytest.mark.parametrize(
    "rights", [{"families": ()}, {"vaults": ()}, {"systems": ("\\OTHER",)}, {}]
)
@pytest.mark.parametrize("command", ["DSK 'archive /VAULT01/PAY'", "Erase - P00000"])
def test_a_right_that_is_taken_away_while_tapes_are_looked_at_is_gone(world, slow, rights, command):
    world.send("NSK1", f"VTSPolicy {command}", 1)
    take_away(world, **rights)
    slow()
    assert world.machine.starts == []
    assert [notice.word for notice in world.mail["NSK1"].notices] == [Word.DENIED]


def test_a_command_keeps_its_place_when_a_reload_takes_nothing_away(world, slow):
    session = world.of("NSK1", "ems")
    texts = (f"VTSPolicy DSK 'archive /VAULT01/PAY/P0000{n}'\n" for n in range(3))
    session.dataReceived("".join(texts).encode())
    take_away(world, notices="all")
    slow()
    accepted = [n for n in world.mail["NSK1"].notices if n.word is Word.ACCEPTED]
    assert [notice.fields["tape"][-1] for notice in accepted] == ["0", "1", "2"]


def test_a_right_is_gone_too_for_a_connection_that_is_gone(world, slow):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY'", 1)
    world.hang_up(world.sessions[0])
    take_away(world, families=())
    slow()
    assert world.machine.starts == []
    assert [each.state for each in world.ledger.tx.requests.find()] == [RequestState.DENIED]


@pytest.mark.parametrize("rights", [{"vaults": ()}, {"systems": ("\\OTHER",)}, {}])
def test_a_right_that_is_taken_away_while_a_tape_to_mount_is_looked_for_is_gone(
    world, slow, rights
):
    world.mount("P00000", "0001", 1)
    take_away(world, **rights)
    slow()
    noted = {"result": "noted"}
    assert not world.metrics.registry.get_sample_value("vtspolicy_mount_requests_total", noted)


# Who may not give commands


def test_a_stranger_brings_one_line_a_minute_into_the_log_whatever_it_sends(world):
    lines = []

    def note(event):
        if event.get("action", "").startswith("unheard"):
            peer = event.get("peer", event.get("address"))
            lines.append((event["action"], peer, event.get("count")))

    globalLogPublisher.addObserver(note)
    try:
        session = world.connect("NSK1", format="ems")
        session.serve(())
        for _ in range(2):
            session.dataReceived(b"VTSPolicy\n" * 1000)
            world.settle()
        first, more = ("unheard", "10.0.0.9", None), "unheard_more"
        assert lines == [first]
        world.clock.pass_time(60.0)
        assert lines == [first, (more, "10.0.0.9", 1999)]
        session.dataReceived(b"VTSPolicy\n" * 10)
        world.clock.pass_time(59.0)
        assert len(lines) == 2
        world.clock.pass_time(1.0)
        assert lines[2:] == [(more, "10.0.0.9", 10)]
        world.clock.pass_time(600.0)
        assert len(lines) == 3
        session.dataReceived(b"VTSPolicy\n")
        assert lines[3:] == [first]
    finally:
        globalLogPublisher.removeObserver(note)


# A full queue


@pytest.fixture
def narrow(world):
    """A server whose queue may have two jobs waiting, and starts none."""
    configuration = evolve(world.site.configuration, waiting=2)
    world.engine.policy.use(evolve(world.site.reader, configuration=configuration))
    world.engine.queue.drain()
    return world


def burst(world, session, count=5):
    """Commands in one read; each brings a job for each of three tapes."""
    session.dataReceived(b"VTSPolicy DSK 'archive /VAULT01/PAY'\n" * count)
    world.settle()


def accepted(world):
    return world.words().count(Word.ACCEPTED)


def test_a_burst_fills_a_queue_by_one_command_too_many_at_most(narrow):
    burst(narrow, narrow.connect("NSK1", format="ems"))
    assert (narrow.engine.queue.waiting, accepted(narrow)) == (3, 1)
    burst(narrow, narrow.connect("NSK1", format="ems"))
    assert (narrow.engine.queue.waiting, accepted(narrow)) == (3, 1)
    narrow.engine.queue.resume()
    most = 0
    for _ in range(60):
        narrow.clock.pass_time(FULL_PAUSE)
        most = max(most, narrow.engine.queue.waiting)
        for life in [each for each in narrow.machine.running if each.stopped is None]:
            narrow.runner.exit(life.run.key)
            narrow.settle()
    assert most < 2 + 3
    assert accepted(narrow) == 10
    assert narrow.words().count(Word.COMPLETED) == 10


def test_bursts_that_are_recorded_at_the_same_time_share_the_room(narrow, monkeypatch):
    write, held = narrow.ledger.write, []

    def wait(*call):
        held.append((answer := Deferred(), call))
        return answer

    configuration = evolve(narrow.engine.policy.current.configuration, waiting=4)
    narrow.engine.policy.use(evolve(narrow.site.reader, configuration=configuration))
    sessions = [narrow.connect("NSK1", format="ems") for _ in range(3)]
    monkeypatch.setattr(narrow.ledger, "write", wait)
    for session in sessions:
        burst(narrow, session)
    monkeypatch.undo()
    for answer, call in held:
        write(*call).chainDeferred(answer)
        narrow.settle()
    assert (narrow.engine.queue.waiting, accepted(narrow)) == (6, 2)


def stop(world, _):
    world.engine.unwatch()


def hang_up(world, session):
    world.hang_up(session)


@pytest.mark.parametrize("end", [stop, hang_up])
def test_what_came_in_whole_is_recorded_before_a_stop_and_when_its_connection_is_gone(narrow, end):
    session = narrow.connect("NSK1", format="ems")
    burst(narrow, session)
    assert len(narrow.ledger.tx.requests.find()) == 1
    end(narrow, session)
    narrow.clock.pass_time(FULL_PAUSE)
    assert len(narrow.ledger.tx.requests.find()) == 5
    assert not session.is_busy


def test_commands_that_wait_for_room_are_decided_by_the_rights_that_are_left_then(narrow):
    burst(narrow, narrow.connect("NSK1", format="ems"))
    take_away(narrow, families=())
    narrow.engine.queue.resume()
    narrow.clock.pass_time(FULL_PAUSE)
    assert accepted(narrow) == 1
    assert narrow.words().count(Word.DENIED) == 4
