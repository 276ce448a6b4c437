"""Why an act on a tape is refused, or has nothing to do: each reason, with its words."""

from enum import Enum


class Reason(Enum):
    """A reason: the words that people read, and when it is given."""

    # name = (words; {names} are filled in), (when it is given), how near to a proof it came
    NO_TAPE = ("there is no such tape", "its file is not there", 0)
    DELETED_ALREADY = ("it was deleted before", "a Delete of a tape that was deleted", 0)
    EMPTY_ALREADY = ("it is empty already", "an Erase of an empty tape", 0)
    BACK_ALREADY = ("it has its data", "a Restore of a tape that has its data", 0)
    LOCKED = (
        "it is locked: a mount waits for it, or a process uses it",
        "a mount request waits for the tape",
        0,
    )
    ASKED_FOR = (
        "a host has asked for it meanwhile",
        "a host asked to mount the tape after the act was asked for",
        0,
    )
    IN_USE = (
        "it is in use: a process has it open",
        "a lease shows that another process has the file open",
        0,
    )
    NO_LEASES = (
        (
            "vault {vault} does not let us see whether a process has a tape open; give the server"
            " CAP_LEASE, or accept that with `without: [leases]` for this vault"
        ),
        "the vault has no leases, or the server may not take them, and the site did not accept it",
        0,
    )
    USE_UNTOLD = (
        (
            "it is not known whether a process has it open; give the server CAP_LEASE, or make"
            " it the"
            " owner of the tapes"
        ),
        "no lease could be taken on the file",
        0,
    )
    HALF_RESTORED = (
        "it is half-restored, because a restore of it failed: restore it again",
        "what is on the tape is what a restore has left that failed",
        0,
    )
    NO_COPY = ("no copy of this tape is recorded", "an Erase or Delete without any copy", 0)
    NO_COPY_AT_ALL = ("no copy of it is recorded", "a Restore, or a mark, without any copy", 0)
    COPY_LOST = (
        "{application} does not have its copy {handle} any more",
        "the application has said clearly that it does not have the copy",
        3,
    )
    CONTENT_UNKNOWN = (
        (
            "what its copy {handle} holds is not known: the tape was open for writing, or its"
            " time lay"
            " in the future, while it was copied"
        ),
        "the copy is only recorded",
        2,
    )
    WRITTEN_SINCE = (
        "the tape was written after its last copy",
        "size, last write or inode are not those of any copy",
        1,
    )
    NOT_BY_US = (
        "its copy was not made by us, and only the cleanup asked for this",
        "the cleanup leaves copies of the application's own schedule alone",
        4,
    )
    COPIED_ANEW = (
        "it was copied again after the cleanup had chosen it",
        "the next cleanup decides by the retention of the new copy",
        4,
    )
    MOVED = (
        "the tape was moved, and {application} can bring its copy back to {source} only",
        "the rule that restores uses {{path}} alone, and the tape is in another pool now",
        4,
    )
    NOT_FOUND = (
        "{application} does not find its copy {handle}: {said}",
        "the application's query says that the copy is not there; the copy is marked lost",
        6,
    )
    OTHER_DATA = (
        "what {application} reads back of copy {handle} is not what is on the tape",
        "the data of the copy was read back and differs",
        6,
    )
    NOT_ASKED = (
        "{application} cannot be asked for its copy {handle}: {said}",
        "the query, or reading back, failed without a clear answer, or there is none in the table",
        5,
    )
    NEEDS_DATA = (
        "{why}; only its data can prove copy {handle}, and it was not read back: {said}",
        "the copy is only recorded, or the file was touched, and the data could not be compared",
        5,
    )
    LEFT_UNKNOWN = (
        (
            "it is half-restored, and what is on it may be its host's data, because the end of the"
            " restore was not seen, or the file was changed since: restore it with an operator's"
            " override, or archive it after its host has written to it again"
        ),
        (
            "a restore into the tape's own file was interrupted, and its end was not seen; or what"
            " it has left was changed, which may be a touch or a write with the old time"
        ),
        0,
    )
    GONE_MEANWHILE = (
        (
            "it was moved or deleted after its restore had begun, and nothing was put in its"
            " place: give the command again"
        ),
        "a tape that was there as its restore began is not there any more",
        0,
    )
    WRITTEN_AFTER_RESTORE = (
        "it was written after a restore of it had failed, and a restore would overwrite that",
        "the file is not as the failed restore left it",
        0,
    )
    WOULD_OVERWRITE = (
        "it has data that no copy holds, and a restore would overwrite it",
        "a Restore onto data of which there is no copy",
        0,
    )
    NO_SUCH_COPY = (
        "it has no copy {handle}; `vtspolicy tapes TAPE` lists its copies",
        "an operator chose a copy that is not recorded for the tape",
        0,
    )
    DOUBTED = (
        (
            "the ledger was restored from a backup, and the tape was used after that backup:"
            " which copy"
            " is its newest is not known; choose one with `vtspolicy restore {tape} --copy HANDLE`"
        ),
        "the tape's file contradicts the restored ledger",
        0,
    )
    OLDER_CONTENT = (
        (
            "no copy has what was last on it; the newest is {handle} at {application}:"
            " `vtspolicy restore {tape} --copy {handle}` brings that older content back"
        ),
        "the tape was emptied after a write that no copy holds",
        0,
    )
    OTHER_APPLICATION = (
        (
            "its last content is a copy of {application} now, and {asked} was asked to bring it"
            " back:"
            " give the command again"
        ),
        "another application copied the tape after the Restore was decided",
        0,
    )
    EMPTY = (
        "the tape is empty: nothing is copied",
        "an archive of an empty tape",
        0,
    )
    EMPTY_MARK = (
        "it is empty: give the size that it had when it was copied, if it was emptied since",
        "`mark migrated` of an empty tape without --size",
        0,
    )
    OTHER_SIZE = (
        "it has {size} bytes, and {copied} were copied",
        "`mark migrated --size` with another size than the file's",
        0,
    )
    WRITTEN_SINCE_BEGAN = (
        "it was written after the copy began",
        "`mark migrated --began` with a time before the last write",
        0,
    )
    BEGAN_LATER = (
        "the copy cannot have begun later than now",
        "`mark migrated --began` with a time in the future",
        0,
    )
    NOTHING_CAME = ("it has no data; nothing came back", "`mark restored` of an empty tape", 0)
    DOES_NOT_FIT = (
        "it has {size} bytes, and its copy {copied}: this is not what was copied",
        "`mark restored` of a tape whose file has another size than the copy",
        0,
    )
    NOT_EMPTIED = (
        "it has data that was written to it after its copy, and was not emptied since",
        "`mark restored` of a tape that was not waiting for its data",
        0,
    )

    def __init__(self, words: str, when: str, nearness: int) -> None:
        self.words = words
        self.when = when.replace("{{", "{").replace("}}", "}")
        self.nearness = nearness

    def told(self, **values: object) -> str:
        """Return the words with their values."""
        return self.words.format(**values)
