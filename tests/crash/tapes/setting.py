"""The site whose tapes are copied, emptied, removed and brought back: its rules and applications.

The shipped table of the disk archive holds, and four pools differ in how they use it: PAY as it is;
FND erases as soon as the copy is found; INP restores in place; QUE has an application that queues
its jobs and is polled.
"""

import sys

from tests.crash.setting import Setting

CONFIGURATION = r"""
node: vts1.example.com
listen: [{{endpoint: "tcp:port={port}:interface=127.0.0.1", plain: true}}]
ledger: sqlite:///{root}/ledger.db
spool: {root}/spool
settle: 0.05s
vaults: {{VAULT01: {root}/VAULT01}}
hosts:
  NSK1:
    peers: [127.0.0.2]
    systems: ['\NSK1']
    vaults: [VAULT01]
    families: [DSK, BRG, Erase, Delete, Restore, Status, Cancel]
  NSK2:
    peers: [127.0.0.3]
    systems: ['\NSK2']
    vaults: [VAULT01]
    families: [DSK, BRG, Erase, Delete, Restore, Status, Cancel]
    notices: all
    acknowledge: true
rules: [rules.yaml, shipped/dsk.yaml]
"""

RULES = """
applications:
  DSK:
    programs: {{vtspolicy: {root}/application}}
    places: {{store: {root}/store}}
    env: {{CRASH_RUN: "{{job}} {{attempt}} {{handle}} {{path}}"}}
    seats: 4
    retry: {{attempts: 2, delay: 0.1s}}
  BRG:
    title: one that queues its jobs itself
    places: {{store: {root}/store}}
    seats: 2
    outcome: {{0: completed, default: failed}}
    on_interrupt: retry
    archive: {{proof: data, read: {{digest: {{field: digest}}}}}}
    query:
      run: [{root}/application, disk, query, "{{source}}", "--store={{store}}",
            "--handle={{handle}}", --json]
      absent: &no-copy [no copy with handle, the copy is damaged]
    read_back:
      run: [{root}/application, disk, query, "{{source}}", "--store={{store}}",
            "--handle={{handle}}", --verify, --json]
      read: {{digest: {{field: digest}}}}
      absent: *no-copy

x-poll: &poll
  run: [/bin/cat, "{root}/queue/{{application_job}}"]
  read: {{state: "state ([a-z]+)"}}
  every: 0.5s
  running: running
  completed: completed
  patience: 20s
  find:
    run: [/bin/cat, "{root}/queue/of-{{job}}-{{attempt}}"]
    read: {{application_job: "number ([0-9]+)"}}
    absent: [No such file]

rules:
  - rule: found is enough
    when: {{family: DSK, pool: FND}}
    run: ["{{program.vtspolicy}}", disk, archive, "{{path}}", "--store={{store}}",
          "--handle={{handle}}", --json]
    proof: found
    then: migrated
  - rule: restore in place
    when: {{family: Restore, pool: INP}}
    application: DSK
    run: ["{{program.vtspolicy}}", fill, "{{path}}", "--store={{store}}", "--handle={{handle}}"]
    then: restored
    priority: 10
  - rule: archive by a queued job
    when: {{family: BRG}}
    run: [{root}/application, submit, "{{job}}", "{{attempt}}", archive, "{{path}}",
          "--store={{store}}", "--handle={{handle}}"]
    read: {{application_job: "number ([0-9]+)"}}
    poll: *poll
    cancel: [/bin/true]
    then: migrated
  - rule: restore by a queued job
    when: {{family: Restore, tape: {{application: BRG}}}}
    run: [{root}/application, submit, "{{job}}", "{{attempt}}", restore, "{{source}}",
          "--to={{target}}", "--store={{store}}", "--handle={{handle}}"]
    read: {{application_job: "number ([0-9]+)"}}
    poll: *poll
    cancel: [/bin/true]
    then: restored
"""

