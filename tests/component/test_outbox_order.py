"""The outbox on many roads at once: the notices of a request arrive in their order, and all do."""

import json

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.harness.engine_worlds import Site, World
from tests.harness.sessions_in_memory import Bench, Wire, a_host, a_session
from vtspolicy.hosts import load, outbox
from vtspolicy.hosts.load import HELD
from vtspolicy.hosts.outbox import PAGE
from vtspolicy.notices import Word

STRICT = a_host(acknowledge=True)
ROADS = 3 * settings.default.max_examples  # each is fast
A_COMMAND = "VTSPolicy DSK 'archive /VAULT01/ONE/O00000 ref=x'"


@pytest.fixture(params=[0, 4000], ids=["nothing kept in memory", "kept in memory"])
def bench(request):
    bench = Bench(unsent=request.param)
    yield bench
    bench.ledger.destroy()


@pytest.fixture
def world():
    site = Site()
    world = World(site)
    yield world
    world.close()
    site.remove()


def strict(bench):
    return bench.connect(STRICT, format="json")


def acknowledge(session):
    session.acknowledge(tuple(notice.number for notice in session.transport.notices))


# A connection is gone and nobody knows, and the host comes again


def shown_again(world, session):
    """The same event on another connection: the answer is DUPLICATE."""
    event = {
        "time": "2026-11-22T02:01:00",
        "system": "\\NSK2",
        "process": "$ZBAT",
        "ssid": "TANDEM.EMS.L01",
        "number": 1234,
        "text": A_COMMAND,
    }
    session.dataReceived(json.dumps(event).encode() + b"\n")
    world.settle()


def test_a_host_that_shows_its_event_again_gets_the_final_notice_there(world):
    gone = world.connect("NSK2", arrives=False)
    shown_again(world, gone)
    back = world.connect("NSK2")
    shown_again(world, back)
    world.hang_up(gone)
    world.runner.exit(world.machine.running[0].run.key)
    world.settle()
    world.acknowledge("NSK2")
    words = [notice.word.name for notice in world.mail["NSK2"].notices]
    assert words == ["DUPLICATE", "ACCEPTED", "STARTED", "COMPLETED"]
    assert world.ledger.tx.notices.pending("NSK2") == []


@pytest.mark.parametrize("answer", [Word.DUPLICATE, Word.STATUS])
def test_an_answer_elsewhere_does_not_keep_the_rest_on_a_connection_that_is_gone(bench, answer):
    gone, live = strict(bench), strict(bench)
    bench.push(Word.ACCEPTED, origin=gone)
    bench.push(answer, origin=live)
    bench.push(Word.STARTED)
    bench.hang_up(gone)
    bench.push(Word.COMPLETED)
    words = [word for word, _ in live.transport.told()]
    assert words == [answer.name, "ACCEPTED", "STARTED", "COMPLETED"]


def test_what_its_carrier_could_not_take_goes_to_another_when_the_carrier_has_done(bench):
    slow, live = strict(bench), strict(bench)
    bench.push(Word.ACCEPTED, origin=slow)
    slow.pauseProducing()
    bench.push(Word.STARTED)
    bench.push(Word.COMPLETED)
    assert live.transport.told() == []
    acknowledge(slow)
    assert live.transport.told() == [("STARTED", 1), ("COMPLETED", 1)]


def test_a_carrier_that_can_take_again_gets_what_was_kept_for_it(bench):
    slow, live = strict(bench), strict(bench)
    bench.push(Word.ACCEPTED, origin=slow)
    slow.pauseProducing()
    bench.push(Word.STARTED)
    slow.resumeProducing()
    assert slow.transport.told() == [("ACCEPTED", 1), ("STARTED", 1)]
    assert live.transport.told() == []


def test_what_came_late_does_not_pass_what_still_waits_for_the_carrier(bench):
    slow, live = strict(bench), strict(bench)
    bench.push(Word.ACCEPTED, origin=slow)
    slow.pauseProducing()
    bench.push(Word.STARTED)
    bench.store.slow = True
    acknowledge(slow)  # nobody carries the request now, and STARTED is still to be read
    bench.push(Word.COMPLETED)
    bench.store.answer()
    assert live.transport.told() == [("STARTED", 1), ("COMPLETED", 1)]


