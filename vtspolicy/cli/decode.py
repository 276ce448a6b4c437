"""`vtspolicy decode`: the events of a display, one a line."""

import json
from collections.abc import Iterable
from typing import BinaryIO

import click

from vtspolicy.events.decoder import FORMATS, decoder
from vtspolicy.events.event import Event, Item, Refusal
from vtspolicy.events.report import to_json, to_line

_CHUNK = 65536  # bytes read at once: a display of any length passes through


@click.command("decode")
@click.argument("file", type=click.File("rb"))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    default="auto",
    show_default=True,
    help="What the file holds; auto looks at its first bytes.",
)
@click.option("--candidates", is_flag=True, help="Only commands and tape messages.")
@click.option("--unwrapped", is_flag=True, help="Every line with a header is a whole event.")
@click.pass_context
def decode(
    context: click.Context,
    file: BinaryIO,
    *,
    as_json: bool,
    format_: str,
    candidates: bool,
    unwrapped: bool,
) -> None:
    """Show the events of a display. FILE is a path, or - for the standard input.

    What could not be read is named on the standard error, and the exit code is then 3.
    """
    reading = decoder(format_, wrapped=not unwrapped, only_candidates=candidates)
    read = getattr(file, "read1", file.read)  # what a pipe has now, not only what fills a chunk
    while chunk := read(_CHUNK):
        _show(reading.feed(chunk), as_json=as_json)
    _show(reading.feed(b"\n"), as_json=as_json)  # the last line of a file may lack its end
    _show(reading.close(), as_json=as_json)
    if reading.counted.malformed:
        click.echo(f"{reading.counted.malformed} headers could not be read", err=True)
    if reading.counted.refused:
        context.exit(3)


def _show(items: Iterable[Item], *, as_json: bool) -> None:
    lines = []
    for item in items:
        if isinstance(item, Event):
            lines.append(
                json.dumps(to_json(item), ensure_ascii=False) if as_json else to_line(item)
            )
        elif isinstance(item, Refusal):
            click.echo(f"refused ({item.kind}): {item.reason}", err=True)
    if lines:
        click.echo("\n".join(lines))  # one write for all that a chunk completed
