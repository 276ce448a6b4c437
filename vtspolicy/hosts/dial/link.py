"""One dialled host: its link's life, its display, and what is posted on it."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from functools import partial

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from vtspolicy.config.model import Dial, Host
from vtspolicy.events.event import Item
from vtspolicy.hosts.dial.answers import Answers
from vtspolicy.hosts.dial.connect import Open
from vtspolicy.hosts.dial.conversation import Conversation
from vtspolicy.hosts.dial.display import DisplayReader
from vtspolicy.hosts.dial.heartbeat import Heartbeat
from vtspolicy.hosts.dial.resumption import Resumption
from vtspolicy.hosts.dial.session import DisplaySession
from vtspolicy.hosts.dial.terminal import LinkError
from vtspolicy.hosts.session import HostSession, SessionServices
from vtspolicy.links.distributor import Display, start_line
from vtspolicy.links.life import REFUSED_WAIT, Cause, Link, LinkState
from vtspolicy.links.pending_mounts import PendingMounts, read_list
from vtspolicy.log_limit import Line
from vtspolicy.notices import Notice, Word

PASSWORD_SHOWN = Line(
    action="password_shown",
    format="{host} shows the password of {user} as it is typed.",
    more="{count} more times within a minute {peer} has shown a password.",
)

MOUNTS_MISSED = Line(
    action="mounts_missed",
    format="{count} mount requests of {host} have come or gone without an event that was seen.",
    more="{count} more times within a minute mount requests of {peer} had no event.",
)

FIRST_POLL = 60.0
"""Seconds from the display's start until the host is first asked for its pending mounts."""

ANY_SYSTEM = r"\HOST"
"""Stands in events of ours for the system of a host whose systems are not configured."""


