"""`dial:` of the configuration: what is a link, and what is wrong with one, with its place."""

import pytest

from vtspolicy.config.dial import DialLoader
from vtspolicy.config.dial_keys import DIAL
from vtspolicy.config.positions import read_text
from vtspolicy.config.reading import Findings, items, section_of
from vtspolicy.links.login import DIALOGUES, REFUSED, TIMEOUT


class Site:
    def __init__(self, folder):
        self.folder = folder
        self.findings = Findings()
        self.secret = []
        self.missing = []

    def file(self, node, written, secret):
        path = self.folder / written
        if not path.exists():
            self.missing.append(written)
        if secret:
            self.secret.append(written)
        return path

    def read(self, text):
        node, problems = read_text(text, file="site.yaml")
        assert not problems
        sections = items(section_of(DIAL, "a link"))(node, self.findings)
        loader = DialLoader(self.findings, self.file, ["NSK1", "NSK2"])
        return loader.make(sections or ())

    def read_all(self, text):
        self.read(text)
        return self.findings.problems

    def told(self, text):
        return [str(each) for each in self.read_all(text)]


@pytest.fixture
def site(tmp_path):
    for name in ("pw", "id", "known", "ca.pem"):
        (tmp_path / name).write_text("")
    return Site(tmp_path)


SSH = '- {host: NSK1, endpoint: "ssh:nsk1", user: VTS.EMS, key_file: id, known_hosts: known'
TELNET = '- {host: NSK2, endpoint: "telnet:10.0.0.10", user: VTS.EMS, password_file: pw'
TYPED = f"{TELNET}, login: [{{expect: 'Password:', send: '{{password}}'}}"


def test_a_link_has_the_defaults_of_its_kind(site):
    ssh, telnet = site.read(f"{SSH}}}\n{TELNET}}}")
    assert (ssh.protocol, ssh.address, ssh.login) == ("ssh", ("nsk1", 22), DIALOGUES["ssh-tacl"])
    assert (telnet.address, telnet.login) == (("10.0.0.10", 23), DIALOGUES["tacl"])
    assert ssh.command is None
    assert telnet.process is None
    assert telnet.overlap == 60
    assert telnet.reply == "VTSREPLY"
    assert not site.findings.errors
    assert site.secret == ["id", "pw"]


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("ssh:[fe80::1%eth0]:2222", ("fe80::1%eth0", 2222)),
        ("ssh:nsk1.example.com:1", ("nsk1.example.com", 1)),
    ],
)
def test_an_endpoint_names_host_and_port(site, endpoint, address):
    (dial,) = site.read(SSH.replace("ssh:nsk1", endpoint) + "}")
    assert dial.address == address


def test_another_endpoint_says_what_is_spoken(site):
    (dial,) = site.read(
        '- {host: NSK1, endpoint: "unix:/run/nsk1", protocol: lines, user: A.B, password_file: pw}'
    )
    assert (dial.protocol, dial.address) == ("lines", None)
    assert not dial.is_plain


@pytest.mark.parametrize(
    ("endpoint", "plain"),
    [
        ("telnet:10.0.0.10", True),
        ("telnet:localhost", False),
        ("telnet:127.0.0.1:2323", False),
        ("telnets:10.0.0.10", False),
    ],
)
def test_check_warns_if_a_password_crosses_a_plain_link(site, endpoint, plain):
    told = site.told(TELNET.replace("telnet:10.0.0.10", endpoint) + "}")
    assert len(told) == plain
    if plain:
        assert told[0].startswith("site.yaml:1:26: warning: ")
        assert "the password of VTS.EMS crosses the network as it is" in told[0]
        assert not site.findings.errors


