"""A thread that does one thing after the other for the reactor."""

import queue
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

T = TypeVar("T")


class Reactor(Protocol):
    """What the ledger asks of a reactor."""

    def callFromThread(
        self, function: Callable[..., object], /, *args: object, **kwargs: object
    ) -> object:
        """Call a function soon, in the reactor's thread."""

    def callLater(
        self, delay: float, function: Callable[..., object], /, *args: object, **kwargs: object
    ) -> IDelayedCall:
        """Call a function after some seconds."""


class Clerk:
    """One thread. It ends after `finish`, or with the process."""

    def __init__(self, name: str, reactor: Reactor) -> None:
        self._reactor = reactor
        # Each question has its own type of answer.
        self._asked: queue.SimpleQueue[tuple[Callable[[], Any], Deferred[Any]] | None]
        self._asked = queue.SimpleQueue()
        self._ended: Deferred[None] = Deferred()
        threading.Thread(target=self._loop, name=name, daemon=True).start()

    def ask(self, function: Callable[[], T]) -> Deferred[T]:
        """Have a function called in the thread; its answer comes in the reactor's."""
        answer: Deferred[T] = Deferred()
        self._asked.put((function, answer))
        return answer

    def finish(self) -> Deferred[None]:
        """Do what was asked, then end; fires when the thread has done its last work."""
        self._asked.put(None)
        return self._ended

    def _loop(self) -> None:
        while (asked := self._asked.get()) is not None:
            function, answer = asked
            try:
                result = function()
            except BaseException:  # noqa: BLE001 - it belongs to whoever asked
                self._reactor.callFromThread(answer.errback, Failure())
            else:
                self._reactor.callFromThread(answer.callback, result)
        self._reactor.callFromThread(self._ended.callback, None)
