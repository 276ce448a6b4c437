"""The state of a server as `vtspolicy status` and the web interface show it."""

from collections.abc import Mapping

from attrs import field, frozen

from vtspolicy.ledger.notices import Pending
from vtspolicy.queue.protocol import Snapshot


@frozen(kw_only=True)
class LinkStatus:
    """The link to a dialled host. Times are seconds since the epoch."""

    state: str  # of vtspolicy.links.life.LinkState
    since: float  # when it came into it
    endpoint: str  # where the host is called
    error: str = ""  # why it was lost the last time
    due: float | None = None  # when it is opened again
    last_event: float | None = None  # when its display last showed anything


@frozen(kw_only=True)
class HostStatus:
    """One configured host."""

    name: str
    connections: int = 0  # open now
    last_event: float | None = None  # when it last sent anything, seconds since the epoch
    link: LinkStatus | None = None  # of a host that is dialled


@frozen(kw_only=True)
class ClockStatus:
    """Whether the server's clock is trusted, and what waits if it is not."""

    trusted: bool
    reason: str | None = None  # why something waits
    since: float | None = None  # when trust was lost, seconds since the epoch
    until: float | None = None  # when it is over if the clock is not set again, the same
    waits: tuple[str, ...] = ()  # what waits
    remedy: str | None = None  # the command that ends it, once a person has checked the clock


@frozen(kw_only=True)
class RefusedReload:
    """A reload that was refused and not followed by one that was taken."""

    at: float  # seconds since the epoch
    by: str  # who asked for it
    problem: str  # the first one
    problems: int  # how many there were


@frozen(kw_only=True)
class Status:
    """One server, at one moment. `vtspolicy.records.plain` makes it the answer of the API."""

    node: str  # this machine's name
    pid: int
    version: str  # of the program
    at: float  # the moment, seconds since the epoch
    started: float  # the server's start, by the clock as it is now
    ready: bool  # it takes commands and can carry them out
    reasons: tuple[str, ...] = ()  # why not
    table: str = ""  # the hash of the rules table in force
    rules: int = 0  # how many rules it has
    queue: Snapshot  # seats and locks: who holds, who waits
    hosts: tuple[HostStatus, ...] = ()  # every configured host
    jobs: Mapping[str, int] = field(factory=dict)  # state -> how many
    pending: tuple[Pending, ...] = ()  # notices that wait for their hosts
    tapes: Mapping[str, int] = field(factory=dict)  # state -> how many
    tapes_bytes: int = 0  # that tapes take on disk
    tapes_freed: int = 0  # bytes of tapes that only an application holds
    tape_troubles: tuple[str, ...] = ()  # names that occur twice, what cannot be looked at
    restores: int = 0  # mount requests that wait for their tape
    restores_since: float | None = None  # when the oldest of them came, seconds since the epoch
    backlog: int = 0  # writes that wait for the ledger
    clock: ClockStatus = ClockStatus(trusted=True)
    trouble: str | None = None  # why the ledger cannot be written
    unstoppable: tuple[str, ...] = ()  # runs that are to end, with processes of another user
    refused_reload: RefusedReload | None = None  # the files that are there are not in force
    needs: tuple[str, ...] = ()  # what a person has to do something about
