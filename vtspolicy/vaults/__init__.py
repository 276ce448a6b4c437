"""Vaults on disk: the tapes in them, what a vault can do, and acts on exactly the judged file."""

from vtspolicy.vaults.errors import (
    CannotExchangeError,
    CannotProbeError,
    ChangedError,
    InUseError,
    NoLeaseError,
    NoSuchTapeError,
    VaultBusyError,
    VaultError,
)
from vtspolicy.vaults.looking import Found, OneLook, Seen, look_through
from vtspolicy.vaults.restores import Half, Whose
from vtspolicy.vaults.system import System
from vtspolicy.vaults.vaults import COARSE, Vaults

__all__ = [
    "COARSE",
    "CannotExchangeError",
    "CannotProbeError",
    "ChangedError",
    "Found",
    "Half",
    "InUseError",
    "NoLeaseError",
    "NoSuchTapeError",
    "OneLook",
    "Seen",
    "System",
    "VaultBusyError",
    "VaultError",
    "Vaults",
    "Whose",
    "look_through",
]
