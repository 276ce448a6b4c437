"""An explanation of what the rules would do, as text for a terminal."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from vtspolicy.rules.explain import Data


def render(data: Data) -> str:
    """Return an explanation as text."""
    lines = [_command_line(data["command"]), f"at {data['at'][:16]}, {data['note']}"]
    if data["host"]:
        lines[1] += f", from {data['host']}"
    lines += [f"warning: {warning}" for warning in data["command"]["warnings"]]
    lines += ["", *_rule_lines(data["rules"]), "", _verdict(data)]
    for number, job in enumerate(data["jobs"], 1):
        lines += ["", f"job {number}: {job['tape'] or job['pool']}", *_job_lines(job)]
    if data["left_out"]:
        lines += ["", "left out:"]
        lines += [f"  {each['tape']}: {each['reason']}" for each in data["left_out"]]
    return "\n".join(lines)


def _command_line(command: Mapping[str, Any]) -> str:
    parts = [command["family"], command["operation"] or ""]
    parts += [
        "/" + "/".join(part for part in target.values() if part)
        if target["vault"]
        else target["cartridge"]
        for target in command["targets"]
    ]
    parts += [f"{name}={value}" for name, value in command["keywords"].items()]
    parts += [f"ref={command['ref']}"] if command["ref"] else []
    return "command: " + " ".join(part for part in parts if part)


def _rule_lines(rules: Sequence[Mapping[str, Any]]) -> list[str]:
    width = max((len(each["rule"]) for each in rules), default=0)
    lines = []
    for each in rules:
        if each["matched"]:
            how = "matches"
        elif each["reached"]:
            how = f"no: {each['condition']}, found {each['found']}"
        else:
            how = "not reached"
        lines.append(f"{each['number']:4}  {each['rule']:{width}}  {how}")
    return lines or ["   there are no rules"]


def _verdict(data: Data) -> str:
    if data["verdict"] == "norule":
        return "no rule matches: NORULE"
    if data["verdict"] == "elsewhere":
        return f"not answered by this server: {data['reason']}"
    if data["verdict"] == "answered":
        return f"answered {data['reason']}"
    if data["verdict"] == "denied":
        by = f' by rule {data["number"]}, "{data["rule"]}"' if data["rule"] else ""
        return f"denied{by}: {data['reason']}"
    jobs = len(data["jobs"])
    what = "no job, because there is no tape to do it with" if not jobs else f"{jobs} job"
    return f'rule {data["number"]}, "{data["rule"]}", decides: {what}{"s" if jobs > 1 else ""}'


def _job_lines(job: Mapping[str, Any]) -> list[str]:
    seats = job["seats"]
    retry = job["retry"]
    rows = [
        ("first", _call(job["prepare"])),
        ("runs", shlex.join(job["run"]) if job["run"] else "by this program itself"),
        ("input", _lines(job["input"])),
        ("application", f"{job['application']}, {seats} seat{'' if seats == 1 else 's'}"),
        ("variables", " ".join(f"{name}={value}" for name, value in job["env"].items())),
        ("lock", job["lock"] or "none"),
        ("priority", str(job["priority"]) if job["priority"] else ""),
        ("starts", _starts(job)),
        ("time-outs", _timeouts(job["timeouts"])),
    ]
    if retry["attempts"] > 1:
        delay = f"{duration(retry['delay'])} apart"
        factor = f", each {retry['backoff']:g} times longer" if retry["backoff"] != 1 else ""
        when = " or ".join(retry["on"])
        rows.append(("attempts", f"{retry['attempts']}, {delay}{factor}, after {when}"))
    rows.append(("interrupted", "runs again" if job["on_interrupt"] == "retry" else "fails"))
    if job["run"]:
        rows.append(("success", "; ".join(_success(job))))
    rows += [(name, _call(job[name])) for name in ("poll", "verify")]
    rows.append(("reads back", _call(job["read_back"])))
    if job["cancel"]:
        rows.append(("cancel", _call({"run": job["cancel"], "input": job["cancel_input"]})))
    rows.append(("ready", shlex.join(job["ready"] or ())))
    rows += [("proof", _proof(job)), ("evidence", _evidence(job)), ("then", _then(job))]
    return [f"  {name:12} {value}" for name, value in rows if value]


_PROOFS = {
    "found": "before the tape is emptied, a query has to find the copy",
    "data": "before the tape is emptied, the data of the copy is read back and compared",
}


def _proof(job: Mapping[str, Any]) -> str:
    words = [_PROOFS[job["proof"]]] if job["proof"] else []
    words += [f"proven again every {duration(job['every'])}"] if job["every"] else []
    return "; ".join(words)


def _evidence(job: Mapping[str, Any]) -> str:
    said = job["evidence"]
    if said is None or said["answer"] == "allowed":
        return "allows it" if said else ""
    if said["answer"] == "ask":
        how = "its data is read back" if said["need"] == "data" else "it is asked for"
        return f"{said['application']} has copy {said['handle']}: {how} first"
    words = {"refused": "refuses it", "done": "there is nothing to do"}
    return f"{words[said['answer']]}: {said['reason']}"


_RESTORED = {
    "path": "in place",
    "target": "by a new file that takes its place",
    "staging": "from a private folder",
}


def _then(job: Mapping[str, Any]) -> str:
    how = f" {_RESTORED[job['restores_to']]}" if job["restores_to"] else ""
    return f"the tape is {job['then']}{how}" if job["then"] else ""


def _call(query: Mapping[str, Any] | None) -> str:
    """A query as one line: what runs, and the lines that it reads."""
    if query is None:
        return ""
    lines = _lines(query["input"])
    return shlex.join(query["run"]) + (f" < {lines}" if lines else "")


def _lines(text: str | None) -> str:
    return " / ".join((text or "").splitlines())


def _starts(job: Mapping[str, Any]) -> str:
    if job["starts"] is None:
        return f"never: no hours of {job['between']} are to come"
    return f"{job['starts']} ({job['between']})" if job["waits"] else "at once"


def _success(job: Mapping[str, Any]) -> list[str]:
    words = [f"exit code {_codes(job['outcome'], 'completed') or 'none'}", *job["expect"]]
    warnings = _codes(job["outcome"], "warning")
    if job["verify"]:
        words.append(" and ".join(["the query finds the copy", *job["verify"]["expect"]]))
    if warnings:
        words.append(f"with warnings {warnings}")
    return words


def _codes(outcome: Mapping[str, str], state: str) -> str:
    return ", ".join(code for code, name in outcome.items() if name == state)


_TIMEOUT_WORDS = {
    "waiting": "waiting",
    "attempt": "one attempt",
    "total": "all attempts",
    "silence": "silence",
    "grace": "stopping",
}


def _timeouts(timeouts: Mapping[str, float | None]) -> str:
    return ", ".join(
        f"{_TIMEOUT_WORDS[name]} {duration(seconds)}"
        for name, seconds in timeouts.items()
        if seconds is not None
    )


def duration(seconds: float) -> str:
    """Return a duration as tables are written: 90s, 12h, 7d."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"
