"""The web interface and the control socket, over real connections on the loopback."""

import contextlib
import http.client
import json
import os
import pwd
import socket
import stat
import tempfile
import threading
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, inlineCallbacks, succeed
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import TestCase

from vtspolicy.client import SOCKET, Client, Refusal, Unreachable, reachable
from vtspolicy.config.problems import ConfigurationError, Problem
from vtspolicy.control import VERBS
from vtspolicy.events.event import Event
from vtspolicy.jobs import JobState, RequestState
from vtspolicy.ledger import Ending, Intake, JobRecords, QuestionTooLong, RequestRecords
from vtspolicy.metrics import Metrics
from vtspolicy.records import Live
from vtspolicy.rules.decision import PlannedJob
from vtspolicy.rules.work import Work
from vtspolicy.testing.ledger import MemoryLedger
from vtspolicy.web import Control, ControlSocket, Refused, UnknownThing, make_site
from vtspolicy.web.answers import NARROWER, SECURITY_HEADERS
from vtspolicy.web.control_socket import SocketInUseError
from vtspolicy.web.site import BODY, CONNECTIONS

NAMES = {user.pw_uid: user.pw_name for user in pwd.getpwall()}
ME = f"operator {NAMES.get(os.getuid(), os.getuid())}"  # a container's user may have no name
NIGHT = 1_795_313_649.0


class FakeControl:
    """Remembers what it was asked for, and answers what the test wants."""

    def __init__(self):
        self.asked = []
        self.answer = {"done": True}
        self.reasons = ()
        self.collected = 0
        self.collecting = succeed(None)

    def __getattr__(self, name):
        if name not in {verb.method for verb in VERBS.values()}:
            raise AttributeError(name)

        def do(**given):
            self.asked.append((name, given))
            if isinstance(self.answer, Exception):
                return fail(self.answer)
            return succeed(self.answer)

        return do

    def status(self):
        return succeed({"node": "vts1"})

    def live(self, jobs):
        return {job.id: Live(waits_for="seat", place=1, of=2) for job in jobs if job.state.is_live}

    def ready(self):
        return not self.reasons, self.reasons

    def collect(self):
        self.collected += 1
        return self.collecting


def intake(text="VTSPolicy DSK '/VAULT01/PAYROLL/A00017'", *, jobs=1, **more):
    work = Work(application="DSK", run=("vtspolicy", "{path}"), env={"TOKEN": "secret-of-the-site"})
    planned = PlannedJob(work=work, values={"path": "/VAULT01/PAYROLL/A00017"}, lock=None)
    known = {
        "event": Event(text=text),
        "host": "NSK1",
        "received": NIGHT,
        "state": RequestState.OPEN,
        "family": "DSK",
        "rule": "payroll",
        "why": json.dumps({"rule": "payroll", "steps": []}),
        "jobs": (planned,) * jobs,
    }
    return Intake(**(known | more))


class WebCase(TestCase):
    writable = False

    def setUp(self):
        self.control = FakeControl()
        self.ledger = MemoryLedger()
        self.addCleanup(self.ledger.destroy)
        self.metrics = Metrics()
        self.site = make_site(
            self.control,
            self.ledger,
            self.metrics,
            writable=self.writable,
            threads=deferToThread,
        )
        self.port = reactor.listenTCP(0, self.site, 2 * CONNECTIONS, interface="127.0.0.1")
        self.addCleanup(self.port.stopListening)

    def ask(self, path, method="GET"):
        """Return status, headers and body of an answer."""

        def talk():
            address = ("127.0.0.1", self.port.getHost().port)
            connection = http.client.HTTPConnection(*address, timeout=10)
            try:
                connection.request(method, path)
                response = connection.getresponse()
                return response.status, response.headers, response.read()
            finally:
                connection.close()

        return deferToThread(talk)

    @inlineCallbacks
    def ask_json(self, path, method="GET"):
        code, headers, text = yield self.ask(path, method)
        assert headers.get_all("content-type") == ["application/json"]
        return code, json.loads(text)

    def record(self, **more):
        return self.successResultOf(self.ledger.write(RequestRecords.record, intake(**more))).result


