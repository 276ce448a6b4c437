"""An event as `vtspolicy decode` prints it: as an object for programs, as a line for people."""

from vtspolicy.events.event import Event


def to_json(event: Event) -> dict[str, object]:
    """Return the fields that `vtspolicy decode` prints.

    Those of the header are None for a plain command.
    """
    return {
        "time": event.time.isoformat() if event.time else None,
        "system": event.system,
        "process": event.process,
        "ssid": event.ssid,
        "number": event.number,
        "critical": event.critical,
        "text": event.text,
    }


def to_line(event: Event) -> str:
    """Return one line with the fields in columns; an asterisk marks a critical event."""
    if event.time is None:
        time, source, number = "-", "-", "-"
    else:
        time = event.time.isoformat(" ")
        source = f"{event.system}.{event.process}"
        number = str(event.number)
    mark = "*" if event.critical else " "
    text = "".join(c if c.isprintable() else " " for c in event.text)
    return f"{time:19} {source:16}{mark} {event.ssid or '-':20} {number:>6} {text}"
