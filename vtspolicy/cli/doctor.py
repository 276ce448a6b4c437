"""`vtspolicy doctor`: whether this user, on this machine, could serve the configuration."""

import os
import platform
import pwd
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Any

import click
from attrs import asdict, frozen

from vtspolicy import __version__
from vtspolicy.cli.check import find_program, problems_of
from vtspolicy.cli.options import config_option, configured, json_option, print_json
from vtspolicy.cli.tables import Column, emit, table
from vtspolicy.client import Client, Refusal, Unreachable
from vtspolicy.config.model import Configuration
from vtspolicy.exit_codes import Exit
from vtspolicy.ledger import LedgerError, LedgerMissing, open_ledger, path_of
from vtspolicy.ledger.sqlite import LIBRARY
from vtspolicy.rules.check import argument_lists, program_of
from vtspolicy.rules.table import Table
from vtspolicy.tapes import shortcomings
from vtspolicy.vaults import VaultError, Vaults

LIBRARIES = ("twisted", "pyparsing", "attrs", "pyyaml", "prometheus-client", "zstandard")
"""Their versions are shown."""

FULL = 95.0
"""Percent of a file system from which on it is reported as nearly full."""

CAP_LEASE = 28
"""The bit of the capability by which leases on the files of others are allowed, capabilities(7)."""


