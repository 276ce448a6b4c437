"""A tape in a terminal: how it may be named, its page with file, copies, and what they prove."""

import re
from collections.abc import Sequence
from pathlib import Path

from vtspolicy.cli.tables import Column, recent, table
from vtspolicy.config.model import Configuration
from vtspolicy.tapes import Copy, Difference, Proof, Tape, TapeState, VaultFeatures, why_data
from vtspolicy.visible import visible

BY_RULE = "its rule demands that"
"""Why the data of a copy is read back, although nothing is wrong with it."""


def tape_name(configuration: Configuration, written: str) -> str:
    """Return a tape or pool as commands name it, from every form of its name."""
    path = Path(written)
    if path.is_absolute():
        for vault, root in configuration.vaults.items():
            for base in {root, root.resolve()}:
                if path.is_relative_to(base) and path != base:
                    return "/".join(["", vault, *path.relative_to(base).parts])
    return re.sub(r"(?<=.)/+\Z", "", written)


def is_unproven(tape: Tape, copies: Sequence[Copy], features: VaultFeatures) -> bool:
    """Whether a tape has data of which no copy is known that a query could prove.

    Of an emptied tape, whether the copy that has its data is lost, or was never found.
    """
    if not tape.size:
        return why_emptied_unproven(tape, copies) is not None
    missing = [what_is_missing(tape, copy, features) for copy in copies]
    return all(each is not None and not each.endswith(BY_RULE) for each in missing)


def why_emptied_unproven(tape: Tape, copies: Sequence[Copy]) -> str | None:
    """Return why it is not sure that an emptied tape can be brought back; None if it is."""
    held = next((copy for copy in copies if copy.id == tape.held), None)
    if tape.state is not TapeState.ERASED or held is None:
        return None
    if held.lost is not None:
        return f"it is empty, and {held.application} has lost its copy {held.handle}"
    if held.proof is Proof.RECORDED or held.doubt is not None:
        return f"it is empty, and its copy {held.handle} was never found in {held.application}"
    return None


def tape_page(
    tape: Tape, copies: Sequence[Copy], said: tuple[bool, str] | None, features: VaultFeatures
) -> str:
    """Return all about a tape as text; `said` is the cleanup's verdict and its reason."""
    lines = [
        f"{visible(tape.name)}: {tape.state.value}",
        f"file      {visible(tape.path)}",
        f"size      {tape.size if tape.size is not None else 'not there'}",
        f"written   {recent(tape.written) or '-'}",
    ]
    for word, time in (("erased", tape.erased), ("restored", tape.restored)):
        if time is not None:
            lines.append(f"{word:9} {recent(time)}")
    if tape.locked:
        lines.append("locked    a mount waits for it, or a process uses it")
    if tape.restoring is not None:
        began = recent(tape.restoring)
        lines.append(f"note      half-restored: a restore began {began} and has not ended well")
    if tape.doubted is not None:
        lines.append("doubted   its file contradicts the restored ledger")
    if tape.override is not None:
        lines.append(f"override  {visible(tape.override)}")
    if said is not None:
        verdict = "erase it" if said[0] else "keep it"
        lines.append(f"cleanup   {verdict}: {visible(said[1])}")
    lines.append("")
    if not copies:
        return "\n".join([*lines, "no copy of it is recorded"])
    columns = [
        Column("copy"),
        Column("application", needs=70),
        Column("made", needs=90),
        Column("proof", needs=70),
        Column("proven", needs=90),
        Column("for an erase now", wraps=True),
    ]
    rows = [
        [
            copy.handle + (" (last content)" if copy.id == tape.held else ""),
            copy.application,
            recent(copy.ended or copy.began or copy.proved),
            PROOFS[copy.proof],
            recent(copy.proved),
            what_is_missing(tape, copy, features) or "its query has to find it",
        ]
        for copy in copies
    ]
    return "\n".join([*lines, table(columns, rows)])


PROOFS = {
    Proof.RECORDED: "only recorded",
    Proof.FOUND: "found by a query",
    Proof.DATA: "its data was read back",
}


def what_is_missing(tape: Tape, copy: Copy, features: VaultFeatures) -> str | None:
    """Return why a query alone cannot prove that a copy has what is on the tape; None: it can."""
    if copy.lost is not None:
        return f"the application has lost it ({recent(copy.lost)})"
    if not tape.size or tape.seen is None:
        return "the tape has no data"
    if copy.difference(tape.seen, features)[0] is Difference.WRITTEN:
        return "the tape was written after it was made"
    needed = "its data has to be read back"
    why = why_data(copy, tape, features)
    if why is not None:
        return f"{needed}: {why}"
    if copy.demanded is Proof.DATA:
        return f"{needed}: {BY_RULE}"
    return None
