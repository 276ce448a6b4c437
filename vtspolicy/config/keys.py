"""The keys of the configuration: name, type, default and help, in the one table of them.

The loader, the command line, the environment variables and the documents are made from it.
"""

import re
from collections.abc import Mapping

from attrs import frozen

from vtspolicy.config import reading
from vtspolicy.config.dial_keys import DIAL, STEP
from vtspolicy.config.endpoints import (
    LOCAL,
    SERVER_KINDS,
    network_of,
    why_no_server,
)
from vtspolicy.config.positions import Node, Scalar, Table
from vtspolicy.config.reading import REQUIRED, Findings, Key, Section, keys_of

PREFIX = "VTSPOLICY_"
"""Every key is also an environment variable: the prefix and the key in capitals."""

DEFAULT_FILE = "/etc/vtspolicy/vtspolicy.yaml"
"""Where the configuration is, if nothing else is said."""


def _endpoint(node: Node, findings: Findings) -> str | None:
    written = reading.text(node, findings)
    wrong = why_no_server(written) if written is not None else None
    if wrong:
        findings.add(node, *wrong)
    return None if wrong else written


def _web_endpoint(node: Node, findings: Findings) -> str | None:
    written = reading.text(node, findings)
    kinds = [kind for kind in SERVER_KINDS if kind != "tls"]  # which needs files of its own
    wrong = why_no_server(written, kinds) if written is not None else None
    if wrong:
        findings.add(node, *wrong)
    return None if wrong else written


