"""The copies of tapes in the ledger; each is kept while its tape is known."""

import json
from collections import defaultdict
from collections.abc import Sequence

from attrs import evolve

from vtspolicy.changes import ChangeBuilder
from vtspolicy.ledger.errors import NoSuchRow
from vtspolicy.ledger.fingerprints import fingerprint_of, fingerprint_text
from vtspolicy.ledger.history import History
from vtspolicy.ledger.part import Part
from vtspolicy.ledger.statements import Columns, Row, Statements, to_json
from vtspolicy.ledger.works import WorkRecords
from vtspolicy.rules.work import Work
from vtspolicy.tapes import Copy, Fingerprint, Proof, Restored

MOST_COPIES = 200
"""Copies of one tape that are looked at, the newest first, beside the one it was emptied after."""


def _copy_columns(copy: Copy) -> Columns:
    """Return the columns of a copy but its number."""
    return {
        "vault": copy.vault,
        "pool": copy.pool,
        "cartridge": copy.cartridge,
        "path": copy.path,
        "source": copy.source,
        "application": copy.application,
        "handle": copy.handle,
        "began": copy.began,
        "ended": copy.ended,
        "before": fingerprint_text(copy.before),
        "after": fingerprint_text(copy.after),
        "size": copy.size,
        "files": copy.files,
        "digest": copy.digest,
        "proof": copy.proof.value,
        "proved": copy.proved,
        "demanded": copy.demanded.value if copy.demanded is not None else None,
        "doubt": copy.doubt,
        "lost": copy.lost,
        "by_us": copy.by_us,
        "retention": copy.retention,
        "media": copy.media,
        "job": copy.job,
        "work": copy.work,
        "call_values": to_json(copy.values) if copy.values else None,
        "touches": copy.touches,
    }


class CopyRecords(Part):
    """Copies."""

    def __init__(
        self, sql: Statements, change: ChangeBuilder, works: WorkRecords, history: History
    ) -> None:
        super().__init__(sql, change)
        self._works = works
        self._history = history

    def of_tape(self, path: str) -> list[Copy]:
        """Return the copies of a tape, the newest first."""
        rows = self._sql.all("copies_of", path=path, most=MOST_COPIES)
        copies = []
        for row in rows:
            restored = [_restored(each) for each in self._sql.all("restored_of", copy=row.id)]
            copies.append(self._copy_of(row, restored))
        return copies

    def by_path(self, after: str = "", until: str = "\U0010ffff") -> dict[str, list[Copy]]:
        """Return the copies of tapes by path, the newest first, for paths after one and up to one.

        A list of tapes is read page by page; this is for one page of it.
        """
        restored: dict[int, list[Restored]] = defaultdict(list)
        for each in self._sql.all("all_restored", after=after, until=until):
            restored[each.copy].append(_restored(each))
        copies: dict[str, list[Copy]] = defaultdict(list)
        for row in self._sql.all("all_copies", after=after, until=until):
            copy = self._copy_of(row, restored.get(row.id, []))
            copies[copy.path].append(copy)
        return copies

    def get(self, number: int) -> Copy | None:
        """Return one copy by its number in the ledger."""
        row = self._sql.one("copy", id=number)
        if row is None:
            return None
        return self._copy_of(
            row, [_restored(each) for each in self._sql.all("restored_of", copy=number)]
        )

    def _copy_of(self, row: Row, restored: Sequence[Restored]) -> Copy:
        """Return a copy from copy_columns."""
        return Copy(
            id=row.id,
            vault=row.vault,
            pool=row.pool,
            cartridge=row.cartridge,
            path=row.path,
            source=row.source,
            application=row.application,
            handle=row.handle,
            began=row.began,
            ended=row.ended,
            before=fingerprint_of(row.before),
            after=fingerprint_of(row.after),
            size=row.size,
            files=row.files,
            digest=row.digest,
            proof=Proof(row.proof),
            proved=row.proved,
            demanded=None if row.demanded is None else Proof(row.demanded),
            doubt=row.doubt,
            lost=row.lost,
            by_us=bool(row.by_us),
            retention=row.retention,
            media=row.media,
            job=row.job,
            work=row.work,
            values=json.loads(row.call_values or "{}"),
            touches=bool(row.touches),
            restored=tuple(restored),
        )

    def work_of(self, copy: Copy) -> Work | None:
        """Return the work that made a copy, with its queries; None when no job made it."""
        return None if copy.work is None else self._works.get(copy.work)

    def due(self, application: str, before: float, limit: int) -> list[Copy]:
        """Return copies with the last content of tapes that were last proven before a time."""
        return [
            self._copy_of(row, ())
            for row in self._sql.all(
                "copies_due", application=application, before=before, limit=limit
            )
        ]

    def unproven_tapes(self) -> int:
        """Return of how many migrated or erased tapes the copy was never found, or is lost."""
        return int(self._sql.need("unproven_tapes").count)

    def add(self, copy: Copy) -> Copy:
        """Record a copy; returns it with its number."""
        return evolve(copy, id=int(self._sql.need("add_copy", **_copy_columns(copy)).id))

    def note_proof(self, copy: Copy, proof: Proof, at: float, *, digest: str | None = None) -> None:
        """Note that a copy was proven again, without saying anything of a tape."""
        self._sql.do("prove_copy", proof=proof.value, proved=at, digest=digest, id=copy.id)
        self._change.tapes.append(copy.path)

    def lose(self, copy: Copy, at: float, reason: str) -> bool:
        """Note that an application does not have a copy any more; False: that is known already."""
        if not self._sql.do("lose_copy", lost=at, id=copy.id):
            return False
        self._change.tapes.append(copy.path)
        subject = f"tape /{copy.vault}/{copy.pool}/{copy.cartridge}"
        told = f"copy {copy.handle} of {copy.application}: {reason}"
        self._history.note(at, "copied", "copy lost", told, "engine", subject=subject)
        return True

    def note_restored(self, copy: int, file: Fingerprint, at: float, *, sure: bool = True) -> None:
        """Note a file that has the content of a copy: a restore brought it back, or it moved."""
        self._sql.do(
            "add_restored", copy=copy, at=at, fingerprint=fingerprint_text(file), sure=sure
        )


def _restored(row: Row) -> Restored:
    """Return a restored file from a row."""
    found = fingerprint_of(row.fingerprint)
    if found is None:
        raise NoSuchRow("restored file", int(row.at))
    return Restored(fingerprint=found, at=row.at, sure=bool(row.sure))
