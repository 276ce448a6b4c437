"""What a job has done to its tapes: what the ledger writes down when the job ends well."""

from attrs import frozen

from vtspolicy.tapes.copies import Copy
from vtspolicy.tapes.fingerprint import Fingerprint
from vtspolicy.tapes.tape import Tape


@frozen(kw_only=True)
class Copied:
    """A copy of a tape was made."""

    tape: Tape  # as its file was when the run had ended
    copy: Copy
    known: bool = True  # False: what it holds may be other than what is on the tape


@frozen(kw_only=True)
class Brought:
    """A tape has its data again."""

    tape: Tape  # as its file is now: its host may have written to it since
    file: Fingerprint  # as the restore ended
    copy: int | None = None  # the ledger's number of the copy that was brought back
    sure: bool = True  # False: the file was not looked at when the restore ended


@frozen(kw_only=True)
class Emptied:
    """A tape was erased or deleted."""

    tape: Tape  # as it was judged
    file: Fingerprint | None  # what stands there now; None: it was deleted
    proven: bool = True  # a copy brings it back; False: it was done by an operator's word
    copy: int | None = None  # the ledger's number of the copy that was proven; None: not known


Outcome = Copied | Brought | Emptied
