"""The judge of tapes: is each tape's last content where it has to be, and is what is told so?"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from attrs import define, field, frozen

from tests.crash.site import Site
from tests.crash.tapes.journal import EMPTY, Journal, Story, digest_of
from tests.crash.tapes.setting import POOL_OF
from vtspolicy.runner.disk.catalogue import decompress, find
from vtspolicy.runner.disk.failure import DiskError

THEN = {
    "archive to disk": "migrated",
    "found is enough": "migrated",
    "archive by a queued job": "migrated",
    "restore from disk": "restored",
    "restore in place": "restored",
    "restore by a queued job": "restored",
    "erase": "erased",
    "delete": "deleted",
}
"""What success of a rule means for the tape."""

STAYING = ".vtspolicy-clock", ".vtspolicy-keeper-clock", ".vtspolicy-probe-"
"""Private files that may stay: the clocks, and of a probe that was killed for an hour."""


@frozen(kw_only=True)
class Done:
    """One attempt about one tape, by the ledger."""

    job: int
    then: str
    started: float
    state: str


@define
class Ground:
    """A site whose processes are all gone, and what its host remembers."""

    site: Site
    journal: Journal
    _contents: dict[tuple[str, str], bytes | None] = field(factory=dict)

    def path(self, cartridge: str) -> Path:
        """Return a tape's file."""
        return self.site.root / "VAULT01" / POOL_OF[cartridge] / cartridge

    def on_tape(self, cartridge: str) -> bytes | None:
        """Return what a tape has; None when there is none."""
        try:
            return self.path(cartridge).read_bytes()
        except FileNotFoundError:
            return None

    def copies(self, cartridge: str) -> list[bytes]:
        """Return what is in the copies that the ledger has for a tape."""
        path = str(self.path(cartridge))
        rows = self._rows("SELECT source, handle FROM copies WHERE path = ?", path)
        found = [self._content(source, handle) for source, handle in rows]
        return [each for each in found if each is not None]

    def _content(self, source: str, handle: str) -> bytes | None:
        key = (source, handle)
        if self._contents.get(key) is None:
            pieces: list[bytes] = []
            try:
                copy = find(self.site.root / "store", Path(source), handle)
                decompress(
                    copy, [lambda data: pieces.append(bytes(data))], lambda _done, _all: None
                )
            except (DiskError, OSError):
                return None
            self._contents[key] = b"".join(pieces)
        return self._contents[key]

    def private(self) -> list[Path]:
        """Return what is in the pools beside tapes, without what the program keeps there."""
        found = (self.site.root / "VAULT01").rglob(".*")
        return sorted(each for each in found if not each.name.startswith(STAYING))

    def done(self, cartridge: str) -> list[Done]:
        """Return all attempts about a tape, in the order in which they began."""
        rows = self._rows(
            "SELECT jobs.id, jobs.rule, attempts.started, attempts.state FROM jobs"
            " JOIN attempts ON attempts.job = jobs.id"
            " WHERE jobs.path = ? ORDER BY attempts.started",
            str(self.path(cartridge)),
        )
        return [
            Done(job=job, then=THEN.get(rule, "nothing"), started=started, state=state or "")
            for job, rule, started, state in rows
        ]

    def mounts(self) -> list[str]:
        """Return the volumes whose mount requests have no answer."""
        return [
            volume for (volume,) in self._rows("SELECT volume FROM mounts WHERE closed IS NULL")
        ]

    def is_half_restored(self, cartridge: str) -> bool:
        """Whether the ledger says that the tape is half-restored."""
        path = str(self.path(cartridge))
        rows = self._rows("SELECT restoring FROM tapes WHERE path = ?", path)
        return any(restoring is not None for (restoring,) in rows)

    def is_left_unknown(self, cartridge: str) -> bool:
        """Whether what is on a half-restored tape may be its host's: an operator has to decide."""
        path = str(self.path(cartridge))
        return bool(
            self._rows(
                "SELECT path FROM tapes WHERE path = ? AND restoring IS NOT NULL AND size > 0"
                " AND (partial IS NULL OR NOT partial_sure)",
                path,
            )
        )

    def _rows(self, query: str, *values: str) -> list[tuple[str, ...]]:
        ledger = self.site.root / "ledger.db"
        if not ledger.exists():
            return []
        with closing(sqlite3.connect(ledger)) as opened:
            try:
                return opened.execute(query, values).fetchall()
            except sqlite3.OperationalError:  # the first server has died before it was made
                return []


