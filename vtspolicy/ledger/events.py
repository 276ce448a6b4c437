"""The events that held commands and mounts."""

from datetime import datetime

from vtspolicy.events.event import Event
from vtspolicy.ledger.part import Part
from vtspolicy.ledger.statements import Columns


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
    number: int | None = None,
) -> Columns:
    """Return the columns of an event; its number is not needed where the database gives it."""
    return {
        "id": number,
        "host": host,
        "received": received,
        "time": time_text(event),
        "digest": digest,
        "system": event.system,
        "process": event.process,
        "ssid": event.ssid,
        "number": event.number,
        "critical": event.critical,
        "user": event.user,
        "action_needed": event.action_needed,
        "action_id": event.action_id,
        "event_id": event.id,
        "wire": event.wire,
        "text": event.text,
        "actor": actor,
        "why": why,
    }


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
            "record_event", **event_row(event, host, digest, received, actor=actor, why=why)
        )
        return None if row is None else int(row.id)

    def is_known(self, event: Event, digest: bytes | None) -> bool:
        """Whether an event of this identity was recorded before."""
        return (
            digest is not None
            and self._sql.one("first_event", time=time_text(event), digest=digest) is not None
        )

    def get(self, request_id: int) -> Event | None:
        """Return the event that held a command, or what an operator gave instead; or None."""
        row = self._sql.one("event_of", id=request_id)
        if row is None:
            return None
        return Event(
            text=row.text,
            time=datetime.fromisoformat(row.time) if row.time else None,
            system=row.system,
            process=row.process,
            ssid=row.ssid,
            number=row.number,
            critical=bool(row.critical),
            user=row.user,
            action_needed=bool(row.action_needed),
            action_id=row.action_id,
            id=row.event_id,
            wire=row.wire,
        )
