"""`vtspolicy check`: every problem of configuration, families, rules and rule tests."""

import grp
import os
import shutil
import stat
import sys
import time
from collections.abc import Collection
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

import click

from vtspolicy.cli.options import config_option, json_option, print_json
from vtspolicy.config.endpoints import reaches_beyond
from vtspolicy.config.load import read_configuration
from vtspolicy.config.model import Configuration
from vtspolicy.config.positions import Place
from vtspolicy.config.problems import ConfigurationError, Problem
from vtspolicy.config.reading import Findings
from vtspolicy.exit_codes import Exit
from vtspolicy.grammar import Vocabulary, load_vocabulary, shipped
from vtspolicy.rules.cases import failed_cases
from vtspolicy.rules.check import Surroundings, check_table
from vtspolicy.rules.conditions import is_glob
from vtspolicy.rules.load import read_table
from vtspolicy.rules.table import Table
from vtspolicy.suggest import did_you_mean
from vtspolicy.tapes import shortcomings
from vtspolicy.vaults import VaultError, Vaults, look_through

TROUBLES = 20
"""The most names that occur twice, and pools that cannot be read, that are reported."""


@click.command()
@config_option
@json_option
def check(config: Path, *, as_json: bool) -> None:
    """Report every problem of configuration, families, rules and rule tests.

    Exit status: 0 when all is well, 3 with warnings only, 2 with problems.
    """
    problems, table = problems_of(config)
    errors = [problem for problem in problems if not problem.warning]
    if as_json:
        print_json(_as_data(problems, table))
    else:
        for problem in problems:
            click.echo(str(problem))
        click.echo(_summary(problems, table))
    raise SystemExit(Exit.USAGE if errors else Exit.WARNINGS if problems else Exit.DONE)


def problems_of(config: Path) -> tuple[list[Problem], Table | None]:
    """Return every problem of a configuration and all that it names, and its rules table."""
    try:
        configuration, findings = read_configuration(config, {}, os.environ)
    except ConfigurationError as error:
        return list(error.problems), None
    problems = [*findings.problems]
    problems += _unusable_files(configuration)
    problems += _open_web(configuration)
    problems += _unknown_group(configuration)
    vocabulary = _vocabulary(configuration, problems)
    problems += _unknown_rights(configuration, vocabulary)
    table, found = read_table(
        [path for path in configuration.rules if path.is_file()],
        vocabulary=vocabulary,
        configuration=configuration,
    )
    problems += found.problems
    problems += check_table(
        table,
        Surroundings(find_program=find_program, why_secret_unsafe=why_secret_unsafe),
        known=found.problems,
    )
    problems += _claimed_users(configuration, table)
    if not found.errors:
        problems += _failed_tests(configuration, table, vocabulary)
    problems += _tapes_named_twice(configuration)
    problems += _what_vaults_lack(configuration)
    return sorted(set(problems)), table


def _unusable_files(configuration: Configuration) -> list[Problem]:
    """Say which files of `tls:` listeners do not hold what they must."""
    findings = Findings()
    for where, listen in configuration.doors.items():
        anybody = where == "console"
        files = (listen.key, listen.cert, *(() if anybody else (listen.clients,)))
        if not all(file is not None and file.is_file() for file in files):
            continue  # which was said, or it is not a TLS listener
        from vtspolicy.hosts.tls import (  # noqa: PLC0415  OpenSSL
            InvalidCertificateError,
            UnusableFileError,
            tls_context,
        )

        try:
            tls_context(listen, anybody=anybody)
        except InvalidCertificateError:
            pass  # it is reported with the others below
        except UnusableFileError as error:
            findings.add(configuration.places[f"{where}.{error.key}"], str(error))
            continue
        except OSError as error:
            findings.add(configuration.places[f"{where}.endpoint"], str(error))
            continue
        _doubt_certificates(configuration, where, findings)
    return list(findings.problems)


def _claimed_users(configuration: Configuration, table: Table) -> list[Problem]:
    """Rules that ask for a user where any process at a host's address can claim to be it."""
    open_doors = [
        listen.endpoint
        for listen in configuration.listen
        if listen.format in {"auto", "json"} and listen.clients is None
    ]
    if not open_doors:
        return []
    return [
        rule.place.problem(
            f'the rule "{rule.name}" asks for a user, which any process of any host can'
            f" claim to be on {open_doors[0]}",
            "take format: json on tls: endpoints with clients only, and ems or syslog elsewhere",
            warning=True,
        )
        for rule in table.rules
        if any(condition.key == "user" for condition in rule.conditions)
    ]


def _open_web(configuration: Configuration) -> list[Problem]:
    """Warn of a web endpoint that others than this machine can reach: it asks for no password."""
    findings = Findings()
    web = configuration.web
    if web is not None and reaches_beyond(web):
        findings.add(
            configuration.places.get("web", Place(file=configuration.file)),
            "every machine that reaches this endpoint can read hosts, jobs, tapes and output there",
            "web: tcp:port=7180:interface=127.0.0.1, or a firewall, or a proxy that knows people",
            warning=True,
        )
    return list(findings.problems)


