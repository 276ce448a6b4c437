"""`vtspolicy send` against a server that answers what each test says."""

import json
import re
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from vtspolicy.cli import link as link_module
from vtspolicy.cli import send as send_module
from vtspolicy.cli.send import send
from vtspolicy.events.decoder import decoder
from vtspolicy.notices import Notice, Word, ems_line, json_line

AT = datetime.fromisoformat("2026-11-22T02:14:09")
ARCHIVE = "VTSPolicy DSK 'archive  /VAULT01/PAYROLL/A00017'"


class Server:
    """Takes connections one after the other, and lets a script of the test speak on each."""

    def __init__(self, *scripts, context=None):
        self._scripts = scripts
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(10)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.lines = []  # the first of each connection
        self.acknowledged = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._thread.join(10)
        self._socket.close()
        assert not self._thread.is_alive()

    def _run(self):
        for script in self._scripts:
            connection, _ = self._socket.accept()
            connection.settimeout(10)
            if self._context is not None:
                try:
                    connection = self._context.wrap_socket(connection, server_side=True)
                except OSError:  # of TLS, or of a client that has gone before it could be told
                    connection.close()
                    continue
            with connection, connection.makefile("rb") as stream:
                line = stream.readline()
                self.lines.append(line)
                event = json.loads(line) if line.startswith(b"{") else {}
                for each in script(event):
                    if each is None:  # wait until the client has gone
                        break
                    connection.sendall(each)
                else:
                    continue
                for answer in stream:
                    self.acknowledged += [ack] if (ack := json.loads(answer)["ack"]) else []


def notice(word, number=None, **fields):
    record = Notice(word=Word[word], host="NSK1", fields=fields, id=number)
    return json_line(record, node="vts1", at=AT)


def display(word, **fields):
    return ems_line(Notice(word=Word[word], host="NSK1", fields=fields), node="vts1", at=AT)


def saying(*words, **fields):
    """A script that answers with these words about the event that came."""

    def script(event):
        for number, word in enumerate(words, 1):
            yield notice(word, id=event["id"], number=number, req=17, **fields)
        yield None

    return script


def run(server, *arguments):
    address = server if isinstance(server, str) else server.address
    return CliRunner().invoke(send, ["--to", address, *arguments])


@pytest.mark.parametrize("text", ["hello", "vtspolicy Status - 1", "VTSPolicyX"])
def test_a_text_that_is_no_command_is_not_waited_for(text):
    result = run("127.0.0.1:1", "--wait", text)
    assert result.exit_code == 2
    assert "commands begin with VTSPolicy, in these upper" in result.stderr


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("ACCEPTED", 0),
        ("DUPLICATE", 0),
        ("STATUS", 0),
        ("REJECTED", 4),
        ("DENIED", 4),
        ("NORULE", 4),
    ],
)
def test_the_first_answer_decides_without_wait(word, code):
    with Server(saying(word)) as server:
        result = run(server, ARCHIVE)
    assert result.exit_code == code
    assert word in result.stdout
    assert "req=17" in result.stdout


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("form", ["json", "ems"])
def test_control_sequences_of_a_server_do_not_reach_the_terminal(form, as_json):
    reason = "x\x1b]0;title\x07 \x9b2J \u202eend\u2028"

    def script(event):
        if form == "ems":
            head = "26-11-22 02:14:09 \\VTS1.$VTSP VTS.POLICY.A01 1101 "
            yield f'{head}VTSPolicy REJECTED reason="{reason}"\n'.encode()
        else:
            fields = {"time": "2026-11-22T02:14:09", "system": "\\VTS1", "number": 1101}
            fields |= {"text": f"VTSPolicy REJECTED {reason}", "word": "REJECTED", "req": 1}
            fields |= {"id": event["id"], "reason": reason}
            yield json.dumps(fields, ensure_ascii=False).encode() + b"\n"
        yield None

    with Server(script) as server:
        more = ["--json"] if as_json else []
        result = run(server, "--format", form, "--system", "\\NSK1", "--all", *more, ARCHIVE)
    assert "end" in result.stdout
    assert [c for c in result.stdout if not c.isprintable() and c != "\n"] == []
    if as_json:
        assert json.loads(result.stdout.splitlines()[0])["word"] == "REJECTED"


