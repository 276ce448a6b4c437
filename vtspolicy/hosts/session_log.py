"""Lines of the log about one connection; a peer brings each of them once a minute."""

from vtspolicy.log_limit import Line

CUT = Line(
    action="event_cut",
    format="An event from {address} was cut, and is not taken: {text!r}.",
    more="{count} more events from {peer} were cut within a minute.",
)
MADE_WAY = Line(
    action="made_way",
    format="An idle connection of {address} was closed: its host has most, another needs one.",
    more="{count} more idle connections of {peer} were closed within a minute for other hosts.",
)
