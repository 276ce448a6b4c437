"""The promises, by machine: whatever happens in whatever order, each request ends once and right.

Hosts send and send again, runs end in all ways, operators interfere, connections break, clocks
jump, and the server is killed at any moment, also inside a write. Beside it stands the naive
account in engines.py: what runs on the machine, what each host has got.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.harness.engine_worlds import Fault, Site, World

HOSTS = st.sampled_from(["NSK1", "NSK2"])
COMMANDS = st.sampled_from(
    [
        "VTSPolicy DSK 'archive /VAULT01/PAY'",
        "VTSPolicy DSK 'archive /VAULT01/PAY/P00000'",
        "VTSPolicy DSK 'archive /VAULT01/ONE ref=one'",
        "VTSPolicy DSK 'selective /VAULT01/PAY/P00001'",
        "VTSPolicy DSK 'selective /VAULT01/LEDGER'",
        "VTSPolicy RST '/VAULT01/OLD'",
        "VTSPolicy RST '/VAULT01/PAY/P00002'",
        "VTSPolicy BRG '/VAULT01/LEDGER'",
        "VTSPolicy Erase - O00000 O00001",
        "VTSPolicy DSK 'archive /VAULT01/SECRET'",  # denied
        "VTSPolicy NBU '/VAULT01/PAY'",  # no rule
        "VTSPolicy DSK 'archve /VAULT01/PAY'",  # rejected
        "VTSPolicy DSK 'archive /VAULT01/NOSUCH'",  # fails at once
        "VTSPolicy DSK 'archive /VAULT02/PAY'",  # denied: not this host's vault
        "VTSPolicy DSK 'archive /VAULT01/PAY s=elsewhere'",  # not ours
        "Volume $DATA2 is full",
    ]
)
MINUTES = st.integers(0, 3)  # few: the same event comes again and again
SHAPES = st.sampled_from(["json", "json", "display", "wrapped", "plain"])
WHICH = st.integers(0, 5)


class Night(RuleBasedStateMachine):
    site = None

    @initialize()
    def begin(self):
        if Night.site is None:
            Night.site = Site()
        self.world = World(Night.site)

    def teardown(self):
        if not hasattr(self, "world"):
            return
        try:
            self.world.end()
            self.world.check_end()
        finally:
            self.world.close()

    @property
    def runs(self):
        return self.world.machine.running

    @property
    def requests(self):
        return self.world.ledger.tx.requests.find(limit=10)

    # What hosts do

    @rule(host=HOSTS, text=COMMANDS, minute=MINUTES, shape=SHAPES)
    def send(self, host, text, minute, shape):
        # Only the word of NSK2 counts for what it has got, and a display has no word for that.
        self.world.send(host, text, minute, shape=shape if host == "NSK1" else "json")

    @rule(texts=st.lists(COMMANDS, min_size=2, max_size=5, unique=True), minute=MINUTES)
    def send_several(self, texts, minute):
        for number, text in enumerate(texts):
            self.world.send(("NSK1", "NSK2")[number % 2], text, minute)

    @precondition(lambda self: self.requests)
    @rule(host=HOSTS, which=WHICH, minute=MINUTES, word=st.sampled_from(["Cancel", "Status"]))
    def ask(self, host, which, minute, word):
        request = self.requests[which % len(self.requests)].id
        if word == "Cancel":
            self.world.cancel_by_host(host, request, minute)
        else:
            self.world.send(host, f"VTSPolicy Status - {request}", minute)

    @rule(host=HOSTS, arrives=st.booleans())
    def connect(self, host, arrives):
        if len(self.world.sessions) < 6:
            self.world.connect(host, arrives=arrives or host == "NSK1")

    @precondition(lambda self: self.world.sent and len(self.world.sessions) < 6)
    @rule(which=WHICH)
    def come_again(self, which):
        """A host that had no answer shows its event on a new connection."""
        host, text, minute = self.world.sent[-1 - which % len(self.world.sent)]
        self.world.connect(host)
        self.world.send(host, text, minute)

    @precondition(lambda self: self.world.sessions)
    @rule(which=WHICH)
    def hang_up(self, which):
        self.world.hang_up(self.world.sessions[which % len(self.world.sessions)])

    @precondition(lambda self: self.world.sessions)
    @rule(which=WHICH, slow=st.booleans())
    def read_slowly(self, which, slow):
        session = self.world.sessions[which % len(self.world.sessions)]
        session.pauseProducing() if slow else session.resumeProducing()

    @rule()
    def acknowledge(self):
        self.world.acknowledge("NSK2")

    # What runs do

    @precondition(lambda self: self.runs)
    @rule(which=WHICH, code=st.sampled_from([0, 0, 4, 9]))
    def exit(self, which, code):
        self.world.runner.exit(self.runs[which % len(self.runs)].run.key, code)

    @precondition(lambda self: self.runs)
    @rule(codes=st.lists(st.sampled_from([0, 9]), min_size=1, max_size=6))
    def exit_several(self, codes):
        for code in codes:
            if self.runs:
                self.world.runner.exit(self.runs[0].run.key, code)
                self.world.settle()

    @precondition(lambda self: self.runs)
    @rule(which=WHICH, how=st.sampled_from(["kill", "lose"]))
    def die(self, which, how):
        getattr(self.world.runner, how)(self.runs[which % len(self.runs)].run.key)

    @rule(obedient=st.booleans())
    def obey(self, obedient):
        """Whether runs that are told to stop do so at once."""
        self.world.runner.obedient = obedient

    @precondition(lambda self: any(life.stopped for life in self.runs))
    @rule()
    def stop_at_last(self):
        for life in self.runs:
            if life.stopped is not None:
                self.world.runner.finish_stopping(life.run.key)

    @rule(trouble=st.sampled_from([None, "the disk is full"]))
    def the_spool_is(self, trouble):
        self.world.runner.trouble = trouble

    # What operators do

    @precondition(lambda self: self.requests)
    @rule(which=WHICH)
    def cancel(self, which):
        self.world.cancel_by_operator(self.requests[which % len(self.requests)].id)

    @rule(which=WHICH)
    def retry(self, which):
        ended = [job for job in self.world.ledger.tx.jobs.find(limit=6) if not job.state.is_live]
        if ended:
            self.world.retry(ended[which % len(ended)])

    @rule(drained=st.booleans())
    def drain(self, drained):
        if drained:
            self.world.engine.queue.drain()
        else:
            self.world.engine.queue.resume()

    # What fate does

    @rule(seconds=st.sampled_from([0.1, 61.0, 1801.0, 4000.0]))
    def wait(self, seconds):
        self.world.clock.pass_time(seconds)

    @rule(seconds=st.sampled_from([30.0, 3600.0]))
    def put_the_clock_back(self, seconds):
        self.world.clock.rightNow -= seconds

    @rule()
    def kill(self):
        self.world.restart()

    @rule(after=st.integers(1, 6), how=st.sampled_from(["before", "after", "raises"]))
    def doom(self, after, how):
        """The server will die at one of its next writes."""
        self.world.ledger.fault = Fault(len(self.world.ledger.verbs) + after, how)

    @invariant()
    def holds(self):
        if not hasattr(self, "world"):
            return
        self.world.settle()
        if self.world.ledger.dead:
            self.world.restart()
        self.world.check()


TestNight = Night.TestCase
TestNight.settings = settings(stateful_step_count=50)


def teardown_module():
    if Night.site is not None:
        Night.site.remove()
