"""Threads that work for the reactor."""

import threading
from unittest import mock

import pytest
from twisted.internet import reactor
from twisted.internet.defer import gatherResults, inlineCallbacks
from twisted.trial.unittest import TestCase

from vtspolicy.threads import Threads


class ThreadsTest(TestCase):
    """What they promise, with a real reactor."""

    timeout = 20

    @inlineCallbacks
    def test_the_answer_comes_in_the_reactors_thread(self):
        threads = Threads("t", reactor)
        names = []
        asked = threads.ask(lambda a, b: (threading.current_thread(), a + b), 2, b=3)
        asked.addCallback(lambda got: (names.append(threading.current_thread()), got)[1])
        worker, total = yield asked
        assert total == 5
        assert worker is not threading.current_thread()
        assert names == [threading.current_thread()]
        yield threads.finish()

    @inlineCallbacks
    def test_what_a_function_raises_is_its_answer_and_the_thread_continues(self):
        threads = Threads("t", reactor)
        with pytest.raises(ZeroDivisionError):
            yield threads.ask(lambda: 1 / 0)
        assert (yield threads.ask(lambda: 7)) == 7
        yield threads.finish()

    @inlineCallbacks
    def test_a_single_thread_does_one_thing_after_the_other(self):
        threads = Threads("t", reactor)
        seen = []
        yield gatherResults([threads.ask(seen.append, number) for number in range(50)])
        assert seen == list(range(50))
        yield threads.finish()

    @inlineCallbacks
    def test_what_hangs_takes_one_thread_and_no_more_are_begun_than_may_be(self):
        threads = Threads("t", reactor, most=3)
        gate = threading.Event()
        hung = [threads.ask(gate.wait) for _ in range(2)]
        names = set()  # which of the three stays free is the scheduler's choice
        for _ in range(20):
            names.add((yield threads.ask(lambda: threading.current_thread().name)))
        assert len(names) == 1
        assert names < {"t-1", "t-2", "t-3"}
        gate.set()
        yield gatherResults(hung)
        yield threads.finish()

    @inlineCallbacks
    def test_where_no_thread_can_be_begun_the_others_do_it_or_it_fails(self):
        threads = Threads("t", reactor, most=2)
        with self.no_more_threads(), pytest.raises(RuntimeError, match="can't start"):
            yield threads.ask(lambda: 1)
        gate = threading.Event()
        waiting = threads.ask(gate.wait)
        with self.no_more_threads():
            asked = threads.ask(lambda: 2)
        gate.set()
        assert (yield waiting)
        assert (yield asked) == 2
        yield threads.finish()

    @staticmethod
    def no_more_threads():
        return mock.patch.object(
            threading.Thread, "start", side_effect=RuntimeError("can't start new thread")
        )

    @inlineCallbacks
    def test_finish_waits_for_what_was_asked(self):
        threads = Threads("t", reactor, most=2)
        gate = threading.Event()
        done = []
        asked = [threads.ask(lambda: done.append(gate.wait(10))) for _ in range(5)]
        finished = threads.finish()
        assert not finished.called
        gate.set()
        yield finished
        assert done == [True] * 5
        yield gatherResults(asked)

    @inlineCallbacks
    def test_threads_that_nobody_asked_finish_at_once(self):
        yield Threads("t", reactor).finish()
