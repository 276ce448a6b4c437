"""What hosts send while the server drains, or its queue is full: kept in order, or answered."""

import json

import pytest
from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher

from tests.harness.engine_worlds import Fault, Site, Wanted, World
from vtspolicy.engine.commands.queue_capacity import FULL_PAUSE
from vtspolicy.engine.commands.receiving import MOST_KEPT, MOST_TEXT, Backlog, Kept
from vtspolicy.engine.tapes.mounts import Mounts
from vtspolicy.events.event import Event
from vtspolicy.hosts.session_life import LINGER
from vtspolicy.jobs import RequestState
from vtspolicy.notices import Word
from vtspolicy.sessions import SessionState

ALICE = "operator alice"
ONE = "DSK 'archive /VAULT01/PAY/P00000'"
THREE = "DSK 'archive /VAULT01/PAY'"


@pytest.fixture(scope="module")
def site():
    site = Site()
    yield site
    site.remove()


@pytest.fixture
def world(site):
    world = World(site)
    world.use_sessions(renew=lambda: None, all=world.sessions)
    yield world
    world.close()
    assert not world.violations


@pytest.fixture
def failures():
    """The actions of the failures that are logged."""
    found = []

    def note(event):
        if event.get("log_failure") is not None:
            found.append(event.get("action"))

    globalLogPublisher.addObserver(note)
    yield found
    globalLogPublisher.removeObserver(note)


def drain(world):
    world.operator.drain(ALICE)
    world.settle()


def resume(world):
    world.operator.resume(ALICE)
    world.clock.pass_time(FULL_PAUSE)
    world.settle()


def limit(world, jobs):
    """So many jobs may wait, and none is started."""
    reader = world.engine.policy.current
    configuration = evolve(reader.configuration, waiting=jobs)
    world.engine.policy.use(evolve(reader, configuration=configuration))
    world.engine.queue.drain()


def tell(world, session, *texts):
    session.dataReceived("".join(f"VTSPolicy {text}\n" for text in texts).encode())
    world.settle()


def named(operation, ref, tape="P00000"):
    return f"DSK '{operation} /VAULT01/PAY/{tape} ref={ref}'"


def requests(world):
    """The references of all requests in the ledger, as they were recorded."""
    return [each.ref for each in reversed(world.ledger.tx.requests.find())]


def told(world):
    """What NSK1 was told: the word of each notice, and its reference or reason."""
    return [
        (notice.word.name, notice.fields.get("ref") or notice.fields.get("reason"))
        for notice in world.mail["NSK1"].notices
    ]


def mount(number):
    return (
        f"26-11-22 02:14:{number:02d} \\NSK1.$ZSVR TANDEM.TAPE.L01 600 $ZSVR: {number} MOUNT P1\n"
    )


def end_one(world):
    """A job that runs ends, and the next one starts."""
    life = next(each for each in world.machine.running if each.stopped is None)
    world.runner.exit(life.run.key)
    world.clock.pass_time(FULL_PAUSE)
    world.settle()


# A drain


def test_while_a_server_drains_status_and_cancel_are_answered(world):
    session = world.connect("NSK1", format="ems")
    world.engine.queue.drain()
    tell(world, session, named("archive", "before"))
    drain(world)
    tell(world, session, named("archive", "kept"), "Status - 1", "Cancel - ref=before")
    assert told(world) == [
        ("ACCEPTED", "before"),
        ("STATUS", "open, 1 of 1 jobs to go"),
        ("ACCEPTED", None),
        ("COMPLETED", "request 1: 1 job being cancelled"),
        ("CANCELLED", "before"),
    ]
    assert session.transport.reads


def test_what_would_make_jobs_is_taken_in_its_order_when_the_drain_ends(world):
    session = world.connect("NSK1", format="ems")
    drain(world)
    for name in "abc":
        tell(world, session, named("archive", name), named("selective", name.upper()))
    world.clock.pass_time(60.0)
    assert world.ledger.tx.requests.find() == []
    assert session.kept == 6
    resume(world)
    assert requests(world) == ["a", "A", "b", "B", "c", "C"]
    assert session.kept == 0
    assert world.engine.receiver.backlogs == {}


