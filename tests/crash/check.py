"""The judge: ledger, the application's own record and all notices must tell one story."""

import json
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing

from attrs import define, field, frozen

from tests.crash.hosts import Host
from tests.crash.site import Site
from vtspolicy.jobs import LIVE, TRANSITIONS, JobState, final_word
from vtspolicy.notices import ReceivedNotice, Word

STEPS = {(before.value, after.value) for before, _happening, after in TRANSITIONS}
OUTCOME = {0: "completed", 4: "warning"}
ATTEMPTS = {"several attempts": 3}  # by rule
UNVERIFIED = "the copy is not verified: the keeper died"
ONCE_INTERRUPTED = {"one attempt and no more"}  # rules whose `on_interrupt` is fail


@frozen
class Start:
    """One start of the application, by its own word."""

    job: int
    attempt: int
    pid: int
    handle: str
    path: str


@define
class Facts:
    """What the ledger says."""

    requests: dict[int, sqlite3.Row]
    jobs: dict[int, sqlite3.Row]
    attempts: dict[tuple[int, int], sqlite3.Row]
    notices: list[sqlite3.Row]
    transitions: dict[int, list[sqlite3.Row]] = field(factory=dict)  # by job


def facts(site: Site) -> Facts:
    """Read the ledger."""
    with closing(sqlite3.connect(site.root / "ledger.db")) as ledger:
        ledger.row_factory = sqlite3.Row

        def rows(query: str) -> list[sqlite3.Row]:
            return ledger.execute(query).fetchall()

        assert rows("PRAGMA integrity_check")[0][0] == "ok"
        moves: dict[int, list[sqlite3.Row]] = defaultdict(list)
        for row in rows("SELECT * FROM transitions WHERE job IS NOT NULL ORDER BY id"):
            moves[row["job"]].append(row)
        return Facts(
            requests={row["id"]: row for row in rows("SELECT * FROM requests")},
            jobs={row["id"]: row for row in rows("SELECT * FROM jobs")},
            attempts={(r["job"], r["number"]): r for r in rows("SELECT * FROM attempts")},
            notices=rows("SELECT * FROM notices ORDER BY id"),
            transitions=moves,
        )


def is_quiet(site: Site) -> bool:
    """Whether nothing is left to be done or told, by the ledger."""
    states = ", ".join(f"'{state.value}'" for state in LIVE)
    try:
        with closing(sqlite3.connect(f"file:{site.root}/ledger.db?mode=ro", uri=True)) as ledger:
            live = ledger.execute(f"SELECT count(*) FROM jobs WHERE state IN ({states})")
            told = ledger.execute("SELECT count(*) FROM notices WHERE delivered IS NULL")
            return not live.fetchone()[0] and not told.fetchone()[0]
    except sqlite3.Error:
        return False


def faults(site: Site, hosts: Iterable[Host]) -> list[str]:
    """Return everything that is wrong, for people; nothing when all is as promised."""
    known = facts(site)
    hosts = list(hosts)
    return [
        *told(known, hosts),
        *_jobs(known, hosts),
        *record(known, site),
        *_handles(known, site),
        *_outcomes(known, site, _cancelled(hosts)),
    ]


def told(known: Facts, hosts: list[Host]) -> list[str]:
    """Return what is wrong with commands, notices, requests and the lives of jobs."""
    return [
        *_commands(known, hosts),
        *_notices(known, hosts),
        *_requests(known),
        *_history(known),
    ]


def _commands(known: Facts, hosts: list[Host]) -> Iterator[str]:
    """Nothing that was answered is lost, nothing is recorded twice."""
    by_ref = Counter(row["ref"] for row in known.requests.values())
    shown = {ref: command for host in hosts for ref, command in host.sent.items()}
    answered = {ref for host in hosts for ref in host.answered}
    for ref, command in shown.items():
        count = by_ref[ref]
        if count > 1:
            yield f"{ref} was recorded {count} times"
        if not count and (ref in answered or not command.plain):
            yield f"{ref} is not in the ledger"
    for ref in by_ref:
        if ref not in shown and ref is not None:  # a mount request has none
            yield f"nobody has sent {ref}"
    for number, row in known.requests.items():
        jobs = _jobs_of(known, number)
        if len(jobs) != row["jobs"]:
            yield f"request {number} says it has {row['jobs']} jobs, there are {len(jobs)}"


def _jobs_of(known: Facts, request: int) -> list[sqlite3.Row]:
    return [job for job in known.jobs.values() if job["request"] == request]


def _jobs(known: Facts, hosts: list[Host]) -> Iterator[str]:
    """Each command became as many jobs as it is about."""
    shown = {ref: command for host in hosts for ref, command in host.sent.items()}
    for number, row in known.requests.items():
        command = shown.get(row["ref"])
        jobs = _jobs_of(known, number)
        if command is not None and len(jobs) != (command.jobs or 0):
            yield f"request {number} became {len(jobs)} jobs: {command.text}"