_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_host_name = reading.matching(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*", "a host name")
_name = reading.matching(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", "a name of letters, digits, _ . and -")
_vault_name = reading.matching(r"VAULT[A-Za-z0-9_-]{1,11}", "the name of a vault, as VAULT01,")


def _system(node: Node, findings: Findings) -> str | None:
    if isinstance(node, Scalar) and re.fullmatch(r"\\[A-Za-z][A-Za-z0-9]{0,7}", node.text):
        return node.text
    written = node.text if isinstance(node, Scalar) else ""
    remedy = "a backslash and the name, in single quotes: '\\NSK1'"
    findings.add(node, f'"{written}" is not the name of a system', remedy)
    return None


def _peer(node: Node, findings: Findings) -> str | None:
    written = reading.text(node, findings)
    if written in {None, LOCAL} or re.fullmatch(r"CN=[^\s,=]+", written) or _is_network(written):
        return written
    remedy = (
        "an address (10.0.0.9), a network (10.0.0.0/24), CN=name of a certificate,"
        f" or {LOCAL} for a UNIX socket"
    )
    findings.add(node, f'"{written}" is not a peer', remedy)
    return None


def _is_network(written: str) -> bool:
    try:
        network_of(written)
    except ValueError:
        return False
    return True


def _ledger(node: Node, findings: Findings) -> str | None:
    written = reading.text(node, findings)
    if written is None or re.match(r"sqlite://.|sqlite:[^/]", written):
        return written
    message = f'"{written}" is not a ledger'
    if written.startswith(("postgresql:", "postgres:")):
        message = "this version cannot keep its ledger in PostgreSQL"  # the URL may have a password
    findings.add(node, message, "sqlite:///ABSOLUTE/PATH, or sqlite:PATH beside this file")
    return None


LISTEN = keys_of(
    Key(
        name="endpoint",
        read=_endpoint,
        type="an endpoint",
        default=REQUIRED,
        help="where hosts connect, as tcp:port=7171:interface=127.0.0.1; tls: needs key, cert"
        " and clients",
    ),
    Key(
        name="format",
        read=reading.choice("auto", "ems", "json", "syslog"),
        type="auto, ems, json or syslog",
        default="auto",
        help="what is spoken on it; auto looks at the first bytes of each connection",
    ),
    Key(
        name="wrapped",
        read=reading.boolean,
        type="true or false",
        default=True,
        default_text="true",
        help="whether displayed events may continue in further lines",
    ),
    Key(
        name="plain",
        read=reading.boolean,
        type="true or false",
        default=False,
        default_text="false",
        help="whether a command without a header counts also on a connection that has shown"
        " headers, where a line of an event's text can look like one",
    ),
    Key(name="key", read=reading.text, type="a file", help="tls: the server's key, PEM"),
    Key(name="cert", read=reading.text, type="a file", help="tls: the server's certificate, PEM"),
    Key(
        name="clients",
        read=reading.text,
        type="a file",
        help="tls: the authority that must have signed the certificates of the hosts, PEM",
    ),
)
"""The keys of one listener."""

HOST = keys_of(
    Key(
        name="peers",
        read=reading.items(_peer, single=True),
        type="a list",
        default=(),
        help="from which addresses, networks or certificates (CN=name) it connects;"
        f" {LOCAL} for a UNIX socket",
    ),
    Key(
        name="systems",
        read=reading.items(_system, single=True),
        type="a list",
        default=(),
        help=r"the \SYSTEM names in the headers of its events",
    ),
    Key(
        name="vaults",
        read=reading.items(reading.text, single=True),
        type="a list",
        default=(),
        help="whose tapes it may name, values or globs; none if not given",
    ),
    Key(
        name="families",
        read=reading.items(reading.text, single=True),
        type="a list",
        default=(),
        help="the families and verbs that it may use, values or globs; none if not given",
    ),
    Key(
        name="notices",
        read=reading.choice("final", "all"),
        type="final or all",
        default="final",
        help="all: it also gets notices of starts, progress and retries",
    ),
    Key(
        name="keepalive",
        read=reading.duration_within("1s", "1d", off=True),
        type="a duration of 1s to 1d, or 0",
        default=0.0,
        default_text="0",
        help="a heartbeat is sent on a link that was idle for so long; 0 is off",
    ),
    Key(
        name="mount_delay",
        read=reading.duration_within("0s", "1h"),
        type="a duration up to 1h",
        default=0.0,
        default_text="0",
        help="the least time between a mount request and its answer",
    ),
    Key(
        name="acknowledge",
        read=reading.boolean,
        type="true or false",
        default=False,
        default_text="false",
        help="true: a notice has arrived only when a JSON session acknowledges it by its number",
    ),
)
"""The keys of one host."""


VAULT = keys_of(
    Key(
        name="root",
        read=reading.text,
        type="a directory",
        default=REQUIRED,
        help="its directory, below which the pools are",
    ),
    Key(
        name="without",
        read=reading.items(reading.choice("leases"), single=True),
        type="a list",
        default=(),
        default_text="nothing",
        help="leases: there it is not known whether a process has a tape open, but its tapes are"
        " erased, deleted and overwritten by restores all the same",
    ),
)
"""The keys of one vault."""


CONSOLE = keys_of(
    Key(
        name="endpoint",
        read=_endpoint,
        type="an endpoint",
        default=REQUIRED,
        help="where browsers connect, as tls:port=7443, which needs key and cert; without TLS only"
        " on a loopback address or a UNIX socket",
    ),
    Key(name="key", read=reading.text, type="a file", help="tls: the server's key, PEM"),
    Key(name="cert", read=reading.text, type="a file", help="tls: the server's certificate, PEM"),
    Key(
        name="people",
        read=reading.text,
        type="a file",
        default=REQUIRED,
        help="who may sign in, with roles and the hashes of passwords: `vtspolicy passwd` makes"
        " them",
    ),
    Key(
        name="names",
        read=reading.items(_host_name, single=True),
        type="host names",
        default=(),
        default_text="none",
        help="more names by which browsers may ask for it, as web_names has them for web",
    ),
)
"""The keys of the console."""


def _listener(node: Node, findings: Findings) -> Section | None:
    if isinstance(node, Scalar):  # an endpoint alone, as on the command line
        endpoint = _endpoint(node, findings)
        if endpoint is None:
            return None
        values = {key.name: key.default for key in LISTEN.values()} | {"endpoint": endpoint}
        return Section(table=Table(place=node.place), values=values, given=frozenset({"endpoint"}))
    return reading.section_of(LISTEN, "a listener")(node, findings)


KEYS = keys_of(
    Key(
        name="node",
        read=_host_name,
        type="a host name",
        default_text="the machine's name",
        help="this machine's name, compared with s= of commands; one of the two may be the first"
        " label of the other, and case does not count",
    ),
    Key(
        name="listen",
        read=reading.items(_listener, single=True),
        type="a list of listeners",
        default=(),
        help="where hosts connect",
    ),
    Key(
        name="dial",
        read=reading.items(reading.section_of(DIAL, "a link"), single=True),
        type="a list of links",
        default=(),
        default_text="none",
        help="the hosts that this server calls; one link to each",
    ),
    Key(
        name="ledger",
        read=_ledger,
        type="a URL",
        default="sqlite:///var/lib/vtspolicy/ledger.db",
        help="where everything is recorded: sqlite:///PATH",
    ),
    Key(
        name="spool",
        read=reading.text,
        type="a directory",
        default="/var/lib/vtspolicy/spool",
        help="one folder per run: its output, its exit status",
    ),
    Key(
        name="control_group",
        read=reading.text,
        type="a group of the system",
        default_text="none",
        help="whose members may give orders, too: the control socket is theirs with mode 0660, and"
        " they may pass through spool; without it only the server's own user and root may",
    ),
    Key(
        name="web",
        read=_web_endpoint,
        type="an endpoint",
        help="metrics, health and the interface for programs, which only read; none if not given",
    ),
    Key(
        name="web_names",
        read=reading.items(_host_name, single=True),
        type="host names",
        default=(),
        default_text="none",
        help="more names by which web may be asked for: its addresses, localhost, node and the"
        " machine's name are known, and a request for any other name is answered 403, but for"
        " /healthz and /readyz",
    ),
    Key(
        name="console",
        read=reading.section_of(CONSOLE, "the console"),
        type="a mapping",
        default_text="none",
        help="the pages for people, in a browser; none if not given",
    ),
    Key(
        name="vaults",
        read=reading.mapping(_vault_name, lambda node, _: node),
        type="a mapping",
        default={},
        default_text="none",
        help="the directory of each vault, or a mapping",
    ),
    Key(
        name="hosts",
        read=reading.mapping(_name, reading.section_of(HOST, "a host")),
        type="a mapping",
        default={},
        default_text="none",
        help="the hosts, and what each of them may do",
    ),
    Key(
        name="rules",
        read=reading.items(lambda node, _: node, single=True),
        type="a list of files",
        default=(),
        default_text="shipped/dsk.yaml",
        help="the rules tables, read as one in this order; shipped/NAME.yaml is ours",
    ),
    Key(
        name="tests",
        read=reading.items(lambda node, _: node, single=True),
        type="a list of files",
        default=(),
        help="rule tests, which must pass before a table is taken",
    ),
    Key(
        name="families",
        read=reading.items(lambda node, _: node, single=True),
        type="a list of files",
        default=(),
        help="families and keywords of the site's own",
    ),
    Key(
        name="settle",
        read=reading.duration_within("10ms", "1m"),
        type="a duration of 10ms to 1m",
        default=0.2,
        default_text="0.2",
        help="after this time without a further line a displayed event is complete",
    ),
    Key(
        name="connections",
        read=reading.integer(1, 100_000),
        type="a number",
        default=1000,
        help="how many connections at once; further ones are closed and counted, unless"
        " the host that has most can make way for one that has few",
    ),
    Key(
        name="waiting",
        read=reading.integer(1, 10_000_000),
        type="a number",
        default=200_000,
        help="how many jobs may wait; above it hosts' commands that make jobs wait for room, and"
        " operators' orders and retry are refused; the cleanup takes half of it at most",
    ),
    Key(
        name="retention",
        read=reading.duration_within("1d"),
        type="a duration from 1d on",
        default=90 * 86400.0,
        default_text="90d",
        help="how long finished requests are kept in the ledger",
    ),
    Key(
        name="notices_kept",
        read=reading.duration_within("1h"),
        type="a duration from 1h on",
        default=7 * 86400.0,
        default_text="7d",
        help="how long a notice waits for a host that cannot be reached",
    ),
    Key(
        name="output",
        read=reading.size_within("4K", "1G"),
        type="a size of 4K to 1G",
        default=16 * 2**20,
        default_text="16M",
        help="how much of the output of each run is kept",
    ),
    Key(
        name="scan",
        read=reading.duration_within("1s", "1d"),
        type="a duration of 1s to 1d",
        default=600.0,
        default_text="10m",
        help="how often all tapes are looked at; added and removed ones are noticed at once",
    ),
    Key(
        name="cluster",
        read=reading.boolean,
        type="true or false",
        default=False,
        default_text="false",
        help="whether commands must name their server with s=",
    ),
)
"""The keys of the configuration file."""

NO_KEYS = frozenset({"CONFIG"})
"""Environment variables with the prefix that are not keys: the command line reads them."""


@frozen(kw_only=True)
class Option:
    """A key of the configuration as an option of the command line."""

    key: str  # notices_kept
    flag: str  # --notices-kept
    variable: str  # VTSPOLICY_NOTICES_KEPT
    type: str  # in words
    default: str  # as people would write it; "" for none
    help: str  # one sentence


def default_text(key: Key) -> str:
    """Return a key's default as people would write it; "" when there is none."""
    if key.default_text or key.default is None or key.default is REQUIRED:
        return key.default_text
    return "" if key.default in ((), {}) else str(key.default)


def option_table() -> tuple[Option, ...]:
    """Return every key as an option; its value is written as in the file, in YAML."""
    return tuple(
        Option(
            key=key.name,
            flag=f"--{key.name.replace('_', '-')}",
            variable=PREFIX + key.name.upper(),
            type=key.type,
            default=default_text(key),
            help=key.help,
        )
        for key in KEYS.values()
    )


SECTIONS: Mapping[str, Mapping[str, Key]] = {
    "": KEYS,
    "listen": LISTEN,
    "dial": DIAL,
    "login": STEP,
    "console": CONSOLE,
    "vaults": VAULT,
    "hosts": HOST,
}
"""Every table of keys by the key under which it is, for documents."""
