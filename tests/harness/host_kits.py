"""The files of the host kit, and terminals of a simulated host at which they are loaded."""

from pathlib import Path

from tests.harness.simulated_terminals import logged_on, system

KIT = Path(__file__).parents[2] / "deploy" / "host"
NAMES = {
    "$SYSTEM.VTS.VTSLIB": "vtslib.tacl",
    "$SYSTEM.VTS.VTSTEST": "vtstest.tacl",
}
FILES = {name: (KIT / file).read_text("utf-8") for name, file in NAMES.items()}
LOAD = "LOAD /KEEP 1/ $SYSTEM.VTS.VTSLIB"


def kit(**settings):
    """A system on which the kit's files are, and are loaded when somebody logs on."""
    return system(**{"files": FILES, "taclcstm": (LOAD,), **settings})


def at_kit(at=None, **more):
    """A terminal at which the kit is loaded."""
    return logged_on(at or kit(), **more)


def output(typist, *lines):
    """What is shown for the last of these lines, without the prompt behind it."""
    return typist.type(*lines).rpartition("\n")[0].split("\n")


def lines_of(name):
    """The lines of a job, as its executor reads them."""
    return (KIT / name).read_text("utf-8").splitlines()
