"""What the fakes of backup applications share: the scenario, a small catalogue, an installation.

The scenario is the variable VTSPOLICY_SCENARIO, or the word in the file `scenario` of the folder;
the folder is VTSPOLICY_FAKES, or where the program itself was installed by `install`. It is for
what stores and brings back; questions are answered by the catalogue, unless there is no server.

    ok        all done
    partial   done, but this file was not
    warn      done, with warnings
    fail      an error
    hang      it neither works nor ends
    prompt    it asks a question on standard input before it continues
    killed    it is ended by a signal
    noserver  the server does not answer
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from attrs import frozen

SCENARIOS = ("ok", "partial", "warn", "fail", "hang", "prompt", "killed", "noserver")
"""What can be acted."""


@frozen(kw_only=True)
class Copy:
    """One copy that a fake keeps."""

    number: int  # in the order of their making, from 1
    facts: dict[str, str]  # path, size, and what the application knows it by
    data: Path  # what was stored


@frozen(kw_only=True)
class Stage:
    """Where a fake acts."""

    folder: Path
    scenario: str

    @staticmethod
    def here() -> "Stage":
        """Return the stage that the environment, or the place of the program, names."""
        folder = Path(os.environ.get("VTSPOLICY_FAKES") or Path(sys.argv[0]).absolute().parent)
        written = folder / "scenario"
        scenario = os.environ.get("VTSPOLICY_SCENARIO") or (
            written.read_text("utf-8").strip() if written.exists() else "ok"
        )
        if scenario not in SCENARIOS:
            sys.exit(f"there is no scenario {scenario}: {', '.join(SCENARIOS)}")
        return Stage(folder=folder, scenario=scenario)

    def begin(self, *, noserver: int) -> None:
        """Act out what comes before any work is done."""
        match self.scenario:
            case "hang":
                print("working", flush=True)  # noqa: T201 - a program's output
                while True:
                    signal.pause()
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "noserver":
                leave(noserver, "the server does not answer")
            case "prompt":
                ask("Go on? (Yes (Y)/No (N))")

    def store(self, path: str, **facts: str) -> Copy:
        """Keep a copy of a file."""
        number = 1 + max((copy.number for copy in self.copies()), default=0)
        folder = self.folder / "copies" / f"{number:06d}"
        folder.mkdir(parents=True)
        shutil.copyfile(path, folder / "data")
        known = {"path": path, "size": str((folder / "data").stat().st_size), **facts}
        (folder / "facts").write_text(json.dumps(known), "utf-8")
        return Copy(number=number, facts=known, data=folder / "data")

    def copies(self, **facts: str) -> Iterator[Copy]:
        """Yield the copies that have these facts, the oldest first."""
        for folder in sorted((self.folder / "copies").glob("*")):
            known = json.loads((folder / "facts").read_text("utf-8"))
            if facts.items() <= known.items():
                yield Copy(number=int(folder.name), facts=known, data=folder / "data")

    def fetch(self, copy: Copy, path: str) -> None:
        """Bring a copy back."""
        shutil.copyfile(copy.data, path)

    def drop(self, copy: Copy) -> None:
        """Remove a copy."""
        shutil.rmtree(copy.data.parent)


def ask(question: str) -> str:
    """Ask on standard output; without an answer the program is stuck, as the real ones are."""
    print(question, flush=True)  # noqa: T201 - a program's output
    answer = sys.stdin.readline()
    if not answer:
        leave(1, "no answer: standard input is at its end")
    return answer.strip()


def leave(code: int, text: str = "") -> NoReturn:
    """End the program."""
    if text:
        print(text, flush=True)  # noqa: T201 - a program's output
    sys.exit(code)


def option(argv: list[str], name: str, default: str = "") -> str:
    """Return the value of an option that is an argument of its own."""
    return argv[argv.index(name) + 1] if name in argv[:-1] else default


def install(folder: Path, module: str, names: tuple[str, ...]) -> dict[str, Path]:
    """Put programs of these names into a folder; return their paths."""
    root = Path(__file__).parents[2]
    for name in names:
        script = folder / name
        script.write_text(
            f"#!{sys.executable}\n"
            f"# A fake: it acts out what is documented of {name}, and stores in this folder.\n"
            f"import sys\nsys.path.insert(0, {str(root)!r})\n"
            f"from {module} import main\nmain()\n",
            "utf-8",
        )
        script.chmod(0o755)
    return {name: folder / name for name in names}


def program(acts: dict[str, Callable[[Stage, list[str]], None]]) -> None:
    """Run the act that the program's own name calls for."""
    acts[Path(sys.argv[0]).name](Stage.here(), sys.argv[1:])
