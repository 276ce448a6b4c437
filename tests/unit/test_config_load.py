"""The configuration: every key, every problem with its place, environment and command line."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import endpoints

from tests.harness.mistakes import mistakes
from vtspolicy.config import load, reading
from vtspolicy.config.endpoints import split, why_no_server
from vtspolicy.config.keys import KEYS, option_table
from vtspolicy.config.load import SHIPPED, WARNING_LIMIT, load_configuration
from vtspolicy.config.model import Configuration
from vtspolicy.config.problems import ConfigurationError
from vtspolicy.config.reading import ERROR_LIMIT, seconds, size_in_bytes


@pytest.fixture
def site(tmp_path):
    for name in ("VAULT01", "VAULT02"):
        (tmp_path / name).mkdir()
    for name in ("server.key", "server.pem", "ca.pem", "nsk1.pw", "rules.yaml"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "server.key").chmod(0o600)
    (tmp_path / "nsk1.pw").chmod(0o600)
    return tmp_path


def write(site, text):
    file = site / "vtspolicy.yaml"
    file.write_text(text.replace("@", str(site)))
    return file


def problems_of(site, text, **options):
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(write(site, text), **options)
    return [
        re.sub(re.escape(str(site)) + "/?", "", str(problem)) for problem in caught.value.problems
    ]


LISTEN = 'listen: ["tcp:port=7171"]\n'

WHOLE = r"""
node: vts1.example.com
listen:
  - {endpoint: "tcp:port=7171:interface=127.0.0.1", format: ems, wrapped: false}
  - {endpoint: "tls:port=7172", key: server.key, cert: server.pem, clients: ca.pem}
ledger: sqlite:ledger.db
spool: spool
web: "tcp:port=7180:interface=127.0.0.1"
vaults: {VAULT01: @/VAULT01, VAULT02: @/VAULT02}
hosts:
  NSK1:
    peers: [10.0.0.9, 10.1.0.0/16, CN=nsk1]
    systems: ['\NSK1']
    vaults: [VAULT01]
    families: [TSM, Erase]
    notices: all
    keepalive: 1m
    mount_delay: 5
