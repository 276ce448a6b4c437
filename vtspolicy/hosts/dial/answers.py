"""The command session: logs on when there is something to say, posts it, and logs off.

What is posted becomes an event of the host. It has arrived when the display shows it; where a
filter may hide it, when the prompt has returned without an error.
"""

import re
from collections import deque
from collections.abc import Callable, Sequence
from itertools import groupby, islice
from typing import Protocol

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from vtspolicy.config.model import Dial
from vtspolicy.hosts.dial.conversation import Conversation
from vtspolicy.hosts.dial.terminal import LinkError
from vtspolicy.links.distributor import prompt_pattern
from vtspolicy.links.life import Cause, back_off
from vtspolicy.links.pending_mounts import LIST
from vtspolicy.links.tacl_text import (
    ROUTINE_PROMPT,
    command_line,
    is_template,
    plain_line,
    posted_text,
    routine_pattern,
    seen_as,
)
from vtspolicy.log_limit import Line, LogLimit
from vtspolicy.notices import Notice

AS_TEXT = "#SET #INFORMAT PLAIN"
"""Before a routine is run: what is typed for it is text, even where a prompt of TACL reads it."""

TOGETHER = 50
"""Notices that are posted by one run of a routine."""

LISTING = 60.0
"""Seconds in which the list of pending mounts has to be there."""

LINGER = 5.0
"""Seconds that a session stays for more to say: a logon takes longer than a notice."""

UNSEEN = 60.0
"""Seconds until a notice that was posted, and that the display does not show, is posted again."""

RAREST = 3600.0
"""The same at most: it doubles each time, because an event that is never shown is posted again."""

MOST_WAITING = 1000
"""Texts that wait to be posted; beyond, those that are in no ledger are dropped."""

ERROR = "*ERROR*"
"""How an error of TACL begins (documented)."""

FAILED = Line(
    action="answer_failed",
    format="Notices cannot be posted on {host}, and are tried again: {cause}.",
    more="{count} more times within a minute notices could not be posted on {peer}.",
)
UNSEEN_LINE = Line(
    action="answer_unseen",
    format="The display of {host} does not show {count} notices that were posted; they are posted"
    " again.",
    more="{count} more times within a minute the display of {peer} did not show notices.",
)


class Account(Protocol):
    """What the two sessions of a host share: its password, and what became of that."""

    def logon_due(self) -> float:
        """Return in how many seconds a logon may be tried."""
        ...

    def refused(self, error: LinkError) -> None:
        """The host has refused a logon."""

    def let_in(self, conversation: Conversation) -> None:
        """The host has accepted one."""


@define(eq=False)
class _Posting:
    """One notice on its way."""

    notice: Notice
    seen_as: str  # how the display will show it
    posted: float | None = None  # when, seconds since the epoch

    @property
    def id(self) -> int | None:
        """Its number in the ledger."""
        return self.notice.id