@pytest.mark.parametrize("form", ["json", "ems"])
def test_a_reference_that_names_a_request_is_not_looked_for_in_the_answer(form):
    def script(event):
        yield (
            display("STATUS", req=17, family="DSK")
            if form == "ems"
            else notice("STATUS", number=1, id=event["id"], req=17, family="DSK")
        )
        yield None

    text = "VTSPolicy Status - ref=payroll"
    with Server(script) as server:
        result = run(server, "--format", form, "--system", "\\NSK1", "--timeout", "5s", text)
    assert (result.exit_code, "STATUS" in result.stdout) == (0, True)


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("COMPLETED", 0),
        ("WARNING", 3),
        ("FAILED", 1),
        ("CANCELLED", 1),
        ("TIMEDOUT", 1),
        ("INTERRUPTED", 1),
    ],
)
def test_the_final_notice_decides_with_wait(word, code):
    with Server(saying("ACCEPTED", "STARTED", "PROGRESS", word)) as server:
        result = run(server, "--wait", ARCHIVE)
    assert result.exit_code == code
    assert [line.split()[1] for line in result.stdout.splitlines()] == [
        "ACCEPTED",
        "STARTED",
        "PROGRESS",
        word,
    ]


def test_a_refusal_ends_the_waiting_too():
    with Server(saying("DENIED", reason="not yours")) as server:
        result = run(server, "--wait", ARCHIVE)
    assert result.exit_code == 4
    assert 'reason="not yours"' in result.stdout


def test_a_duplicate_waits_for_the_final_notice_of_the_first():
    def script(event):
        yield notice("DUPLICATE", id=event["id"], req=4)
        yield notice("COMPLETED", id="another", req=5)
        yield notice("FAILED", id="the first one's", req=4)
        yield None

    with Server(script) as server:
        assert run(server, "--wait", ARCHIVE).exit_code == 1


def test_the_text_arrives_exactly_as_it_was_given_in_an_event_of_its_own():
    texts = (ARCHIVE, ARCHIVE, "VTSPolicy DSK “archive\u00a0ä”")
    with Server(*(saying("ACCEPTED") for _ in texts)) as server:
        for text in texts:
            run(server, "--system", r"\NSK7", "--process", "$ZBAT", "--number", "12", text)
    events = [json.loads(line) for line in server.lines]
    assert tuple(event["text"] for event in events) == texts
    assert {(e["system"], e["process"], e["number"]) for e in events} == {(r"\NSK7", "$ZBAT", 12)}
    assert len({event["id"] for event in events}) == 3
    assert len({event["time"] for event in events}) == 3  # or the second one were a duplicate


@pytest.mark.parametrize("form", ["json", "ems", "plain"])
def test_the_server_reads_what_is_sent_in_each_format(form):
    def script(event):
        yield notice("ACCEPTED", id=event["id"], req=1) if event else display("ACCEPTED", req=1)
        yield None

    with Server(script) as server:
        assert run(server, "--format", form, ARCHIVE.replace("  ", " ")).exit_code == 0
    reader = decoder("auto")
    items = [*reader.feed(server.lines[0]), *reader.close()]
    (event,) = items
    assert event.text == ARCHIVE.replace("  ", " ")
    assert event.is_command
    assert event.is_plain is (form == "plain")


def test_notices_about_other_commands_are_neither_shown_nor_acknowledged_nor_taken_for_ours():
    def script(event):
        yield notice("FAILED", id="another", number=1, req=3)
        yield notice("HEARTBEAT")
        yield b"what is this?\n"
        yield notice("ACCEPTED", id=event["id"], number=2, req=4)
        yield notice("FAILED", id="another", number=3, req=3)
        yield notice("COMPLETED", id=event["id"], number=4, req=4)
        yield None

    with Server(script, script) as server:
        shown = run(server, "--wait", ARCHIVE)
        everything = run(server, "--wait", "--all", ARCHIVE)
    assert shown.exit_code == everything.exit_code == 0
    assert "FAILED" not in shown.stdout
    assert everything.stdout.count("FAILED") == 2
    assert server.acknowledged == [2, 4, 2, 4]