@define(kw_only=True)
class DialledHost:
    """Calls one host, again and again, until it is closed."""

    shared: SessionServices  # what all sessions of the server share
    dial: Dial
    host: Host
    open_terminal: Open
    resumption: Resumption
    chance: Callable[[], float]  # from 0 to 1
    register: Callable[[HostSession, str], None]  # told of each session that begins, and where
    on_changed: Callable[["DialledHost"], None] = lambda _: None  # its state is another
    link: Link = field(init=False)
    session: DisplaySession | None = None
    answers: Answers = field(init=False)
    _heartbeat: Heartbeat = field(init=False)
    _conversation: Conversation | None = None  # the display's
    _reader: DisplayReader | None = None
    _over: Deferred[LinkError] | None = None  # fires when the display ends
    _timer: IDelayedCall | None = None
    _secret: bytes = field(default=b"", repr=False)  # what was last tried, as a digest
    _refused_at: float | None = None
    _mounts: PendingMounts = field(factory=PendingMounts)
    _poll: IDelayedCall | None = None  # until the host is asked for its pending mounts
    _shown_until: datetime | None = None  # the latest event that any display has shown
    _is_closed: bool = False
    log: Logger = field(factory=lambda: Logger("vtspolicy.hosts"))

    def __attrs_post_init__(self) -> None:
        clock = self.shared.reactor
        self.link = Link(since=clock.seconds())
        self.answers = Answers(
            clock=clock,
            dial=self.dial,
            node=self.shared.node,
            account=self,
            converse=self._new_conversation,
            limit=self.shared.limit,
            arrived=self._arrived,
            listed=self._listed,
            is_held=self._is_held,
        )
        self._heartbeat = Heartbeat(
            clock=clock,
            every=self.host.keepalive,
            post=self._post_heartbeat,
            silent=lambda error: self._fail(LinkError(Cause.SILENT, error)),
            is_held=self._is_held,
        )
        self._shown_until = self.resumption.of(self.dial.host)

    # Its life

    def start(self) -> None:
        """Call the host."""
        if not self._is_closed:
            self._set(self.link.dialled(self._now))
            Deferred.fromCoroutine(self._attempt()).addErrback(self._defect)

    def restart(self) -> None:
        """End the link, if it is up, and call the host at once; refusals are tried once more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        if self.link.state in {LinkState.WAITING, LinkState.STOPPED, LinkState.IDLE}:
            self.start()
        else:
            self._fail(LinkError(Cause.RESTARTED, "the link was restarted"))

    def call_no_more(self) -> None:
        """Do not open the link again once it has ended."""
        self._is_closed = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def close(self) -> None:
        """End the link; it is not opened again."""
        self.call_no_more()
        self._fail(LinkError(Cause.RESTARTED, "the server does not call this host any more"))
        self.answers.close()
        if self.link.state is not LinkState.STOPPED:
            self._set(self.link.stopped(self._now))

    def serve(self, host: Host) -> None:
        """Take the host as it is configured now; its session is renewed with all others."""
        self.host = host
        if self._heartbeat.every != host.keepalive:
            self._heartbeat.every = host.keepalive
            if self.link.state is LinkState.READING:
                self._heartbeat.start()

    async def _attempt(self) -> None:
        """Open the link and read it to its end."""
        conversation = self._conversation = self._new_conversation(
            lambda: self._set(self.link.connected(self._now))
        )
        try:
            self._note_secret()
            host_time = await conversation.log_on()
            self._set(self.link.logged_on(self._now))
            self._warn_of_echo(conversation)
            error = await self._read(conversation, host_time)
        except LinkError as found:
            error = found
        self._end_display()
        conversation.close()
        self._lost(error)

    def _lost(self, error: LinkError) -> None:
        if error.cause is Cause.REFUSED:
            self._refused_at = self._now
        self._set(self.link.lost(self._now, error.cause, str(error)))
        if self._is_closed:
            return
        if error.cause is Cause.RESTARTED:
            self.start()
            return
        self._set(self.link.put_off(self._now, self.chance()))
        if self.link.due is not None:
            self._timer = self.shared.reactor.callLater(self.link.due - self._now, self.start)

    def _fail(self, error: LinkError) -> None:
        """End what is up, for a reason."""
        if self._over is not None:
            over, self._over = self._over, None
            over.callback(error)
        elif self._conversation is not None:
            self._conversation.close(error)

    def _set(self, link: Link) -> None:
        before, self.link = self.link, link
        if before.state is not link.state:
            self.on_changed(self)

    # The display

    async def _read(self, conversation: Conversation, host_time: datetime | None) -> LinkError:
        """Start the distributor, and read until the display ends; returns why it has."""
        clock, name = self.shared.reactor, self.dial.host
        terminal = conversation.terminal
        resumed = self.resumption.of(name)
        if resumed is None and host_time is not None:
            self.resumption.note(name, host_time)  # a link that is lost before its first event
        line = start_line(
            self.dial.distributor,
            name=self.dial.process or "",
            filters=self.dial.filters,
            last_event=resumed,
            overlap=self.dial.overlap,
        )
        session = self.session = DisplaySession(
            self.shared,
            dial=self.dial,
            host=self.host,
            answers=self.answers,
            shown_until=self._shown_until,
            began=host_time if resumed is not None else None,
            on_mount=self._mounts.note,
        )
        reader = self._reader = DisplayReader(
            clock=clock,
            display=Display(prompt=conversation.prompt, sent=line),
            settle=self.shared.settle,
            host_time=host_time,
            since=clock.seconds(),
            show=self._show,
            started=self._started,
            failed=self._fail,
            own=self._seen,
            wants_own=lambda: self.answers.waits_for_sight,
        )
        over = self._over = Deferred()
        conversation.on_ended = self._fail
        if terminal is None or conversation.is_over:
            return LinkError(Cause.ENDED, "the host has ended the connection")
        self.register(session.session, self.dial.endpoint)
        session.begin(terminal, partial(self._closed_here, session))
        conversation.hand_over(line, reader.take)
        reader.begin()
        return await over

    def _closed_here(self, session: DisplaySession) -> None:
        """The session has ended itself: what came in could not be recorded, or the server stops."""
        if session is self.session:
            self._fail(LinkError(Cause.ENDED, "the server has ended the link"))

    def _show(self, lines: bytes, before: datetime | None) -> None:
        self._heartbeat.seen()
        self.link = self.link.shown(self._now)
        if self.session is not None:
            self.session.show(lines, before)
            self._note_time()

    def _note_time(self) -> None:
        if self.session is not None and self.session.recorded_until is not None:
            self.resumption.note(self.dial.host, self.session.recorded_until)
        last = self._reader.last if self._reader is not None else None
        if last is not None:
            self._shown_until = max(filter(None, (self._shown_until, last)))

    def _started(self) -> None:
        self._set(self.link.started(self._now))
        self._heartbeat.start()
        self.answers.open()
        self._poll_later(min(self.dial.poll, FIRST_POLL))

    def _end_display(self) -> None:
        self._heartbeat.stop()
        if self._poll is not None and self._poll.active():
            self._poll.cancel()
        self.answers.close()
        self._over = None
        if self._reader is not None:
            self._reader.end()
        session, self.session = self.session, None
        if session is not None:
            session.end()
        self._reader = None

    def _is_held(self) -> bool:
        """Whether the display is not read, because the engine has no room for what it brought."""
        return self.session is not None and not self.session.session.has_recorded_all

    # Pending mounts

    def _poll_later(self, seconds: float) -> None:
        if self.dial.poll:
            self._poll = self.shared.reactor.callLater(seconds, self._ask)

    def _ask(self) -> None:
        self.answers.ask_for_list()
        self._poll_later(self.dial.poll)

    def _listed(self, shown: str) -> None:
        """Do what events have not told: requests that are new, and requests that are gone."""
        listed = read_list(shown)
        if listed is None or self.session is None or self._reader is None:
            return
        now = self._reader.host_now or self._reader.last
        if now is None:
            return
        system = self.host.systems[0] if self.host.systems else ANY_SYSTEM
        events: list[Item] = [*self._mounts.compare(listed, now, system)]
        if events:
            about = {"host": self.dial.host, "count": len(events)}
            self.shared.limit.write(self.log.info, MOUNTS_MISSED, self.dial.host, **about)
            self.session.session.insert(events)

    # What is posted

    def _seen(self, text: str) -> None:
        self.answers.seen(text)

    def _arrived(self, ids: list[int]) -> None:
        if self.session is not None:
            self.session.delivery.arrived(ids)

    def _post_heartbeat(self) -> None:
        self.answers.put(Notice(word=Word.HEARTBEAT, host=self.host.name, created=self._now))

    # answers.Account

    def logon_due(self) -> float:
        """Return in how many seconds the other session may log on."""
        if not self.link.may_log_on:
            return REFUSED_WAIT  # looked at again then; the display's own end stops the link
        if self._refused_at is None or not self.link.refusals:
            return 0.0
        return max(self._refused_at + REFUSED_WAIT - self._now, 0.0)

    def refused(self, error: LinkError) -> None:
        """The other session was refused: it counts as if the display's was."""
        self._refused_at = self._now
        self._set(self.link.refused(str(error)))

    def let_in(self, conversation: Conversation) -> None:
        """The other session was let in."""
        self._set(self.link.accepted())
        self._warn_of_echo(conversation)

    # Help

    @property
    def _now(self) -> float:
        return self.shared.reactor.seconds()

    def _new_conversation(self, connected: Callable[[], None] = lambda: None) -> Conversation:
        return Conversation(self.shared.reactor, self.open_terminal, self.dial, connected=connected)

    def _note_secret(self) -> None:
        """Count refusals anew if there is another password or key."""
        digest = hashlib.sha256(self.dial.user.encode())
        for file in (self.dial.password_file, self.dial.key_file):
            if file is not None:
                try:
                    digest.update(hashlib.sha256(file.read_bytes()).digest())
                except OSError:
                    return  # the logon says so
        if self._secret not in {b"", digest.digest()}:
            self._set(self.link.given_secret())
        self._secret = digest.digest()

    def _warn_of_echo(self, conversation: Conversation) -> None:
        if conversation.echoes_password:
            about = {"host": self.dial.host, "user": self.dial.user}
            self.shared.limit.write(self.log.warn, PASSWORD_SHOWN, self.dial.host, **about)

    def _defect(self, failure: Failure) -> None:
        self.log.failure(
            "The link to {host} could not be handled; it is opened again.",
            failure,
            action="link_defect",
            host=self.dial.host,
        )
        self._end_display()
        if self._conversation is not None:
            self._conversation.close()
        if self.link.state in {
            LinkState.CONNECTING,
            LinkState.LOGGING_ON,
            LinkState.STARTING,
            LinkState.READING,
        }:
            self._lost(LinkError(Cause.ENDED, f"a defect: {failure.getErrorMessage()}"))