def test_a_connection_that_comes_during_a_drain_is_read_as_well(world):
    drain(world)
    session = world.connect("NSK1", format="ems")
    tell(world, session, named("archive", "late"), "Status - 7")
    assert told(world) == [("DENIED", "host NSK1 has no request 7")]
    resume(world)
    assert requests(world) == [None, "late"]


@pytest.mark.parametrize("verb", ["Status", "Cancel"])
def test_a_question_about_a_command_that_is_kept_comes_after_it(world, verb):
    session = world.connect("NSK1", format="ems")
    drain(world)
    tell(world, session, named("archive", "kept"), f"{verb} - ref=kept", f"{verb} - ref=other")
    tell(world, session, f"{verb} - ref=kept")
    assert told(world) == [("DENIED", "host NSK1 has no request ref=other")]
    resume(world)
    assert [each.operation for each in reversed(world.ledger.tx.requests.find())] == [
        verb.lower(),
        "archive",
        verb.lower(),
        verb.lower(),
    ]
    assert Word.DENIED not in [each.word for each in world.mail["NSK1"].notices[1:]]


@pytest.mark.parametrize("verb", ["Status", "Cancel"])
def test_a_command_that_another_connection_keeps_is_not_said_to_be_unknown(world, verb):
    session, other = (world.connect("NSK1", format="ems") for _ in range(2))
    drain(world)
    tell(world, session, named("archive", "kept"))
    tell(world, other, f"{verb} - ref=kept", f"{verb} - ref=none")
    (word, reason), unknown = told(world)
    assert word == "DENIED"
    assert reason.startswith("the command with ref=kept waits for room on another connection")
    assert unknown == ("DENIED", "host NSK1 has no request ref=none")
    stranger = world.connect("NSK2", format="ems")
    tell(world, stranger, f"{verb} - ref=kept")
    (notice,) = world.mail["NSK2"].notices
    assert notice.fields["reason"] == "host NSK2 has no request ref=kept"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("NBU 'archive /VAULT01/PAY'", Word.NORULE),
        ("DSK 'archive /VAULT01/SECRET'", Word.DENIED),
        ("DSK 'archive /VAULT02/PAY'", Word.DENIED),
        ("Restore - P00000", Word.DENIED),
        ("DSK 'archive", Word.REJECTED),
    ],
)
def test_what_is_refused_is_answered_during_a_drain(world, text, word):
    session = world.connect("NSK1", format="ems")
    drain(world)
    tell(world, session, ONE, text)
    assert [each.word for each in world.mail["NSK1"].notices] == [word]
    assert session.kept == 1


def test_what_is_refused_under_the_name_of_a_kept_command_comes_after_it(world):
    session = world.connect("NSK1", format="ems")
    drain(world)
    tell(world, session, named("archive", "same"), "NBU 'archive /VAULT01/PAY ref=same'")
    assert world.ledger.tx.requests.find() == []
    resume(world)
    states = [each.state for each in reversed(world.ledger.tx.requests.find())]
    assert states == [RequestState.OPEN, RequestState.NORULE]


def test_a_tape_that_is_not_there_is_looked_for_again_when_the_drain_ends(world):
    path = world.site.root / "VAULT01/PAY/P00009"
    session = world.connect("NSK1", format="ems")
    drain(world)
    tell(world, session, "Erase - P00009 ref=new")
    assert world.ledger.tx.requests.find() == []
    path.write_bytes(b"tape")
    resume(world)
    path.unlink()
    assert told(world)[0] == ("ACCEPTED", "new")


