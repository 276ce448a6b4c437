"""The ledger: what was asked, decided, run and answered, on the disk before it is answered."""

from vtspolicy.ledger.book import Book
from vtspolicy.ledger.desk import ASKED, told_why
from vtspolicy.ledger.errors import (
    LedgerDamaged,
    LedgerError,
    LedgerInUse,
    LedgerLost,
    LedgerMissing,
    LedgerMoved,
    LedgerNotLocal,
    LedgerTooNew,
    LedgerTooOld,
    NoSuchRow,
    QuestionTooLong,
)
from vtspolicy.ledger.file import open_book, path_of
from vtspolicy.ledger.intake import Intake, Recorded
from vtspolicy.ledger.jobs import Cancelled, Ending, Finished
from vtspolicy.ledger.mounts import Mount, MountState
from vtspolicy.ledger.protocol import Ledger
from vtspolicy.ledger.reading import Counts, Pending

__all__ = [
    "ASKED",
    "Book",
    "Cancelled",
    "Counts",
    "Ending",
    "Finished",
    "Intake",
    "Ledger",
    "LedgerDamaged",
    "LedgerError",
    "LedgerInUse",
    "LedgerLost",
    "LedgerMissing",
    "LedgerMoved",
    "LedgerNotLocal",
    "LedgerTooNew",
    "LedgerTooOld",
    "Mount",
    "MountState",
    "NoSuchRow",
    "Pending",
    "QuestionTooLong",
    "Recorded",
    "open_book",
    "path_of",
    "told_why",
]
