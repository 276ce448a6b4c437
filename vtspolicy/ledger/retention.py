"""What is kept how long: finished requests are removed in small steps, live ones never."""

import json
from collections.abc import Sequence

from vtspolicy.clock_trust import Between
from vtspolicy.ledger.part import Part

JOBS_AT_ONCE = 2000
"""Jobs after which a step removes no further request: one of a large pool can have many."""

LOOKED_AT = 2000
"""Requests that a step looks at, the oldest first. Those whose notices wait are passed over."""

_OF_A_REQUEST = ("prune_attempts", "prune_jobs", "prune_notices", "prune_transitions")


class Retention(Part):
    """Removes what is old."""

    def remove(self, requests: Sequence[int]) -> None:
        """Remove requests with all that is theirs, and their events."""
        self._sql.do("allow_pruning")
        for number in requests:
            self._sql.do("uncount_jobs", request=number)
            for query in _OF_A_REQUEST:
                self._sql.do(query, request=number)
            self._sql.do("forget_mounts_request", request=number)
            self._sql.do("prune_request", id=number)
            self._sql.do("prune_event", id=number)
        self._sql.do("end_pruning")

    def prune(self, before: float, limit: int = 20, spared: Sequence[Between] = ()) -> int:
        """Remove up to `limit` requests that finished before `before`, with all that is theirs.

        A request with a notice that its host does not have yet stays. So do younger ones behind
        LOOKED_AT of these, until the notices expire. The identity of an event is removed with its
        request: so an event that is shown again is known for at least as long as finished requests
        are kept, counted from its arrival. What the history says of the program's own work on
        tapes, mounts and locks, its cleanup among that, is removed too; what operators did there
        stays. A rules table is removed when nothing is left that it decided.

        Entries whose time is within `spared` stay, too.

        Returns how many were removed; 0 means that nothing is left to remove. Twenty take some
        milliseconds, if they are small; a large one ends the step.
        """
        found, jobs, doubtful = [], 0, json.dumps(spared)
        for row in self._sql.all(
            "prunable", before=before, spared=doubtful, looked_at=LOOKED_AT, limit=limit
        ):
            if jobs >= JOBS_AT_ONCE:
                break
            found.append(row.id)
            jobs += row.jobs
        if found:
            self.remove(found)
        mounts = self._sql.all("prune_mounts", before=before, spared=doubtful, limit=limit)
        for row in mounts:
            self._sql.do("prune_event", id=row.id)
        self._sql.do("allow_pruning")
        lines = self._sql.do("prune_lines", before=before, spared=doubtful, limit=limit)
        self._sql.do("end_pruning")
        self._sql.do("prune_rule_tables")
        return max(len(found), len(mounts), lines)
