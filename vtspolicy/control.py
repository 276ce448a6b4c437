"""What the doors ask of the engine, and the table of the verbs that change something."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from attrs import field, frozen
from twisted.internet.defer import Deferred

from vtspolicy.jobs import Job
from vtspolicy.records import Live

Told = Mapping[str, object]
"""An answer that goes out as a JSON object."""


class UnknownThing(LookupError):  # noqa: N818 - reads as what it says
    """A job, request, lock or tape of that name does not exist; the message is for the caller."""


class Refused(Exception):  # noqa: N818
    """It exists, but this cannot be done to it now; the message is for the caller."""


class Control(Protocol):
    """The engine, as the web interface and the control socket see it.

    `actor` ("operator alice") gives the order, and `reason` says why; both go to the history. Verbs
    may raise UnknownThing, Refused, NoSuchRow, ConfigurationError or LedgerError, at once or
    through their Deferred; each has its own HTTP status.
    """

    def status(self) -> Deferred[Told]:
        """Return `vtspolicy.records.plain` of a `vtspolicy.status.Status`."""
        ...

    def ready(self) -> tuple[bool, tuple[str, ...]]:
        """Return whether commands are taken, and if not, why."""
        ...

    def collect(self) -> Deferred[None]:
        """Bring the gauges of the metrics up to date."""
        ...

    def live(self, jobs: Sequence[Job]) -> Mapping[int, Live]:
        """Return what only the server knows of those jobs that have not ended, by number."""
        ...

    def drain(self, actor: str, reason: str | None = None) -> Deferred[Told]:
        """Start nothing new; what runs continues. Answers {"running": how many}."""
        ...

    def resume(self, actor: str, reason: str | None = None) -> Deferred[Told]:
        """End a drain. Answers {"waiting": how many, "was_draining": whether there was a drain}."""
        ...

    def reload(self, actor: str, reason: str | None = None) -> Deferred[Told]:
        """Take new rules whole or not at all; ConfigurationError when not.

        Answers {"table": hash, "rules": how many, "warnings": [text]}.
        """
        ...

    def cancel(
        self, request: int | None, job: int | None, actor: str, reason: str | None = None
    ) -> Deferred[Told]:
        """Cancel a request or one job; exactly one of both is given.

        Answers {"ended": [job], "stopping": [job]}: those that had not started, and those whose
        processes are being ended.
        """
        ...

    def retry(self, job: int, actor: str, reason: str | None = None) -> Deferred[Told]:
        """Run an ended job again, as a new request. Answers {"request": ..., "job": ...}."""
        ...

    def release_lock(self, lock: str, actor: str, reason: str | None = None) -> Deferred[Told]:
        """Take a lock from its holder. Answers {"lock": ..., "released": bool}."""
        ...

    def scan(self, actor: str) -> Deferred[Told]:
        """Look through the vaults now. Answers {"tapes": how many}."""
        ...

    def withdraw(self, tape: str, actor: str, reason: str | None = None) -> Deferred[Told]:
        """Withdraw an override of a tape that no order has used yet. Answers {"tape": ...}."""
        ...

    def order(
        self,
        *,
        text: str,
        tapes: str | None,
        override: str | None,
        copy: str | None,
        to: str | None,
        actor: str,
        reason: str | None = None,
    ) -> Deferred[Told]:
        """Take a VTSPolicy command as if a host had sent it, but by the operator's right.

        `override` is a reason why this order, of one tape, needs no proven copy; `copy` the handle
        of the copy that a Restore brings back, `to` a new file to which it writes in place of the
        tape.

        `tapes` are names of tapes, with blanks between, that it must be about: a bare name in the
        text may mean another one; Refused then. Answers {"request", "word", "jobs", "reason",
        "column"}: its number, the first notice's word, how many jobs it became; absent parts are
        null.
        """
        ...

    def mark(
        self,
        *,
        tape: str,
        state: str,
        handle: str | None,
        application: str,
        retention: str | None,
        media: str | None,
        size: int | None,
        began: str | None,
        actor: str,
        reason: str | None = None,
    ) -> Deferred[Told]:
        """Note what the application did by its own schedule: `state` is migrated or restored.

        `began` is when the copy was begun, as ISO 8601. Answers {"tape": its name, "state": where
        its data is now, "doubt": why its copy allows no erase yet, or null}.
        """
        ...

    def trust_clock(self, actor: str, reason: str | None = None) -> Deferred[Told]:
        """Trust the clock as it is now; Refused if it is trusted. Answers {"at": its time}."""
        ...

    def restart_link(self, host: str, actor: str, reason: str | None = None) -> Deferred[Told]:
        """End the link to a dialled host and open it anew; one that is stopped is tried again.

        UnknownThing if it is not dialled. Answers {"host": ...}.
        """
        ...

    def backup(self, path: str, actor: str) -> Deferred[Told]:
        """Write a consistent copy of the ledger. Answers {"path": ...}."""
        ...


@frozen(kw_only=True)
class Argument:
    """One member of the JSON object that a verb takes."""

    kind: type[int] | type[str]  # numbers are 1 or more; texts have 1 to LONGEST characters
    required: bool = True
    most: int | None = None  # the largest number; None where any names something, or nothing


LONGEST = 4096
"""Characters of the longest text that a verb takes: a path's limit."""

