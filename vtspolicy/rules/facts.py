"""Tapes that need not exist, for tests and trials: `/VAULT01/PAYROLL/A00017 size=10M age=3d`."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from vtspolicy.config.reading import seconds, size_in_bytes
from vtspolicy.grammar.command import Command
from vtspolicy.suggest import did_you_mean
from vtspolicy.tapes import Tape

FACTS: Mapping[str, str] = {
    "size": "bytes, as 512, 64K, 10M; 1M if not given",
    "age": "time since the last write, as 3d; 1d if not given",
    "migrated": "a verified copy holds what is on it now",
    "stale": "a verified copy is older than what is on it now",
    "erased": "emptied after a migration",
    "deleted": "its file is gone, its record and copy are not",
    "handle": "the newest copy's, as 42-1, which is what it is if not given",
    "application": "that has the newest copy, as TSM; DSK if not given",
}
"""Every word that may follow a tape, and what it says; those without `=` stand alone."""

FLAGS = frozenset({"migrated", "stale", "erased", "deleted"})
MIB = 2**20
DAY = 86400.0


class FactsError(ValueError):
    """Words that do not say what a tape is."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message  # what was found
        self.remedy = remedy  # what is allowed


def tape_of(
    facts: str, *, at: datetime, roots: Mapping[str, Path] | None = None, application: str = "DSK"
) -> Tape:
    """Return the tape that some words describe, as it is `at` a time.

    `roots` are the directories of vaults; without one the tape's path is as commands write it.
    Raises FactsError.
    """
    words = facts.split()
    parts = words[0].split("/") if words else []
    if len(parts) != 4 or parts[0] or not all(parts[1:]):
        found = words[0] if words else "nothing"
        raise FactsError(f"{found} is no tape", "/VAULT/POOL/CARTRIDGE, then what it is")
    values: dict[str, str] = {}
    for word in words[1:]:
        name, is_given, value = word.partition("=")
        if name not in FACTS or bool(is_given) == (name in FLAGS):
            known = did_you_mean(name, FACTS) if name not in FACTS else FACTS[name]
            remedy = known or f"the words are {', '.join(FACTS)}"
            raise FactsError(f'"{word}" says nothing of a tape', remedy)
        values[name] = value
    _, vault, pool, cartridge = parts
    root = (roots or {}).get(vault)
    age = seconds(values.get("age", "1d"))
    size = size_in_bytes(values.get("size", "1M"))
    if age is None or size is None:
        wrong = "age" if age is None else "size"
        raise FactsError(f'"{wrong}={values[wrong]}" is none', FACTS[wrong])
    written = at.timestamp() - age
    copied = bool(values.keys() & {*FLAGS, "handle", "application"})
    stale = "stale" in values
    gone = values.keys() & {"erased", "deleted"}
    return Tape(
        vault=vault,
        pool=pool,
        cartridge=cartridge,
        path=str(root / pool / cartridge) if root else words[0],
        size=None if "deleted" in values else 0 if gone else size,
        written=None if "deleted" in values else written,
        migrated=written if copied else None,
        handle=values.get("handle", "42-1") if copied else None,
        application=values.get("application", application) if copied else None,
        copied_size=size if copied else None,
        copied_written=(written - DAY if stale else written) if copied else None,
        erased=written if gone else None,
    )


def imagined(
    command: Command, *, at: datetime, roots: Mapping[str, Path] | None = None
) -> tuple[Tape, ...]:
    """Return plain tapes, written a day ago, for the cartridges that a command names by path."""
    return tuple(
        tape_of(target.path or "", at=at, roots=roots)
        for target in command.targets
        if target.cartridge is not None and target.path is not None
    )
