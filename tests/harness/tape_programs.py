"""Programs of steps for a world with tapes: how they are drawn, played, and how each must end."""

import time
from datetime import UTC, datetime

from attrs import frozen
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from tests.harness.tape_files import OTHERS, WRITES
from tests.harness.tape_worlds import Armed
from vtspolicy.engine.tapes.proving import _intake
from vtspolicy.ledger import RequestRecords

HOURS = 3 * 3600.0

tape = st.integers(0, 1)
main = st.sampled_from([0, 0, 0, 1])
write = st.sampled_from(("same_size", "same_times", "replace", *WRITES, *OTHERS))
how = st.sampled_from(["well", "well", "well", "fails", "halfway", "lies", "lost"])
when = st.sampled_from(["begin", "end", "torn"])
kind = st.sampled_from(["thread", "ledger", "system", "run"])
few = st.integers(1, 14)
many = st.integers(1, 60)
verb = st.sampled_from(["archive", "archive", "Erase", "Erase", "Restore", "Restore", "Delete"])

STEPS = {
    "do": st.tuples(st.just("do"), verb, main),
    "send": st.tuples(st.just("send"), verb, main),
    "finish": st.tuples(st.just("finish"), how, when),
    "work": st.tuples(st.just("work")),
    "host": st.tuples(st.just("host"), write, main),
    "during": st.tuples(st.just("during"), kind, few, write, main),
    "amid": st.tuples(st.just("during"), st.just("system"), many, write, main),
    "dies": st.tuples(st.just("dies"), kind, few),
    "falls": st.tuples(st.just("dies"), st.just("system"), many),
    "kill": st.tuples(st.just("kill")),
    "start": st.tuples(st.just("start")),
    "pass": st.tuples(st.just("pass"), st.sampled_from([0.3, 2.0, 70.0, 4000.0])),
    "jump": st.tuples(st.just("jump"), st.sampled_from([-3000.0, 90.0, 2e7])),
    "backup": st.tuples(st.just("backup")),
    "put_back": st.tuples(st.just("put_back")),
    "damage": st.tuples(
        st.just("damage"), st.integers(0, 9), st.sampled_from(["damaged", "gone", "forgotten"])
    ),
    "deaf": st.tuples(st.just("deaf"), st.booleans()),
    "external": st.tuples(st.just("external"), main),
    "mark": st.tuples(st.just("mark"), main, st.booleans(), st.booleans()),
    "external_restore": st.tuples(st.just("external_restore"), main),
    "mark_restored": st.tuples(st.just("mark_restored"), main),
    "override": st.tuples(
        st.just("override"), st.sampled_from(["Erase", "Delete", "Restore"]), main
    ),
    "withdraw": st.tuples(st.just("withdraw"), main),
    "retry": st.tuples(st.just("retry"), st.integers(0, 5)),
    "cancel": st.tuples(st.just("cancel"), st.integers(0, 3)),
    "scan": st.tuples(st.just("scan")),
    "remount": st.tuples(st.just("remount")),
    "cleanup": st.tuples(st.just("cleanup")),
    "mount": st.tuples(st.just("mount"), main),
    "cancel_mount": st.tuples(st.just("cancel_mount")),
    "prove": st.tuples(st.just("prove"), main),
    "slow": st.tuples(st.just("slow"), st.integers(1, 3)),
    "release": st.tuples(st.just("release")),
    "copy": st.tuples(st.just("copy"), main, st.integers(0, 3)),
    "to": st.tuples(st.just("to"), main),
    "trust": st.tuples(st.just("trust")),
}


def _fixed(**steps):
    return {name: st.just(step) for name, step in steps.items()}


def _amid(how, kind, most):
    return st.tuples(
        st.just("during"), st.just(kind), st.integers(1, most), st.just(how), st.just(0)
    )


