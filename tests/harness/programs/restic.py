"""A restic repository, with the commands by which a tape goes there and comes back."""

import json
import secrets
import subprocess
from pathlib import Path

from tests.harness.programs.daemon import PATH, program


class Restic:
    """A repository in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.password_file = folder / "password"
        self.password_file.touch(0o600)
        self.password_file.write_text(secrets.token_hex(16))
        self.env = {
            "PATH": PATH,
            "LC_ALL": "C",
            "HOME": str(folder),
            "RESTIC_REPOSITORY": str(folder / "repository"),
            "RESTIC_PASSWORD_FILE": str(self.password_file),
            "RESTIC_CACHE_DIR": str(folder / "cache"),
        }
        self.run("init").check_returncode()

    def run(self, *words):
        """Run restic; return the finished process with its output as text."""
        return subprocess.run(
            [program("restic"), *map(str, words)],
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def archive(self, tape: Path, handle: str):
        """Back one tape up; return the summary that restic prints last."""
        done = self.run("backup", "--json", "--tag", handle, "--host", "vts1", tape)
        done.check_returncode()
        return json.loads(done.stdout.splitlines()[-1])

    def query(self, tape: Path, handle: str):
        """Return the snapshots of the tape that bear the handle."""
        found = self.run("snapshots", "--json", "--tag", handle, "--path", tape)
        found.check_returncode()
        return json.loads(found.stdout) or []

    def restore(self, tape: Path, handle: str, target="/"):
        """Bring the tape back beneath `target`."""
        words = ("restore", "latest", "--tag", handle, "--target", target, "--include", tape)
        self.run(*words).check_returncode()

    def delete(self, handle: str):
        """Forget every snapshot that bears the handle."""
        snapshots = json.loads(self.run("snapshots", "--json", "--tag", handle).stdout) or []
        for snapshot in snapshots:
            self.run("forget", snapshot["id"]).check_returncode()
