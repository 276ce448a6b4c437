"""How fast the decoder passes over noise: one command in 10,000 lines.

Beside it, in the same run, the floor (only counting line ends) and what a loop over single lines
would do. A figure is the best of several rounds over the same bytes, fed in chunks of 64 KiB.
"""

import argparse
import json
import random
import time
from collections.abc import Callable

import click

from vtspolicy.events.decoder import decoder

CHUNK = 65536
ONE_IN = 10_000
TALK = """
disk volume opened file server class started link subsystem process cpu memory backup table error
path $DATA1 port closed user SUPER.OPER transaction audit dump queue limit job ended code waits for
""".split()  # noqa: SIM905 (words read best as a text)


def display(lines: int) -> bytes:
    """Return a display of about so many lines, with a wrapped command in every 10,000."""
    dice = random.Random(1)
    out: list[str] = []
    while len(out) < lines:
        n = len(out)
        stamp = f"26-11-22 {n // 3600 % 24:02d}:{n // 60 % 60:02d}:{n % 60:02d}"
        head = f"{stamp} \\NSK1.$Z{n % 1000:03d}  TANDEM.DISK.L01          {n % 32768:06d} "
        if n // ONE_IN != (n - 2) // ONE_IN:
            out += [head + "VTSPolicy DSK", f"        'archive /VAULT01/PAYROLL/A{n:05d}'"]
        else:
            out += [head + " ".join(dice.choices(TALK, k=8)) for _ in range(1)]
            if n % 3 == 0:
                out.append("        " + " ".join(dice.choices(TALK, k=7)))
    return "\n".join(out).encode() + b"\n"


def as_syslog(data: bytes, *, counted: bool) -> bytes:
    """Return the same lines as syslog messages."""
    messages = [b"<13>1 - nsk1 ems - - - " + line for line in data.splitlines()]
    if counted:
        return b"".join(b"%d %b" % (len(message), message) for message in messages)
    return b"\n".join(messages) + b"\n"


def as_json(data: bytes) -> bytes:
    """Return the headers' lines as JSON objects."""
    fields = {"system": "\\NSK1", "process": "$Z001", "ssid": "TANDEM.DISK.L01", "number": 17}
    return b"".join(
        json.dumps(
            {"time": line[:17].decode(), **fields, "text": line.split(None, 5)[5].decode()}
        ).encode()
        + b"\n"
        for line in data.splitlines()
        if line.startswith(b"26-")
    )


def decoded(wire: str, *, only_candidates: bool) -> Callable[[list[bytes]], object]:
    """Return a run of the decoder over chunks."""

    def run(chunks: list[bytes]) -> object:
        reading = decoder(wire, only_candidates=only_candidates)
        found = sum(len(reading.feed(chunk)) for chunk in chunks) + len(reading.close())
        if not found:
            raise AssertionError("no command was found")
        return found

    return run


def counted_line_ends(chunks: list[bytes]) -> int:
    """Count line ends: less than this nobody can do who counts lines at all."""
    return sum(chunk.count(b"\n") for chunk in chunks)


def split_lines(chunks: list[bytes]) -> int:
    """Look at every line, as a receiver of lines does, for the word that matters."""
    found = 0
    half = b""
    for chunk in chunks:
        *lines, half = (half + chunk).split(b"\n")
        for line in lines:
            if b"VTSPolicy" in line or b"$ZSVR:" in line:
                found += 1
    return found


def measure(run: Callable[[list[bytes]], object], data: bytes, rounds: int) -> dict[str, float]:
    """Return MB and lines (or counted messages) a second of the best round."""
    lines = data.count(b"\n") or data.count(b"<13>1 ")
    chunks = [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]
    best = float("inf")
    for _ in range(rounds):
        begin = time.perf_counter()
        run(chunks)
        best = min(best, time.perf_counter() - begin)
    return {
        "mb_per_s": round(len(data) / best / 1e6, 1),
        "lines_per_s": round(lines / best),
    }


def main(argv: list[str] | None = None) -> dict[str, dict[str, float]]:
    """Measure, print a table or JSON, and return the figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true", help="print one JSON object")
    options.add_argument("--lines", type=int, default=300_000, help="lines of the display")
    options.add_argument("--rounds", type=int, default=5, help="the best of so many counts")
    chosen = options.parse_args(argv)
    data = display(chosen.lines)
    less = display(chosen.lines // 10)
    runs: dict[str, tuple[Callable[[list[bytes]], object], bytes]] = {
        "floor: counting line ends": (counted_line_ends, data),
        "decoder, ems": (decoded("ems", only_candidates=True), data),
        "decoder, auto": (decoded("auto", only_candidates=True), data),
        "a loop over split lines": (split_lines, data),
        "decoder, json": (decoded("json", only_candidates=True), as_json(data)),
        "decoder, syslog by line": (
            decoded("syslog", only_candidates=True),
            as_syslog(data, counted=False),
        ),
        "decoder, syslog by length": (
            decoded("syslog", only_candidates=True),
            as_syslog(data, counted=True),
        ),
        "decoder, ems, all events": (decoded("ems", only_candidates=False), less),
    }
    figures = {name: measure(run, stream, chosen.rounds) for name, (run, stream) in runs.items()}
    if chosen.json:
        click.echo(json.dumps({"events": figures}))
    else:
        for name, figure in figures.items():
            click.echo(
                f"{name:28}{figure['mb_per_s']:10.1f} MB/s{figure['lines_per_s']:14,} lines/s"
            )
    return figures


if __name__ == "__main__":
    main()
