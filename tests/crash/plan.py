"""What the hosts will ask for, drawn from a seed; and what each command must come to."""

import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta

from attrs import frozen

from tests.crash.setting import TAPES
from vtspolicy.testing.display import display

BEGIN = datetime(2026, 11, 22, 2, 0, 0)  # noqa: DTZ001  a host's local time


@frozen(kw_only=True)
class Command:
    """One command of a host."""

    ref: str  # no two are equal
    host: str  # NSK1 or NSK2
    text: str
    data: bytes  # as it goes over the wire, every time it is shown
    plain: bool = False  # a bare line without identity: shown once only
    jobs: int | None = 1  # how many it must become; None: it is refused, or becomes none
    is_silent: bool = False  # a mount: it has no answer that bears its ref
    cancels: int | None = None  # the request that it cancels


def commands(seed: int) -> Iterator[Command]:
    """Yield commands without end, the same ones for the same seed."""
    draw = random.Random(seed)
    number = 0
    while True:
        number += 1
        host = draw.choice(("NSK1", "NSK2"))
        yield _command(draw, host, f"r{number}", BEGIN + timedelta(seconds=number))


def _command(draw: random.Random, host: str, ref: str, at: datetime) -> Command:
    family, target, jobs = _what(draw)
    text = f"VTSPolicy {family} 'archive {target} ref={ref}'"
    if host == "NSK1" and draw.random() < 0.1:
        data = text.encode() + b"\n"
        return Command(ref=ref, host=host, text=text, data=data, plain=True, jobs=jobs)
    data = event(host, ref, text, at, draw.choice((0, 80, 132)))
    return Command(ref=ref, host=host, text=text, data=data, jobs=jobs)


def cancellation(host: str, ref: str, request: int) -> Command:
    """Return the command that cancels a request."""
    text = f"VTSPolicy Cancel - {request} ref={ref}"
    data = event(host, ref, text, BEGIN, 80)
    return Command(ref=ref, host=host, text=text, data=data, jobs=None, cancels=request)


def event(
    host: str,
    ref: str,
    text: str,
    at: datetime,
    columns: int,
    *,
    process: str = "$ZBAT",
    ssid: str = "USER.BATCH.A01",
    number: int = 1234,
) -> bytes:
    """Return an event as its host shows it; `columns` is for displays."""
    if host == "NSK1":
        return display(
            text,
            time=at,
            system=r"\NSK1",
            process=process,
            ssid=ssid,
            number=number,
            columns=columns,
        )
    shown = {"time": at.isoformat(), "system": r"\NSK2", "process": process, "number": number}
    shown |= {"ssid": ssid, "id": f"e-{ref}", "text": text}
    return json.dumps(shown).encode() + b"\n"


def _what(draw: random.Random) -> tuple[str, str, int | None]:
    """Return family, target and the number of jobs."""
    kind = draw.random()
    if kind < 0.04:
        return "TSM", "/VAULT01/PAY/A00001", None  # no host may give it
    if kind < 0.10:
        return "DSK", "/VAULT01/SET", 1  # the pool at once
    if kind < 0.17:
        return "RST", "/VAULT01/SET", len(TAPES["SET"])  # its tapes one by one
    pool = draw.choices(("PAY", "RETRY", "FAIL", "SET"), (5, 2, 1, 1))[0]
    cartridge = draw.choice(tuple(TAPES[pool]))
    family = "RST" if pool == "SET" else draw.choice(("DSK", "DSK", "RST"))
    return family, f"/VAULT01/{pool}/{cartridge}", 1
