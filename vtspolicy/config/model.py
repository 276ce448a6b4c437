"""The configuration as the program uses it: checked, resolved, frozen."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from attrs import field, frozen

from vtspolicy.config.endpoints import client_values, is_loopback, kind_of
from vtspolicy.config.people import Person
from vtspolicy.config.positions import Place
from vtspolicy.config.problems import Problem
from vtspolicy.links.login import LoginDialogue

Format = Literal["auto", "ems", "json", "syslog"]


@frozen(kw_only=True)
class Listen:
    """One door for hosts."""

    endpoint: str  # a Twisted server endpoint; `tls:` is ours and takes the three files below
    format: Format = "auto"  # what is spoken on it
    wrapped: bool = True  # False: every line is an event at once
    plain: bool = False  # True: commands without a header count also where others have one
    key: Path | None = None  # tls: the server's key (PEM)
    cert: Path | None = None  # tls: the server's certificate (PEM)
    clients: Path | None = None  # tls: the authority that must have signed the hosts' certificates


@frozen(kw_only=True)
class Dial:
    """One link that this program opens to a host."""

    host: str  # the name of a configured host
    endpoint: str  # as written
    protocol: Literal["ssh", "telnet", "telnets", "lines"]  # what is spoken on it
    address: tuple[str, int] | None = None  # host and port; None: a Twisted client endpoint
    user: str
    password_file: Path | None = None  # its first line; read at each logon
    key_file: Path | None = None  # ssh: the user's private key
    known_hosts: Path | None = None  # ssh: keys of hosts, as OpenSSH keeps them
    command: str | None = None  # ssh: run instead of the subsystem `tacl`
    authority: Path | None = None  # telnets: who has signed the host's certificate (PEM)
    login: LoginDialogue
    process: str | None = None  # the distributor's name; None: the host takes one
    filters: tuple[str, ...] = ()  # of the distributor
    distributor: str  # the template of its line
    overlap: float  # seconds before the last event that are shown again
    reply: str  # the routine or the template that posts a notice
    poll: float = 600.0  # seconds between looks at the host's pending mounts; 0 is never

    @property
    def is_plain(self) -> bool:
        """Whether what crosses the link could be read on its way."""
        if self.protocol in {"ssh", "telnets"} or kind_of(self.endpoint) in {"tls", "unix"}:
            return False
        host = self.address[0] if self.address else client_values(self.endpoint).get("host", "")
        return not is_loopback(host)


@frozen(kw_only=True)
class Console:
    """The pages for people."""

    endpoint: str  # a Twisted server endpoint; `tls:` takes the two files below
    key: Path | None = None  # tls: the server's key (PEM)
    cert: Path | None = None  # tls: the server's certificate (PEM)
    people: Path  # the file of who may sign in
    names: tuple[str, ...] = ()  # by which it may be asked for, beside its own

    @property
    def door(self) -> Listen:
        """Its endpoint with the files of its certificate, as a listener has them."""
        return Listen(endpoint=self.endpoint, key=self.key, cert=self.cert)


@frozen(kw_only=True)
class Host:
    """What one host may do. What is not listed is denied."""

    name: str
    peers: tuple[str, ...] = ()  # addresses, networks, CN=name of a certificate, or LOCAL
    systems: tuple[str, ...] = ()  # \SYSTEM names in its events' headers
    vaults: tuple[str, ...] = ()  # whose tapes it may name
    families: tuple[str, ...] = ()  # and verbs
    notices: Literal["final", "all"] = "final"  # all: also STARTED, PROGRESS, RETRYING
    keepalive: float = 0.0  # seconds between HEARTBEATs on an idle link; 0 is off
    mount_delay: float = 0.0  # least seconds between a mount request and its answer
    acknowledge: bool = False  # True: a notice has arrived only when a JSON session says so


@frozen(kw_only=True)
class Configuration:
    """One site's settings."""

    file: str  # where it was read from
    node: str  # this machine's name, compared with `s=`
    listen: tuple[Listen, ...]
    dial: tuple[Dial, ...] = ()  # one for each host that is called
    ledger: str  # sqlite:///...
    spool: Path  # one folder per run
    control_group: str | None = None  # whose members may use the control socket
    web: str | None = None  # a Twisted server endpoint
    web_names: tuple[str, ...] = ()  # by which it may be asked for, beside its own
    console: Console | None = None
    people: Mapping[str, Person] = field(factory=dict)  # who may sign in to the console
    vaults: Mapping[str, Path] = field(factory=dict)  # VAULT01 -> its directory
    vaults_without: Mapping[str, frozenset[str]] = field(
        factory=dict
    )  # what the site accepts that a vault's file system cannot do: leases
    hosts: Mapping[str, Host] = field(factory=dict)
    rules: tuple[Path, ...] = ()  # rules tables, read as one in this order
    tests: tuple[Path, ...] = ()  # rule tests, run before a table is taken
    families: tuple[Path, ...] = ()  # the site's own families and keywords
    settle: float = 0.2  # seconds after which an event without continuation is complete
    connections: int = 1000  # at once; further ones are closed and counted
    waiting: int = 200_000  # jobs that may wait; above it hosts' commands wait for room
    retention: float = 90 * 86400.0  # seconds that finished requests are kept
    notices_kept: float = 7 * 86400.0  # seconds that undelivered notices are kept
    output: int = 16 * 2**20  # bytes of output kept per run
    scan: float = 600.0  # seconds after which all tapes are looked at again
    cluster: bool = False  # whether commands must name the server with s=
    warnings: tuple[Problem, ...] = ()  # what is doubtful in it
    whole: bool = True  # False: only node, ledger and spool were read; see config.places
    places: Mapping[str, Place] = field(
        factory=dict, repr=False, eq=False
    )  # hosts.X.peers, listen.0.key

    @property
    def doors(self) -> Mapping[str, Listen]:
        """Every endpoint that may have a certificate, by where its keys are: `listen.0`."""
        doors = {f"listen.{number}": each for number, each in enumerate(self.listen)}
        return doors | ({"console": self.console.door} if self.console is not None else {})

    def is_this_node(self, name: str) -> bool:
        """Whether `s=NAME` means this machine: see `is_same_node`."""
        return is_same_node(self.node, name)


def is_same_node(ours: str, asked: str) -> bool:
    """Whether `s=` with the name `asked` means the node `ours`: the same name, case ignored.

    One of the two may be the first label of the other; two full names must agree. A dot at the end,
    as the DNS writes full names, does not matter.
    """
    ours, asked = (each.lower().removesuffix(".") for each in (ours, asked))
    return ours == asked or ours == asked.split(".")[0] or asked == ours.split(".")[0]
