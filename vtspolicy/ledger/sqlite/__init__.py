"""A ledger in one SQLite file: all that is about SQLite is here."""

from sqlite3 import sqlite_version as LIBRARY  # noqa: N812 - it is a constant

from vtspolicy.ledger.sqlite.ledger import SqliteLedger

__all__ = ["LIBRARY", "SqliteLedger"]