def test_a_display_connection_is_matched_by_the_reference():
    def script(_event):
        yield display("ACCEPTED", req=3, ref="another", family="DSK")
        yield display("REJECTED", reason="no reference at all")
        yield display("ACCEPTED", req=4, ref="mine", family="DSK")
        yield display("FAILED", req=3, ref="another")
        yield display("COMPLETED", req=4, ref="mine")
        yield None

    with Server(script) as server:
        result = run(server, "--format", "ems", "--wait", "VTSPolicy DSK 'archive /V/P ref=mine'")
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 2


def test_a_display_connection_without_a_reference_is_matched_by_the_first_answer():
    def script(_event):
        yield display("COMPLETED", req=2, family="DSK")
        yield display("ACCEPTED", req=3, family="TSM")
        yield display("ACCEPTED", req=4, family="DSK")
        yield display("COMPLETED", req=3)
        yield display("FAILED", req=4)
        yield None

    with Server(script) as server:
        assert run(server, "--format", "plain", "--wait", ARCHIVE).exit_code == 1


def test_somebody_elses_question_about_our_request_is_no_answer_to_us():
    def script(event):
        yield notice("ACCEPTED", id=event["id"], req=4)
        yield notice("STATUS", id="another", req=4)
        yield notice("FAILED", id=event["id"], req=4)
        yield None

    with Server(script) as server:
        assert run(server, "--wait", ARCHIVE).exit_code == 1


def test_json_prints_the_notices_as_they_came():
    lines = []

    def script(event):
        lines.append(notice("ACCEPTED", id=event["id"], number=5, req=4))
        yield lines[0]
        yield None

    with Server(script) as server:
        result = run(server, "--json", ARCHIVE)
    assert result.stdout.encode() == lines[0]


def test_json_of_a_display_has_the_same_keys():
    def script(_event):
        yield display("REJECTED", req=4, column=12, reason="what is this?")
        yield None

    with Server(script) as server:
        result = run(server, "--format", "ems", "--json", ARCHIVE)
    shown = json.loads(result.stdout)
    assert (shown["word"], shown["number"], shown["column"]) == ("REJECTED", 1101, 12)


@pytest.fixture
def clock(monkeypatch):
    """A clock that a slow machine does not use up: only the test moves it, and sockets wait."""
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now, sleep=time.sleep)
    monkeypatch.setattr(send_module, "time", clock)
    monkeypatch.setattr(link_module, "time", clock)
    return clock


def test_silence_is_given_up_after_the_timeout(clock):
    with Server(lambda _event: [None]) as server:
        result = run(server, "--timeout", "50ms", ARCHIVE)
    assert result.exit_code == 5
    assert "gave up" in result.stderr


def test_a_final_notice_that_does_not_come_is_given_up_after_the_timeout(clock, monkeypatch):
    show = send_module.Printer.show

    def shown(*args, **given):
        show(*args, **given)
        clock.now = 599.9  # a tenth of a second is left

    monkeypatch.setattr(send_module.Printer, "show", shown)
    with Server(saying("ACCEPTED")) as server:
        result = run(server, "--wait", "--timeout", "10m", ARCHIVE)
    assert result.exit_code == 5
    assert "ACCEPTED" in result.stdout


def test_time_that_is_over_is_not_waited_for(clock, monkeypatch):
    show = send_module.Printer.show

    def shown(*args, **given):
        show(*args, **given)
        clock.now = 600.0

    monkeypatch.setattr(send_module.Printer, "show", shown)
    with Server(saying("ACCEPTED")) as server:
        result = run(server, "--wait", "--timeout", "10m", ARCHIVE)
    assert result.exit_code == 5
    assert server.acknowledged == []


def test_nobody_listening_is_code_six():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # the port stays ours, so that nobody else listens there
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = run(address, ARCHIVE)
    assert result.exit_code == 6
    assert f"cannot reach {address}" in result.stderr


