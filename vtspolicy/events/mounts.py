"""What a tape message says: the requests to mount a volume, and how they were closed.

docs/explanation/ems.md has the table of their forms. They are read from the left, word by word; the
comment at the end is its writer's own text and is never searched.
"""

import re

from attrs import frozen

from vtspolicy.events.event import Event

_DRIVE_AND_RING = r"""
    (?: \s+ REEL \s+ (?P<reel>\S{1,12}) )?
    (?: \s+ DENSITY \s+ (?P<density>\S{1,12}) )?
    (?: \s+ ON \s+ (?P<drive>\S{1,40}) )?
    \s+ (?P<ring>WITH|NO) \s+ RING
"""
_VOLUME = r"(?P<volume>[A-Za-z0-9@#$_-]{1,6})"
_SEQUENCE = r"\$ZSVR: \s+ (?P<sequence>\d{4}) \s+"
_COMMENT = r"(?: \s+ (?P<comment>.*) )? \Z"


def _form(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.VERBOSE | re.DOTALL | re.ASCII)


def _request(label: str) -> re.Pattern[str]:
    return _form(rf"{_SEQUENCE} MOUNT \s+ {label} {_VOLUME} {_DRIVE_AND_RING} {_COMMENT}")


_REQUESTS = {
    600: ("plain", _request("")),
    601: ("plain", _request("")),
    603: ("IBM", _request(r"IBM \s+")),
    604: ("IBM", _request(r"IBM \s+")),
    609: ("TMF", _request(r"TMF \s+")),
    610: ("TMF", _request(r"TMF \s+")),
    705: ("ESM", _form(rf"MOUNT \s+ ESM \s+ {_VOLUME} {_DRIVE_AND_RING} (?P<comment>.*) \Z")),
    706: ("ESM", _form(rf"MOUNT \s+ ESM \s+ {_VOLUME} {_DRIVE_AND_RING} (?P<comment>.*) \Z")),
}
_VOLUME_ANYWHERE = re.compile(r"(?<![A-Za-z0-9@#$_-])[A-Za-z0-9@#$_-]{1,6}(?![A-Za-z0-9@#$_-])")
_CANCELLED = 649
_ENDS = {
    648: ("mounted", _form(rf"{_SEQUENCE} VOLUME \s+ {_VOLUME} \s+ MOUNTED (?: \s .* )? \Z")),
    651: (
        "rejected",
        _form(
            rf"{_SEQUENCE} REQUEST \s+ FOR \s+ VOLUME \s+ {_VOLUME}"
            r" \s+ REJECTED \s+ BY \s+ OPERATOR (?: \s .* )? \Z"
        ),
    ),
    659: (
        "dismounted",
        _form(
            rf"STATUS \s+ \d+ \s+ - \s+ {_VOLUME} \s+ TAPE \s+ DISMOUNTED"
            r" (?: \s+ FROM \s+ DRIVE \s+ (?P<drive>\S{1,40}) )? (?: \s .* )? \Z"
        ),
    ),
}
_CANCEL = _form(rf"{_SEQUENCE} (?P<words>.*) \Z")
_ALIAS = re.compile(r"\s+ALIAS\s*=\s*(\S{1,12})", re.ASCII)


@frozen(kw_only=True)
class MountMessage:
    """One tape message. What the message does not say is None."""

    kind: str  # request, mounted, cancelled, rejected, dismounted
    volume: str  # the tape's name, up to six characters; of one cancelled all words that may be it
    sequence: str | None = None  # four digits, the action id; None for 659, 705 and 706
    label: str | None = None  # plain, IBM, TMF or ESM; of a request only
    ring: bool | None = None  # whether the tape is to be written on; of a request only
    reel: str | None = None  # which reel of a set
    density: str | None = None  # as displayed
    drive: str | None = None  # the device asked for or left, as displayed
    alias: str | None = None  # of an ESM request
    comment: str | None = None  # the user's own words; never read

    @property
    def is_request(self) -> bool:
        """Whether somebody waits for the tape."""
        return self.kind == "request"

    @property
    def closes_request(self) -> bool:
        """Whether the request of this sequence number waits no longer."""
        return self.kind in ("mounted", "cancelled", "rejected")

    def names(self, volume: str) -> bool:
        """Whether it is about this volume."""
        if self.kind == "cancelled":
            return volume in self.volume.split()
        return volume == self.volume


def read_mount(event: Event) -> MountMessage | None:
    """Return what a tape message says, or None: another event, or no tape is named in it.

    The event number decides the form; a text of another form is not guessed at.
    """
    if event.number is None or event.is_own_notice or not _is_tape_subsystem(event):
        return None
    if event.number in _REQUESTS:
        label, form = _REQUESTS[event.number]
        match = form.match(event.text)
        return _message("request", match, label) if match else None
    if event.number == _CANCELLED:
        # Its wording is not known: the number says what it is, and the volume may be anywhere.
        match = _CANCEL.match(event.text)
        if match is None:
            return None
        words = " ".join(_VOLUME_ANYWHERE.findall(match["words"]))
        return MountMessage(kind="cancelled", volume=words, sequence=match["sequence"])
    if event.number in _ENDS:
        kind, form = _ENDS[event.number]
        match = form.match(event.text)
        return _message(kind, match) if match else None
    return None


def asks_for_mount(event: Event) -> bool:
    """Whether the number of a tape message says that somebody waits for a tape."""
    return event.number in _REQUESTS and not event.is_own_notice and _is_tape_subsystem(event)


def _is_tape_subsystem(event: Event) -> bool:
    # A display can show a subsystem by its number; which one TAPE has is not known to us, so any
    # number passes (our decision): event number and wording must agree anyway.
    owner, subsystem, *_ = (event.ssid or ".").split(".")
    return owner == "TANDEM" and (subsystem == "TAPE" or subsystem.isdigit())


def _message(kind: str, match: re.Match[str], label: str | None = None) -> MountMessage:
    found = match.groupdict()
    comment = found.get("comment") or None
    alias = None
    if label == "ESM":
        known_as = _ALIAS.match(found.get("comment") or "")
        alias, comment = (known_as[1], None) if known_as else (None, None)
    ring = found.get("ring")
    return MountMessage(
        kind=kind,
        volume=found["volume"],
        sequence=found.get("sequence"),
        label=label,
        ring=None if ring is None else ring == "WITH",
        reel=found.get("reel"),
        density=found.get("density"),
        drive=found.get("drive"),
        alias=alias,
        comment=comment.strip() if comment else None,
    )
