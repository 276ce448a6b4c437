"""`vtspolicy serve`: listen to hosts and run what they ask for, until it is stopped."""

import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import evolve

from vtspolicy.cli.log_output import is_journal, observer
from vtspolicy.cli.options import config_option, give_up
from vtspolicy.config.endpoints import kind_of
from vtspolicy.config.keys import option_table
from vtspolicy.config.load import load_configuration
from vtspolicy.config.model import Configuration
from vtspolicy.config.problems import ConfigurationError
from vtspolicy.exit_codes import Exit

if TYPE_CHECKING:
    from vtspolicy.engine.policy import Policy


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
    """Listen to hosts and run what they ask for, until it is stopped.

    TERM and INT stop the server; running applications continue and the next one adopts them. HUP
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
        from vtspolicy.service import policy_of, run  # noqa: PLC0415

        policy = _with_lacking(policy_of(configuration))
    except ConfigurationError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        raise SystemExit(Exit.NOT_STARTED if error.may_pass else Exit.USAGE) from None

    def read() -> Any:  # a Policy, whose module is loaded above
        found = _with_lacking(policy_of(load_configuration(config, overrides, os.environ)))
        _warn(found)
        return found

    journal = is_journal(sys.stderr, os.environ)
    log = observer(sys.stderr, as_json=log_json, journal=journal)
    globalLogBeginner.beginLoggingTo([log], redirectStandardIO=False)
    _warn(policy)
    _have_descriptors(configuration)
    try:
        code = run(reactor, policy, read)
    except LedgerError as error:  # of a kind that is not built in
        give_up(f"vtspolicy: {error}", Exit.USAGE)
    raise SystemExit(code)


def _with_lacking(policy: "Policy") -> "Policy":
    """Return a policy whose table warns of the programs that are not there, and the like."""
    from vtspolicy.cli.check import find_program, why_secret_unsafe  # noqa: PLC0415 - for a server
    from vtspolicy.rules.check import Surroundings, lacking  # noqa: PLC0415

    here = Surroundings(find_program=find_program, why_secret_unsafe=why_secret_unsafe)
    warnings = (*policy.table.warnings, *lacking(policy.table, here))
    return evolve(policy, table=evolve(policy.table, warnings=warnings))


def _warn(policy: "Policy") -> None:
    """Log what is doubtful in configuration and rules, in the words of `check`."""
    from twisted.logger import Logger  # noqa: PLC0415

    for problem in (*policy.configuration.warnings, *policy.table.warnings):
        Logger("vtspolicy.config").warn(
            "{problem}", problem=str(problem), action="configuration_warning"
        )


OTHER_DESCRIPTORS = 256
"""Files that a server has open beside its connections, at most, on a usual day."""


def _have_descriptors(configuration: Configuration) -> None:
    """Allow as many open files as the connections may need, and log it if the system does not.

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
    no doors; a link with TLS that it adds says that the server has to be restarted.
    """
    endpoints = [each.endpoint for each in configuration.doors.values()]
    endpoints += [each.endpoint for each in configuration.dial]
    if not any(kind_of(each) in {"tls", "telnets"} for each in endpoints):
        sys.modules.setdefault("OpenSSL", None)  # type: ignore[arg-type]  # None: not to be had
