"""Looks at tapes, from the keeper's words to those of the model."""

from typing import Any

from vtspolicy.runner import keeper
from vtspolicy.runner.protocol import TapeFile
from vtspolicy.tapes import Fingerprint, Look


def look_at(tape: TapeFile, boot: str) -> Look:
    """Look at a tape as a keeper does. Blocks while the vault does not answer."""
    return as_look(keeper.look(tape.root, tape.pool, tape.cartridge), tape.vault, boot)


def as_look(seen: dict[str, Any], vault: str, boot: str) -> Look:
    """Return what a keeper has seen of a tape of `vault` in that boot, as `keeper.look` has it."""
    fingerprint = None
    if seen["file"] is not None:
        inode, size, mtime_ns, ctime_ns, device = seen["file"]
        fingerprint = Fingerprint(
            vault=vault,
            size=size,
            mtime_ns=mtime_ns,
            inode=inode,
            ctime_ns=ctime_ns,
            device=device,
            boot=boot,
        )
    return Look(at=seen["at"], fingerprint=fingerprint, writer=seen["open"], vault_ns=seen["clock"])
