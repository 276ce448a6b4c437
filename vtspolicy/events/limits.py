"""How much of a host's input is taken at once, and the counts of what was."""

from attrs import Factory, define, frozen


@frozen(kw_only=True)
class Limits:
    """The longest things that are accepted, in bytes; NUL and BEL are not counted."""

    line: int = 8192  # a line of a display, a syslog message: without its line end
    text: int = 4024  # the text of an event: no EMS event is longer
    json_line: int = 16384  # a JSON object: escapes make it longer than what it says


@define(kw_only=True)
class Counted:
    """What went through one decoder. It only grows; read it for the metrics."""

    events: int = 0  # lines beginning with a date, plain commands; JSON objects; syslog messages
    malformed: int = 0  # headers looked at that were none: impossible date, missing field
    refused: dict[str, int] = Factory(dict)  # refusals by their kind

    def refuse(self, kind: str) -> None:
        """Count one refusal."""
        self.refused[kind] = self.refused.get(kind, 0) + 1
