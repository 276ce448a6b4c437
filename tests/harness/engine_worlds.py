"""A whole server without processes, sockets or threads: engine, queue, outbox, ledger, fake runs.

It can be killed at any moment, also in the middle of a write, and built anew from what a real one
would find: the ledger and what runs on the machine.
"""

import json
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

from attrs import define, evolve, field, frozen
from twisted.internet.defer import Deferred, execute
from twisted.logger import globalLogPublisher

from tests.harness.sessions_in_memory import GONE, Wire, a_session
from vtspolicy.config.model import Configuration, Host
from vtspolicy.control import Refused
from vtspolicy.engine.assembly import assemble, assemble_operator
from vtspolicy.engine.policy import Policy, PolicyInForce
from vtspolicy.grammar import load_vocabulary
from vtspolicy.hosts.session import SessionServices
from vtspolicy.jobs import JobState
from vtspolicy.metrics import Metrics
from vtspolicy.notices import read_line
from vtspolicy.rules.load import load_table
from vtspolicy.testing.clock import TestClock
from vtspolicy.testing.ledger import MemoryLedger
from vtspolicy.testing.runner import FakeRunner, Machine

TAPES = {"PAY": 3, "LEDGER": 2, "ONE": 1, "OLD": 2, "SECRET": 1}
SEATS = {"DSK": 2, "RST": 1, "BRG": 1}
RULES = """
applications:
  DSK: {seats: 2, outcome: {0: completed, 4: warning, default: failed}}
  RST: {seats: 1, outcome: {0: completed, default: failed}}
  BRG: {seats: 1, outcome: {0: completed, default: failed}}
rules:
  - rule: secrets stay
    when: {family: DSK, pool: SECRET}
    deny: secrets stay where they are
  - rule: archive once
    when: {family: DSK, operation: archive}
    run: ["true", archive, "{path}"]
    lock: "{path}"
    timeout: 1h
  - rule: select again and again
    when: {family: DSK, operation: selective}
    run: ["true", selective, "{path}"]
    lock: "{path}"
    timeout: 30m
    retry: {attempts: 3, delay: 1m, backoff: 2}
    on_interrupt: retry
  - rule: verified copies
    when: {family: RST}
    run: ["true", backup, "{path}"]
    verify: ["true", snapshots, "{handle}"]
    lock: "{path}"
    then: migrated
  - rule: a pool at once
    when: {family: BRG}
    run: ["true", create, "{path}"]
    each: pool
    lock: "{path}"
    retry: {attempts: 2, delay: 10m}
  - rule: empty tapes that have their copy
    when: {family: Erase}
    then: erased
    lock: "{path}"
"""

FAMILIES = ("DSK", "RST", "BRG", "NBU", "Erase", "Status", "Cancel")


def give(operator, text, *, tapes=None, override=None, copy=None, to=None, reason=None):
    """What an operator gets for a command, with nothing but what the test says."""
    return operator.order(
        text=text,
        tapes=tapes,
        override=override,
        copy=copy,
        to=to,
        actor="operator alice",
        reason=reason,
    )


def now_at_once(function, *args):
    """What deferToThread does, without a thread."""
    return execute(function, *args)


class Site:
    """The files of a server: vaults with tapes, rules. Read once for all tests."""

    def __init__(self, rules=RULES, *, families=(), within=None):
        """Decide by `rules`; its hosts may use these `families` too."""
        self.root = Path(tempfile.mkdtemp(prefix="vtspolicy-test-", dir=within))
        (self.root / "rules.yaml").write_text(rules)
        self.vocabulary = load_vocabulary(())
        hosts = {
            name: Host(
                name=name,
                peers=("10.0.0.9",),
                systems=(f"\\{name}",),
                vaults=("VAULT01",),
                families=(*FAMILIES, *families),
                notices=notices,
                acknowledge=name == "NSK2",
            )
            for name, notices in (("NSK1", "final"), ("NSK2", "all"))
        }
        self.configuration = Configuration(
            file="test",
            node="vts1.example.com",
            listen=(),
            ledger="sqlite:///memory",
            spool=self.root / "spool",
            vaults={"VAULT01": self.root / "VAULT01"},
            hosts=hosts,
        )
        self.table = load_table(
            [self.root / "rules.yaml"],
            vocabulary=self.vocabulary,
            configuration=self.configuration,
        )
        self.reader = Policy(
            configuration=self.configuration, vocabulary=self.vocabulary, table=self.table
        )

    def fresh(self):
        """The tapes as they were in the beginning, and no runs."""
        shutil.rmtree(self.root / "spool", ignore_errors=True)
        for pool, count in TAPES.items():
            folder = self.root / "VAULT01" / pool
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                (folder / f"{pool[0]}{number:05d}").write_bytes(b"tape")

    def remove(self):
        shutil.rmtree(self.root, ignore_errors=True)


