"""The programs that run for a job: with its values, and patiently while the spool is full."""

import os
import sys
from collections.abc import Iterator, Mapping
from typing import Literal, get_args

from attrs import define, evolve, field, frozen
from twisted.internet.defer import gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from vtspolicy.jobs import Job, run_key
from vtspolicy.rules.expand import expand, expand_environment, expand_input
from vtspolicy.rules.judge import Judgement, judge_query
from vtspolicy.rules.outputs import with_cause
from vtspolicy.rules.work import Query
from vtspolicy.runner.protocol import End, Ended, Run, Runner, SpoolError

OUTPUT_JUDGED = 1 << 20
"""Bytes of an output in which readings are looked for."""

SPOOL_PATIENCE = 5.0
"""Seconds between tries while the spool cannot take a run."""

NOTHING_LEFT = (
    "the machine was restarted, or ledger or spool replaced, and nothing is left of its run"
)
"""Why a run counts as lost that may have been made."""

CALL_KEPT = 1000
"""Characters of the output of each call that are kept with an attempt that did not succeed."""

Part = Literal["prepare", "find", "poll", "cancel", "verify", "gate", "read"]
"""What a job asks beside its run. It gives the folder of the question its name."""

BEFORE = "-find"
"""What is added to that name for the call that prepares a question."""


@frozen(kw_only=True)
class Said:
    """What a call of an application came to."""

    output: str  # its end
    kind: str  # as vtspolicy.runner.protocol.End has it
    code: int | None  # exit code
    reason: str  # why it did not exit; "" if it did

    @property
    def ended(self) -> str:
        """How it ended, in words."""
        return self.reason or f"exit code {self.code}"


def _bare() -> Mapping[str, str]:
    """Return what every application finds in its environment; ours stays as it is."""
    return {"PATH": program_path(), "LC_ALL": "C", "HOME": os.environ.get("HOME", "/")}


def program_path() -> str:
    """Return the PATH of applications: the server's, and where vtspolicy itself is installed."""
    own = os.path.dirname(sys.executable)  # noqa: PTH120  a string is what PATH is made of
    return os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin") + os.pathsep + own


