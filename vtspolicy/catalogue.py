"""What others have done to tapes: the files that a scan saw, compared with the records."""

from collections import defaultdict
from collections.abc import Collection, Iterable

from attrs import evolve, frozen

from vtspolicy.tapes import Difference, Tape, difference, in_vault, is_same_file, looked_at


@frozen(kw_only=True)
class Change:
    """One tape whose file is not as its record says."""

    before: Tape | None  # the record; None for a tape that is not known
    after: Tape  # what the record becomes
    told: str | None  # what the history says; None for what happens all day, a write


def compare(
    known: Iterable[Tape], found: Iterable[Tape], *, vaults: Collection[str], at: float
) -> list[Change]:
    """Return how the files of some vaults, all of them, differ from the records.

    A tape that is gone from its pool and is in another has been moved: its record follows.
    One that a restore is writing is not looked at.
    """
    records = {tape.path: tape for tape in known}
    files = {tape.path: tape for tape in found}
    gone: dict[str, list[Tape]] = defaultdict(list)
    for record in records.values():
        if record.path not in files and record.vault in vaults:
            gone[record.cartridge].append(record)
    changes: list[Change] = []
    for path, file in files.items():
        before = records.get(path)
        if before is not None:
            changes += _changed(before, file, at)
            continue
        candidates = gone.get(file.cartridge, [])
        there = [each for each in candidates if each.size is not None] or candidates
        # Where a vault has another folder now, each tape is in the pool that it was in.
        there = [each for each in candidates if each.name == file.name] or there
        if len(there) != 1:
            changes.append(Change(before=None, after=file, told="added by others"))
            continue
        moved = there[0]
        candidates.remove(moved)
        told = f"moved by others, from {moved.name}"
        changes.append(Change(before=moved, after=_moved(moved, file, at), told=told))
    for vanished in gone.values():
        for record in vanished:
            if record.size is not None:
                gone_file = evolve(record, size=None, written=None, seen=None)
                after = looked_at(record, gone_file, at=at)
                changes.append(Change(before=record, after=after, told="removed by others"))
    return changes


def _changed(before: Tape, file: Tape, at: float) -> list[Change]:
    if before.vault != file.vault:
        after = looked_at(in_vault(before, file.vault), file, at=at)
        return [Change(before=before, after=after, told=f"its vault was called {before.vault}")]
    same = is_same_file(before, file)
    if same and before.seen == file.seen and not before.unseen:
        return []
    if before.restoring is not None and before.partial is None:
        return []  # a restore writes to it
    told = None
    if same:
        pass
    elif before.size is None:
        told = "there again"
    elif before.size and not file.size:
        told = "emptied by others"
    after = looked_at(before, file, at=at)
    if after.doubted is not None and before.doubted is None:
        told = "other than the restored ledger has it"
    return [Change(before=before, after=after, told=told)]


def _moved(before: Tape, file: Tape, at: float) -> Tape:
    """Return the record of a tape that was renamed: that changes the change time of its file."""
    there = evolve(before, vault=file.vault, pool=file.pool, path=file.path)
    if before.seen is not None and file.seen is not None and before.kept is not None:
        kept = difference(before.kept, before.seen)
        renamed = difference(evolve(before.seen, vault=file.seen.vault), file.seen)
        if kept is Difference.NONE and renamed is not Difference.WRITTEN:
            there = evolve(there, kept=file.seen)
    return looked_at(there, file, at=at)


def named_twice(found: Iterable[Tape]) -> dict[str, list[str]]:
    """Return the names that are in more than one place, each with its places."""
    places: dict[str, list[str]] = defaultdict(list)
    for tape in found:
        places[tape.cartridge].append(tape.name)
    return {name: where for name, where in sorted(places.items()) if len(where) > 1}