class Wanted(Exception):  # noqa: N818
    """A write fails because the test wants it to."""


@frozen
class Fault:
    """Where the server dies: at a write of the ledger, counted from 1."""

    at: int
    how: str  # before: nothing is written; after: written, nobody is told; raises: it lives on
    writes: int = 1  # that raise, one after the other


class FaultyLedger(MemoryLedger):
    """A ledger whose server can die at a write, before it or after it, and then does no more."""

    def __init__(self, *, image=None):
        super().__init__(image=image)
        self.fault = None
        self.verbs = []  # the names of all writes
        self.dead = False
        self.refused = False  # a write was refused: what hung on it waits for the next server

    def write(self, verb, *args, **kwargs):
        if self.dead:
            return Deferred()  # there is nobody who could write, or be told
        self.verbs.append(verb.__name__)
        fault = self.fault
        if fault is None or not fault.at <= len(self.verbs) < fault.at + fault.writes:
            return super().write(verb, *args, **kwargs)
        if verb.__name__ == "begin_era" and self.fault.how == "raises":
            return super().write(verb, *args, **kwargs)  # a server that cannot start is no server
        if self.fault.how == "raises":
            self.before, self.refused = self.refuse, True
            try:
                return super().write(verb, *args, **kwargs)
            finally:
                self.before = None
        if self.fault.how == "after":
            nobody = super().write(verb, *args, **kwargs)
            nobody.addErrback(lambda _: None)  # is told, of a refusal no more than of the rest
        self.dead = True
        return Deferred()

    @staticmethod
    def refuse(verb):
        raise Wanted(verb)


class Times:
    """One server's view of the clock: with it, all that it had planned is gone."""

    def __init__(self, clock):
        self.clock = clock
        self.programs = []

    def seconds(self):
        return self.clock.seconds()

    def callLater(self, delay, function, *args, **kwargs):
        self.programs = [each for each in self.programs if each.active()]
        call = self.clock.callLater(delay, function, *args, **kwargs)
        self.programs.append(call)
        return call

    def getDelayedCalls(self):
        return [each for each in self.programs if each.active()]

    def crash(self):
        for each in self.getDelayedCalls():
            each.cancel()


@define
class Mailbox:
    """What one host has got over all its connections."""

    notices: list = field(factory=list)  # ReceivedNotice, in the order of their arrival
    numbers: set = field(factory=set)  # by which it knows those that it has already

    def take(self, notice):
        if notice.number not in self.numbers:
            self.numbers.add(notice.number)
            self.notices.append(notice)

    @property
    def order(self):
        """The numbers of each request's own notices, in the order of their first arrival."""
        found = {}
        for notice in self.notices:
            if notice.word.is_final or notice.word.is_progress or notice.word.name == "ACCEPTED":
                found.setdefault(notice.fields["req"], []).append(notice.number)
        return found

    @property
    def finals(self):
        """The final words of each request, one for each different notice."""
        found = {}
        for notice in self.notices:
            if notice.word.is_final:
                found.setdefault(notice.fields["req"], []).append(notice.word)
        return found


class HostWire(Wire):
    """A connection of one host: what is written arrives at once, or never."""

    def __init__(self, world, host, *, arrives=True):
        super().__init__()
        self.world = world
        self.host = host
        self.arrives = arrives

    def write(self, data):
        notice = read_line(data)
        number = self.world.check_notice(self.host, notice)
        if self.arrives:
            self.world.mail[self.host].take(evolve(notice, number=number))