class HealthTests(WebCase):
    @inlineCallbacks
    def test_the_process_is_healthy_even_when_it_is_not_ready(self):
        self.control.reasons = ("the ledger cannot be written: disk full",)
        code, told = yield self.ask_json("/healthz")
        assert (code, told) == (200, {"status": "ok"})
        code, told = yield self.ask_json("/readyz")
        assert code == 503
        assert told == {"ready": False, "reasons": ["the ledger cannot be written: disk full"]}

    @inlineCallbacks
    def test_a_ready_server_says_so(self):
        assert (yield self.ask_json("/readyz")) == (200, {"ready": True, "reasons": []})

    @inlineCallbacks
    def test_metrics_are_brought_up_to_date_before_they_are_shown(self):
        self.metrics.connected.labels("NSK1").set(2)
        code, headers, text = yield self.ask("/metrics")
        assert code == 200
        assert headers.get_all("content-type")[0].startswith("text/plain; version=0.0.4")
        assert b'vtspolicy_host_connected{host="NSK1"} 2.0' in text
        assert self.control.collected == 1

    @inlineCallbacks
    def test_the_text_of_metrics_is_made_beside_the_reactor(self):
        made, render = [], self.metrics.render

        def note():
            made.append(threading.current_thread())
            return render()

        self.metrics.render = note
        yield self.ask("/metrics")
        assert len(made) == 1
        assert made[0] is not threading.current_thread()

    @inlineCallbacks
    def test_metrics_are_shown_also_when_the_gauges_cannot_be_had(self):
        self.control.collecting = fail(RuntimeError("no"))
        code, _, text = yield self.ask("/metrics")
        assert code == 200
        assert b"vtspolicy_events_received_total" in text
        assert len(self.flushLoggedErrors(RuntimeError)) == 1

    @inlineCallbacks
    def test_the_state_of_the_server_is_the_engines(self):
        assert (yield self.ask_json("/api/v1/status")) == (200, {"node": "vts1"})

    @inlineCallbacks
    def test_every_answer_bears_the_security_headers(self):
        for path in ("/", "/metrics", "/nowhere", "/api/v1/jobs?limit=x"):
            _, headers, _ = yield self.ask(path)
            for name, value in SECURITY_HEADERS.items():
                assert headers.get_all(name) == [value], (path, name)

    @inlineCallbacks
    def test_head_is_get_without_its_body(self):
        self.record()
        _, with_body, text = yield self.ask("/api/v1/jobs/1")
        code, headers, body = yield self.ask("/api/v1/jobs/1", "HEAD")
        assert (code, body) == (200, b"")
        assert headers.get_all("content-length") == [str(len(text))]
        assert with_body.get_all("content-length") == [str(len(text))]


