"""Finds ledger and spool in a configuration that has mistakes elsewhere.

While somebody edits the file, the server that runs can still be asked and ordered.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from attrs import evolve

from vtspolicy.config.keys import KEYS, PREFIX
from vtspolicy.config.load import load_configuration
from vtspolicy.config.model import Configuration
from vtspolicy.config.positions import read_bounded
from vtspolicy.config.problems import ConfigurationError

PLACES = ("ledger", "spool")
"""The keys without which nothing can be found."""

WANTED = frozenset({*PLACES, "node"})

_KEY = re.compile(r"""(?P<quote>["']?)(?P<key>[A-Za-z_]\w*)(?P=quote)\s*:(?:\s|\Z)""", re.ASCII)
_BESIDE = re.compile(r"\s|#|-|[]}]|\.\.\.|\Z")  # what may begin a line that begins no key


def load_places(path: Path, environ: Mapping[str, str] | None = None) -> Configuration | None:
    """Return a configuration of `node`, `ledger` and `spool` alone; None if that is not safe.

    It is safe where both places are written once, each in one line of its own and without a
    mistake, or where every line that begins in column 1 begins a key that there is: then what is
    not written has its default. Nothing else of the file counts, and `whole` is False.
    """
    given = {
        name: value
        for name, value in (environ or {}).items()
        if name.removeprefix(PREFIX).lower() in WANTED
    }
    try:
        text = read_bounded(path)
    except ConfigurationError:
        return None
    lines = text.splitlines()
    keys = [_key_of(line) for line in lines]
    found = {key for key in keys if key in PLACES}
    found |= {name.removeprefix(PREFIX).lower() for name in given} & set(PLACES)
    known = [key for key in keys if key]
    if not known or (found != set(PLACES) and not _all_known(lines, keys)):
        return None
    # The lines stay where they are: what is wrong is reported at its place.
    kept = [line if key in WANTED else "" for line, key in zip(lines, keys, strict=True)]
    try:
        configuration = load_configuration(
            path, {}, given, absent_vaults=True, content="\n".join(kept)
        )
    except ConfigurationError:
        return None
    return evolve(configuration, whole=False, warnings=())


def _key_of(line: str) -> str | None:
    found = _KEY.match(line)
    return found["key"] if found else None


def _all_known(lines: list[str], keys: list[str | None]) -> bool:
    return all(
        key in KEYS if key else _BESIDE.match(line) is not None
        for line, key in zip(lines, keys, strict=True)
    )
