"""What commands share: `--config`, `--json`, how they give up, and the ledger to read from."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from vtspolicy.config.keys import DEFAULT_FILE, PREFIX
from vtspolicy.config.load import load_configuration
from vtspolicy.config.model import Configuration
from vtspolicy.config.places import load_places
from vtspolicy.config.problems import ConfigurationError
from vtspolicy.exit_codes import Exit
from vtspolicy.visible import visible_lines

if TYPE_CHECKING:
    from vtspolicy.ledger import Transaction

F = TypeVar("F", bound=Callable[..., Any])


class Number(click.IntRange):
    """A whole number within bounds, called `number` in help texts."""

    name = "number"


class ConfigurationFile(click.Path):
    """The path of a configuration; who may not read it is told who may."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:  # as its base
        """Return the path. Raises BadParameter."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            if not os.path.exists(value) or os.access(value, os.R_OK):  # noqa: PTH110 - any text
                raise
            told = f"{error.message.rstrip('.')}; be root or the server's user"
            raise click.BadParameter(told, ctx, param) from None


def config_option(command: F) -> F:
    """Add `--config FILE`; the command gets `config: Path`."""
    return click.option(
        "--config",
        type=ConfigurationFile(dir_okay=False, path_type=Path),
        envvar=f"{PREFIX}CONFIG",
        default=DEFAULT_FILE,
        show_default=True,
        help=f"The configuration file; also {PREFIX}CONFIG.",
    )(command)


def json_option(command: F) -> F:
    """Add `--json`; the command gets `as_json: bool`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


def configured(config: Path) -> Configuration:
    """Return the configuration; problems go to the standard error, and the program ends.

    A vault need not be mounted: ledger and server can be asked all the same.
    """
    try:
        return load_configuration(config, {}, os.environ, absent_vaults=True)
    except ConfigurationError as error:
        give_up("\n".join(str(problem) for problem in error.problems), Exit.USAGE)


def places(config: Path) -> Configuration:
    """Return the configuration, or only where ledger and spool are while it has mistakes.

    For commands that need no more: somebody who edits the file must not keep others away from a
    server that runs well. A warning tells it. The program ends where the places are not sure.
    """
    try:
        return load_configuration(config, {}, os.environ, absent_vaults=True)
    except ConfigurationError as error:
        found = load_places(config, os.environ)
        if found is None:
            give_up("\n".join(str(problem) for problem in error.problems), Exit.USAGE)
        first = next(problem for problem in error.problems if not problem.warning)
        told = "only its ledger and spool are used; `vtspolicy check` shows all that is wrong"
        click.echo(f"{first}\nwarning: the configuration has mistakes: {told}", err=True)
        return found


@contextmanager
def reading(configuration: Configuration) -> Iterator["Transaction"]:
    """Open the ledger to read from, whether a server runs or not; end the program if it cannot."""
    from vtspolicy.ledger import LedgerError, LedgerUnreadable, open_ledger  # noqa: PLC0415 - not needed for --help

    try:
        with open_ledger(configuration.ledger, readonly=True) as tx:
            yield tx
    except PermissionError as error:
        told = f"{configuration.ledger} cannot be read: {error.strerror}"
        give_up(told, Exit.FAILED, "be root or the server's user")
    except (LedgerUnreadable, OSError) as error:
        give_up(f"{configuration.ledger} cannot be read: {error}", Exit.FAILED)
    except LedgerError as error:
        give_up(str(error), Exit.FAILED)


def give_up(message: str, code: Exit, hint: str | None = None) -> NoReturn:
    """Say why, and end the program: on the standard error, or with --json as an object.

    The object has the form of the mistakes that a server answers.
    """
    context = click.get_current_context(silent=True)
    if context is not None and context.params.get("as_json"):
        print_json({"error": {"message": message, "hint": hint}})
    else:
        click.echo(visible_lines(f"{message}; {hint}" if hint else message), err=True)
    raise SystemExit(code)


MANY_ROWS = 100
"""Elements of a list from which on each of them is one line of JSON."""


def print_json(data: object) -> None:
    """Print one object in ASCII: JSON on every terminal, with any text from a host."""
    click.echo(_json(data))


def _json(data: object) -> str:
    """Return JSON for people; of a long list each element is a line, which is much faster."""
    if isinstance(data, dict) and len(data) == 1:
        ((name, rows),) = data.items()
        if isinstance(rows, list) and len(rows) > MANY_ROWS:
            lines = ",\n".join(map(json.dumps, rows))
            return f"{{{json.dumps(name)}: [\n{lines}\n]}}"
    return json.dumps(data, indent=2)