def test_a_page_does_not_pass_what_a_connection_that_went_meanwhile_had_in_flight(bench):
    gone = strict(bench)
    bench.push(Word.ACCEPTED, request=7, origin=gone)
    for number in range(PAGE - 1):
        bench.record(Word.COMPLETED, 100 + number)
    bench.record(Word.COMPLETED, request=7)  # on the second page
    bench.store.slow = True
    live = strict(bench)
    bench.store.answer()
    bench.hang_up(gone)
    while bench.store.waiting:
        bench.store.answer()
    assert [word for word, request in live.transport.told() if request == 7] == [
        "ACCEPTED",
        "COMPLETED",
    ]


def test_what_could_not_be_given_on_one_page_is_not_passed_by_the_next(bench):
    slow = strict(bench)
    bench.push(Word.ACCEPTED, request=7, origin=slow)
    slow.pauseProducing()
    bench.record(Word.STARTED, request=7)  # on the first page, and its carrier does not read
    for number in range(PAGE - 2):
        bench.record(Word.COMPLETED, 100 + number)
    bench.record(Word.COMPLETED, request=7)  # on the second one
    bench.store.slow = True
    live = strict(bench)
    bench.store.answer()
    acknowledge(slow)  # nobody carries the request any more
    while bench.store.waiting:
        bench.store.answer()
    words = [word for word, request in live.transport.told() if request == 7]
    assert words == ["STARTED", "COMPLETED"]


def test_a_second_copy_for_who_asked_takes_nothing_from_the_one_that_has_the_first(bench):
    asking = strict(bench)
    answer = bench.record(Word.ACCEPTED)  # on the disk, and nobody told yet
    other = strict(bench)
    bench.outbox.push([answer], asking)
    bench.hang_up(asking)
    assert other.transport.told() == [("ACCEPTED", 1)]
    acknowledge(other)
    assert bench.outbox._in_flight.keys() == {answer.id}
    other.acknowledge((answer.id,))
    assert bench.pending() == []


def test_nothing_is_kept_of_what_has_arrived(bench):
    gone, live = strict(bench), strict(bench)
    for request in range(5):
        bench.push(Word.ACCEPTED, request, origin=gone)
        bench.push(Word.DUPLICATE, request, origin=live)
        bench.push(Word.COMPLETED, request)
    bench.hang_up(gone)
    acknowledge(live)
    box = bench.outbox
    assert bench.pending() == []
    assert not any((box._in_flight, box._requests, box._carriers, box._barred, box._confirmed))


def test_a_host_that_a_reload_gives_to_another_connection_loses_nothing(bench):
    both = bench.connect(STRICT, a_host("NSK2", acknowledge=True), format="json")
    other = strict(bench)
    bench.push(Word.ACCEPTED, origin=both)
    bench.push(Word.COMPLETED)
    both.serve((a_host("NSK2", acknowledge=True),))
    bench.push(Word.STARTED, request=1)
    assert [word for word, _ in both.transport.told()] == ["ACCEPTED", "COMPLETED"]
    assert other.transport.told() == []
    bench.hang_up(both)
    assert [word for word, _ in other.transport.told()] == ["ACCEPTED", "COMPLETED", "STARTED"]


def test_what_a_connection_took_along_that_is_the_host_no_more_comes_to_another(bench):
    both = bench.connect(STRICT, a_host("NSK2", acknowledge=True), format="json")
    other = strict(bench)
    bench.push(Word.COMPLETED, origin=both)
    both.serve((a_host("NSK2", acknowledge=True),))
    bench.hang_up(both)
    assert other.transport.told() == [("COMPLETED", 1)]


class Road(Wire):
    """A connection of a host: what is written arrives at once, or never."""

    def __init__(self, arrived, *, is_cut):
        super().__init__()
        self.arrived = arrived
        self.is_cut = is_cut

    def write(self, data):
        super().write(data)
        if not self.is_cut:
            self.arrived.extend(self.notices)
            self.clear()


