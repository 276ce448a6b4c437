"""Another system to copy to: an sshd on loopback, with keys of its own, for the user who tests."""

import getpass
import os
import shlex
import subprocess
from pathlib import Path

from tests.harness.ports import free_ports
from tests.harness.programs.daemon import PATH, Daemon, program

CONFIGURATION = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/client_key.pub
PidFile none
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
# The keys lie in the session's temporary folder, whose parents may be open to a group.
StrictModes no
PrintMotd no
"""


class Sshd:
    """The daemon, and the commands that reach it."""

    def __init__(self, folder: Path, more: str = "") -> None:
        """Prepare it; `more` is added to its configuration."""
        self.folder = folder
        (port,) = free_ports(1)
        for key in ("host_key", "client_key"):
            words = ["-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)]
            subprocess.run([program("ssh-keygen"), *words], check=True)
        host_key = (folder / "host_key.pub").read_text()
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
        configuration = folder / "sshd_config"
        configuration.write_text(CONFIGURATION.format(port=port, folder=folder) + more)
        if os.geteuid() == 0:
            # What the package's start script would have made; sshd of root refuses to go without.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        argv = [program("sshd"), "-D", "-e", "-f", str(configuration)]
        self.daemon = Daemon(argv, port, folder / "sshd.out")
        self.host = f"{getpass.getuser()}@127.0.0.1"
        self.ssh = [
            program("ssh"),
            "-F/dev/null",
            "-oBatchMode=yes",
            f"-oPort={port}",
            f"-oIdentityFile={folder / 'client_key'}",
            "-oIdentitiesOnly=yes",
            f"-oUserKnownHostsFile={folder / 'known_hosts'}",
            "-oStrictHostKeyChecking=yes",
        ]
        self.env = {"PATH": PATH, "LC_ALL": "C", "RSYNC_RSH": shlex.join(self.ssh)}

    def run(self, *words):
        """Run a command over there."""
        return self._run([*self.ssh, self.host, shlex.join(map(str, words))])

    def rsync(self, *words):
        """Run rsync, which finds its way there by RSYNC_RSH."""
        return self._run([program("rsync"), *map(str, words)])

    def _run(self, argv):
        return subprocess.run(
            argv,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
