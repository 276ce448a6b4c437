"""EMSDIST, the distributor: shows the events of the collector on a terminal.

Documented: the syntax; without parameters it shows its syntax and ends; NAME must be there, TYPE
too; TIME and STOP, in their order and their forms of dates, with the meaning of a missing part;
without TIME it begins with the next event; GMT ON; INDENT, which is 36 if not given; ten filters,
text outputs and collectors at most; filters are used one after the other; BREAK gives the prompt
back, and STOP or the end of the session ends it; a critical event has an asterisk two columns
before its subsystem; reading the log may need rights; the messages in `_TOO_MANY`, `NO_TYPE` and
those about TIME and TARGET.

Ours: what cannot be understood is answered by the syntax; all other messages; an event passes if
it passes every filter; with GMT ON, TIME and STOP are in GMT as well; a STOP that lies ahead is
looked at when the next event comes; what goes to another text output than the home terminal is not
seen; only printing and consumer distributors are simulated; CPU, PRI, OUT, TERM, WAIT, DELAY,
BACKUP and DUMP are taken and change nothing.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from attrs import define, field, frozen

from vtspolicy.testing.display import display
from vtspolicy.testing.nonstop.console import Console
from vtspolicy.testing.nonstop.consumer import Consumer
from vtspolicy.testing.nonstop.dialogue import Break, Dialogue, Wait
from vtspolicy.testing.nonstop.journal import LoggedEvent
from vtspolicy.testing.nonstop.lexical import shown
from vtspolicy.testing.nonstop.run_options import NAME, cut, run_options
from vtspolicy.testing.nonstop.system import Filter, System
from vtspolicy.testing.nonstop.tacl import Tacl
from vtspolicy.testing.nonstop.variables import TaclError

SYNTAX = """\
EMSDIST / NAME [ $process ] [ , run-option ] ... /
   TYPE { C[ONSUMER] | F[ORWARDING] | P[RINTING] }
   , COLLECTOR { name | ( name , ... ) }  |  , LOGFILE name
   , TEXTOUT { name | ( name , ... ) }
   [ , FILTER { file | ( file , ... ) } ]
   [ , TIME date [ time ] ] [ , STOP date [ time ] ]
   [ , WAIT n ] [ , DELAY n ] [ , INDENT n ] [ , GMT ON ]"""
"""What it shows without parameters; the layout is ours."""

NO_TYPE = "Use C[ONSUMER], F[ORWARDING], or P[RINTING]"
MOST = 10
INDENT = 36

_TOO_MANY = {
    "COLLECTOR": "Too many source collectors",
    "FILTER": "Too many filter files",
    "TEXTOUT": "Too many textout devices",
}
_IGNORED = ("WAIT", "DELAY", "BACKUP", "DUMP")
_LONGEST_TIME = 80


class CannotStartError(Exception):
    """The distributor does not start; the message is what it shows."""


@frozen(kw_only=True)
class Plan:
    """What a distributor is asked to do."""

    name: str
    here: bool  # whether it shows events on this terminal
    filters: tuple[Filter, ...] = ()
    begin: datetime | None = None  # None: with the next event
    stop: datetime | None = None
    gmt: bool = False
    indent: int = INDENT
    is_consumer: bool = False  # whether a program asks it for events, and nothing is displayed


def emsdist(tacl: Tacl, rest: str) -> Dialogue[str]:
    """Run EMSDIST: until it ends, or BREAK is pressed; with NOWAIT at once back to the prompt."""
    console = tacl.console
    options, parameters = run_options(shown(rest))
    if not parameters.strip():
        console.show(SYNTAX)
        return ""
    try:
        planned = plan(console, options, parameters)
    except CannotStartError as error:
        console.show(str(error))
        tacl.failed = True
        return ""
    distributor = (
        Consumer(console, planned.name, planned.filters, planned.begin)
        if planned.is_consumer
        else Distributor(console, planned)
    )
    distributor.start()
    if "NOWAIT" not in options:
        try:
            while distributor.is_running:
                yield Wait(lambda: not distributor.is_running)
        except Break:
            pass
    return ""


@define
class Distributor:
    """A printing distributor that runs."""

    console: Console
    plan: Plan
    is_running: bool = False
    _unwatch: Callable[[], None] = field(default=lambda: None)

    @property
    def name(self) -> str:
        """Its process name."""
        return self.plan.name

    def start(self) -> None:
        """Show what the log has from TIME on, and then every event as it is generated."""
        self.console.start(self)
        self.is_running = True
        begin, system = self.plan.begin, self.console.system
        if begin is not None:
            for event in tuple(system.events):
                if event.time >= begin:
                    self._take(event)
        if self.plan.stop is not None and system.settings.now() >= self.plan.stop:
            self.stop()
        if self.is_running:
            self._unwatch = system.watch(self._take)

    def stop(self) -> None:
        """End it."""
        if self.is_running:
            self.is_running = False
            self._unwatch()
            self.console.ended(self)

    def _take(self, event: LoggedEvent) -> None:
        if not self.is_running:
            return
        if self.plan.stop is not None and event.time >= self.plan.stop:
            self.stop()
        elif self.plan.here and all(passes(event) for passes in self.plan.filters):
            self.console.show(self._line(event))

    def _line(self, event: LoggedEvent) -> str:
        system = self.console.system
        shown_as = display(
            event.text,
            time=event.time.astimezone(UTC) if self.plan.gmt else system.local(event.time),
            system=system.settings.name,
            process=event.process,
            ssid=event.ssid,
            number=event.number,
            critical=event.critical,
            columns=system.settings.columns,
            indent=self.plan.indent,
        )
        return shown_as.decode("utf-8", "surrogateescape").removesuffix("\n")


# The command line


def plan(console: Console, options: dict[str, str], parameters: str) -> Plan:
    """Read the command line. Raises CannotStartError."""
    given: dict[str, str] = {}
    for part in cut(parameters):
        word, _, value = part.partition(" ")
        word = word.upper()
        if word == "TIME" and "STOP" in given:
            raise CannotStartError("TIME may not follow STOP")
        if word not in _READ or word in given:
            raise CannotStartError(SYNTAX)
        given[word] = value.strip()
    for word, message in _TOO_MANY.items():
        if len(_names(given.get(word, ""))) > MOST:
            raise CannotStartError(message)
    _check_kind(given)
    if ("COLLECTOR" in given) == ("LOGFILE" in given):
        raise CannotStartError(SYNTAX)
    return _plan(console, _process_name(console.system, options), given)


def _check_kind(given: dict[str, str]) -> None:
    kind = given.get("TYPE", "").upper()
    if not kind or not any(
        each.startswith(kind) for each in ("CONSUMER", "FORWARDING", "PRINTING")
    ):
        raise CannotStartError(NO_TYPE)
    if "TARGET" in given and "TEXTOUT" in given:
        raise CannotStartError("TARGET and TEXTOUT can not coexist")
    if kind.startswith("F"):
        raise CannotStartError("Forwarding distributors are not simulated")
    if bool(given.get("TEXTOUT")) == kind.startswith("C"):
        raise CannotStartError(SYNTAX)


_READ = (
    *("TYPE", "COLLECTOR", "LOGFILE", "TEXTOUT", "FILTER", "TARGET"),
    *("TIME", "STOP", "GMT", "INDENT", *_IGNORED),
)


def _plan(console: Console, name: str, given: dict[str, str]) -> Plan:
    system, account = console.system, console.account
    gmt = given.get("GMT", "OFF").upper()
    indent = given.get("INDENT", str(INDENT))
    waits = [given[word] for word in ("WAIT", "DELAY") if word in given]
    if gmt not in ("ON", "OFF") or not all(each.isdecimal() for each in (indent, *waits)):
        raise CannotStartError(SYNTAX)
    for collector in _names(given.get("COLLECTOR", "")):
        if collector.upper() not in ("$0", f"{system.settings.name}.$0".upper()):
            raise CannotStartError(f"Can't open source collector {collector}, error 14")
    if account is not None and not account.reads_events:
        raise CannotStartError("Can't open the log file of collector $0, error 48")
    begin = _moment(given["TIME"], system, gmt=gmt == "ON") if "TIME" in given else None
    if begin is None and "LOGFILE" in given:
        begin = datetime.min.replace(tzinfo=UTC)
    stop = _moment(given["STOP"], system, gmt=gmt == "ON") if "STOP" in given else None
    if begin is not None and stop is not None and stop <= begin:
        raise CannotStartError("STOP must be later than TIME")
    homes = (console.window.upper(), "$HOME")
    return Plan(
        name=name,
        here=any(each.upper() in homes for each in _names(given.get("TEXTOUT", ""))),
        filters=tuple(_filter(system, each) for each in _names(given.get("FILTER", ""))),
        begin=begin,
        stop=stop,
        gmt=gmt == "ON",
        indent=int(indent),
        is_consumer=given["TYPE"].upper().startswith("C"),
    )


def _process_name(system: System, options: dict[str, str]) -> str:
    if "NAME" not in options:
        raise CannotStartError("The distributor needs a NAME")
    name = options["NAME"].upper() or system.new_process()
    if not NAME.fullmatch(name):
        raise TaclError(f"{name} is not a process name")
    if name in system.processes:
        raise TaclError(f"Process {name} exists already")
    return name


def _names(value: str) -> list[str]:
    if value.startswith("(") and value.endswith(")"):
        value = value[1:-1]
    return [name.strip() for name in value.split(",") if name.strip()]


def _filter(system: System, name: str) -> Filter:
    found = system.settings.filters.get(name.upper())
    if found is None:
        raise CannotStartError(f"Can't open filter file {name}, error 11")
    return found


# Times

_CLOCK = r"(?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d))?"
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_TIMES = [
    re.compile(rf"(?:{date})?\s*(?:{_CLOCK})?", re.IGNORECASE)
    for date in (
        r"(?P<year>\d{4})-(?P<month>\d\d?)-(?P<day>\d\d?)",
        r"(?P<month>[A-Z]{3})\s+(?P<day>\d\d?)\s+(?P<year>\d{4})",
        r"(?P<day>\d\d?)\s+(?P<month>[A-Z]{3})\s+(?P<year>\d{4})",
    )
]


def _moment(text: str, system: System, *, gmt: bool) -> datetime:
    """Return the moment that TIME or STOP names. Raises CannotStartError."""
    if len(text) > _LONGEST_TIME:
        raise CannotStartError("Too many blank spaces in time field")
    found = next((match for each in _TIMES if (match := each.fullmatch(text))), None)
    if found is None or not text:
        raise CannotStartError(SYNTAX)
    zone = UTC if gmt else system.settings.zone
    now = system.settings.now().astimezone(zone)
    fields = found.groupdict()
    try:
        day = now.date()
        if fields["year"]:
            day = day.replace(int(fields["year"]), _month(fields["month"]), int(fields["day"]))
        clock = timedelta(
            **{f"{name}s": int(fields[name] or 0) for name in ("hour", "minute", "second")}
        )
        moment = datetime(day.year, day.month, day.day, tzinfo=zone) + clock
    except (ValueError, OverflowError):
        raise CannotStartError(SYNTAX) from None
    return moment


def _month(text: str) -> int:
    return int(text) if text.isdecimal() else _MONTHS.index(text.upper()) + 1
