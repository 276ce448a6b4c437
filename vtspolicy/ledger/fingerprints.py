"""Fingerprints and looks at files as texts in the columns of the ledger."""

import json
from collections.abc import Mapping

from attrs import asdict

from vtspolicy.tapes import Fingerprint, Look


def fingerprint_text(fingerprint: Fingerprint | None) -> str | None:
    """Return the JSON of a fingerprint, without what is not known; equal ones have equal texts."""
    if fingerprint is None:
        return None
    known = {key: value for key, value in asdict(fingerprint).items() if value is not None}
    return json.dumps(known, separators=(",", ":"), sort_keys=True)


def fingerprint_of(text: str | None) -> Fingerprint | None:
    """Return the fingerprint that `fingerprint_text` wrote, or a migration."""
    if text is None:
        return None
    return Fingerprint(**{"mtime_ns": None, **json.loads(text)})


def looks_text(looks: Mapping[str, Look]) -> str | None:
    """Return the JSON of looks at tapes by their paths; None for none."""
    if not looks:
        return None
    return json.dumps({path: asdict(look) for path, look in looks.items()})


def looks_of(text: str | None, *, vault: str, at: float) -> dict[str, Look]:
    """Return the looks that `looks_text` wrote.

    Version 0.1 kept size and last write only, as [path, size, written], of a tape of `vault` that
    was looked at at the time `at`.
    """
    found = json.loads(text) if text else {}
    if isinstance(found, list):
        return {
            path: Look(
                at=at,
                fingerprint=None
                if size is None or written is None
                else Fingerprint(vault=vault, size=size, mtime_ns=round(written * 1e9)),
            )
            for path, size, written in found
        }
    return {path: _look(fields) for path, fields in found.items()}


def _look(fields: dict[str, object]) -> Look:
    about = fields.pop("fingerprint")
    seen = Fingerprint(**about) if isinstance(about, dict) else None
    return Look(fingerprint=seen, **fields)  # type: ignore[arg-type]  # as looks_text wrote them
