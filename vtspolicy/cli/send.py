"""`vtspolicy send`: play the host, send one command and show by the exit code how it ended."""

import json
import os
import re
import socket
import sys
import time
from contextlib import suppress
from datetime import datetime
from typing import IO, Literal

import click
from attrs import define, frozen

from vtspolicy.cli.link import Address, Conversation, GaveUp, Unreachable
from vtspolicy.exit_codes import Exit
from vtspolicy.notices import NODE_KEYS, ReceivedNotice, Word, read_line
from vtspolicy.visible import visible

FIRST_ANSWER = 30.0
"""Seconds to wait for the first answer when nothing else is said."""

AGAIN = 1.0
"""Seconds before a connection that was lost while waiting is tried again."""

_EXIT = {
    Word.ACCEPTED: Exit.DONE,
    Word.DUPLICATE: Exit.DONE,
    Word.REJECTED: Exit.REFUSED,
    Word.DENIED: Exit.REFUSED,
    Word.NORULE: Exit.REFUSED,
    Word.COMPLETED: Exit.DONE,
    Word.WARNING: Exit.WARNINGS,
    Word.FAILED: Exit.FAILED,
    Word.CANCELLED: Exit.FAILED,
    Word.TIMEDOUT: Exit.FAILED,
    Word.INTERRUPTED: Exit.FAILED,
    Word.MOUNTREADY: Exit.DONE,
    Word.MOUNTFAILED: Exit.FAILED,
    Word.STATUS: Exit.DONE,
}
_ANSWERED = re.compile(r"\s*(VTSPolicy(\s|\Z)|\$ZSVR:)")  # how a text begins that is for a server
_TAKEN = (Word.ACCEPTED, Word.DUPLICATE)
_COLOURS = {Exit.DONE: "green", Exit.FAILED: "red", Exit.WARNINGS: "yellow", Exit.REFUSED: "red"}
_REF = re.compile(r"\bref\s*=\s*([A-Za-z0-9_.-]{1,32})")

_NAMES_REQUEST = re.compile(r"\s*VTSPolicy\s+(?:Status|Cancel)\s+-\s+ref\s*=")  # not its own

Format = Literal["json", "ems", "plain"]


@frozen(kw_only=True)
class Sending:
    """One command on its way, in the envelope of an event."""

    text: str  # exactly as it was given
    format: Format
    system: str | None  # None: no system is named, and the connection alone says who we are
    process: str
    number: int
    at: datetime  # generation time: local
    id: str  # ours: the notices of a JSON event repeat it

    def line(self) -> bytes:
        """Return what goes over the wire."""
        if self.format == "json":
            event = {
                "time": self.at.isoformat(timespec="microseconds"),
                "system": self.system,
                "process": self.process,
                "ssid": "USER.SEND.A01",
                "number": self.number,
                "text": self.text,
                "id": self.id,
            }
            # The acknowledgement shows that we speak for ourselves: notices for others wait on.
            return json.dumps(event).encode() + b'\n{"ack": []}\n'
        text = "\n        ".join(self.text.splitlines())
        if self.format == "ems":
            system = self.system or _this_system()
            header = f"{self.at:%y-%m-%d %H:%M:%S} {system}.{self.process} USER.SEND.A01"
            text = f"{header} {self.number:06d} {text}"
        return text.encode() + b"\n"


@define
class Follow:
    """Distinguishes the notices about our own command from all others on the connection."""

    sending: Sending
    request: int | str | None = None  # its number, once an answer named it

    def is_ours(self, notice: ReceivedNotice) -> bool:
        """Whether it is about our command; learns the request's number from the first answer."""
        fields = notice.fields
        if self.request is not None and "req" in fields and notice.word is not Word.STATUS:
            ours = fields["req"] == self.request
        elif self.sending.format == "json":
            ours = fields.get("id") == self.sending.id
        else:
            ours = self._answers(notice)
        if ours and self.request is None:
            self.request = fields.get("req")
        return ours

    def _answers(self, notice: ReceivedNotice) -> bool:
        """Guess whether it is the first answer: by our reference, or else by the family."""
        if notice.word.number >= Word.STARTED.number and notice.word is not Word.STATUS:
            return False
        text = self.sending.text
        if not _NAMES_REQUEST.match(text) and (ref := _REF.search(text)):
            return notice.fields.get("ref") == ref[1]
        words = text.split(maxsplit=2)
        if notice.word is Word.STATUS:  # its family is that of the request it is about
            return words[1:2] == ["Status"]
        family = notice.fields.get("family")
        return family is None or family in words[1:2]