def losses(ground: Ground, *, settled: bool) -> list[str]:
    """Return what is lost, or is where it must not be; nothing of the site may run.

    Until all has settled, what a server that was killed has put aside counts as there: the next
    server gives it its name back. What is kept because a newer file has its name stays for people.
    """
    wrong: list[str] = []
    for cartridge in POOL_OF:
        story = ground.journal.story(cartridge)
        wrong += story.wrong
        wrong += _lost_before(ground, story)
        wrong += _lost(ground, story, settled=settled)
        if settled:
            wrong += _claims(ground, story)
    if settled:
        left = (each.name for each in ground.private() if "-kept-" not in each.name)
        wrong += [f"{name} is left behind" for name in left]
        wrong += [f"a request to mount {name} has no answer" for name in ground.mounts()]
    return wrong


def _lost(ground: Ground, story: Story, *, settled: bool) -> Iterator[str]:
    journal, last, cartridge = ground.journal, story.last, story.cartridge
    if last.is_nothing:
        return
    there = ground.on_tape(cartridge)
    if there is not None and journal.fits(last, there):
        return
    copies = ground.copies(cartridge)
    has_copy = any(journal.fits(last, each) for each in copies)
    aside = [
        each.read_bytes()
        for each in ground.private()
        if each.name.endswith(f"-{cartridge}") and each.is_file()
    ]
    is_aside = not settled and any(journal.fits(last, each) for each in aside)
    what = " or ".join(f"{len(journal.content(each))} bytes {each[:8]}" for each in last.right)
    if not has_copy and not is_aside:
        yield f"LOST: {cartridge} had {what}, and has {_shown(there)}; {len(copies)} copies"
    if there and not is_aside:
        half = any(journal.content(each).startswith(there) for each in last.right)
        if not half or (settled and not ground.is_half_restored(cartridge)):
            yield f"{cartridge} has {_shown(there)} that is not its last content, {what}"


def _lost_before(ground: Ground, story: Story) -> Iterator[str]:
    """What the host has found empty, and written anew, had its content in a copy."""
    if not story.emptied:
        return
    copies = ground.copies(story.cartridge)
    for last in story.emptied:
        if not any(ground.journal.fits(last, each) for each in copies):
            what = " or ".join(each[:8] for each in last.right)
            yield f"LOST: {story.cartridge} had {what}, was emptied, and no copy has that"


def _claims(ground: Ground, story: Story) -> Iterator[str]:
    """What is told as COMPLETED, and begun after the host's last write, is so."""
    last, cartridge = story.last, story.cartridge
    if not last.sure or last.is_nothing:
        return
    later = [each for each in ground.done(cartridge) if each.started > last.at]
    good = [each for each in later if each.state == "completed"]
    if not good:
        return
    there = ground.on_tape(cartridge)
    has_copy = any(ground.journal.fits(last, each) for each in ground.copies(cartridge))
    for each in good:
        if each.then in {"migrated", "erased", "deleted"} and not has_copy:
            yield f"job {each.job}: {each.then} is COMPLETED, and no copy of {cartridge} has it"
    end = good[-1]
    if end.then != "migrated" and later[-1] is end and not _is(end.then, there, ground, story):
        yield f"job {end.job}: {end.then} is COMPLETED, and {cartridge} has {_shown(there)}"


def _is(then: str, there: bytes | None, ground: Ground, story: Story) -> bool:
    match then:
        case "erased":
            return there == b""
        case "deleted":
            return there is None
        case "restored":
            return there is not None and ground.journal.fits(story.last, there)
    return True


def _shown(data: bytes | None) -> str:
    if data is None:
        return "no file"
    digest = digest_of(data)
    return "nothing" if digest == EMPTY else f"{len(data)} bytes {digest[:8]}"