FOCUSED = {
    **STEPS,
    **_fixed(
        archive=("do", "archive", 0),
        erase=("do", "Erase", 0),
        erase_second=("do", "Erase", 1),
        delete=("do", "Delete", 0),
        restore=("do", "Restore", 0),
        send=("send", "Restore", 0),
        send_restore=("send", "Restore", 0),
        send_archive=("send", "archive", 0),
        send_archive_second=("send", "archive", 1),
        finish_well=("finish", "well", "end"),
        finish_begin=("finish", "well", "begin"),
        finish_badly=("finish", "lies", "end"),
        damage=("damage", 0, "damaged"),
        forget=("damage", 0, "forgotten"),
        finish_half=("finish", "halfway", "end"),
        finish_fails=("finish", "fails", "end"),
        mark=("mark", 0, True, True),
        external=("external", 0),
        mark_restored=("mark_restored", 0),
        override=("override", "Restore", 0),
    ),
    **{
        name: st.just(("host", how, 0))
        for name, how in {
            "written": "same_size",
            "replaced": "replace",
            **{each: each for each in ("same_times", "hold", "map", "poke", "close", "append")},
        }.items()
    },
    "replaced_amid": _amid("replace", "unlink", 2),
    "written_amid": _amid("rewrite", "exchange", 2),
    "written_during": _amid("same_size", "thread", 12),
}
"""Steps by which a defect shows soon."""

ALWAYS = ("do", "do", "do", "send", "finish", "host", "host", "host")

perturbed = st.lists(
    st.sampled_from(["touch", "move", "restart", "scan", "remount", "fails"]), max_size=3
)


ARCHIVED = (("do", "archive", 0),)
ERASED = (*ARCHIVED, ("do", "Erase", 0))
BACK = (*ERASED, ("do", "Restore", 0))
BEGINNINGS = ((), ARCHIVED, ARCHIVED, ARCHIVED, ERASED, ERASED, BACK, BACK)
"""What was done before: else most programs would be about tapes without any copy."""


@st.composite
def programs(draw, names=tuple(STEPS), always=ALWAYS, longest=14):
    """A program with some kinds of steps only: rare orders come about more often so."""
    some = draw(st.lists(st.sampled_from(names), min_size=1, max_size=5, unique=True))
    steps = st.one_of([STEPS[name] for name in (*always, *some, *some)])
    before = draw(st.sampled_from(BEGINNINGS))
    return [*before, *draw(st.lists(steps, min_size=2, max_size=longest))], draw(perturbed)


@st.composite
def focused(draw, kinds, begin, longest=8):
    """A program of a few kinds of steps."""
    return [*begin, *draw(st.lists(st.one_of(kinds), min_size=2, max_size=longest))], draw(
        perturbed
    )


def play(world, program):
    """Play all steps; what must hold is looked at after each."""
    steps, perturbing = program
    for step in steps:
        getattr(Player(world), step[0].replace(" ", "_"))(*step[1:])
        world.check()
    Ending(world, tuple(perturbing)).play()


