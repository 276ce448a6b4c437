"""`vtspolicy passwd`: the entry of a person for the console's file of people."""

import sys

import click

from vtspolicy.cli.options import give_up, json_option, print_json
from vtspolicy.config.people import LONGEST_NAME, NAME, Role
from vtspolicy.exit_codes import Exit

SHORTEST = 10
"""Characters of the shortest password."""

LONGEST = 1024
"""Characters of the longest one that the console compares."""


@click.command()
@click.option(
    "--role",
    type=click.Choice([each.value for each in Role]),
    default=Role.VIEWER.value,
    show_default=True,
    help="What the person may do.",
)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    default=("*",),
    help="Whose requests, jobs and tapes the person sees; can be given again.  [default: all]",
)
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the password from standard input.")
@json_option
@click.argument("name")
def passwd(
    *, role: str, hosts: tuple[str, ...], from_stdin: bool, as_json: bool, name: str
) -> None:
    """Print the entry of a person for the file that `console: {people: ...}` names.

    The password is asked for twice, or read from standard input. Only its argon2id hash is
    printed. After the file was changed, `vtspolicy reload` takes it; a person who was removed, or
    has another role now, is signed out by that.
    """
    if not NAME.fullmatch(name):
        raise click.BadParameter(f"a name has up to {LONGEST_NAME} letters, digits and _ . @ -")
    if from_stdin:
        password = sys.stdin.readline().removesuffix("\n")
    else:
        password = click.prompt(
            f"Password of {name}", hide_input=True, confirmation_prompt=True, err=True
        )
    if not SHORTEST <= len(password) <= LONGEST:
        give_up(f"a password has {SHORTEST} to {LONGEST} characters", Exit.USAGE)
    from argon2 import PasswordHasher  # noqa: PLC0415 - for this command only

    entry = {"role": role, "password": PasswordHasher().hash(password), "hosts": list(hosts)}
    if as_json:
        print_json({name: entry})
        return
    shown = ", ".join(f'"{each}"' for each in hosts)
    click.echo(f'{name}:\n  role: {role}\n  password: "{entry["password"]}"\n  hosts: [{shown}]')
