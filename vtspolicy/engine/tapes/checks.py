"""The facts about tapes: their files, their records, their copies, and what applications answer.

What follows from the facts is decided by `vtspolicy.tapes.judge`, and nowhere else.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from vtspolicy.engine.effects import EngineLedger
from vtspolicy.engine.jobs.programs import Programs
from vtspolicy.engine.policy import PolicyInForce
from vtspolicy.grammar import Target
from vtspolicy.jobs import DOUBTED, Job
from vtspolicy.ledger import AttemptRecords, CopyRecords, TapeRecords, Transaction
from vtspolicy.metrics import Metrics
from vtspolicy.rules.expand import ExpansionError
from vtspolicy.rules.judge import Judgement
from vtspolicy.rules.rulings import movable, names_a_copy
from vtspolicy.rules.work import Query, Work
from vtspolicy.tapes import (
    Act,
    Answer,
    Ask,
    Copy,
    Difference,
    Facts,
    Fingerprint,
    Found,
    Proof,
    Ruling,
    Tape,
    VaultFeatures,
    in_vault,
    judge,
    looked_at,
)
from vtspolicy.vaults import COARSE, CannotProbeError, VaultBusyError, VaultError, Vaults

BUSY_PAUSE = 2.0
"""Seconds between tries while the machine has no descriptor or memory left."""

MOST_ASKED = 10
"""Copies of one tape about which applications are asked for one act."""

TARGET, STAGING = "{target}", "{staging}"
"""The places of a private file, and of a private folder, in a template."""

CLEANUP = "cleanup"
"""A value that marks jobs of the cleanup: the number of the copy by which it chose the tape."""

TO = "to"
"""A value of restores: the file to which an operator wants the copy written."""

CHOSEN = "copy"
"""A value of restores: the handle of the copy that an operator chose."""


@define(kw_only=True)
class TapeChecks:
    """Collects what is known of tapes, and asks applications about their copies."""

    ledger: EngineLedger
    vaults: Vaults
    clock: IReactorTime
    threads: Callable[..., Deferred[Any]]  # each call has its own type of answer
    programs: Programs
    metrics: Metrics
    policy: PolicyInForce
    log: Logger = field(factory=lambda: Logger("vtspolicy.tapes"))

    # -- looking

    async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any:  # as threads
        """Call a function of the vaults; wait out that the machine has no descriptor left."""
        while True:
            try:
                return await self.threads(function, *args)
            except VaultBusyError as error:
                self.log.warn(
                    "A vault cannot be looked at just now: {error}. It is tried again.",
                    action="vault_busy",
                    error=error,
                )
                await deferLater(self.clock, BUSY_PAUSE)

    async def look(self, job: Job) -> tuple[Tape, ...]:
        """Return the job's tapes as their files are now and as the ledger knows them.

        Raises VaultError when they cannot be looked at.
        """
        target = Target(
            vault=job.values.get("vault"),
            pool=job.values.get("pool"),
            cartridge=job.values.get("cartridge"),
        )
        if target.vault is None:
            return ()
        try:
            found = await self.in_thread(self.vaults.find, target)
        except OSError as error:
            raise VaultError(f"vault {target.vault} cannot be read: {error.strerror}") from error
        return await self.ledger.read(known, found.tapes, self.clock.seconds())

    async def look_again(self, tape: Tape) -> Tape:
        """Return one tape as its file is now and as the ledger knows it. Raises VaultError."""
        try:
            file = await self.in_thread(self.vaults.look, tape)
        except OSError as error:
            raise VaultError(f"{tape.name} cannot be looked at: {error.strerror}") from error
        (there,) = await self.ledger.read(known, (file,), self.clock.seconds())
        return there

    async def note_renamed(self, tape: Tape, error: VaultError) -> None:
        """Note that an act which failed has renamed a tape and given it its name back."""
        if error.renamed is not None and tape.seen is not None:
            there = evolve(tape, seen=error.renamed)
            now = self.clock.seconds()
            await self.ledger.write(TapeRecords.note_renamed, there, tape.seen, now)

    # -- facts

    async def facts(self, tape: Tape, job: Job | None = None) -> Facts:
        """Return the facts about a tape whose file was just looked at.

        Raises VaultError when its vault cannot be looked at.
        """
        work = job.work if job is not None else None
        empties = work is not None and work.then in {"erased", "deleted"}
        features = await self.in_thread(_features, tape, self.vaults, not empties)
        copies, wanted = await self.ledger.read(_on_record, tape, job)
        return Facts(
            tape=tape,
            copies=copies,
            now=self.clock.seconds(),
            features=features,
            accepted=self.vaults.accepted.get(tape.vault, frozenset()),
            demanded=work.proof if work is not None else None,
            cleanup=job is not None and CLEANUP in job.values,
            chosen=_chosen(job),
            wanted=wanted,
            job=job.id if job is not None else None,
            handle=job.values.get(CHOSEN) if job is not None else None,
            movable=movable(self.policy.current.table),
            in_place=work is not None and work.then == "restored" and work.restores_to == "path",
            application=work.application if work is not None and work.then == "restored" else None,
            needs_copy=work is None or work.then != "restored" or names_a_copy(work),
        )

    async def judged(self, act: Act, job: Job, facts: Facts) -> tuple[Ruling, Facts]:
        """Return whether an act is allowed, after asking the applications as needed."""
        asked = 0
        while True:
            ruling = judge(act, facts)
            if not isinstance(ruling, Ask):
                return ruling, facts
            answer = Answer(found=Found.UNKNOWN, words="too many copies were asked for")
            if asked < MOST_ASKED and job.id not in self.programs.cancelled:
                answer = await self.ask(job, facts.tape, ruling.copy, ruling.need)
            asked += 1
            facts = evolve(facts, answers={**facts.answers, ruling.copy.id: answer})

    async def is_doubted(self, job: Job) -> bool:
        """Whether the run of an attempt may have been made before the ledger was restored."""
        return (await self.ledger.read(AttemptRecords.of_job, job.id))[-1].boot == DOUBTED

    # -- asking

    async def ask(self, job: Job, tape: Tape, copy: Copy, need: Proof) -> Answer:
        """Ask the application of a copy about it; what it does not have any more is marked lost.

        The query that made the copy is asked first, another one only if that cannot be.
        """
        answer = Answer(
            found=Found.UNKNOWN,
            words=f"{copy.application} has no {_CALLED[need]} in the rules table",
        )
        for work, values in await self._works(copy):
            query = work.read_back if need is Proof.DATA else work.verify
            if query is None:
                continue
            asking = evolve(job, work=work, values={**values, **about(copy)})
            try:
                answer = await self._ask(asking, query, tape, copy, need)
            except ExpansionError as error:
                answer = Answer(found=Found.UNKNOWN, words=str(error))
                continue
            break
        if answer.found is Found.ABSENT or (
            answer.found is Found.OTHER and _is_certain(tape, copy)
        ):
            await self.lose(copy, answer.words or "what it reads back is not what was copied")
        return answer

    async def _ask(self, job: Job, query: Query, tape: Tape, copy: Copy, need: Proof) -> Answer:
        if need is not Proof.DATA:
            said = await self.programs.answer(job, query, "gate", {})
        else:
            said = await self._read_back(job, query, tape)
        if said.state != "completed":
            return Answer(found=Found.ABSENT if said.absent else Found.UNKNOWN, words=said.reason)
        if need is not Proof.DATA:
            return Answer(found=Found.FOUND)
        digest = sha256(said.readings.get("digest"))
        if digest is None:
            return Answer(found=Found.UNKNOWN, words="its output has no digest, a SHA-256")
        if not tape.size or copy.difference(tape.seen or _NOTHING)[0] is Difference.WRITTEN:
            # The tape has other data, or none: what was copied is known by its digest only.
            if copy.digest is None:
                return Answer(found=Found.FOUND)
            same = copy.digest == digest
        else:
            try:
                file = await self.in_thread(self.vaults.digest, tape, tape.seen)
            except (VaultError, OSError) as error:
                return Answer(found=Found.UNKNOWN, words=str(error))
            same = file.digest == digest
        return Answer(found=Found.DATA if same else Found.OTHER, words=digest if same else "")

    async def _read_back(self, job: Job, query: Query, tape: Tape) -> Judgement:
        """Have a copy read back. If that writes a private file, the digest is computed here."""
        token = f"{job.handle}-{job.attempt}-again"
        templates = [*query.run, *query.input]
        ways = [way for way in (TARGET, STAGING) if any(way in each for each in templates)]
        if not ways:
            return await self.programs.answer(job, query, "read", {})
        try:
            make = self.vaults.new_target if ways[0] == TARGET else self.vaults.new_staging
            path = await self.in_thread(make, tape, token)
            asking = evolve(job, values={**job.values, ways[0].strip("{}"): path})
            said = await self.programs.answer(asking, query, "read", {})
            if said.state != "completed":
                return said
            found = await self.in_thread(self.vaults.brought_digest, tape, token)
            return evolve(said, readings={**said.readings, "digest": found})
        except (VaultError, OSError) as error:
            return Judgement(state="failed", reason=str(error))
        finally:
            await self.in_thread(self.vaults.discard, tape, token)

    async def verify(self, job: Job, tape: Tape, readings: Mapping[str, str]) -> Answer:
        """Ask a copying rule's own query about one tape of a pool that was just copied."""
        query = job.work.verify
        if query is None:
            return Answer(found=Found.UNKNOWN, words="the rule has no query")
        asking = evolve(job, values={**job.values, **of_tape(tape)})
        try:
            said = await self.programs.answer(asking, query, "verify", readings)
        except ExpansionError as error:
            return Answer(found=Found.UNKNOWN, words=str(error))
        if said.state == "completed":
            return Answer(found=Found.FOUND)
        return Answer(found=Found.ABSENT if said.absent else Found.UNKNOWN, words=said.reason)

    async def _works(self, copy: Copy) -> list[tuple[Work, Mapping[str, str]]]:
        """The work that made a copy, then those of the rules in force for its application."""
        own = await self.ledger.read(CopyRecords.work_of, copy)
        return list(self._with_table(own, copy))

    def _with_table(self, own: Work | None, copy: Copy) -> Iterator[tuple[Work, Mapping[str, str]]]:
        if own is not None:
            yield own, copy.values
        asked = [] if own is None else [own]
        for rule in self.policy.current.table.rules:
            work = rule.work
            if work is None or work.then != "migrated" or work.application != copy.application:
                continue
            known = [(each.verify, each.read_back, each.env) for each in asked]
            if (work.verify, work.read_back, work.env) not in known:
                asked.append(work)
                yield work, {**rule.defaults, **copy.values}

    async def lose(self, copy: Copy, words: str) -> None:
        """Mark a copy lost; `words` say how that was seen."""
        now = self.clock.seconds()
        if await self.ledger.write(CopyRecords.lose, copy, now, words):
            self.metrics.copies_lost.labels(copy.application).inc()
            self.log.error(
                "{application} has lost copy {handle} of {tape}: {said}. It counts as no copy from"
                " now on; migrate the tape again, or restore the application's data.",
                action="copy_lost",
                application=copy.application,
                handle=copy.handle,
                tape=f"/{copy.vault}/{copy.pool}/{copy.cartridge}",
                said=words,
            )