@define(kw_only=True)
class Answers:
    """Posts notices on one host."""

    clock: IReactorTime
    dial: Dial
    node: str  # named in each: several servers may answer one host
    account: Account
    converse: Callable[[], Conversation]  # a new terminal
    limit: LogLimit
    arrived: Callable[[list[int]], None] = lambda _: None
    listed: Callable[[str], None] = lambda _: None  # given the host's list of pending mounts
    is_held: Callable[[], bool] = lambda: False  # whether the display is not read just now
    _list_due: bool = False  # the host is to be asked for it
    _waiting: deque[_Posting] = field(factory=deque)
    _posted: dict[str, deque[_Posting]] = field(factory=dict)  # by what the display will show
    _wanted: Deferred[None] | None = None  # fires when there is more to say, or it is too late
    _work: Conversation | None = None  # the session that is up
    _timer: IDelayedCall | None = None  # until the next session
    _look: IDelayedCall | None = None  # for what was not seen
    _failures: int = 0  # in a row
    _unseen: int = 0  # times in a row that nothing of what was posted was seen
    is_open: bool = False  # whether the display is there, without which nothing is posted
    dropped: int = 0  # texts that were dropped
    log: Logger = field(factory=lambda: Logger("vtspolicy.hosts"))

    def open(self) -> None:
        """The display shows events: notices can be posted."""
        self.is_open = True
        self._plan()

    def close(self) -> None:
        """The display is gone; what was not posted comes again with the next one."""
        self.is_open = self._list_due = False
        self._waiting.clear()
        for timer in (self._timer, self._look):
            if timer is not None and timer.active():
                timer.cancel()
        self._timer = self._look = None
        if self._work is not None:
            self._work.close()
        self._wake()

    def put(self, notice: Notice) -> None:
        """Post a notice; one that was posted and not seen yet is only waited for."""
        if "node" not in notice.fields:
            notice = evolve(notice, fields={**notice.fields, "node": self.node})
        text = seen_as(self._text(notice))
        for known in self._posted.get(text, ()):
            if known.id == notice.id:
                known.posted = self.clock.seconds()
                self._watch()
                return
        if notice.id is None and len(self._waiting) >= MOST_WAITING:
            self.dropped += 1
            return
        self._waiting.append(_Posting(notice, text))
        self._wake()
        self._plan()

    def ask_for_list(self) -> None:
        """Ask the host for its pending mounts."""
        self._list_due = True
        self._wake()
        self._plan()

    @property
    def _has_work(self) -> bool:
        return bool(self._waiting) or self._list_due

    def seen(self, text: str) -> bool:
        """The display shows one of our notices; returns whether it was ours to post."""
        alike = self._posted.get(seen_as(text))
        if not alike:
            return False
        posting = alike[0]
        self._forget(posting)
        self._unseen = 0
        if posting.id is not None:
            self.arrived([posting.id])
        return True

    def _forget(self, posting: _Posting) -> None:
        """The display has shown it, or it is not waited for any more."""
        alike = self._posted[posting.seen_as]
        alike.remove(posting)
        if not alike:
            del self._posted[posting.seen_as]

    @property
    def waits_for_sight(self) -> bool:
        """Whether anything was posted that the display has not shown."""
        return bool(self._posted)

    def _text(self, notice: Notice) -> str:
        if is_template(self.dial.reply):
            return posted_text(self.dial.reply, command_line(self.dial.reply, notice), notice)
        return plain_line(notice)

    # Sessions

    def _plan(self) -> None:
        """Begin a session if there is something to say, or plan one."""
        if not self._has_work or not self.is_open or self._work is not None or self._timer:
            return
        wait = self.account.logon_due()
        if self._failures:
            wait = max(wait, back_off(self._failures, Cause.ENDED, 1.0))
        self._timer = self.clock.callLater(wait, self._begin)

    def _begin(self) -> None:
        self._timer = None
        if not self.is_open or not self._has_work:
            return
        if self.account.logon_due() > 0:  # the display was refused meanwhile
            self._plan()
            return
        self._work = self.converse()
        done = Deferred.fromCoroutine(self._session(self._work))
        done.addErrback(self._defect)

    async def _session(self, conversation: Conversation) -> None:
        """Log on, post what there is, stay a moment for more, log off."""
        try:
            await conversation.log_on()
            self.account.let_in(conversation)
            if not is_template(self.dial.reply):
                await conversation.command(AS_TEXT)
            while self.is_open and (self._has_work or await self._more()):
                await self._post(conversation)
                if self._list_due:
                    self._list_due = False
                    self.listed(await conversation.command(LIST, within=LISTING))
            self._failures = 0
            await conversation.log_off()
        except LinkError as error:
            self._failed(error)
        finally:
            conversation.close()
            self._work = None
            self._plan()

    def _failed(self, error: LinkError) -> None:
        if not self.is_open:
            return
        self._failures += 1
        if error.cause is Cause.REFUSED:
            self.account.refused(error)
        about = {"host": self.dial.host, "cause": str(error)}
        self.limit.write(self.log.warn, FAILED, self.dial.host, **about)

    async def _more(self) -> bool:
        """Wait a moment for more to say."""
        self._wanted = Deferred()
        timer = self.clock.callLater(LINGER, self._wake)
        await self._wanted
        if timer.active():
            timer.cancel()
        return self._has_work

    def _wake(self) -> None:
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            wanted.callback(None)

    async def _post(self, conversation: Conversation) -> None:
        """Post what waits, the same numbers together."""
        some = [*islice(self._waiting, TOGETHER)]
        if is_template(self.dial.reply):
            for posting in some:
                line = command_line(self.dial.reply, posting.notice)
                shown = await self._type(conversation, posting, line)
                _look_for_error(line, conversation.hide(shown))
                self._returned([posting])
            return
        for number, group in groupby(some, lambda each: each.notice.word.number):
            await self._run_routine(conversation, number, list(group))

    async def _run_routine(
        self, conversation: Conversation, number: int, some: Sequence[_Posting]
    ) -> None:
        """Run the routine once: it reads a line at each of its prompts, until an empty one."""
        line = f"{self.dial.reply} {number}"
        tacl = prompt_pattern(conversation.prompt)
        routine = routine_pattern(tacl)
        shown = await conversation.command(line, prompts=routine)
        self._look_for_routine(conversation, shown)
        for posting in some:
            shown = await self._type(conversation, posting, plain_line(posting.notice), routine)
            self._look_for_routine(conversation, shown)
        shown = await conversation.command("", prompts=tacl)
        _look_for_error(line, conversation.hide(shown))
        self._returned(some)

    def _look_for_routine(self, conversation: Conversation, shown: str) -> None:
        """Raise LinkError if the routine does not read the next line: TACL would."""
        if conversation.prompt != ROUTINE_PROMPT:
            came = conversation.hide(shown)[:200] or "nothing came"
            raise LinkError(Cause.NO_PROMPT, f"{self.dial.reply} reads no line; came: {came}")

    async def _type(
        self,
        conversation: Conversation,
        posting: _Posting,
        line: str,
        prompts: re.Pattern[str] | None = None,
    ) -> str:
        """Type a notice; from now on the display may show it, which may be before the prompt."""
        if self._waiting and self._waiting[0] is posting:
            self._waiting.popleft()
        posting.posted = self.clock.seconds()
        self._posted.setdefault(posting.seen_as, deque()).append(posting)
        self._watch()
        return await conversation.command(line, prompts=prompts)

    def _returned(self, some: Sequence[_Posting]) -> None:
        """The prompt has returned without an error: with a filter, that has to do."""
        if self.dial.filters:
            for posting in some:
                self.seen(posting.seen_as)

    # What is not seen

    def _watch(self) -> None:
        if self._look is None and self._posted:
            wait = min(UNSEEN * 2.0**self._unseen, RAREST)
            self._look = self.clock.callLater(wait, self._look_for_unseen)

    def _look_for_unseen(self) -> None:
        """Post again what was posted, and not seen for so long."""
        self._look = None
        if not self.is_open:
            return
        if self.is_held():  # what was posted may be shown already
            for alike in self._posted.values():
                for posting in alike:
                    posting.posted = self.clock.seconds()
            self._watch()
            return
        wait = min(UNSEEN * 2.0**self._unseen, RAREST)
        now = self.clock.seconds()
        late = [
            each
            for alike in self._posted.values()
            for each in alike
            if each.posted is None or each.posted + wait <= now
        ]
        for posting in late:
            self._forget(posting)
        again = [each for each in late if each.id is not None]
        if again:
            self._unseen = min(self._unseen + 1, 10)
            about = {"host": self.dial.host, "count": len(again)}
            self.limit.write(self.log.warn, UNSEEN_LINE, self.dial.host, **about)
        for posting in again:
            posting.posted = None
            self._waiting.append(posting)
        self._watch()
        self._plan()

    def _defect(self, failure: Failure) -> None:
        self.log.failure(
            "Notices for {host} could not be handled.",
            failure,
            action="answer_defect",
            host=self.dial.host,
        )


def _look_for_error(line: str, shown: str) -> None:
    """Raise LinkError if a command has ended with an error."""
    if ERROR in shown:
        command = line.split(" ", maxsplit=1)[0]
        raise LinkError(Cause.NO_PROMPT, f"{command} has failed: {shown[:200]}")
