"""What a storm, an act or a whole run has shown: numbers that add up, and what was wrong."""

from collections import Counter

from attrs import define, field

from tests.crash.hosts import Hosts
from tests.crash.site import Site


@define
class Report:
    """What was done to a site, and what was wrong with it afterwards."""

    what: str
    kills: Counter[str] = field(factory=Counter)
    starting: int = 0  # of the killed servers were still starting: no host had reached them
    installed: int = 0  # starts that were those of the installed command
    forked: int = 0  # starts that were forks of what is loaded already
    commands: int = 0
    accepted: int = 0
    jobs: int = 0
    notices: int = 0
    wrong: list[str] = field(factory=list)
    seconds: float = 0.0

    def count(self, site: Site, hosts: Hosts) -> None:
        """Take over what hosts and site have counted so far."""
        self.forked, self.installed = site.forked, site.installed
        self.commands = sum(len(host.sent) for host in hosts.all)
        self.accepted = sum(len(host.accepted) for host in hosts.all)
        self.notices = sum(len(host.heard) for host in hosts.all)

    def add(self, other: "Report") -> None:
        """Add what another one has shown."""
        self.kills += other.kills
        self.starting += other.starting
        self.installed += other.installed
        self.forked += other.forked
        self.commands += other.commands
        self.accepted += other.accepted
        self.jobs += other.jobs
        self.notices += other.notices
        self.wrong += other.wrong
        self.seconds += other.seconds

    def __str__(self) -> str:
        killed = ", ".join(f"{count} x {who}" for who, count in sorted(self.kills.items()))
        starting = f" ({self.starting} while it started)" if self.starting else ""
        return (
            f"{self.what}: killed {killed or 'nobody'}{starting}; {self.commands} commands,"
            f" {self.accepted} accepted, {self.jobs} starts, {self.notices} notices;"
            f" {self.seconds:.0f} s; {len(self.wrong)} wrong"
        )