def _notices(known: Facts, hosts: list[Host]) -> Iterator[str]:
    """Each notice of the ledger has reached its host, and no other notice has."""
    for host in hosts:
        in_ledger = [row for row in known.notices if row["host"] == host.name]
        for row in in_ledger:
            if row["delivered"] is None or row["expired"]:
                yield f"notice {row['id']} was never delivered to {host.name}"
        told = {_key(notice) for notice in host.heard}
        owed = {_key_of_row(row) for row in in_ledger}
        for word, request, job, attempt in sorted(owed - told, key=str):
            yield f"{host.name} never heard {word} req={request} job={job} attempt={attempt}"
        for word, request, job, attempt in sorted(told - owed, key=str):
            yield f"{host.name} heard {word} req={request} job={job} attempt={attempt} of nobody"
        yield from _finals(known, host)
        if len(host.links) == 1:
            yield from _order(host)


def _finals(known: Facts, host: Host) -> Iterator[str]:
    """Whoever drops what has the same number, or the same text, has one final notice for each."""
    finals: dict[int, set[object]] = defaultdict(set)
    for notice in host.heard:
        if notice.word.is_final:
            finals[int(notice.fields["req"])].add(notice.number or notice.text)
    for number, row in known.requests.items():
        if row["host"] == host.name and row["jobs"] and len(finals[number]) != 1:
            yield f"request {number} has {len(finals[number])} final notices"


def _order(host: Host) -> Iterator[str]:
    """The first arrivals of a request's notices come in the order of their numbers."""
    last: dict[object, int] = defaultdict(int)
    seen: set[int] = set()
    for notice in host.heard:
        number, request = notice.number or 0, notice.fields.get("req")
        if number in seen:
            continue
        seen.add(number)
        if notice.word is Word.DUPLICATE:
            continue  # it answers whoever showed the event again
        if number < last[request]:
            yield f"request {request}: notice {number} came after {last[request]}"
        last[request] = max(last[request], number)


def _key(notice: ReceivedNotice) -> tuple[object, ...]:
    fields = notice.fields
    return (notice.word.name, fields.get("req"), fields.get("job"), fields.get("attempt"))


def _key_of_row(row: sqlite3.Row) -> tuple[object, ...]:
    fields = json.loads(row["fields"])
    return (Word(row["word"]).name, fields.get("req"), fields.get("job"), fields.get("attempt"))


def _requests(known: Facts) -> Iterator[str]:
    """Each accepted request has ended, as its jobs have, and its final notice says so."""
    finals: dict[int, list[Word]] = defaultdict(list)
    for row in known.notices:
        if Word(row["word"]).is_final:
            finals[row["request"]].append(Word(row["word"]))
    for number, row in known.requests.items():
        jobs = _jobs_of(known, number)
        if not jobs:
            continue
        live = [job["id"] for job in jobs if JobState(job["state"]).is_live]
        if live:
            yield f"jobs {live} of request {number} have not ended"
            continue
        word = final_word(Counter(JobState(job["state"]) for job in jobs))
        if row["state"].upper() != word.name or finals[number] != [word]:
            yield (
                f"request {number} is {row['state']}, told as {finals[number]},"
                f" and its jobs make it {word.name}"
            )


def _history(known: Facts) -> Iterator[str]:
    """Each job's way through its life leaves no gap and takes no step that there is not."""
    for number, job in known.jobs.items():
        state = "waiting"
        for row in known.transitions.get(number, []):
            if row["before"] != state:
                yield f"job {number} was {state}, and left {row['before']}"
            if (row["before"], row["after"]) not in STEPS:
                yield f"job {number} went from {row['before']} to {row['after']}"
            state = row["after"]
        if state != job["state"]:
            yield f"job {number} is {job['state']}, by its history {state}"
        numbers = sorted(n for (j, n) in known.attempts if j == number)
        if numbers != list(range(1, job["attempt"] + 1)):
            yield f"job {number} has {job['attempt']} attempts, recorded are {numbers}"


def record(known: Facts, site: Site) -> Iterator[str]:
    """Each start is one that the ledger knows; none was made twice; locks were respected."""
    seen: set[tuple[int, int]] = set()
    running: dict[int, Start] = {}
    for line in site.record():
        if line[0] == "start":
            start = _start(line)
            key = (start.job, start.attempt)
            if key in seen:
                yield f"job {start.job} was started twice as attempt {start.attempt}"
            seen.add(key)
            if key not in known.attempts:
                yield f"job {start.job} attempt {start.attempt} ran, unknown to the ledger"
            for other in running.values():
                if _overlap(start.path, other.path):
                    yield (
                        f"job {start.job}-{start.attempt} began on {start.path}"
                        f" while {other.job}-{other.attempt} was at {other.path}"
                    )
            running[start.pid] = start
        elif line[0] in {"end", "kill"}:
            running.pop(int(line[1] if line[0] == "kill" else line[3]), None)


