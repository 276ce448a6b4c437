"""Hosts' requests to mount a tape, from the event to the answer."""

from enum import StrEnum

from attrs import evolve, frozen

from vtspolicy.changes import ChangeBuilder
from vtspolicy.events.event import Event
from vtspolicy.ledger.errors import NoSuchRow
from vtspolicy.ledger.events import EventRecords
from vtspolicy.ledger.history import History
from vtspolicy.ledger.notices import NoticeRecords
from vtspolicy.ledger.part import Part
from vtspolicy.ledger.statements import Row, Statements
from vtspolicy.notices import Notice, Word, present


class MountState(StrEnum):
    """What became of a request to mount."""

    NOTED = "noted"  # the tape has its data, or is not ours: nothing to do
    RESTORING = "restoring"  # the tape is being brought back
    READY = "ready"  # it was brought back and the host got the notice
    FAILED = "failed"  # it could not be brought back and the host got the notice
    CLOSED = "closed"  # by the host itself


@frozen(kw_only=True)
class Mount:
    """One request of a host to mount a tape, as the ledger keeps it."""

    id: int
    host: str  # the configured host
    seq: str  # four digits: the host's number of its request
    volume: str  # as the host calls the tape
    path: str | None = None  # of the tape's file; None for one that is not known
    request: int | None = None  # that brings the tape back
    state: MountState
    reason: str | None = None
    opened: float  # seconds since the epoch
    closed: float | None = None  # no answer is owed any more


def mount_of(row: Row) -> Mount:
    """Return a mount from mount_columns."""
    return Mount(
        id=row.id,
        host=row.host,
        seq=row.seq,
        volume=row.volume,
        path=row.path,
        request=row.request,
        state=MountState(row.state),
        reason=row.reason,
        opened=row.opened,
        closed=row.closed,
    )


class MountRecords(Part):
    """Mounts."""

    def __init__(
        self,
        sql: Statements,
        change: ChangeBuilder,
        events: EventRecords,
        notices: NoticeRecords,
        history: History,
    ) -> None:
        super().__init__(sql, change)
        self._events = events
        self._notices = notices
        self._history = history

    def record(
        self,
        *,
        event: Event,
        host: str,
        digest: bytes | None,
        received: float,
        seq: str,
        volume: str,
        path: str | None = None,
        request: int | None = None,
        state: MountState = MountState.NOTED,
        reason: str | None = None,
    ) -> Mount | None:
        """Record a mount event; None when this event was recorded before.

        A mount that is only NOTED is closed at once.
        """
        number = self._events.record(event, host, digest, received, actor=f"host {host}")
        if number is None:
            return None
        closed = received if state is MountState.NOTED else None
        self._sql.do(
            "record_mount",
            id=number,
            host=host,
            seq=seq,
            volume=volume,
            path=path,
            request=request,
            state=state.value,
            reason=reason,
            opened=received,
            closed=closed,
        )
        self._change.mounts.append(number)
        return Mount(
            id=number,
            host=host,
            seq=seq,
            volume=volume,
            path=path,
            request=request,
            state=state,
            reason=reason,
            opened=received,
            closed=closed,
        )

    def get(self, mount_id: int) -> Mount:
        """Return one mount. Raises NoSuchRow."""
        row = self._sql.one("mount", id=mount_id)
        if row is None:
            raise NoSuchRow("mount", mount_id)
        return mount_of(row)

    def open(self, host: str | None = None, seq: str | None = None) -> list[Mount]:
        """Return mounts that are owed an answer; of one host's request when both are given."""
        if host is not None and seq is not None:
            return [mount_of(row) for row in self._sql.all("open_mount", host=host, seq=seq)]
        return [mount_of(row) for row in self._sql.all("open_mounts")]

    def open_for(self, path: str) -> list[Mount]:
        """Return mounts of one tape that are owed an answer."""
        return [mount_of(row) for row in self._sql.all("open_mounts_of", path=path)]

    def is_mounted_since(self, path: str, request: int) -> bool:
        """Whether a host asked for a tape after a request was recorded; no clock matters."""
        return self._sql.one("mounted_since", path=path, request=request) is not None

    def open_counts(self) -> tuple[int, float | None]:
        """Return how many mounts are owed an answer, and since when the oldest."""
        row = self._sql.need("open_mount_counts")
        return int(row.count), row.oldest

    def answer(
        self, mount_id: int, state: MountState, at: float, *, tape: str, reason: str | None = None
    ) -> tuple[Notice, ...]:
        """Close a mount as READY or FAILED with a notice; nothing when it is closed already."""
        moved = self.move(mount_id, state, at, reason=reason)
        if moved is None:
            return ()
        word = Word.MOUNTREADY if state is MountState.READY else Word.MOUNTFAILED
        row = self._sql.one("event_of", id=mount_id)
        fields = present(
            seq=moved.seq,
            tape=tape,  # no req: several hosts may share the restore
            reason=reason,
            id=row.event_id if row is not None else None,
        )
        return (self._notices.post(word, moved.host, at, fields),)

    def move(
        self,
        mount_id: int,
        state: MountState,
        at: float,
        *,
        reason: str | None = None,
        request: int | None = None,
    ) -> Mount | None:
        """Move an open mount on; None when it is closed already. All but RESTORING close it."""
        before = self.get(mount_id)
        closed = None if state is MountState.RESTORING else at
        if not self._sql.do(
            "move_mount",
            state=state.value,
            reason=reason,
            request=request,
            closed=closed,
            id=mount_id,
        ):
            return None
        self._change.mounts.append(mount_id)
        self._history.note(
            at, before.state.value, state.value, reason or "", "engine", subject=f"mount {mount_id}"
        )
        return evolve(
            before, state=state, reason=reason, request=request or before.request, closed=closed
        )