class World:
    """The hosts, the ledger's file and the machine; and the server, as long as it lives."""

    threads = staticmethod(now_at_once)
    runners = FakeRunner
    ledgers = FaultyLedger
    steady = None  # a clock that nobody sets; None: nobody sets the other one
    trust = None

    def __init__(self, site):
        self.site = site
        site.fresh()
        self.clock = TestClock()
        self.ledger = self.ledgers()
        self.machine = Machine()
        self.metrics = Metrics()
        self.mail = {name: Mailbox() for name in site.configuration.hosts}
        self.sessions = []
        self.violations = []
        self.sent = []  # (host, text, minute) of each event in JSON
        self.cancelled = set()  # jobs that somebody asked to be cancelled while they were live
        self.renewed = set()  # events of requests that an operator had run again
        globalLogPublisher.addObserver(self.observe)
        self.start()

    def start(self):
        """A server begins, with nothing but what the last one left."""
        self.ledger.dead = self.ledger.refused = False
        self.times = Times(self.clock)
        self.runner = self.runners(self.times, self.site.root / "spool", self.machine)
        self.engine = assemble(
            clock=self.times,
            policy=PolicyInForce(self.site.reader),
            ledger=self.ledger,
            runner=self.runner,
            metrics=self.metrics,
            threads=self.threads,
            steady=self.steady,
            trust=self.trust,
        )
        self.prepare()
        self.link = SessionServices(
            reactor=self.times,
            engine=self.engine,
            outbox=self.engine.outbox,
            node=self.site.configuration.node,
            settle=0.2,
        )
        self.operator = assemble_operator(
            self.engine,
            sessions=SimpleNamespace(all=self.sessions, renew=lambda: None),
            reread=lambda: self.site.reader,
        )
        started = Deferred.fromCoroutine(self.engine.start())
        self.settle()
        if not self.ledger.dead:
            assert started.called
            assert started.result is None, started.result

    def use_sessions(self, *, all=(), renew=lambda: None):  # noqa: A002 (that of the sessions)
        """Let the operator's side know these sessions of hosts."""
        sessions = SimpleNamespace(all=all, renew=renew)
        self.operator.gauges.sessions = self.operator.reloading.sessions = sessions

    def use_threads(self, threads):
        """Let the files be looked at by this from now on; returns what did it before."""
        before = self.engine.threads
        for part in (self.engine, self.engine.job_runner.checks, self.engine.cleanup):
            part.threads = threads
        return before

    def prepare(self):
        """Something else may be done to a server before it starts."""

    def kill(self):
        """The server is gone, at this instant; what runs continues, connections break."""
        self.ledger.dead = True
        self.times.crash()
        self.runner.crash()
        for life in self.machine.running:
            life.stopped = None  # the next server has to tell it again
        for session in self.sessions:
            session.transport.arrives = False
        self.sessions.clear()

    def restart(self):
        self.kill()
        self.start()

    def settle(self):
        self.clock.settle()

    def observe(self, event):
        """A failure in the log is a defect, unless the test made it."""
        failure = event.get("log_failure")
        if failure is not None and not failure.check(Wanted):
            self.violations.append(failure.getTraceback())

    def close(self):
        globalLogPublisher.removeObserver(self.observe)
        self.kill()
        self.ledger.destroy()

    # The hosts

    def connect(self, host, *, format="json", arrives=True):  # noqa: A002 (the configuration's)
        session = a_session(self.link, self.site.configuration.hosts[host], format=format)
        session.makeConnection(HostWire(self, host, arrives=arrives))
        self.sessions.append(session)
        self.settle()
        return session

    def hang_up(self, session):
        self.sessions.remove(session)
        session.connectionLost(GONE)
        self.settle()

    def of(self, host, format="json"):  # noqa: A002
        """The newest live session of a host, made if there is none."""
        for session in reversed(self.sessions):
            known = session.hosts[0].name == host and session.wire.format == format
            if known and session.is_live and session.transport.reads:
                return session
        return self.connect(host, format=format)

    def send(self, host, text, minute=0, *, shape="json"):
        """A command: in a JSON event, in a displayed one, in a wrapped one, or plain."""
        if shape == "json":
            self.sent.append((host, text, minute))
            line = {
                "time": f"2026-11-22T02:{minute:02d}:00",
                "system": f"\\{host}",
                "process": "$ZBAT",
                "ssid": "TANDEM.EMS.L01",
                "number": 1234,
                "text": text,
            }
            self.of(host).dataReceived(json.dumps(line).encode() + b"\n")
        else:
            header = f"26-11-22 02:{minute:02d}:00 \\{host}.$ZBAT TANDEM.EMS.L01 1234"
            first, _, rest = text.partition(" ")
            shown = {
                "display": f"{header} {text}\n",
                "wrapped": f"{header} {first}\r\n        {rest}\r\n",
                "plain": f"{text}\n",
            }[shape]
            self.of(host, "ems").dataReceived(shown.encode())
            self.clock.pass_time(0.3)
        self.settle()

    def acknowledge(self, host):
        """The host says what it has got."""
        for session in list(self.sessions):
            if session.hosts[0].name != host or session.wire.format != "json":
                continue
            if session.transport.arrives:
                numbers = [n.number for n in self.mail[host].notices if n.number is not None]
                line = json.dumps({"ack": numbers[-500:]})
                session.dataReceived(line.encode() + b"\n")
        self.settle()

    # Those who cancel

    def cancel_by_host(self, host, request, minute):
        """A host may cancel its own requests only; an event counts once."""
        self.note_cancel(host, request)
        self.send(host, f"VTSPolicy Cancel - {request}", minute)

    def order(self, text, **wish):
        """An operator gives a command; what it comes to is the answer's own matter."""
        return give(self.operator, text, **wish)

    def cancel_by_operator(self, request):
        self.note_cancel(None, request)
        told = self.operator.cancel(request, None, "operator alice")
        told.addErrback(lambda failure: failure.trap(Wanted))
        self.settle()

    def note_cancel(self, host, request):
        for job in self.ledger.tx.jobs.find(request=request):
            if job.state.is_live and host in {None, job.host}:
                self.cancelled.add(job.id)

    def retry(self, job):
        """An operator has a job that ended run again."""
        event = self.ledger.tx.events.get(job.request)
        self.renewed.add((event.time, event.text))
        told = self.operator.retry(job.id, "operator alice")
        told.addErrback(lambda failure: failure.trap(Wanted, Refused))
        self.settle()

    # What must hold at every instant

    def check_notice(self, host, notice):
        """Promise 1, at the moment in which a notice is written; answers its number.

        A display does not show it: of those that look the same, it is one that is new to the host.
        """
        alike = [
            each.id
            for each in self.ledger.tx.notices.pending(host)
            if each.word is notice.word
            and each.fields.get("req") == notice.fields.get("req")
            and notice.number in {None, each.id}
        ]
        if not alike:
            self.violations.append(f"{notice.text} left before it was recorded")
            return notice.number
        got = self.mail[host].numbers
        return next((number for number in alike if number not in got), alike[0])

    def running_jobs(self):
        """Jobs whose application runs on the machine now; a query that verifies is none."""
        keys = {life.run.key: life.run.job for life in self.machine.running}
        return [self.ledger.tx.jobs.get(job) for key, job in keys.items() if key.count("-") == 1]

    def check(self):
        """Nothing went wrong; seats and locks, by what runs on the machine."""
        assert self.violations == []
        jobs = self.running_jobs()
        assert len({job.id for job in jobs}) == len(jobs), "a job runs twice at once"
        for application, seats in SEATS.items():
            taken = [job.id for job in jobs if job.work.application == application]
            assert len(taken) <= seats, f"{application}: {taken}"
        for life in self.machine.running:
            told = life.stopped is not None or life.run.key not in self.runner.watched
            state = self.ledger.tx.jobs.get(life.run.job).state
            assert told or state is not JobState.STOPPING, f"{life.run.key} was not told to stop"
        locks = [job.lock for job in jobs]
        for number, one in enumerate(locks):
            for other in locks[number + 1 :]:
                assert not overlap(one, other), f"{one} and {other} at once"

    def end(self, patience=200):
        """Let all come to its end: runs succeed, times pass, hosts are there and listen."""
        self.ledger.fault = None
        if self.ledger.dead or self.ledger.refused:
            self.restart()
        self.runner.obedient, self.runner.trouble = True, None
        self.engine.queue.resume()
        self.check_roads()
        for session in list(self.sessions):
            self.hang_up(session)
        for host in self.mail:
            self.connect(host)
        for _ in range(patience):
            for life in self.machine.running:
                if life.ended is None:
                    self.runner.exit(life.run.key)
                    self.settle()
            self.check()
            for host in self.mail:
                self.acknowledge(host)
            if not self.ledger.tx.jobs.live():
                break
            self.clock.pass_time(600.0)
        self.clock.pass_time(1.0)
        for host in self.mail:
            self.acknowledge(host)

    def check_roads(self):
        """A host gets all that waits on the connections that it has, without a new one."""
        for session in list(self.sessions):
            if session.transport.arrives:
                session.resumeProducing()
            else:
                self.hang_up(session)
        for _ in range(3):
            self.clock.pass_time(1.0)
            for session in list(self.sessions):
                # All say what they have got: the clock was put back, and a timer may be far away.
                mail = self.mail[session.hosts[0].name]
                session.acknowledge(tuple(mail.numbers - {None}))
                self.settle()
        for session in self.sessions:
            if session.is_live:
                waiting = self.ledger.tx.notices.pending(session.hosts[0].name)
                assert waiting == [], f"{session} was not told"

    def check_end(self):
        """Promises 2 and 3, when nothing is left to do."""
        tx = self.ledger.tx
        assert self.violations == []
        assert tx.jobs.live() == []
        assert self.engine.queue.running == self.engine.queue.waiting == 0
        for host, mail in self.mail.items():
            requests = tx.requests.find(host=host, limit=10_000)
            self.check_finals(mail, {each.id for each in requests if is_open(tx, each)})
            assert tx.notices.pending(host) == []
            for numbers in mail.order.values():
                assert numbers == sorted(numbers), "one notice overtook another"
            events = [tx.events.get(each.id) for each in requests]
            seen = [(each.time, each.text) for each in events if each.time is not None]
            seen = [each for each in seen if each not in self.renewed]
            assert len(set(seen)) == len(seen), "an event became two requests"
        for job in tx.jobs.find(limit=10_000):
            self.check_runs(job)

    def check_finals(self, mail, accepted):
        """One final notice each, which is what its jobs came to, and the host has got it."""
        finals = mail.finals
        assert {number: len(words) for number, words in finals.items()} == dict.fromkeys(
            accepted, 1
        )
        for number, (word,) in finals.items():
            jobs = self.ledger.tx.jobs.find(request=number)
            if jobs:
                ends = {job.state.name for job in jobs}
                assert word.name == next(each for each in WORST_FIRST if each in ends)

    def check_runs(self, job):
        """What a job came to is what its runs say, and none was run again without need."""
        runs = [
            self.machine.lives[key]
            for number in range(1, job.attempt + 1)
            if (key := f"{job.id:06d}-{number}") in self.machine.lives
        ]
        keys = [key for key in self.machine.starts if key.count("-") == 1]
        assert len([key for key in keys if int(key[:6]) == job.id]) == len(runs)
        for run in runs[:-1]:
            assert may_repeat(job, run.ended), f"{run.run.key} was run again"
        allowed = self.ends_of(job, runs)
        assert job.state.name in allowed, f"{job.state.name}, not {allowed}: {job.reason} {runs}"

    def ends_of(self, job, runs):
        """The test's own account of how a job may end."""
        # Somebody asked; whether it was recorded is another question: the server may have died.
        asked = {"CANCELLED"} if job.id in self.cancelled else set()
        if not job.work.run:
            return {"COMPLETED", "FAILED"} | asked
        if not runs:
            return asked
        last = runs[-1].ended
        if last.kind == "exited" and last.code == 0:
            return self.verified(job, asked) if job.work.verify else {"COMPLETED"}
        if last.kind == "exited" and last.code == 4 and job.work.application == "DSK":
            return {"WARNING"}
        if last.kind == "cancelled":
            return asked
        if last.kind == "lost":
            return asked | {"INTERRUPTED"}
        if not asked:
            assert len(runs) == job.attempt >= job.work.retry.attempts, "it was given up too early"
        return asked | {"TIMEDOUT" if last.kind == "timeout" else "FAILED"}

    def verified(self, job, asked):
        """A copy counts when the last query for it found it."""
        key = f"{job.id:06d}-{job.attempt}-verify"
        queries = [life for name, life in self.machine.lives.items() if name.startswith(key)]
        if not queries:
            return asked  # it waits for as long as the spool is full
        last = queries[-1].ended
        if last is not None and last.kind == "exited" and last.code == 0:
            return {"COMPLETED"}
        if last is not None and last.kind == "cancelled":
            return asked
        return {"FAILED"} | asked


def may_repeat(job, ended):
    """Whether a run that ended so may be followed by another: by the rules above, in words."""
    if ended.kind == "lost":
        return job.work.on_interrupt == "retry"
    good = ended.kind == "exited" and ended.code in (
        {0, 4} if job.work.application == "DSK" else {0}
    )
    return not good and ended.kind != "cancelled" and job.work.retry.attempts > 1


WORST_FIRST = ("FAILED", "TIMEDOUT", "INTERRUPTED", "CANCELLED", "WARNING", "COMPLETED")


def is_open(tx, request):
    """Whether a request was accepted: by the first notice about it, whatever became of it."""
    return any(notice.word.name == "ACCEPTED" for notice in tx.notices.of_request(request.id))


def overlap(one, other):
    """The test's own account of locks that exclude one another."""
    if one is None or other is None:
        return False
    return (one + "/").startswith(other + "/") or (other + "/").startswith(one + "/")