def test_acknowledgements_are_taken_during_a_drain(world):
    session = world.connect("NSK2")
    drain(world)
    line = {
        "time": "2026-11-22T02:14:00",
        "system": "\\NSK2",
        "process": "$ZBAT",
        "ssid": "TANDEM.EMS.L01",
        "number": 1,
    }
    for text in (ONE, "Status - 7"):
        event = json.dumps({**line, "text": f"VTSPolicy {text}"}).encode()
        session.dataReceived(event + b"\n")
        world.settle()
    (notice,) = world.ledger.tx.notices.pending("NSK2")
    session.dataReceived(json.dumps({"ack": [notice.id]}).encode() + b"\n")
    world.settle()
    assert world.ledger.tx.notices.pending("NSK2") == []
    assert session.kept == 1


def test_mounts_keep_their_place_among_commands(world, monkeypatch):
    taken = []

    async def take(_self, event, **_):
        taken.append((event.text.split()[1], requests(world)))

    monkeypatch.setattr(Mounts, "take", take)
    session = world.connect("NSK1", format="ems")
    drain(world)
    tell(world, session, named("archive", "a"))
    session.dataReceived(mount(1).encode())
    world.clock.pass_time(1.0)
    tell(world, session, named("archive", "b"))
    session.dataReceived(mount(2).encode())
    world.clock.pass_time(1.0)
    assert taken == []
    resume(world)
    assert taken == [("1", ["a"]), ("2", ["a", "b"])]


def test_a_mount_waits_for_the_end_of_a_drain_also_when_its_peer_sends_no_more(world, monkeypatch):
    taken = []

    async def take(_self, event, **_):
        taken.append(event.text.split()[1])

    monkeypatch.setattr(Mounts, "take", take)
    session = world.connect("NSK1", format="ems")
    drain(world)
    session.dataReceived(mount(1).encode())
    session.readConnectionLost()
    world.clock.pass_time(1.0)
    assert (taken, session.state) == ([], SessionState.HALF_CLOSED)
    resume(world)
    assert (taken, session.state) == (["1"], SessionState.CLOSING)


def test_a_full_queue_keeps_no_mount_waiting(world, monkeypatch):
    taken = []

    async def take(_self, event, **_):
        taken.append(event.text.split()[1])

    monkeypatch.setattr(Mounts, "take", take)
    limit(world, 1)
    tell(world, world.connect("NSK1", format="ems"), ONE)
    session = world.connect("NSK1", format="ems")
    session.dataReceived(mount(1).encode())
    world.clock.pass_time(1.0)
    assert taken == ["1"]


def test_the_server_tells_that_it_drains(world):
    drain(world)
    tell(world, world.connect("NSK1", format="ems"), ONE)
    assert world.operator.ready() == (
        False,
        ("the server is draining; `vtspolicy drain --end` ends that",),
    )
    resume(world)
    assert world.operator.ready() == (True, ())


# How much is kept


def test_a_connection_is_read_until_so_many_events_are_kept(world):
    session = world.connect("NSK1", format="ems")
    drain(world)
    for number in range(MOST_KEPT):
        assert session.transport.reads
        tell(world, session, named("archive", f"r{number}"))
    assert not session.transport.reads
    world.clock.pass_time(60.0)
    assert session.kept == MOST_KEPT
    assert not session.transport.reads
    resume(world)
    assert session.transport.reads
    assert requests(world)[-1] == f"r{MOST_KEPT - 1}"


def test_a_backlog_is_full_by_its_characters_too():
    backlog = Backlog()
    text = "x" * 4000
    while not backlog.is_full:
        backlog.kept.append(Kept(event=Event(text=text)))
    assert MOST_TEXT <= sum(len(each.event.text) for each in backlog.kept) < MOST_TEXT + 4000
    assert len(backlog.kept) < MOST_KEPT


