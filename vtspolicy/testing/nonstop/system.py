r"""A simulated system: its event log, its accounts, its pending mounts, and who is connected.

All sessions share one `System`, and it outlives them: an event that is posted while no link is up
is in the log, and a distributor that starts with TIME shows it.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from itertools import count
from typing import Any

from attrs import field, frozen

from vtspolicy.testing.nonstop.accounts import Account, Accounts, Verdict
from vtspolicy.testing.nonstop.dialogue import Dialogue
from vtspolicy.testing.nonstop.journal import (
    Entry,
    Journal,
    LoggedEvent,
    LoggedOn,
    LogonFailed,
    MemoryJournal,
    MountClosed,
    MountRequest,
    Thawed,
)
from vtspolicy.testing.nonstop.logins import LOGINS, Login

PLAIN_LIMIT = 102
"""Bytes of a text written plainly to the collector that become its event (documented)."""

MOST_EVENTS = 100_000
"""Events that the log keeps; the oldest go first. Log files of a host are bounded, too."""

MOST_COMMANDS = 10_000
"""Commands that a system remembers."""

Filter = Callable[[LoggedEvent], bool]
"""A compiled filter: whether an event passes."""

Observer = Callable[[str, Mapping[str, object]], None]
"""Told in one word what has happened, and its facts."""

Routine = Callable[[Any, str], Dialogue[str]]
"""A TACL routine: as `tacl.Word`, whose first argument is defined above this module."""

VTS = Account(user="VTS.EMS", password="tapes-at-night", number=(100, 7), alias="vts")  # noqa: S106 - of nobody
"""The account that a system has if it is given none."""


@frozen(kw_only=True)
class Settings:
    """How a simulated system is set up."""

    name: str = r"\NSK1"
    accounts: tuple[Account, ...] = (VTS,)
    freeze_after: int = 5  # wrong passwords in a row that freeze an account; 0: it is never frozen
    logon_pause: float = (
        60.0  # seconds without an answer after three failures in a row (documented)
    )
    login: Login = LOGINS["tacl"]
    services: tuple[str, ...] | None = None  # offered by the menu; (): none is configured,
    # TACL starts at once (documented); None: the login's own
    prompt: str = "{n}> "  # behind the logon; sites have their own
    informat: str = "TACL"  # of a new session. The manual says PLAIN, but the start-up files
    # of sites set it, and TACL is what a link must be safe against
    echo: bool = True  # whether the host echoes what is typed (negotiable, documented)
    after_logoff: str = "prompt"  # or "end". That the logged-off prompt returns is documented;
    # whether a dynamic window ends instead is a site's setting (ours)
    ssh_logged_on: bool = (
        True  # TACL over SSH starts logged on (documented, for authenticated users)
    )
    columns: int = 80  # at which a distributor wraps its display: 80 or 132
    zone: tzinfo = UTC  # local civil time
    filters: Mapping[str, Filter] = field(factory=dict)  # by file name, in upper case
    files: Mapping[str, str] = field(factory=dict)  # libraries that TACL can load, by full names
    # in upper case
    routines: Mapping[str, "Routine"] = field(factory=dict)  # a site's own, by name in upper case
    nothing_pending: str = ""  # what MEDIACOM prints below its header without requests: not known
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))


class System:
    """One simulated host."""

    def __init__(self, settings: Settings | None = None, journal: Journal | None = None) -> None:
        self.settings = settings or Settings()
        self.accounts = Accounts(self.settings.accounts, self.settings.freeze_after)
        self.events: deque[LoggedEvent] = deque(maxlen=MOST_EVENTS)
        self.mounts: dict[int, MountRequest] = {}  # pending, by number
        self.links: list[Any] = []  # `link.Link`, defined above this module: all that are up
        self.processes: set[str] = set()  # names of running processes, which are unique
        self.exposed: list[str] = []  # users whose password was typed on a line that is echoed
        self.commands: deque[str] = deque(maxlen=MOST_COMMANDS)  # that TACL ran, for tests to see
        self.observers: list[Observer] = []  # who is told what happens, as people want to see it
        self._journal = journal or MemoryJournal()
        self._watchers: list[Callable[[LoggedEvent], None]] = []
        self._numbers = count(1)
        self._windows = count(1)
        self.refresh()

    # The log

    def post(
        self,
        text: str,
        *,
        number: int = 1234,
        process: str = "$ZBAT",
        ssid: str = "USER.BATCH.A01",
        critical: bool = False,
        time: datetime | None = None,
    ) -> LoggedEvent:
        """Generate an event, now if no time is given."""
        event = LoggedEvent(
            time=time or self.settings.now(),
            text=text,
            process=process,
            ssid=ssid,
            number=number,
            critical=critical,
        )
        self._add(event)
        return event

    def write_plainly(self, text: str) -> LoggedEvent:
        """Write a text to `$0` as FUP does: it becomes `TANDEM.EMS` 512, cut at 102 bytes.

        Both are documented, and that the process in the header is the collector's; its name there
        is ours.
        """
        kept = text.encode("utf-8", "surrogateescape")[:PLAIN_LIMIT]
        return self.post(
            kept.decode("utf-8", "surrogateescape"),
            number=512,
            process="$0",
            ssid="TANDEM.EMS.L01",
        )

    def tell(self, what: str, **facts: object) -> None:
        """Tell all observers."""
        for observer in tuple(self.observers):
            observer(what, facts)

    def ran(self, command: str) -> None:
        """Remember a command that TACL runs."""
        self.commands.append(command)
        self.tell("command", text=command)

    def watch(self, watcher: Callable[[LoggedEvent], None]) -> Callable[[], None]:
        """Tell a function of every event from now on; returns how to end that."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def local(self, time: datetime) -> datetime:
        """Return local civil time, without its zone."""
        return time.astimezone(self.settings.zone).replace(tzinfo=None)

    # Mounts

    def request_mount(
        self,
        tape: str,
        *,
        label: str = "TMF",
        device: str = "$TAPE0",
        write_protected: bool = False,
        action: str = "MOUNT REQUESTED TAPE",
        details: Mapping[str, str] | None = None,
        silent: bool = False,
    ) -> MountRequest:
        """Ask the operator for a tape, with the event that does so unless `silent`.

        Numbers and texts of the events are documented. An event can be lost or suppressed by burst
        control: that is what `silent` stands for.
        """
        taken = self.mounts.keys()
        number = next(each for each in self._numbers if each % 10_000 not in taken) % 10_000
        request = MountRequest(
            number=number,
            tape=tape,
            label=label,
            device=device,
            write_protected=write_protected,
            action=action,
            details=dict(details or {}),
        )
        self._add(request)
        if not silent:
            word, first = {"IBM": ("IBM ", 603), "TMF": ("TMF ", 609)}.get(label, ("", 600))
            ring = "NO RING" if write_protected else "WITH RING"
            self._tape_event(
                first + write_protected, f"{number:04d} MOUNT {word}{tape} ON {device} {ring}"
            )
        return request

    def mounted(self, number: int) -> None:
        """Close a request: its tape was mounted (648, documented). Raises KeyError."""
        tape = self.mounts[number].tape
        self._add(MountClosed(number=number))
        self._tape_event(648, f"{number:04d} VOLUME {tape} MOUNTED")

    def rejected(self, number: int) -> None:
        """Close a request: an operator rejected it (651, documented). Raises KeyError."""
        tape = self.mounts[number].tape
        self._add(MountClosed(number=number))
        self._tape_event(651, f"{number:04d} REQUEST FOR VOLUME {tape} REJECTED BY OPERATOR")

    def cancelled(self, number: int) -> None:
        """Close a request: its requester is gone (649; its text is ours). Raises KeyError."""
        tape = self.mounts[number].tape
        self._add(MountClosed(number=number))
        self._tape_event(649, f"{number:04d} REQUEST FOR VOLUME {tape} CANCELLED")

    def _tape_event(self, number: int, text: str) -> None:
        self.post(f"$ZSVR: {text}", number=number, process="$ZSVR", ssid="TANDEM.TAPE.L01")

    # Accounts

    def log_on(self, name: str, password: str) -> tuple[Verdict, Account | None]:
        """Judge a name and a password, and count it."""
        self.refresh()  # another process may have counted, too
        account = self.accounts.named(name)
        verdict = self.accounts.judge(account, password)
        if account is not None:
            if verdict is Verdict.WRONG:
                self._add(LogonFailed(user=account.user))
            elif verdict is Verdict.RIGHT:
                self._add(LoggedOn(user=account.user))
        return verdict, account

    def thaw(self, user: str) -> None:
        """Thaw an account, as a security administrator does."""
        self._add(Thawed(user=user))

    # Names

    def new_window(self) -> str:
        """Return a name for the terminal of a new session."""
        return f"$ZTN0.#PTY{next(self._windows):04d}"

    def new_process(self) -> str:
        """Return a process name that is free."""
        return next(name for name in _process_names() if name not in self.processes)

    # The journal

    def refresh(self) -> None:
        """Take in what was added to the journal, here or by another process."""
        for entry in self._journal.new():
            self._take(entry)

    def _add(self, entry: Entry) -> None:
        self._journal.add(entry)
        self.refresh()

    def _take(self, entry: Entry) -> None:
        match entry:
            case LoggedEvent():
                self.events.append(entry)
                self.tell("event", ssid=entry.ssid, number=entry.number, text=entry.text)
                for watcher in tuple(self._watchers):
                    watcher(entry)
            case MountRequest():
                self.mounts[entry.number] = entry
                self.tell("mount", number=entry.number, tape=entry.tape)
            case MountClosed():
                self.mounts.pop(entry.number, None)
                self.tell("closed", number=entry.number)
            case LogonFailed():
                self.accounts.failed(entry.user)
                frozen = self.accounts.is_frozen(entry.user)
                self.tell("refused", user=entry.user, frozen=frozen)
            case LoggedOn():
                self.accounts.cleared(entry.user)
                self.tell("logon", user=entry.user)
            case Thawed():
                self.accounts.cleared(entry.user)
                self.tell("thawed", user=entry.user)


def _process_names() -> Iterator[str]:
    return (f"$X{number:03d}" for number in count(1))
