"""Loads the configuration: file, environment and command line become one checked Configuration."""

import socket
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from attrs import evolve

from vtspolicy.config.dial import DialLoader
from vtspolicy.config.endpoints import kind_of, reaches_beyond
from vtspolicy.config.keys import (
    CONSOLE,
    DEFAULT_FILE,
    HOST,
    KEYS,
    NO_KEYS,
    PREFIX,
    VAULT,
)
from vtspolicy.config.model import Configuration, Console, Host, Listen
from vtspolicy.config.overlaps import overlaps
from vtspolicy.config.people import read_people
from vtspolicy.config.positions import (
    Entry,
    Node,
    Place,
    Scalar,
    Table,
    read_file,
    read_text,
)
from vtspolicy.config.reading import Findings, Section, section, text
from vtspolicy.suggest import did_you_mean

WARNING_LIMIT = 100  # pairs of hosts that a warning is given about

SHIPPED = Path(__file__).parent.parent / "rules" / "default"
"""The rules tables that come with the program; `shipped/dsk.yaml` in a configuration."""


def load_configuration(
    path: str | Path,
    overrides: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    absent_vaults: bool = False,
    content: str | None = None,
) -> Configuration:
    """Return the configuration in `path`.

    `environ` may hold VTSPOLICY_KEY variables, which win over the file, and `overrides` keys of
    the command line, which win over both; their values are YAML. Relative paths are relative to
    the file, those of an override to the working directory. With `absent_vaults` the directory of
    a vault need not be there: a disk that is not mounted must not hide what the ledger knows.
    `content` is taken instead of what is in the file.

    Raises ConfigurationError with every problem that was found. Warnings alone do not stop: they
    are in the configuration's `warnings`.
    """
    configuration, findings = read_configuration(
        path, overrides, environ, absent_vaults=absent_vaults, content=content
    )
    findings.raise_errors()
    return configuration


def read_configuration(
    path: str | Path,
    overrides: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    absent_vaults: bool = False,
    content: str | None = None,
) -> tuple[Configuration, Findings]:
    """Return what could be read of a configuration, and what is wrong with it, for `check`.

    Raises ConfigurationError when the file cannot be read at all. Only the default one need not be
    there, when environment or command line say all.
    """
    findings = Findings()
    root, problems = read_file(path) if content is None else read_text(content, file=str(path))
    changed = _overridden(overrides or {}, environ or {}, findings)
    if not (changed and str(path) == DEFAULT_FILE and not Path(path).exists()):
        findings.extend(problems)
        if problems and root is None:
            findings.raise_errors()
    place = Place(file=str(path))
    if isinstance(root, Table) or root is None:
        root = Table(place=place, entries={**(root.entries if root else {}), **changed})
    read = section(root, KEYS, findings, what="the configuration", place=place)
    loader = _Loader(read, Path(path).absolute().parent, frozenset(changed), findings)
    loader.absent_vaults = absent_vaults
    configuration = loader.make(str(path))
    return evolve(configuration, warnings=findings.problems), findings


def _overridden(
    overrides: Mapping[str, str],
    environ: Mapping[str, str],
    findings: Findings,
) -> dict[str, Entry]:
    """The keys that environment and command line give, the latter last."""
    given = [
        (name.removeprefix(PREFIX).lower(), f"environment {name}", value, True)
        for name, value in sorted(environ.items())
        if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in NO_KEYS
    ]
    given += [
        (key, f"command line --{key.replace('_', '-')}", value, False)
        for key, value in overrides.items()
    ]
    changed: dict[str, Entry] = {}
    for key, file, value, is_variable in given:
        place = Place(file=file)
        if key not in KEYS:
            message = f'the configuration has no key "{key}"'
            findings.add(place, message, did_you_mean(key, KEYS), warning=is_variable)
            continue
        node, problems = read_text(value, file=file)
        findings.extend(problems)
        if node is not None:
            changed[key] = Entry(key=Scalar(place=place, text=key, value=key), value=node)
    return changed


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a folder above it may not be entered
        return False