APPLICATION = (
    "#!"
    + sys.executable
    + """ -I
# The disk archive, slower than it is, so that a host can write before, during and after it. What is
# run for a job writes down its begin and end. `fill` writes into the tape itself, in two halves;
# the host is told to leave the tape alone meanwhile. `submit` only queues the work.
import fcntl, os, random, signal, sys, time

ROOT = "{root}"


def note(text):
    record = os.open(ROOT + "/record", os.O_WRONLY | os.O_APPEND)
    os.write(record, (text + "\\n").encode())
    os.close(record)


def disk(arguments):
    from vtspolicy.cli.disk import disk as command
    try:
        command(arguments, standalone_mode=True)
    except SystemExit as end:
        return end.code or 0


def fill(path, store, handle):
    from pathlib import Path
    from vtspolicy.runner.disk.catalogue import decompress, find
    pieces = []
    copy = find(Path(store.partition("=")[2]), Path(path), handle.partition("=")[2])
    decompress(copy, [lambda data: pieces.append(bytes(data))], lambda done, total: None)
    data = b"".join(pieces)
    lock = os.open(ROOT + "/../journal/" + os.path.basename(path) + ".lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    tape = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    there = os.read(tape, len(data) + 1)
    if there == data:
        return 0
    if not data.startswith(there):
        print("the tape has other data on it")
        return 1
    os.ftruncate(tape, 0)
    half = len(data) // 2
    os.pwrite(tape, data[:half], 0)
    time.sleep(draw.uniform(0.0, 0.15))
    os.pwrite(tape, data[half:], half)
    return 0


def submit(job, attempt, *arguments):
    number = int(job) * 100 + int(attempt)
    queue = ROOT + "/queue/"
    os.makedirs(queue, exist_ok=True)
    if not os.fork():
        os.setsid()
        state(queue + str(number), "state running")
        state(queue + "of-" + job + "-" + attempt, "number " + str(number))
        null = os.open("/dev/null", os.O_RDWR)
        for each in range(3):
            os.dup2(null, each)
        time.sleep(draw.uniform(0.0, 0.4))
        code = disk(arguments)
        state(queue + str(number), "state failed" if code else "state completed")
        os._exit(0)
    while not os.path.exists(queue + "of-" + job + "-" + attempt):
        time.sleep(0.005)
    print("number", number, flush=True)
    os._exit(0)


def state(name, text):
    with open(name + ".new", "w") as file:
        file.write(text + "\\n")
    os.rename(name + ".new", name)


def end(code):
    if counts:
        note("end " + " ".join(run[:2]) + " " + str(os.getpid()) + " " + str(code))
    sys.stdout.flush()
    os._exit(code)


def sync(file):
    time.sleep(draw.choice((0.0, 0.0, 0.05)))
    flush(file)


draw = random.Random(" ".join(sys.argv))
flush, os.fsync = os.fsync, sync
run = os.environ.get("CRASH_RUN", "").split()
counts = len(run) == 4 and sys.argv[1] != "submit" and sys.argv[1:3] != ["disk", "query"]
signal.signal(signal.SIGTERM, lambda *_: end(143))
if counts:
    note("start " + " ".join(run[:2]) + " " + str(os.getpid()) + " " + " ".join(run[2:]))
if sys.argv[1] == "submit":
    submit(*sys.argv[2:])
time.sleep(draw.choice((0.0, 0.0, 0.1, 0.3)))
code = fill(*sys.argv[2:]) if sys.argv[1] == "fill" else disk(sys.argv[2:])
time.sleep(draw.choice((0.0, 0.0, 0.1, 0.3)) if counts else 0.0)
end(code)
"""
)

POOLS = {
    "PAY": ("P00001", "P00002", "P00003", "P00004"),
    "FND": ("F00001", "F00002", "F00003"),
    "INP": ("I00001", "I00002"),
    "QUE": ("Q00001", "Q00002"),
}

POOL_OF = {cartridge: pool for pool, names in POOLS.items() for cartridge in names}

TAPES = Setting(
    configuration=CONFIGURATION,
    rules=RULES,
    application=APPLICATION,
    tapes={
        pool: {name: f"what {name} has at first\n" * 20 for name in names}
        for pool, names in POOLS.items()
    },
)
