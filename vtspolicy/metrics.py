"""What dashboards watch: every metric of the program, in one table.

Label values come from the configuration, never from what a host sends.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from vtspolicy import __version__
from vtspolicy.events.event import REFUSED
from vtspolicy.jobs import ENDS, LIVE, Job, JobState
from vtspolicy.links.life import LinkState
from vtspolicy.notices import FINAL_WORDS, Word

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

OTHER = "other"
"""The value of a label for what the configuration does not name: an operator's, an old host's."""

REFUSALS = (Word.REJECTED, Word.DENIED, Word.NORULE)
"""First notices after which a request is over."""

MOUNT_RESULTS = (
    *("noted", "recalled", "joined", "repeated", "ready", "failed", "closed", "duplicate"),
    *("unknown", "denied", "unheard", "unread", "esm", "dismounted"),
)
"""What can be done about a tape message."""

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_JOB_SECONDS = (0.1, 1, 10, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600)


class Metrics:
    """The metrics of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._hosts: frozenset[str] = frozenset()  # those that the configuration names
        self._families: frozenset[str] = frozenset()
        self._applications: frozenset[str] = frozenset()
        self._rules: frozenset[str] = frozenset()
        self.build = self._gauge("build_info", "The version of the program.", "version")
        self.events = self._counter("events_received", "Events received.", "host")
        self.refused = self._counter("input_refused", "Input that was no event.", "host", "kind")
        self.commands = self._counter(
            "commands", "Commands by what became of them.", "family", "result"
        )
        self.ended = self._counter("requests_ended", "Requests by their final notice.", "result")
        self.request_results = self._counter(
            "request_results", "Requests by how they ended, or were refused.", "result", "host"
        )
        self.job_results = self._counter(
            "job_results", "Jobs by how they ended.", "state", "family", "application"
        )
        self.last_success = self._gauge(
            "last_success_timestamp_seconds",
            "When a job was last completed.",
            *("application", "host", "rule"),
        )
        self.oldest_job = self._gauge(
            "oldest_job_seconds",
            "Age of the oldest job: since it was asked for while it waits, else since its start.",
            *("state", "application"),
        )
        self.commit_seconds = Histogram(
            "vtspolicy_event_commit_seconds",
            "From the arrival of a command to its record on disk.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.rule_matches = self._counter("rule_matches", "Commands decided by a rule.", "rule")
        self.jobs = self._gauge("jobs", "Jobs by state.", "state")
        self.job_seconds = Histogram(
            "vtspolicy_job_seconds",
            "Run time of jobs.",
            ["application", "outcome"],
            buckets=_JOB_SECONDS,
            registry=self.registry,
        )
        self.retries = self._counter("job_retries", "Attempts repeated.", "application")
        self.seats = self._gauge("seats_in_use", "Seats taken.", "application")
        self.seats_there = self._gauge("seats", "Seats there are.", "application")
        self.lock_wait = Histogram(
            "vtspolicy_lock_wait_seconds",
            "From due to started: waiting for a lock and a seat.",
            buckets=_JOB_SECONDS,
            registry=self.registry,
        )
        self.notices_pending = self._gauge("notices_pending", "Notices not delivered.", "host")
        self.notices_oldest = self._gauge(
            "notices_oldest_seconds", "Age of the oldest notice not delivered.", "host"
        )
        self.notices_expired = self._counter(
            "notices_expired", "Notices given up: their host did not take them in time.", "host"
        )
        self._make_those_of_links()
        self.tapes = self._gauge("tapes", "Virtual tapes by state.", "state")
        self.tapes_bytes = self._gauge("tapes_bytes", "Bytes that tapes take on disk.", "state")
        self.tapes_freed = self._gauge(
            "tapes_freed_bytes", "Bytes of tapes that only an application holds."
        )
        self.tape_troubles = self._gauge(
            "tape_troubles", "Names that occur twice, and what a scan could not look at."
        )
        self.copies_unproven = self._gauge(
            "copies_unproven",
            "Migrated or erased tapes whose copy no query has found, or which is lost.",
        )
        self.copies_lost = self._counter(
            "copies_lost", "Copies that an application says it does not have.", "application"
        )
        self.mounts = self._counter("mount_requests", "Mount requests by what was done.", "result")
        self.restores_waiting = self._gauge(
            "restores_waiting", "Mount requests that wait for their tape."
        )
        self.restores_oldest = self._gauge(
            "restores_oldest_seconds", "Age of the oldest mount request that waits for its tape."
        )
        self.reload_ok = self._gauge(
            "config_last_reload_successful", "0 when the last reload was refused, else 1."
        )
        self.reloads = self._counter("config_reloads", "Reloads by result.", "result")
        self.config_hash = self._gauge("config_hash_info", "The rules table in force.", "hash")
        self.paused = self._counter(
            "paused_seconds", "Seconds in which connections of hosts were not read, summed up."
        )
        self.connections_refused = self._counter(
            "connections_refused", "Connections closed at the door.", "reason"
        )
        self.connections = self._counter(
            "host_connections", "Connections of a host that were opened.", "host"
        )
        self.ledger_backup = self._gauge(
            "ledger_backup_timestamp_seconds",
            "When the ledger was last copied by `backup-ledger`; 0: never, as far as is known.",
        )
        self.tls_failures = self._counter(
            "tls_failures", "TLS connections that got through no handshake.", "listener"
        )
        self.certificate_expiry = self._gauge(
            "certificate_expiry_timestamp_seconds",
            "When the first of the certificates expires that a file had when the server started.",
            "file",
        )
        self.ledger_trouble = self._gauge(
            "ledger_trouble", "1 while the ledger cannot be written, else 0."
        )
        self.spool_trouble = self._gauge(
            "spool_trouble", "1 while jobs wait whose programs cannot be started, else 0."
        )
        self.clock_trusted = self._gauge(
            "clock_trusted", "0 while retention, expiry and cleanup wait for the clock, else 1."
        )

        self._begin()

    def _begin(self) -> None:
        """Set counters to 0: what appears with its first failure shows no rise."""
        self.build.labels(__version__).set(1)
        for word in FINAL_WORDS:
            self.ended.labels(word.name.lower())
        for reason in ("full", "made_way", "stranger", "handshake"):
            self.connections_refused.labels(reason)
        for result in ("rejected", "elsewhere", "unheard"):
            self.commands.labels("", result)
        for result in ("taken", "refused"):
            self.reloads.labels(result)
        for result in MOUNT_RESULTS:
            self.mounts.labels(result)

    def _make_those_of_links(self) -> None:
        self.connected = self._gauge("host_connected", "Connections of a host.", "host")
        self.last_event = self._gauge(
            "host_last_event_timestamp_seconds",
            "When a host last sent anything; until then, since when it is configured here.",
            "host",
        )
        self.link_state = self._gauge(
            "host_link_state",
            "The state of the link to a dialled host: 1 for the one that it is in.",
            "host",
            "state",
        )

    @property
    def of_configuration(self) -> tuple[Gauge, ...]:
        """The gauges of hosts and applications that the configuration names: it may change."""
        hosts = (self.notices_pending, self.notices_oldest, self.connected, self.last_event)
        return (*hosts, self.seats, self.seats_there, self.oldest_job)

    def connection_refused(self, reason: str) -> None:
        """Count a connection that was closed as it came."""
        self.connections_refused.labels(reason).inc()

    def tls_failed(self, listener: str) -> None:
        """Count a connection to a listener that got through no handshake."""
        self.tls_failures.labels(listener).inc()

    def link_in(self, host: str, state: LinkState | None) -> None:
        """Show the state of a dialled host's link; None: the host is not dialled any more."""
        for each in LinkState:
            if state is None:
                with suppress(KeyError):
                    self.link_state.remove(host, each.value)
            else:
                self.link_state.labels(host, each.value).set(each is state)

    def request_ended(self, word: Word) -> None:
        """A final notice was recorded, for any requester."""
        self.ended.labels(word.name.lower()).inc()

    def request_result(self, word: Word, host: str) -> None:
        """A request has ended so, or was refused so."""
        self.request_results.labels(word.name.lower(), self._known(host, self._hosts)).inc()

    def job_ended(self, job: Job) -> None:
        """A job has ended."""
        family = self._known(job.family or "", self._families)
        application = self._known(job.work.application, self._applications)
        self.job_results.labels(job.state.value, family, application).inc()
        if job.state is JobState.COMPLETED and job.finished is not None:
            self.succeeded(job.work.application, job.host, job.rule, job.finished)

    def succeeded(self, application: str, host: str, rule: str, at: float) -> None:
        """A job was completed at that time; what the configuration does not name is left out."""
        if application in self._applications and rule in self._rules:
            gauge = self.last_success.labels(application, self._known(host, self._hosts), rule)
            gauge.set(max(at, gauge._value.get()))  # noqa: SLF001 - it has no other way to be read

    def know(
        self,
        hosts: Iterable[str],
        rules: Iterable[tuple[str, str | None, Iterable[str]]],
        families: Iterable[str],
        applications: Iterable[str],
    ) -> None:
        """Take the names of a configuration, and set their counters to 0.

        `rules` are names with the application, None for a denial, and the families that are named.
        """
        known = list(rules)
        self._hosts, self._families = frozenset(hosts), frozenset(families)
        self._applications = frozenset(applications)
        self._rules = frozenset(name for name, _, _ in known)
        self.know_hosts(self._hosts)
        for rule in self._rules:
            self.rule_matches.labels(rule)
        for family in self._families:
            for word in (Word.DENIED, Word.NORULE):
                self.commands.labels(family, word.name.lower())
        for application in self._applications:
            self.retries.labels(application)
            self.copies_lost.labels(application)
        for _, named, some in known:
            for family in some if named in self._applications else ():
                for state in ENDS:
                    self.job_results.labels(state.value, family, named)

    def know_hosts(self, names: Iterable[str]) -> None:
        """Set the counters of these hosts to 0 before there is anything to count."""
        names = list(names)
        for name in ("", *names):  # "" is for hosts that are configured no more
            self.notices_expired.labels(name)
        for name in (OTHER, *names):
            for word in (*FINAL_WORDS, *REFUSALS):
                self.request_results.labels(word.name.lower(), name)
        for name in names:
            for kind in REFUSED:
                self.refused.labels(name, kind)
            self.events.labels(name)
            self.connections.labels(name)

    def oldest(self, ages: Mapping[tuple[str, str], float], applications: Iterable[str]) -> None:
        """Set how old the oldest jobs are, by state and application; 0 where there is none."""
        for application in applications:
            for state in LIVE:
                age = ages.get((state.value, application), 0.0)
                self.oldest_job.labels(state.value, application).set(age)

    @staticmethod
    def _known(name: str, names: frozenset[str]) -> str:
        return name if name in names else OTHER

    def render(self) -> bytes:
        """Return all metrics in the text format of Prometheus. May be called in a thread."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"vtspolicy_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"vtspolicy_{name}", text, labels, registry=self.registry)