rules: [rules.yaml, shipped/dsk.yaml]
tests: [shipped/dsk.tests.yaml]
settle: 0.5
connections: 10
waiting: 100
retention: 7d
notices_kept: 12h
output: 64K
cluster: true
"""


def test_every_key_arrives(site):
    found = load_configuration(write(site, WHOLE))
    assert found.node == "vts1.example.com"
    assert [each.endpoint for each in found.listen] == [
        "tcp:port=7171:interface=127.0.0.1",
        "tls:port=7172",
    ]
    assert (found.listen[0].format, found.listen[0].wrapped) == ("ems", False)
    assert found.listen[1].key == site / "server.key"
    assert found.listen[1].clients == site / "ca.pem"
    assert found.ledger == f"sqlite://{site}/ledger.db"
    assert found.spool == site / "spool"
    assert found.vaults == {"VAULT01": site / "VAULT01", "VAULT02": site / "VAULT02"}
    host = found.hosts["NSK1"]
    assert host.peers == ("10.0.0.9", "10.1.0.0/16", "CN=nsk1")
    assert (host.systems, host.families) == (("\\NSK1",), ("TSM", "Erase"))
    assert (host.notices, host.keepalive, host.mount_delay) == ("all", 60.0, 5.0)
    assert found.rules == (site / "rules.yaml", SHIPPED / "dsk.yaml")
    assert found.tests == (SHIPPED / "dsk.tests.yaml",)
    assert (found.settle, found.connections, found.waiting) == (0.5, 10, 100)
    assert (found.retention, found.notices_kept) == (7 * 86400.0, 12 * 3600.0)
    assert (found.output, found.cluster) == (65536, True)
    assert found.warnings == ()


def test_what_is_not_given_is_as_the_table_of_keys_says(site):
    found = load_configuration(write(site, LISTEN))
    assert found.ledger == "sqlite:///var/lib/vtspolicy/ledger.db"
    assert found.rules == (SHIPPED / "dsk.yaml",)
    assert (found.settle, found.retention) == (0.2, 90 * 86400.0)
    assert found.hosts == {}
    assert found.node


def test_every_key_of_the_table_is_a_field_and_every_field_a_key():
    own = {"file", "warnings", "places", "whole", "vaults_without", "people"}
    assert set(KEYS) == {each.name for each in Configuration.__attrs_attrs__} - own


@given(st.text(alphabet="tcp:=\\1", max_size=12))
def test_endpoints_are_split_as_twisted_splits_them(written):
    try:
        twisted = endpoints._parse(written)
    except RuntimeError:  # it ends with a backslash
        assert why_no_server(f"tcp:{written}") is not None
    else:
        unnamed, named = split(written)
        assert (unnamed, dict(named)) == twisted


def test_a_listener_can_be_its_endpoint_alone(site):
    assert load_configuration(write(site, LISTEN)).listen[0].endpoint == "tcp:port=7171"


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(site):
    found = load_configuration(
        write(site, LISTEN + "settle: 1s\nconnections: 5\nwaiting: 7\n"),
        {"settle": "3s"},
        {"VTSPOLICY_SETTLE": "2s", "VTSPOLICY_CONNECTIONS": "6", "PATH": "/bin"},
    )
    assert (found.settle, found.connections, found.waiting) == (3.0, 6, 7)


def test_without_the_default_file_environment_and_command_line_can_say_all(site, monkeypatch):
    nowhere = str(site / "nowhere.yaml")
    monkeypatch.setattr(load, "DEFAULT_FILE", nowhere)
    given = {"VTSPOLICY_LISTEN": "[{endpoint: tcp:port=7171}]", "VTSPOLICY_NODE": "vts7"}
    found = load_configuration(nowhere, {"node": "vts8"}, given)
    assert (found.node, found.listen[0].endpoint) == ("vts8", "tcp:port=7171")
    for path, environ in ((nowhere, {"VTSPOLICY_NOD": "x"}), (site / "other.yaml", given)):
        with pytest.raises(ConfigurationError, match="the file cannot be read"):
            load_configuration(path, {}, environ)


def test_paths_of_an_override_are_relative_to_the_working_directory(site, monkeypatch):
    monkeypatch.chdir(site / "VAULT01")
    found = load_configuration(write(site, LISTEN + "ledger: sqlite:l.db"), {"spool": "here"})
    assert found.spool == site / "VAULT01" / "here"
    assert found.ledger == f"sqlite://{site}/l.db"


def test_an_override_says_where_it_was_wrong(site):
    assert problems_of(site, LISTEN, overrides={"cluster": "yes", "nod": "x"}) == [
        'command line --cluster:1:1: true or false is expected here, and this is "yes"',
        'command line --nod:1:1: the configuration has no key "nod"; did you mean "node"?',
    ]
    assert problems_of(site, LISTEN, environ={"VTSPOLICY_OUTPUT": "x"})[0].startswith(
        'environment VTSPOLICY_OUTPUT:1:1: a size is expected here, and this is "x"'
    )


def test_a_variable_that_is_no_key_is_a_warning(site):
    found = load_configuration(
        write(site, LISTEN), {}, {"VTSPOLICY_NOD": "1", "VTSPOLICY_CONFIG": "x"}
    )
    [warning] = found.warnings
    assert (warning.file, warning.warning) == ("environment VTSPOLICY_NOD", True)
    assert warning.remedy == 'did you mean "node"?'


def test_every_key_is_an_option_and_a_variable():
    options = {option.key: option for option in option_table()}
    assert list(options) == list(KEYS)
    assert options["notices_kept"].flag == "--notices-kept"
    assert options["notices_kept"].variable == "VTSPOLICY_NOTICES_KEPT"
    assert options["notices_kept"].default == "7d"
    assert all(option.help and option.type for option in options.values())


@pytest.mark.parametrize(("text", "problem"), mistakes("configuration"))
def test_each_problem_has_its_place_and_its_remedy(site, text, problem):
    assert f"vtspolicy.yaml:{problem}" in problems_of(site, text)


def test_a_vault_is_its_directory_or_says_what_it_goes_without(site):
    text = f"{LISTEN}vaults:\n  VAULT01: @/VAULT01\n"
    text += "  VAULT02: {root: @/VAULT02, without: [leases]}\n"
    read = load_configuration(write(site, text))
    assert read.vaults == {"VAULT01": site / "VAULT01", "VAULT02": site / "VAULT02"}
    assert read.vaults_without == {"VAULT02": frozenset({"leases"})}
    assert read.places["vaults.VAULT02"].line == text.count("\n")


def test_vaults_within_one_another_are_a_problem(site):
    [problem] = problems_of(site, f"{LISTEN}vaults:\n  VAULT01: @/VAULT01\n  VAULT02: @\n")
    assert problem.startswith("vtspolicy.yaml:4:12: VAULT02 and VAULT01 overlap: ")


def test_all_problems_of_a_file_come_at_once(site):
    found = problems_of(site, "nod: x\nsettle: soon\nconnections: 0\n")
    assert [each.split(":")[1] for each in found] == ["1", "1", "2", "3"]


def test_the_key_of_a_server_is_a_secret_too(site):
    (site / "server.key").chmod(0o604)
    text = 'listen: [{endpoint: "tls:1", key: server.key, cert: server.pem, clients: ca.pem}]'
    [problem] = problems_of(site, text)
    assert problem.startswith("vtspolicy.yaml:1:35: server.key holds a secret")


@pytest.mark.parametrize(
    ("first", "second", "meet"),
    [
        ("peers: [10.0.0.9]", "peers: [10.0.0.0/24]", True),
        ("peers: [10.0.0.9], systems: ['\\A']", "peers: [10.0.0.9], systems: ['\\B']", False),
        ("peers: [10.0.0.9], systems: ['\\A']", "peers: [10.0.0.9], systems: ['\\A']", True),
        ("peers: [10.0.0.9]", "peers: ['fe80::1']", False),
        ("peers: [CN=a]", "peers: [CN=a]", True),
        ("peers: [10.0.0.9]", "peers: ['::ffff:10.0.0.9']", True),
        ("peers: [CN=a]", "peers: [10.0.0.9]", False),
        ("peers: [10.0.0.9], systems: ['\\A']", "peers: [10.0.0.8], systems: ['\\B']", False),
    ],
)
def test_hosts_that_cannot_be_told_apart_are_a_warning(site, first, second, meet):
    text = f"{LISTEN}hosts:\n  A: {{{first}}}\n  B: {{{second}}}\n"
    warnings = load_configuration(write(site, text)).warnings
    assert [(each.line, each.column) for each in warnings] == ([(4, 6)] if meet else [])


def test_a_system_of_two_hosts_is_a_warning_because_each_would_run_its_events(site):
    text = (
        LISTEN
        + r"""hosts:
  NSK1: {peers: [10.0.0.9], systems: ['\NSK1']}
  NSK2: {peers: [10.0.0.8], systems: ['\NSK2']}
  RELAY: {peers: [10.0.0.7], systems: ['\NSK3', '\NSK1']}