@frozen(kw_only=True)
class Printer:
    """Shows notices as they arrive."""

    as_json: bool
    everything: bool  # also notices about other commands

    def fail(self, message: str) -> None:
        """Say why there are no more notices: on the standard error, or as one more object."""
        if self.as_json:
            click.echo(json.dumps({"error": {"message": message, "hint": None}}))
        else:
            click.echo(visible(message), err=True)

    def show(self, notice: ReceivedNotice, line: bytes, *, ours: bool) -> None:
        """Print one notice."""
        if not ours and not self.everything:
            return
        if self.as_json:
            shown = line.decode("utf-8", "replace") if line.startswith(b"{") else _as_object(notice)
            click.echo(
                "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in shown.strip())
            )
            return
        pairs = (f"{k}={_quoted(notice.fields[k])}" for k in NODE_KEYS if k in notice.fields)
        # Our id is in every one of them, and says nothing to people.
        shown = " ".join(pair for pair in pairs if not pair.startswith("id="))
        word = f"{notice.word.name:<11}"
        if not ours:
            click.secho(f"{notice.time:%H:%M:%S} {word} {shown}", dim=True)
            return
        code = _EXIT.get(notice.word)
        colour = "cyan" if code is None else _COLOURS.get(code, "cyan")
        click.echo(f"{notice.time:%H:%M:%S} {click.style(word, fg=colour, bold=True)} {shown}")


def _as_object(notice: ReceivedNotice) -> str:
    head = {"time": notice.time.isoformat(), "system": notice.system}
    about = {"number": notice.word.number, "text": notice.text, "word": notice.word.name}
    return json.dumps({**head, **about, **notice.fields}, ensure_ascii=False)


def _quoted(value: str | int) -> str:
    shown = visible(value).replace('"', "'")
    return f'"{shown}"' if " " in shown or not shown else shown


def talk(sending: Sending, conversation: Conversation, printer: Printer, *, wait: bool) -> int:
    """Send the command, show what is said about it, and return the exit code.

    Raises Unreachable when there was no answer at all, and GaveUp. A connection that breaks after
    the first answer is made again: the server may be restarted, and reports the end afterwards.
    """
    follow = Follow(sending)
    conversation.say(sending.line())
    while True:
        for line in conversation.lines():
            notice = read_line(line)
            if notice is None:
                continue
            ours = follow.is_ours(notice)
            printer.show(notice, line, ours=ours)
            if not ours:
                continue
            _acknowledge(conversation, notice)
            word = _end(notice) if wait else notice.word
            code = _EXIT.get(word)
            if code is not None and not (wait and word in _TAKEN):
                return code
        if follow.request is None:
            address = conversation.address
            asked = "is this machine one of the peers of a configured host?"
            if address.tls and address.cert is None:
                asked = "show the certificate of a host with --cert and --key"
            raise Unreachable(f"{address} closed the connection without an answer; {asked}")
        _reach_again(conversation)


def _end(notice: ReceivedNotice) -> Word:
    """Return the notice's word; of a duplicate whose first one has ended, how that one ended."""
    if notice.word is Word.DUPLICATE:
        return Word.__members__.get(str(notice.fields.get("reason", "")).upper(), notice.word)
    return notice.word


def _acknowledge(conversation: Conversation, notice: ReceivedNotice) -> None:
    """Acknowledge a notice in a JSON session; those about other commands stay undelivered."""
    if notice.number is not None:
        with suppress(Unreachable, GaveUp):  # it is kept for the host then
            conversation.say(json.dumps({"ack": notice.number}).encode() + b"\n")


def _reach_again(conversation: Conversation) -> None:
    while True:
        left = conversation.left()
        time.sleep(AGAIN if left is None else min(AGAIN, left))
        try:
            conversation.say(b'{"ack": []}\n')  # shows that we speak JSON, and asks for nothing
        except Unreachable:
            continue
        return