@frozen
class Player:
    """One method for each kind of step."""

    world: object

    def do(self, verb, number):
        """A command, and all that it brings about."""
        world = self.world
        request = world.command(world.text(verb, world.tapes[number]))
        self.work()
        return None if request is None else world.ledger.tx.requests.get(request)

    def send(self, verb, number):
        self.world.command(self.world.text(verb, self.world.tapes[number]))

    def finish(self, how, when):
        self.world.answer()
        self.world.finish(how, when)
        self.world.answer()

    def work(self):
        """All that runs comes to its end, and what waits gets its turn."""
        world = self.world
        for _ in range(30):
            world.answer()
            if world.late:
                world.release()
            elif world.finish():
                continue
            elif world.is_dead or not world.ledger.tx.jobs.live():
                return
            else:
                world.pass_time(0.1)
                if not world.machine.running and not world.late:
                    world.pass_time(11.0)

    def host(self, how, number):
        self.world.write(how, number)

    def during(self, kind, left, how, number):
        self.world.armed.append(Armed(kind, left, ("host", how, number)))

    def dies(self, kind, left):
        self.world.armed.append(Armed(kind, left, ("kill",)))

    def kill(self):
        self.world.die()

    def start(self):
        if self.world.is_dead:
            self.world.start()
        else:
            self.world.restart()

    def _pass(self, seconds):
        self.world.pass_time(seconds)

    def jump(self, seconds):
        self.world.clock.rightNow += seconds
        self.world.settle()

    def backup(self):
        self.world.backup()

    def put_back(self):
        self.world.put_back()

    def damage(self, number, how):
        self.world.damage(number, how)

    def deaf(self, is_so):
        self.world.application.deaf = is_so

    def external(self, number):
        """The application copies a tape by its own schedule."""
        world = self.world
        one = world.tapes[number]
        data = one.read()
        if data:
            world.external_copy(one, data)

    def mark(self, number, began, size):
        """The post-command of that says so."""
        world = self.world
        one = world.tapes[number]
        made = world.external.get(one.name)
        if made is None:
            return
        handle, at, count = made
        told = datetime.fromtimestamp(at / 1e9, UTC).isoformat() if began else None
        given = {"handle": handle, "began": told, "size": count if size else None}
        world.mark(one, "migrated", **given)

    def external_restore(self, number):
        """The application's own people bring a tape back that is empty."""
        world = self.world
        one = world.tapes[number]
        if one.read() == b"" and one.guarded and world.is_held(one):
            one.path.write_bytes(one.content)
            world.acts += 1

    def mark_restored(self, number):
        self.world.mark(self.world.tapes[number], "restored")

    def override(self, verb, number):
        world = self.world
        one = world.tapes[number]
        told = world.order(f"VTSPolicy {verb} - {one.name}", override="its data is not needed")
        refused = isinstance(told, Exception) or (told is not None and not told["jobs"])
        if not refused:  # or it is not answered yet
            one.waive("an operator allowed it")

    def withdraw(self, number):
        world = self.world
        world.ready()
        world.said(world.operator.withdraw(world.tapes[number].name, "operator alice"))

    def retry(self, number):
        world = self.world
        world.ready()
        ended = [each for each in world.ledger.tx.jobs.find() if not each.state.is_live]
        if ended:
            job = ended[number % len(ended)]
            world.said(world.operator.retry(job.id, "operator alice"))

    def cancel(self, number):
        world = self.world
        world.ready()
        live = world.ledger.tx.jobs.live()
        if live:
            job = live[number % len(live)]
            world.said(world.operator.cancel(job.request, None, "operator alice"))

    def scan(self):
        self.world.scan()

    def remount(self):
        self.world.remount()

    def cleanup(self):
        world = self.world
        world.ready()
        world.pass_time(2.0)
        _await(world, world.engine.cleanup.run("2026-11-23"))
        self.work()

    def mount(self, number):
        self.world.mount(self.world.tapes[number])

    def cancel_mount(self):
        world = self.world
        world.ready()
        if world.mounts:
            seq, tape, _ = world.mounts[-1]
            world.cancel_mount(seq, tape)

    def prove(self, number):
        """The time has come to prove a tape's copies again."""
        world = self.world
        world.ready()
        rules = world.engine.policy.current.table.rules
        work = next(rule.work for rule in rules if rule.work.then == "migrated")
        for copy in world.ledger.tx.copies.of_tape(str(world.tapes[number].path)):
            intake = _intake(copy, work, world.clock.seconds())
            world.engine.ledger.write(RequestRecords.record, intake)
        world.settle()

    def slow(self, count):
        self.world.slow += count

    def release(self):
        self.world.release()

    def copy(self, number, which):
        """An operator chooses a copy."""
        world = self.world
        world.ready()
        one = world.tapes[number]
        copies = world.ledger.tx.copies.of_tape(str(one.path))
        if copies:
            handle = copies[which % len(copies)].handle
            world.order(f"VTSPolicy Restore - {one.name}", copy=handle)
            self.work()

    def to(self, number):
        world = self.world
        place = world.site.root / "export"
        place.unlink(missing_ok=True)
        world.order(f"VTSPolicy Restore - {world.tapes[number].name}", to=str(place))
        self.work()

    def trust(self):
        world = self.world
        world.ready()
        world.said(world.operator.trust_clock("operator alice"))

    def __getattr__(self, name):
        if name == "pass":
            return self._pass
        raise AttributeError(name)


def _await(world, work):
    done = Deferred.fromCoroutine(work)
    world.settle()
    for _ in range(5):
        if done.called or world.is_dead:
            break
        world.answer()
        world.release()
        world.pass_time(1.0)
    done.addErrback(lambda failure: failure.trap(Exception) if world.is_dead else failure)
    return done


