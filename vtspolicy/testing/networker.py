"""Fakes of NetWorker's commands. Not the product: they act out what is published of them.

Documented, and acted: `save` exits with 0 and prints `completed savetime=N`, everything else is a
failure; `recover -a` brings a path back without a question, and asks without `-a`; `recover -d DIR`
relocates it; `mminfo -xc, -r ssid,savetime -q name=N` lists save sets; `nsrmm -d -S SSID -y`
removes one, and asks without `-y`.

Assumed: that a relocated file keeps its own name, a header line and exit code 1 of `mminfo` where
nothing is found, exit code 1 of every failure, and that a save with warnings completes all the
same.
"""

from pathlib import Path

from vtspolicy.testing.acting import Stage, ask, install, leave, option, program

NAMES = ("save", "recover", "mminfo", "nsrmm")
FIRST_SAVETIME = 1_795_000_000


def save(stage: Stage, argv: list[str]) -> None:
    """Store a path under a name."""
    stage.begin(noserver=1)
    path = argv[-1]
    if stage.scenario in {"fail", "partial"} or not Path(path).exists():
        leave(1 if stage.scenario != "partial" else 0, f"save: {path}: not saved")
    copy = stage.store(path, name=option(argv, "-N", path))
    warning = "save: warning: the file grew\n" if stage.scenario == "warn" else ""
    leave(0, f"{warning}save: {path} completed savetime={FIRST_SAVETIME + copy.number}")


def recover(stage: Stage, argv: list[str]) -> None:
    """Bring the newest save of a path back."""
    stage.begin(noserver=1)
    if "-a" not in argv:
        ask("recover>")
    found = list(stage.copies(path=argv[-1]))
    if stage.scenario in {"fail", "partial"} or not found:
        leave(1, "recover: nothing was recovered")
    folder = option(argv, "-d")
    stage.fetch(found[-1], str(Path(folder) / Path(argv[-1]).name) if folder else argv[-1])
    leave(0)


def mminfo(stage: Stage, argv: list[str]) -> None:
    """List save sets."""
    if stage.scenario == "noserver":
        leave(1, "mminfo: the server does not answer")
    name = option(argv, "-q").removeprefix("name=")
    found = list(stage.copies(name=name))
    if not found:
        leave(1, "mminfo: no matches found for the query")
    print("ssid,savetime")  # noqa: T201 - a program's output
    for copy in found:
        print(f"{4_000_000_000 + copy.number},{FIRST_SAVETIME + copy.number}")  # noqa: T201 - a program's output
    leave(0)


def nsrmm(stage: Stage, argv: list[str]) -> None:
    """Remove a save set by its number."""
    if "-y" not in argv:
        ask("Delete?")
    for copy in stage.copies():
        if 4_000_000_000 + copy.number == int(option(argv, "-S")):
            stage.drop(copy)
            leave(0)
    leave(1, "nsrmm: no such save set")


def install_in(folder: Path) -> dict[str, Path]:
    """Put the fakes into a folder; return where they are."""
    return install(folder, "vtspolicy.testing.networker", NAMES)


def main() -> None:
    """Run."""
    program({"save": save, "recover": recover, "mminfo": mminfo, "nsrmm": nsrmm})
