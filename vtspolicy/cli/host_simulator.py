"""`vtspolicy host-simulator`: a NonStop host to log on to, for people without one at hand."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import evolve, frozen

from vtspolicy.cli.options import give_up
from vtspolicy.events.decoder import decoder
from vtspolicy.events.event import Event
from vtspolicy.exit_codes import Exit
from vtspolicy.testing.nonstop.accounts import Account
from vtspolicy.testing.nonstop.filters import filter_table
from vtspolicy.testing.nonstop.journal import FileJournal, MemoryJournal
from vtspolicy.testing.nonstop.logins import LOGINS
from vtspolicy.testing.nonstop.orders import OrderError, obey
from vtspolicy.testing.nonstop.run_options import tacl_command
from vtspolicy.testing.nonstop.system import VTS, Settings, System
from vtspolicy.visible import visible, visible_lines

if TYPE_CHECKING:
    from vtspolicy.testing.nonstop.link import Faults
    from vtspolicy.testing.nonstop.serving import Keys, Listener

LISTENERS = ("telnet:2323", "ssh:2222")
"""The listeners that are opened if none are named."""

QUIT = "quit"

_file = click.Path(exists=True, dir_okay=False, path_type=Path)
_new_file = click.Path(dir_okay=False, path_type=Path)


@frozen(kw_only=True)
class Printer:
    """Shows what happens, a line each."""

    system: System
    as_json: bool

    def happened(self, what: str, facts: Mapping[str, object]) -> None:
        """Show one happening."""
        time = self.system.local(self.system.settings.now())
        if self.as_json:
            click.echo(json.dumps({"time": time.isoformat(), "what": what, **facts}))
        else:
            shown = "  ".join(visible(each) for each in facts.values())
            click.echo(f"{time:%H:%M:%S} {what:<9} {shown}")

    def say(self, text: str) -> None:
        """Answer an order."""
        if text and self.as_json:
            click.echo(json.dumps({"what": "answer", "text": text}))
        elif text:
            click.echo(visible_lines(text))

    def complain(self, text: str) -> None:
        """Say what is wrong with an order."""
        if self.as_json:
            click.echo(json.dumps({"error": {"message": text, "hint": None}}))
        else:
            click.echo(visible(text), err=True)


@click.command("host-simulator")
@click.argument("listeners", nargs=-1)
@click.option("--name", default=r"\NSK1", show_default=True, help="The system's name.")
@click.option("--user", default=VTS.user, show_default=True, help="The account to log on with.")
@click.option("--password-file", type=_file, help="Its password, in a file; else a known one.")
@click.option("--authorized-keys", type=_file, help="Its SSH public keys, one a line.")
@click.option(
    "--login",
    type=click.Choice(list(LOGINS)),
    default="tacl",
    show_default=True,
    help="How people log on over Telnet and lines.",
)
@click.option("--prompt", help="TACL's prompt behind the logon; {n} is the number that grows.")
@click.option("--no-echo", is_flag=True, help="Do not offer to echo what is typed.")
@click.option("--events", type=_file, help="Put the events of this display into the log first.")
@click.option(
    "--filter", "filters", type=_file, multiple=True, help="A filter table, under the file's name."
)
@click.option(
    "--library",
    "libraries",
    type=_file,
    multiple=True,
    help="A file of TACL routines, loaded for everybody who logs on.",
)
@click.option("--log", type=_new_file, help="Keep the event log in this file, for later runs too.")
@click.option("--host-key", type=_new_file, help="The SSH host key; made if it is not there.")
@click.option("--cert", type=_file, help="The certificate of telnets (PEM).")
@click.option("--key", type=_file, help="Its key (PEM), if it is not in the same file.")
@click.option("--slow", type=click.FloatRange(0), default=0, help="Seconds before each answer.")
@click.option("--pieces", type=click.IntRange(0), default=0, help="Most bytes sent at once.")
@click.option("--die-after", type=click.IntRange(1), help="Bytes behind which each link is cut.")
@click.option(
    "--bad",
    type=click.Choice(["echo-password", "other-machine", "no-prompt", "endless-line"]),
    help="Be a host with which a link cannot work, or should not.",
)
@click.option(
    "--stdio", is_flag=True, help="One session on standard input and output, behind another server."
)
@click.option("--logged-on", is_flag=True, help="With --stdio: TACL starts logged on, as with SSH.")
@click.option("--json", "as_json", is_flag=True, help="Print each happening as one JSON object.")
def host_simulator(
    *,
    listeners: tuple[str, ...],
    name: str,
    user: str,
    password_file: Path | None,
    authorized_keys: Path | None,
    login: str,
    prompt: str | None,
    no_echo: bool,
    events: Path | None,
    filters: tuple[Path, ...],
    libraries: tuple[Path, ...],
    log: Path | None,
    host_key: Path | None,
    cert: Path | None,
    key: Path | None,
    slow: float,
    pieces: int,
    die_after: int | None,
    bad: str | None,
    stdio: bool,
    logged_on: bool,
    as_json: bool,
) -> None:
    r"""Simulate a NonStop host to log on to: TACL, EMSDIST, MEDIACOM and FUP.

    LISTENERS are KIND:PORT on this machine alone, or KIND:port=PORT:interface=ADDRESS. KIND is
    telnet, telnets (over TLS), ssh or lines; port 0 takes a free one. Without listeners they are
    telnet:2323 and ssh:2222.

    It shows what happens. Each line on its standard input is an order: "post TEXT" generates an
    event, "die" cuts all links, "help" shows all orders, "quit" ends it.

    It was written from public manuals and was never held beside a host.
    """
    from vtspolicy.testing.nonstop.link import (  # noqa: PLC0415 - Twisted, not for --help
        BAD_HOSTS,
        Faults,
    )

    if stdio and listeners:
        raise click.UsageError("--stdio opens no listeners: leave them out")
    if logged_on and not stdio:
        raise click.UsageError("--logged-on needs --stdio; SSH always starts TACL logged on")
    if not name.startswith("\\"):
        raise click.UsageError(f'"{name}" is not a system\'s name, which begins with \\, as \\NSK1')
    account = _account(user, password_file, authorized_keys)
    loaded = {f"$SYSTEM.VTS.{each.stem.upper()}": each for each in libraries}
    settings = Settings(
        name=name,
        accounts=(account,),
        login=LOGINS[login],
        prompt=_prompt(prompt),
        echo=not no_echo,
        filters={each.name.upper(): filter_table(each.read_text("utf-8")) for each in filters},
        files={name: each.read_text("utf-8") for name, each in loaded.items()},
        taclcstm=tuple(f"LOAD /KEEP 1/ {name}" for name in loaded),
    )
    try:
        journal = MemoryJournal() if log is None else FileJournal(log)
    except OSError as error:
        give_up(f"{log} cannot be opened: {error.strerror}", Exit.FAILED, "name another file")
    system = System(settings, journal)
    if events is not None:
        _replay(system, events)
    worst = BAD_HOSTS[bad] if bad else Faults()
    faults = evolve(worst, delay=slow, chunk=pieces, die_after=die_after)
    if stdio:
        _on_stdio(system, faults, account if logged_on else None)
    printer = Printer(system=system, as_json=as_json)
    _serve(printer, listeners or LISTENERS, faults, (host_key, cert, key), account)


def _account(user: str, password_file: Path | None, authorized_keys: Path | None) -> Account:
    keys = authorized_keys.read_bytes().splitlines() if authorized_keys else []
    password = VTS.password
    if password_file is not None:
        password = password_file.read_text("utf-8").removesuffix("\n")
    if not password:
        raise click.UsageError(f"{password_file} is empty: write the password into it")
    return Account(
        user=user,
        password=password,
        number=VTS.number,
        keys=tuple(line for line in keys if line.strip() and not line.startswith(b"#")),
    )


def _prompt(prompt: str | None) -> str:
    if prompt is None:
        return Settings().prompt
    try:
        prompt.format(n=1)
    except (LookupError, ValueError):
        raise click.UsageError(f'the prompt "{prompt}" has another place than {{n}}') from None
    return prompt


def _replay(system: System, display: Path) -> None:
    """Put the events of a display into the log, at the times that it shows."""
    reader = decoder("ems", only_candidates=False)
    for item in (*reader.feed(display.read_bytes()), *reader.close()):
        if isinstance(item, Event) and item.time is not None:
            system.post(
                item.text,
                number=item.number or 0,
                process=item.process or "$0",
                ssid=item.ssid or "",
                critical=item.critical,
                time=item.time.replace(tzinfo=system.settings.zone),
            )


def _on_stdio(system: System, faults: "Faults", account: Account | None) -> None:
    """Run one session and end the program: with 0 if the host ended it in good order."""
    from twisted.internet import reactor  # noqa: PLC0415
    from twisted.internet.task import react  # noqa: PLC0415

    from vtspolicy.testing.nonstop.stdio import run_on_stdio  # noqa: PLC0415

    asked = os.environ.get("SSH_ORIGINAL_COMMAND", "")  # how sshd tells a forced command
    command = tacl_command(asked)
    if command is None and asked not in ("", "tacl"):
        click.echo("This is a simulated host without OSS: ask for the subsystem tacl.", err=True)
        raise SystemExit(127)

    async def run() -> None:
        over = run_on_stdio(system, reactor, faults=faults, account=account, command=command)
        if not await over:
            raise SystemExit(1)

    react(lambda _: _deferred(run()), (), reactor)


def _deferred(coroutine: Any) -> Any:  # of Twisted, which is not loaded for --help
    from twisted.internet.defer import ensureDeferred  # noqa: PLC0415

    return ensureDeferred(coroutine)


def _serve(
    printer: Printer,
    listeners: tuple[str, ...],
    faults: "Faults",
    files: tuple[Path | None, Path | None, Path | None],
    account: Account,
) -> None:
    """Open the listeners and obey orders until the end."""
    from twisted.internet import reactor  # noqa: PLC0415
    from twisted.internet.defer import Deferred  # noqa: PLC0415
    from twisted.internet.error import CannotListenError  # noqa: PLC0415
    from twisted.internet.task import LoopingCall, react  # noqa: PLC0415

    from vtspolicy.testing.nonstop.serving import (  # noqa: PLC0415
        ListenerError,
        close,
        listen,
        prepare,
    )

    try:
        keys = _keys(*files, wanted=any(each.startswith("ssh:") for each in listeners))
    except (OSError, ValueError) as error:
        give_up(f"the keys cannot be used: {error}", Exit.USAGE)
    try:
        plans = prepare(printer.system, reactor, listeners, faults=faults, keys=keys)
    except ListenerError as error:
        give_up(str(error), Exit.USAGE)

    async def run() -> None:
        try:
            opened = await listen(plans)
        except CannotListenError as error:
            hint = "name another port, or 0 for a free one"
            give_up(
                f"port {error.port} cannot be opened: {error.socketError.strerror}",
                Exit.FAILED,
                hint,
            )
        printer.system.observers.append(printer.happened)
        _greet(printer, opened, keys, account)
        LoopingCall(printer.system.refresh).start(0.1)
        done: Deferred[None] = Deferred(lambda deferred: deferred.callback(None))
        _read_orders(printer, done)
        await done
        await close(opened)

    react(lambda _: _deferred(run()), (), reactor)


def _keys(host_key: Path | None, cert: Path | None, key: Path | None, *, wanted: bool) -> "Keys":
    from vtspolicy.testing.nonstop.serving import Keys  # noqa: PLC0415

    made: Any = None
    if wanted:
        from twisted.conch.ssh.keys import BadKeyError, Key  # noqa: PLC0415

        from vtspolicy.testing.nonstop.ssh import new_host_key  # noqa: PLC0415

        if host_key is not None and host_key.exists():
            try:
                made = Key.fromString(host_key.read_bytes())
            except BadKeyError as error:
                raise ValueError(f"{host_key} is not an SSH private key: {error}") from None
        else:
            made = new_host_key()
            if host_key is not None:
                with open(host_key, "wb", opener=_private) as file:
                    file.write(made.toString("OPENSSH"))
    if cert is None:
        return Keys(host_key=made)
    from OpenSSL import crypto  # noqa: PLC0415
    from twisted.internet.ssl import PrivateCertificate  # noqa: PLC0415

    try:
        pem = cert.read_bytes() + b"\n" + (key.read_bytes() if key is not None else b"")
        certificate = PrivateCertificate.loadPEM(pem)
    except crypto.Error:
        raise ValueError(f"{cert} is not a certificate with its key; name it with --key") from None
    return Keys(host_key=made, certificate=certificate.options())


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_EXCL, 0o600)


def _greet(printer: Printer, listeners: "list[Listener]", keys: "Keys", account: Account) -> None:
    for listener in listeners:
        address: Any = listener.address  # of TCP: no other listener can be opened
        facts: dict[str, object] = {
            "kind": listener.kind,
            "address": address.host,
            "port": address.port,
        }
        if listener.kind == "ssh":
            facts["fingerprint"] = _fingerprint(keys.host_key)
        printer.happened("listener", facts)
    known = account.password == VTS.password
    told = f" with the password {VTS.password}" if known else ""
    printer.say(f'Log on as {account.user}{told}. Type "help" for orders, "{QUIT}" to end.')


def _fingerprint(key: Any) -> str:  # a Key of Conch
    """Return a key's fingerprint as ssh shows it."""
    from twisted.conch.ssh.keys import FingerprintFormats  # noqa: PLC0415

    shown: str = key.fingerprint(FingerprintFormats.SHA256_BASE64)
    return f"SHA256:{shown.rstrip('=')}"


def _read_orders(printer: Printer, done: Any) -> None:  # the Deferred that ends it
    from twisted.internet.stdio import StandardIO  # noqa: PLC0415
    from twisted.protocols.basic import LineReceiver  # noqa: PLC0415

    class Orders(LineReceiver):
        delimiter = b"\n"

        def lineReceived(self, line: bytes) -> None:
            text = line.decode("utf-8", "surrogateescape").strip()
            if text == QUIT:
                if not done.called:
                    done.callback(None)
            elif text:
                try:
                    printer.say(obey(printer.system, text))
                except OrderError as error:
                    printer.complain(str(error))

    StandardIO(Orders())
