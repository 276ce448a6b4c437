"""Lines of the log about one connection; a peer brings each of them once a minute."""

from vtspolicy.log_limit import Line

CUT = Line(
    action="event_cut",
    format="An event from {address} was cut, and is not taken: {text!r}.",
    more="{count} more events from {peer} were cut within a minute.",
)
MADE_WAY = Line(
    action="made_way",
    format="A connection of {address} is ended: its host has most of all, and another one came.",
    more="{count} more connections of {peer} ended within a minute, to make way.",
)
