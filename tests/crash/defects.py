"""Defects: what a storm must find when somebody puts it into the program.

Each is put into every server of a storm, in its own process; the program's files stay as they are.
"""

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import evolve, frozen


@frozen(kw_only=True)
class Defect:
    """One broken promise, and a word of what the judge must say about it."""

    what: str
    put_in: Callable[[], None]
    found: str


def _tell_before_the_record() -> None:
    """Answers leave as soon as a verb has run; its transaction is committed later."""
    from vtspolicy.ledger import groups
    from vtspolicy.threads import Threads

    verb: Any = groups.Waiting
    work, fire = verb.work, verb.fire

    def work_and_fire(self: Any, tx: Any) -> None:
        work(self, tx)
        if not self.deferred.called:
            self.deferred.callback(self.answer)

    def ask_slowly(self: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
        def later() -> Any:
            if self._name == "ledger-flush":
                time.sleep(0.03)
            return function(*args, **kwargs)

        return ask(self, later)

    ask = Threads.ask
    Threads.ask = ask_slowly  # type: ignore[method-assign, assignment]
    verb.work = work_and_fire
    verb.fire = lambda self: None if self.deferred.called else fire(self)


def _forget_claims() -> None:
    """A run that an earlier server started is started once more."""
    from vtspolicy.engine.jobs.job_runner import JobRunner
    from vtspolicy.runner.spool import Spool

    prepare = Spool.prepare

    def prepare_again(self: Spool, run: Any) -> bool:
        shutil.rmtree(self.folder(run.key), ignore_errors=True)
        return prepare(self, run)

    def resume(self: Any, job: Any) -> None:
        self._conduct(job.id, self._attempt(job, adopt=False))

    Spool.prepare = prepare_again  # type: ignore[method-assign]
    JobRunner.resume = resume  # type: ignore[method-assign]


def _know_no_event_again() -> None:
    """Events lose their identity."""
    from vtspolicy.engine.commands import composing

    composing.identity = lambda *_: None


def _believe_that_notices_arrive() -> None:
    """A notice that was written counts as delivered."""
    from vtspolicy.hosts.session import HostSession

    tell = HostSession.tell

    def tell_and_confirm(self: Any, notice: Any) -> None:
        tell(self, notice)
        if notice.id is not None:
            self._delivery._unconfirmed.pop(notice.id, None)
            self.delivered([notice.id])

    HostSession.tell = tell_and_confirm  # type: ignore[method-assign]


def _ignore_locks() -> None:
    """Jobs wait for their seats only."""
    from vtspolicy.queue.embedded import EmbeddedQueue

    put, adopt = EmbeddedQueue.put, EmbeddedQueue.adopt
    EmbeddedQueue.put = lambda self, entry: put(self, evolve(entry, lock=None))  # type: ignore[method-assign]
    EmbeddedQueue.adopt = lambda self, entry, **known: adopt(  # type: ignore[method-assign]
        self, evolve(entry, lock=None), **known
    )


DEFECTS: Mapping[str, Defect] = {
    "record": Defect(
        what="ACCEPTED leaves before the command is on the disk",
        put_in=_tell_before_the_record,
        found="",  # lost or told by nobody: it depends on what the kill has hit
    ),
    "claim": Defect(
        what="a run that was claimed is started again",
        put_in=_forget_claims,
        found="started twice",
    ),
    "identity": Defect(
        what="an event that is shown again is not known again",
        put_in=_know_no_event_again,
        found="was recorded",
    ),
    "delivery": Defect(
        what="a notice that was written counts as delivered",
        put_in=_believe_that_notices_arrive,
        found="never heard",
    ),
    "locks": Defect(what="locks are ignored", put_in=_ignore_locks, found="began on"),
}


def with_defect(name: str) -> Callable[[Path], None]:
    """Return what puts a defect into a server that is just starting."""
    return lambda _root: DEFECTS[name].put_in()
