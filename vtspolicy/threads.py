"""Threads that do for the reactor what would hold it up: a disk may take its time, or never answer.

Twisted's own pool hands each call through several objects of its own; that was a third of what a
command cost which came alone.
"""

import queue
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

P = ParamSpec("P")
T = TypeVar("T")


class Reactor(Protocol):
    """What is asked of a reactor."""

    def callFromThread(
        self, function: Callable[..., object], /, *args: object, **kwargs: object
    ) -> object:
        """Call a function soon, in the reactor's thread."""

    def callLater(
        self, delay: float, function: Callable[..., object], /, *args: object, **kwargs: object
    ) -> IDelayedCall:
        """Call a function after some seconds."""


class Threads:
    """A few threads, begun when there is work for them. They end with `finish`, or the process."""

    def __init__(self, name: str, reactor: Reactor, most: int = 1) -> None:
        """Use `most` threads at once; a single one does one thing after the other."""
        self._name = name
        self._reactor = reactor
        self._most = most
        self._begun = 0  # threads
        self._under_way = 0  # what was asked and is not answered
        # Each question has its own type of answer.
        self._asked: queue.SimpleQueue[tuple[Callable[[], Any], Deferred[Any]] | None]
        self._asked = queue.SimpleQueue()
        self._finished: Deferred[None] = Deferred()

    def ask(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Have a function called in a thread; its answer comes in the reactor's.

        Where the machine has no thread to give, those that there are do the work; the answer is
        its `RuntimeError` if there are none.
        """
        answer: Deferred[T] = Deferred()
        if self._begun < min(self._under_way + 1, self._most):
            try:
                self._begin()
            except RuntimeError:
                if not self._begun:
                    answer.errback()
                    return answer
        self._under_way += 1
        self._asked.put((lambda: function(*args, **kwargs), answer))
        return answer

    def _begin(self) -> None:
        name = f"{self._name}-{self._begun + 1}"
        threading.Thread(target=self._loop, name=name, daemon=True).start()
        self._begun += 1

    def finish(self) -> Deferred[None]:
        """Do what was asked, then end; fires when the last thread has done its last work."""
        for _ in range(self._begun):
            self._asked.put(None)
        if not self._begun:
            self._finished.callback(None)
        return self._finished

    def _loop(self) -> None:
        while (asked := self._asked.get()) is not None:
            function, answer = asked
            try:
                result = function()
            except BaseException:  # noqa: BLE001 - it belongs to the caller
                self._reactor.callFromThread(self._answered, answer.errback, Failure())
            else:
                self._reactor.callFromThread(self._answered, answer.callback, result)
            del asked, function, answer  # what they hold need not wait for the next question
        self._reactor.callFromThread(self._ended)

    def _answered(self, tell: Callable[[Any], None], result: object) -> None:
        self._under_way -= 1
        tell(result)

    def _ended(self) -> None:
        self._begun -= 1
        if not self._begun:
            self._finished.callback(None)
