"""The record of one copy: what was copied, from where, and how it can be checked."""

import json
import re
from collections.abc import Mapping
from typing import Any

from attrs import asdict, fields, frozen

from vtspolicy.runner.disk.failure import DamagedError, DiskError

VERSION = 1
SIZE_LIMIT = 64 * 1024  # bytes; a manifest is under 5 KiB even with the longest path

_SHA256 = re.compile(r"[0-9a-f]{64}")


@frozen(kw_only=True)
class Manifest:
    """One whole copy of one virtual tape."""

    version: int = VERSION  # of this record's form
    handle: str  # the caller's own name of the copy
    path: str  # absolute path of the tape that was copied
    size: int  # bytes of the tape
    sha256: str  # of the tape's bytes, hexadecimal
    mtime_ns: int  # the tape's last write, nanoseconds since 1970
    mode: int  # the tape's permission bits
    uid: int  # the tape's owner
    gid: int  # the tape's group
    stored: int  # bytes of the compressed file
    created: str  # UTC, ISO 8601 with microseconds: sorts by time
    program: str  # name and version of the program that wrote it

    def to_json(self) -> bytes:
        """Return the record as it is in the store: indented, because people read it."""
        return (json.dumps(asdict(self), indent=2) + "\n").encode("ascii")


def from_json(text: bytes, name: str) -> Manifest:
    """Read a record; `name` is the file, for the message.

    Raises DamagedError when it is not a manifest, and DiskError for an unknown version.
    """
    try:
        found = json.loads(text)
    except ValueError as error:
        raise DamagedError(f"{name}: not a manifest ({error})") from None
    if not isinstance(found, dict):
        raise DamagedError(f"{name}: not a manifest (an object was expected)")
    if found.get("version") != VERSION:
        raise DiskError(
            f"{name}: manifest version {found.get('version')!r}; this program reads {VERSION}"
        )
    values: dict[str, Any] = {}  # Any: each is checked against the type of its field
    for attribute in fields(Manifest):
        values[attribute.name] = _value(found, attribute.name, attribute.type, name)
    manifest = Manifest(**values)
    if not _SHA256.fullmatch(manifest.sha256):
        raise DamagedError(f"{name}: its sha256 is not 64 hexadecimal digits")
    if manifest.size < 0 or manifest.stored < 0:
        raise DamagedError(f"{name}: a size is negative")
    return manifest


def _value(found: Mapping[str, object], key: str, kind: type | None, name: str) -> object:
    value = found.get(key)
    if kind is None or not isinstance(value, kind) or isinstance(value, bool):
        raise DamagedError(f"{name}: {key!r} is missing or of the wrong type")
    return value
