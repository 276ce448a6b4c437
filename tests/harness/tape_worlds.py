"""A whole server with tapes, a host that writes at any moment, and an application with copies.

What a host last wrote is known here without the program: after each step it has to be on the tape,
or in a copy.
"""

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from attrs import define, evolve
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tests.harness.engine_worlds import FaultyLedger, World
from tests.harness.tape_applications import ModelApplication, ModelRunner, Stored, damaged
from tests.harness.tape_checks import Checks, is_about
from tests.harness.tape_files import (
    FileClock,
    Killed,
    ModelHost,
    ModelSystem,
    ModelTape,
    keeper_look,
)
from vtspolicy.clock_trust import ClockTrust
from vtspolicy.control import Refused, UnknownThing
from vtspolicy.tapes import VaultFeatures
from vtspolicy.tapes.fingerprint import FINE_TICK_NS
from vtspolicy.testing.clock import TestClock
from vtspolicy.testing.ledger import MemoryLedger
from vtspolicy.vaults.system import boot

ALICE = "operator alice"
NAMES = ("T00001", "T00002")


@cache
def _new_ledger():
    """What every ledger begins with: to make it takes long."""
    ledger = MemoryLedger()
    try:
        return ledger.image()
    finally:
        ledger.destroy()


class ModelLedger(FaultyLedger):
    """A ledger of which the world sees every write, before and after it."""

    world = None

    def __init__(self):
        super().__init__(image=_new_ledger())

    def write(self, verb, *args, **kwargs):
        if self.dead:
            return Deferred()
        try:
            self.world.moment("ledger", verb.__name__)
            written = super().write(verb, *args, **kwargs)
            self.world.written(verb.__name__, getattr(written, "result", None))
            self.world.moment("ledger", verb.__name__)
        except Killed:
            self.world.die()
            return Deferred()
        return written


@define
class Armed:
    """Something that happens at a moment in the middle of the server's work."""

    kind: str  # of the moments that count, or their name
    left: int  # how many of them until then
    act: tuple  # ("host", how, tape) or ("kill",)


