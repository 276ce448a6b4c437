"""Fakes of Data Protector's commands. Not the product: they act out what is published of them.

Documented, and acted: `omnib -datalist SPEC` waits; 0 is done, 10 is done with warnings, everything
else failed; a session is named yyyy/mm/dd-n; `omnir -session ID -tree PATH -overwrite` brings a
path back, and `-into DIR` puts it below a folder; `omnidb -session -datalist SPEC -latest` shows
the newest session; `omnistat -session ID -status_only`; `omniabort -session ID`.

Assumed: that the name of the session is in omnib's output, all other words, and that a
specification stores the paths that are in the file `datalists/SPEC` of the folder: the real ones
are kept by the cell manager.
"""

from pathlib import Path

from vtspolicy.testing.acting import Stage, install, leave, option, program

NAMES = ("omnib", "omnir", "omnidb", "omnistat", "omniabort")


def omnib(stage: Stage, argv: list[str]) -> None:
    """Run a backup specification to its end."""
    stage.begin(noserver=1)
    specification = option(argv, "-datalist")
    paths = (stage.folder / "datalists" / specification).read_text("utf-8").split()
    number = 1 + max((copy.number for copy in stage.copies()), default=0)
    session = f"2026/11/22-{number}"
    print(f"Backup session {session} started.")  # noqa: T201 - a program's output
    if stage.scenario in {"fail", "partial"} or not all(Path(path).exists() for path in paths):
        leave(12 if stage.scenario == "fail" else 11, f"Session {session} failed.")
    for path in paths:
        stage.store(path, session=session, datalist=specification)
    leave(10 if stage.scenario == "warn" else 0, f"Session {session} completed.")


def omnir(stage: Stage, argv: list[str]) -> None:
    """Bring a path of a session back."""
    stage.begin(noserver=1)
    path = option(argv, "-tree")
    found = list(stage.copies(path=path, session=option(argv, "-session")))
    if stage.scenario in {"fail", "partial"} or not found:
        leave(12, "nothing was restored")
    folder = option(argv, "-into")
    target = folder + path if folder else path
    if Path(target).exists() and "-overwrite" not in argv:
        leave(10, f"{target} exists and was left")
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    stage.fetch(found[-1], target)
    leave(10 if stage.scenario == "warn" else 0)


def omnidb(stage: Stage, argv: list[str]) -> None:
    """Print the newest session of a specification."""
    if stage.scenario == "noserver":
        leave(1, "the cell manager does not answer")
    found = list(stage.copies(datalist=option(argv, "-datalist")))
    leave(0, found[-1].facts["session"] if found else "")


def omnistat(stage: Stage, argv: list[str]) -> None:
    """Print the state of a session."""
    found = list(stage.copies(session=option(argv, "-session")))
    leave(0 if found else 1, "Completed" if found else "no such session")


def omniabort(_stage: Stage, argv: list[str]) -> None:
    """Abort a session."""
    leave(0, f"{option(argv, '-session')} aborted")


def install_in(folder: Path) -> dict[str, Path]:
    """Put the fakes into a folder; return where they are."""
    return install(folder, "vtspolicy.testing.dataprotector", NAMES)


def main() -> None:
    """Run."""
    acts = {"omnib": omnib, "omnir": omnir, "omnidb": omnidb, "omnistat": omnistat}
    program({**acts, "omniabort": omniabort})
