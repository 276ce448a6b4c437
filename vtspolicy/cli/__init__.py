"""The command line: one module for each group of commands, loaded only when it is asked for."""

import errno
import importlib
import json
from collections.abc import Sequence

import click

from vtspolicy import __version__
from vtspolicy.exit_codes import SUMMARY, Exit
from vtspolicy.suggest import did_you_mean
from vtspolicy.visible import visible_lines

COMMANDS = {
    # name -> (module, what `vtspolicy --help` says of it)
    "serve": ("serve", "listen to hosts and run what they ask for"),
    "check": ("check", "report every problem of configuration, families and rules"),
    "doctor": ("doctor", "look whether this user could run the server on this machine"),
    "parse": ("language", "show how a command is understood"),
    "grammar": ("language", "print the language: forms, families, keywords"),
    "decode": ("decode", "show the events of a display"),
    "explain": ("explain", "show what the rules would do with a command, and why"),
    "test": ("test", "run rule tests"),
    "send": ("send", "play the host: send a command, print the notices"),
    "status": ("status", "show the server: hosts, seats, locks, jobs, notices"),
    "hosts": ("hosts", "show the hosts: links, what they asked for today, rights"),
    "requests": ("requests", "list requests, also those that were refused"),
    "jobs": ("jobs", "list jobs"),
    "job": ("jobs", "show one job: times, argument list, output, history"),
    "why": ("why", "show why a request was decided so"),
    "cancel": ("control", "stop a request or a job"),
    "retry": ("retry", "run failed jobs again, each as a new request"),
    "drain": ("control", "finish what runs and take nothing new"),
    "reload": ("control", "take new rules, if they and their tests are right"),
    "release-lock": ("control", "take a lock from a job that will not give it back"),
    "restart-link": ("control", "open the link to a dialled host anew"),
    "trust-clock": ("control", "trust the clock again after it was set"),
    "passwd": ("passwd", "print the entry of a person who may sign in to the console"),
    "backup-ledger": ("ledger", "make a consistent copy of the ledger while the server runs"),
    "tapes": ("tapes", "list the virtual tapes, and what the cleanup would do with them"),
    "migrate": ("tape_orders", "have a tape or a pool copied by an application"),
    "restore": ("tape_orders", "bring tapes back from the application that has their copies"),
    "erase": ("tape_orders", "empty tapes whose copy is proven"),
    "delete": ("tape_orders", "remove tapes whose copy is proven"),
    "mark": (
        "tape_orders",
        "note a copy or a restore by an application's own schedule",
    ),
    "withdraw-override": ("tape_orders", "withdraw the override that an order waits with"),
    "disk": ("disk", "the embedded disk archive: archive, restore, query, delete"),
    "digest": ("digest", "run a program and print the SHA-256 of what it writes"),
    "completion": ("completion", "print the completion script for a shell"),
    "man": ("man", "print the manual page of all commands"),
    "host-simulator": ("host_simulator", "simulate a NonStop host to log on to"),
    "demo": ("demo", "play a night of a host on this machine and check that all came out right"),
}
"""Every command, in the order in which they are shown."""


NOT_WRITTEN = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Errors of an output that takes no more."""

AS_JSON = "vtspolicy.as_json"
"""The place in click's context for whether --json is among the arguments."""


class Commands(click.Group):
    """Knows all commands by name, imports one only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in our order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"vtspolicy.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for an unknown word name the nearest one."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            hint = did_you_mean(args[0], COMMANDS)
            ctx.fail(f'there is no command "{args[0]}"; {hint or "see vtspolicy --help"}')
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Remember whether an answer is wanted as JSON, for mistakes in the options too."""
        ctx.meta[AS_JSON] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run a command. With --json, wrong usage is reported as JSON, too."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            message = error.format_message()
            if not ctx.meta[AS_JSON]:
                if message.isprintable():
                    raise
                raise click.UsageError(visible_lines(message), error.ctx) from None
            told = {"error": {"message": message, "hint": None}}
            click.echo(json.dumps(told, indent=2))
            raise SystemExit(error.exit_code) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vtspolicy", message="%(prog)s %(version)s")
def cli() -> None:
    """Take VTSPolicy commands out of EMS events, run them, and tell the host how they ended."""


cli.help = f"{cli.help}\n\n{SUMMARY}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program; the entry point of the installed command."""
    try:
        cli.main(args=None if arguments is None else list(arguments), prog_name="vtspolicy")
    except OSError as error:
        # What names no file is a write to the standard output: its disk is full, for instance.
        if error.errno not in NOT_WRITTEN or error.filename is not None:
            raise
        click.echo(f"vtspolicy: the output could not be written: {error.strerror}", err=True)
        raise SystemExit(Exit.FAILED) from None
