"""A ledger that is put back from a copy: nothing that was given since then is given again."""

import shutil
from tempfile import TemporaryDirectory

from attrs import evolve
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from vtspolicy.events.event import Event
from vtspolicy.jobs import RequestState
from vtspolicy.ledger import Book, Intake
from vtspolicy.ledger.sqlite import SqliteLedger
from vtspolicy.rules.decision import PlannedJob
from vtspolicy.rules.work import Work

INTAKE = Intake(
    event=Event(text="VTSPolicy DSK 'archive /VAULT01/P/A00017'"),
    host="NSK1",
    received=1.0,
    state=RequestState.OPEN,
    jobs=(PlannedJob(work=Work(application="DSK", run=("true",)), values={}, lock=None),),
)


class PutBack(TestCase):
    def test_neither_job_numbers_nor_handles_are_given_twice(self):
        return Deferred.fromCoroutine(self._put_back())

    async def _put_back(self):
        path, copy = self._places()
        before = await self._serve(path, newest=0, jobs=2)
        shutil.copy(path, copy)
        lost = await self._serve(path, newest=2, jobs=3)
        shutil.copy(copy, path)
        after = await self._serve(path, newest=5, jobs=2)
        numbers = [job.id for job in before + lost + after]
        assert sorted(set(numbers)) == numbers
        assert len({job.handle for job in before + lost + after}) == 7

    def _places(self):
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return f"{folder.name}/ledger.db", f"{folder.name}/copy.db"

    async def _serve(self, path, *, newest, jobs):
        ledger = SqliteLedger(path, reactor)
        await ledger.open()
        await ledger.write(Book.begin_era, newest)
        recorded = [
            (await ledger.write(Book.record, evolve(INTAKE, received=float(n)))).jobs[0]
            for n in range(jobs)
        ]
        read = [await ledger.read(Book.job, job.id) for job in recorded]
        assert [job.handle for job in read] == [job.handle for job in recorded]
        await ledger.close()
        return recorded

    def test_handles_differ_even_when_the_spool_is_gone_too(self):
        return Deferred.fromCoroutine(self._without_spool())

    async def _without_spool(self):
        path, copy = self._places()
        await self._serve(path, newest=0, jobs=1)
        shutil.copy(path, copy)
        lost = await self._serve(path, newest=0, jobs=1)
        shutil.copy(copy, path)
        after = await self._serve(path, newest=0, jobs=1)
        assert lost[0].handle != after[0].handle
