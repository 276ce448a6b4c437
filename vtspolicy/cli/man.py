"""`vtspolicy man`: the manual page of the program, made from the help of its commands."""

import inspect
import re
from collections.abc import Iterator

import click

from vtspolicy import __version__

PARAGRAPHS = re.compile(r"\n\s*\n")


@click.command()
@click.pass_context
def man(ctx: click.Context) -> None:
    """Print the manual page of all commands.

    As root: vtspolicy man > /usr/local/share/man/man1/vtspolicy.1
    """
    click.echo("\n".join(_page(ctx.find_root().command)))


def _page(root: click.Command) -> Iterator[str]:
    yield f'.TH VTSPOLICY 1 "" "vtspolicy {_text(__version__)}" "User Commands"'
    yield ".nh\n.ad l"
    yield ".SH NAME\nvtspolicy \\- EMS event listener and policy engine"
    yield ".SH SYNOPSIS\n.B vtspolicy\n.I COMMAND\n.RI [ OPTION ...]"
    yield ".SH DESCRIPTION"
    yield from _paragraphs(root.help or "")
    yield ".SH COMMANDS"
    yield from _commands(root, "vtspolicy", click.Context(root, info_name="vtspolicy"))


def _commands(group: click.Command, name: str, context: click.Context) -> Iterator[str]:
    if not isinstance(group, click.Group):
        return
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        if command is not None:
            yield from _command(command, f"{name} {word}", context)


def _command(command: click.Command, name: str, above: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=name.rpartition(" ")[2], parent=above)
    usage = " ".join(command.collect_usage_pieces(context))
    yield f".SS {_text(name)}\n.B {_text(name)}\n{_text(usage)}\n.PP"
    yield from _paragraphs(command.help or "")
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            yield f".TP\n.B {_text(record[0])}\n{_text(record[1])}"
    yield from _commands(command, name, context)


def _paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs of a help text; one that click does not fill keeps its lines."""
    for paragraph in PARAGRAPHS.split(inspect.cleandoc(text)):
        kept = paragraph.startswith("\b\n")
        words = paragraph.removeprefix("\b\n")
        lines = "\n".join(_text(line) for line in words.splitlines())
        yield f".PP\n.nf\n{lines}\n.fi" if kept else f".PP\n{lines}"


def _text(text: str) -> str:
    r"""Return a text for troff: no backslash, hyphen, or leading dot of it has a meaning there."""
    plain = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain
