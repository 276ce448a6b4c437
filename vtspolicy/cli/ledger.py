"""`vtspolicy backup-ledger`: a consistent copy of the ledger, whether a server runs or not."""

from pathlib import Path

import click

from vtspolicy.cli.options import config_option, give_up, json_option, places, print_json
from vtspolicy.cli.tables import emit
from vtspolicy.client import Client, Refusal, Unreachable
from vtspolicy.config.model import Configuration
from vtspolicy.exit_codes import Exit
from vtspolicy.visible import visible

TIMEOUT = 3600.0
"""Seconds that the copy of a large ledger may take."""


@click.command("backup-ledger")
@config_option
@json_option
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup_ledger(*, config: Path, as_json: bool, file: Path) -> None:
    """Copy the ledger into FILE, consistent and whole, while the server runs.

    FILE appears only when the copy is complete and on the disk. A copy that is there is replaced,
    another file is not. It can be put in the ledger's place while no server runs.
    """
    configuration = places(config)
    target = file.absolute()  # the server has another working directory
    if not target.parent.is_dir():
        give_up(f"{target.parent} is not a directory", Exit.USAGE)
    client = Client(spool=configuration.spool, timeout=TIMEOUT)
    try:
        answer = dict(client.post("backup", path=str(target)))
    except Refusal as error:
        give_up(str(error), Exit.FAILED)
    except Unreachable:
        _copy(configuration, target)
        answer = {"path": str(target)}
    if as_json:
        print_json(answer)
    else:
        emit(f"ledger copied to {visible(answer['path'])}")


def _copy(configuration: Configuration, target: Path) -> None:
    """Copy it ourselves: no server runs. One that starts meanwhile disturbs nothing."""
    from vtspolicy.ledger import LedgerError, LedgerUnreadable, open_ledger, path_of  # noqa: PLC0415 - see --help
    from vtspolicy.ledger.sqlite.copies import copy  # noqa: PLC0415

    try:
        with open_ledger(configuration.ledger):  # says what is wrong with it, if anything is
            copy(path_of(configuration.ledger), target)
    except (LedgerUnreadable, OSError) as error:
        give_up(f"{configuration.ledger} cannot be copied to {target}: {error}", Exit.FAILED)
    except LedgerError as error:
        give_up(str(error), Exit.FAILED)