@define(kw_only=True)
class Programs:
    """Makes and awaits the runs of jobs."""

    clock: IReactorTime
    runner: Runner
    node: str
    running: dict[int, str] = field(factory=dict)  # job -> key of the run that a cancel stops
    cancelled: set[int] = field(factory=set)  # jobs to be stopped as soon as they have a run
    log: Logger = field(factory=lambda: Logger("vtspolicy.jobs"))
    _said: dict[int, dict[str, Said]] = field(init=False, factory=dict)  # job -> call -> the last
    _refused: dict[str, str] = field(init=False, factory=dict)  # key of a run that waits -> why
    _bare: Mapping[str, str] = field(init=False, factory=_bare)

    @property
    def trouble(self) -> str | None:
        """Why runs wait that could not be started; None: none does."""
        for key in [key for key in self._refused if self.runner.has_begun(key)]:
            del self._refused[key]
        return next(iter(self._refused.values()), None) or self.runner.unreachable

    def stop(self, job: int) -> None:
        """Stop what runs for a job, and what will."""
        self.cancelled.add(job)
        key = self.running.get(job)
        if key is not None:
            self.runner.stop(key, "cancelled")

    async def run(
        self, run: Run, *, adopt: bool = False, restarted: bool = False, stoppable: bool = True
    ) -> Ended:
        """Start or adopt a run; while the spool cannot take it, keep trying: nothing is lost.

        When the machine was restarted since, or the ledger restored (`restarted`), a run of which
        nothing is found may have been made: its folder may not have reached the disk, or be gone.
        """
        if adopt:
            watched = self.runner.adopt(run)
            self._stop_if_cancelled(run)
            ended = await watched
            if ended.kind is not End.UNSTARTED or run.job in self.cancelled:
                return ended
            if restarted:
                return evolve(ended, kind=End.LOST, reason=NOTHING_LEFT)
        try:
            while True:
                try:
                    watched = self.runner.start(run)
                    if stoppable:
                        self._stop_if_cancelled(run)
                    return await watched
                except SpoolError as error:
                    self._refused[run.key] = str(error)
                    self.log.error(
                        "Job {job} waits: {error}", action="spool_full", job=run.job, error=error
                    )
                    await deferLater(self.clock, SPOOL_PATIENCE)
                    if stoppable and run.job in self.cancelled:
                        return Ended(key=run.key, kind=End.UNSTARTED, reason="cancelled")
        finally:
            self._refused.pop(run.key, None)

    def _stop_if_cancelled(self, run: Run) -> None:
        if run.job in self.cancelled:
            self.runner.stop(run.key, "cancelled")

    async def end_orphans(self, job: Job) -> None:
        """End the calls of this attempt that an earlier server began and that nothing waits for.

        Done when nothing of them is left: the attempt then asks again, and no two questions, or
        preparations, of a job may run side by side.
        """
        waiting = []
        for key in self._asked(job):
            ended = self.runner.adopt(Run(key=key, argv=(), job=job.id, attempt=job.attempt))
            if not ended.called:
                self.log.info(
                    "{key} was asked by an earlier server, and is ended.",
                    action="orphan_ended",
                    key=key,
                )
                self.runner.stop(key, "the server that had asked was gone")
            waiting.append(ended)
        await gatherResults(waiting, consumeErrors=True)

    def _asked(self, job: Job) -> Iterator[str]:
        """Yield the keys of all questions of an attempt that have a folder."""
        for part in get_args(Part):
            for name in (part, f"{part}{BEFORE}"):
                number = 1
                while self.runner.folder(key := _numbered(job, name, number)).exists():
                    yield key
                    number += 1

    async def answer(
        self,
        job: Job,
        query: Query,
        part: Part,
        readings: Mapping[str, str],
        *,
        aside: bool = False,
    ) -> Judgement:
        """Ask a query, after the call that prepares it, and judge its answer.

        Its readings are those of both, and those given. Raises ExpansionError.
        """
        if query.prepare is not None:
            name = f"{part}{BEFORE}"
            before = await self._answer(job, query.prepare, name, readings, aside=aside)
            if before.state == "failed":
                return before
            readings = before.readings
        return await self._answer(job, query, part, readings, aside=aside)

    async def _answer(
        self, job: Job, query: Query, name: str, readings: Mapping[str, str], *, aside: bool
    ) -> Judgement:
        said = await self._ask(job, query, name, readings, aside=aside)
        if said.kind != End.EXITED:
            reason = with_cause(said.reason, query.cause, said.output, went_well=False)
            return Judgement(state="failed", reason=reason, readings=readings)
        judged = judge_query(
            query,
            code=said.code,
            output=said.output,
            values=self.values(job, readings),
            kind=said.kind,
        )
        return evolve(judged, readings={**readings, **judged.readings})

    async def ask(
        self,
        job: Job,
        query: Query,
        part: Part,
        readings: Mapping[str, str],
        *,
        aside: bool = False,
    ) -> Said:
        """Make a call of its own, in a folder of its own that no earlier server has used.

        One that is made `aside` is not stopped by a cancellation, and leaves no folder behind.
        """
        return await self._ask(job, query, part, readings, aside=aside)

    async def _ask(
        self, job: Job, query: Query, name: str, readings: Mapping[str, str], *, aside: bool
    ) -> Said:
        number = 1
        while self.runner.folder(key := _numbered(job, name, number)).exists():
            number += 1
        values = self.values(job, readings)
        run = Run(
            key=key,
            argv=expand(query.run, values),
            env=self.environment(job),
            job=job.id,
            attempt=job.attempt,
            timeout=query.timeout,
            input=expand_input(query.input, values),
        )
        if not aside:
            self.running[job.id] = key
        ended = await self.run(run, stoppable=not aside)
        output = self.runner.tail(key, OUTPUT_JUDGED)
        if aside:
            self.runner.remove(key)
        reason = "" if ended.kind is End.EXITED else ended.reason or ended.kind.value
        said = Said(output=output, kind=ended.kind.value, code=ended.code, reason=reason)
        kept = self._said.setdefault(job.id, {})
        kept.pop(name, None)
        kept[name] = evolve(said, output=output[-CALL_KEPT:])
        return said

    def told(self, job: int, output: str | None) -> str | None:
        """Return the output of a run and, under their names, of the last calls made beside it."""
        parts = [] if not output else [output if output.endswith("\n") else f"{output}\n"]
        for name, said in self._said.get(job, {}).items():
            words = said.output.strip("\n")
            parts.append(f"--- {name}: {said.ended}\n" + (f"{words}\n" if words else ""))
        return "".join(parts) or None

    def forget(self, job: int) -> None:
        """Forget what the calls of a job's attempt have said: it has ended."""
        self._said.pop(job, None)

    def values(self, job: Job, readings: Mapping[str, str] | None = None) -> Mapping[str, str]:
        """The values of the decision, those of this run, and what was read so far.

        A copy that the application names itself is asked for by that name.
        """
        values = {
            **(readings or {}),
            "req": str(job.request),
            "job": str(job.id),
            "attempt": str(job.attempt),
            "handle": job.handle,
            "node": self.node,
            "rundir": str(self.runner.folder(run_key(job.id, job.attempt))),
            **job.values,
        }
        if readings and job.work.handle is not None and job.work.handle in readings:
            values["handle"] = readings[job.work.handle]
        return values

    def environment(self, job: Job) -> Mapping[str, str]:
        """A bare environment: nothing of the server's own leaks into an application."""
        env = job.work.env
        return {**self._bare, **expand_environment(env, self.values(job))} if env else self._bare


def _numbered(job: Job, name: str, number: int) -> str:
    return run_key(job.id, job.attempt, name if number == 1 else f"{name}{number}")
