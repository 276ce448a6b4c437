"""The manual page, set by groff as `man` does it."""

import subprocess

import click
import pytest
from click.testing import CliRunner

from vtspolicy.cli import COMMANDS, cli
from vtspolicy.cli.man import _paragraphs


def set_page(source):
    command = ["groff", "-man", "-ww", "-Wbreak", "-Tascii", "-rLL=90n", "-P-cbou"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


@pytest.fixture(scope="module")
def page():
    done = CliRunner().invoke(cli, ["man"])
    assert done.exit_code == 0
    return set_page(done.stdout)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_it_with_its_options(page, name):
    command = cli.get_command(click.Context(cli), name)
    _, _, rest = page.partition(f"\n   vtspolicy {name}\n")
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            assert option.opts[0] in rest


def test_what_troff_would_read_is_shown_as_it_is(page):
    text = ".SH in front, a\\b and --option\n'tis a quote\n\n\b\nkept   as\nit is\n\nfilled\nlines"
    shown = set_page(".TH T 1\n" + "\n".join(_paragraphs(text)))
    assert ".SH in front, a\\b and --option 'tis a quote" in shown
    assert "kept   as\n" in shown
    assert "filled lines" in shown
