"""Defects: what a search through programs must find when somebody takes a safeguard away.

Each is put in by replacing one part of the program while the search lasts, and named by the attack
that it lets through again.
"""

import sys
from collections.abc import Callable

from attrs import evolve, field, frozen

from tests.harness.tape_programs import ARCHIVED, BACK, ERASED
from tests.harness.tape_sites import QUEUED, SIZED
from vtspolicy import catalogue
from vtspolicy.engine.jobs.attempt_runner import AttemptRunner
from vtspolicy.engine.tapes import archives, before, checks, gate, remains, restores
from vtspolicy.ledger import CopyRecords, TapeOrders, TapeRecords
from vtspolicy.ledger import tapes as records
from vtspolicy.tapes import Allowed, Answer, Difference, Found, copies, tape
from vtspolicy.tapes import fingerprint as prints
from vtspolicy.vaults import Vaults, acts, files
from vtspolicy.vaults import restores as places

judge = sys.modules["vtspolicy.tapes.judge"]  # the package has a function of that name


@frozen(kw_only=True)
class Defect:
    """A safeguard that is missing."""

    what: str
    attack: int  # that it lets through again; 0: none of the list
    put_in: Callable  # (patch): with pytest's monkeypatch
    steps: tuple[str, ...]  # kinds of steps by which it shows
    begin: tuple = ARCHIVED
    site: dict = field(factory=dict)


def _size_and_mtime_only(then, now, features=None):
    same = (then.size, then.mtime_ns) == (now.size, now.mtime_ns)
    return Difference.NONE if same else Difference.WRITTEN


def _replace_difference(patch, other):
    for module in (prints, copies, judge, tape, archives, gate, remains, records, catalogue):
        patch.setattr(module, "difference", other)

    def is_judged(judged, now, features):
        return other(judged, now, features) is not Difference.WRITTEN

    patch.setattr(files, "is_judged", is_judged)


def _no_ctime(patch):
    def other(then, now, features=None):
        found = real(then, now, features)
        return Difference.NONE if found is Difference.TOUCHED else found

    real = prints.difference
    _replace_difference(patch, other)


def _no_inode(patch):
    _replace_difference(patch, _size_and_mtime_only)


def _server_looks(patch):
    """What is on the tape when the server looks counts as what the restore has left."""
    patch.setattr(restores, "_came_back", lambda tape, *_: (tape.seen, True))


def _any_mark_restored(patch):
    real = judge._mark_restored

    def other(facts):
        ruling = real(facts)
        if isinstance(ruling, Allowed) or not facts.copies:
            return ruling
        return Allowed(copy=facts.copies[0])

    patch.setattr(judge, "_mark_restored", other)
    note = CopyRecords.note_restored

    def sure(self, copy, file, at, *, sure=True):
        note(self, copy, file, at)

    patch.setattr(CopyRecords, "note_restored", sure)


def _any_mark_migrated(patch):
    patch.setattr(judge, "_since_began", lambda _: Allowed())


def _mark_without_ticks(patch):
    patch.setattr(judge, "_may_be_later", lambda *_: False)


def _asks_for_the_pool(patch):
    real = checks.about

    def other(copy):
        values = real(copy)
        return {**values, "path": values["path"].rpartition("/")[0]}

    patch.setattr(checks, "about", other)

    async def verify(self, job, tape, readings):
        return Answer(found=Found.FOUND)

    patch.setattr(checks.TapeChecks, "verify", verify)


def _no_lease(patch):
    def claim(pool, file, shown):
        return files.Lease(system=pool.system, file=file, shown=shown, is_real=False)

    patch.setattr(files, "_claim", claim)


def _no_lease_is_free(patch):
    """A vault that cannot tell whether a file is open is taken for one without open files."""
    patch.setattr(judge, "_why_unguarded", lambda _: None)
    _no_lease(patch)


def _ledger_is_believed(patch):
    patch.setattr(tape, "_contradicted", lambda _before, after, _at: after)


def _writers_are_not_seen(patch):
    look = Vaults.take_look
    patch.setattr(Vaults, "take_look", lambda self, tape: evolve(look(self, tape), writer=False))
    real = archives._copy

    def blind(job, tape, began, after, judgement):
        return real(job, tape, evolve(began, writer=False), evolve(after, writer=False), judgement)

    patch.setattr(archives, "_copy", blind)


def _no_settling(patch):
    patch.setattr(before, "_longest", lambda *_: 0.0)


def _no_ticks_after_a_restore(patch):
    patch.setattr(files.OpenPool, "let_pass_ticks", lambda _: None)


def _data_is_not_read(patch):
    async def ask(self, job, query, *about):
        query = copy_query(self) or query
        said = await self.programs.answer(job, query, "gate", {})
        return Answer(found=Found.DATA if said.state == "completed" else Found.ABSENT, words="0")

    def copy_query(self):
        table = self.table()
        return next(rule.work.verify for rule in table.rules if rule.work.verify is not None)

    patch.setattr(checks.TapeChecks, "_ask", ask)


