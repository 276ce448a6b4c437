"""Private names: files and folders of ours in a pool, which are never tapes.

    .vtspolicy-TOKEN-restore-CARTRIDGE   what a restore brings back
    .vtspolicy-TOKEN-staging             a folder that an application restores into
    .vtspolicy-TOKEN-delete-CARTRIDGE    a tape that is about to be removed
    .vtspolicy-TOKEN-exchange-CARTRIDGE  a note: which files are about to be exchanged
    .vtspolicy-TOKEN-copying-CARTRIDGE   a note: into which file is being copied
    .vtspolicy-TOKEN-kept-CARTRIDGE      what may be a host's data, and older than
                                         what has got its name since: it is left alone

The token comes from the engine and is unique to one attempt of one job.
"""

import os
import re
from typing import Final

from vtspolicy.vaults.errors import VaultError

PREFIX: Final = ".vtspolicy-"

RESTORE: Final = "restore"
STAGING: Final = "staging"
DELETE: Final = "delete"
EXCHANGE: Final = "exchange"
COPYING: Final = "copying"
KEPT: Final = "kept"

KINDS = (RESTORE, STAGING, DELETE, EXCHANGE, COPYING, KEPT)

LONGEST = 255
"""Bytes of the longest name that a file can have."""

_TOKEN = re.compile(r"[A-Za-z0-9-]{1,60}")
_KIND = "|".join(KINDS)
_NAME = re.compile(rf"{re.escape(PREFIX)}([A-Za-z0-9-]{{1,60}}?)-({_KIND})(?:-(.+))?", re.DOTALL)
_LIKE_A_KIND = re.compile(rf"(^|-)({_KIND})(-|$)")


def private(token: str, kind: str, cartridge: str = "") -> str:
    """Return the private name of one kind. Raises VaultError when it would be too long."""
    if not _TOKEN.fullmatch(token) or _LIKE_A_KIND.search(token):
        raise ValueError(f"{token!r} cannot be the token of a private name")
    name = f"{PREFIX}{token}-{kind}" + (f"-{cartridge}" if cartridge else "")
    if len(os.fsencode(name)) > LONGEST:
        raise VaultError(
            f"{cartridge} is too long a name: its private names would exceed the limit"
        )
    return name


def parsed(name: str) -> tuple[str, str, str] | None:
    """Return token, kind and cartridge of a private name; None for any other."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    token, kind, cartridge = found.groups()
    if (kind == STAGING) is not (cartridge is None):
        return None
    return token, kind, cartridge or ""