def test_a_site_writes_its_own_dialogue(site):
    (dial,) = site.read(
        f"{TELNET}, refused: 'NO ENTRY', login: [{{expect: 'Name\\?', send: '{{user}}'}},"
        " {expect: 'PASSWORD:', send: '{password}', within: 9s},"
        " {expect: '[0-9]+> ', optional: false}]}"
    )
    name, password, end = dial.login.steps
    assert (name.send, name.within) == ("{user}", TIMEOUT)
    assert (password.send, password.within) == ("{password}", 9.0)
    assert end.send is None
    assert dial.login.refused == "NO ENTRY"
    assert not site.findings.errors


def test_what_the_host_says_when_it_refuses_can_be_changed_alone(site):
    (dial,) = site.read(f"{TELNET}, refused: 'GO AWAY'}}")
    assert dial.login.refused == "GO AWAY"
    assert dial.login.steps == DIALOGUES["tacl"].steps
    (dial,) = site.read(f"{TELNET}}}")
    assert dial.login.refused == REFUSED


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        (TELNET.replace("NSK2", "NSK3") + "}", "NSK3", "NSK3 is dialled, and it is not a conf"),
        (f"{TELNET}}}\n{TELNET}}}", "NSK2", "NSK2 is dialled twice"),
        (TELNET.replace("telnet:10.0.0.10", "telnet:a b") + "}", '"telnet:a b"', "not an endp"),
        (TELNET.replace("telnet:10", "telnett:10") + "}", '"telnett', '"telnett" is not a kind'),
        (TELNET.replace("telnet:10.0.0.10", "tcp:host=a:port=1") + "}", '"tcp', "not say what"),
        (f"{TELNET}, protocol: telnet}}", "protocol", "says it already"),
        (f"{TELNET}, key_file: id}}", "key_file", "key_file is for ssh only"),
        (f"{TELNET}, authority: ca.pem}}", "authority", "authority is for telnets only"),
        (f"{TELNET}, command: x}}", "command", "command is for ssh only"),
        (TELNET.replace(", password_file: pw", "}"), "{host", "types a password, and there is"),
        (SSH.replace(", known_hosts: known", "}"), '"ssh:', "any machine could take"),
        (SSH.replace("key_file: id, ", "") + "}", '"ssh:', "key_file or password_file"),
        (f"{TELNET}, login: tacll}}", "tacll", "tacl"),
        (f"{TYPED}, {{expect: ''}}, {{expect: '> '}}]}}", "''", "a text is expected"),
        (f"{TYPED}, {{expect: 'x*'}}]}}", "{expect: 'x*", "matches nothing"),
        (
            f"{TELNET}, login: [{{expect: x, send: '{{password}}'}}, {{expect: y}}]}}",
            "{expect: x",
            "names a password",
        ),
        (f"{TYPED}]}}", "[{", "the last step"),
        (f"{TELNET}, login: []}}", "[]", "empty"),
        (f"{TELNET}, refused: '('}}", "'('", "not a regular expression"),
        (f"{TELNET}, refused: 'x*'}}", "'x*'", "matches nothing"),
        (f"{TELNET}, distributor: 'RUN {{name}}'}}", "'RUN", "are lost"),
        (f"{TELNET}, process: $VTS, distributor: 'RUN {{time}}'}}", "process", "no effect"),
        (f"{TELNET}, process: VTS}}", "VTS}", "the name of a process"),
        (f"{TELNET}, filters: 'A B'}}", "'A B'", "the name of a file"),
        (f"{TELNET}, reply: 'POST {{txt}}'}}", "'POST", "no {text}"),
        (f"{TELNET}, reply: 'POST {{text}} {'x' * 100}'}}", "'POST", "room for"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(site, text, at, message):
    told = [str(each) for each in site.read_all(text) if not each.warning]
    assert message in told[0]
    line = text.count("\n") + 1
    column = text.rpartition("\n")[2].index(at) + 1
    assert told[0].startswith(f"site.yaml:{line}:{column}: ")
    assert len(told) == 1


def test_a_password_that_nothing_types_has_no_effect(site):
    told = site.told(f"{TELNET}, login: ssh-tacl}}")
    assert len(told) == 1
    assert "password_file has no effect" in told[0]
