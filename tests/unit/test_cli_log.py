"""The log for people: whatever came from a host or a disk stands in one entry, and only shows."""

import io
import json

from twisted.logger import Logger, LogLevel, eventAsText, formatTime

from vtspolicy.cli.serve import _observer


def written(reason, *, as_json):
    out = io.StringIO()
    log = Logger("vtspolicy.test", observer=_observer(out, as_json=as_json))
    log.warn("Command denied: {reason}.", reason=reason)
    return out.getvalue()


def test_what_came_from_outside_can_neither_forge_an_entry_nor_steer_a_terminal():
    forged = "x\r2026-11-22T02:00:00+0000 info     Ready\n2026-11-22 y\x1b[2J\x9b2J\u2028z\t."
    entry = written(forged, as_json=False)
    first, second = entry.splitlines()
    assert "denied: x\\r2026" in first
    assert second == "    2026-11-22 y\\x1b[2J\\x9b2J\\u2028z\t.."
    assert entry.isascii()


def test_a_machine_gets_what_came_from_outside_as_it_was():
    forged = "x\r\ny\x1b[2J"
    (line,) = written(forged, as_json=True).splitlines()
    assert json.loads(line)["reason"] == forged


def test_lines_are_what_twisted_would_write():
    events = (
        ("Job {job} of request {request}: {state}.", {"job": 7, "request": 3, "state": "failed"}),
        ("{a!r} {b:>4} {c.real} {d[x]} {{}}", {"a": "x", "b": 1, "c": 2, "d": {"x": 1}}),
        ("called: {now()}", {"now": lambda: 5}),
        ("nothing is known of {this}", {}),
        ("several\nlines  ", {}),
    )
    for text, values in events:
        out = io.StringIO()
        event = {
            "log_time": 1795346405.9,
            "log_level": LogLevel.info,
            "log_namespace": "vtspolicy",
            "log_format": text,
            **values,
        }
        _observer(out, as_json=False)(event)
        lines = eventAsText(event, includeTimestamp=False, includeSystem=False).rstrip()
        begun = f"{formatTime(event['log_time'])} info     "
        assert out.getvalue() == begun + lines.replace("\n", "\n    ") + "\n"


def test_each_line_has_its_own_second():
    out = io.StringIO()
    write = _observer(out, as_json=False)
    times = (1795346405.9, 1795346406.0, 1795346406.9, 1795346400.0)
    for when in times:
        write(
            {
                "log_time": when,
                "log_level": LogLevel.info,
                "log_namespace": "vtspolicy",
                "log_format": "x",
            }
        )
    written = [line.split()[0] for line in out.getvalue().splitlines()]
    assert written == [formatTime(when) for when in times]


def test_letters_of_all_languages_stay_as_they_are():
    assert "Größe" in written("Größe", as_json=False)