def _data_is_not_compared(patch):
    real = checks.TapeChecks._ask

    async def ask(self, job, query, *about):
        answer = await real(self, job, query, *about)
        if answer.found is Found.OTHER:
            return Answer(found=Found.DATA, words="0" * 64)
        return answer

    patch.setattr(checks.TapeChecks, "_ask", ask)


def _removes_a_name(patch):
    def remove(pool, file, lease, judged, token):
        pool.system.unlink(pool.name, pool.folder)

    patch.setattr(acts, "_remove", remove)


def _empties_whatever_is_there(patch):
    patch.setattr(acts, "require_judged", lambda _pool, _file, judged: judged)


def _exchanges_whatever_is_there(patch):
    patch.setattr(places, "require_judged", lambda _pool, _file, judged: judged)
    patch.setattr(places, "_require_exchanged", lambda *_: None)


def _overwrites(patch):
    patch.setattr(judge, "_may_overwrite", lambda *_: None)
    patch.setattr(judge, "_why_not_this_copy", lambda *_: None)


def _size_of_the_decision(patch):
    async def as_begun(self, job, plan):
        return job if plan is None else evolve(job, values={**job.values, **plan.values})

    patch.setattr(AttemptRunner, "_as_begun", as_begun)


def _lost_copies_count(patch):
    patch.setattr(CopyRecords, "lose", lambda *_: False)


def _absent_is_found(patch):
    real = checks.TapeChecks._ask

    async def ask(self, job, query, *about):
        answer = await real(self, job, query, *about)
        return Answer(found=Found.FOUND) if answer.found is Found.ABSENT else answer

    patch.setattr(checks.TapeChecks, "_ask", ask)


def _half_a_restore_is_whole(patch):
    patch.setattr(tape.Tape, "is_half_restored", property(lambda _: False))
    patch.setattr(TapeRecords, "keep_partial", lambda *_: None)
    patch.setattr(TapeRecords, "begin_restore", lambda *_: None)


def _half_is_forgotten(patch):
    """A restore that writes nothing leaves a tape that counts as whole."""

    async def forget(self, plan, tape):
        await self.checks.ledger.write(TapeRecords.forget_restore, tape)

    patch.setattr(remains.Remains, "_leave_as_it_was", forget)


def _written_while_copied(patch):
    real = archives._copy

    def other(job, tape, began, after, judgement):
        return real(job, tape, after, after, judgement)

    patch.setattr(archives, "_copy", other)


def _override_for_ever(patch):
    patch.setattr(tape.Tape, "is_overridden", lambda self, *_: self.override is not None)
    patch.setattr(TapeOrders, "end_override", lambda *_: None)


def _refuses_all(patch):
    """The other way round: what is copied is not believed."""
    patch.setattr(judge, "why_data", lambda *_: "nothing is believed")


def _touched_is_lost(patch):
    def other(then, now, features=None):
        found = real(then, now, features)
        return Difference.WRITTEN if found is Difference.TOUCHED else found

    real = prints.difference
    _replace_difference(patch, other)


def _moves_are_not_followed(patch):
    patch.setattr(checks, "movable", lambda _: ())


DATA = {"proof": "data"}
IN_PLACE = {"place": "{path}", "seats": 1}


