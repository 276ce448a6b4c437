"""SQL in files: named statements, shared by all databases or of one, and numbered migrations."""

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_INCLUDE = re.compile(r"\{(\w+)\}")
_COMMENT = re.compile(r"^--.*$\n?", re.MULTILINE)


SCHEMA = "schema.sql"
"""Shows what all migrations together make; no statement is read from it."""


def parse(text: str) -> dict[str, str]:
    """Return the queries of one file: each is below its `-- name: word`."""
    parts = _NAME.split(text)[1:]
    return {
        name: _COMMENT.sub("", body).strip()
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }


@cache
def queries(database: str) -> dict[str, str]:
    """Return all statements of a database by name, `{name}` replaced by the one of that name.

    They are those in this folder, which all databases share, and those in the folder of the
    database. A name that occurs twice, or an unknown `{name}`, is a KeyError: a fault of the
    program.
    """
    own = files("vtspolicy.ledger").joinpath(database)
    found: dict[str, str] = {}
    for folder in (files(__package__), own):
        for file in sorted(folder.iterdir(), key=lambda each: each.name):
            if file.name.endswith(".sql") and file.name != SCHEMA:
                more = parse(file.read_text("utf-8"))
                if twice := found.keys() & more.keys():
                    raise KeyError(f"{file.name}: {', '.join(sorted(twice))} is named twice")
                found.update(more)
    return {
        name: _INCLUDE.sub(lambda match: found[match[1]], query) for name, query in found.items()
    }


@cache
def migrations(database: str) -> dict[int, str]:
    """Return the migrations of a database by number, in their order, from 1 without a gap."""
    folder = files("vtspolicy.ledger").joinpath(database, "migrations")
    found = {int(file.name[:4]): file.read_text("utf-8") for file in folder.iterdir()}
    if sorted(found) != list(range(1, len(found) + 1)):
        raise KeyError(f"migrations of {database} are not numbered 1 to {len(found)}")
    return dict(sorted(found.items()))