"""
    )
    [warning] = load_configuration(write(site, text)).warnings
    assert (warning.line, warning.column) == (5, 39)
    assert f"RELAY has the system \\NSK1, and so has NSK1 ({site}/" in warning.message
    assert ":3:38): an event that comes from the peers of both runs twice" in warning.message
    assert warning.remedy == "make them one host with the peers of both"


def test_a_configuration_that_nothing_can_reach_is_a_warning(site):
    [warning] = load_configuration(write(site, "node: vts1\n")).warnings
    assert "no command can arrive" in warning.message


def test_a_host_that_is_dialled_is_one_from_which_commands_arrive(site):
    text = (
        "dial: {host: NSK1, endpoint: 'telnets:nsk1', user: VTS.EMS, password_file: nsk1.pw}\n"
        "vaults: {VAULT01: @/VAULT01}\nsettle: 300ms\n"
        "hosts: {NSK1: {systems: ['\\NSK1'], vaults: [VAULT01], families: [DSK]}}\n"
    )
    read = load_configuration(write(site, text))
    assert not read.warnings
    assert read.dial[0].password_file == site / "nsk1.pw"


def test_a_password_that_others_can_read_is_refused(site):
    (site / "nsk1.pw").chmod(0o644)
    text = (
        "dial: {host: NSK1, endpoint: 'telnets:nsk1', user: VTS.EMS, password_file: nsk1.pw}\n"
        "hosts: {NSK1: {systems: ['\\NSK1']}}\n"
    )
    [problem] = problems_of(site, text)
    assert problem.startswith("vtspolicy.yaml:1:")
    assert "nsk1.pw holds a secret and can be read by others" in problem


def test_a_ledger_in_postgresql_is_refused_without_its_password(site):
    [problem] = problems_of(site, LISTEN + "ledger: postgresql://vts:geheim@db/vts\n")
    assert problem.startswith("vtspolicy.yaml:2:9: this version cannot keep its ledger")
    assert "sqlite:///" in problem
    assert "geheim" not in problem


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("0.2", 0.2),
        ("5s", 5.0),
        ("10m", 600.0),
        ("12h", 43200.0),
        ("7d", 604800.0),
        ("250ms", 0.25),
        ("2w", 1209600.0),
        ("", None),
        ("5 parsecs", None),
        ("-1", None),
        ("9" * 29, None),
    ],
)
def test_durations(written, found):
    assert seconds(written) == found


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("512", 512),
        ("64K", 65536),
        ("10M", 10 * 2**20),
        ("1.5GiB", 3 * 2**29),
        ("2TB", 2**41),
        ("x", None),
    ],
)
def test_sizes(written, found):
    assert size_in_bytes(written) == found


def test_every_reader_answers_none_only_after_it_has_found_a_problem():
    from vtspolicy.config.positions import read_text

    for text in ("1", "x", "[]", "{}", "true", "~", "[[1]]", "{a: {b: 1}}"):
        node, _ = read_text(text, file="f")
        for key in KEYS.values():
            findings = reading.Findings()
            if key.read(node, findings) is None:
                assert findings.problems, (key.name, text)


def test_the_errors_of_a_configuration_have_a_limit(site):
    problems = problems_of(site, "".join(f"lisen{number}: 1\n" for number in range(1000)))
    assert len(problems) == ERROR_LIMIT + 1
    assert problems[-1] == (
        f"vtspolicy.yaml:{ERROR_LIMIT + 1}:1: more than {ERROR_LIMIT} problems; correct these first"
    )


def test_the_hosts_that_a_warning_is_given_about_have_a_limit(site):
    hosts = "".join(f"  H{number}: {{peers: [10.0.0.1]}}\n" for number in range(100))
    found = load_configuration(write(site, f"{LISTEN}hosts:\n{hosts}")).warnings
    assert len([each for each in found if "the same peer" in each.message]) == WARNING_LIMIT


@pytest.mark.parametrize(
    ("node", "name", "means"),
    [
        ("vts1.example.com", "vts1.example.com", True),
        ("vts1.example.com", "VTS1.Example.COM", True),
        ("vts1.example.com", "VTS1", True),
        ("vts1", "VTS1.example.com", True),
        ("VTS1", "vts1", True),
        ("vts1.example.com", "VTS1.EXAMPLE.COM.", True),
        ("vts1.example.com.", "vts1", True),
        ("vts1.example.com", "vts1.example.", False),
        ("vts1.example.com", "vts1.example.org", False),
        ("vts1.example.com", "vts1.example", False),
        ("vts1", "vts10", False),
        ("vts1", "example.vts1", False),
        ("vts1.example.com", "example", False),
    ],
)
def test_a_server_is_meant_by_its_name_or_the_first_label_of_it(node, name, means):
    configuration = Configuration(
        file="f", node=node, listen=(), ledger="sqlite://x", spool=Path("spool")
    )

    assert configuration.is_this_node(name) is means


@pytest.mark.parametrize(
    ("listener", "more", "told"),
    [
        ("format: auto", "web_names: [x]", "web_names has no effect without web"),
        ("format: json, plain: true", "", "plain has no effect here"),
        ("format: json, wrapped: false", "", "wrapped has no effect here"),
        ("format: ems", "hosts: {NSK1: {acknowledge: true}}", "NSK1 cannot acknowledge"),
        ("format: auto", "hosts: {NSK1: {acknowledge: true}}", None),
        ("format: ems, plain: true", "", None),
        ("format: json", "settle: 1s", "settle has no effect"),
        ("format: syslog", "settle: 1s", None),
    ],
)
def test_a_key_that_has_no_effect_beside_the_others_is_a_warning(site, listener, more, told):
    text = f"listen: [{{endpoint: 'tcp:port=7171:interface=127.0.0.1', {listener}}}]\n{more}\n"
    warnings = load_configuration(write(site, text)).warnings
    assert [each.message[: len(told or "")] for each in warnings] == ([told] if told else [])


HOST = "hosts:\n  NSK1: {peers: [10.0.0.9], systems: ['\\NSK1'], "


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("settle: 1ms", "1ms is too short; at least 10ms"),
        ("settle: 100d", "100d is too long; at most 1m"),
        ("retention: 0s", "0s is too short; at least 1d"),
        ("notices_kept: 59m", "59m is too short; at least 1h"),
        ("output: 0K", "0K is too small; at least 4K"),
        ("output: 2G", "2G is too large; at most 1G"),
        ("scan: 1ms", "1ms is too short; at least 1s"),
        ("scan: 2d", "2d is too long; at most 1d"),
        (HOST + "keepalive: 1ms}", "1ms is too short; at least 1s, or 0 for off"),
        (HOST + "keepalive: 1w}", "1w is too long; at most 1d"),
        (HOST + "mount_delay: 2h}", "2h is too long; at most 1h"),
    ],
)
def test_a_time_or_size_that_could_not_do_what_it_is_for_is_refused(site, line, told):
    [problem] = problems_of(site, LISTEN + line + "\n")
    assert problem.endswith(told)


@pytest.mark.parametrize(
    "line",
    [
        *("settle: 10ms", "settle: 60s", "retention: 24h", "notices_kept: 60m", "output: 4K"),
        *("output: 1024M", "scan: 1s", "scan: 24h"),
        *(HOST + "keepalive: 0}", HOST + "keepalive: 1s}", HOST + "mount_delay: 0}"),
    ],
)
def test_the_bounds_themselves_are_taken(site, line):
    load_configuration(write(site, LISTEN + line + "\n"))