def _on_record(tx: Transaction, tape: Tape, job: Job | None) -> tuple[tuple[Copy, ...], bool]:
    """Return a tape's copies, and whether a host asked for it after a job was asked for."""
    wanted = job is not None and tx.mounts.is_mounted_since(tape.path, job.request)
    return tuple(tx.copies.of_tape(tape.path)), wanted


def _chosen(job: Job | None) -> int | None:
    """Return by which copy the cleanup chose a job's tape; None: not by it, or not known."""
    number = job.values.get(CLEANUP, "") if job is not None else ""
    return int(number) if number.isdecimal() else None


def _features(tape: Tape, vaults: Vaults, assume: bool) -> VaultFeatures:
    """Return what the vault of a tape can do. In a thread: it may have to be probed.

    With `assume`, the least is assumed of a vault in which nothing can be written: a tape can be
    copied from there, and its application can bring it back.
    """
    try:
        return vaults.features_for(tape)
    except CannotProbeError:
        if not assume:
            raise
        return COARSE


_NOTHING = Fingerprint(vault="", size=-1, mtime_ns=None)
"""The fingerprint of no file: every file differs from it."""

_CALLED = {Proof.DATA: "read_back", Proof.FOUND: "query or verify", Proof.RECORDED: "query"}


def facts_of_page(tx: Transaction, after: str, limit: int) -> list[tuple[Tape, list[Copy]]]:
    """Return the tapes behind a path, with their copies: what a verdict about each is made of."""
    tapes = tx.tapes.find(after=after, limit=limit)
    copies = tx.copies.by_path(after, tapes[-1].path) if tapes else {}
    return [(tape, copies.get(tape.path, [])) for tape in tapes]