def _start(line: list[str]) -> Start:
    return Start(int(line[1]), int(line[2]), int(line[3]), line[4], line[5])


def _handles(known: Facts, site: Site) -> Iterator[str]:
    """Each job that copies was given its own handle and its own path, always the same ones."""
    handles: dict[int, str] = {}
    for start in (_start(line) for line in site.record() if line[0] == "start"):
        job = known.jobs.get(start.job)
        if job is None:
            continue
        shape = rf"vts-[0-9a-f]{{8}}-{job['request']}-{start.job}"
        path = job["path"] or json.loads(job["values"]).get("path")
        if not re.fullmatch(shape, start.handle) or start.path != path:
            yield f"job {start.job} was given {start.handle} {start.path}, not {shape} {path}"
        if handles.setdefault(start.job, start.handle) != start.handle:
            yield f"job {start.job} was given {handles[start.job]}, then {start.handle}"


def _overlap(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


@define
class Said:
    """What the application's record says of each attempt: (job, number)."""

    ends: dict[tuple[int, int], int] = field(factory=dict)  # with which code it ended
    killed: set[tuple[int, int]] = field(factory=set)
    keeper_killed: bool = False


def _read(record: Iterable[list[str]]) -> Said:
    told = Said()
    by_pid: dict[str, tuple[int, int]] = {}
    for line in record:
        if line[0] == "start":
            by_pid[line[3]] = (int(line[1]), int(line[2]))
        elif line[0] == "end":
            told.ends[int(line[1]), int(line[2])] = int(line[4])
        elif line[0] == "kill":
            told.killed.add(by_pid[line[1]])
        elif line[0] == "keeper-killed":
            told.keeper_killed = True
    return told


def _cancelled(hosts: Iterable[Host]) -> set[int]:
    """Return the requests that hosts have cancelled, in time or not."""
    shown = (command for host in hosts for command in host.sent.values())
    return {command.cancels for command in shown if command.cancels is not None}


def _outcomes(known: Facts, site: Site, cancelled: set[int]) -> Iterator[str]:
    """Each attempt ended as the application itself says, or as the kill explains; no silence."""
    told = _read(site.record())
    for key, row in known.attempts.items():
        if row["state"] != "cancelled" or known.jobs[key[0]]["request"] not in cancelled:
            wrong = _end(key, row, told)
            if wrong is not None:
                yield f"job {key[0]} attempt {key[1]} {wrong}"
    for number, job in known.jobs.items():
        if job["state"] == "cancelled" and job["request"] not in cancelled:
            yield f"job {number} was cancelled by nobody"
        yield from _outcome(known, job, told, was_cancelled=job["request"] in cancelled)


def _end(key: tuple[int, int], row: sqlite3.Row, told: Said) -> str | None:
    """Return what is wrong with the recorded end of an attempt that nobody cancelled."""
    kind, end = row["kind"], told.ends.get(key)
    if kind == "exited":
        return (
            None if end == row["code"] else f"is said to have ended with {row['code']}, not {end}"
        )
    if kind == "signalled":
        return None if key in told.killed else "was ended by a signal that we did not send"
    if kind == "lost":
        return None if told.keeper_killed else "was lost, though no keeper was killed"
    return f"ended as {kind}: {row['reason']}"


def _outcome(known: Facts, job: sqlite3.Row, told: Said, *, was_cancelled: bool) -> Iterator[str]:
    """A job's state follows from its last attempt, and each earlier one had to be repeated.

    A query whose keeper was killed has verified nothing: then its job has failed. What is cancelled
    may have come to its own end before that.
    """
    number = job["id"]
    rule = job["rule"]
    for attempt in range(1, job["attempt"] + 1):
        row = known.attempts.get((number, attempt))
        if row is None:
            continue
        if row["kind"] == "lost":
            state = "interrupted" if rule in ONCE_INTERRUPTED else "waiting"
        else:
            state = OUTCOME.get(row["code"], "failed") if row["kind"] == "exited" else "failed"
            if told.keeper_killed and (row["reason"] or "").startswith(UNVERIFIED):
                state = "failed"
            if state == "failed" and attempt < ATTEMPTS.get(rule, 1):
                state = "waiting"
        if row["state"] == "cancelled" and was_cancelled:
            state = "cancelled"
        if row["state"] == "failed" and was_cancelled and state == "waiting":
            state = "failed"  # it ended by itself, and nobody tries again what is being stopped
        if row["state"] != state:
            yield (
                f"job {number} ({rule}) became {row['state']} by attempt {attempt},"
                f" {row['kind']} {row['code']}: that makes it {state}; {row['reason']}"
            )