LARGEST = 2**62
"""Bytes of the largest tape that the ledger can hold."""


@frozen(kw_only=True)
class Verb:
    """One thing that an operator can have done: `POST /api/v1/NAME` on the control socket."""

    method: str  # of Control; it takes the arguments by name, and the actor
    arguments: Mapping[str, Argument] = field(factory=dict)
    one_of: tuple[str, ...] = ()  # exactly one of these must be given
    logs: bool = False  # the log has a line of its own about it, with who gave it
    records: bool = True  # it is done once the ledger has it: not while that takes no writes


_NUMBER = Argument(kind=int)
_TEXT = Argument(kind=str)
_EITHER = Argument(kind=int, required=False)
_MAYBE = Argument(kind=str, required=False)
_WHY = {"reason": _MAYBE}

VERBS: Mapping[str, Verb] = {
    "drain": Verb(method="drain", arguments=_WHY, logs=True, records=False),
    "resume": Verb(method="resume", arguments=_WHY, logs=True, records=False),
    "reload": Verb(method="reload", arguments=_WHY, logs=True),
    "cancel": Verb(
        method="cancel",
        arguments={"request": _EITHER, "job": _EITHER, **_WHY},
        one_of=("request", "job"),
    ),
    "retry": Verb(method="retry", arguments={"job": _NUMBER, **_WHY}),
    "release-lock": Verb(method="release_lock", arguments={"lock": _TEXT, **_WHY}),
    "scan": Verb(method="scan"),
    "withdraw": Verb(method="withdraw", arguments={"tape": _TEXT, **_WHY}),
    "order": Verb(
        method="order",
        arguments={
            "text": _TEXT,
            "tapes": _MAYBE,
            "override": _MAYBE,
            "copy": _MAYBE,
            "to": _MAYBE,
            **_WHY,
        },
    ),
    "mark": Verb(
        method="mark",
        arguments={
            "tape": _TEXT,
            "state": _TEXT,
            "handle": _MAYBE,
            "application": _TEXT,
            "retention": _MAYBE,
            "media": _MAYBE,
            "size": Argument(kind=int, required=False, most=LARGEST),
            "began": _MAYBE,
            **_WHY,
        },
    ),
    "trust-clock": Verb(method="trust_clock", arguments=_WHY, logs=True),
    "restart-link": Verb(
        method="restart_link", arguments={"host": _TEXT, **_WHY}, logs=True, records=False
    ),
    "backup": Verb(method="backup", arguments={"path": _TEXT}, logs=True, records=False),
}
"""Every verb. They exist on the control socket only."""