class ReadingTests(WebCase):
    @inlineCallbacks
    def test_a_list_of_jobs_names_what_asks_for_the_next_one(self):
        self.record(jobs=5)
        code, told = yield self.ask_json("/api/v1/jobs?limit=2")
        assert code == 200
        assert [job["id"] for job in told["jobs"]] == [5, 4]
        assert told["before"] == 4
        _, told = yield self.ask_json("/api/v1/jobs?limit=2&before=2")
        assert [job["id"] for job in told["jobs"]] == [1]
        assert told["before"] is None

    @inlineCallbacks
    def test_jobs_are_found_by_state_and_host(self):
        self.record()
        self.record(text="VTSPolicy DSK '/VAULT01/PAYROLL/A00018'", host="NSK2")
        self.ledger.write(JobRecords.cancel, 1, "operator alice", NIGHT)
        for query, expected in (
            ("state=cancelled", [1]),
            ("state=waiting", [2]),
            ("host=NSK2", [2]),
            ("host=NSK1&state=waiting", []),
        ):
            _, told = yield self.ask_json(f"/api/v1/jobs?{query}")
            assert [job["id"] for job in told["jobs"]] == expected, query

    @inlineCallbacks
    def test_a_job_is_shown_with_times_as_iso_and_never_with_secrets(self):
        self.record()
        self.ledger.write(JobRecords.start_attempt, 1, NIGHT + 1)
        ending = Ending(state=JobState.FAILED, code=12, reason="exit code 12", output="no media\n")
        self.ledger.write(JobRecords.finish_attempt, 1, 1, ending, NIGHT + 2.5)
        code, _, text = yield self.ask("/api/v1/jobs/1")
        assert code == 200
        assert b"secret-of-the-site" not in text
        job = json.loads(text)
        assert job["state"] == "failed"
        assert job["application"] == "DSK"
        assert job["created"] == "2026-11-22T02:14:09.000+00:00"
        assert job["finished"] == "2026-11-22T02:14:11.500+00:00"
        assert job["due"] is None
        assert job["work"]["env"] == ["TOKEN"]
        assert [(each["code"], each["output"]) for each in job["attempts"]] == [(12, "no media\n")]
        assert [each["after"] for each in job["history"]] == ["waiting", "running", "failed"]

    @inlineCallbacks
    def test_a_request_is_shown_with_its_jobs_and_why_it_was_decided_so(self):
        self.record(jobs=2)
        code, told = yield self.ask_json("/api/v1/requests")
        assert (code, [request["id"] for request in told["requests"]]) == (200, [1])
        code, told = yield self.ask_json("/api/v1/requests/1")
        assert [job["id"] for job in told["job_list"]] == [2, 1]
        assert told["received"] == "2026-11-22T02:14:09.000+00:00"
        code, told = yield self.ask_json("/api/v1/requests/1/why")
        assert told["why"] == {"rule": "payroll", "steps": []}

    @inlineCallbacks
    def test_what_is_not_in_the_ledger_is_not_found(self):
        beyond = str(2**64)
        paths = (
            "jobs/7",
            "requests/7",
            "requests/7/why",
            f"jobs/{beyond}",
            f"requests/{beyond}/why",
        )
        for path in paths:
            code, told = yield self.ask_json(f"/api/v1/{path}")
            assert code == 404, path
            assert "there is no" in told["error"]["message"]

    @inlineCallbacks
    def test_a_ledger_that_cannot_be_read_is_not_the_callers_mistake(self):
        yield Deferred.fromCoroutine(self.ledger.close())
        code, told = yield self.ask_json("/api/v1/jobs")
        assert (code, told["error"]["message"]) == (503, "the ledger is closed")

    @inlineCallbacks
    def test_a_question_that_takes_too_long_is_answered_with_what_helps(self):
        self.ledger.browse = lambda *_question, **_filters: fail(QuestionTooLong(5.0))
        for path in ("jobs?tape=/VAULT01/P/NOPE", "jobs/1", "requests?ref=NOPE", "requests/1"):
            code, told = yield self.ask_json(f"/api/v1/{path}")
            assert code == 422, path
            assert told["error"]["message"].startswith("the ledger was searched for 5 s")
            assert told["error"]["hint"] == NARROWER

    @inlineCallbacks
    def test_a_query_that_is_wrong_is_explained(self):
        for query, message, hint in (
            ("limit=0", "limit must be a number from 1 to 500", None),
            ("limit=501", "limit must be a number from 1 to 500", None),
            ("limit=%D9%A1", "limit must be a number from 1 to 500", None),
            ("before=-1", "before must be a number of 1 or more", None),
            (f"before={'9' * 101}", "before must be a number of 1 or more", None),
            ("state=faild", "state has no such value", 'did you mean "failed"?'),
            ("stat=failed", "there is no such parameter", 'did you mean "state"?'),
            ("host=a&host=b", "host is given 2 times", None),
            (f"host={'a' * 257}", "host must have 1 to 256 characters", None),
        ):
            code, told = yield self.ask_json(f"/api/v1/jobs?{query}")
            assert code == 400, query
            assert told["error"] == {"message": message, "hint": hint}

    @inlineCallbacks
    def test_markup_from_a_host_cannot_leave_its_string(self):
        self.record(text="VTSPolicy DSK '<script>alert(1)</script>'")
        code, _, text = yield self.ask("/api/v1/requests/1")
        assert code == 200
        assert b"<script>" not in text
        assert "<script>" in json.loads(text)["text"]

    @inlineCallbacks
    def test_nothing_of_a_wrong_address_is_repeated(self):
        for path in ("/<script>", "/api/v1/jobs/1x", "/api/v1/jobs/0", "/api/v1/../../etc/passwd"):
            code, _, text = yield self.ask(path.replace("<", "%3C").replace(">", "%3E"))
            assert code == 404
            assert b"script" not in text

    @inlineCallbacks
    def test_no_order_is_taken_on_the_web(self):
        for name in VERBS:
            code, _ = yield self.ask_json(f"/api/v1/{name}", "POST")
            assert code == 404, name
        assert self.control.asked == []

    @inlineCallbacks
    def test_pages_cannot_be_written_to(self):
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            code, headers, _ = yield self.ask("/api/v1/jobs", method)
            assert code == 405
            assert headers.get_all("allow") == ["GET, HEAD"]

    @inlineCallbacks
    def test_a_defect_of_ours_is_answered_without_its_details(self):
        self.control.status = lambda: fail(RuntimeError("at 0x7f12"))
        code, told = yield self.ask_json("/api/v1/status")
        assert code == 500
        assert "0x7f12" not in told["error"]["message"]
        assert len(self.flushLoggedErrors(RuntimeError)) == 1


