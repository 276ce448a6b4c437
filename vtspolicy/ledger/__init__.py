"""The ledger: what was asked, decided, run and answered, on the disk before it is answered."""

from vtspolicy.jobs import Ending
from vtspolicy.ledger.attempts import AttemptRecords
from vtspolicy.ledger.clock import ClockRecords
from vtspolicy.ledger.copies import CopyRecords
from vtspolicy.ledger.errors import (
    BeingRecorded,
    LedgerDamaged,
    LedgerError,
    LedgerInUse,
    LedgerLost,
    LedgerMissing,
    LedgerMoved,
    LedgerNotLocal,
    LedgerTooNew,
    LedgerTooOld,
    LedgerUnreadable,
    NoSuchRow,
    QuestionTooLong,
)
from vtspolicy.ledger.events import EventRecords
from vtspolicy.ledger.history import ASKED, History, told_why
from vtspolicy.ledger.jobs import Cancelled, Finished, JobRecords
from vtspolicy.ledger.large_requests import LargeRequests
from vtspolicy.ledger.meta import Meta
from vtspolicy.ledger.mounts import Mount, MountRecords, MountState
from vtspolicy.ledger.notices import NoticeRecords, Pending
from vtspolicy.ledger.overview import Overview
from vtspolicy.ledger.protocol import Ledger
from vtspolicy.ledger.requests import Recorded, RequestRecords
from vtspolicy.ledger.retention import Retention
from vtspolicy.ledger.sqlite.database_file import open_ledger, path_of
from vtspolicy.ledger.tape_orders import TapeOrders
from vtspolicy.ledger.tapes import TapeRecords
from vtspolicy.ledger.transaction import Counts, Scope, Serving, Transaction
from vtspolicy.ledger.waiting import WaitingJobs
from vtspolicy.ledger.works import WorkRecords
from vtspolicy.requests import Intake

__all__ = [
    "ASKED",
    "AttemptRecords",
    "BeingRecorded",
    "Cancelled",
    "ClockRecords",
    "CopyRecords",
    "Counts",
    "Ending",
    "EventRecords",
    "Finished",
    "History",
    "Intake",
    "JobRecords",
    "LargeRequests",
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
    "LedgerUnreadable",
    "Meta",
    "Mount",
    "MountRecords",
    "MountState",
    "NoSuchRow",
    "NoticeRecords",
    "Overview",
    "Pending",
    "QuestionTooLong",
    "Recorded",
    "RequestRecords",
    "Retention",
    "Scope",
    "Serving",
    "TapeOrders",
    "TapeRecords",
    "Transaction",
    "WaitingJobs",
    "WorkRecords",
    "open_ledger",
    "path_of",
    "told_why",
]
