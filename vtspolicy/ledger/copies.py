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
from vtspolicy.ledger.statements import Row, Statements, Value, to_json
from vtspolicy.ledger.works import WorkRecords
from vtspolicy.rules.work import Work
from vtspolicy.tapes import Copy, Fingerprint, Proof, Restored

MOST_COPIES = 200
"""Copies of one tape that are looked at, the newest first, beside the one it was emptied after."""


def _copy_row(copy: Copy) -> tuple[Value, ...]:
    """Return the columns of a copy but its number."""
    return (
        *(copy.vault, copy.pool, copy.cartridge, copy.path, copy.source, copy.application),
        *(copy.handle, copy.began, copy.ended, fingerprint_text(copy.before)),
        *(fingerprint_text(copy.after), copy.size, copy.files, copy.digest, copy.proof.value),
        *(copy.proved, copy.demanded.value if copy.demanded is not None else None, copy.doubt),
        *(copy.lost, copy.by_us, copy.retention, copy.media, copy.job, copy.work),
        *(to_json(copy.values) if copy.values else None, copy.touches),
    )


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
        rows = self._sql.all("copies_of", path, path, MOST_COPIES)
        copies = []
        for row in rows:
            restored = [_restored(*each) for each in self._sql.all("restored_of", row[0])]
            copies.append(self._copy_of(row, restored))
        return copies

    def by_path(self, after: str = "", until: str = "\U0010ffff") -> dict[str, list[Copy]]:
        """Return the copies of tapes by path, the newest first, for paths after one and up to one.

        A list of tapes is read page by page; this is for one page of it.
        """
        restored: dict[int, list[Restored]] = defaultdict(list)
        for number, *each in self._sql.all("all_restored", after, until):
            restored[number].append(_restored(*each))
        copies: dict[str, list[Copy]] = defaultdict(list)
        for row in self._sql.all("all_copies", after, until):
            copy = self._copy_of(row, restored.get(row[0], []))
            copies[copy.path].append(copy)
        return copies

    def get(self, number: int) -> Copy | None:
        """Return one copy by its number in the ledger."""
        row = self._sql.one("copy", number)
        if row is None:
            return None
        return self._copy_of(
            row, [_restored(*each) for each in self._sql.all("restored_of", number)]
        )

    def _copy_of(self, row: Row, restored: Sequence[Restored]) -> Copy:
        """Return a copy from copy_columns."""
        return Copy(
            id=row[0],
            vault=row[1],
            pool=row[2],
            cartridge=row[3],
            path=row[4],
            source=row[5],
            application=row[6],
            handle=row[7],
            began=row[8],
            ended=row[9],
            before=fingerprint_of(row[10]),
            after=fingerprint_of(row[11]),
            size=row[12],
            files=row[13],
            digest=row[14],
            proof=Proof(row[15]),
            proved=row[16],
            demanded=None if row[17] is None else Proof(row[17]),
            doubt=row[18],
            lost=row[19],
            by_us=bool(row[20]),
            retention=row[21],
            media=row[22],
            job=row[23],
            work=row[24],
            values=json.loads(row[25] or "{}"),
            touches=bool(row[26]),
            restored=tuple(restored),
        )

    def work_of(self, copy: Copy) -> Work | None:
        """Return the work that made a copy, with its queries; None when no job made it."""
        return None if copy.work is None else self._works.get(copy.work)

    def due(self, application: str, before: float, limit: int) -> list[Copy]:
        """Return copies with the last content of tapes that were last proven before a time."""
        return [
            self._copy_of(row, ())
            for row in self._sql.all("copies_due", application, before, limit)
        ]

    def unproven_tapes(self) -> int:
        """Return of how many migrated or erased tapes the copy was never found, or is lost."""
        return int(self._sql.need("unproven_tapes")[0])

    def add(self, copy: Copy) -> Copy:
        """Record a copy; returns it with its number."""
        return evolve(copy, id=int(self._sql.need("add_copy", *_copy_row(copy))[0]))

    def note_proof(self, copy: Copy, proof: Proof, at: float, *, digest: str | None = None) -> None:
        """Note that a copy was proven again, without saying anything of a tape."""
        self._sql.do("prove_copy", proof.value, at, digest, copy.id)
        self._change.tapes.append(copy.path)

    def lose(self, copy: Copy, at: float, reason: str) -> bool:
        """Note that an application does not have a copy any more; False: that is known already."""
        if not self._sql.do("lose_copy", at, copy.id):
            return False
        self._change.tapes.append(copy.path)
        subject = f"tape /{copy.vault}/{copy.pool}/{copy.cartridge}"
        told = f"copy {copy.handle} of {copy.application}: {reason}"
        self._history.note(at, "copied", "copy lost", told, "engine", subject=subject)
        return True

    def note_restored(self, copy: int, file: Fingerprint, at: float, *, sure: bool = True) -> None:
        """Note a file that has the content of a copy: a restore brought it back, or it moved."""
        self._sql.do("add_restored", copy, at, fingerprint_text(file), sure)


def _restored(at: float, fingerprint: str, sure: int) -> Restored:
    """Return a restored file from a row."""
    found = fingerprint_of(fingerprint)
    if found is None:
        raise NoSuchRow("restored file", int(at))
    return Restored(fingerprint=found, at=at, sure=bool(sure))