def test_a_stop_takes_what_waits_behind_a_full_backlog(world):
    session = world.connect("NSK1", format="ems")
    drain(world)
    tell(world, session, *[ONE] * MOST_KEPT)
    tell(world, session, *[ONE] * 3)  # as TLS may have read on
    assert session.kept == MOST_KEPT
    world.engine.unwatch()
    world.clock.pass_time(FULL_PAUSE)
    assert len(world.ledger.tx.requests.find(limit=1000)) == MOST_KEPT + 3
    assert not session.is_busy


# A full queue


def test_a_full_queue_answers_and_takes_the_rest_in_order_as_there_is_room(world):
    limit(world, 2)
    session = world.connect("NSK1", format="ems")
    names = [f"r{number}" for number in range(8)]
    tell(world, session, *(named("archive", name) for name in names), "Status - 1")
    assert requests(world) == ["r0", "r1", None]
    assert session.transport.reads
    world.engine.queue.resume()
    most = 0
    while len(requests(world)) < 9:
        world.clock.pass_time(FULL_PAUSE)
        world.settle()
        most = max(most, world.engine.queue.waiting)
        end_one(world)
    assert requests(world) == ["r0", "r1", None, *names[2:]]
    assert most <= 2


def test_a_host_can_empty_a_full_queue(world):
    limit(world, 1)
    session = world.connect("NSK1", format="ems")
    tell(world, session, named("archive", "first"), named("archive", "second"))
    assert requests(world) == ["first"]
    tell(world, session, "Cancel - ref=first")
    world.clock.pass_time(FULL_PAUSE)
    assert requests(world) == ["first", None, "second"]


def test_a_command_of_more_jobs_than_may_wait_is_taken_when_any_may(world):
    limit(world, 1)
    session = world.connect("NSK1", format="ems")
    tell(world, session, ONE, THREE)
    assert world.engine.queue.waiting == 1
    tell(world, session, "Cancel - 1")
    world.clock.pass_time(FULL_PAUSE)
    assert world.engine.queue.waiting == 3


def test_connections_that_wait_for_room_take_turns(world):
    limit(world, 1)
    sessions = {name: world.connect("NSK1", format="ems") for name in "abcd"}
    for name, session in sessions.items():
        tell(world, session, *(named("archive", f"{name}{number}") for number in range(6)))
    world.engine.queue.resume()
    while len(requests(world)) < 18:
        world.clock.pass_time(FULL_PAUSE)
        world.settle()
        end_one(world)
    so_far = requests(world)
    for name in sessions:
        own = [each for each in so_far if each[0] == name]
        assert 4 <= len(own) <= 6
        assert own == [f"{name}{number}" for number in range(len(own))]


def test_places_that_become_free_together_are_shared(world):
    limit(world, 2)
    for name in "abc":
        session = world.connect("NSK1", format="ems")
        tell(world, session, named("archive", f"{name}0"), named("archive", f"{name}1"))
    assert requests(world) == ["a0", "a1"]
    world.cancel_by_operator(1)
    world.cancel_by_operator(2)
    world.clock.pass_time(FULL_PAUSE)
    assert requests(world) == ["a0", "a1", "b0", "c0"]


def test_a_connection_that_comes_later_does_not_get_before_those_that_wait(world):
    limit(world, 1)
    for name in "ab":
        tell(world, world.connect("NSK1", format="ems"), named("archive", name))
    world.cancel_by_operator(1)
    tell(world, world.connect("NSK1", format="ems"), named("archive", "c"))
    world.clock.pass_time(FULL_PAUSE)
    assert requests(world) == ["a", "b"]
    world.cancel_by_operator(2)
    world.clock.pass_time(FULL_PAUSE)
    assert requests(world) == ["a", "b", "c"]


def test_all_that_wait_are_taken_at_once_when_there_is_room_for_all(world):
    drain(world)
    for name in range(50):
        tell(world, world.connect("NSK1", format="ems"), named("archive", f"r{name}"))
    resume(world)
    assert len(world.ledger.tx.requests.find(limit=1000)) == 50


