"""The plan of a restore: what was found out as it began, and what has to come back."""

import json
from collections.abc import Mapping

from attrs import asdict, field, frozen

from vtspolicy.rules.work import RestoresTo
from vtspolicy.tapes import Fingerprint, Tape


@frozen(kw_only=True)
class Plan:
    """What was found out as a restore began; kept with the attempt, for a server that adopts it."""

    way: RestoresTo  # where the application writes
    copy: int | None  # the ledger's number of the copy that is brought back
    size: int | None  # bytes that have to come back; None: not known
    values: Mapping[str, str]  # for the templates of the work
    to: str | None = None  # a new file to which it is written, in place of the tape
    came: Mapping[str, object] | None = None  # the private file that was to take the tape's place
    there: bool = False  # the tape's file was, as this attempt or an earlier one began
    # Half-restored tapes as it began, by path: whether what is on them is sure to be a restore's;
    # None: what an earlier restore has left was not seen.
    halves: Mapping[str, bool | None] = field(factory=dict)

    def has_taken_its_place(self, seen: Fingerprint) -> bool:
        """Whether a tape's file is the private one, which a killed server put there."""
        came = self.came
        if came is None:
            return False
        found = (seen.inode, seen.size, seen.mtime_ns)
        return (came["inode"], came["size"], came["mtime_ns"]) == found

    def why_not_whole(self, tape: Tape, file: Fingerprint) -> str | None:
        """Return why what came back cannot be what was copied, by its size; None if it can."""
        if not file.size:
            return f"nothing came back: {tape.name} is empty"
        if self.size is not None and file.size != self.size:
            return f"{tape.name} came back with {file.size} bytes, and had {self.size}"
        return None

    def to_json(self) -> str:
        """Return the plan as the ledger keeps it."""
        return json.dumps(asdict(self))

    @classmethod
    def of_json(cls, text: str | None) -> "Plan | None":
        """Return the plan that `to_json` wrote; None for an attempt of version 0.1."""
        return None if text is None else cls(**json.loads(text))
