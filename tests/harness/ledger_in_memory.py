"""A ledger in memory with the smallest things to record in it."""

from datetime import datetime

from vtspolicy.events.event import Event, identity
from vtspolicy.jobs import JobState, RequestState
from vtspolicy.ledger import Ending, Intake
from vtspolicy.rules.decision import PlannedJob
from vtspolicy.rules.work import Work
from vtspolicy.tapes import Tape

ARCHIVE = Work(application="DSK", run=("vtspolicy", "disk", "archive", "{path}"), then="migrated")


DONE = Ending(state=JobState.COMPLETED, kind="exited", code=0)


def a_tape(number=17, **more):
    name = f"A{number:05d}"
    more = {"size": 10, "written": 5.0, **more}
    return Tape(vault="VAULT01", pool="PAY", cartridge=name, path=f"/data/PAY/{name}", **more)


def an_event(minute=1, **more):
    given = {
        "text": "VTSPolicy DSK 'archive /VAULT01/PAY ref=R1'",
        "time": datetime(2026, 11, 22, 2, minute),  # noqa: DTZ001 - as displayed: no zone
        "system": "\\NSK1",
        "process": "$ZBAT",
        "ssid": "TANDEM.EMS.L01",
        "number": 1234,
    }
    return Event(**{**given, **more})


def an_intake(count=1, *, work=ARCHIVE, event=None, **more):
    event = event or an_event()
    tapes = [a_tape(number) for number in range(count)]
    jobs = tuple(
        PlannedJob(work=work, values={"path": tape.path}, lock=tape.name, tape=tape)
        for tape in tapes
    )
    given = {
        "event": event,
        "host": "NSK1",
        "received": 100.0,
        "state": RequestState.OPEN,
        "digest": identity("NSK1", event),
        "family": "DSK",
        "operation": "archive",
        "ref": "R1",
        "rule": "all to disk",
        "table": "abc",
        "jobs": jobs,
    }
    return Intake(**{**given, **more})


def words(tx, request):
    return [notice.word for notice in tx.notices.of_request(request)]
