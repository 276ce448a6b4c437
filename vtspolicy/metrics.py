"""What dashboards watch: every metric of the program, in one table.

Label values come from the configuration, never from what a host sends (DESIGN.md 9).
"""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from vtspolicy.notices import FINAL_WORDS, Word

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_JOB_SECONDS = (0.1, 1, 10, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600)


class Metrics:
    """The metrics of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.events = self._counter("events_received", "Events received.", "host")
        self.refused = self._counter("input_refused", "Input that was no event.", "host", "kind")
        self.commands = self._counter(
            "commands", "Commands by what became of them.", "family", "result"
        )
        self.ended = self._counter("requests_ended", "Requests by their final notice.", "result")
        for word in FINAL_WORDS:  # one that was not there before its first failure shows no rise
            self.ended.labels(word.name.lower())
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
            "notices_expired", "Notices given up: nobody took them in time.", "host"
        )
        self.connected = self._gauge("host_connected", "Connections of a host.", "host")
        self.last_event = self._gauge(
            "host_last_event_timestamp_seconds",
            "When a host last sent anything; until then, since when it is configured here.",
            "host",
        )
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

    @property
    def of_configuration(self) -> tuple[Gauge, ...]:
        """The gauges of hosts and applications that the configuration names: it may change."""
        hosts = (self.notices_pending, self.notices_oldest, self.connected, self.last_event)
        return (*hosts, self.seats)

    def request_ended(self, word: Word) -> None:
        """A final notice was recorded, whoever had asked."""
        self.ended.labels(word.name.lower()).inc()

    def know_hosts(self, names: Iterable[str]) -> None:
        """Have the counters of these hosts stand at 0 before there is anything to count."""
        for name in ("", *names):  # "" is for hosts that are configured no more
            self.notices_expired.labels(name)

    def render(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"vtspolicy_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"vtspolicy_{name}", text, labels, registry=self.registry)
