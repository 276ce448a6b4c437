"""Links that this program opens: from what was read to what is used, with all that is wrong."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from vtspolicy.config.endpoints import (
    CLIENT_KINDS,
    host_and_port,
    kind_of,
    why_no_client,
)
from vtspolicy.config.model import Dial
from vtspolicy.config.positions import Node, Place
from vtspolicy.config.reading import Findings, Section
from vtspolicy.links.distributor import StartError, start_line
from vtspolicy.links.login import DIALOGUES, LoginDialogue, Step
from vtspolicy.links.tacl_text import TemplateError, check_reply
from vtspolicy.suggest import did_you_mean

PORTS = {"ssh": 22, "telnet": 23, "telnets": 992}
"""Where hosts listen if nothing else is written."""

FILES = ("password_file", "key_file", "known_hosts", "authority")
SECRETS = ("password_file", "key_file")

ONLY = {
    "key_file": ("ssh",),
    "known_hosts": ("ssh",),
    "command": ("ssh",),
    "authority": ("telnets",),
}
"""Keys that only some kinds of links have."""

FindFile = Callable[[Node | Place, str, bool], Path]
"""Returns the file that is written somewhere; tells whether it is secret."""


class DialLoader:
    """Makes links of what was read."""

    def __init__(self, findings: Findings, file: FindFile, hosts: Collection[str]) -> None:
        self._findings = findings
        self._file = file
        self._hosts = hosts

    def make(self, read: Sequence[Section]) -> tuple[Dial, ...]:
        """Return the links that are right."""
        found: dict[str, Dial] = {}
        for each in read:
            dial = self._dial(each)
            if dial is None:
                continue
            if dial.host in found:
                message = f"{dial.host} is dialled twice: each event would be seen twice"
                self._findings.add(each.place("host"), message, "one link to each host")
            found[dial.host] = dial
        return tuple(found.values())

    def _dial(self, read: Section) -> Dial | None:
        host, written = read["host"], read["endpoint"]
        if host is None or written is None or read["user"] is None:
            return None
        if host not in self._hosts:
            known = f"hosts: {', '.join(self._hosts)}" if self._hosts else ""
            remedy = did_you_mean(host, self._hosts) or known or "configure it under hosts"
            message = f"{host} is dialled, and it is not a configured host"
            self._findings.add(read.place("host"), message, remedy)
        protocol, address = self._endpoint(read, written)
        if protocol is None:
            return None
        files: dict[str, Any] = {  # Any: handed on to attrs, which has the types
            name: self._file(read.place(name), read[name], name in SECRETS)
            for name in FILES
            if read[name] is not None
        }
        dial = Dial(
            host=host,
            endpoint=written,
            protocol=protocol,
            address=address,
            login=self._login(read, protocol),
            **files,
            **{
                name: read[name]
                for name in (
                    *(
                        "user",
                        "command",
                        "process",
                        "filters",
                        "distributor",
                        "overlap",
                        "reply",
                        "poll",
                    ),
                )
            },
        )
        self._belongs(read, dial)
        self._lines(read, dial)
        self._secret(read, dial)
        return dial

    def _endpoint(
        self, read: Section, written: str
    ) -> tuple[Any, tuple[str, int] | None]:  # Any: one of a few words
        """Return what is spoken on it, and where, unless the endpoint is one of Twisted's."""
        place, kind = read.place("endpoint"), kind_of(written)
        if kind in PORTS:
            address = host_and_port(written.partition(":")[2], PORTS[kind])
            if address is None:
                message = f'"{written}" is not an endpoint'
                remedy = f"{kind}:HOST or {kind}:HOST:PORT; an address of IPv6 in brackets"
                self._findings.add(place, message, remedy)
                return None, None
            if read["protocol"] is not None:
                message = f"protocol is for other endpoints: {kind} says it already"
                self._findings.add(read.key_place("protocol"), message, "remove it")
            return kind, address
        wrong = why_no_client(written)
        if wrong:
            message, remedy = wrong
            if kind not in CLIENT_KINDS:
                kinds = (*PORTS, *CLIENT_KINDS)
                remedy = did_you_mean(kind, kinds) or f"one of {', '.join(kinds)}"
            self._findings.add(place, message, remedy)
            return None, None
        if read["protocol"] is None:
            message = f"{kind} does not say what is spoken on it"
            self._findings.add(place, message, "add protocol: telnet, or protocol: lines")
        return read["protocol"], None

    def _login(self, read: Section, protocol: str) -> LoginDialogue:
        written = read["login"] or ("ssh-tacl" if protocol == "ssh" else "tacl")
        if isinstance(written, str):
            shipped = DIALOGUES[written]
            dialogue = LoginDialogue(
                name=shipped.name, steps=shipped.steps, refused=read["refused"]
            )
            found = dialogue.problems()
            at = "refused"
        else:
            steps = []
            for each in written:
                step = Step(
                    expect=each["expect"] or "",
                    send=each["send"],
                    within=each["within"],
                    optional=each["optional"],
                )
                if each["expect"] is not None:
                    steps.append(step)
                    for problem in step.problems():
                        self._findings.add(each.table, problem)
            # Each step was looked at above, with its place.
            dialogue = LoginDialogue(name="login", steps=tuple(steps), refused=read["refused"])
            found = dialogue.problems_of_all() if steps else []
            at = "login"
        for problem in found:
            self._findings.add(read.place(at), problem)
        return dialogue

    def _belongs(self, read: Section, dial: Dial) -> None:
        """Refuse what this kind of link does not have, and miss what it needs."""
        for name, kinds in ONLY.items():
            if read[name] is not None and dial.protocol not in kinds:
                self._findings.add(
                    read.key_place(name),
                    f"{name} is for {' and '.join(kinds)} only",
                    f"remove it, or write endpoint: {kinds[0]}:HOST",
                )
        if dial.protocol == "ssh" and dial.known_hosts is None:
            self._findings.add(
                read.place("endpoint"),
                "ssh needs known_hosts: without it, any machine could take the host's place",
                "known_hosts: a file with the line that `ssh-keyscan HOST` shows, once compared",
            )

    def _lines(self, read: Section, dial: Dial) -> None:
        """Look at the lines that are typed."""
        try:
            start_line(dial.distributor, name=dial.process or "", filters=dial.filters)
        except StartError as error:
            self._findings.add(read.place("distributor"), str(error))
        try:
            check_reply(dial.reply)
        except TemplateError as error:
            self._findings.add(read.place("reply"), str(error))
        for name in ("distributor", "user"):
            if not read[name].isprintable():
                message = f"{name} is one line of printable characters"
                self._findings.add(read.place(name), message)
        if dial.process is not None and "{name}" not in dial.distributor:
            message = "process has no effect: there is no {name} in the distributor's line"
            self._findings.add(read.key_place("process"), message)

    def _secret(self, read: Section, dial: Dial) -> None:
        """Look whether there is a way to log on, and who could listen to it."""
        is_typed = dial.login.sends_password
        if dial.protocol == "ssh" and dial.key_file is None and dial.password_file is None:
            self._findings.add(
                read.place("endpoint"), "ssh needs key_file or password_file, or both"
            )
        elif is_typed and dial.password_file is None:
            message = f"the login {dial.login.name} types a password, and there is none"
            self._findings.add(read.place("login"), message, "password_file: the file that has it")
        elif dial.protocol != "ssh" and not is_typed and dial.password_file is not None:
            message = f"password_file has no effect: the login {dial.login.name} does not type it"
            self._findings.add(read.key_place("password_file"), message)
        if is_typed and dial.is_plain:
            self._findings.add(
                read.place("endpoint"),
                f"the password of {dial.user} crosses the network as it is",
                "ssh: or telnets:, if the host has one of them",
                warning=True,
            )
