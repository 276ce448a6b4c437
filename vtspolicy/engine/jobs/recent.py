"""Jobs that were just recorded, in memory: one whose turn comes soon need not be read."""

from attrs import define, field

from vtspolicy.jobs import Job

MOST = 1000
"""How many are kept: the newest."""


@define
class RecentJobs:
    """Waiting jobs, each as it was recorded."""

    _jobs: dict[int, Job] = field(factory=dict, init=False)  # by number, the oldest first

    def add(self, job: Job) -> None:
        """Keep a job; the oldest makes room for it."""
        if len(self._jobs) >= MOST:
            del self._jobs[next(iter(self._jobs))]
        self._jobs[job.id] = job

    def take(self, job: int) -> Job | None:
        """Return a job whose turn has come; it is not kept any longer. None: it has to be read."""
        return self._jobs.pop(job, None)

    def forget(self, job: int) -> None:
        """A job has ended."""
        self._jobs.pop(job, None)
