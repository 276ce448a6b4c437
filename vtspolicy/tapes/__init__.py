"""Virtual tapes: what is known of one, the evidence of its copies, and what may be done to it."""

from vtspolicy.tapes.copies import Copy, Proof, Restored, stricter
from vtspolicy.tapes.fingerprint import (
    Difference,
    Fingerprint,
    Look,
    VaultFeatures,
    difference,
)
from vtspolicy.tapes.tape import (
    MountAction,
    MountAnswer,
    Tape,
    TapeState,
    emptied,
    is_back,
    migrated,
    on_mount,
    restored,
    seen,
    why_not_empty,
    why_not_restore,
    with_file,
)

__all__ = [
    "Copy",
    "Difference",
    "Fingerprint",
    "Look",
    "MountAction",
    "MountAnswer",
    "Proof",
    "Restored",
    "Tape",
    "TapeState",
    "VaultFeatures",
    "difference",
    "emptied",
    "is_back",
    "migrated",
    "on_mount",
    "restored",
    "seen",
    "stricter",
    "why_not_empty",
    "why_not_restore",
    "with_file",
]
