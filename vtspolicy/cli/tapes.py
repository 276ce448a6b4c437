"""The command `tapes`: a list of virtual tapes, and what the cleanup would do with them."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from vtspolicy.cli.control import told
from vtspolicy.cli.filters import listed
from vtspolicy.cli.options import (
    Number,
    config_option,
    configured,
    give_up,
    json_option,
    print_json,
    reading,
)
from vtspolicy.cli.tables import Column, emit, recent, table
from vtspolicy.cli.tape_page import is_unproven, tape_name, tape_page, why_emptied_unproven
from vtspolicy.client import Client
from vtspolicy.config.model import Configuration
from vtspolicy.config.problems import ConfigurationError
from vtspolicy.exit_codes import Exit
from vtspolicy.records import plain
from vtspolicy.suggest import did_you_mean
from vtspolicy.tapes import Copy, Facts, Tape, TapeState, VaultFeatures
from vtspolicy.visible import visible

SCAN_PATIENCE = 600.0
"""Seconds that a scan of all vaults may take."""

TABLE = 1000
"""Tapes of a table, if nobody says how many."""


@click.command()
@config_option
@json_option
@click.option("--state", type=click.Choice([each.value for each in TapeState]), help="Only these.")
@click.option("--vault", help="Only those of this vault.")
@click.option("--pool", help="Only those of pools of this name.")
@click.option("--verdict", is_flag=True, help="Show what the cleanup would do with each, and why.")
@click.option(
    "--unproven",
    is_flag=True,
    help="Only tapes with data of which no copy is known that a query can prove, and emptied tapes"
    " whose copy is lost or was never found.",
)
@click.option("--scan", is_flag=True, help="Have the server look through the vaults first.")
@click.option(
    "--limit",
    type=Number(1),
    help=f"At most so many; else a table has {TABLE}, and --json all of them.",
)
@click.argument("names", metavar="[TAPE]...", nargs=-1)
def tapes(
    *,
    config: Path,
    as_json: bool,
    state: str | None,
    vault: str | None,
    pool: str | None,
    verdict: bool,
    unproven: bool,
    scan: bool,
    limit: int | None,
    names: tuple[str, ...],
) -> None:
    """List virtual tapes, all or each TAPE, as the catalogue knows them. No server need run.

    One TAPE alone is shown with all its copies and what they prove.
    """
    configuration = configured(config)
    _refuse_vault(configuration, vault)
    if scan:
        client = Client(spool=configuration.spool, timeout=SCAN_PATIENCE)
        for trouble in told(lambda: client.post("scan")).get("troubles") or ():
            click.echo(visible(trouble), err=True)
    wanted = {tape_name(configuration, each) for each in names}
    evidence = verdict or unproven or len(names) == 1
    with reading(configuration) as tx:
        known = tx.tapes.find(vault=vault, pool=pool)
        copies = tx.copies.by_path() if evidence else {}
        features = tx.meta.vault_features() if evidence else {}

    def features_of(tape: Tape) -> VaultFeatures:
        return features.get(tape.vault, VaultFeatures())

    verdicts = _verdicts(configuration, known, copies, features) if evidence else {}
    shown = [
        tape
        for tape in known
        if (state is None or tape.state.value == state)
        and (not wanted or wanted & {tape.name, tape.cartridge})
        and (not unproven or is_unproven(tape, copies.get(tape.path, ()), features_of(tape)))
    ]
    if unproven:
        emptied = {
            tape.path: why_emptied_unproven(tape, copies.get(tape.path, ())) for tape in shown
        }
        verdicts = {**verdicts, **{path: (False, why) for path, why in emptied.items() if why}}
    missing = wanted - {each for tape in shown for each in (tape.name, tape.cartridge)}
    if pool is not None and not known:
        missing = {f"the pool {pool}"}
    elif state is not None or unproven:
        missing = set()
    unknown = f"the catalogue does not know {', '.join(sorted(missing))}" if missing else None
    shown = _first(shown, limit or (None if as_json else TABLE))
    if as_json:
        rows = [_row(tape, verdicts, copies, evidence and not verdict) for tape in shown]
        _print_rows(rows, unknown)
    elif len(names) == 1 and len(shown) == 1 and not (verdict or unproven):
        (tape,) = shown
        said = verdicts.get(tape.path)
        emit(tape_page(tape, copies.get(tape.path, ()), said, features_of(tape)))
    else:
        emit(_table(shown, verdicts if verdict or unproven else {}) if shown else "no tapes")
    if unknown:
        give_up(unknown, Exit.FAILED)


def _first(shown: list[Tape], limit: int | None) -> list[Tape]:
    """Return at most so many tapes, and say how many there are if that is not all."""
    if limit is None or len(shown) <= limit:
        return shown
    click.echo(f"{limit} of {len(shown)} tapes are shown; --limit shows more", err=True)
    return shown[:limit]


def _refuse_vault(configuration: Configuration, vault: str | None) -> None:
    """End the program if only the tapes of a vault that does not exist are wanted."""
    if vault is not None and vault not in configuration.vaults:
        hint = did_you_mean(vault, configuration.vaults) or listed(configuration.vaults)
        give_up(f"there is no vault {vault}", Exit.USAGE, hint)


def _print_rows(rows: Sequence[Mapping[str, object]], unknown: str | None) -> None:
    """Print rows and what is unknown as one object; end the program if something is."""
    if not unknown:
        print_json({"tapes": rows})
        return
    print_json({"tapes": rows, "error": {"message": unknown, "hint": None}})
    raise SystemExit(Exit.FAILED)


Said = tuple[bool, str]  # whether it would be erased, and why


def _verdicts(
    configuration: Configuration,
    known: Sequence[Tape],
    copies: Mapping[str, Sequence[Copy]],
    features: Mapping[str, VaultFeatures],
) -> Mapping[str, Said]:
    """Return what the cleanup would do with each tape, and why, by its path."""
    # Rules are read only when verdicts are asked for.
    from vtspolicy.grammar import load_vocabulary  # noqa: PLC0415
    from vtspolicy.rules.cleanup import Fullness, plan  # noqa: PLC0415
    from vtspolicy.rules.load import load_table  # noqa: PLC0415
    from vtspolicy.rules.rulings import movable  # noqa: PLC0415
    from vtspolicy.vaults import VaultError, Vaults  # noqa: PLC0415

    try:
        vocabulary = load_vocabulary(configuration.families)
        rules = load_table(configuration.rules, vocabulary=vocabulary, configuration=configuration)
    except ConfigurationError as error:
        give_up("\n".join(map(str, error.problems)), Exit.USAGE)
    fullness = {}
    vaults = Vaults(configuration.vaults)
    for vault in configuration.vaults:
        try:
            total, taken = vaults.fullness(vault)
        except VaultError as error:
            click.echo(str(error), err=True)
        else:
            fullness[vault] = Fullness(total=total, taken=taken)
    now, can_move = time.time(), movable(rules)
    facts = [
        Facts(
            tape=tape,
            copies=tuple(copies.get(tape.path, ())),
            now=now,
            features=features.get(tape.vault, VaultFeatures()),
            accepted=configuration.vaults_without.get(tape.vault, frozenset()),
            cleanup=True,
            movable=can_move,
        )
        for tape in known
    ]
    judged = plan(facts, rules.cleanup, fullness)
    return {tape.path: (said.erase, said.reason) for tape, said in judged}


def _row(
    tape: Tape,
    verdicts: Mapping[str, Said],
    copies: Mapping[str, Sequence[Copy]],
    with_copies: bool,
) -> dict[str, Any]:
    row = {"tape": tape.name, "state": tape.state.value, **plain(tape)}
    said = verdicts.get(tape.path)
    if said is not None:
        row["verdict"] = {"erase": said[0], "reason": said[1]}
    if with_copies:
        row["copies"] = plain(list(copies.get(tape.path, ())))
    return row


def _table(shown: Sequence[Tape], verdicts: Mapping[str, Said]) -> str:
    columns = [
        Column("tape"),
        Column("state"),
        Column("size", right=True),
        Column("written", needs=130 if verdicts else 80),
        Column("migrated", needs=130 if verdicts else 80),
        Column("application", needs=110),
        Column("handle", gives=True, needs=170 if verdicts else 110),
        Column("kept", needs=130),
        Column("note", gives=True, needs=110 if verdicts else 0),
    ]
    if verdicts:
        columns += [Column("verdict"), Column("because", wraps=True)]
    rows = []
    for tape in shown:
        said = verdicts.get(tape.path)
        row = [
            *(tape.name, tape.state.value, tape.size, recent(tape.written), recent(tape.migrated)),
            *(tape.application, tape.handle, tape.retention, _note(tape)),
        ]
        if verdicts:
            row += [("erase" if said[0] else "keep", said[1]) if said else ("", "")][0]
        rows.append(row)
    return table(columns, rows)


def _note(tape: Tape) -> str:
    notes = [
        "locked" if tape.locked else "",
        "copy not by us" if tape.handle and not tape.by_us else "",
        "half-restored" if tape.restoring is not None else "",
        "doubted" if tape.doubted is not None else "",
        f"override: {tape.override}" if tape.override is not None else "",
        f"on {tape.media}" if tape.media else "",
    ]
    return ", ".join(note for note in notes if note)