def test_a_connection_does_not_wait_for_another_to_look_when_there_is_room_for_both(world):
    drain(world)
    tell(world, world.connect("NSK1", format="ems"), named("archive", "a"))
    world.clock.pass_time(0.8 * FULL_PAUSE, 0.01)
    tell(world, world.connect("NSK1", format="ems"), named("archive", "b"))
    world.clock.pass_time(0.5 * FULL_PAUSE, 0.01)
    world.operator.resume(ALICE)  # the second looks before the first
    world.clock.pass_time(0.8 * FULL_PAUSE, 0.01)
    assert sorted(requests(world)) == ["a", "b"]


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


def test_a_drain_that_begins_while_tapes_are_looked_for_changes_no_order(world, slow):
    first, second = (world.connect("NSK1", format="ems") for _ in range(2))
    tell(world, first, *(named("archive", name) for name in "abc"))
    drain(world)
    tell(world, second, named("archive", "d"))
    slow()
    assert (first.kept, second.kept) == (3, 1)
    resume(world)
    drain(world)
    slow()
    assert requests(world) == []
    limit(world, 1)
    resume(world)
    for _ in range(3):
        slow()
        world.clock.pass_time(FULL_PAUSE)
        slow()
        end_one(world)
    slow()
    assert requests(world) == ["a", "d", "b", "c"]


# The end of a connection, and of the server


def lose(world, session):
    world.hang_up(session)


def stop(world, _):
    world.engine.unwatch()


def linger(world, session):
    session.readConnectionLost()
    world.settle()
    assert session.state is SessionState.HALF_CLOSED
    world.clock.pass_time(LINGER)
    assert session.state is SessionState.CLOSING
    world.hang_up(session)


@pytest.mark.parametrize("end", [lose, stop, linger])
def test_what_is_kept_is_recorded_at_the_end(world, end):
    session = world.connect("NSK1", format="ems")
    drain(world)
    tell(world, session, *(named("archive", name) for name in "abc"))
    assert session.is_busy
    end(world, session)
    world.clock.pass_time(FULL_PAUSE)
    assert requests(world) == ["a", "b", "c"]
    assert world.machine.starts == []
    assert not session.is_busy


def test_a_peer_that_sends_no_more_gets_the_answers_of_what_is_kept(world):
    session = world.connect("NSK1", format="ems")
    drain(world)
    tell(world, session, named("archive", "last"))
    session.readConnectionLost()
    world.clock.pass_time(5.0)
    assert session.state is SessionState.HALF_CLOSED
    resume(world)
    end_one(world)
    assert told(world)[-1] == ("COMPLETED", "last")
    world.clock.pass_time(1.0)
    assert session.state is SessionState.CLOSING


def test_a_drain_that_ends_in_a_stop_leaves_what_was_kept_to_the_next_server(world):
    drain(world)
    tell(world, world.connect("NSK1", format="ems"), named("archive", "kept"))
    world.engine.unwatch()
    world.clock.pass_time(FULL_PAUSE)
    world.restart()
    world.settle()
    assert len(world.running_jobs()) == 1


# A reload, and what fails


def test_a_right_that_is_taken_away_meanwhile_is_gone(world):
    session = world.connect("NSK1", format="ems")
    drain(world)
    tell(world, session, named("archive", "kept"))
    hosts = dict(world.site.configuration.hosts)
    hosts["NSK1"] = evolve(hosts["NSK1"], families=())
    configuration = evolve(world.site.configuration, hosts=hosts)
    world.operator.reloading.reread = lambda: evolve(world.site.reader, configuration=configuration)
    world.operator.reload(ALICE)
    session.serve((hosts["NSK1"],))
    world.settle()
    assert told(world) == []
    resume(world)
    assert told(world) == [("DENIED", "kept")]
    assert world.machine.starts == []


