"""Draining: by an operator's order the server takes and starts nothing more."""

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from vtspolicy.control import Told
from vtspolicy.engine.commands.queue_capacity import QueueCapacity
from vtspolicy.engine.operators.by_hand import asked
from vtspolicy.engine.operators.noting import Notes
from vtspolicy.ledger import Transaction
from vtspolicy.queue.protocol import Queue


@define(kw_only=True)
class Drain:
    """Whether the server is draining. What runs continues to its end."""

    clock: IReactorTime
    queue: Queue
    capacity: QueueCapacity
    notes: Notes
    is_on: bool = field(init=False, default=False)
    log: Logger = field(factory=lambda: Logger("vtspolicy.operator"))

    def end_earlier(self) -> None:
        """Note, if it was so, that the drain of the last server has ended with that server."""
        noted = self.notes.ledger.write(_end_earlier, self.clock.seconds())
        noted.addErrback(self.notes.not_noted)

    def begin(self, actor: str, reason: str | None) -> Told:
        """Take no jobs from hosts, start nothing more."""
        self.log.info("Draining, asked by {by}.", action="drain", by=actor, cause=reason)
        self._turn(is_on=True, actor=actor, reason=reason)
        self.queue.drain()
        return {"running": self.queue.running}

    def end(self, actor: str, reason: str | None) -> Told:
        """Take and start jobs again."""
        self.log.info(
            "Taking commands again, asked by {by}.", action="resume", by=actor, cause=reason
        )
        was_draining = self.is_on
        self._turn(is_on=False, actor=actor, reason=reason)
        self.queue.resume()
        return {"waiting": self.queue.waiting, "was_draining": was_draining}

    def _turn(self, *, is_on: bool, actor: str, reason: str | None) -> None:
        if is_on != self.is_on:
            before, after = ("working", "draining") if is_on else ("draining", "working")
            cause, at = asked(reason), self.clock.seconds()
            self.notes.add("server", before, after, cause=cause, actor=actor, at=at)
        self.is_on = self.capacity.is_draining = is_on


def _end_earlier(tx: Transaction, at: float) -> None:
    lines = tx.history.about("server")
    if lines and lines[-1].after == "draining":
        cause = "the server was started anew"
        tx.history.add("server", "draining", "working", cause=cause, actor="engine", at=at)
