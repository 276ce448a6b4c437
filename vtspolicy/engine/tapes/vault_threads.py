"""Threads for the disk, a few for each vault: one that does not answer holds up no other."""

from collections import deque
from collections.abc import Callable, Collection
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred

from vtspolicy.grammar import Target
from vtspolicy.tapes import Tape

AT_ONCE = 4
"""Calls of one lane that are under way at once; the others wait for one of them."""

THREADS = 128
"""The most threads of a server: enough for thirty vaults, should none of them answer."""


@define
class _Lane:
    """The calls that are about one vault."""

    under_way: int = 0
    waiting: deque[Callable[[], object]] = field(factory=deque)  # calls, in order

    def go_on(self) -> None:
        """Make the next calls, as many as there may be at once."""
        while self.waiting and self.under_way < AT_ONCE:
            self.under_way += 1
            self.waiting.popleft()()


@define(kw_only=True)
class VaultThreads:
    """Calls functions in threads.

    What is about a tape or target of one vault goes in the lane of that vault; a tape by its bare
    name, and what looks at all vaults, have a lane each.
    """

    known: Callable[[], Collection[str]]  # the vaults: others that a host may name have no lane
    threads: Callable[..., Deferred[Any]]  # each call has its own type of answer
    _lanes: dict[str, _Lane] = field(factory=dict, init=False)

    def __call__(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Call a function soon; fires with its answer."""
        answer: Deferred[Any] = Deferred()

        def call() -> None:
            self.threads(function, *args).addBoth(tell)

        def tell(result: object) -> None:
            lane.under_way -= 1
            lane.go_on()
            answer.callback(result)  # a Failure makes it an errback

        lane = self._lane(args[0] if args else None)
        lane.waiting.append(call)
        lane.go_on()
        return answer

    def _lane(self, about: object) -> _Lane:
        name = "all"
        if isinstance(about, Target | Tape):
            name = f"vault {about.vault}" if about.vault in self.known() else "bare"
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = _Lane()
        return lane
