"""What the metrics take from configuration and ledger: names, changes, what was before them."""

from attrs import define, frozen
from twisted.internet.interfaces import IReactorTime

from vtspolicy.changes import Answered, Change
from vtspolicy.engine.effects import EngineLedger
from vtspolicy.engine.policy import Policy
from vtspolicy.ledger import Transaction
from vtspolicy.metrics import REFUSALS, Metrics


@define(kw_only=True)
class Measures:
    """Counts what is written to the ledger."""

    clock: IReactorTime
    metrics: Metrics

    def use(self, policy: Policy) -> None:
        """Take the names of the configuration and the table that are in force from now on."""
        rules = [
            (rule.name, None if rule.work is None else rule.work.application, rule.families or ())
            for rule in policy.table.rules
        ]
        self.metrics.know(
            hosts=policy.configuration.hosts,
            rules=rules,
            families=policy.vocabulary.families,
            applications=policy.table.seats,
        )
        self.metrics.config_hash.clear()
        self.metrics.config_hash.labels(policy.table.hash).set(1)
        self.metrics.reload_ok.set(1)

    def changed(self, change: Change) -> None:
        """Count what a change says of commands, requests and jobs."""
        for each in change.answered:
            self._answered(each)
        for notice in change.notices:
            if notice.word.is_final:
                self.metrics.request_ended(notice.word)
                self.metrics.request_result(notice.word, notice.host)
        self._jobs(change)

    def _answered(self, command: Answered) -> None:
        word, host = command.answer.word, command.answer.host
        if word in REFUSALS:
            self.metrics.request_result(word, host)
        if command.repeats is None:  # an operator's order to run a job again is not a command
            self.metrics.commands.labels(command.family, word.name.lower()).inc()
            if command.rule is not None:
                self.metrics.rule_matches.labels(command.rule).inc()

    def _jobs(self, change: Change) -> None:
        metrics, now = self.metrics, self.clock.seconds()
        for job in change.started:
            metrics.lock_wait.observe(max(now - max(job.created, job.due), 0.0))
        for job in change.retried:
            metrics.retries.labels(job.work.application).inc()
        for job in change.ended:
            metrics.job_ended(job)
            if job.started is not None:
                seconds = max(now - job.started, 0.0)
                metrics.job_seconds.labels(job.work.application, job.state.value).observe(seconds)


@frozen(kw_only=True)
class Recalling:
    """Has the metrics take what the ledger knows of earlier servers: successes, its last copy."""

    ledger: EngineLedger
    metrics: Metrics

    def begin(self) -> None:
        """Ask the ledger; nothing waits for that.

        Should it take too long, those times are reported when they come again.
        """
        self.ledger.browse(_earlier).addCallback(self._take).addErrback(lambda _: None)

    def _take(self, found: tuple[list[tuple[str, str, str, float]], float | None]) -> None:
        successes, copied = found
        for application, host, rule, at in successes:
            self.metrics.succeeded(application, host, rule, at)
        if copied is not None:
            self.metrics.ledger_backup.set(copied)


def _earlier(tx: Transaction) -> tuple[list[tuple[str, str, str, float]], float | None]:
    copies = tx.history.about(LEDGER)
    return tx.jobs.successes(), copies[-1].at if copies else None


LEDGER = "ledger"
"""The subject of the history's lines about copies of the ledger."""
