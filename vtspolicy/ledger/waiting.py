"""Jobs that wait, as the queue has to know them: a hundred thousand are read at a start."""

from vtspolicy.changes import ChangeBuilder
from vtspolicy.jobs import WaitingJob
from vtspolicy.ledger.part import Part
from vtspolicy.ledger.statements import Statements
from vtspolicy.ledger.works import WorkRecords


class WaitingJobs(Part):
    """Reads of waiting jobs without what only their runs need."""

    def __init__(self, sql: Statements, change: ChangeBuilder, works: WorkRecords) -> None:
        super().__init__(sql, change)
        self._works = works

    def page(self, after_id: int, limit: int) -> list[WaitingJob]:
        """Return jobs that wait, by number, of those with a number above one."""
        work = self._works.get
        return [
            WaitingJob(
                row.id,
                work(row.work),
                row.lock,
                row.priority,
                row.due,
                row.created,
                row.attempt,
                row.started,
            )
            for row in self._sql.all("waiting_jobs", after=after_id, limit=limit)
        ]