DEFECTS = {
    "a look that comes later": Defect(
        what="what the server sees counts as what a restore has left",
        attack=1,
        put_in=_server_looks,
        steps=("written", "start", "erase"),
        begin=(*ERASED, ("send", "Restore", 0), ("kill",), ("finish", "well", "end")),
        site=IN_PLACE,
    ),
    "a queue that is polled late": Defect(
        what="what is there at the poll counts as what a queued restore has left",
        attack=1,
        put_in=_server_looks,
        steps=("written", "erase"),
        begin=(*ERASED, ("send", "Restore", 0), *(("finish", "well", "end"),) * 2),
        site={"place": "{path}", "archive": QUEUED, "restore": QUEUED},
    ),
    "any mark restored": Defect(
        what="mark restored needs no file that fits",
        attack=2,
        put_in=_any_mark_restored,
        steps=("written", "mark_restored", "erase"),
    ),
    "any mark migrated": Defect(
        what="mark migrated is believed whatever was written since",
        attack=3,
        put_in=_any_mark_migrated,
        steps=("mark", "erase"),
        begin=(("external", 0), ("host", "same_size", 0)),
    ),
    "marks without ticks": Defect(
        what="a write in the tick in which the copy began is not thought of",
        attack=3,
        put_in=_mark_without_ticks,
        steps=("mark", "erase"),
        begin=(("pass", 0.3), ("external", 0), ("host", "same_size", 0), ("pass", 2.0)),
        site={"tick": 1_000_000_000},
    ),
    "questions about pools": Defect(
        what="a copy of the pool proves each of its tapes",
        attack=4,
        put_in=_asks_for_the_pool,
        steps=("send_archive", "finish_badly", "erase_second"),
        begin=(),
        site={"archive": "", "each_pool": True},
    ),
    "no leases": Defect(
        what="whether a process has the file open is not looked at",
        attack=5,
        put_in=_no_lease,
        steps=("hold", "poke", "erase"),
    ),
    "leases that cannot be had": Defect(
        what="a guard that cannot be had is done without",
        attack=5,
        put_in=_no_lease_is_free,
        steps=("hold", "poke", "erase"),
        site={"leases": False, **DATA},
    ),
    "an old ledger": Defect(
        what="a restored ledger is believed where the files contradict it",
        attack=6,
        put_in=_ledger_is_believed,
        steps=("restore", "scan"),
        begin=(*ARCHIVED, ("backup",), ("host", "same_size", 0), *ERASED, ("put_back",)),
    ),
    "size and time of write": Defect(
        what="inode and change time are not compared",
        attack=7,
        put_in=_no_inode,
        steps=("replaced", "same_times", "erase"),
    ),
    "no change time": Defect(
        what="a change time that moved says nothing",
        attack=7,
        put_in=_no_ctime,
        steps=("same_times", "erase"),
    ),
    "writers that nobody sees": Defect(
        what="a copy of a tape that is mapped for writing counts",
        attack=8,
        put_in=_writers_are_not_seen,
        steps=("poke", "close", "erase"),
        begin=(("host", "map", 0), *ARCHIVED),
    ),
    "no waiting": Defect(
        what="a tape that was written in this tick is copied at once",
        attack=9,
        put_in=_no_settling,
        steps=("written", "erase"),
        begin=(("host", "same_size", 0), *ARCHIVED),
        site={"tick": 1_000_000_000},
    ),
    "no waiting after a restore": Defect(
        what="a write in the tick of the restore's end is not told from it",
        attack=9,
        put_in=_no_ticks_after_a_restore,
        steps=("written", "erase"),
        begin=BACK,
        site={"tick": 1_000_000_000},
    ),
    "a record for data": Defect(
        what="proof data asks for the record only",
        attack=10,
        put_in=_data_is_not_read,
        steps=("damage", "erase"),
        site=DATA,
    ),
    "data that is not compared": Defect(
        what="the data that was read back is not compared",
        attack=10,
        put_in=_data_is_not_compared,
        steps=("damage", "erase"),
        site=DATA,
    ),
    "a name is removed": Defect(
        what="Delete removes a name, whatever has it by then",
        attack=11,
        put_in=_removes_a_name,
        steps=("replaced_amid", "delete"),
    ),
    "whatever is there is emptied": Defect(
        what="Erase does not compare the file that it empties with the one that was judged",
        attack=11,
        put_in=_empties_whatever_is_there,
        steps=("written_during", "erase"),
    ),
    "whatever is there is exchanged": Defect(
        what="a restore takes the place of a file that was not judged",
        attack=11,
        put_in=_exchanges_whatever_is_there,
        steps=("written_amid", "restore"),
        begin=ERASED,
    ),
    "size of the decision": Defect(
        what="the size of a tape is that of the acceptance",
        attack=15,
        put_in=_size_of_the_decision,
        steps=("send_archive_second", "send_archive", "append", "work"),
        begin=(),
        site={"seats": 1, "archive": SIZED},
    ),
    "overwriting": Defect(
        what="a restore overwrites data that no copy holds",
        attack=0,
        put_in=_overwrites,
        steps=("written", "restore", "send_restore", "work"),
    ),
    "an absent copy": Defect(
        what="that a copy is not found is no answer",
        attack=0,
        put_in=_absent_is_found,
        steps=("forget", "erase"),
    ),
    "half a restore": Defect(
        what="what half a restore has left is a tape like any other",
        attack=0,
        put_in=_half_a_restore_is_whole,
        steps=("send_restore", "finish_half", "archive", "erase"),
        begin=ERASED,
        site=IN_PLACE,
    ),
    "written while copied": Defect(
        what="a write during the copy is not noticed",
        attack=0,
        put_in=_written_while_copied,
        steps=("finish_begin", "erase"),
        begin=(("send", "archive", 0), ("host", "same_size", 0)),
        site={"archive": ""},
    ),
    "half is forgotten": Defect(
        what="a half-restored tape counts as whole after a restore that wrote nothing",
        attack=0,
        put_in=_half_is_forgotten,
        steps=("finish_fails", "send_restore", "send_archive", "finish_well"),
        begin=(*ERASED, ("send", "Restore", 0), ("finish", "halfway", "end")),
        site=IN_PLACE,
    ),
    "overrides for ever": Defect(
        what="an operator's word outlives its order and its file",
        attack=0,
        put_in=_override_for_ever,
        steps=("override", "written", "erase"),
        begin=(),
    ),
    "refusing all": Defect(
        what="no copy is ever enough",
        attack=0,
        put_in=_refuses_all,
        steps=("erase",),
    ),
    "touched is written": Defect(
        what="an access time that was reset makes every copy an old one",
        attack=0,
        put_in=_touched_is_lost,
        steps=("erase",),
        site=DATA,
    ),
    "moves that nobody follows": Defect(
        what="a copy of a tape that was moved counts no more",
        attack=0,
        put_in=_moves_are_not_followed,
        steps=("erase",),
    ),
}
