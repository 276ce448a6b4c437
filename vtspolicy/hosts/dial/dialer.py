"""All hosts that this program calls: opened together, changed by a reload, closed together."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from random import random
from typing import Any

from attrs import define, field
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from vtspolicy.config.model import Configuration, Dial
from vtspolicy.hosts.dial.connect import Open, open_terminal
from vtspolicy.hosts.dial.link import DialledHost
from vtspolicy.hosts.dial.resumption import Resumption
from vtspolicy.hosts.session import HostSession, SessionServices
from vtspolicy.hosts.sessions import Sessions
from vtspolicy.links.life import Link, LinkState
from vtspolicy.log_limit import Line

SAVE = 5.0
"""Seconds between writes of the times from which displays begin again."""

UP = Line(
    action="link_up",
    format="The display of {host} is read, on {endpoint}.",
    more="{count} more times within a minute the display of {peer} was read again.",
)
DOWN = Line(
    action="link_down",
    format="The link to {host} is down: {cause}. It is opened again in {seconds:.0f} s.",
    more="{count} more times within a minute the link to {peer} was down.",
)
STOPPED = Line(
    action="link_stopped",
    format="The link to {host} is stopped: {cause}. Once its password or key is right, restart it:"
    " vtspolicy restart-link {host}.",
    more="{count} more times within a minute the link to {peer} was stopped.",
)

LINKS = "links"
"""The folder in the spool that has what is kept of links to dialled hosts."""


def dialer_of(
    reactor: Any,  # a whole one
    shared: SessionServices,
    sessions: Sessions,
    spool: Path,
    on_state: Callable[[str, LinkState | None], None],
) -> "Dialer":
    """Return what calls hosts over the network."""
    return Dialer(
        shared=shared,
        open_terminal=partial(open_terminal, reactor),
        resumption=Resumption(spool / LINKS),
        register=sessions.add,
        on_state=on_state,
    )


@define(kw_only=True)
class Dialer:
    """Calls every host that the configuration says."""

    shared: SessionServices
    open_terminal: Open
    resumption: Resumption
    register: Callable[[HostSession, str], None]
    on_state: Callable[[str, LinkState | None], None] = lambda *_: None  # None: not called any more
    chance: Callable[[], float] = random  # spreads the tries of many links
    links: dict[str, DialledHost] = field(factory=dict)  # by host
    log: Logger = field(factory=lambda: Logger("vtspolicy.hosts"))
    _saving: LoopingCall = field(init=False)
    _has_started: bool = False
    _is_unsaved: bool = False  # the times could not be written the last time

    def __attrs_post_init__(self) -> None:
        self._saving = LoopingCall(self.save)
        self._saving.clock = self.shared.reactor

    def start(self, configuration: Configuration) -> None:
        """Call the hosts."""
        self._has_started = True
        self.resumption.load()
        self._call(configuration)
        self._saving.start(SAVE, now=False).addErrback(self._defect)

    def renew(self, configuration: Configuration) -> None:
        """Call the hosts as they are configured now; what did not change is left alone."""
        if not self._has_started:
            return
        wanted = {each.host: each for each in configuration.dial}
        for name, link in list(self.links.items()):
            if wanted.get(name) != link.dial:
                self._end(name)
            elif link.host != configuration.hosts[name]:
                link.serve(configuration.hosts[name])
        self._call(configuration)

    def _call(self, configuration: Configuration) -> None:
        for dial in configuration.dial:
            if dial.host not in self.links:
                self.links[dial.host] = link = self._link(dial, configuration)
                self._changed(link)
                link.start()

    def _link(self, dial: Dial, configuration: Configuration) -> DialledHost:
        return DialledHost(
            shared=self.shared,
            dial=dial,
            host=configuration.hosts[dial.host],
            open_terminal=self.open_terminal,
            resumption=self.resumption,
            chance=self.chance,
            register=self.register,
            on_changed=self._changed,
        )

    def _end(self, name: str) -> None:
        self.links.pop(name).close()
        self.on_state(name, None)

    def restart(self, name: str) -> bool:
        """Restart the link of a host; False: it is not one that is called."""
        link = self.links.get(name)
        if link is not None:
            link.restart()
        return link is not None

    def states(self) -> Mapping[str, Link]:
        """Return the links by their hosts."""
        return {name: each.link for name, each in self.links.items()}

    def call_no_more(self) -> None:
        """Open no link any more; those that are up stay up."""
        for link in self.links.values():
            link.call_no_more()

    def close(self) -> None:
        """End all links; what they brought was recorded before."""
        if self._saving.running:
            self._saving.stop()
        for name in list(self.links):
            self._end(name)
        if self._has_started:
            self.save()

    def save(self) -> None:
        """Keep the times from which displays begin again."""
        try:
            self.resumption.save()
        except OSError as error:
            if not self._is_unsaved:
                self.log.error(
                    "From when on hosts show events again cannot be kept: {cause}. Events of the"
                    " time without a server may be lost.",
                    action="resumption_unsaved",
                    cause=str(error),
                )
            self._is_unsaved = True
        else:
            self._is_unsaved = False

    def _changed(self, host: DialledHost) -> None:
        """Tell of a link's new state."""
        link, name = host.link, host.dial.host
        if self.links.get(name) is not host:
            return  # it is not called any more
        self.on_state(name, link.state)
        about = {"host": name, "cause": link.error}
        if link.state is LinkState.READING:
            endpoint = host.dial.endpoint
            self.shared.limit.write(self.log.info, UP, name, host=name, endpoint=endpoint)
        elif link.state is LinkState.WAITING and link.due is not None:
            seconds = link.due - self.shared.reactor.seconds()
            self.shared.limit.write(self.log.warn, DOWN, name, seconds=seconds, **about)
        elif link.state is LinkState.STOPPED:
            self.shared.limit.write(self.log.error, STOPPED, name, **about)

    def _defect(self, failure: Failure) -> None:
        self.log.failure("Links could not be looked after.", failure, action="link_defect", host="")
