"""Fakes of NetBackup's commands. Not the product: they act out what is published of them.

Documented, and acted: bpbackup and bprestore with `-w 0` exit with the job's status (0, 1 partial,
2 nothing backed up, 5 restore failed, 6 backup failed, 58 no connection to the client, 71 no such
files); bpimagelist exits with 227 when nothing is found, and its `-l` prints IMAGE lines whose
fields 6, 20 and 32 are the backup id, the number of files and the key word (the maker's article
100017904); bpexpdate removes an image.

Assumed: `-k` gives the key word, the words of progress logs, and the values of all other fields.
"""

from pathlib import Path

from vtspolicy.testing.acting import Stage, install, leave, option, program

NAMES = ("bpbackup", "bparchive", "bprestore", "bpimagelist", "bpclimagelist", "bpexpdate")
NO_CONNECTION = 58
FIELDS = 40


def bpbackup(stage: Stage, argv: list[str]) -> None:
    """Back files up: the exit code is the job's status."""
    stage.begin(noserver=NO_CONNECTION)
    path = argv[-1]
    if not Path(path).exists():
        leave(71, "none of the files exist")
    if stage.scenario == "fail":
        leave(6, "backup failed")
    if stage.scenario == "partial":
        leave(1, "partially successful")
    if stage.scenario == "warn":
        leave(2, "none of the requested files were backed up")
    stage.store(path, keyword=option(argv, "-k"), policy=option(argv, "-p"))
    leave(0)


def bprestore(stage: Stage, argv: list[str]) -> None:
    """Bring the newest image of a path back."""
    stage.begin(noserver=NO_CONNECTION)
    found = list(stage.copies(path=argv[-1]))
    if stage.scenario == "fail" or not found:
        leave(5, "restore failed")
    if stage.scenario == "partial":
        leave(1, "partially successful")
    stage.fetch(found[-1], argv[-1])
    leave(0)


def bpimagelist(stage: Stage, argv: list[str]) -> None:
    """List images, as `-l` does."""
    if stage.scenario == "noserver":
        leave(NO_CONNECTION, "the server does not answer")
    keyword = option(argv, "-keyword")
    found = list(stage.copies(**({"keyword": keyword} if keyword else {})))
    for copy in found:
        fields = ["0"] * FIELDS
        fields[0], fields[1] = "IMAGE", option(argv, "-client", "client")
        fields[5], fields[6] = f"{fields[1]}_{copy.number:010d}", copy.facts["policy"]
        fields[19], fields[31] = "1", copy.facts["keyword"] or "*NULL*"
        print(" ".join(fields))  # noqa: T201 - a program's output
    leave(0 if found else 227, "" if found else "no entity was found")


def bpexpdate(stage: Stage, argv: list[str]) -> None:
    """Remove an image by its backup id."""
    number = int(option(argv, "-backupid").rpartition("_")[2])
    for copy in stage.copies():
        if copy.number == number:
            stage.drop(copy)
            leave(0)
    leave(227, "no entity was found")


def install_in(folder: Path) -> dict[str, Path]:
    """Put the fakes into a folder; return where they are."""
    return install(folder, "vtspolicy.testing.netbackup", NAMES)


def main() -> None:
    """Run."""
    lists = {"bpimagelist": bpimagelist, "bpclimagelist": bpimagelist}
    backups = {"bpbackup": bpbackup, "bparchive": bpbackup}
    program({**lists, **backups, "bprestore": bprestore, "bpexpdate": bpexpdate})
