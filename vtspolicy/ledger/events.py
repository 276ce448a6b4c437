"""The events that held commands and mounts."""

from datetime import datetime

from vtspolicy.events.event import Event
from vtspolicy.ledger.part import Part
from vtspolicy.ledger.statements import Row


def time_text(event: Event) -> str:
    """Return the generation time as the column of events has it."""
    return event.time.isoformat() if event.time is not None else ""


def event_row(
    event: Event,
    host: str,
    digest: bytes | None,
    received: float,
    *,
    actor: str,
    why: str | None = None,
) -> Row:
    """Return the columns of an event, all but its number."""
    return (
        *(host, received, time_text(event), digest),
        *(event.system, event.process, event.ssid, event.number, event.critical, event.user),
        *(event.action_needed, event.action_id, event.id, event.wire, event.text),
        *(actor, why),
    )


class EventRecords(Part):
    """Events: each of an identity is recorded once."""

    def record(
        self,
        event: Event,
        host: str,
        digest: bytes | None,
        received: float,
        *,
        actor: str,
        why: str | None = None,
    ) -> int | None:
        """Record an event; answer its number, or None when one of its identity is there."""
        row = self._sql.one(
            "record_event", *event_row(event, host, digest, received, actor=actor, why=why)
        )
        return None if row is None else int(row[0])

    def is_known(self, event: Event, digest: bytes | None) -> bool:
        """Whether an event of this identity was recorded before."""
        return (
            digest is not None
            and self._sql.one("first_event", time_text(event), digest) is not None
        )

    def get(self, request_id: int) -> Event | None:
        """Return the event that held a command, or what an operator gave instead; or None."""
        row = self._sql.one("event_of", request_id)
        if row is None:
            return None
        return Event(
            text=row[0],
            time=datetime.fromisoformat(row[1]) if row[1] else None,
            system=row[2],
            process=row[3],
            ssid=row[4],
            number=row[5],
            critical=bool(row[6]),
            user=row[7],
            action_needed=bool(row[8]),
            action_id=row[9],
            id=row[10],
            wire=row[11],
        )
