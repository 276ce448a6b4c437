"""`vtspolicy serve`: listen to hosts and run what they ask for, until told to stop."""

import json
import os
import re
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import click
from zope.interface import implementer

from vtspolicy.cli.options import Exit, config_option, give_up
from vtspolicy.config.endpoints import kind_of
from vtspolicy.config.keys import option_table
from vtspolicy.config.load import load_configuration
from vtspolicy.config.model import Configuration
from vtspolicy.config.problems import ConfigurationError

if TYPE_CHECKING:
    from twisted.logger import ILogObserver, LogEvent


def _keys(command: Callable[..., None]) -> Callable[..., None]:
    """Add every key of the configuration as an option."""
    for option in reversed(option_table()):
        default = f"; {option.default} if not given" if option.default else ""
        command = click.option(
            option.flag,
            f"key_{option.key}",
            metavar=option.type.upper().replace(" ", "-"),
            help=f"{option.help[:1].upper()}{option.help[1:]}{default}.",
        )(command)
    return command


@click.command()
@config_option
@click.option("--log-json", is_flag=True, help="Write the log as JSON, an object a line.")
@_keys
def serve(config: Path, log_json: bool, **keys: str | None) -> None:
    """Listen to hosts and run what they ask for, until told to stop.

    TERM and INT stop the server; running applications go on and are taken up by the next one. HUP
    takes new rules. Every key of the configuration file can also be given as an option, or as
    VTSPOLICY_KEY, with its value written as in the file; when the default file is not there, they
    may say all.
    """
    overrides = {name.removeprefix("key_"): value for name, value in keys.items() if value}
    try:
        configuration = load_configuration(config, overrides, os.environ)
        _leave_out_tls(configuration)
        # The reactor is installed, and the engine loaded, only for a server.
        from twisted.internet import reactor  # noqa: PLC0415
        from twisted.logger import globalLogBeginner  # noqa: PLC0415

        from vtspolicy.ledger.errors import LedgerError  # noqa: PLC0415
        from vtspolicy.service import reader_of, run  # noqa: PLC0415

        reader = reader_of(configuration)
    except ConfigurationError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        raise SystemExit(2) from None

    def read() -> Any:  # a Reader, whose module is loaded above
        found = load_configuration(config, overrides, os.environ)
        reader = reader_of(found)
        _warn(found)
        return reader

    observer = _observer(sys.stderr, as_json=log_json)
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    _warn(configuration)
    _have_descriptors(configuration)
    try:
        code = run(reactor, reader, read)
    except LedgerError as error:  # of a kind that is not built in
        give_up(f"vtspolicy: {error}", Exit.USAGE)
    raise SystemExit(code)


def _warn(configuration: Configuration) -> None:
    """Log what is doubtful in the configuration, as `check` would tell it."""
    from twisted.logger import Logger  # noqa: PLC0415

    for problem in configuration.warnings:
        Logger("vtspolicy.config").warn(
            "{problem}", problem=str(problem), action="configuration_warning"
        )


OTHER_DESCRIPTORS = 256
"""Files that a server has open beside its connections, at most, on a usual day."""


def _have_descriptors(configuration: Configuration) -> None:
    """Allow as many open files as the connections may need, and tell if the system does not.

    No more than that: the applications inherit the limit, and old ones go through all numbers.
    """
    from twisted.logger import Logger  # noqa: PLC0415

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = configuration.connections + OTHER_DESCRIPTORS
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < wanted:
        Logger("vtspolicy.config").warn(
            "{connections} connections may need {wanted} open files, and the system allows {hard}."
            " Raise LimitNOFILE, or lower `connections`.",
            connections=configuration.connections,
            wanted=wanted,
            hard=hard,
            action="few_descriptors",
        )


def _leave_out_tls(configuration: Configuration) -> None:
    """Keep OpenSSL, a quarter of an idle server's memory, from a server without any TLS.

    Twisted loads it wherever it is installed, and does without it where it is not. A reload opens
    no doors, so that what is not needed now will not be.
    """
    endpoints = [each.endpoint for each in configuration.listen]
    if not any(kind_of(each) == "tls" for each in endpoints):
        sys.modules.setdefault("OpenSSL", None)  # type: ignore[arg-type]  # None: not to be had


_STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What could steer a terminal, or look like a line of its own; names on disks may hold anything."""


def _plain(event: "LogEvent") -> str | None:
    """Return the text of an event that Python's own formatting can make, as nearly all are."""
    written = event.get("log_format")
    if not isinstance(written, str) or "(" in written or "log_failure" in event:
        return None  # Twisted's formatting can call what is logged
    try:
        return written.format_map(event)
    except Exception:  # noqa: BLE001 - Twisted's formatting says what is wrong
        return None


def _once_a_second(form: Callable[[float], str]) -> Callable[[float], str]:
    """Return what gives a time of whole seconds; a flood has many lines in each of them."""
    known, text = -1, ""

    def clock(when: float) -> str:
        nonlocal known, text
        if int(when) != known:
            known, text = int(when), form(when)
        return text

    return clock


def _observer(out: TextIO, *, as_json: bool) -> "ILogObserver":
    """Return what writes the log: for people, or an object a line for machines."""
    from twisted.logger import (  # noqa: PLC0415
        ILogObserver,
        LogLevel,
        eventAsText,
        formatEvent,
        formatTime,
    )

    clock = _once_a_second(formatTime)

    def for_people(event: "LogEvent") -> None:
        level = event["log_level"].name
        text = _plain(event)
        if text is None:
            text = eventAsText(event, includeTimestamp=False, includeSystem=False)
        if not text.isprintable():
            text = _STEERS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
            text = text.replace("\n", "\n    ")
        out.write(f"{clock(event['log_time'])} {level:<8} {text}".rstrip() + "\n")
        out.flush()

    def for_machines(event: "LogEvent") -> None:
        record = {
            "time": clock(event["log_time"]),
            "level": event["log_level"].name,
            "system": event.get("log_namespace"),
            "text": formatEvent(event),
        }
        if "log_failure" in event:
            record["failure"] = event["log_failure"].getTraceback()
        record |= {
            key: value if isinstance(value, int | float | str) else str(value)
            for key, value in event.items()
            if not key.startswith("log_") and key not in {"message", "isError", "time", "system"}
        }
        out.write(json.dumps(record, ensure_ascii=False) + "\n")
        out.flush()

    write = for_machines if as_json else for_people

    @implementer(ILogObserver)
    def ours(event: "LogEvent") -> None:
        """Write our own lines, and of the libraries' only what is wrong."""
        own = str(event.get("log_namespace", "")).startswith("vtspolicy")
        if own or event["log_level"] >= LogLevel.warn:
            write(event)

    return cast("ILogObserver", ours)  # implementer() is untyped
