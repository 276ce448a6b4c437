"""The works of jobs: each is kept once."""

import hashlib
import json

from cattrs.preconf.json import make_converter

from vtspolicy.changes import ChangeBuilder
from vtspolicy.ledger.part import Part
from vtspolicy.ledger.statements import Statements
from vtspolicy.rules.work import Work

_CONVERTER = make_converter()
_WORKS_KEPT = 1000


def work_text(work: Work) -> str:
    """Return the canonical JSON of a work: equal works have equal texts."""
    return json.dumps(
        _CONVERTER.unstructure(work), ensure_ascii=False, separators=(",", ":"), sort_keys=True
    )


def work_of(text: str) -> Work:
    """Return the work that `work_text` wrote."""
    return _CONVERTER.structure(json.loads(text), Work)


class WorkRecords(Part):
    """Works by their numbers in the ledger."""

    def __init__(self, sql: Statements, change: ChangeBuilder) -> None:
        super().__init__(sql, change)
        self._work_by_id: dict[int, Work] = {}
        # By identity: the jobs of one rule share one Work. It is kept here, so no id is used again.
        self._id_by_work: dict[int, tuple[Work, int]] = {}

    def forget(self) -> None:
        """Forget the works that were remembered."""
        self._work_by_id.clear()
        self._id_by_work.clear()

    def number(self, work: Work) -> int:
        """Return the number of a work, which is recorded if it is new."""
        known = self._id_by_work.get(id(work))
        if known is not None:
            return known[1]
        text = work_text(work)
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        self._sql.do("record_work", hash=digest, body=text)
        number = int(self._sql.need("work_id", hash=digest).id)
        if len(self._id_by_work) >= _WORKS_KEPT:
            self._id_by_work.clear()
        self._id_by_work[id(work)] = (work, number)
        self._remember_work(number, work)
        return number

    def get(self, number: int) -> Work:
        """Return a work by its number."""
        work = self._work_by_id.get(number)
        if work is None:
            work = work_of(str(self._sql.need("work_body", id=number).body))
            self._remember_work(number, work)
        return work

    def _remember_work(self, number: int, work: Work) -> None:
        if len(self._work_by_id) >= _WORKS_KEPT:
            self._work_by_id.clear()
        self._work_by_id[number] = work
