"""What can be wrong with a ledger, said to the person who has to put it right."""


class LedgerError(Exception):
    """The ledger cannot be used."""


class BeingRecorded(LedgerError):  # noqa: N818 - reads as what it says
    """The jobs of a request are still being recorded: it is not accepted yet."""

    def __init__(self, request: int) -> None:
        super().__init__(f"request {request} is still being recorded")


class LedgerMissing(LedgerError):  # noqa: N818 - reads as what it says
    """There is no ledger at this place."""


class LedgerDamaged(LedgerError):  # noqa: N818
    """The file is not a ledger, or not whole; it is never replaced silently."""

    def __init__(self, file: str, found: str) -> None:
        super().__init__(
            f"{file}: the ledger is damaged: {found}. It is left as it is. Stop the server, keep a"
            f" copy of {file} and {file}-wal, then restore the newest copy made with"
            f' `vtspolicy backup-ledger`, or save what can be read with `sqlite3 {file} ".recover"`'
        )
        self.file = file
        self.found = found


class LedgerUnreadable(LedgerError):  # noqa: N818
    """The database cannot read or write the ledger; it says why in its own words."""


class LedgerLost(LedgerError):  # noqa: N818
    """What is at the ledger's place is not, or not all of, the ledger that was there.

    Nothing was changed, and no new ledger is made: commands that were accepted would be forgotten,
    and events that are shown again be run a second time.
    """

    def __init__(self, file: str, found: str, way_out: str) -> None:
        super().__init__(
            f"{file}: the ledger is lost, or not whole: {found}. Nothing was changed, and no new"
            f" ledger is made in its place. {way_out}"
        )
        self.file = file
        self.found = found


class LedgerMoved(LedgerError):  # noqa: N818
    """The ledger's file was removed, moved or replaced while its server has it open."""

    def __init__(self, file: str, found: str) -> None:
        super().__init__(
            f"{file}: {found} while this server has the ledger open. Give the same file its"
            f" name again, or stop the server and restore a copy made with"
            f" `vtspolicy backup-ledger`"
        )
        self.file = file
        self.found = found


class LedgerNotLocal(LedgerError):  # noqa: N818
    """The file system at the ledger's place has no shared memory, which SQLite's WAL needs."""

    def __init__(self, file: str, mode: str) -> None:
        super().__init__(
            f"{file}: SQLite cannot use a write-ahead log on that file system: its journal mode"
            f" stays `{mode}`, and has to be `wal`. So it is on network shares, and in folders that"
            " a virtual machine shares with its host. Move the ledger to a local file system"
        )
        self.file = file
        self.mode = mode


class LedgerInUse(LedgerError):  # noqa: N818
    """Another server has the ledger open."""

    def __init__(self, file: str, pid: int | None) -> None:
        whose = f"process {pid}" if pid is not None else "another process"
        super().__init__(
            f"{file}: the ledger is in use by {whose}; one ledger serves one server. Stop that one,"
            " or give this one a `ledger` of its own"
        )
        self.file = file
        self.pid = pid


class LedgerTooNew(LedgerError):  # noqa: N818
    """The ledger was written by a newer version of the program."""

    def __init__(self, file: str, found: int, known: int) -> None:
        super().__init__(
            f"{file}: the ledger has schema {found}, this program knows schemas up to {known}."
            " Install the newer version of vtspolicy that wrote it"
        )
        self.found = found
        self.known = known


class LedgerTooOld(LedgerError):  # noqa: N818
    """The ledger is of an earlier version of the program, and no server has brought it up yet."""

    def __init__(self, file: str, found: int, known: int) -> None:
        super().__init__(
            f"{file}: the ledger has schema {found}, this program reads schema {known}."
            " Start `vtspolicy serve` of this version: it brings the ledger up"
        )
        self.found = found
        self.known = known


class QuestionTooLong(LedgerError):  # noqa: N818
    """A question was given up: it would have had to look through too much of the ledger."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the ledger was searched for {seconds:g} s, and the search given up")


class NoSuchRow(LedgerError, LookupError):  # noqa: N818
    """A request, job or attempt of this number is not in the ledger."""

    def __init__(self, what: str, number: int | str) -> None:
        super().__init__(f"there is no {what} {number} in the ledger")
