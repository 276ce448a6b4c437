"""A ledger that is restored from a copy: nothing that was given since then is given again."""

import os
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import evolve
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from vtspolicy.events.event import Event
from vtspolicy.jobs import RequestState
from vtspolicy.ledger import (
    AttemptRecords,
    Intake,
    JobRecords,
    RequestRecords,
    Transaction,
    open_ledger,
)
from vtspolicy.ledger.numbers import BEGINNING
from vtspolicy.ledger.sqlite import SqliteLedger
from vtspolicy.rules.decision import PlannedJob
from vtspolicy.rules.work import Work
from vtspolicy.testing.clock import MIDDAY

SECOND = 10_000  # requests, and jobs, that are left out for each

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
        await ledger.write(Transaction.begin_serving, newest, now=MIDDAY)
        recorded = [
            (
                await ledger.write(RequestRecords.record, evolve(INTAKE, received=float(n)))
            ).result.jobs[0]
            for n in range(jobs)
        ]
        read = [await ledger.read(JobRecords.get, job.id) for job in recorded]
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

    def test_requests_and_notices_have_numbers_that_no_host_has_seen(self):
        return Deferred.fromCoroutine(self._numbers())

    async def _numbers(self):
        path, copy = self._places()
        ledger = await self._open(path)
        known = [await self._record(ledger)]
        await ledger.backup(Path(copy))
        known += [await self._record(ledger)]
        await ledger.close()
        self._serve_many(path)
        known += await self._serve_some(path)
        for seconds in (3600, 3601, 7200):
            shutil.copy(copy, path)
            os.unlink(f"{path}.lock")  # noqa: PTH108 - nothing is left that knows of that time
            known += await self._serve_some(path, now=MIDDAY + seconds)
        self._are_all_new(known)

    def _serve_many(self, path):
        """Give as many numbers as a busy hour does: ten notices for each request."""
        with closing(sqlite3.connect(path)) as ledger, ledger:
            ledger.execute("UPDATE sqlite_sequence SET seq = seq + 600000")
            ledger.execute("UPDATE sqlite_sequence SET seq = seq + 5400000 WHERE name = 'notices'")

    async def _serve_some(self, path, **more):
        ledger = await self._open(path, **more)
        known = [await self._record(ledger), await self._record(ledger)]
        await ledger.close()
        return known

    def _are_all_new(self, known):
        for given in (
            [each.request for each in known],
            [each.jobs[0].id for each in known],
            [notice.id for each in known for notice in each.notices],
        ):
            assert given == sorted(set(given))

    def test_numbers_are_left_out_even_where_the_clock_has_not_been_set(self):
        return Deferred.fromCoroutine(self._clock())

    async def _clock(self):
        path, copy = self._places()
        ledger = await self._open(path)
        known = [await self._record(ledger)]
        await ledger.backup(Path(copy))
        await ledger.close()
        self._serve_many(path)
        known += await self._serve_some(path)
        newest = known[-1].jobs[0].id
        shutil.copy(copy, path)
        known += await self._serve_some(path, newest=newest, now=0.0)
        newest += 2_000_000
        shutil.copy(copy, path)
        (again, _) = await self._serve_some(path, newest=newest, now=0.0)
        self._are_all_new(known)
        assert again.jobs[0].id == newest + 1

    def test_numbers_stay_such_as_any_program_reads_in_json(self):
        return Deferred.fromCoroutine(self._json())

    async def _json(self):
        path, copy = self._places()
        ledger = await self._open(path)
        await self._record(ledger)
        await ledger.backup(Path(copy))
        await ledger.close()
        shutil.copy(copy, path)
        after = await self._serve_some(path, now=datetime(2310, 1, 1, tzinfo=UTC).timestamp())
        assert 10**15 < after[-1].notices[-1].id < 2**53

    def test_who_opens_a_copy_before_its_server_does_not_make_it_another_ledger(self):
        return Deferred.fromCoroutine(self._opened_beside())

    async def _opened_beside(self):
        path, copy = self._places()
        ledger = await self._open(path)
        await self._record(ledger)
        await ledger.backup(Path(copy))
        await ledger.close()
        shutil.copy(copy, path)
        with open_ledger(path, readonly=False) as tx:
            tx.meta.uid()
        ledger = SqliteLedger(path, reactor)
        await ledger.open()
        await ledger.close()  # a start that came to nothing
        ledger = await self._open(path)
        assert (await self._record(ledger)).request > SECOND
        await ledger.close()

    def test_numbers_are_left_out_once_and_by_no_ledger_that_was_not_restored(self):
        return Deferred.fromCoroutine(self._once())

    async def _once(self):
        path, copy = self._places()
        requests = []
        for again in range(4):
            ledger = await self._open(path, now=BEGINNING + 60 + again)
            requests.append((await self._record(ledger)).request)
            await ledger.backup(Path(copy))
            await ledger.close()
            if again == 1:
                shutil.copy(copy, path)
        assert requests == [1, 2, 62 * SECOND + 1, 62 * SECOND + 2]

    def test_what_was_under_way_may_have_run_since(self):
        return Deferred.fromCoroutine(self._doubt())

    async def _doubt(self):
        path, copy = self._places()
        ledger = await self._open(path)
        (job,) = (await self._record(ledger)).jobs
        await ledger.write(JobRecords.start_attempt, job.id, 2.0, (), "this boot")
        await ledger.backup(Path(copy))
        await ledger.close()
        for expected in ("this boot", "unknown"):
            ledger = await self._open(path)
            (attempt,) = await ledger.read(AttemptRecords.of_job, job.id)
            assert attempt.boot == expected
            await ledger.close()
            shutil.copy(copy, path)

    async def _open(self, path, newest=0, now=MIDDAY):
        ledger = SqliteLedger(path, reactor)
        await ledger.open()
        await ledger.write(Transaction.begin_serving, newest, now=now)
        return ledger

    async def _record(self, ledger):
        return (await ledger.write(RequestRecords.record, INTAKE)).result
