"""The site of a whole night: 200 jobs of two applications, failures, refusals, a silent host."""

import subprocess

from tests.harness.ports import free_ports
from tests.harness.site import CONFIGURATION, RULES, TIMEOUT, VTSPOLICY, Site, event, wait_for

PASSWORD = "correct horse battery"
PEOPLE = {
    "alice": ("operator", "*"),
    "vera": ("viewer", "NSK2"),
    "audrey": ("auditor", "*"),
}

_MORE_RULES = """  RST:
    title: copies to another site
    seats: 2
    outcome: {{0: completed, 4: warning, default: failed}}
rules:
  - rule: nobody deletes payroll
    when: {{family: Delete, pool: PAYROLL}}
    deny: payroll tapes are kept seven years
  - rule: to another site
    when: {{family: RST}}
    run: [{root}/application, archive, "{{path}}", "{{handle}}"]
    then: migrated
"""

_APPLICATION = """#!/bin/sh
# The number of a tape decides how its copy ends; the last ones wait for the file "gate" to go.
[ "$1" = query ] && exec test -e "{root}/copies/$3"
echo "session established with server BACKUP01"
echo "Archiving $2"
number=$(basename "$2" | tr -d A-Z | sed 's/^0*//')
number=${{number:-0}}
case "$1" in
archive)
    case $((number % 40)) in
    5) if [ ! -e "{root}/mended" ]; then
            echo "ANS1017E Session rejected: connection failure."
            exit 12
        fi ;;
    7) echo "ANS1228E Sending of object '$2' failed."; exit 12 ;;
    3) echo "ANS1809W A session with the server has been disconnected."; exit 4 ;;
    esac
    while [ "$number" -gt 196 ] && [ -e "{root}/gate" ]; do sleep 0.1; done
    cp "$2" "{root}/copies/$3" ;;
restore) cp "{root}/copies/$3" "$2" ;;
esac
"""


class Night(Site):
    """A site with a console; `fill` gives it the jobs of a night."""

    def __init__(self, root):
        super().__init__(root)
        (self.console,) = free_ports(1)
        entries = [self._entry(name, *each) for name, each in PEOPLE.items()]
        (root / "people.yaml").write_text("".join(entries), "utf-8")
        (root / "people.yaml").chmod(0o600)
        more = (
            "  NSK2: {{peers: [127.0.0.2], vaults: [VAULT02], families: [DSK]}}"
            f'\nconsole: {{{{endpoint: "tcp:port={self.console}:interface=127.0.0.1",'
            " people: people.yaml, names: backup.example.com}}\nrules:"
        )
        (root / "VAULT02").mkdir()
        text = CONFIGURATION.replace("rules:", more).replace(
            "vaults: {{", "vaults: {{VAULT02: {root}/VAULT02, "
        )
        self.write("vtspolicy.yaml", text)
        self.write("rules.yaml", RULES.replace("rules:\n", _MORE_RULES, 1))
        self.write("application", _APPLICATION)

    def _entry(self, name, role, host):
        done = subprocess.run(
            [VTSPOLICY, "passwd", "--stdin", "--role", role, "--host", host, name],
            input=f"{PASSWORD}\n",
            capture_output=True,
            text=True,
            check=True,
            timeout=TIMEOUT,
        )
        return done.stdout

    def start(self):
        super().start()
        wait_for(self.console, self)

    @property
    def address(self):
        """Where the console is."""
        return f"http://127.0.0.1:{self.console}"

    def fill(self, jobs=200):
        """Give the commands of a night; the last four jobs run until the gate goes."""
        names = [f"{'A' if number < 120 else 'B'}{number:05}" for number in range(1, jobs + 1)]
        self.tapes("PAYROLL", *(name for name in names if name[0] == "A"))
        self.tapes("LEDGER", *(name for name in names if name[0] == "B"))
        self.hold()
        host = self.link()
        for number, name in enumerate(names, 1):
            pool = "PAYROLL" if name[0] == "A" else "LEDGER"
            family = "RST" if number % 3 == 0 else "DSK"
            text = f"VTSPolicy {family} 'archive /VAULT01/{pool}/{name} ref=n{number}'"
            host.send(event(text, number=number))
        refused = (
            "VTSPolicy DSK 'archiv /VAULT01/PAYROLL/A00001'",
            "VTSPolicy Delete - A00010",
            "VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00011 <script>alert(1)</script>'",
        )
        for number, text in enumerate(refused, jobs + 1):
            host.send(event(text, number=number))
        for number in range(1, min(jobs, 196) + 1):
            host.wait(_end(number), ref=f"n{number}")
        host.close()


def _end(number):
    return {5: "FAILED", 7: "FAILED", 3: "WARNING"}.get(number % 40, "COMPLETED")