class Roads(RuleBasedStateMachine):
    """Few requests on several connections, some of them cut: nothing is late, nothing is lost."""

    @initialize(
        acknowledges=st.sampled_from([True, True, True, False]),
        unsent=st.sampled_from([0, 2, 4000]),
    )
    def begin(self, acknowledges, unsent):
        outbox.PAGE = 3  # so that much happens between two pages
        load.HELD = unsent
        self.bench = Bench(unsent)
        # Displays are believed at once here, so nothing of theirs can be on a road that is cut.
        self.acknowledges = acknowledges
        self.hosts = (a_host(acknowledge=acknowledges),)
        self.live = []
        self.arrived = []
        self.speaking = set()  # sessions that said themselves what they have got
        self.begun = set()
        self.steps = 0

    def teardown(self):
        if not hasattr(self, "bench"):
            return
        try:
            self.calm()
        finally:
            outbox.PAGE, load.HELD = PAGE, HELD
            self.bench.ledger.destroy()

    def pick(self, which):
        return self.live[which] if which < len(self.live) else None

    @precondition(lambda self: len(self.live) < 3)
    @rule(is_cut=st.booleans())
    def connect(self, is_cut):
        session = a_session(self.bench.link, *self.hosts, format="json")
        session.makeConnection(Road(self.arrived, is_cut=is_cut and self.acknowledges))
        self.live.append(session)

    @rule(request=st.integers(1, 3), origin=st.integers(0, 3))
    def begin_or_ask(self, request, origin):
        word = Word.DUPLICATE if request in self.begun else Word.ACCEPTED
        self.begun.add(request)
        self.steps += 1
        self.bench.push(word, request, jobs=self.steps, origin=self.pick(origin))

    @precondition(lambda self: self.begun and len(self.live) < 3)
    @rule(which=st.integers(0, 2))
    def come_again(self, which):
        """A host that had no answer shows its event on a new connection."""
        self.connect(is_cut=False)
        request = sorted(self.begun)[which % len(self.begun)]
        self.begin_or_ask(request=request, origin=len(self.live) - 1)

    @precondition(lambda self: self.begun)
    @rule(which=st.integers(0, 2), times=st.integers(1, 4))
    def go_on(self, which, times):
        request = sorted(self.begun)[which % len(self.begun)]
        for _ in range(times):
            self.steps += 1
            self.bench.push(Word.STARTED, request, jobs=self.steps)

    @precondition(lambda self: self.live)
    @rule(which=st.integers(0, 2))
    def hang_up(self, which):
        session = self.live.pop(which % len(self.live))
        session.transport.is_cut = True
        self.bench.hang_up(session)

    @precondition(lambda self: self.live)
    @rule(which=st.integers(0, 2), slow=st.booleans())
    def stall(self, which, slow):
        session = self.live[which % len(self.live)]
        session.pauseProducing() if slow else session.resumeProducing()

    @precondition(lambda self: self.live)
    @rule(which=st.integers(0, 2), skip=st.integers(0, 2))
    def acknowledge(self, which, skip):
        """A host may say later, or never, that it has got the first ones."""
        session = self.live[which % len(self.live)]
        if not session.transport.is_cut:
            self.speaking.add(session)
            session.acknowledge(tuple(each.number for each in self.arrived)[skip:])

    @rule(slow=st.booleans())
    def the_ledger_is(self, slow):
        self.bench.store.slow = slow

    @rule()
    def answer(self):
        if self.bench.store.waiting:
            self.bench.store.answer()

    @rule(seconds=st.sampled_from([0.1, 1.0]))
    def wait(self, seconds):
        self.bench.clock.pass_time(seconds)

    @rule()
    def calm(self):
        """Cut roads are known to be, the others are used: all arrives, without a new one."""
        for session in [each for each in self.live if each.transport.is_cut]:
            self.live.remove(session)
            self.bench.hang_up(session)
        self.bench.store.slow = False
        for session in self.live:
            session.resumeProducing()
        for _ in range(20):
            while self.bench.store.waiting:
                self.bench.store.answer()
            self.bench.clock.pass_time(1.0)
            for session in self.live:
                if self.acknowledges or session in self.speaking:
                    session.acknowledge(tuple(each.number for each in self.arrived))
        if self.live:
            assert self.bench.pending() == []
        self.check_order()

    def check_order(self):
        """The first copies of a request's notices came in order; answers belong to no order."""
        steps = {}
        for notice in self.arrived:
            if notice.word is not Word.DUPLICATE:
                steps.setdefault(notice.fields["req"], {}).setdefault(notice.fields["jobs"])
        for request, found in steps.items():
            assert list(found) == sorted(found), f"request {request}: {list(found)}"


TestRoads = Roads.TestCase
TestRoads.settings = settings(stateful_step_count=40, max_examples=ROADS)
