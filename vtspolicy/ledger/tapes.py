"""The catalogue of virtual tapes in the ledger."""

from collections.abc import Iterable

from attrs import evolve

from vtspolicy.ledger.desk import Row
from vtspolicy.ledger.errors import NoSuchRow
from vtspolicy.ledger.reading import ReadingDesk
from vtspolicy.tapes import Tape


def tape_of(row: Row) -> Tape:
    """Return a tape from tape_columns."""
    return Tape(
        vault=row[0],
        pool=row[1],
        cartridge=row[2],
        path=row[3],
        size=row[4],
        written=row[5],
        migrated=row[6],
        handle=row[7],
        application=row[8],
        copied_size=row[9],
        copied_written=row[10],
        erased=row[11],
        restored=row[12],
        retention=row[13],
        locked=bool(row[14]),
        override=row[15],
    )


class TapeDesk(ReadingDesk):
    """Verbs about tapes."""

    def tape(self, path: str) -> Tape | None:
        """Return what is known of the tape whose file is `path` (resolved), or None."""
        row = self._one("tape", path)
        return tape_of(row) if row else None

    def tapes(
        self,
        *,
        vault: str | None = None,
        pool: str | None = None,
        handle: str | None = None,
        after: str = "",
        limit: int = 100_000,
    ) -> list[Tape]:
        """Return tapes by path, those that fit every filter given, after the path `after`."""
        filters = [("vault = ?", vault), ("pool = ?", pool), ("handle = ?", handle)]
        rows = self._filtered("tapes", after, filters, "ORDER BY path", limit)
        return [tape_of(row) for row in rows]

    def tapes_named(self, cartridge: str) -> list[Tape]:
        """Return the tapes of this name: more than one is a name that commands must not use."""
        return [tape_of(row) for row in self._all("tapes_named", cartridge)]

    def save_tape(self, tape: Tape) -> None:
        """Write all that is known of a tape."""
        self._do(
            "save_tape",
            *(tape.vault, tape.pool, tape.cartridge, tape.path, tape.size, tape.written),
            *(tape.migrated, tape.handle, tape.application, tape.copied_size),
            *(tape.copied_written, tape.erased, tape.restored, tape.retention, tape.locked),
            tape.override,
        )

    def save_tapes(self, tapes: Iterable[Tape]) -> None:
        """Write all that is known of several tapes."""
        for tape in tapes:
            self.save_tape(tape)

    def save_files(self, tapes: Iterable[Tape]) -> int:
        """Write what a scan saw of tapes' files: sizes and times, never the marks of copies.

        Returns how many were new or had changed.
        """
        rows = [
            (each.vault, each.pool, each.cartridge, each.path, each.size, each.written)
            for each in tapes
        ]
        return self._connection.executemany(self._sql["save_file"], rows).rowcount

    def set_override(self, path: str, reason: str | None, actor: str, at: float) -> Tape:
        """Let an operator allow (or, with None, forbid again) that one tape is emptied unproven."""
        before = self._need_tape(path)
        self._do("set_override", reason, path)
        told = ("guarded", "overridden")
        self._note(
            at,
            told[before.override is not None],
            told[reason is not None],
            reason or "",
            actor,
            subject=f"tape {before.name}",
        )
        return evolve(before, override=reason)

    def set_locked(self, path: str, locked: bool, actor: str, at: float, reason: str = "") -> Tape:
        """Note that a process uses a tape, or does not any more."""
        before = self._need_tape(path)
        if before.locked != locked:
            self._do("set_locked", locked, path)
            told = ("free", "locked")
            self._note(
                at,
                told[before.locked],
                told[locked],
                reason,
                actor,
                subject=f"tape {before.name}",
            )
        return evolve(before, locked=locked)

    def _need_tape(self, path: str) -> Tape:
        tape = self.tape(path)
        if tape is None:
            raise NoSuchRow("tape", path)
        return tape