class Grade(StrEnum):
    """How one thing was found."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@frozen
class Finding:
    """One thing that was looked at."""

    about: str  # what
    grade: Grade
    told: str  # what was found, and what to do about it


@click.command()
@config_option
@json_option
def doctor(config: Path, *, as_json: bool) -> None:
    """Look whether this user could run the server on this machine, and print a page for support.

    Run it as the service's user. It starts no application, and shows no secret: of files that hold
    one, only their names. Exit status: 0 all is well, 1 something fails, 3 warnings only.
    """
    configuration = configured(config)
    problems, rules = problems_of(config)
    errors = sum(not each.warning for each in problems)
    findings = [
        Finding(
            "configuration",
            Grade.FAILED if errors else Grade.WARNING if problems else Grade.OK,
            f"{errors} problems, {len(problems) - errors} warnings"
            + ("; see `vtspolicy check`" if problems else ""),
        ),
        *_user(),
        *_vaults(configuration),
        *_ledger(configuration),
        *_spool(configuration),
        *_programs(rules),
        *_places(rules),
        *_server(configuration),
    ]
    about = _machine(configuration)
    if as_json:
        print_json({"machine": about, "findings": [asdict(each) for each in findings]})
    else:
        emit("\n".join(f"{name:12} {value}" for name, value in about.items()) + "\n")
        columns = [Column("about"), Column("found"), Column("", wraps=True)]
        emit(table(columns, [(each.about, each.grade.value, each.told) for each in findings]))
    grades = {each.grade for each in findings}
    if Grade.FAILED in grades:
        raise SystemExit(Exit.FAILED)
    raise SystemExit(Exit.WARNINGS if Grade.WARNING in grades else Exit.DONE)


def _machine(configuration: Configuration) -> Mapping[str, Any]:
    """Return what support asks for first."""
    versions = ", ".join(f"{each} {_version(each)}" for each in LIBRARIES)
    return {
        "vtspolicy": __version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "libraries": f"{versions}, sqlite {LIBRARY}",
        "system": f"{platform.freedesktop_os_release().get('PRETTY_NAME', 'Linux')},"
        f" kernel {platform.release()}, {platform.machine()}",
        "node": configuration.node,
        "vaults": len(configuration.vaults),
        "hosts": len(configuration.hosts),
    }


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "?"


def _user() -> Iterator[Finding]:
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    capable = "has" if _has_lease() else "has not"
    yield Finding("user", Grade.OK, f"{name} (uid {uid}), {capable} CAP_LEASE")


def _has_lease() -> bool:
    for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> CAP_LEASE & 1)
    return False


def _vaults(configuration: Configuration) -> Iterator[Finding]:
    vaults = Vaults(configuration.vaults, configuration.vaults_without)
    for vault, root in configuration.vaults.items():
        about = f"vault {vault}"
        try:
            features = vaults.probe(vault)
            pools = len(vaults.pools_of(vault))
            total, taken = vaults.fullness(vault)
        except VaultError as error:
            yield Finding(about, Grade.FAILED, str(error))
            continue
        except OSError as error:
            yield Finding(about, Grade.FAILED, f"{root}: {error.strerror}")
            continue
        percent = 100.0 * taken / total if total else 0.0
        grade = Grade.WARNING if percent > FULL or not pools else Grade.OK
        yield Finding(about, grade, f"{root}: {pools} pools, {percent:.0f}% full")
        accepted = configuration.vaults_without.get(vault, frozenset())
        for line in shortcomings(vault, features, accepted):
            yield Finding(about, Grade.WARNING, line.removeprefix(f"{about}: "))


def _ledger(configuration: Configuration) -> Iterator[Finding]:
    path = path_of(configuration.ledger)
    try:
        with open_ledger(configuration.ledger) as tx:
            live = sum(tx.counts().jobs.values())
        yield Finding("ledger", Grade.OK, f"{path}: {live} jobs, {_free(path.parent)}")
    except LedgerMissing:
        yield _writable("ledger", path.parent, "there is none yet; the server makes it")
    except (LedgerError, OSError) as error:
        yield Finding("ledger", Grade.FAILED, str(error))


def _spool(configuration: Configuration) -> Iterator[Finding]:
    spool = configuration.spool
    if os.path.isdir(spool):  # noqa: PTH112 - Path.is_dir() raises where it may not look
        yield _writable("spool", spool, "")
    else:
        yield _writable("spool", spool.parent, "there is none yet; the server makes it")


def _writable(about: str, folder: Path, more: str) -> Finding:
    """Return whether this user can make a file in a folder."""
    if (why := _why_not_writable(folder)) is not None:
        return Finding(about, Grade.FAILED, f"{folder}: {why}")
    told = f"{folder}: {_free(folder)}"
    return Finding(about, Grade.OK, f"{told}; {more}" if more else told)


def _free(folder: Path) -> str:
    free = shutil.disk_usage(folder).free
    return f"{free / 2**30:.1f} GiB free"


def _programs(rules: Table | None) -> Iterator[Finding]:
    """Check the programs that the applications name; `check` reports those that are missing."""
    for application in rules.applications.values() if rules is not None else ():
        for name, program in application.programs.items():
            found = find_program(program)
            used = application.name in _used(rules)
            about = f"program {name}"
            if found is None:
                grade = Grade.FAILED if used else Grade.WARNING
                told = f"{program} of {application.name} is not there, or may not be executed"
            else:
                grade, told = _interpreted(Path(found))
                told = f"{told}, of {application.name}"
            yield Finding(about, grade, told)
    if rules is not None:
        yield from _written_in_rules(rules)


def _written_in_rules(rules: Table) -> Iterator[Finding]:
    """Check the programs that are named where they are run, each once."""
    done = {each for one in rules.applications.values() for each in one.programs.values()}
    for place, argv in argument_lists(rules):
        program = program_of(argv)
        if not program or program in done:
            continue
        done.add(program)
        found = find_program(program)
        where = f"of {Path(place.file).name}:{place.line}"
        if found is None:
            told = f"{program}, {where}, is not there, or may not be executed"
            yield Finding(f"program {program}", Grade.FAILED, told)
        else:
            grade, told = _interpreted(Path(found))
            yield Finding(f"program {Path(program).name}", grade, f"{told}, {where}")


def _used(rules: Table | None) -> frozenset[str]:
    """Return the names of the applications that a rule runs."""
    works = [rule.work for rule in rules.rules] if rules is not None else []
    return frozenset(work.application for work in works if work is not None)


def _places(rules: Table | None) -> Iterator[Finding]:
    """Try the files and folders that the places of the applications name.

    What an application does in them is not known, so what this user may not do is a warning.
    """
    used = _used(rules)
    for application in rules.applications.values() if rules is not None else ():
        for name, written in application.places.items():
            if application.name in used and written.startswith("/"):
                told = _place(Path(written))
                grade = Grade.OK if told is None else Grade.WARNING
                named = f"{written}, of {application.name}"
                yield Finding(f"place {name}", grade, f"{named}: {told}" if told else named)


def _place(path: Path) -> str | None:
    """Return why a place may not do, or None."""
    try:
        if path.is_dir():
            return _why_not_writable(path)
        if path.exists():
            return None if os.access(path, os.R_OK) else "this user cannot read it"
    except OSError as error:
        return str(error.strerror)
    above = next(folder for folder in path.parents if folder.exists())
    why = _why_not_writable(above)
    return f"it is not there and cannot be made: {above}: {why}" if why else None


def _why_not_writable(folder: Path) -> str | None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return f"this user cannot write there: {error.strerror}"


def _interpreted(program: Path) -> tuple[Grade, str]:
    """Return whether the interpreter that a script names is there."""
    try:
        with program.open("rb") as file:
            first = file.readline(256)
    except OSError:
        return Grade.OK, str(program)  # it may be executed and not read
    if first.startswith(b"#!"):
        words = first[2:].split()
        interpreter = Path(words[0].decode("utf-8", "replace")) if words else Path()
        if not interpreter.exists():
            return (
                Grade.FAILED,
                f"{program} names the interpreter {interpreter}, which is not there",
            )
    return Grade.OK, str(program)


def _server(configuration: Configuration) -> Iterator[Finding]:
    try:
        told = Client(spool=configuration.spool).get("status")
    except Unreachable as error:
        yield Finding("server", Grade.WARNING, f"no server answers: {error}")
    except Refusal as error:
        yield Finding("server", Grade.WARNING, str(error))
    else:
        reasons = "; ".join(told.get("reasons", ()))
        grade = Grade.OK if told.get("ready") else Grade.WARNING
        yield Finding("server", grade, f"pid {told.get('pid')}: {reasons or 'ready'}")