class BoundTests(WebCase):
    @inlineCallbacks
    def nobody_is_there(self):
        """Wait until the server knows that all have hung up."""
        while self.site.connections:
            yield deferLater(reactor, 0.001)

    def talk(self, sent):
        """Return what a raw connection gets back until it is closed."""
        with socket.create_connection(("127.0.0.1", self.port.getHost().port), 10) as raw:
            with contextlib.suppress(ConnectionError):
                raw.sendall(sent)
            got = b""
            with contextlib.suppress(ConnectionError):
                while part := raw.recv(65536):
                    got += part
        return got

    @inlineCallbacks
    def test_a_body_that_is_announced_too_long_is_refused_before_it_comes(self):
        head = b"POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (BODY + 1)
        got = yield deferToThread(self.talk, head)
        assert got.startswith(b"HTTP/1.1 413 ")

    @inlineCallbacks
    def test_a_body_that_never_ends_is_cut(self):
        head = b"POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
        got = yield deferToThread(self.talk, head + chunk * (BODY // 4096 + 1))
        assert got.startswith(b"HTTP/1.1 413 ")

    @inlineCallbacks
    def test_who_hangs_up_before_the_answer_leaves_no_trouble(self):
        asked, late = Deferred(), Deferred()

        def wait():
            asked.callback(None)
            return late

        self.control.status = wait
        raw = socket.create_connection(("127.0.0.1", self.port.getHost().port), 10)
        raw.sendall(b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
        yield asked
        raw.close()
        yield self.nobody_is_there()
        late.callback({"node": "vts1"})
        assert self.flushLoggedErrors() == []
        assert (yield self.ask_json("/healthz"))[0] == 200

    @inlineCallbacks
    def test_what_is_no_request_is_refused_and_nothing_of_it_is_repeated(self):
        rest = b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        for sent in (
            b"GET /<script>" + rest,
            b"<script> /" + rest,
            b"BREW /?<script>" + rest,
            b"GET /\xff\x00\x1b" + rest,
            b"GET /?%ff=<script>" + rest,
            b"GET / HTTP/1.1\r\nContent-Length: x<script>\r\n\r\n",
            b"<script>\r\n\r\n",
        ):
            got = yield deferToThread(self.talk, sent)
            assert got.startswith(b"HTTP/1.1 4"), (sent[:40], got)
            assert b"script" not in got

    @inlineCallbacks
    def test_endless_addresses_and_headers_are_not_listened_to(self):
        for sent in (
            b"GET /healthz?" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 600 + b"\r\n",
        ):
            got = yield deferToThread(self.talk, sent)  # ends: the connection was closed
            assert b" 200 " not in got

    @inlineCallbacks
    def test_one_connection_too_many_is_closed_and_leaves_the_others(self):
        def crowd():
            address = ("127.0.0.1", self.port.getHost().port)
            friends = [socket.create_connection(address, 10) for _ in range(CONNECTIONS)]
            try:
                with socket.create_connection(address, 10) as late:
                    assert late.recv(1) == b""
                friends[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                return friends[0].recv(100)
            finally:
                for friend in friends:
                    friend.close()

        got = yield deferToThread(crowd)
        assert got.startswith(b"HTTP/1.1 200 ")
        yield self.nobody_is_there()  # or the next one could be one too many, too
        code, _ = yield self.ask_json("/healthz")
        assert code == 200


class ControlSocketTests(TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.spool = Path(folder.name)
        self.control = FakeControl()
        self.ledger = MemoryLedger()
        self.addCleanup(self.ledger.destroy)

    def site(self):
        return make_site(self.control, self.ledger, Metrics(), writable=True)

    def open(self, spool=None):
        door = ControlSocket.open(reactor, spool or self.spool, self.site())
        self.addCleanup(lambda: Deferred.fromCoroutine(door.close()))
        return door

    def client(self, spool=None):
        return Client(spool=spool or self.spool, timeout=10)

    @inlineCallbacks
    def test_a_socket_that_was_removed_can_be_opened_again(self):
        door = self.open()
        assert not door.is_lost
        door.path.unlink()
        assert door.is_lost
        renewed = door.renew()
        self.addCleanup(lambda: Deferred.fromCoroutine(renewed.close()))
        assert not renewed.is_lost
        told = yield deferToThread(self.client().post, "drain")
        assert told == {"done": True}

    @inlineCallbacks
    def test_an_order_reaches_the_engine_with_the_peers_name(self):
        self.open()
        told = yield deferToThread(self.client().post, "cancel", request=17)
        assert told == {"done": True}
        given = {"request": 17, "job": None, "reason": None}
        assert self.control.asked == [("cancel", {**given, "actor": ME})]

    @inlineCallbacks
    def test_whether_there_is_a_job_of_a_number_is_for_the_engine_to_say(self):
        self.open()
        yield deferToThread(self.client().post, "retry", job=10**23)
        assert self.control.asked == [("retry", {"job": 10**23, "reason": None, "actor": ME})]

    @inlineCallbacks
    def test_every_verb_can_be_asked_for_and_is_one_of_the_engines(self):
        self.open()
        for name, verb in VERBS.items():
            assert callable(getattr(Control, verb.method))
            given = {
                key: 3 if each.kind is int else "text"
                for key, each in verb.arguments.items()
                if each.required
            } | ({verb.one_of[0]: 3} if verb.one_of else {})
            yield deferToThread(self.client().post, name, **given)
        assert [name for name, _ in self.control.asked] == [verb.method for verb in VERBS.values()]

    @inlineCallbacks
    def test_an_order_whose_effect_has_its_line_in_the_log_has_no_second_one(self):
        self.open()
        events = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        yield deferToThread(self.client().post, "drain")
        yield deferToThread(self.client().post, "cancel", request=17, reason="wrong tape")
        yield deferToThread(self.client().post, "scan")
        lines = [formatEvent(each) for each in events if each.get("action") == "order"]
        assert lines == [
            f'{ME} asks for /api/v1/cancel: request=17 reason="wrong tape".',
            f"{ME} asks for /api/v1/scan.",
        ]

    @inlineCallbacks
    def test_an_order_that_would_wait_for_the_ledger_is_refused(self):
        self.open()
        self.ledger.trouble = "the disk is full"
        with pytest.raises(Refusal) as caught:
            yield deferToThread(self.client().post, "order", text="VTSPolicy Erase - A00017")
        assert caught.value.status == 503
        assert "cannot be written: the disk is full; nothing was done" in str(caught.value)
        assert self.control.asked == []
        for verb, given in (("drain", {}), ("resume", {}), ("backup", {"path": "/x"})):
            yield deferToThread(self.client().post, verb, **given)
        assert [verb for verb, _ in self.control.asked] == ["drain", "resume", "backup"]

    @inlineCallbacks
    def test_the_socket_answers_questions_too(self):
        self.open()
        told = yield deferToThread(self.client().get, "jobs", limit=5)
        assert told == {"jobs": [], "before": None}

    @inlineCallbacks
    def test_arguments_that_are_wrong_never_reach_the_engine(self):
        self.open()
        marked = {"tape": "/V/P/A", "state": "migrated", "application": "TSM"}
        for verb, given, expected in (
            ("cancel", {}, "give one of request and job"),
            ("cancel", {"request": 1, "job": 2}, "give one of request and job"),
            ("cancel", {"request": "1"}, "request must be a number of 1 or more"),
            ("cancel", {"request": True}, "request must be a number of 1 or more"),
            ("cancel", {"job": 0}, "job must be a number of 1 or more"),
            ("mark", {**marked, "size": 2**62 + 1}, f"size must be a number from 1 to {2**62}"),
            ("retry", {"jobb": 1}, 'there is no such argument; did you mean "job"?'),
            ("retry", {}, "job is missing"),
            ("release-lock", {"lock": ""}, "lock must be a text of 1 to 4096 characters"),
            ("release-lock", {"lock": "a\0b"}, "lock must be a text of 1 to 4096 characters"),
            (
                "withdraw",
                {"tape": "/VAULT01/P/A\ud800"},
                "tape is not text: character 13 is half of one",
            ),
            (
                "order",
                {"text": "VTSPolicy Erase - A00017", "override": "\udcff"},
                "override is not text: character 1 is half of one",
            ),
            ("backup", {"path": "/x\ud800"}, "path is not text: character 3 is half of one"),
        ):
            with pytest.raises(Refusal) as caught:
                yield deferToThread(self.client().post, verb, **given)
            assert (caught.value.status, str(caught.value)) == (400, expected)
        assert self.control.asked == []

    @inlineCallbacks
    def test_what_the_engine_says_against_it_has_a_status_of_its_own(self):
        self.open()
        problem = Problem(file="rules.yaml", line=3, column=5, message="no such key")
        for error, status in (
            (UnknownThing("there is no job 7"), 404),
            (Refused("job 7 has not ended"), 409),
            (FileExistsError(17, "File exists", "/tmp/copy"), 409),
            (ConfigurationError([problem]), 422),
        ):
            self.control.answer = error
            with pytest.raises(Refusal) as caught:
                yield deferToThread(self.client().post, "retry", job=7)
            assert (caught.value.status, caught.value.message) == (status, str(error))

    @inlineCallbacks
    def test_an_order_cannot_be_given_by_reading(self):
        self.open()
        with pytest.raises(Refusal) as caught:
            yield deferToThread(self.client().get, "drain")
        assert caught.value.status == 405
        assert self.control.asked == []

    def test_only_this_user_may_connect(self):
        self.open()
        assert stat.S_IMODE((self.spool / SOCKET).stat().st_mode) == 0o600

    @inlineCallbacks
    def test_the_socket_of_a_dead_server_is_replaced(self):
        with socket.socket(socket.AF_UNIX) as dead, reachable(self.spool / SOCKET) as address:
            dead.bind(address)
        with pytest.raises(Unreachable):
            yield deferToThread(self.client().get, "status")
        self.open()
        assert (yield deferToThread(self.client().get, "status")) == {"node": "vts1"}

    def test_the_socket_of_a_living_server_is_not_taken(self):
        self.open()
        inode = (self.spool / SOCKET).stat().st_ino
        with pytest.raises(SocketInUseError):
            self.open()
        assert (self.spool / SOCKET).stat().st_ino == inode

    def test_a_file_that_is_no_socket_is_left_alone(self):
        (self.spool / SOCKET).write_text("precious")
        with pytest.raises(FileExistsError):
            self.open()
        assert (self.spool / SOCKET).read_text() == "precious"

    @inlineCallbacks
    def test_a_spool_whose_path_is_longer_than_an_address_works_as_well(self):
        deep = self.spool / ("d" * 100) / ("e" * 100)
        deep.mkdir(parents=True)
        door = self.open(deep)
        assert (yield deferToThread(self.client(deep).get, "status")) == {"node": "vts1"}
        yield Deferred.fromCoroutine(door.close())
        assert not (deep / SOCKET).exists()

    @inlineCallbacks
    def test_a_closed_door_leaves_no_socket(self):
        door = self.open()
        yield Deferred.fromCoroutine(door.close())
        assert not (self.spool / SOCKET).exists()
        with pytest.raises(Unreachable) as caught:
            yield deferToThread(self.client().get, "status")
        assert "no server runs here" in str(caught.value)

    @inlineCallbacks
    def test_a_server_that_does_not_answer_is_given_up(self):
        with socket.socket(socket.AF_UNIX) as silent, reachable(self.spool / SOCKET) as address:
            silent.bind(address)
            silent.listen(1)
            with pytest.raises(Unreachable) as caught:
                yield deferToThread(Client(spool=self.spool, timeout=0.05).get, "status")
            assert str(caught.value).endswith("did not answer within 0.05 s")
            with pytest.raises(Unreachable) as caught:
                yield deferToThread(Client(spool=self.spool, timeout=0.05).post, "retry", job=1)
        assert "within 0.05 s; it may still do what it was told" in str(caught.value)