@frozen
class Ending:
    """After all that: what is asked for by one command is done."""

    world: object
    perturbing: tuple[str, ...]

    def play(self):
        world, player = self.world, Player(self.world)
        self.calm()
        world.check()
        for number, one in enumerate(world.tapes):
            self.bring_back(player, number, one)
        self.live(player, 0, world.tapes[0])

    def calm(self):
        """Nothing disturbs any more, and all ends."""
        world, player = self.world, Player(self.world)
        world.armed.clear()
        world.application.deaf = False
        world.host.leave()
        world.ready()
        for _ in range(20):
            world.release()
            player.work()
            world.pass_time(120.0)
            world.engine.mounts.check()
            world.settle()
            if not world.ledger.tx.jobs.live() and not world.running(questions=False):
                break
        else:
            raise AssertionError(f"there is no end of {world.ledger.tx.jobs.live()}")
        world.said(world.operator.trust_clock("operator alice"))
        assert world.ledger.tx.tapes.locked() == []

    def bring_back(self, player, number, one):
        """What the host last wrote comes back by one Restore."""
        world = self.world
        if any(world.unseen.values()):
            world.scan()
        others = [each for each in world.places(one) if each.name == one.name and each != one.path]
        # A restore that began before the tape was moved ends where that was.
        there = [path.read_bytes() for path in (one.path, *others) if path.exists()]
        if one.guarded and one.content not in there and not world.was_put_back:
            moved = any(copy.source != copy.path for copy in self._copies(one))
            if world.site.in_place and moved:
                one.waive("it was moved, and can be brought back to its old place only")
                return
            record = world.ledger.tx.tapes.get(str(one.path))
            if world.site.in_place and record is not None and record.is_left_unknown:
                world.order(f"VTSPolicy Restore - {one.name}", override="nobody saw its end")
                player.work()
                request = world.ledger.tx.requests.find(limit=1)[0]
            else:
                request = player.do("Restore", number)
            found = [path.read_bytes() for path in (one.path, *others) if path.exists()]
            assert request.state.value == "completed", f"Restore: {request}"
            assert one.content in found, f"Restore: {one.content} is not in {found}"
        for path in others:
            path.unlink(missing_ok=True)

    def _copies(self, one):
        return self.world.ledger.tx.copies.of_tape(str(one.path))

    def live(self, player, number, one):
        """A whole tape is archived, emptied and brought back, each by one command."""
        world = self.world
        both = range(2) if world.site.each_pool else (number,)
        if not all(self.is_plain(world.tapes[each]) for each in both):
            for each in both:
                world.write("rewrite", each)
            world.pass_time(1.0)
        if "fails" in self.perturbing:
            world.command(world.text("archive", one))
            world.finish("fails")
            player.work()
        self.completed(player, "archive", number)
        self.perturb(number, one)
        world.check()
        if not world.site.leases:
            request = player.do("Erase", number)
            assert request.state.value == "failed", f"without leases: {request}"
            return
        self.completed(player, "Erase", number)
        assert one.read() == b""
        self.perturb(number, one)
        world.check()
        self.completed(player, "Restore", number)
        assert one.read() == one.content
        world.check()

    def is_plain(self, one):
        """Whether it has its data, of which nobody gave up, and no time that is still to come."""
        data = one.read()
        if not data or data != one.content or not one.guarded:
            return False
        record = self.world.ledger.tx.tapes.get(str(one.path))
        if record is not None and record.is_left_unknown:
            return False  # until its host writes, in a way that can be told from a touch
        return one.path.stat().st_mtime_ns <= time.time_ns()

    def completed(self, player, verb, number):
        request = player.do(verb, number)
        assert request.state.value == "completed", f"{verb} at the end: {request.reason}"

    def is_known_once(self, one):
        """Whether no scan has missed that it was moved, while a job had it."""
        return len(self.world.ledger.tx.tapes.named(one.name)) == 1

    def perturb(self, number, one):
        """What must not matter."""
        world, player = self.world, Player(self.world)
        for each in self.perturbing:
            if each == "touch" and world.site.proof == "data" and one.read():
                world.write("touch", number)
            elif each == "move" and not world.site.in_place and self.is_known_once(one):
                world.write("move", number)
                player.scan()
            elif each == "restart":
                world.restart()
            elif each == "scan":
                player.scan()
            elif each == "remount" and not world.proves_nothing_after_a_remount:
                world.remount()
