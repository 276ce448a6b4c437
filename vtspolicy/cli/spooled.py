"""What lies in the spool about runs: argument lists, outputs, how far they are."""

import json

from vtspolicy.config.model import Configuration
from vtspolicy.jobs import Job, run_key
from vtspolicy.records import Live

OUTPUT = 64 * 1024
"""Bytes of the output of a running job that are read."""


class Spooled:
    """What lies in the spool about runs."""

    def __init__(self, configuration: Configuration) -> None:
        from vtspolicy.runner.spool import Spool  # noqa: PLC0415 - for this command only

        self._spool = Spool(configuration.spool)
        self._node = configuration.node

    def argv(self, job: Job) -> tuple[list[str], bool]:
        """Return the argument list, and whether it is the one that was run.

        It is made from the rule when the run's folder is not there, not yet or no more, or when
        the list was too long for the journal in it, whose first line has it.
        """
        from vtspolicy.runner.keeper import STATE  # noqa: PLC0415

        key = run_key(job.id, job.attempt)
        try:
            with (self._spool.folder(key) / STATE).open("rb") as journal:
                argv = json.loads(journal.readline(OUTPUT))["argv"]
            if argv[-1] != "...":
                return [str(each) for each in argv], True
        except (OSError, ValueError, LookupError, TypeError):
            pass
        from vtspolicy.rules.expand import ExpansionError, expand  # noqa: PLC0415

        values = {
            "req": str(job.request),
            "job": str(job.id),
            "attempt": str(job.attempt),
            "handle": job.handle,
            "node": self._node,
            "rundir": str(self._spool.folder(key)),
            **job.values,
        }
        try:
            return list(expand(job.work.run, values)), False
        except ExpansionError:
            return list(job.work.run), False

    def far(self, job: Job) -> Live:
        """Return the progress of a run, read from its output."""
        from vtspolicy.rules.progress import (  # noqa: PLC0415
            bytes_of,
            percent_of,
            progress_readings,
            read_progress,
        )

        key = run_key(job.id, job.attempt)
        found = read_progress(progress_readings(job.work.readings), self._spool.tail(key, OUTPUT))
        return Live(pct=percent_of(found), bytes=bytes_of(found))

    def outputs(self, job: Job) -> dict[str, str]:
        """Return the end of what the run under way has written, and its verification, by key."""
        key = run_key(job.id, job.attempt)
        try:
            names = sorted(each.name for each in self._spool.root.glob(f"{key}-*"))
        except OSError:
            names = []
        tails = {name: self._spool.tail(name, OUTPUT) for name in (key, *names)}
        return {name: tail for name, tail in tails.items() if tail}
