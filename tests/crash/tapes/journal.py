"""What a host remembers of the tapes that it writes: the judge of what must not be lost.

It lies outside of the site. Each tape has a file of JSON lines, added by single writes, and a lock
that is held while the tape is written:

    {"first": DIGEST}                                  what the tape has at first
    {"begin": N, "way": W, "was": DIGEST, "states": [DIGEST, ...]}
    {"end": N, "digest": DIGEST, "at": TIME}           what the tape has then
    {"replaced": N} {"mixed": N, "digest": DIGEST}     what must not happen while a host has it open

`was` is null where it was not read. `states` are what the tape has after each step of the write. Of
a write that has begun and not ended, because its process was killed, each of them is right, and so
is what the tape had before; and, as a step need not be done in one, what lies between two of them.
All contents are kept.
"""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

EMPTY = hashlib.sha256().hexdigest()


def digest_of(data: bytes) -> str:
    """Return what stands for a content."""
    return hashlib.sha256(data).hexdigest()


@frozen(kw_only=True)
class Last:
    """What was last written to a tape, as far as that is certain."""

    right: tuple[str, ...]  # each of them may be it
    steps: tuple[tuple[str, str], ...] = ()  # what lies between two of them may be it, too
    at: float = 0.0  # when that was written, seconds since the epoch
    sure: bool = True  # the write had an end

    @property
    def is_nothing(self) -> bool:
        """Whether it may be that nothing is on the tape: then nothing can be lost."""
        return EMPTY in self.right


@frozen(kw_only=True)
class Story:
    """A tape's whole story."""

    cartridge: str
    last: Last
    writes: int = 0
    emptied: tuple[Last, ...] = ()  # what was last on it before the host has found it empty
    wrong: tuple[str, ...] = ()  # what the host itself saw, and must not see


@frozen
class Journal:
    """The journal in one folder."""

    root: Path

    def make(self, tapes: dict[str, bytes]) -> None:
        """Begin the journal with what the tapes have."""
        (self.root / "contents").mkdir(parents=True)
        for cartridge, data in tapes.items():
            self.note(cartridge, first=self.keep(data))

    @contextmanager
    def held(self, cartridge: str) -> Iterator[None]:
        """Hold a tape's entry: who holds it is the only one to write the tape."""
        lock = os.open(self.root / f"{cartridge}.lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def note(self, cartridge: str, **line: Any) -> None:
        """Add a line, durable when this returns."""
        file = os.open(self.root / cartridge, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, json.dumps(line).encode() + b"\n")
            os.fdatasync(file)
        finally:
            os.close(file)

    def ended(self, cartridge: str, number: int, data: bytes) -> None:
        """Note that a write has ended."""
        self.note(cartridge, end=number, digest=self.keep(data), at=time.time())

    def keep(self, data: bytes) -> str:
        """Keep a content and return its digest."""
        digest = digest_of(data)
        place = self.root / "contents" / digest
        if not place.exists():
            unfinished = place.with_suffix(f".{os.getpid()}")
            unfinished.write_bytes(data)
            unfinished.rename(place)
        return digest

    def content(self, digest: str) -> bytes:
        """Return a content that was kept."""
        return (self.root / "contents" / digest).read_bytes()

    def story(self, cartridge: str) -> Story:
        """Return a tape's story so far."""
        lines = (self.root / cartridge).read_text().splitlines()
        first = json.loads(lines[0])["first"]
        story = Story(cartridge=cartridge, last=Last(right=(first,)))
        for line in lines[1:]:
            said = json.loads(line)
            if "begin" in said:
                story = self._begun(story, said)
            elif "end" in said:
                last = Last(right=(said["digest"],), at=said["at"])
                story = evolve(story, last=last)
            else:
                what = "replaced" if "replaced" in said else "written by another"
                told = f"{cartridge} was {what} while a host had it open: write {said}"
                story = evolve(story, wrong=(*story.wrong, told))
        return story

    def _begun(self, story: Story, said: dict[str, Any]) -> Story:
        """Return the story with a write that has begun."""
        before, was = story.last, said["was"]
        if was not in {None, EMPTY}:
            if self.fits(before, self.content(was)):
                before = evolve(before, right=(was,), steps=())
            elif not self._is_partial(before, self.content(was)):
                told = f"{story.cartridge} had other data than its last when write {said} began"
                story = evolve(story, wrong=(*story.wrong, told))
        elif was == EMPTY and not before.is_nothing:
            story = evolve(story, emptied=(*story.emptied, before))
        states = said["states"]
        steps = [(one, other) for one in before.right for other in states[:1]]
        steps += list(pairwise(states))
        if said["way"] == "rename":
            steps = []  # it is done in one
        last = Last(
            right=(*before.right, *states),
            steps=(*before.steps, *steps),
            at=before.at,
            sure=False,
        )
        return evolve(story, last=last, writes=story.writes + 1)

    def fits(self, last: Last, data: bytes) -> bool:
        """Whether a content is what was last written, or may be."""
        if last.is_nothing or digest_of(data) in last.right:
            return True
        return any(
            _is_between(self.content(one), self.content(other), data) for one, other in last.steps
        )

    def _is_partial(self, last: Last, data: bytes) -> bool:
        """Whether a content is the beginning of what was last written: half of a restore."""
        return any(self.content(each).startswith(data) for each in last.right)


def _is_between(old: bytes, new: bytes, data: bytes) -> bool:
    """Whether a content is the beginning of the new one, followed by the end of the old one."""
    shorter, longer = sorted((len(old), len(new)))
    pairs = enumerate(zip(data, new, strict=False))
    at = next((number for number, (one, other) in pairs if one != other), min(len(data), len(new)))
    return shorter <= len(data) <= longer and data[at:] == old[at : len(data)]