def sha256(text: str | None) -> str | None:
    """Return the SHA-256 in an application's output; None for any other sum or text."""
    plain = (text or "").lower()
    return plain if re.fullmatch("[0-9a-f]{64}", plain) else None


def _is_certain(tape: Tape, copy: Copy) -> bool:
    """Whether the tape is exactly what was copied: then other data is not the tape's fault."""
    if not tape.size or copy.difference(tape.seen or _NOTHING)[0] is Difference.WRITTEN:
        return copy.digest is not None  # it was compared with the digest of what was copied
    return (
        tape.seen is not None
        and copy.doubt is None
        and (copy.difference(tape.seen) == (Difference.NONE, True))
    )


def about(copy: Copy) -> dict[str, str]:
    """Return the values by which an application is asked about one copy of one tape."""
    values = {
        "vault": copy.vault,
        "pool": copy.pool,
        "cartridge": copy.cartridge,
        "path": copy.source,
        "relpath": copy.source[1:],
        "source": copy.source,
        "relsource": copy.source[1:],
        "handle": copy.handle,
    }
    size = copy.after.size if copy.after is not None else copy.size
    return values | ({} if size is None else {"size": str(size)})


def of_tape(tape: Tape) -> dict[str, str]:
    """Return the values of one tape."""
    values = {
        "vault": tape.vault,
        "pool": tape.pool,
        "cartridge": tape.cartridge,
        "path": tape.path,
        "relpath": tape.path[1:],
        "source": tape.path,
        "relsource": tape.path[1:],
    }
    return values | ({} if tape.size is None else {"size": str(tape.size)})


def known(tx: Transaction, tapes: tuple[Tape, ...], at: float) -> tuple[Tape, ...]:
    """Return tapes with what the ledger knows of them and what their files say."""
    merged = []
    for tape in tapes:
        record = tx.tapes.get(tape.path)
        if record is None:
            merged.append(tape)
        else:
            merged.append(looked_at(in_vault(record, tape.vault), tape, at=at))
    return tuple(merged)
