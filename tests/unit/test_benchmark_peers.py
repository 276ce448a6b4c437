"""The log servers beside the stream: where they are, and whether what they deliver is whole."""

import re
import subprocess

import pytest

from tests.benchmarks import loggers
from tests.benchmarks.loggers import LOGGERS, PACKAGES, located, require_whole
from tests.benchmarks.peers import NotInstalled
from tests.benchmarks.stream import Stream

SENT = b"26 first\nsecond\n3 third\n"


def refused(got):
    with pytest.raises(RuntimeError) as error:
        require_whole("a peer", got, SENT)
    return str(error.value)


@pytest.fixture
def nothing_installed(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    return tmp_path / "vtspolicy-benchmarks"


def test_what_was_delivered_as_it_was_sent_is_whole():
    require_whole("a peer", SENT, SENT)


def test_a_line_that_was_cut_at_its_beginning_is_named():
    text = refused(b" first\nsecond\n3 third\n")
    assert text.endswith("3 lines in place of 3, and line 1 is b' first\\n'")
    assert text.startswith("a peer has not delivered what was sent")


def test_a_line_that_is_missing_in_the_middle_is_seen():
    assert "2 lines in place of 3, and line 2 is b'3 third\\n'" in refused(b"26 first\n3 third\n")


def test_a_last_line_that_is_missing_is_seen():
    assert "2 lines in place of 3, and line 3 is b'nothing'" in refused(b"26 first\nsecond\n")


def test_a_line_that_came_twice_is_seen():
    assert "4 lines in place of 3, and line 4 is b'3 third\\n'" in refused(SENT + b"3 third\n")


def test_lines_in_another_order_are_seen():
    assert "line 1 is b'second\\n'" in refused(b"second\n26 first\n3 third\n")


def test_a_missing_last_line_end_is_seen():
    assert "line 3 is b'3 third'" in refused(SENT[:-1])


@pytest.mark.parametrize("name", PACKAGES)
def test_a_quick_run_installs_no_peer_and_tells_how_to_get_it(nothing_installed, name):
    with pytest.raises(NotInstalled, match=f"^peer not installed: apt install {PACKAGES[name][0]}"):
        located(name, install=False)
    assert not nothing_installed.exists()


@pytest.mark.parametrize("name", PACKAGES)
def test_a_peer_that_cannot_be_downloaded_is_not_installed(nothing_installed, monkeypatch, name):
    def run(words, **_):
        raise subprocess.CalledProcessError(100, words)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(NotInstalled, match=f"apt-get download {PACKAGES[name][0]} .* failed"):
        located(name, install=True)
    assert not (nothing_installed / name).exists()


def test_an_unpacked_peer_is_found_with_its_libraries_and_modules(nothing_installed):
    folder = nothing_installed / "rsyslogd" / "usr/lib/x86/rsyslog"
    folder.mkdir(parents=True)
    (folder / "imptcp.so").touch()
    (folder.parent / "libestr.so.0").touch()
    found = located("rsyslogd", install=False)
    assert found.path == nothing_installed / "rsyslogd/usr/sbin/rsyslogd"
    assert found.environment == {"LD_LIBRARY_PATH": str(folder.parent)}
    assert found.modules("-M", "imptcp.so") == [f"-M{folder}"]


def test_an_installed_peer_finds_its_own_libraries_and_modules(monkeypatch):
    monkeypatch.setattr(loggers, "program", lambda *words: f"/usr/sbin/{words[0]}")
    found = located("rsyslogd", install=False)
    assert (found.environment, found.modules("-M", "imptcp.so")) == ({}, [])


@pytest.mark.parametrize("logger", LOGGERS, ids=lambda logger: logger.name)
def test_a_configuration_has_all_places_filled(logger):
    filled = logger.configuration.format(folder="/a folder", port=4711, word="WORD", version="3.35")
    assert {"/a folder/found", "4711", "WORD"} <= set(
        re.findall(r"/a folder/found|4711|WORD", filled)
    )
    assert "{{" not in filled


def test_octet_counting_is_off_for_every_rsyslog():
    for logger in LOGGERS:
        if logger.program == "rsyslogd":
            assert 'supportOctetCountedFraming="off"' in logger.configuration


def test_the_lines_of_the_stream_begin_with_digits_and_are_no_repeats():
    stream = Stream(2)
    first = stream.sent()
    stream.send(Swallowing())
    assert all(line[:1].isdigit() for line in stream.sent().splitlines())
    assert not set(first.splitlines()) & set(stream.sent().splitlines())
    assert loggers.WORD.encode() not in stream.noise


class Swallowing:
    def sendall(self, data):
        pass