def test_a_server_that_hangs_up_without_an_answer_is_code_six_and_says_what_to_look_at():
    with Server(lambda _event: []) as server:
        result = run(server, ARCHIVE)
    assert result.exit_code == 6
    assert "peers" in result.stderr


def test_a_server_that_is_restarted_meanwhile_is_reached_again(monkeypatch):
    monkeypatch.setattr(send_module, "AGAIN", 0.01)

    def before(event):
        yield notice("ACCEPTED", id=event["id"], req=4)

    def after(_event):
        yield notice("COMPLETED", id="another", req=3)
        yield display("COMPLETED", req=4)
        yield None

    with Server(before, after) as server:
        result = run(server, "--wait", "--timeout", "10", ARCHIVE)
    assert result.exit_code == 0
    assert json.loads(server.lines[1]) == {"ack": []}


def test_a_line_without_an_end_is_not_kept(monkeypatch):
    def script(event):
        yield b"x" * 1_000_000 + b"\n"
        yield notice("ACCEPTED", id=event["id"], req=4)[:50]
        yield notice("ACCEPTED", id=event["id"], req=4)[50:]
        yield None

    monkeypatch.setattr(link_module, "LONGEST_LINE", 1000)
    with Server(script) as server:
        assert run(server, ARCHIVE).exit_code == 0


def test_the_memory_for_a_line_without_an_end_is_bounded():
    class Endless:
        """A connection that never sends the end of its line."""

        left = 100

        def settimeout(self, seconds):
            pass

        def recv(self, size):
            self.left -= 1
            return b"x" * size if self.left else b""

        def close(self):
            pass

    address = link_module.Address(host="vts1", port=7171)
    conversation = link_module.Conversation(address, None, Endless())
    assert list(conversation.lines()) == []
    assert len(conversation.rest) <= 2 * link_module.LONGEST_LINE


def test_the_command_can_come_from_a_file(tmp_path):
    path = tmp_path / "command"
    path.write_text(ARCHIVE + "\n")
    with Server(saying("ACCEPTED")) as server:
        assert run(server, "--file", str(path)).exit_code == 0
    assert json.loads(server.lines[0])["text"] == ARCHIVE


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--to", "vts1", ARCHIVE], "vts1:7171"),
        (["--to", "vts1:99999", ARCHIVE], "HOST:PORT"),
        (["--to", "vts1:1", "--timeout", "soon", ARCHIVE], "90s"),
        (["--to", "vts1:1"], "--file"),
        (["--to", "vts1:1", " "], "empty"),
        (["--to", "vts1:1", "--ca", __file__, ARCHIVE], "--tls"),
        ([ARCHIVE], "--to"),
    ],
)
def test_wrong_usage_is_code_two_and_says_what_is_right(arguments, complaint):
    result = CliRunner().invoke(send, arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that vouches for itself, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(key.private_bytes(*form) + made.public_bytes(Encoding.PEM))
    return str(path)


def test_tls_shows_our_certificate_and_looks_at_the_servers(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    tls = ("--tls", "--cert", certificate)
    with Server(saying("ACCEPTED"), context=context) as server:
        assert run(server, *tls, "--ca", certificate, ARCHIVE).exit_code == 0
    with Server(saying("ACCEPTED"), context=context) as server:
        stranger = run(server, *tls, ARCHIVE)  # the system's authorities do not know it
    assert stranger.exit_code == 6
    assert "certificate" in stranger.stderr.lower()
    assert not server.lines


def test_a_connection_without_a_certificate_is_told_to_show_one(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Server(lambda _: (), context=context) as server:
        result = run(server, "--tls", "--ca", certificate, ARCHIVE)
    assert result.exit_code == 6
    assert "show the certificate of a host with --cert and --key" in result.stderr


def test_the_clock_of_a_notice_is_shown_in_front():
    with Server(saying("ACCEPTED")) as server:
        result = run(server, ARCHIVE)
    assert re.match(r"02:14:09 ACCEPTED +req=17\n", result.stdout)
