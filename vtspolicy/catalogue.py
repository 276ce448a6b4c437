"""What others have done to tapes: the files that a scan saw, compared with the records."""

from collections import defaultdict
from collections.abc import Collection, Iterable

from attrs import evolve, frozen

from vtspolicy.tapes import Tape, seen


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

    A tape that is gone from its pool and stands in another has been moved: its record follows.
    One that a restore is writing, or has left half written, is not looked at.
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
        if len(there) != 1:
            changes.append(Change(before=None, after=file, told="added by others"))
            continue
        candidates.remove(there[0])
        moved = evolve(there[0], vault=file.vault, pool=file.pool, path=path)
        after = seen(moved, size=file.size, written=file.written, at=at)
        told = f"moved by others, from {there[0].name}"
        changes.append(Change(before=there[0], after=after, told=told))
    for vanished in gone.values():
        for record in vanished:
            if record.size is not None:
                after = seen(record, size=None, written=None, at=at)
                changes.append(Change(before=record, after=after, told="removed by others"))
    return changes


def _changed(before: Tape, file: Tape, at: float) -> list[Change]:
    if (before.size, before.written) == (file.size, file.written) or before.restoring is not None:
        return []
    told = None
    if before.size is None:
        told = "there again"
    elif before.size and not file.size:
        told = "emptied by others"
    after = seen(before, size=file.size, written=file.written, at=at)
    return [Change(before=before, after=after, told=told)]


def named_twice(found: Iterable[Tape]) -> dict[str, list[str]]:
    """Return the names that stand in more than one place, each with its places."""
    places: dict[str, list[str]] = defaultdict(list)
    for tape in found:
        places[tape.cartridge].append(tape.name)
    return {name: where for name, where in sorted(places.items()) if len(where) > 1}
