"""What is not in the ledger about jobs that have not ended: why one waits, how far one is."""

from collections.abc import Mapping, Sequence

from vtspolicy.engine.jobs.progress import Progress
from vtspolicy.jobs import Job, JobState
from vtspolicy.queue.protocol import Queue, Why
from vtspolicy.records import Live
from vtspolicy.rules.progress import bytes_of, percent_of

LOOKS = 200
"""Running jobs whose output is read for one answer: the end of a file each."""


def live(
    queue: Queue, progress: Progress, jobs: Sequence[Job], *, draining: bool
) -> Mapping[int, Live]:
    """Return what only the engine knows of these jobs, by number; of those that ended nothing."""
    waiting = [job.id for job in jobs if job.state is JobState.WAITING]
    found: dict[int, Live] = {}
    for number, standing in queue.standings(waiting).items():
        held = draining and standing.why is Why.SEAT
        found[number] = Live(
            waits_for="drain" if held else standing.why.value,
            place=standing.place,
            of=standing.waiting or None,
            behind=standing.behind,
        )
    running = [job for job in jobs if job.state.is_live and job.state is not JobState.WAITING]
    for job in running[:LOOKS]:
        readings = progress.of(job)
        found[job.id] = Live(pct=percent_of(readings), bytes=bytes_of(readings))
    return found