def _is_there(path: Path) -> bool:
    try:
        return path.exists() or path.is_symlink()
    except OSError:  # as above
        return True


class _Loader:
    """Makes the configuration from the section that was read, and looks at files."""

    absent_vaults = False  # whether the directory of a vault need not be there

    def __init__(
        self, read: Section, folder: Path, overridden: frozenset[str], findings: Findings
    ) -> None:
        self.read = read
        self.folder = folder
        self.overridden = overridden
        self.findings = findings

    def make(self, file: str) -> Configuration:
        read = self.read
        vaults, vaults_without = self._vaults()
        hosts = self._hosts(vaults)
        listen = tuple(self._listen(each) for each in read["listen"])
        if not read.given & {"listen", "dial"}:
            self.findings.add(
                read.table.place,
                "no listener is configured, so no command can arrive",
                'listen: [{endpoint: "tcp:port=7171:interface=127.0.0.1"}]',
                warning=True,
            )
        self._without_effect(listen)
        rules = self._files("rules")
        dial = DialLoader(self.findings, self._file_of_link, self.read["hosts"]).make(
            self.read["dial"]
        )
        console = self._console()
        return Configuration(
            file=file,
            dial=dial,
            node=read["node"] or socket.gethostname(),
            listen=listen,
            ledger=self._ledger(),
            spool=self._base("spool") / read["spool"],
            control_group=read["control_group"],
            web=read["web"],
            web_names=tuple(read["web_names"]),
            console=console,
            people=read_people(console.people, self.findings) if console is not None else {},
            vaults=vaults,
            vaults_without=vaults_without,
            hosts=hosts,
            rules=rules if "rules" in read.given else (SHIPPED / "dsk.yaml",),
            tests=self._files("tests"),
            families=self._files("families"),
            places={key: read.place(key) for key in ("web", "control_group") if key in read.given}
            | {f"vaults.{name}": node.place for name, node in read["vaults"].items()}
            | {
                f"hosts.{name}.{key}": each.place(key)
                for name, each in read["hosts"].items()
                for key in each.given
            }
            | (
                {f"console.{key}": self.read["console"].place(key) for key in CONSOLE}
                if console is not None
                else {}
            )
            | {
                f"listen.{number}.{key}": each.place(key)
                for number, each in enumerate(read["listen"])
                for key in each.given
            },
            **{
                name: read[name]
                for name in (
                    *("settle", "connections", "waiting", "retention", "notices_kept"),
                    *("output", "scan", "cluster"),
                )
            },
        )

    def _without_effect(self, listen: Sequence[Listen]) -> None:
        """Warn of keys that have no effect beside the others."""
        if self.read["web_names"] and self.read["web"] is None:
            place = self.read.key_place("web_names")
            self.findings.add(place, "web_names has no effect without web", warning=True)
        takes_displays = self.read["dial"] or not all(each.format == "json" for each in listen)
        if "settle" in self.read.given and listen and not takes_displays:
            message = "settle has no effect: no listener takes displays, or syslog"
            self.findings.add(self.read.key_place("settle"), message, warning=True)
        for read, each in zip(self.read["listen"], listen, strict=True):
            for key in {"plain", "wrapped"} & read.given if each.format == "json" else ():
                message = f"{key} has no effect here: it is about displays, and format is json"
                self.findings.add(read.key_place(key), message, warning=True)
        if listen and not any(each.format in {"auto", "json"} for each in listen):
            for name, read in self.read["hosts"].items():
                if read["acknowledge"]:
                    message = f"{name} cannot acknowledge: no listener takes JSON"
                    remedy = "without, each notice is sent again at every connection: remove it"
                    place = read.key_place("acknowledge")
                    self.findings.add(place, message, remedy, warning=True)

    def _base(self, key: str) -> Path:
        return Path.cwd() if key in self.overridden else self.folder

    def _file(self, key: str, node: Node | Place, written: str, *, secret: bool = False) -> Path:
        """Return a file that must be there; if it is secret, others must not be able to read it."""
        path = self._base(key) / written
        try:
            mode = path.stat().st_mode
            if not path.is_file():
                self.findings.add(node, f"{path} is not a file")
            elif secret and mode & 0o007:
                message = f"{path} holds a secret and can be read by others (mode {mode & 0o777:o})"
                self.findings.add(node, message, f"chmod o= {path}")
        except OSError as error:
            self.findings.add(node, f"{path} cannot be used: {error.strerror}")
        return path

    def _file_of_link(self, node: Node | Place, written: str, secret: bool) -> Path:
        return self._file("dial", node, written, secret=secret)

    def _files(self, key: str) -> tuple[Path, ...]:
        found = []
        for node in self.read[key]:
            written = text(node, self.findings)
            if written is None:
                continue
            if written.startswith("shipped/"):
                found.append(self._shipped(node, written))
            else:
                found.append(self._file(key, node, written))
        return tuple(found)

    def _shipped(self, node: Node, written: str) -> Path:
        path = SHIPPED / written.removeprefix("shipped/")
        known = [f"shipped/{each.name}" for each in sorted(SHIPPED.glob("*.yaml"))]
        if written not in known:
            known = [each for each in known if not each.endswith(".tests.yaml")]
        if written not in known:
            remedy = did_you_mean(written, known) or f"these come with it: {', '.join(known)}"
            self.findings.add(node, f"{written} does not come with the program", remedy)
        return path

    def _vaults(self) -> tuple[dict[str, Path], dict[str, frozenset[str]]]:
        """Return the directory of each vault, and what some of them go without."""
        vaults: dict[str, Path] = {}
        without: dict[str, frozenset[str]] = {}
        for name, node in self.read["vaults"].items():
            written, place, lacking = self._vault(node)
            if written is None:
                continue
            path = Path(written)
            if not path.is_absolute():
                message = f"{written} is not absolute"
                self.findings.add(place, message, "a vault's directory begins with /")
                continue
            if not self.absent_vaults and not _is_directory(path):
                self._no_vault(path, place)
                vaults[name] = path  # or each host that may use it would be wrong, too
                continue
            self._vault_overlaps(name, path.resolve(), vaults, place)
            vaults[name] = path
            if lacking:
                without[name] = lacking
        return vaults, without

    def _no_vault(self, path: Path, place: Place) -> None:
        self.findings.add(
            place,
            f"{path} is not a directory",
            "create it, or mount it",
            may_pass=not _is_there(path),
        )

    def _vault(self, node: Node) -> tuple[str | None, Place, frozenset[str]]:
        """Return the directory of one vault as written, where that is, what it goes without."""
        if not isinstance(node, Table):
            return text(node, self.findings), node.place, frozenset()
        entries = dict(node.entries)
        shared = entries.pop("shared", None)
        if shared is not None:
            message = "a vault that several nodes share is not supported yet"
            self.findings.add(shared.key, message, "remove shared, and let one node serve it")
        read = section(
            evolve(node, entries=entries), VAULT, self.findings, what="a vault", place=node.place
        )
        return read["root"], read.place("root"), frozenset(read["without"])

    def _vault_overlaps(
        self, name: str, path: Path, others: Mapping[str, Path], place: Place
    ) -> None:
        for other, its in others.items():
            resolved = its.resolve()
            if resolved.is_relative_to(path) or path.is_relative_to(resolved):
                message = f"{name} and {other} overlap: {path} and {resolved}"
                self.findings.add(place, message, "each vault needs a directory of its own")

    def _hosts(self, vaults: Mapping[str, Path]) -> dict[str, Host]:
        hosts: dict[str, Host] = {}
        for name, read in self.read["hosts"].items():
            for vault in read["vaults"]:
                # A name that is wrong in itself was said to be so under `vaults`.
                if not any(mark in vault for mark in "*?[") and vault not in self.read["vaults"]:
                    self.findings.add(
                        read.place("vaults"),
                        f"host {name} names the vault {vault}, which is not configured",
                        did_you_mean(vault, self.read["vaults"]) or f"vaults: {', '.join(vaults)}",
                    )
            hosts[name] = Host(name=name, **{key: read[key] for key in HOST})
        self._overlaps(hosts)
        return hosts

    def _overlaps(self, hosts: Mapping[str, Host]) -> None:
        for each in islice(overlaps(hosts.values()), WARNING_LIMIT):
            host, other = each.second, each.first
            read = self.read["hosts"][host.name]
            if each.meet:
                self.findings.add(
                    read.table.place,
                    f"{host.name} and {other.name} can come from the same peer with the same"
                    " system: the first one is taken",
                    "give them different peers or systems",
                    warning=True,
                )
            if each.shared and set(host.peers) != set(other.peers):
                place = self.read["hosts"][other.name].place("systems")
                self.findings.add(
                    read.place("systems"),
                    f"{host.name} has the system {min(each.shared)}, and so has {other.name}"
                    f" ({place.file}:{place.line}:{place.column}): an event that comes from the"
                    " peers of both runs twice",
                    "make them one host with the peers of both",
                    warning=True,
                )

    def _listen(self, read: Section) -> Listen:
        endpoint = read["endpoint"] or ""
        tls = ("key", "cert", "clients")
        files: dict[str, Any] = {}  # Any: handed on to attrs, which has the types
        for name in tls:
            if kind_of(endpoint) == "tls" and read[name] is None:
                self.findings.add(
                    read.place("endpoint"),
                    f"a tls endpoint needs {name}",
                    f"{name}: {LISTEN_FILES[name]}",
                )
            elif kind_of(endpoint) != "tls" and read[name] is not None and endpoint:
                self.findings.add(
                    read.key_place(name), f"{name} is for tls endpoints only", "write tls:port=..."
                )
            elif read[name] is not None:
                files[name] = self._file(
                    "listen", read.place(name), read[name], secret=name == "key"
                )
        kept = {key: read[key] for key in ("format", "wrapped", "plain")}
        return Listen(endpoint=endpoint, **kept, **files)

    def _console(self) -> Console | None:
        read: Section | None = self.read["console"]
        if read is None:
            return None
        endpoint, files = read["endpoint"] or "", {}
        is_tls = kind_of(endpoint) == "tls"
        if endpoint and not is_tls and reaches_beyond(endpoint):
            message = "passwords would cross the network as they are: a console needs TLS"
            remedy = "write tls:port=... with key and cert, or interface=127.0.0.1"
            self.findings.add(read.place("endpoint"), message, remedy)
        for name in ("key", "cert"):
            if is_tls and read[name] is None:
                message = f"a tls endpoint needs {name}"
                remedy = f"{name}: {LISTEN_FILES[name]}"
                self.findings.add(read.place("endpoint"), message, remedy)
            elif endpoint and not is_tls and read[name] is not None:
                message = f"{name} is for tls endpoints only"
                self.findings.add(read.key_place(name), message, "write tls:port=...")
            elif read[name] is not None:
                place, secret = read.place(name), name == "key"
                files[name] = self._file("console", place, read[name], secret=secret)
        if read["people"] is None:
            return None
        people = self._file("console", read.place("people"), read["people"], secret=True)
        return Console(endpoint=endpoint, people=people, names=tuple(read["names"]), **files)

    def _ledger(self) -> str:
        ledger: str = self.read["ledger"]
        if ledger.startswith("sqlite:///"):
            return ledger
        if ledger.startswith("sqlite:"):
            name = ledger.removeprefix("sqlite:").removeprefix("//")
            return f"sqlite://{self._base('ledger') / name}"
        return ledger


LISTEN_FILES = {
    "key": "the file of the server's key",
    "cert": "the file of the server's certificate",
    "clients": "the file of the authority that signed the hosts' certificates",
}