def _place(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[str, int]:
    """HOST:PORT, or [ADDRESS]:PORT for IPv6."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%a-z]+)\]|([^:\[\]]+)):([0-9]{1,5})", value)
    if found is None or not 0 < int(found[3]) < 65536:
        raise click.BadParameter(f'"{value}" is not HOST:PORT, as in vts1:7171 or [::1]:7171')
    return found[1] or found[2], int(found[3])


def _duration(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    """Seconds, or a number with s, m, h or d."""
    if value is None:
        return None
    from vtspolicy.config.reading import seconds  # noqa: PLC0415 - only who asks pays for it

    found = seconds(value)
    if found is None:
        raise click.BadParameter(f'"{value}" is not a duration, as in 90s, 10m, 12h')
    return found


def _this_system() -> str:
    label = re.sub(r"[^A-Za-z0-9]", "", socket.gethostname().split(".")[0]).upper()
    return "\\" + (label[:7] or "HOST")


def _text(text: str | None, file: IO[str] | None) -> str:
    if (text is None) == (file is None):
        raise click.UsageError("give the command as TEXT or in a file with --file, one of them")
    found = text if text is not None else file.read().removesuffix("\n") if file else ""
    if not found.strip():
        raise click.UsageError("there is no command: the text is empty")
    if _ANSWERED.match(found) is None:
        raise click.UsageError(
            f'"{found.split(maxsplit=1)[0]}" does not begin a command: commands begin with'
            " VTSPolicy, in these upper and lower case letters, and mount requests with $ZSVR:"
        )
    return found


_file = click.Path(exists=True, dir_okay=False)


@click.command()
@click.option(
    "--to", metavar="HOST:PORT", callback=_place, required=True, help="Where the server listens."
)
@click.option("--wait", is_flag=True, help="Wait for the final notice, not only for the first.")
@click.option(
    "--timeout", metavar="T", callback=_duration, help="Give up after so long (30s without --wait)."
)
@click.option("--json", "as_json", is_flag=True, help="Print each notice as one JSON object.")
@click.option("--all", "everything", is_flag=True, help="Show notices about other commands, too.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "ems", "plain"]),
    default="json",
    help="The event's form: JSON (its notices have our id), a display line, or the bare text.",
)
@click.option("--system", help="The event's system, as \\NSK1; none if not given.")
@click.option("--process", default="$SEND", help="The event's process.", show_default=True)
@click.option("--number", type=click.IntRange(-32768, 32767), default=1, help="The event's number.")
@click.option("--file", type=click.File(), help="Read TEXT from a file; - is standard input.")
@click.option("--tls", is_flag=True, help="Speak TLS.")
@click.option("--cert", type=_file, help="Our certificate (PEM).")
@click.option("--key", type=_file, help="Its key (PEM), if it is not in the same file.")
@click.option("--ca", type=_file, help="The authority of the server's certificate (PEM).")
@click.argument("text", required=False)
def send(
    *,
    to: tuple[str, int],
    wait: bool,
    timeout: float | None,
    as_json: bool,
    everything: bool,
    form: Format,
    system: str | None,
    process: str,
    number: int,
    file: IO[str] | None,
    tls: bool,
    cert: str | None,
    key: str | None,
    ca: str | None,
    text: str | None,
) -> None:
    r"""Send TEXT, a command such as "VTSPolicy DSK 'archive /VAULT01/POOL/TAPE'", as a host does.

    Exit status: 0 accepted, or completed with --wait; 1 it failed, was cancelled, timed out or was
    interrupted; 3 done with warnings; 4 rejected, denied or no rule; 5 gave up waiting; 6 cannot
    reach the server. What was accepted continues when this command ends.
    """
    if not tls and (cert or key or ca):
        raise click.UsageError("--cert, --key and --ca need --tls")
    sending = Sending(
        text=_text(text, file),
        format=form,
        system=system,
        process=process,
        number=number,
        at=datetime.now(),  # noqa: DTZ005 - an event has its host's local time
        id=f"send-{os.urandom(8).hex()}",
    )
    patience = timeout if timeout is not None or wait else FIRST_ANSWER
    address = Address(host=to[0], port=to[1], tls=tls, cert=cert, key=key, ca=ca)
    conversation = Conversation(address, None if patience is None else time.monotonic() + patience)
    printer = Printer(as_json=as_json, everything=everything)
    try:
        code = talk(sending, conversation, printer, wait=wait)
    except Unreachable as error:
        printer.fail(str(error))
        code = Exit.UNREACHABLE
    except GaveUp:
        printer.fail(
            f"gave up waiting for {address} after {patience:g} s; what was sent may still be"
            " accepted and run"
        )
        code = Exit.GAVE_UP
    except KeyboardInterrupt:
        printer.fail("gave up waiting; what was accepted continues")
        code = Exit.GAVE_UP
    finally:
        conversation.close()
    sys.exit(code)
