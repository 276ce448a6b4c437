"""The log of commands, requests and jobs: one line for each thing that happens to them.

Lines about commands that are not carried out are rate-limited by host: the ledger has them all.
"""

from collections.abc import Mapping

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel

from vtspolicy.changes import Change
from vtspolicy.jobs import Job, JobState
from vtspolicy.log_limit import Line, LogLimit
from vtspolicy.notices import Notice, Word

OPERATOR = "an operator"
"""Stands for the host of a command that no host sent."""

LEVELS: Mapping[JobState, LogLevel] = {
    JobState.COMPLETED: LogLevel.info,
    JobState.WARNING: LogLevel.warn,
    JobState.CANCELLED: LogLevel.warn,
    JobState.FAILED: LogLevel.error,
    JobState.TIMEDOUT: LogLevel.error,
    JobState.INTERRUPTED: LogLevel.error,
}
"""How serious an end is, of a job or of a request."""

_MORE = "{count} more commands of {peer} %s within a minute; see `vtspolicy requests`."

REFUSALS: Mapping[Word, Line] = {
    Word.REJECTED: Line(
        action="request_rejected",
        format="Request {req} of {peer} rejected: {cause}",
        more=_MORE % "rejected",
    ),
    Word.DENIED: Line(
        action="request_denied",
        format="Request {req} of {peer} denied: {cause}",
        more=_MORE % "denied",
    ),
    Word.NORULE: Line(
        action="request_norule",
        format="Request {req} of {peer}: no rule matches.",
        more="{count} more commands of {peer} that no rule matches within a minute;"
        " see `vtspolicy requests`.",
    ),
}
"""Lines about commands that are not carried out."""

DUPLICATE = Line(
    action="request_duplicate",
    format="Request {req} of {peer} was seen before.",
    more="{count} more commands of {peer} that were seen before within a minute.",
)
ANSWERED = Line(
    action="request_answered",
    format="{peer} asked for the state of a request.",
    more="{count} more questions of {peer} within a minute.",
)

_OF_REQUEST = (
    *("req", "again", "ref", "family", "operation", "tape"),
    *("jobs", "ok", "warn", "failed", "secs"),
)
"""Fields of a final notice that its line has, too."""


@define(kw_only=True)
class Journal:
    """Writes the lines about what has been recorded."""

    clock: IReactorTime
    limit: LogLimit
    log: Logger = field(factory=lambda: Logger("vtspolicy.jobs"))

    def changed(self, change: Change) -> None:
        """Write the lines about a change of the ledger."""
        for each in change.answered:
            self._answered(each.answer, each.actor)
        for job in change.started:
            self._started(job)
        for job in change.retried:
            self._retried(job)
        for job in change.ended:
            self._ended(job)
        for job in change.stopping:
            self._stopping(job)
        for notice in change.notices:
            if notice.word.is_final:
                self._request_ended(notice)

    def _answered(self, notice: Notice, actor: str | None) -> None:
        """The first notice about a command was recorded; `actor` asked for it, or else its host."""
        fields, word = notice.fields, notice.word
        peer = notice.host or actor or OPERATOR
        about: dict[str, object] = {
            "req": fields.get("req"),
            "host": notice.host or None,
            "by": actor,
            "ref": fields.get("ref"),
            "family": fields.get("family"),
            "operation": fields.get("operation"),
            "tape": fields.get("tape"),
            "cause": fields.get("reason"),
        }
        if word is Word.ACCEPTED:
            self.log.info(
                "Request {req} accepted, jobs: {jobs}.",
                action="request_accepted",
                jobs=fields.get("jobs"),
                again=fields.get("again"),
                notbefore=fields.get("notbefore"),
                **about,
            )
        elif word in REFUSALS:
            column = fields.get("column")
            self.limit.write(self.log.warn, REFUSALS[word], peer, column=column, **about)
        elif word is Word.DUPLICATE:
            self.limit.write(self.log.info, DUPLICATE, peer, **about)
        elif word is Word.STATUS:
            self.limit.write(self.log.info, ANSWERED, peer, **about)

    def _started(self, job: Job) -> None:
        """An attempt of a job begins."""
        self.log.info(
            "Job {job} started, attempt {attempt}.",
            action="job_started",
            attempt=job.attempt,
            rule=job.rule,
            **_about(job),
        )

    def _retried(self, job: Job) -> None:
        """An attempt has ended, and another one follows."""
        self.log.warn(
            "Attempt {attempt} of job {job} failed, and is repeated in {wait} s: {cause}",
            action="job_retried",
            attempt=job.attempt,
            wait=max(round(job.due - self.clock.seconds()), 0),
            code=job.code,
            cause=job.reason,
            **_about(job),
        )

    def _stopping(self, job: Job) -> None:
        """Somebody cancelled a job that runs."""
        self.log.info(
            "Job {job} is being stopped: {cause}.",
            action="job_stopping",
            cause=job.reason,
            **_about(job),
        )

    def _ended(self, job: Job) -> None:
        took = None
        if job.started is not None and job.finished is not None:
            took = max(round(job.finished - job.started), 0)
        self.log.emit(
            LEVELS[job.state],
            _ended_words("Job {job}", job.state, job.reason),
            action="job_ended",
            state=job.state.value,
            attempt=job.attempt,
            code=job.code,
            secs=took,
            cause=job.reason,
            **_about(job),
        )

    def _request_ended(self, notice: Notice) -> None:
        """The final notice of a request was recorded; that of one job is logged with the job."""
        fields = notice.fields
        if "job" in fields:
            return
        state, cause = notice.word.name.lower(), fields.get("reason")
        self.log.emit(
            LEVELS[JobState(state)],
            _ended_words("Request {req}", JobState(state), cause),
            action="request_ended",
            state=state,
            cause=cause,
            host=notice.host or None,
            **{name: fields.get(name) for name in _OF_REQUEST},
        )


def _ended_words(what: str, state: JobState, cause: object) -> str:
    """Return the format of a line about an end."""
    words = {JobState.WARNING: "ended with warnings", JobState.TIMEDOUT: "timed out"}
    text = f"{what} {words.get(state, '{state}')}"
    return f"{text}: {{cause}}" if cause else text


def _about(job: Job) -> dict[str, object]:
    """Return the fields that every line about a job has."""
    return {
        "job": job.id,
        "req": job.request,
        "host": job.host or None,
        "ref": job.ref,
        "tape": job.tape,
        "application": job.work.application,
        "repeats": job.repeats,
    }
