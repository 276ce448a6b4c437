"""`vtspolicy test`: rule tests, run against a table before the table is used."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from vtspolicy.cli.explain import load_site
from vtspolicy.cli.options import give_up, json_option, print_json
from vtspolicy.config.keys import DEFAULT_FILE, PREFIX
from vtspolicy.config.problems import ConfigurationError, Problem
from vtspolicy.exit_codes import Exit
from vtspolicy.rules.case_file import read_cases
from vtspolicy.rules.cases import Case, Report, Result, run_cases
from vtspolicy.rules.junit import junit

FULL = 100.0  # percent


@click.command("test")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar=f"{PREFIX}CONFIG",
    help=f"The configuration file; without it {DEFAULT_FILE}, or else the shipped table.",
)
@click.option(
    "--rules",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A rules table to test instead of the configured ones; can be given again.",
)
@click.option(
    "--junit",
    "junit_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the results to this file, as JUnit XML.",
)
@click.option(
    "--coverage-required",
    "required",
    type=click.FloatRange(0, 100),
    default=0.0,
    metavar="PERCENT",
    help="Fail when fewer of the site's own rules decide a case; if it has none, of all rules.",
)
@click.option("--full", is_flag=True, help="The same with 100.")
@json_option
@click.argument("files", nargs=-1, type=click.Path(dir_okay=False, path_type=Path))
def test(  # noqa: PLR0917 - one argument for each option
    config: Path | None,
    rules: tuple[Path, ...],
    junit_file: Path | None,
    required: float,
    full: bool,
    as_json: bool,
    files: tuple[Path, ...],
) -> None:
    """Run the rule tests in FILES, or those that the configuration names.

    Nothing is run but the decision. Exit status: 0 all passed, 1 some did not, or too few of the
    rules are covered, 2 files that cannot be used.
    """
    required = FULL if full else required
    try:
        site = load_site(config, rules)
    except ConfigurationError as error:
        _unusable(error.problems)
    if not files and site.configuration is not None:
        files = site.configuration.tests
    if not files:
        give_up("there are no rule tests: name files, or tests: in the configuration", Exit.USAGE)
    try:
        report = run_cases(site.table, site.vocabulary, _cases(files), site.configuration)
    except ConfigurationError as error:
        _unusable(error.problems)
    if junit_file is not None:
        _write(junit_file, junit(report, required=required))
    if as_json:
        print_json(as_data(report))
    else:
        click.echo(render(report, required))
    passed = not report.failed and report.coverage >= required
    raise SystemExit(Exit.DONE if passed else Exit.FAILED)


def _cases(files: Sequence[Path]) -> list[Case]:
    cases: list[Case] = []
    problems: list[Problem] = []
    for file in files:
        try:
            cases += read_cases(file)
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        _unusable(problems)
    return cases


def _unusable(problems: Sequence[Problem]) -> NoReturn:
    give_up("\n".join(map(str, problems)), Exit.USAGE)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        give_up(f"{file} cannot be written: {error.strerror}", Exit.USAGE)


def render(report: Report, required: float) -> str:
    """Return a report as text: what failed with its difference, what is not covered, the sums."""
    lines: list[str] = []
    for result in report.failed:
        place = result.case.place
        lines += [f"FAILED {place.file}:{place.line}: {result.case.name}"]
        lines += [f"    {line}" for line in result.difference.splitlines()]
        lines += [""]
    own, own_uncovered = report.own
    both = bool(own and report.shipped)
    for title, names in (
        ("no case is decided by:", own_uncovered if both else report.uncovered),
        ("nor by these shipped rules:", report.shipped_uncovered if both else ()),
    ):
        if names:
            lines += [title, *(f"    {name}" for name in names), ""]
    passed = len(report.results) - len(report.failed)
    rules = own if both else report.rules
    covered = rules - len(own_uncovered if both else report.uncovered)
    summary = (
        f"{passed} passed, {len(report.failed)} failed;"
        f" {covered} of {rules}{' own' if both else ''} rules covered ({report.coverage:.0f} %)"
    )
    if both:
        covered = report.shipped - len(report.shipped_uncovered)
        summary += f", and {covered} of {report.shipped} shipped ones"
    lines.append(summary)
    if report.coverage < required:
        lines.append(f"{required:g} % are required")
    return "\n".join(lines)


def as_data(report: Report) -> dict[str, Any]:  # Any: JSON
    """Return a report as JSON."""
    return {
        "passed": len(report.results) - len(report.failed),
        "failed": len(report.failed),
        "coverage": report.coverage,
        "uncovered": list(report.uncovered),
        "own": _covered_data(*report.own),
        "shipped": _covered_data(report.shipped, report.shipped_uncovered),
        "cases": [_case_data(result) for result in report.results],
    }


def _covered_data(rules: int, uncovered: Sequence[str]) -> dict[str, Any]:  # Any: JSON
    return {"rules": rules, "covered": rules - len(uncovered), "uncovered": list(uncovered)}


def _case_data(result: Result) -> dict[str, Any]:  # Any: JSON
    return {
        "case": result.case.name,
        "file": result.case.place.file,
        "line": result.case.place.line,
        "passed": result.passed,
        "rule": result.rule,
        "difference": result.difference or None,
    }
