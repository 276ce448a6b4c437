"""Ready programs: what a rule has run when the tape of a mount request is back."""

from vtspolicy.engine.jobs.programs import OUTPUT_JUDGED, Programs
from vtspolicy.events.event import Event
from vtspolicy.events.mounts import read_mount
from vtspolicy.jobs import Job, run_key
from vtspolicy.ledger import Mount
from vtspolicy.rules.expand import ExpansionError, expand
from vtspolicy.rules.outputs import with_cause
from vtspolicy.runner.protocol import End, Run

TIMEOUT = 300.0
"""Seconds that a ready program may take."""


async def make_ready(
    programs: Programs, job: Job | None, mount: Mount, event: Event | None
) -> str | None:
    """Run the `ready` program of the job that brought a tape back; return why not, or None.

    It runs once for each mount: one that an earlier server started is waited for.
    """
    if job is None or not job.work.ready:
        return None
    key = run_key(job.id, max(job.attempt, 1), f"ready{mount.id}")
    message = read_mount(event) if event is not None else None
    values = {**programs.values(job), "seq": mount.seq, "host": mount.host}
    if message is not None and message.drive is not None:
        values["drive"] = message.drive
    try:
        argv = expand(job.work.ready, values)
    except ExpansionError as error:
        return f"the tape is back, but its ready program cannot be run: {error}"
    run = Run(
        key=key,
        argv=argv,
        env=programs.environment(job),
        job=job.id,
        attempt=job.attempt,
        timeout=TIMEOUT,
    )
    there = programs.runner.folder(key).exists()
    ended = await programs.run(run, adopt=there, stoppable=False)
    if ended.kind is End.EXITED and ended.code == 0:
        return None
    how = f"exit code {ended.code}" if ended.kind is End.EXITED else ended.reason or ended.kind
    output = programs.runner.tail(key, OUTPUT_JUDGED)
    how = with_cause(how, job.work.cause, output, went_well=False)
    return f"the tape is back, but its ready program failed: {how}"
