"""A BorgBackup repository, with the commands by which a tape goes there and comes back."""

import json
import secrets
import subprocess
from pathlib import Path

from tests.harness.programs.daemon import PATH, program


class Borg:
    """A repository in a folder of its own, encrypted with a key that is kept in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.password_file = folder / "password"
        self.password_file.touch(0o600)
        self.password_file.write_text(secrets.token_hex(16))
        self.env = {
            "PATH": PATH,
            "LC_ALL": "C.UTF-8",
            "HOME": str(folder),
            "BORG_REPO": str(folder / "repository"),
            "BORG_PASSCOMMAND": f"cat {self.password_file}",
            "BORG_BASE_DIR": str(folder),
        }
        self.run("init", "--encryption=repokey").check_returncode()

    def run(self, *words, cwd=None):
        """Run borg; return the finished process with its output as text."""
        return subprocess.run(
            [program("borg"), *map(str, words)],
            env=self.env,
            cwd=cwd or self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def archive(self, tape: Path, handle: str):
        """Back one tape up; return what borg tells of the new archive."""
        done = self.run("create", "--json", f"::{handle}", tape)
        done.check_returncode()
        return json.loads(done.stdout)["archive"]

    def query(self, handle: str):
        """Return what borg tells of the archive with this name, None without one."""
        found = self.run("list", "--json", "--glob-archives", handle)
        found.check_returncode()
        if not json.loads(found.stdout)["archives"]:
            return None
        told = self.run("info", "--json", f"::{handle}")
        told.check_returncode()
        return json.loads(told.stdout)["archives"][0]

    def restore(self, tape: Path, handle: str, target="/"):
        """Bring the tape back beneath `target`; borg names paths without the first slash."""
        done = self.run("extract", f"::{handle}", str(tape).lstrip("/"), cwd=target)
        done.check_returncode()

    def delete(self, handle: str):
        """Delete the archive."""
        self.run("delete", f"::{handle}").check_returncode()
