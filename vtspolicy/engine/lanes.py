"""Threads for the disk, a few for each vault: one that does not answer holds up no other."""

from collections.abc import Callable, Collection
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.threads import deferToThread

from vtspolicy.grammar import Target
from vtspolicy.tapes import Tape

AT_ONCE = 4
"""Calls of one lane that are under way at once; the others wait for one of them."""

THREADS = 128
"""The most threads of a server: enough for thirty vaults, should none of them answer."""


@define(kw_only=True)
class Lanes:
    """Calls functions in threads, as deferToThread does.

    What is about a tape or target of one vault goes in the lane of that vault; a tape by its bare
    name, and whatever looks at all vaults, have a lane each.
    """

    known: Callable[[], Collection[str]]  # the vaults: others that a host may name have no lane
    threads: Callable[..., Deferred[Any]] = deferToThread  # each call has its own type of answer
    _lanes: dict[str, DeferredSemaphore] = field(factory=dict, init=False)

    def __call__(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Call a function soon; fires with its answer."""
        lane = self._lane(args[0] if args else None)
        return lane.run(self.threads, function, *args)

    def _lane(self, about: object) -> DeferredSemaphore:
        name = "all"
        if isinstance(about, Target | Tape):
            name = f"vault {about.vault}" if about.vault in self.known() else "bare"
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = DeferredSemaphore(AT_ONCE)
        return lane
