"""A fake `dsmc`, the client of IBM Storage Protect (TSM). Not the product: it acts out its manual.

Documented, and acted: the forms of archive, selective, incremental, retrieve, restore, query and
delete; the exit codes 0, 4, 8 and 12; the summary lines; ANS1092W with code 8 for a query that
finds nothing; ANS1345E for a deletion of what is gone; a question where `-replace` is missing; that
what was archived is only retrieved, and what was backed up only restored.

Assumed: all other words of its output, and 12 for a server that does not answer.
"""

from pathlib import Path

from vtspolicy.testing.acting import Stage, ask, install, leave, program

NAMES = ("dsmc",)
DONE = {"archive": "archived", "selective": "backed up", "incremental": "backed up"}


def _value(argv: list[str], name: str) -> str:
    return next((each.partition("=")[2] for each in argv if each.startswith(f"-{name}=")), "")


def _facts(argv: list[str], path: str, kind: str) -> dict[str, str]:
    facts = {"kind": kind, "path": path}
    if _value(argv, "description"):
        facts["description"] = _value(argv, "description")
    return facts


def dsmc(stage: Stage, argv: list[str]) -> None:
    """Act one call."""
    verb, *rest = argv
    words = [each for each in rest if not each.startswith("-")]
    if stage.scenario == "noserver":
        leave(12, "the server does not answer")
    if verb in DONE:
        stage.begin(noserver=12)
        _store(stage, verb, words[0], rest)
    elif verb in {"retrieve", "restore"}:
        stage.begin(noserver=12)
        _fetch(stage, "archive" if verb == "retrieve" else "backup", words, rest)
    elif verb == "query":
        kind, path = words
        found = list(stage.copies(**_facts(rest, path, kind)))
        for copy in found:
            print(f"  {copy.facts['size']} B  {path}  {copy.facts.get('description', '')}")  # noqa: T201 - a program's output
        leave(*((0,) if found else (8, "ANS1092W No files matching the search were found.")))
    elif verb == "delete":
        found = list(stage.copies(**_facts(rest, words[1], words[0])))
        for copy in found:
            stage.drop(copy)
        leave(*((0,) if found else (8, "ANS1345E No such objects.")))
    else:
        leave(12, f"no such command: {verb}")


def _store(stage: Stage, verb: str, path: str, argv: list[str]) -> None:
    kind = "archive" if verb == "archive" else "backup"
    stored, code = 1, {"partial": 4, "warn": 8, "fail": 12}.get(stage.scenario, 0)
    if stage.scenario in {"partial", "fail"} or not Path(path).exists():
        stored, code = 0, code or 12
    else:
        facts = _facts(argv, path, kind)
        stage.store(**facts)
    size = Path(path).stat().st_size if stored else 0
    leave(
        code,
        f"Total number of objects {DONE[verb]}: {stored:>10}\n"
        f"Total number of objects failed: {1 - stored:>10}\n"
        f"Total number of bytes transferred: {size:>10} B",
    )


def _fetch(stage: Stage, kind: str, words: list[str], argv: list[str]) -> None:
    path, target = words
    if Path(target).exists() and not _value(argv, "replace"):
        ask(f"{target} exists. Replace?")
    found = list(stage.copies(**_facts(argv, path, kind)))
    if not found:
        leave(8, "ANS1092W No files matching the search were found.")
    code = {"partial": 4, "warn": 8, "fail": 12}.get(stage.scenario, 0)
    if code not in {4, 12}:
        stage.fetch(found[-1], target)
    leave(code)


def install_in(folder: Path) -> dict[str, Path]:
    """Put a fake `dsmc` into a folder; return where it is."""
    return install(folder, "vtspolicy.testing.tsm", NAMES)


def main() -> None:
    """Run."""
    program({"dsmc": dsmc})