def _unknown_group(configuration: Configuration) -> list[Problem]:
    """Report a control group that the system does not have: no server would start."""
    findings = Findings()
    group = configuration.control_group
    if group is not None and group not in (known := [each.gr_name for each in grp.getgrall()]):
        try:
            grp.getgrnam(group)  # a directory service need not list its groups
        except KeyError:
            place = configuration.places.get("control_group", Place(file=configuration.file))
            message = f"there is no group {group}"
            findings.add(place, message, did_you_mean(group, known) or f"groupadd {group}")
    return list(findings.problems)


def _doubt_certificates(configuration: Configuration, where: str, findings: Findings) -> None:
    """Report the certificates of a listener that do not hold, and warn of those that end soon."""
    from vtspolicy.hosts.certificates import validities  # noqa: PLC0415  OpenSSL

    now = time.time()
    with suppress(OSError, ValueError):  # which was said
        for each in validities(configuration.doors[where]):
            place = configuration.places[f"{where}.{each.key}"]
            if (wrong := each.wrong(now)) is not None:
                findings.add(place, wrong, "renew it, and restart the server")
            elif (soon := each.soon(now)) is not None:
                findings.add(place, soon, "renew it in time", warning=True)


def _vocabulary(configuration: Configuration, problems: list[Problem]) -> Vocabulary:
    try:
        return load_vocabulary([path for path in configuration.families if path.is_file()])
    except ConfigurationError as error:
        problems += error.problems
        return shipped()


def _failed_tests(
    configuration: Configuration, table: Table, vocabulary: Vocabulary
) -> tuple[Problem, ...] | list[Problem]:
    files = [path for path in configuration.tests if path.is_file()]
    try:
        return failed_cases(files, table=table, vocabulary=vocabulary, configuration=configuration)
    except ConfigurationError as error:
        return error.problems


def _tapes_named_twice(configuration: Configuration) -> list[Problem]:
    """Names of tapes are unique over all vaults: a command that gives one twice is refused."""
    findings = Findings()
    seen = look_through(Vaults(configuration.vaults), ())
    for trouble in seen.troubles[:TROUBLES]:
        findings.add(Place(file=configuration.file), trouble, warning=True)
    return list(findings.problems)


def _what_vaults_lack(configuration: Configuration) -> list[Problem]:
    """What the vaults cannot do, as this user finds it: the server's may have other rights."""
    findings = Findings()
    vaults = Vaults(configuration.vaults, configuration.vaults_without)
    for vault in configuration.vaults:
        place = configuration.places.get(f"vaults.{vault}", Place(file=configuration.file))
        try:
            features = vaults.probe(vault)
        except VaultError as error:
            findings.add(place, str(error), warning=True)
            continue
        for line in shortcomings(vault, features, configuration.vaults_without.get(vault, ())):
            findings.add(place, line, warning=True)
    return list(findings.problems)


def _unknown_rights(configuration: Configuration, vocabulary: Vocabulary) -> list[Problem]:
    findings = Findings()
    anywhere = Place(file=configuration.file)
    for host in configuration.hosts.values():
        place = configuration.places.get(f"hosts.{host.name}.families", anywhere)
        for family in host.families:
            if is_glob(family):
                _doubt_glob(
                    findings, place, family, vocabulary.families, f"host {host.name} may use family"
                )
            elif family not in vocabulary.families:
                findings.add(
                    place,
                    f'host {host.name} may use "{family}", which is not a family or verb',
                    did_you_mean(family, vocabulary.families),
                )
        place = configuration.places.get(f"hosts.{host.name}.vaults", anywhere)
        for vault in filter(is_glob, host.vaults):
            _doubt_glob(
                findings, place, vault, configuration.vaults, f"host {host.name} may use vault"
            )
    return list(findings.problems)


def _doubt_glob(
    findings: Findings, place: Place, glob: str, names: Collection[str], right: str
) -> None:
    """Warn of a glob in a host's rights that gives it nothing."""
    if not any(fnmatchcase(name, glob) for name in names):
        findings.add(
            place,
            f'{right} "{glob}", which matches none',
            did_you_mean(glob.rstrip("*"), names),
            warning=True,
        )


def find_program(name: str) -> str | None:
    """Return where a program is, as the server finds it: by PATH, or beside Python itself."""
    own = Path(sys.executable).parent
    return shutil.which(name) or shutil.which(name, path=str(own))


def why_secret_unsafe(path: str) -> str | None:
    """Return why a file with a secret is not safe, or None."""
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        return f"{path} cannot be used: {error.strerror}"
    if not stat.S_ISREG(mode):
        return f"{path} is not a file"
    if mode & 0o007:
        return f"{path} holds a secret and can be read by others (mode {mode & 0o777:o})"
    return None


def _summary(problems: list[Problem], table: Table | None) -> str:
    errors = sum(not problem.warning for problem in problems)
    warnings = len(problems) - errors
    if table is None:
        return _count(errors, "problem")
    rules, applications = len(table.rules), len(table.applications)
    what = f"{_count(rules, 'rule')} for {_count(applications, 'application')}"
    found = f"{_count(errors, 'problem')}, {_count(warnings, 'warning')}"
    how = found if problems else "no problems"
    return f"{what} (table {table.hash}): {how}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _as_data(problems: list[Problem], table: Table | None) -> dict[str, object]:
    return {
        "table": table.hash if table else None,
        "rules": len(table.rules) if table else 0,
        "problems": [
            {
                "file": problem.file,
                "line": problem.line,
                "column": problem.column,
                "message": problem.message,
                "remedy": problem.remedy,
                "warning": problem.warning,
            }
            for problem in problems
        ],
    }