class TapeWorld(Checks, World):
    """Hosts, application, files, ledger, and the server."""

    runners = ModelRunner
    ledgers = ModelLedger

    def __init__(self, site):
        self.application = ModelApplication()
        self.armed, self.acting, self.late = [], False, []
        self.slow = 0  # so many calls of threads are answered later
        self.steady_seconds = 0.0
        self.files = FileClock(TestClock().seconds(), site.tick)
        vault = site.root / "VAULT01"
        self.tapes = [ModelTape(vault / "A" / name) for name in NAMES]
        self.host = ModelHost(self.tapes)
        self.begun = {}  # job -> (versions, acts) of its tape as its attempt began
        self.acts = 0  # of the host
        self.looked = {}  # path -> (versions, acts) when a job that begins looked at it
        self.starting = None  # a run, just before it begins
        self.remounts = 0  # each gives the vault another device number
        self.went_well = set()  # jobs whose last run's program did all
        self.known_handles = {name: set() for name in NAMES}  # in ledgers that were replaced
        self.backup_image = None
        self.was_put_back = False
        self.mounts, self.event = [], 0
        self.lost = []  # what the world has seen go wrong
        self.external = {}
        self.unseen = {name: set() for name in NAMES}  # since the last scan
        super().__init__(site)
        for tape in self.tapes:
            self.host.rewrite(tape)
        self.host.act("rewrite", self.tapes[0])
        self.pass_time(5.0)

    # The server's side

    def start(self):
        self.ledger.world = self
        self.trust = ClockTrust(
            wall=self.clock.seconds, boot=lambda: self.steady_seconds + 1e6, boot_id="this one"
        )
        self.slow, self.late = 0, []
        super().start()

    @property
    def is_dead(self):
        return self.ledger.dead

    def steady(self):
        return self.steady_seconds

    def prepare(self):
        self.runner.world = self
        self.runner.take_look = self.look
        vaults = self.engine.vaults
        vaults.system = ModelSystem(self)
        vaults.probe = self.probe
        vaults.features_of = self.probe

    def probe(self, vault):
        """What the vault's file system can do."""
        tick = max(self.site.tick, 1_000_000)
        found = VaultFeatures(tick_ns=tick, leases=self.site.leases, exchange=self.site.exchange)
        self.engine.vaults.features[vault] = found
        return found

    def look(self, tape):
        look = keeper_look(self, tape, boot())  # as the server has it: numbers are comparable
        return look if self.site.leases else evolve(look, writer=None)

    def versions(self):
        """How often each tape was written."""
        return {tape.name: tape.version for tape in self.tapes}

    def threads(self, function, *args):
        """What a thread does, at once or later; the host acts before and after it."""
        if self.is_dead:
            return Deferred()
        name = getattr(function, "__name__", "call")
        answer = Deferred()
        if self.slow:
            self.slow -= 1
            self.late.append((function, args, answer))
            return answer
        self._call(name, function, args, answer)
        return answer

    def _call(self, name, function, args, answer):
        if name == "_looks":  # at the tapes of a job that is about to begin
            for tape in args[1]:
                self.looked[tape.path] = (self.versions(), self.acts)
        try:
            self.moment("thread", name)
            try:
                result = function(*args)
            except Exception:  # noqa: BLE001 - as a thread pool does
                result = Failure()
            self.host.catch_up()
            self.moment("thread", name)
        except Killed:
            self.engine.vaults.system.die()
            self.die()
            return
        if isinstance(result, Failure):
            answer.errback(result)
        else:
            answer.callback(result)

    def release(self):
        """The threads answer now."""
        late, self.late = self.late, []
        self.slow = 0
        for function, args, answer in late:
            if not self.is_dead:
                self._call("late", function, args, answer)
        self.settle()

    def moment(self, kind, name):
        """Something that was armed may happen now."""
        if self.acting:
            return
        for each in list(self.armed):
            if each.kind not in {kind, name}:
                continue
            each.left -= 1
            if each.left > 0:
                continue
            self.armed.remove(each)
            if each.act[0] == "kill":
                raise Killed
            self.acting = True
            try:
                self.write(*each.act[1:])
            finally:
                self.acting = False

    def lives_through(self, kind, name):
        """A moment at which the server may die; False if it does."""
        try:
            self.moment(kind, name)
        except Killed:
            self.die()
        return not self.is_dead

    def die(self):
        if not self.is_dead:
            self.kill()

    def settle(self):
        self.clock.settle()

    def pass_time(self, seconds):
        """Time passes for all."""
        self.steady_seconds += seconds
        self.files.advance(seconds)
        self.clock.pass_time(seconds)

    def ready(self):
        """There is a server."""
        if self.is_dead:
            self.start()
            if self.is_dead:  # killed once more
                self.armed.clear()
                self.start()

    # What others do

    @property
    def proves_nothing_after_a_remount(self):
        """Whether the times of files are too coarse to tell two file systems apart."""
        return self.site.tick > FINE_TICK_NS and self.site.proof == "found"

    def remount(self):
        """The vault is mounted again: its files are what they were, and its device is another."""
        self.remounts += 1

    def write(self, how, number):
        """The host does something to a tape."""
        tape = self.tapes[number]
        self.acts += 1
        during = self._restores_in_place(tape)
        declared = how == "same_times" and self.site.touches and self._runs_of(tape, "archive")
        if not self.host.act(how, tape):
            return
        if during or declared:
            tape.waive("written into a restore in place" if during else "declared as touches")
        self.unseen[tape.name] |= {how} & {"move", "same_times"}
        if self.site.proof == "found" and len(self.unseen[tape.name]) > 1:
            tape.waive("moved, and written with the old times, between two scans")

    def scan(self):
        """Look through the vaults, as the server does when a folder has changed."""
        self.ready()
        scanned = Deferred.fromCoroutine(self.engine.catalogue.scan(ALICE))
        self.settle()
        for _ in range(5):
            if not (scanned.called or self.is_dead):
                self.release()
        if not self.ledger.tx.jobs.live():  # else a job may have kept it from being written
            self.unseen = {name: set() for name in NAMES}
        scanned.addErrback(lambda failure: None if self.is_dead else failure)
        return scanned

    def _runs_of(self, tape, verb):
        runs = [each.run for each in self.machine.running]
        if self.starting is not None:  # the last look at the tape is over
            runs.append(self.starting)
        return [each for each in runs if each.argv[1] == verb and tape.name in str(each.argv)]

    def _restores_in_place(self, tape):
        app = self.application
        queued = [argv for each, (argv, _) in app.queued.items() if each not in app.ended]
        return self.site.in_place and (self._runs_of(tape, "restore") or tape.name in str(queued))

    def command(self, text):
        """A host's command; returns the request's number, or None."""
        self.ready()
        self.event += 1
        before = self.ledger.tx.requests.find(limit=1)
        at = datetime.fromtimestamp(1_795_300_000 + self.event, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        line = {
            "time": at,
            "system": "\\NSK1",
            "process": "$ZBAT",
            "ssid": "TANDEM.EMS.L01",
            "number": 1234,
            "text": text,
        }
        self.of("NSK1").dataReceived(json.dumps(line).encode() + b"\n")
        self.settle()
        found = self.ledger.tx.requests.find(limit=1)
        return found[0].id if found and found != before else None

    def text(self, verb, tape):
        if verb == "archive":
            pool = tape.path.parent.name
            name = "" if self.site.each_pool else f"/{tape.name}"
            return f"VTSPolicy DSK 'archive /VAULT01/{pool}{name}'"
        return f"VTSPolicy {verb} - {tape.name}"

    def mount(self, tape):
        self.ready()
        self.event += 1
        seq = f"{400 + self.event:04d}"
        self.mounts.append((seq, tape, tape.version))
        at = datetime.fromtimestamp(1_795_300_000 + self.event, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        line = {
            "time": at,
            "system": "\\NSK1",
            "process": "$ZSVR",
            "ssid": "TANDEM.TAPE.L01",
            "number": 600,
            "text": f"$ZSVR: {seq} MOUNT {tape.name} WITH RING",
        }
        self.of("NSK1").dataReceived(json.dumps(line).encode() + b"\n")
        self.settle()

    def cancel_mount(self, seq, tape):
        """The host does not wait for a tape any more."""
        self.event += 1
        at = datetime.fromtimestamp(1_795_300_000 + self.event, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        line = {
            "time": at,
            "system": "\\NSK1",
            "process": "$ZSVR",
            "ssid": "TANDEM.TAPE.L01",
            "number": 649,
            "text": f"$ZSVR: {seq} REQUEST FOR {tape.name} CANCELLED",
        }
        self.of("NSK1").dataReceived(json.dumps(line).encode() + b"\n")
        self.settle()

    def said(self, deferred):
        """What an operator is answered: a value, or why not."""
        found = []
        deferred.addBoth(found.append)
        self.settle()
        if not found:
            return None
        answer = getattr(found[0], "value", found[0])
        if isinstance(answer, BaseException) and not isinstance(answer, (Refused, UnknownThing)):
            raise answer
        return answer

    def order(self, text, **wish):
        self.ready()
        given = {"tapes": None, "override": None, "copy": None, "to": None, **wish}
        return self.said(self.operator.order(text=text, actor=ALICE, **given))

    def mark(self, tape, state, **more):
        self.ready()
        nothing = ("handle", "retention", "media", "size", "began")
        given = {**dict.fromkeys(nothing), "application": "DSK", **more}
        return self.said(self.operator.mark(tape=tape.name, state=state, actor=ALICE, **given))

    # The application's side

    def running(self, *, questions):
        return [each for each in self.machine.running if (each.run.key.count("-") > 1) is questions]

    def answer(self):
        """All questions are answered."""
        for _ in range(60):
            asked = self.running(questions=True)
            if not asked:
                return
            run = asked[0].run
            verb = run.argv[1]
            if verb == "poll":
                done = run.argv[2] in self.application.ended
                code, output = 0, f"state {'T' if done else 'R'}\n"
            elif verb == "find":
                code, output = self._found(run.argv[2])
            else:
                code, output = getattr(self.application, verb)(run)
            self._exit(run.key, code, output)
        raise AssertionError("there is no end of questions")

    def _found(self, handle):
        for number, (argv, _) in self.application.queued.items():
            if argv[3] == handle:
                return 0, f"JobId={number}\n"
        return 1, "nothing found\n"

    def _exit(self, key, code, output):
        self.runner.exit(key, code, output)
        self.settle()

    def finish(self, how="well", when="end"):
        """The first of the application's jobs ends; False if there is none."""
        app = self.application
        waiting = [each for each in app.queued if each not in app.ended]
        if waiting:
            argv, job = app.queued[waiting[0]]
            self._do_work(argv, job, how, when, key=None)
            app.ended.add(waiting[0])
            return True
        lives = self.running(questions=False)
        if not lives:
            return False
        run = lives[0].run
        if how == "lost":
            self.runner.lose(run.key)
            self.settle()
            return True
        if self._is_queued(run):
            number = str(len(app.queued) + 70)
            app.queued[number] = (run.argv, run.job)
            self._exit(run.key, 0, f"JobId={number}\n")
            return True
        code, output = self._do_work(run.argv, run.job, how, when, key=run.key)
        self._exit(run.key, code, output)
        return True

    def _is_queued(self, run):
        job = self.ledger.tx.jobs.get(run.job)
        return job is not None and job.work.poll is not None

    def _do_work(self, argv, job, how, when, key):
        app = self.application
        run = _Program(argv=argv, key=key or "")
        if argv[1] == "restore":
            place = Path(argv[4])
            if place.is_dir():
                place /= Path(argv[2]).name
            result = app.restore(run, how, place)
        elif self.site.each_pool:
            result = app.archive_pool(run, how)
        else:
            result = app.archive(run, how, when if key in app.begun else "end")
        if how == "well" and result[0] == 0:
            self.went_well.add(job)
        else:
            self.went_well.discard(job)
        self.lives_through("run", "done")
        return result

    def external_copy(self, tape, data):
        """The application copies a tape by its own schedule, and keeps when it began."""
        handle = f"OWN-{len(self.application.copies)}"
        self.application.copies[handle] = Stored(str(tape.path), data, data)
        self.external[tape.name] = (handle, self.files.now, len(data))

    def damage(self, number, how):
        """The application loses data, with or without its record."""
        app = self.application
        if not app.copies:
            return
        handle = sorted(app.copies)[number % len(app.copies)]
        copy = app.copies[handle]
        kinds = {
            "damaged": lambda: damaged(copy),
            "gone": lambda: evolve(copy, data=None),
            "forgotten": lambda: evolve(copy, is_known=False),
        }
        app.copies[handle] = kinds[how]()
        unseen = how == "damaged" and self.site.proof == "found"  # its record is as it was
        for tape in self.tapes:
            on_tape = tape.read() == tape.content
            # A Restore takes the copy by which it was emptied: that was proven then, and not now.
            if (unseen or not on_tape or self._jobs_of(tape)) and copy.claimed == tape.content:
                tape.waive("the application has lost it")

    def _jobs_of(self, tape):
        return [each for each in self.ledger.tx.jobs.live() if is_about(each, tape)]

    # Ledgers that are restored

    def backup(self):
        self.ready()
        self.backup_image = self.ledger.image()

    def put_back(self):
        if self.backup_image is None:
            return
        for tape in self.tapes:
            self.known_handles[tape.name] |= self.handles(tape)
        self.die()
        connection = self.ledger.tx.sql.connection
        connection.deserialize(self.backup_image)
        connection.execute("INSERT INTO meta (key, value) VALUES ('put_back', '1')")
        self.ledger.tx.forget()
        self.was_put_back = True
        self.begun.clear()
        self.start()

    def close(self):
        self.host.leave()
        super().close()


@define
class _Program:
    """What an application sees of its run."""

    argv: tuple
    key: str
