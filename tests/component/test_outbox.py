"""The outbox: in order, to one live session, again until it has arrived, and nothing in between."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from twisted.internet.defer import Deferred, fail

from tests.harness.outbox_doors import comer, doors
from tests.harness.sessions_in_memory import Bench, a_host
from vtspolicy.events.event import Acknowledgement
from vtspolicy.hosts.delivery import CONFIRM
from vtspolicy.hosts.listener import STRANGERS
from vtspolicy.hosts.outbox import AGAIN, PAGE, UNDECIDED
from vtspolicy.hosts.session_life import STRANGER_PATIENCE
from vtspolicy.hosts.sessions import RECORDING
from vtspolicy.ledger import LedgerError
from vtspolicy.notices import Word
from vtspolicy.sessions import SessionState


@pytest.fixture(params=[0, 4000], ids=["nothing kept in memory", "kept in memory"])
def bench(request):
    bench = Bench(unsent=request.param)
    yield bench
    bench.ledger.destroy()


STRICT = a_host(acknowledge=True)


def acknowledge(session, *ids):
    session.acknowledge(Acknowledgement(ids=ids).ids)


def test_without_a_session_a_notice_waits_in_the_ledger_for_the_next_one(bench):
    bench.push(Word.ACCEPTED)
    assert bench.pending() == [("ACCEPTED", 1)]
    session = bench.connect()
    assert session.transport.told() == [("ACCEPTED", 1)]


def test_notices_come_in_the_order_in_which_they_were_recorded(bench):
    missed = [Word.ACCEPTED, Word.STARTED, Word.RETRYING]
    for word in missed:
        bench.push(word)
    session = bench.connect()
    bench.push(Word.STARTED)
    bench.push(Word.COMPLETED)
    words = [word for word, _ in session.transport.told()]
    assert words == ["ACCEPTED", "STARTED", "RETRYING", "STARTED", "COMPLETED"]


def test_a_session_that_only_waits_for_its_answers_is_not_the_newest(bench):
    first, second = bench.connect(), bench.connect()
    second.waiting.add(7)
    second.readConnectionLost()
    bench.push(Word.COMPLETED)
    assert first.transport.told() == [("COMPLETED", 1)]
    bench.hang_up(first)
    bench.push(Word.FAILED, request=2)
    assert second.transport.told() == [("COMPLETED", 1), ("FAILED", 2)]


def test_what_a_lost_session_had_not_confirmed_goes_to_another_live_one_at_once(bench):
    first, second = bench.connect(), bench.connect()
    bench.push(Word.ACCEPTED, origin=first)
    bench.clock.pass_time(CONFIRM)
    bench.push(Word.DUPLICATE, origin=first)
    bench.hang_up(first)
    assert second.transport.told() == [("DUPLICATE", 1)]


def test_notices_of_a_request_stay_in_order_when_a_connection_is_gone_and_nobody_knows(bench):
    gone = bench.connect(STRICT, format="json")
    bench.push(Word.ACCEPTED, origin=gone)
    again = bench.connect(STRICT, format="json")
    bench.push(Word.COMPLETED)
    bench.push(Word.DENIED, request=2)
    assert again.transport.told() == [("DENIED", 2)]
    bench.hang_up(gone)
    assert again.transport.told() == [("ACCEPTED", 1), ("COMPLETED", 1)]


def test_what_is_read_from_the_ledger_does_not_overtake_what_is_in_flight_elsewhere(bench):
    gone = bench.connect(STRICT, format="json")
    bench.push(Word.ACCEPTED, origin=gone)
    gone.pauseProducing()
    bench.push(Word.COMPLETED)
    again = bench.connect(STRICT, format="json")
    assert again.transport.told() == []
    bench.hang_up(gone)
    assert again.transport.told() == [("ACCEPTED", 1), ("COMPLETED", 1)]


def test_what_was_confirmed_is_never_sent_again(bench):
    first = bench.connect()
    bench.push(Word.ACCEPTED, origin=first)
    bench.clock.pass_time(CONFIRM)
    bench.hang_up(first)
    assert bench.connect().transport.told() == []


def test_what_is_being_noted_as_confirmed_is_not_sent_again_meanwhile(bench):
    first = bench.connect()
    bench.push(Word.ACCEPTED, origin=first)
    bench.store.delivered = lambda _: Deferred()  # the ledger takes its time
    bench.clock.pass_time(CONFIRM)
    bench.hang_up(first)
    assert bench.connect().transport.told() == []


def test_one_hosts_notices_never_reach_another(bench):
    other = bench.connect(a_host("NSK2"))
    bench.push(Word.COMPLETED)
    assert other.transport.value() == b""
    assert bench.connect().transport.told() == [("COMPLETED", 1)]


def test_one_link_of_several_hosts_gets_the_notices_of_each_once(bench):
    bench.push(Word.COMPLETED, host="NSK1")
    bench.push(Word.FAILED, 2, host="NSK2")
    session = bench.connect(a_host(), a_host("NSK2"))
    bench.push(Word.WARNING, 3, host="NSK2")
    assert session.transport.told() == [("COMPLETED", 1), ("FAILED", 2), ("WARNING", 3)]


def test_what_is_recorded_while_the_backlog_is_read_comes_after_it_and_once(bench):
    bench.record(Word.ACCEPTED)
    bench.store.slow = True
    session = bench.connect()
    bench.push(Word.STARTED)
    bench.push(Word.COMPLETED)
    assert session.transport.value() == b""
    bench.store.answer()
    words = [word for word, _ in session.transport.told()]
    assert words == ["ACCEPTED", "STARTED", "COMPLETED"]


def test_what_the_backlog_had_already_is_not_reported_a_second_time(bench):
    for number in range(PAGE):
        bench.record(Word.ACCEPTED, number)
    bench.store.slow = True
    session = bench.connect()
    bench.push(Word.COMPLETED, 7)
    bench.store.answer()  # a whole page: there may be more
    bench.store.answer()  # and there it is, though it was pushed as well
    told = session.transport.told()
    assert len(told) == PAGE + 1
    assert told[-1] == ("COMPLETED", 7)


def test_a_backlog_of_many_pages_comes_whole_and_in_order(bench):
    for number in range(3 * PAGE + 5):
        bench.record(Word.COMPLETED, number)
    session = bench.connect()
    assert [request for _, request in session.transport.told()] == list(range(3 * PAGE + 5))


def test_a_session_that_goes_while_its_backlog_is_read_leaves_it_to_the_next(bench):
    bench.record(Word.ACCEPTED)
    bench.store.slow = True
    session = bench.connect()
    bench.push(Word.COMPLETED)
    bench.hang_up(session)
    bench.store.answer()
    assert session.transport.value() == b""
    bench.store.slow = False
    assert bench.connect().transport.told() == [("ACCEPTED", 1), ("COMPLETED", 1)]
    assert not bench.outbox.owes(session)


def test_a_session_that_inherits_while_it_is_loading_gets_that_too(bench):
    first = bench.connect()
    bench.push(Word.ACCEPTED, origin=first)
    bench.store.slow = True
    second = bench.connect()  # its backlog does not have what the first has in flight: it skips it
    bench.store.answer()
    assert second.transport.told() == []
    third = bench.connect()
    bench.hang_up(second)
    bench.hang_up(first)
    while bench.store.waiting:
        bench.store.answer()
    assert third.transport.told() == [("ACCEPTED", 1)]


def test_a_backlog_that_cannot_be_read_is_asked_for_again(bench):
    bench.record(Word.ACCEPTED)
    failures = []
    bench.outbox._log.failure = lambda *_, **kwargs: failures.append(kwargs["action"])
    pending, bench.store.pending = bench.store.pending, lambda *_: fail(OSError("read error"))
    session = bench.connect()
    bench.push(Word.COMPLETED)
    assert failures == ["outbox_failed"]
    assert session.transport.value() == b""
    bench.store.pending = pending
    bench.clock.pass_time(AGAIN)
    assert session.transport.told() == [("ACCEPTED", 1), ("COMPLETED", 1)]


def test_a_ledger_that_is_closed_while_notices_arrive_is_no_defect(bench):
    failures, warnings = [], []
    bench.outbox._log.failure = lambda *_, **kwargs: failures.append(kwargs["action"])
    bench.outbox._log.warn = lambda *_, **kwargs: warnings.append(kwargs["action"])
    session = bench.connect()
    bench.push(Word.COMPLETED, origin=session)
    bench.store.delivered = lambda _: fail(LedgerError("closed in trouble: disk full"))
    bench.clock.pass_time(CONFIRM)
    assert (failures, warnings) == ([], ["outbox_closed"])


def test_a_slow_reader_is_given_nothing_more_until_it_has_caught_up(bench):
    session = bench.connect()
    session.pauseProducing()
    for number in range(3):
        bench.push(Word.COMPLETED, number)
    assert session.transport.value() == b""
    session.resumeProducing()
    assert [request for _, request in session.transport.told()] == [0, 1, 2]


def test_a_reader_that_becomes_slow_within_a_page_gets_the_rest_later_in_order(bench):
    for number in range(2 * PAGE):
        bench.record(Word.COMPLETED, number)
    bench.store.slow = True
    session = bench.connect()
    write = session.transport.write

    def fill(data):
        write(data)
        session.pauseProducing()

    session.transport.write = fill
    bench.store.slow = False
    bench.store.answer()
    assert len(session.transport.notices) == PAGE
    bench.push(Word.COMPLETED, 2 * PAGE)
    session.transport.write = write
    session.resumeProducing()
    requests = [request for _, request in session.transport.told()]
    assert requests == list(range(2 * PAGE + 1))


def test_a_format_that_is_not_known_yet_is_waited_for_but_not_for_ever(bench):
    bench.record(Word.COMPLETED)
    session = bench.connect(format="auto")
    bench.push(Word.FAILED, 2)
    assert session.transport.value() == b""
    bench.clock.pass_time(UNDECIDED)
    assert session.transport.told() == [("COMPLETED", 1), ("FAILED", 2)]


def test_what_was_missed_comes_as_soon_as_the_format_is_known_and_in_it(bench):
    bench.record(Word.COMPLETED)
    session = bench.connect(format="auto")
    session.dataReceived(b'{"ack": 4711}\n')
    assert session.transport.value().startswith(b'{"time"')
    assert session.transport.told() == [("COMPLETED", 1)]


def test_only_the_peers_own_word_counts_where_the_configuration_says_so(bench):
    session = bench.connect(STRICT, format="json")
    bench.push(Word.ACCEPTED, origin=session)
    bench.push(Word.COMPLETED)
    bench.clock.pass_time(10 * CONFIRM, CONFIRM)
    first, second = (notice.number for notice in session.transport.notices)
    assert len(bench.pending()) == 2
    acknowledge(session, first, first, 4711)
    assert bench.pending() == [("COMPLETED", 1)]
    bench.hang_up(session)
    again = bench.connect(STRICT, format="json")
    assert [notice.number for notice in again.transport.notices] == [second]
    acknowledge(again, second)
    assert bench.pending() == []


def test_who_has_to_acknowledge_is_told_the_number_even_before_it_has_spoken(bench):
    bench.push(Word.COMPLETED)
    session = bench.connect(STRICT, format="auto")
    bench.clock.pass_time(UNDECIDED)
    (notice,) = session.transport.notices
    acknowledge(session, notice.number)
    assert bench.pending() == []


def test_nobody_can_acknowledge_what_was_sent_to_another(bench):
    first = bench.connect(STRICT, format="json")
    bench.push(Word.ACCEPTED, origin=first)
    stranger = bench.connect(a_host("NSK2", acknowledge=True), format="json")
    acknowledge(stranger, *(notice.number for notice in first.transport.notices))
    assert bench.pending() == [("ACCEPTED", 1)]


def test_a_strict_peer_that_sends_no_more_is_not_waited_for(bench):
    session = bench.connect(STRICT, format="json")
    bench.push(Word.REJECTED, origin=session)
    session.readConnectionLost()
    assert session.transport.disconnecting
    bench.hang_up(session)
    assert bench.pending() == [("REJECTED", 1)]


def test_an_answer_that_waits_for_the_backlog_keeps_a_half_closed_connection_open(bench):
    session = bench.connect(format="auto")
    bench.store.slow = True
    bench.engine.at_once = True
    session.dataReceived(b"VTSPolicy DSK 'archive\n")
    bench.push(Word.REJECTED, origin=session)
    session.readConnectionLost()
    assert not session.transport.disconnecting
    bench.store.answer()
    bench.clock.pass_time(CONFIRM)
    assert session.transport.told() == [("REJECTED", 1)]
    assert session.state is SessionState.CLOSING


def test_sessions_are_counted_by_host(bench):
    one, both = bench.connect(), bench.connect(a_host(), a_host("NSK2"))
    assert (bench.outbox.sessions("NSK1"), bench.outbox.sessions("NSK2")) == (2, 1)
    bench.hang_up(one)
    bench.hang_up(both)
    assert (bench.outbox.sessions("NSK1"), bench.outbox.sessions("NSK2")) == (0, 0)
    assert bench.outbox.sessions("NOBODY") == 0


# The door


def test_no_more_connections_come_in_than_are_configured(bench):
    door, refused, counted = doors(bench, limit=2)
    first = comer(door)
    assert comer(door) is not None
    assert comer(door) is None
    assert refused == ["full"]
    bench.hang_up(first)
    assert comer(door) is not None
    assert counted == [(True, 1), (True, 1), (True, -1), (True, 1)]


def test_strangers_take_no_room_from_hosts(bench):
    door, refused, _ = doors(bench)
    for _ in range(STRANGERS):
        assert comer(door, "192.0.2.1") is not None
    assert comer(door, "192.0.2.1") is None
    assert refused == ["stranger"]
    assert comer(door) is not None


def test_a_right_that_a_reload_takes_away_is_gone_on_connections_that_are_there(bench):
    known = [a_host(families=("Erase",))]
    door, _, _ = doors(bench, hosts=lambda: tuple(known))
    session = comer(door)
    known[:] = [a_host(families=())]
    door.sessions.renew()
    assert [host.families for host in session.hosts] == [()]
    assert session.is_live
    bench.clock.pass_time(UNDECIDED)
    bench.push()
    assert session.transport.told() == [("ACCEPTED", 1)]


def test_a_host_that_a_reload_removes_is_sent_away_and_its_notices_wait(bench):
    known = [a_host()]
    door, _, counted = doors(bench, hosts=lambda: tuple(known))
    session = comer(door)
    known[:] = []
    door.sessions.renew()
    assert session.transport.disconnecting
    bench.push()
    assert session.transport.told() == []
    bench.hang_up(session)
    assert bench.pending() == [("ACCEPTED", 1)]
    assert sum(change for known, change in counted if known) == 0
    assert sum(change for _, change in counted) == 0


def test_a_host_that_a_reload_adds_is_served_on_the_connection_that_is_there(bench):
    known = []
    door, _, _ = doors(bench, hosts=lambda: tuple(known))
    session = comer(door)
    bench.record()
    known[:] = [a_host()]
    door.sessions.renew()
    bench.clock.pass_time(STRANGER_PATIENCE + 1)
    assert session.is_live
    assert session.transport.told() == [("ACCEPTED", 1)]
    assert bench.outbox.sessions("NSK1") == 1


def closing(door):
    """Close all doors; answers a list that is filled when they are closed."""

    async def close():
        await door.close()
        await door.sessions.close()

    done = []
    Deferred.fromCoroutine(close()).addCallback(done.append)
    return done


def test_doors_are_closed_when_what_came_through_them_is_recorded(bench):
    door, _, _ = doors(bench)
    session = comer(door)
    session.dataReceived(b"VTSPolicy Status - 1\n")
    done = closing(door)
    bench.clock.pass_time(1.0)
    assert done == []
    bench.engine.record()
    bench.clock.pass_time(1.0)
    assert done == [None]
    assert session.transport.disconnecting


def test_an_event_that_may_continue_is_waited_for_before_its_door_is_closed(bench):
    door, _, _ = doors(bench)
    session = comer(door)
    header = b"26-11-22 02:14:09 \\NSK1.$ZBAT TANDEM.EMS.L01 1234"
    session.dataReceived(header + b" VTSPolicy Erase - A00017\n")
    done = closing(door)
    session.dataReceived(b"   A00018\n")
    bench.clock.pass_time(1.0)
    assert bench.engine.got == [["VTSPolicy Erase - A00017 A00018"]]
    bench.engine.record()
    bench.clock.pass_time(1.0)
    assert done == [None]


def test_a_door_is_not_held_open_for_ever_by_what_cannot_be_recorded(bench):
    door, _, _ = doors(bench)
    comer(door).dataReceived(b"VTSPolicy Status - 1\n")
    done = closing(door)
    bench.clock.pass_time(RECORDING - 0.1, step=0.05)
    assert done == []
    bench.clock.pass_time(1.0, step=0.05)
    assert done == [None]


class Weather(RuleBasedStateMachine):
    """Sessions come, go, stall and confirm while notices are recorded: none is lost, none jumps."""

    @initialize(strict=st.booleans(), unsent=st.sampled_from([0, 2, 4000]))
    def begin(self, strict, unsent):
        self.bench = Bench(unsent)
        self.host = a_host(acknowledge=strict)
        self.live = []
        self.last = 0

    def teardown(self):
        if hasattr(self, "bench"):
            self.bench.ledger.destroy()

    @rule(origin=st.integers(0, 3))
    def tell(self, origin):
        self.last += 1
        origin = self.live[origin] if origin < len(self.live) else None
        self.bench.push(Word.COMPLETED, self.last, origin=origin)

    @precondition(lambda self: len(self.live) < 3)
    @rule(format=st.sampled_from(["json", "auto"]))
    def connect(self, format):  # noqa: A002
        self.live.append(self.bench.connect(self.host, format=format))

    @precondition(lambda self: self.live)
    @rule(which=st.integers(0, 2), how=st.sampled_from(["gone", "sends no more", "closed"]))
    def part(self, which, how):
        session = self.live[which % len(self.live)]
        if how == "gone":
            self.live.remove(session)
            self.bench.hang_up(session)
        elif how == "closed":
            session.close()
        elif session.state is SessionState.OPEN:
            session.readConnectionLost()

    @precondition(lambda self: self.live)
    @rule(which=st.integers(0, 2), slow=st.booleans())
    def stall(self, which, slow):
        session = self.live[which % len(self.live)]
        if slow:
            session.pauseProducing()
        else:
            session.resumeProducing()

    @precondition(lambda self: self.live)
    @rule(which=st.integers(0, 2), share=st.integers(0, 5))
    def acknowledge(self, which, share):
        session = self.live[which % len(self.live)]
        numbers = [notice.number for notice in session.transport.notices if notice.number]
        acknowledge(session, *numbers[:share])

    @rule(slow=st.booleans())
    def the_ledger_is(self, slow):
        self.bench.store.slow = slow

    @rule()
    def answer(self):
        if self.bench.store.waiting:
            self.bench.store.answer()

    @rule(seconds=st.sampled_from([0.1, 1.0, 100.0]))
    def wait(self, seconds):
        self.bench.clock.pass_time(seconds)

    @rule()
    def settle(self):
        """A new session gets, in order, all that is not confirmed and not in another's hands."""
        for session in self.live:
            self.bench.hang_up(session)
        self.live.clear()
        self.bench.store.slow = False
        while self.bench.store.waiting:
            self.bench.store.answer()
        missed = [request for _, request in self.bench.pending()]
        session = self.bench.connect(self.host, format="json")
        assert [request for _, request in session.transport.told()] == missed
        self.live.append(session)


TestWeather = Weather.TestCase
TestWeather.settings = settings(stateful_step_count=30)


def test_whoever_asked_is_answered_though_a_new_session_came_across_the_answer_first(bench):
    asking = bench.connect()
    answer = bench.record(Word.ACCEPTED)  # on the disk, and nobody told yet
    other = bench.connect()
    bench.outbox.push([answer], asking)
    assert other.transport.told() == [("ACCEPTED", 1)]
    assert asking.transport.told() == [("ACCEPTED", 1)]


def test_what_a_load_has_sent_and_seen_arrive_is_not_sent_again_for_having_been_pushed(bench):
    for _ in range(PAGE):
        bench.record(Word.STARTED)
    bench.store.slow = True
    session = bench.connect()
    bench.push(Word.ACCEPTED, request=7, origin=session)
    for _ in range(PAGE - 1):
        bench.record(Word.STARTED)
    bench.store.answer()  # what there was before
    bench.store.answer()  # the one that was pushed, and as many as fill the page
    bench.clock.pass_time(CONFIRM)  # all of it arrives
    bench.store.answer()  # nothing more
    assert session.transport.told().count(("ACCEPTED", 7)) == 1