@pytest.mark.parametrize("text", ["DSK 'archive /VAULT01/PAY'", "Status - 7"])
def test_a_right_that_is_given_while_tapes_are_looked_at_brings_nothing_before_its_turn(
    world, text
):
    """A command that was refused as it came must not slip past those that wait."""
    session = world.connect("NSK1", format="ems")
    hosts = {"NSK1": evolve(world.site.configuration.hosts["NSK1"], families=("RST",))}
    before = evolve(world.site.configuration, hosts=hosts)
    world.engine.policy.use(evolve(world.site.reader, configuration=before))
    session.serve((hosts["NSK1"],))
    drain(world)
    late = []
    threads = world.use_threads(lambda *call: late.append(call) or threads(*call).addBoth(given))

    def given(result):
        world.engine.policy.use(world.site.reader)
        session.serve((world.site.configuration.hosts["NSK1"],))
        return result

    tell(world, session, "RST '/VAULT01/ONE'", text)
    assert late
    waiting = 2 if text.startswith("DSK") else 1
    assert session.kept == waiting
    assert world.ledger.tx.jobs.find() == []
    assert len(world.ledger.tx.requests.find()) == 2 - waiting


def test_a_right_that_is_taken_away_while_another_command_is_recorded_is_gone(world, monkeypatch):
    hosts = dict(world.site.configuration.hosts)
    hosts["NSK1"] = evolve(hosts["NSK1"], families=())
    write = world.ledger.write
    session = world.connect("NSK1", format="ems")
    limit(world, 1)

    def reload(*call, **named):
        configuration = evolve(world.engine.policy.current.configuration, hosts=hosts)
        world.engine.policy.use(evolve(world.engine.policy.current, configuration=configuration))
        session.serve((hosts["NSK1"],))
        return write(*call, **named)

    monkeypatch.setattr(world.ledger, "write", reload)
    tell(world, session, named("archive", "a"), named("archive", "b"))
    assert told(world) == [("ACCEPTED", "a"), ("DENIED", "b")]


def test_a_write_that_fails_takes_nothing_from_the_commands_behind_it(world, failures):
    session = world.connect("NSK1", format="ems")
    drain(world)
    tell(world, session, *(named("archive", name) for name in "abc"))
    world.operator.resume(ALICE)  # which is written, too
    # The three together, then the first of them alone.
    world.ledger.fault = Fault(at=len(world.ledger.verbs) + 1, how="raises", writes=2)
    world.clock.pass_time(FULL_PAUSE)
    assert requests(world) == ["b", "c"]
    assert failures == ["receive_failed"]
    assert session.state is SessionState.CLOSING
    assert world.engine.receiver.backlogs == {}


def test_a_tape_that_cannot_be_looked_for_takes_nothing_from_the_commands_beside_it(
    world, failures
):
    def look(function, *args):
        if any("P00001" in each.event.text for each in (args[1] if len(args) > 1 else ())):
            function = fail
        return threads(function, *args)

    def fail(*_):
        raise Wanted

    threads = world.use_threads(look)
    session = world.connect("NSK1", format="ems")
    drain(world)
    names = {"a": "P00000", "b": "P00001", "c": "P00002"}
    tell(world, session, *(named("archive", name, tape) for name, tape in names.items()))
    assert (session.kept, failures) == (3, [])
    resume(world)
    assert requests(world) == ["a", "c"]
    assert failures == ["receive_failed"]
    world.violations.clear()  # it was meant to fail


def test_a_mount_that_fails_takes_nothing_from_what_is_behind_it(world, monkeypatch, failures):
    async def take(_self, _event, **_):
        raise Wanted

    monkeypatch.setattr(Mounts, "take", take)
    session = world.connect("NSK1", format="ems")
    drain(world)
    session.dataReceived(mount(1).encode())
    world.clock.pass_time(1.0)
    tell(world, session, named("archive", "a"))
    resume(world)
    world.clock.pass_time(FULL_PAUSE)
    assert requests(world) == ["a"]
    assert failures == ["receive_failed"]
