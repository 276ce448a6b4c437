"""What a write to the ledger has changed: all that somebody else may have to act on."""

from typing import Generic, TypeVar

from attrs import define, field, frozen

from vtspolicy.jobs import Job
from vtspolicy.notices import Notice

T = TypeVar("T")


@frozen(kw_only=True)
class Answered:
    """A command that was recorded, and its answer: it was accepted, refused or seen before."""

    notices: tuple[Notice, ...]  # the answer, then the final notice if the request ended at once
    family: str  # "" where the command could not be read
    rule: str | None  # the rule that decided; None where no rule did, or it was seen before
    actor: str | None  # who gave it, if not its host
    repeats: int | None = None  # the job that it runs again, by an operator's order

    @property
    def answer(self) -> Notice:
        """The first notice about the command."""
        return self.notices[0]


@frozen(kw_only=True)
class Change:
    """What one write changed. Each part is in the order in which it was recorded."""

    answered: tuple[Answered, ...] = ()  # commands that were recorded
    notices: tuple[Notice, ...] = ()  # that were recorded, with those about the commands
    waiting: tuple[Job, ...] = ()  # new jobs, which are not in the queue yet
    started: tuple[Job, ...] = ()  # jobs of which an attempt begins
    retried: tuple[Job, ...] = ()  # jobs of which an attempt has ended, and another one follows
    ended: tuple[Job, ...] = ()  # jobs that have ended, with an attempt or while they waited
    stopping: tuple[Job, ...] = ()  # jobs that run and have to stop
    requests: tuple[int, ...] = ()  # the numbers of requests that have ended
    mounts: tuple[int, ...] = ()  # the numbers of mounts that were recorded, moved or answered
    tapes: tuple[str, ...] = ()  # the paths of tapes whose records were written


NOTHING = Change()
"""The change of a write that nobody has to act on."""


@frozen
class Written(Generic[T]):
    """What came of a write that is on the disk."""

    result: T  # of the operation
    change: Change


@define
class ChangeBuilder:
    """Collects a change while the ledger is written."""

    answered: list[Answered] = field(factory=list)
    notices: list[Notice] = field(factory=list)
    waiting: list[Job] = field(factory=list)
    started: list[Job] = field(factory=list)
    retried: list[Job] = field(factory=list)
    ended: list[Job] = field(factory=list)
    stopping: list[Job] = field(factory=list)
    requests: list[int] = field(factory=list)
    mounts: list[int] = field(factory=list)
    tapes: list[str] = field(factory=list)

    def clear(self) -> None:
        """Begin anew."""
        for part in (
            *(self.answered, self.notices, self.waiting, self.started, self.retried, self.ended),
            *(self.stopping, self.requests, self.mounts, self.tapes),
        ):
            part.clear()

    def change(self) -> Change:
        """Return what was collected."""
        if not (
            self.notices
            or self.waiting
            or self.started
            or self.retried
            or self.ended
            or self.stopping
            or self.mounts
            or self.tapes
        ):
            return NOTHING  # a command or an ended request always has a notice
        return Change(
            answered=tuple(self.answered),
            notices=tuple(self.notices),
            waiting=tuple(self.waiting),
            started=tuple(self.started),
            retried=tuple(self.retried),
            ended=tuple(self.ended),
            stopping=tuple(self.stopping),
            requests=tuple(self.requests),
            mounts=tuple(dict.fromkeys(self.mounts)),
            tapes=tuple(dict.fromkeys(self.tapes)),
        )
