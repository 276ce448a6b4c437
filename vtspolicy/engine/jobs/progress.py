"""How far a job has come, reported to hosts that want it, at most once a minute and job."""

from collections.abc import Mapping

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from vtspolicy.engine.effects import EngineLedger
from vtspolicy.jobs import Job, run_key
from vtspolicy.ledger import JobRecords
from vtspolicy.rules.progress import PERCENT, percent_of, progress_readings, read_progress
from vtspolicy.runner.protocol import Runner

EVERY = 60.0
"""Seconds between two notices about one job, at least."""

OUTPUT_READ = 1 << 16
"""Bytes of the end of an output in which the share is looked for."""


@define(kw_only=True)
class Progress:
    """Reads the progress of running jobs and reports it."""

    clock: IReactorTime
    ledger: EngineLedger
    runner: Runner
    log: Logger = field(factory=lambda: Logger("vtspolicy.jobs"))
    _told: dict[int, tuple[float, int]] = field(factory=dict, init=False)  # job -> when, percent
    _watching: dict[int, LoopingCall] = field(factory=dict, init=False)  # by job
    _polled: dict[int, Mapping[str, str]] = field(factory=dict, init=False)  # by job: the last poll

    def watch(self, job: Job, key: str) -> None:
        """Read the output of a run once a minute, until `forget`."""
        readings = tuple(each for each in job.work.readings if each.name == PERCENT)
        if not job.notify_all or not readings:
            return

        def look() -> None:
            self._tell(job, read_progress(readings, self.runner.tail(key, OUTPUT_READ)))

        looking = self._watching[job.id] = LoopingCall(look)
        looking.clock = self.clock
        looking.start(EVERY, now=False).addErrback(self._failed, job.id)

    def of(self, job: Job) -> Mapping[str, str]:
        """Return the progress of a running job: from its last poll, or from its output."""
        if job.id in self._polled:
            return self._polled[job.id]
        key = run_key(job.id, job.attempt)
        readings = progress_readings(job.work.readings)
        return read_progress(readings, self.runner.tail(key, OUTPUT_READ)) if readings else {}

    def forget(self, job: int) -> None:
        """The job's run has ended."""
        self._told.pop(job, None)
        self._polled.pop(job, None)
        looking = self._watching.pop(job, None)
        if looking is not None and looking.running:
            looking.stop()

    def report(self, job: Job, readings: Mapping[str, str]) -> None:
        """Keep the result of a poll, and report its percentage at most once a minute."""
        self._polled[job.id] = readings
        self._tell(job, readings)

    def _tell(self, job: Job, readings: Mapping[str, str]) -> None:
        percent = percent_of(readings)
        if percent is None:
            return
        now = self.clock.seconds()
        begun = now if job.started is None else job.started
        at, before = self._told.get(job.id, (begun, -1))
        if not job.notify_all or percent == before or now - at < EVERY:
            return
        self._told[job.id] = (now, percent)
        written = self.ledger.write(JobRecords.tell_progress, job.id, job.attempt, percent, now)
        written.addErrback(self._failed, job.id)

    def _failed(self, failure: Failure, job: int) -> None:
        self.log.failure("No progress of job {job}", failure, action="progress", job=job)
