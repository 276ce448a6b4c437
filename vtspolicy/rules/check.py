"""What is wrong or doubtful in a table that can be read: unreachable rules, programs, secrets."""

import re
from bisect import bisect
from collections.abc import Callable, Collection, Iterator

from attrs import evolve, frozen

from vtspolicy.config.positions import Place
from vtspolicy.config.problems import Problem
from vtspolicy.rules.expand import Template, names_in, parts_of
from vtspolicy.rules.table import Rule, Table
from vtspolicy.rules.unreachable import unreachable
from vtspolicy.rules.work import Query, Work

FindProgram = Callable[[str], str | None]
"""Returns where a program is that can be run, or None."""

WhySecretUnsafe = Callable[[str], str | None]
"""Returns why a file that holds a secret is not safe, or None."""


@frozen(kw_only=True)
class Surroundings:
    """What the machine says about the files that a table names."""

    find_program: FindProgram
    why_secret_unsafe: WhySecretUnsafe


def check_table(
    table: Table, surroundings: Surroundings, *, known: Collection[Problem] = ()
) -> list[Problem]:
    """Return every problem of a table that loading it does not show.

    `known` are those that it did show: what is in a rule with an error says nothing about
    others.
    """
    problems = [
        *unreachable(table, _broken(table, known)),
        *_programs(table, surroundings.find_program),
        *_secret_files(table, surroundings.why_secret_unsafe),
        *_unproven(table),
    ]
    return sorted(set(problems))


def lacking(table: Table, surroundings: Surroundings) -> list[Problem]:
    """Return which programs and files with secrets cannot be used, as warnings.

    They may be there when they are needed, so that no server stays away for want of them.
    """
    problems = {
        *_programs(table, surroundings.find_program),
        *_secret_files(table, surroundings.why_secret_unsafe),
    }
    return sorted(evolve(problem, warning=True) for problem in problems)


# -- rules with errors


def _broken(table: Table, known: Collection[Problem]) -> Collection[int]:
    """The numbers of the rules with an error in their lines: they do not match as intended."""
    starts = sorted((rule.place.file, rule.place.line, rule.number) for rule in table.rules)
    broken = set()
    for problem in known:
        if not problem.warning:
            at = bisect(starts, (problem.file, problem.line, len(starts) + 1)) - 1
            if at >= 0 and starts[at][0] == problem.file:
                broken.add(starts[at][2])
    return broken


# -- programs


def _programs(table: Table, find_program: FindProgram) -> Iterator[Problem]:
    reported: set[str] = set()
    for place, argv in argument_lists(table):
        program = argv[0] if argv else ""
        if not program or program in reported:
            continue
        name = program_of(argv)
        if "/" in name and not name.startswith("/"):
            message = f"the program {name} has a path that is not absolute"
            yield place.problem(message, "write the whole path, or the name alone")
        elif find_program(name) is None:
            reported.add(program)
            yield place.problem(
                f"the program {name} is not there or cannot be executed",
                "install it, or give its path under programs of its application",
            )


def program_of(argv: tuple[Template, ...]) -> str:
    """Return the program of an argument list; "" if there is none."""
    return "".join(text for _, text in parts_of(argv[0])) if argv else ""


def argument_lists(table: Table) -> Iterator[tuple[Place, tuple[Template, ...]]]:
    """Yield everything that a table has run, and where that is written."""
    for application in table.applications.values():
        for query in (application.query, application.delete, application.read_back):
            if query is not None:
                yield application.place, query.run
    for rule in table.rules:
        if rule.work is not None:
            for key, argv in _of_work(rule.work):
                yield rule.places.get(key, rule.place), argv


def _of_work(work: Work) -> Iterator[tuple[str, tuple[Template, ...]]]:
    yield "run", work.run
    yield "cancel", work.cancel
    yield "ready", work.ready
    queries = [
        ("prepare", work.prepare),
        ("verify", work.verify),
        ("read_back", work.read_back),
    ]
    if work.poll is not None:
        queries += [("poll", work.poll.query), ("poll", work.poll.find)]
    for key, query in queries:
        if query is not None:
            yield key, query.run
            if query.prepare is not None:
                yield key, query.prepare.run


# -- secrets


_SECRET_FILE = re.compile(r"(PASSWORD|PASSWD|PASSPHRASE|PASS|SECRET|TOKEN|KEY)_?FILE$")


def _secret_files(table: Table, why_unsafe: WhySecretUnsafe) -> Iterator[Problem]:
    for rule in table.rules:
        for name, template in (rule.work.env if rule.work else {}).items():
            text = "".join(piece for is_name, piece in parts_of(template) if not is_name)
            path = text if _SECRET_FILE.search(name) else text.removeprefix("cat ")
            if path.startswith("/") and (_SECRET_FILE.search(name) or text != path):
                why = why_unsafe(path)
                if why is not None:
                    yield _home(table, rule).problem(
                        f"{name} of rule {rule.number}: {why}", f"chmod 600 {path}"
                    )


def _home(table: Table, rule: Rule) -> Place:
    """Where the environment of a rule most probably is."""
    application = table.applications.get(rule.work.application if rule.work else "")
    if "env" in rule.places or application is None:
        return rule.places.get("env", rule.place)
    return application.place


# -- what is not known to work


def _unproven(table: Table) -> Iterator[Problem]:
    for application in table.applications.values():
        if application.status == "unverified":
            yield application.place.problem(
                f"the application {application.name} is a template that is not verified here",
                "try it, complete it, then say status: verified in a file of the site's own",
                warning=True,
            )
    for rule in table.rules:
        work = rule.work
        if work is not None and work.then == "migrated" and work.verify is None:
            yield rule.place.problem(
                f'no query verifies the copies of the rule "{rule.name}"',
                "verify: [PROGRAM, ...] that finds the copy by {handle}",
                warning=True,
            )
        if work is not None and work.then == "migrated" and rule.each == "pool":
            for key, query in (("verify", work.verify), ("read_back", work.read_back)):
                if query is not None and not _names_a_tape(query):
                    yield rule.places.get(key, rule.place).problem(
                        f'{key} of the rule "{rule.name}" is asked for each tape of the pool, and'
                        " names none of them: it proves the pool, and not its tapes",
                        "name the tape by {path}, {source} or {cartridge}",
                        warning=True,
                    )
        if work is not None and work.then == "restored" and work.restores_to == "path":
            yield rule.places.get("run", rule.place).problem(
                f'the rule "{rule.name}" restores in place: the tape is half restored while it'
                " runs, and when it fails",
                "let it write to {target} or below {staging}, if the application can",
                warning=True,
            )


TAPE_NAMES = frozenset({"path", "relpath", "source", "relsource", "cartridge"})
"""Places that differ between the tapes of a pool."""


def _names_a_tape(query: Query) -> bool:
    """Whether a query is about one tape, by its arguments or by what it expects."""
    expected = [each for one in query.expect for each in (one.equals, one.at_least) if each]
    names = {n for each in (*query.run, *query.input, *expected) for n in names_in(each)}
    inner = query.prepare is not None and _names_a_tape(query.prepare)
    return bool(names & TAPE_NAMES) or inner
