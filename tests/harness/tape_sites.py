"""Sites with tapes: the rules of one kind each, and two pools in a vault."""

import shutil

from tests.harness.engine_worlds import Site
from tests.harness.tape_files import PLACE

RULES = """
applications:
  DSK:
    seats: {seats}
    outcome: {{0: completed, default: failed}}
    {touches}
    query:
      run: ["true", query, "{{path}}", "{{handle}}"]
      absent: ["no copy of that name"]
    {read_back}
rules:
  - rule: archive
    when: {{family: DSK, operation: archive}}
    run: ["true", archive, "{{path}}", "{{handle}}"]
    {archive}
    then: migrated
    on_interrupt: retry
  - rule: {of_the_pool}
    application: DSK
    when: {{family: Restore}}
    run: ["true", restore, "{{source}}", "{{handle}}", "{place}"]
    {restore}
    then: restored
    on_interrupt: retry
  - rule: erase
    when: {{family: Erase}}
    then: erased
  - rule: delete
    when: {{family: Delete}}
    then: deleted
cleanup: {{hour: 3, rest: 0s, retention: 1s, dry_run: false}}
"""
READ = """read_back:
      run: ["true", read, "{path}", "{handle}"]
      read: {digest: 'digest=([0-9a-f]+)'}"""
SIZED = """read: {bytes: 'bytes=([0-9]+)'}
    expect: {bytes: "{size}"}"""
SUMMED = """read: {bytes: 'bytes=([0-9]+)', digest: 'sha256=([0-9a-f]+)'}
    expect: {bytes: "{size}"}"""
QUEUED = """read: {application_job: 'JobId=([0-9]+)'}
    poll:
      run: ["true", poll, "{application_job}"]
      every: 10s
      running: R
      completed: T
      read: {state: 'state ([A-Z])'}
      find:
        run: ["true", find, "{handle}"]
        read: {application_job: 'JobId=([0-9]+)'}
        absent: ["nothing found"]"""

JOBS_OF_APPLICATION = ("archive", "restore")


class TapeSite(Site):
    """Two tapes, and rules of one kind."""

    def __init__(
        self,
        *,
        place="{target}",
        proof="found",
        seats=2,
        touches=False,
        archive=SIZED,
        restore="",
        leases=True,
        exchange=True,
        tick=1,
        each_pool=False,
        of_the_pool="restore",
    ):
        self.place, self.proof, self.leases, self.tick = place, proof, leases, tick
        self.exchange = exchange
        self.touches, self.each_pool = touches, each_pool
        more = f"{archive}\n    proof: {proof}" if proof == "data" else archive
        rules = RULES.format(
            seats=seats,
            touches="touches: [ctime]" if touches else "",
            read_back=READ if proof == "data" else "",
            archive=f"each: pool\n    {more}" if each_pool else more,
            place=place,
            restore=restore,
            of_the_pool=of_the_pool,
        )
        super().__init__(rules, families=("Delete", "Restore"), within=PLACE)

    @property
    def in_place(self):
        return self.place == "{path}"

    def fresh(self):
        shutil.rmtree(self.root / "spool", ignore_errors=True)
        shutil.rmtree(self.root / "VAULT01", ignore_errors=True)
        for pool in ("A", "B"):
            (self.root / "VAULT01" / pool).mkdir(parents=True)
